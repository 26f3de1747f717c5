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

pub(super) fn searches(description: &Description) -> Vec<Value> {
    let fixed = ["topic", "mirror_host", "outcome", "lag_total", "lag_max"];
    let partitions = (0..description.partitions.min(COLUMNS_MAX)).map(|n| format!("p{n}"));
    let columns: Vec<String> = fixed
        .map(str::to_owned)
        .into_iter()
        .chain(partitions)
        .collect();
    let about = "Every document, newest first, with the lag of each partition.";
    let mut searches = vec![search(
        description,
        DOCUMENTS,
        "documents",
        about,
        &columns,
        None,
    )];

    let columns = [
        "topic",
        "group",
        "mirror_host",
        "outcome",
        "reason",
        "group_state",
        "round_ms",
    ];
    let about = "Rounds that brought no numbers, newest first, with the reason.";
    let columns = columns.map(str::to_owned);
    let filter = Some(Filter::without_numbers());
    searches.push(search(
        description,
        WITHOUT_NUMBERS,
        "rounds without numbers",
        about,
        &columns,
        filter,
    ));

    if description.layout == Layout::Both {
        let columns = [
            "topic",
            "partition",
            "lag",
            "current_offset",
            "log_end_offset",
            "client_id",
            "consumer_host",
            "outcome",
        ];
        let about = "Every partition's document, newest first, with its offsets and its consumer.";
        let columns = columns.map(str::to_owned);
        searches.push(search(
            description,
            PARTITIONS,
            "partitions",
            about,
            &columns,
            None,
        ));
    }
    searches
}

fn search(
    description: &Description,
    id: &str,
    title: &str,
    about: &str,
    columns: &[String],
    filter: Option<Filter>,
) -> Value {
    let documents = match id {
        PARTITIONS => Documents::Partitions,
        _ => Documents::Topics,
    };
    let reference = "kibanaSavedObjectMeta.searchSourceJSON.index";
    let query = filter.map(|filter| filter.kuery()).unwrap_or_default();
    let source = json!({
        "query": {"query": query, "language": "kuery"}, "filter": [], "indexRefName": reference,
    });
    json!({
        "id": id,
        "type": "search",
        "coreMigrationVersion": CORE_MIGRATION_VERSION,
        "typeMigrationVersion": TYPE_MIGRATION_VERSION,
        "attributes": {
            "title": format!("mirrorlag: {title}"),
            "description": about,
            "columns": columns,
            "sort": [[description.time_field, "desc"]],
            "grid": {}, "hideChart": false, "isTextBasedQuery": false, "timeRestore": false,
            "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
        },
        "references": [{"type": "index-pattern", "id": data_view::id(documents), "name": reference}],
    })
}
