//! In: a thing as it should be and as a server shows it. Out: the paths at which the server's lacks what it should have.
//! Never: minds what a server adds by itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Paths that a line names; the rest is counted.
const PATHS_MAX: usize = 3;

/// Paths at which `theirs` has not what `ours` has. Keys that only `theirs` has are not looked at; lists must be alike in length and order.
///
/// A text that holds JSON is compared as what it holds: Kibana keeps panels so. A number or truth may come back as text: Elasticsearch
/// gives settings so.
pub(super) fn missing(ours: &Value, theirs: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", ours, theirs, &mut paths);
    paths
}

/// `missing` both ways: also what only `theirs` has.
pub(super) fn either(ours: &Value, theirs: &Value) -> Vec<String> {
    let both: BTreeSet<String> = missing(ours, theirs)
        .into_iter()
        .chain(missing(theirs, ours))
        .collect();
    both.into_iter().collect()
}

/// The paths in a line: `mappings.properties.reason, priority and 4 more`.
pub(super) fn in_words(paths: &[String]) -> String {
    let named: Vec<&str> = paths.iter().take(PATHS_MAX).map(String::as_str).collect();
    let named = named.join(", ");
    match paths.len().saturating_sub(PATHS_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn compare(path: &str, ours: &Value, theirs: &Value, paths: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, ours) in ours {
                let path = below(path, key);
                match theirs.get(key) {
                    Some(theirs) => compare(&path, ours, theirs, paths),
                    // What is empty is as good as absent: servers drop such keys.
                    None if is_empty(ours) => {}
                    None => paths.push(path),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                compare(&below(path, &place.to_string()), ours, theirs, paths);
            }
        }
        (Value::String(our), Value::String(their)) => match (inner(our), inner(their)) {
            (Some(ours), Some(theirs)) => compare(path, &ours, &theirs, paths),
            _ if our == their => {}
            _ => paths.push(path.to_owned()),
        },
        _ if scalar(ours).is_some() && scalar(ours) == scalar(theirs) => {}
        _ => paths.push(path.to_owned()),
    }
}

fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// What a text holds, when it is an object or a list.
fn inner(text: &str) -> Option<Value> {
    match text.starts_with(['{', '[']) {
        true => serde_json::from_str(text).ok(),
        false => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Settings in one form, `{"index.lifecycle.name": "x"}`: they may be written nested, dotted, with and without `index`.
pub(super) fn flat_settings(settings: &Value) -> Value {
    let mut flat = Map::new();
    flatten("", settings, &mut flat);
    let indexed = flat
        .into_iter()
        .map(|(key, value)| match key.starts_with("index.") {
            true => (key, value),
            false => (format!("index.{key}"), value),
        });
    Value::Object(indexed.collect())
}

fn flatten(path: &str, value: &Value, flat: &mut Map<String, Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&below(path, key), value, flat);
            }
        }
        Value::Null => {}
        value => {
            flat.insert(path.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_adds_is_no_difference_and_what_it_lacks_is() {
        let ours = json!({"priority": 500, "template": {"mappings": {"dynamic": true}}, "composed_of": []});
        let theirs = json!({"priority": "500", "template": {"mappings": {"dynamic": "true", "_source": {}}}, "version": 7});
        assert_eq!(missing(&ours, &theirs), Vec::<String>::new());
        assert_eq!(either(&ours, &theirs), ["version"]);
        let poorer = json!({"priority": 499, "template": {"mappings": {}}});
        assert_eq!(
            missing(&ours, &poorer),
            ["priority", "template.mappings.dynamic"]
        );
    }

    #[test]
    fn json_within_a_text_is_compared_as_what_it_holds() {
        let ours = json!({"panelsJSON": r#"[{"a":1,"b":[2]}]"#});
        let migrated = json!({"panelsJSON": r#"[{"b": [2], "a": 1, "added": true}]"#});
        assert_eq!(missing(&ours, &migrated), Vec::<String>::new());
        let edited = json!({"panelsJSON": r#"[{"a":2,"b":[2]}]"#});
        assert_eq!(missing(&ours, &edited), ["panelsJSON.0.a"]);
        let fewer = json!({"panelsJSON": "[]"});
        assert_eq!(missing(&ours, &fewer), ["panelsJSON"]);
    }

    #[test]
    fn settings_are_one_however_they_are_written() {
        let nested = json!({"index": {"lifecycle": {"name": "x"}, "number_of_replicas": "1"}});
        let dotted = json!({"index.lifecycle.name": "x", "number_of_replicas": 1});
        assert_eq!(
            either(&flat_settings(&nested), &flat_settings(&dotted)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_line_names_three_paths_and_counts_the_rest() {
        let paths = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(in_words(&paths), "a, b, c and 2 more");
        assert_eq!(in_words(&paths[..1]), "a");
    }
}
