//! In: mappings and settings of indices. Out: how many fields are left for the partitions of a topic.
//! Never: does I/O, changes a limit.

use serde_json::Value;

use super::mapping::is_partition_field;
use crate::finding::Verdict;

/// The setting that bounds the fields of one index, all topics together.
///
/// Source: Elasticsearch, "Mapping limit settings".
pub(super) const LIMIT: &str = "index.mapping.total_fields.limit";

/// Its value where nobody set it.
const LIMIT_DEFAULT: usize = 1000;

/// From here on it is time to think: in a topic that grows, the next partitions may be one deployment away.
const WARN_PERCENT: usize = 80;

/// The fields of one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) index: Option<String>,
    limit: usize,
    /// All fields, multi-fields included, as Elasticsearch counts them.
    mapped: usize,
    /// Those of them that are `p<N>`.
    partitions: usize,
}

impl Room {
    /// Of every index in the answers of `GET <index>/_mapping` and `GET <index>/_settings`.
    pub(super) fn of_answers(mappings: &Value, settings: &Value) -> Vec<Self> {
        let indices = mappings.as_object().into_iter().flatten();
        let room = |(index, body): (&String, &Value)| {
            let settings = settings.get(index)?;
            let limit = ["settings", "defaults"]
                .iter()
                .find_map(|part| number(settings.get(part)?.get(LIMIT)?))?;
            let mapping = body.get("mappings")?;
            Some(Self::new(Some(index.clone()), limit, mapping))
        };
        indices.filter_map(room).collect()
    }

    /// Of an index that would be created with this body; `None` where it is not one.
    pub(super) fn of_body(body: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(body).ok()?;
        let limit = limit_of_body(&body).unwrap_or(LIMIT_DEFAULT);
        Some(Self::new(None, limit, body.get("mappings")?))
    }

    fn new(index: Option<String>, limit: usize, mapping: &Value) -> Self {
        let properties = mapping.get("properties").and_then(Value::as_object);
        let runtime = mapping.get("runtime").and_then(Value::as_object);
        Self {
            index,
            limit,
            mapped: count(mapping) + runtime.map_or(0, serde_json::Map::len),
            partitions: properties.map_or(0, |it| {
                it.keys().filter(|field| is_partition_field(field)).count()
            }),
        }
    }

    /// How many partitions a topic may have: those mapped so far, and as many as there are fields left.
    fn partitions_max(&self) -> usize {
        self.partitions + self.limit.saturating_sub(self.mapped)
    }
}

/// Judges the room that an answer of `GET <index>` tells, whatever topics there are.
pub fn judge_fields(answer: &Value) -> Verdict {
    let indices = answer.as_object().into_iter().flatten();
    let room = |(index, body): (&String, &Value)| {
        let limit = limit_of_body(body).unwrap_or(LIMIT_DEFAULT);
        Some(Room::new(Some(index.clone()), limit, body.get("mappings")?))
    };
    judge(&indices.filter_map(room).collect::<Vec<_>>(), None)
}

/// Judges the index with the least room; `widest` is the topic with the most partitions, and how many it has.
pub(super) fn judge(rooms: &[Room], widest: Option<(&str, usize)>) -> Verdict {
    let Some(room) = rooms.iter().min_by_key(|room| room.partitions_max()) else {
        return Verdict::Skipped(format!("{LIMIT} was not told"));
    };
    let max = room.partitions_max();
    let used = format!("{} of {} fields are mapped", room.mapped, room.limit);
    let what = match widest {
        Some((topic, partitions)) if partitions > max => format!(
            "{used}, which leaves room for {max} partitions of a topic, and {topic:?} has {partitions}: none of its documents is stored"
        ),
        _ if room.mapped * 100 >= room.limit * WARN_PERCENT => {
            format!("{used}: no document of a topic with more than {max} partitions is stored")
        }
        _ => return Verdict::Passed(format!("{used}, room for {max} partitions of a topic")),
    };
    let raise = match &room.index {
        Some(index) => format!("raise {LIMIT} (PUT {index}/_settings)"),
        None => format!("raise {LIMIT} in the settings of mapping_file"),
    };
    Verdict::Warned {
        what,
        mend: format!("write layout: partitions, or {raise}"),
    }
}

