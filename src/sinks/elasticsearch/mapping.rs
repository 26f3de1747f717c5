//! In: the mapping of an index that exists. Out: whether our documents fit into it, and what it costs where they only just do.
//! Never: does I/O, changes a mapping.

use serde_json::Value;

use super::request::Kind;
use crate::finding::Verdict;

const MIGRATE: &str = "mirrorlag migrate moves it to the new mapping and keeps the older index; with --dry-run it says how";

/// What the mapping of an index of wide documents is worth to us: `judge` of the answer of `GET <index>` or `GET <index>/_mapping`.
pub fn judge_mapping(answer: &Value) -> Verdict {
    judge(answer, Kind::Wide)
}

/// The same of an index of documents per partition.
pub fn judge_partitions_mapping(answer: &Value) -> Verdict {
    judge(answer, Kind::Partitions)
}

/// Judges the answer of `GET <index>/_mapping`; an alias may bring several indices, and the worst decides.
pub(super) fn judge(answer: &Value, kind: Kind) -> Verdict {
    let indices = answer.as_object().into_iter().flatten();
    let verdicts = indices.map(|(name, index)| {
        let mapping = index.get("mappings").unwrap_or(&Value::Null);
        match kind {
            Kind::Wide => judge_index(name, mapping),
            Kind::Partitions => judge_partitions(name, mapping),
        }
    });
    verdicts
        .max_by_key(severity)
        .unwrap_or_else(|| Verdict::Failed {
            why: "no index answers with a mapping".to_owned(),
            mend: "give the alias an index, or name another index".to_owned(),
        })
}

fn judge_index(name: &str, mapping: &Value) -> Verdict {
    let warned = |what: String, mend: &str| Verdict::Warned {
        what,
        mend: mend.to_owned(),
    };
    let properties = mapping.get("properties").unwrap_or(&Value::Null);
    let kind = |field: &str| properties.get(field)?.get("type")?.as_str();
    if let Some(kind) = kind("@timestamp").filter(|&it| !matches!(it, "date" | "date_nanos")) {
        return Verdict::Failed {
            why: format!("index {name:?} has @timestamp as {kind}: no chart over time works"),
            mend: MIGRATE.to_owned(),
        };
    }
    let mut dynamic = mapping.get("dynamic").map(Value::to_string);
    if let Some(setting) = &mut dynamic {
        setting.retain(|character| character != '"');
    }
    let partitions = Partitions::of(properties);
    if let Some(words) = partitions.words {
        return Verdict::Failed {
            why: format!(
                "index {name:?} has {words} as text: lags are kept but cannot be added or charted"
            ),
            mend: MIGRATE.to_owned(),
        };
    }
    let template =
        "set \"dynamic\": true with the dynamic template of the shipped mapping (PUT _mapping)";
    match dynamic.as_deref() {
        Some("strict") => {
            return warned(
                format!(
                    "index {name:?} is strict: a document with a field that it does not list, such as p{}, becomes a dead letter",
                    partitions.count
                ),
                template,
            );
        }
        Some("false") => {
            return warned(
                format!(
                    "index {name:?} has \"dynamic\": false: fields that it does not list are kept but not found or charted"
                ),
                template,
            );
        }
        _ => {}
    }
    let mut costs = Vec::new();
    if kind("topic") == Some("text") && properties.pointer("/topic/fields/keyword").is_none() {
        costs.push("topic is text, so it can be searched but neither grouped nor sorted by");
    }
    if partitions.has_integers {
        costs.push(
            "p<N> is integer, so a document with a lag above 2147483647 becomes a dead letter",
        );
    }
    match costs.is_empty() {
        true => Verdict::Passed(format!("index {name:?}, {} p<N> mapped", partitions.count)),
        false => warned(
            format!(
                "index {name:?} has the older mapping and works: {}",
                costs.join("; ")
            ),
            MIGRATE,
        ),
    }
}

/// The numbers of a document of a partition.
const NUMBERS: [&str; 4] = ["partition", "lag", "current_offset", "log_end_offset"];

/// Names that charts group by.
const NAMES: [&str; 4] = ["topic", "group", "mirror_host", "outcome"];

const PARTITIONS_MEND: &str = "create another index from mappings/consumer_lag_partitions.json, and name it in partitions_index";

fn judge_partitions(name: &str, mapping: &Value) -> Verdict {
    let properties = mapping.get("properties").unwrap_or(&Value::Null);
    let kind = |field: &str| properties.get(field)?.get("type")?.as_str();
    let is_words = |field: &&str| matches!(kind(field), Some("text" | "keyword"));
    let failed = |why: String| Verdict::Failed {
        why: format!("index {name:?} has {why}"),
        mend: PARTITIONS_MEND.to_owned(),
    };
    if let Some(kind) = kind("@timestamp").filter(|&it| !matches!(it, "date" | "date_nanos")) {
        return failed(format!("@timestamp as {kind}: no chart over time works"));
    }
    if let Some(field) = NUMBERS.into_iter().find(|field| is_words(field)) {
        return failed(format!("{field} as text: it cannot be added or charted"));
    }
    let has_keyword = |field: &str| properties.get(field)?.pointer("/fields/keyword");
    let is_ungrouped = |field: &&str| kind(field) == Some("text") && has_keyword(field).is_none();
    let small = ["lag", "current_offset", "log_end_offset"]
        .into_iter()
        .find(|field| matches!(kind(field), Some("integer" | "short" | "byte")));
    let warned = |what: String| Verdict::Warned {
        what: format!("index {name:?} has {what}"),
        mend: PARTITIONS_MEND.to_owned(),
    };
    match (NAMES.into_iter().find(is_ungrouped), small) {
        (Some(field), _) => warned(format!(
            "{field} as text: it cannot be grouped or sorted by"
        )),
        (None, Some(field)) => warned(format!(
            "{field} as integer: a sample with one above 2147483647 becomes a dead letter"
        )),
        (None, None) if kind("partition").is_none() => {
            warned("no field \"partition\": it was not made for documents of partitions".to_owned())
        }
        (None, None) => Verdict::Passed(format!("index {name:?}, for documents of partitions")),
    }
}

