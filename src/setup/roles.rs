//! In: the names of the indices, the space. Out: the least privileges of each command, as bodies of roles.
//! Never: makes a role.

use serde_json::{Value, json};

use crate::sinks::elasticsearch::Settings;

/// What `run` needs of Elasticsearch, for the default name of the index.
pub const RUN: &str = include_str!("../../config/roles/run.json");

/// What `setup` needs of Elasticsearch.
pub const SETUP: &str = include_str!("../../config/roles/setup.json");

/// What `migrate` needs of Elasticsearch.
pub const MIGRATE: &str = include_str!("../../config/roles/migrate.json");

/// What `prune` needs of Elasticsearch.
pub const PRUNE: &str = include_str!("../../config/roles/prune.json");

/// What `setup` needs of Kibana; the body is of Kibana's own API of roles.
pub const KIBANA: &str = include_str!("../../config/roles/kibana.json");

/// A role of these names and this space.
pub(super) fn role(shipped: &str, names: &[String], space: Option<&str>) -> Value {
    let mut role: Value = serde_json::from_str(shipped).unwrap_or_default();
    for pointer in ["/indices/0/names", "/elasticsearch/indices/0/names"] {
        if let Some(of_role) = role.pointer_mut(pointer) {
            *of_role = json!(names);
        }
    }
    if let (Some(space), Some(spaces)) = (space, role.pointer_mut("/kibana/0/spaces")) {
        *spaces = json!([space]);
    }
    role
}

/// Wildcards for everything that is written: `consumer_lag*` is its dated indices and those of partitions too.
pub(super) fn names(settings: &Settings) -> Vec<String> {
    let mut stems: Vec<&str> = Vec::new();
    if settings.layout.has_wide() {
        stems.push(settings.index.stem());
    }
    let partitions = settings.partitions_index.stem();
    if settings.layout.has_partitions() && !stems.iter().any(|stem| partitions.starts_with(stem)) {
        stems.push(partitions);
    }
    stems.iter().map(|stem| format!("{stem}*")).collect()
}