/// Fields and multi-fields of a mapping or of an object in it.
fn count(mapping: &Value) -> usize {
    let parts = ["properties", "fields"].iter();
    let fields = parts.filter_map(|part| mapping.get(part)?.as_object());
    fields
        .flat_map(|fields| fields.values())
        .map(|field| 1 + count(field))
        .sum()
}

/// The limit in the body of an index, in any of the ways to write it.
fn limit_of_body(body: &Value) -> Option<usize> {
    let settings = body.get("settings")?;
    let nested = [
        "/index/mapping/total_fields/limit",
        "/mapping/total_fields/limit",
    ];
    let nested = nested.iter().find_map(|path| settings.pointer(path));
    let flat = [LIMIT, "mapping.total_fields.limit"];
    nested
        .or_else(|| flat.iter().find_map(|key| settings.get(key)))
        .and_then(number)
}

/// Settings are numbers when they are written, and text when they are read.
fn number(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| number.try_into().ok()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::SHIPPED_MAPPING;
    use super::*;

    fn room(limit: &str, partitions: usize) -> Room {
        let mut properties = json!({"@timestamp": {"type": "date"},
            "topic": {"type": "keyword", "fields": {"text": {"type": "text"}}}});
        for partition in 0..partitions {
            properties[format!("p{partition}")] = json!({"type": "long"});
        }
        let mappings = json!({"lag": {"mappings": {"properties": properties}}});
        let settings = json!({"lag": {"settings": {}, "defaults": {LIMIT: limit}}});
        Room::of_answers(&mappings, &settings).remove(0)
    }

    fn text(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Passed(text) => text.clone(),
            Verdict::Warned { what, mend } => format!("{what}; {mend}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn multi_fields_count_and_997_partitions_are_the_most_beside_a_timestamp_and_a_topic() {
        // Measured on 7.17, 8.17 and 9.2.
        assert_eq!(room("1000", 12).partitions_max(), 997);
        assert_eq!(room("1000", 997).mapped, 1000);
    }

    #[test]
    fn an_index_that_fills_is_a_warning_before_it_is_full() {
        assert!(matches!(
            judge(&[room("1000", 796)], None),
            Verdict::Passed(_)
        ));
        assert_eq!(
            text(&judge(&[room("1000", 797)], None)),
            "800 of 1000 fields are mapped: no document of a topic with more than 997 partitions is stored; write layout: partitions, or raise index.mapping.total_fields.limit (PUT lag/_settings)"
        );
    }

    #[test]
    fn a_topic_with_more_partitions_than_fit_is_named() {
        let rooms = [room("1000", 12)];
        assert!(matches!(
            judge(&rooms, Some(("orders", 997))),
            Verdict::Passed(_)
        ));
        let text = text(&judge(&rooms, Some(("orders", 998))));
        assert!(
            text.contains("room for 997 partitions of a topic, and \"orders\" has 998"),
            "{text}"
        );
    }

    #[test]
    fn the_index_with_the_least_room_decides_and_a_limit_that_was_set_counts() {
        let (wide, narrow) = (room("9000", 12), room("20", 12));
        let verdict = judge(&[wide.clone(), narrow], Some(("orders", 18)));
        assert!(text(&verdict).contains("has 18"), "{verdict:?}");
        assert!(matches!(
            judge(&[wide], Some(("orders", 8997))),
            Verdict::Passed(_)
        ));
        let set = json!({"lag": {"settings": {LIMIT: "2000"}, "defaults": {}}});
        let mappings = json!({"lag": {"mappings": {}}});
        assert_eq!(Room::of_answers(&mappings, &set)[0].limit, 2000);
        assert!(matches!(judge(&[], None), Verdict::Skipped(_)));
    }

    #[test]
    fn the_shipped_mapping_has_room_for_900_partitions_and_its_limit_may_be_written_in_four_ways() {
        let room = Room::of_body(SHIPPED_MAPPING).unwrap();
        assert_eq!((room.limit, room.partitions), (1000, 64));
        assert!(room.partitions_max() > 900, "{room:?}");
        for settings in [
            json!({"index": {"mapping": {"total_fields": {"limit": 5000}}}}),
            json!({"mapping": {"total_fields": {"limit": "5000"}}}),
            json!({"index.mapping.total_fields.limit": 5000}),
            json!({"mapping.total_fields.limit": 5000}),
        ] {
            let body = json!({"settings": settings, "mappings": {}}).to_string();
            assert_eq!(Room::of_body(&body).unwrap().limit, 5000, "{body}");
        }
    }
}
