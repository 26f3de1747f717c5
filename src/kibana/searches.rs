//! In: a description. Out: the saved searches for Discover, with the columns that one wants to see.
//! Never: shows a field that the documents do not have.

use serde_json::{Value, json};

use super::panel::{Documents, Filter};
use super::{CORE_MIGRATION_VERSION, Description, Layout, data_view};

/// The shape before saved searches got versions of their own.
const TYPE_MIGRATION_VERSION: &str = "8.0.0";

pub(super) const DOCUMENTS: &str = "mirrorlag-documents";
pub(super) const WITHOUT_NUMBERS: &str = "mirrorlag-without-numbers";
pub(super) const PARTITIONS: &str = "mirrorlag-partitions";

/// Columns of partitions beyond this would not fit a screen.
const COLUMNS_MAX: u16 = 64;

struct Search<'a> {
    id: &'a str,
    title: &'a str,
    about: &'a str,
    documents: Documents,
    columns: Vec<String>,
    filter: Option<Filter>,
}

pub(super) fn searches(description: &Description) -> Vec<Value> {
    let without_numbers = without_numbers(description.every_round());
    let searches = match description.layout {
        Layout::Wide => vec![every_document(description), without_numbers],
        Layout::Both => vec![every_document(description), without_numbers, partitions()],
        Layout::Partitions => vec![without_numbers, partitions()],
    };
    let objects = searches.iter();
    objects
        .map(|search| search.saved_object(&description.time_field))
        .collect()
}

fn every_document(description: &Description) -> Search<'static> {
    let partitions = (0..description.partitions.min(COLUMNS_MAX)).map(|n| format!("p{n}"));
    let mut columns = owned(&["topic", "mirror_host", "outcome", "lag_total", "lag_max"]);
    columns.extend(partitions);
    Search {
        id: DOCUMENTS,
        title: "documents",
        about: "Every document, newest first, with the lag of each partition.",
        documents: Documents::Topics,
        columns,
        filter: None,
    }
}

fn without_numbers(documents: Documents) -> Search<'static> {
    Search {
        id: WITHOUT_NUMBERS,
        title: "rounds without numbers",
        about: "Rounds that brought no numbers, newest first, with the reason.",
        documents,
        columns: owned(&[
            "topic",
            "group",
            "mirror_host",
            "outcome",
            "reason",
            "group_state",
            "round_ms",
        ]),
        filter: Some(Filter::without_numbers()),
    }
}

fn partitions() -> Search<'static> {
    Search {
        id: PARTITIONS,
        title: "partitions",
        about: "Every partition's document, newest first, with its offsets and its consumer.",
        documents: Documents::Partitions,
        columns: owned(&[
            "topic",
            "partition",
            "lag",
            "current_offset",
            "log_end_offset",
            "client_id",
            "consumer_host",
            "outcome",
        ]),
        filter: None,
    }
}

fn owned(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|&column| column.to_owned()).collect()
}

impl Search<'_> {
    fn saved_object(&self, time_field: &str) -> Value {
        let reference = "kibanaSavedObjectMeta.searchSourceJSON.index";
        let query = self.filter.as_ref().map(Filter::kuery).unwrap_or_default();
        let source = json!({
            "query": {"query": query, "language": "kuery"}, "filter": [], "indexRefName": reference,
        });
        json!({
            "id": self.id,
            "type": "search",
            "coreMigrationVersion": CORE_MIGRATION_VERSION,
            "typeMigrationVersion": TYPE_MIGRATION_VERSION,
            "attributes": {
                "title": format!("mirrorlag: {}", self.title),
                "description": self.about,
                "columns": self.columns,
                "sort": [[time_field, "desc"]],
                "grid": {}, "hideChart": false, "isTextBasedQuery": false, "timeRestore": false,
                "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
            },
            "references": [{"type": "index-pattern", "id": data_view::id(self.documents), "name": reference}],
        })
    }
}