/// Whether a field is the lag of a partition: `p` and its number.
pub fn is_partition_field(field: &str) -> bool {
    let number = field.strip_prefix('p').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the mapping says of `p0`, `p1`, ...
#[derive(Default)]
struct Partitions<'a> {
    count: usize,
    has_integers: bool,
    /// One that is text or keyword.
    words: Option<&'a str>,
}

impl<'a> Partitions<'a> {
    fn of(properties: &'a Value) -> Self {
        let mut partitions = Partitions::default();
        for (field, property) in properties.as_object().into_iter().flatten() {
            if !is_partition_field(field) {
                continue;
            }
            partitions.count += 1;
            match property.get("type").and_then(Value::as_str) {
                Some("integer" | "short" | "byte") => partitions.has_integers = true,
                Some("text" | "keyword") => partitions.words = Some(field),
                _ => {}
            }
        }
        partitions
    }
}

fn severity(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Passed(_) | Verdict::Skipped(_) => 0,
        Verdict::Warned { .. } => 1,
        Verdict::Failed { .. } => 2,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{SHIPPED_MAPPING, SHIPPED_PARTITIONS_MAPPING};
    use super::*;

    fn text(verdict: &Verdict) -> String {
        format!("{verdict:?}")
    }

    #[test]
    fn the_shipped_mapping_passes_and_has_p0_to_p63_long() {
        let shipped: Value = serde_json::from_str(SHIPPED_MAPPING).unwrap();
        let verdict = judge(&json!({ "consumer_lag": shipped }), Kind::Wide);
        assert!(text(&verdict).contains("64 p<N> mapped"), "{verdict:?}");
        for partition in 0..64 {
            let field = format!("/mappings/properties/p{partition}/type");
            assert_eq!(shipped.pointer(&field).unwrap(), "long");
        }
        let template = &shipped["mappings"]["dynamic_templates"][0]["partitions"];
        assert_eq!(template["match"], "^p[0-9]+$");
        // With it, a first value "12" would make that p<N> text for ever.
        assert!(template.get("match_mapping_type").is_none());
    }

    #[test]
    fn the_older_mapping_works_and_its_costs_are_named() {
        let verdict = judge(
            &json!({"consumer_lag": {"mappings": {"properties": {
            "@timestamp": {"type": "date"}, "topic": {"type": "text"}, "p0": {"type": "integer"}}}}}),
            Kind::Wide,
        );
        let Verdict::Warned { what, mend } = verdict else {
            panic!("{verdict:?}");
        };
        assert!(
            what.contains("topic is text") && what.contains("2147483647"),
            "{what}"
        );
        assert!(mend.contains("mirrorlag migrate"));
    }

    #[test]
    fn the_worst_index_of_an_alias_decides() {
        let verdict = judge(
            &json!({
            "a": {"mappings": {"properties": {"@timestamp": {"type": "text"}}}},
            "b": {"mappings": {"properties": {"p0": {"type": "integer"}}}}}),
            Kind::Wide,
        );
        assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
    }

    #[test]
    fn strict_silent_and_worded_mappings_are_named() {
        let with = |mapping: Value| text(&judge(&json!({"c": {"mappings": mapping}}), Kind::Wide));
        assert!(with(json!({"dynamic": "strict"})).contains("dead letter"));
        assert!(with(json!({"dynamic": "false"})).contains("not found"));
        assert!(with(json!({"dynamic": false})).contains("not found"));
        assert!(with(json!({"properties": {"p7": {"type": "text"}}})).contains("p7 as text"));
        assert!(with(json!({"properties": {"page": {"type": "text"}}})).contains("Passed"));
    }

    #[test]
    fn an_index_of_partitions_is_judged_by_their_fields() {
        let shipped: Value = serde_json::from_str(SHIPPED_PARTITIONS_MAPPING).unwrap();
        let judged = |mapping: Value| {
            let answer = json!({"c": {"mappings": mapping}});
            text(&judge(&answer, Kind::Partitions))
        };
        assert!(judged(shipped["mappings"].clone()).starts_with("Passed"));
        let with = |field: &str, kind: &str| {
            let mut mapping = shipped["mappings"].clone();
            mapping["properties"][field] = json!({"type": kind});
            judged(mapping)
        };
        assert!(with("@timestamp", "keyword").starts_with("Failed"));
        assert!(with("lag", "text").contains("cannot be added"));
        assert!(with("log_end_offset", "integer").contains("2147483647"));
        assert!(with("partition", "integer").starts_with("Passed"));
        assert!(with("topic", "text").contains("cannot be grouped"));
        assert!(judged(json!({})).contains("was not made for"));
    }
}
