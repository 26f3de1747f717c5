//! In: a saved object and the space it is for. Out: the object with ids of that space.
//! Never: changes an object of the default space.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// Every id that `objects` gives, the longer of two that begin alike first; none of them stands in a title or a text.
static IDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let ids = "mirrorlag-(consumer-lag-partitions|consumer-lag|documents|without-numbers|partitions|overview|topic|mirrormaker)";
    Regex::new(ids).ok()
});

/// The id of an object in a space.
///
/// Since Kibana 8.0 an id is unique over all spaces: the same one in a second space would get another, and every link to it would break.
pub(super) fn in_space(object: Value, space: &str) -> Value {
    let Some(ids) = IDS.as_ref() else {
        return object;
    };
    // Ids also stand in JSON within texts and in links.
    let text = object.to_string();
    let text = ids.replace_all(&text, |id: &Captures<'_>| {
        let id = id.get(0).map_or("", |id| id.as_str());
        format!("{id}-{space}")
    });
    // A space's id has letters, digits, `-` and `_` only, so that the text is JSON as before.
    serde_json::from_str(&text).unwrap_or(object)
}
