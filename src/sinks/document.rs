//! In: a sample. Out: the JSON document that stands for it in every sink.
//! Never: writes 0 for a number that is not known.

use std::borrow::Cow;

use chrono::SecondsFormat;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::sample::Sample;

/// Bytes of a document without its partitions: names and fixed fields.
const FIXED_BYTES: usize = 384;

/// Bytes of one `"p<N>":<lag>,` with room for long numbers.
const PARTITION_BYTES: usize = 16;

/// The document of a sample as one line of JSON, without a newline.
///
/// `p<N>` stands for each known lag only; what is not known is absent and listed in `partitions_unknown`.
pub fn document(sample: &Sample) -> Vec<u8> {
    let mut line = Vec::new();
    write(&mut line, sample);
    line
}

/// Appends the document to `line`.
pub(super) fn write(line: &mut Vec<u8>, sample: &Sample) {
    line.reserve(FIXED_BYTES + PARTITION_BYTES * sample.partitions.len());
    // Writing strings and numbers to memory has no way to fail.
    let _infallible = serde_json::to_writer(line, &Document(sample));
}

struct Document<'a>(&'a Sample);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sample = self.0;
        let mut map = serializer.serialize_map(None)?;
        let instant = sample
            .sampled_at
            .to_rfc3339_opts(SecondsFormat::Millis, true);
        map.serialize_entry("@timestamp", &instant)?;
        map.serialize_entry("topic", &sample.topic)?;
        for partition in &sample.partitions {
            if let Some(lag) = partition.lag {
                map.serialize_entry(&format_args!("p{}", partition.partition), &lag)?;
            }
        }
        map.serialize_entry("group", &sample.group)?;
        map.serialize_entry("mirror_host", &sample.mirror_host)?;
        if let Some(cluster) = &sample.cluster {
            map.serialize_entry("cluster", cluster)?;
        }
        map.serialize_entry("outcome", &sample.outcome)?;
        map.serialize_entry("group_state", &sample.group_state)?;
        if let Some(reason) = &sample.reason {
            map.serialize_entry("reason", &indexable(reason))?;
        }
        // Without a table the number of partitions is unknown, not 0.
        if !sample.partitions.is_empty() {
            map.serialize_entry("partitions", &sample.partitions.len())?;
        }
        let unknown = sample.partitions_unknown();
        if !unknown.is_empty() {
            map.serialize_entry("partitions_unknown", &unknown)?;
        }
        if let Some(total) = sample.lag_total() {
            map.serialize_entry("lag_total", &total)?;
        }
        if let Some(max) = sample.lag_max() {
            map.serialize_entry("lag_max", &max)?;
        }
        if let Some(round_ms) = sample.round_ms {
            map.serialize_entry("round_ms", &round_ms)?;
        }
        map.end()
    }
}

/// A reason that the mapping's `ignore_above: 1024` still indexes: a longer one would be stored, but not found.
pub(super) fn indexable(reason: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 1024;
    match reason.char_indices().nth(CHARS_MAX - 1) {
        Some((end, _)) if reason.chars().count() > CHARS_MAX => {
            let mut cut = reason.get(..end).unwrap_or_default().to_owned();
            cut.push('…');
            Cow::Owned(cut)
        }
        _ => Cow::Borrowed(reason),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::kafka::{GroupState, Outcome};
    use crate::sample::Partition;

    fn sample(lags: &[(i32, Option<i64>)]) -> Sample {
        let partition = |&(partition, lag)| Partition {
            partition,
            lag,
            current_offset: Some(1),
            log_end_offset: Some(2),
            consumer_id: None,
            consumer_host: None,
            client_id: None,
        };
        Sample {
            sampled_at: "2026-11-20T10:00:00Z".parse::<DateTime<Utc>>().unwrap(),
            clock_generation: 0,
            topic: "orders".into(),
            group: "oasis-group".into(),
            mirror_host: "10.0.0.11".into(),
            cluster: Some("source-a".into()),
            outcome: Outcome::Ok,
            group_state: GroupState::Stable,
            reason: None,
            partitions: lags.iter().map(partition).collect(),
            round_ms: Some(1534),
        }
    }

    fn text(sample: &Sample) -> String {
        String::from_utf8(document(sample)).unwrap()
    }

    #[test]
    fn the_document_is_the_one_of_the_contract() {
        let sample = sample(&[(0, Some(12)), (1, Some(0)), (2, None), (3, Some(-70))]);
        assert_eq!(
            text(&sample),
            r#"{"@timestamp":"2026-11-20T10:00:00.000Z","topic":"orders","p0":12,"p1":0,"p3":-70,"group":"oasis-group","mirror_host":"10.0.0.11","cluster":"source-a","outcome":"ok","group_state":"stable","partitions":4,"partitions_unknown":[2],"lag_total":12,"lag_max":12,"round_ms":1534}"#
        );
    }

    #[test]
    fn a_round_without_numbers_has_no_number_and_says_why() {
        let mut sample = sample(&[]);
        sample.outcome = Outcome::SshError;
        sample.group_state = GroupState::Unknown;
        sample.reason = Some("refused \"x\"\n".into());
        sample.cluster = None;
        sample.round_ms = None;
        assert_eq!(
            text(&sample),
            r#"{"@timestamp":"2026-11-20T10:00:00.000Z","topic":"orders","group":"oasis-group","mirror_host":"10.0.0.11","outcome":"ssh_error","group_state":"unknown","reason":"refused \"x\"\n"}"#
        );
    }

    #[test]
    fn no_sum_is_written_when_every_lag_is_unknown() {
        let text = text(&sample(&[(0, None)]));
        assert!(
            text.contains(r#""partitions":1,"partitions_unknown":[0],"round_ms""#),
            "{text}"
        );
    }

    #[test]
    fn a_reason_too_long_for_the_index_is_cut_at_a_character() {
        let mut sample = sample(&[]);
        sample.reason = Some("é".repeat(5000));
        let value: serde_json::Value = serde_json::from_slice(&document(&sample)).unwrap();
        let reason = value["reason"].as_str().unwrap();
        assert_eq!(reason.chars().count(), 1024);
        assert!(reason.ends_with('…'));
        sample.reason = Some("é".repeat(1024));
        assert!(text(&sample).contains(&"é".repeat(1024)));
    }
}
