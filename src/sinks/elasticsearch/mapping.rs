//! In: the mapping of an index that exists. Out: whether our documents fit into it, and what it costs where they only just do.
//! Never: does I/O, changes a mapping.

use serde_json::Value;

use crate::finding::Verdict;

const MIGRATE: &str = "mirrorlag migrate moves it to the new mapping and keeps the older index; with --dry-run it says how";

/// Judges the answer of `GET <index>/_mapping`; an alias may bring several indices, and the worst decides.
pub fn judge(answer: &Value) -> Verdict {
    let indices = answer.as_object().into_iter().flatten();
    let verdicts = indices
        .map(|(name, index)| judge_index(name, index.get("mappings").unwrap_or(&Value::Null)));
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
            let number = field.strip_prefix('p').unwrap_or_default();
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
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

    use super::super::SHIPPED_MAPPING;
    use super::*;

    fn text(verdict: &Verdict) -> String {
        format!("{verdict:?}")
    }

    #[test]
    fn the_shipped_mapping_passes_and_has_p0_to_p63_long() {
        let shipped: Value = serde_json::from_str(SHIPPED_MAPPING).unwrap();
        let verdict = judge(&json!({ "consumer_lag": shipped }));
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
        let verdict = judge(&json!({"consumer_lag": {"mappings": {"properties": {
            "@timestamp": {"type": "date"}, "topic": {"type": "text"}, "p0": {"type": "integer"}}}}}));
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
        let verdict = judge(&json!({
            "a": {"mappings": {"properties": {"@timestamp": {"type": "text"}}}},
            "b": {"mappings": {"properties": {"p0": {"type": "integer"}}}}}));
        assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
    }

    #[test]
    fn strict_silent_and_worded_mappings_are_named() {
        let with = |mapping: Value| text(&judge(&json!({"c": {"mappings": mapping}})));
        assert!(with(json!({"dynamic": "strict"})).contains("dead letter"));
        assert!(with(json!({"dynamic": "false"})).contains("not found"));
        assert!(with(json!({"dynamic": false})).contains("not found"));
        assert!(with(json!({"properties": {"p7": {"type": "text"}}})).contains("p7 as text"));
        assert!(with(json!({"properties": {"page": {"type": "text"}}})).contains("Passed"));
    }
}
