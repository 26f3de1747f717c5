//! In: a description. Out: the data views that every other object refers to.
//! Never: lists fields: Kibana asks the index.

use serde_json::{Map, Value, json};

use super::panel::Documents;
use super::{CORE_MIGRATION_VERSION, Description, Layout};

/// The shape before data views got versions of their own.
const TYPE_MIGRATION_VERSION: &str = "8.0.0";

/// Fixed, so that a second import meets the first, and what users made of it goes on.
pub(super) fn id(documents: Documents) -> &'static str {
    match documents {
        Documents::Topics => "mirrorlag-consumer-lag",
        Documents::Partitions => "mirrorlag-consumer-lag-partitions",
    }
}

pub(super) fn data_views(description: &Description) -> Vec<Value> {
    let topics = || data_view(description, Documents::Topics, "mirrorlag");
    let partitions = || data_view(description, Documents::Partitions, "mirrorlag partitions");
    match description.layout {
        Layout::Wide => vec![topics()],
        Layout::Both => vec![topics(), partitions()],
        Layout::Partitions => vec![partitions()],
    }
}

fn data_view(description: &Description, documents: Documents, name: &str) -> Value {
    let whole = json!({"id": "number", "params": {"pattern": "0,0"}});
    let mut formats: Map<String, Value> = Map::new();
    for field in ["lag", "lag_total", "lag_max", "round_ms", "partitions"] {
        formats.insert(field.to_owned(), whole.clone());
    }
    json!({
        "id": id(documents),
        "type": "index-pattern",
        "coreMigrationVersion": CORE_MIGRATION_VERSION,
        "typeMigrationVersion": TYPE_MIGRATION_VERSION,
        "attributes": {
            "title": description.index_pattern(documents),
            "name": name,
            "timeFieldName": description.time_field,
            "fields": "[]", "sourceFilters": "[]", "fieldAttrs": "{}", "runtimeFieldMap": "{}", "typeMeta": "{}",
            "fieldFormatMap": Value::Object(formats).to_string(),
        },
        "references": [],
    })
}
