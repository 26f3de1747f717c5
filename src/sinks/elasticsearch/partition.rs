//! In: a sample and the place of one of its partitions. Out: the JSON document of that partition, and its `_id`.
//! Never: writes 0 for a number that is not known.

use chrono::SecondsFormat;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::sample::{Partition, Sample};
use crate::sinks::document::indexable;

/// Bytes of a document with names of a usual length.
const USUAL_BYTES: usize = 384;

/// How many documents a sample becomes: one per partition, and one where it has none, or silence would look like health.
pub(super) fn documents(sample: &Sample) -> usize {
    sample.partitions.len().max(1)
}

/// The `_id` of the document at `place`, made of that of the sample: the sample's own where it has no partitions.
pub(super) fn id(sample_id: &str, sample: &Sample, place: usize) -> String {
    match sample.partitions.get(place) {
        Some(partition) => format!("{sample_id}-p{}", partition.partition),
        None => sample_id.to_owned(),
    }
}

/// Appends the document at `place` to `line`; of a sample without partitions, one that has its outcome and its reason.
pub(super) fn write(line: &mut Vec<u8>, sample: &Sample, place: usize) {
    line.reserve(USUAL_BYTES);
    let document = Document {
        sample,
        partition: sample.partitions.get(place),
    };
    // Writing strings and numbers to memory has no way to fail.
    let _infallible = serde_json::to_writer(line, &document);
}

struct Document<'a> {
    sample: &'a Sample,
    partition: Option<&'a Partition>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sample = self.sample;
        let mut map = serializer.serialize_map(None)?;
        let instant = sample
            .sampled_at
            .to_rfc3339_opts(SecondsFormat::Millis, true);
        map.serialize_entry("@timestamp", &instant)?;
        map.serialize_entry("topic", &sample.topic)?;
        if let Some(partition) = self.partition {
            map.serialize_entry("partition", &partition.partition)?;
            let numbers = [
                ("lag", partition.lag),
                ("current_offset", partition.current_offset),
                ("log_end_offset", partition.log_end_offset),
            ];
            for (field, number) in numbers {
                if let Some(number) = number {
                    map.serialize_entry(field, &number)?;
                }
            }
        }
        map.serialize_entry("group", &sample.group)?;
        map.serialize_entry("mirror_host", &sample.mirror_host)?;
        if let Some(cluster) = &sample.cluster {
            map.serialize_entry("cluster", cluster)?;
        }
        if let Some(partition) = self.partition {
            let members = [
                ("consumer_id", &partition.consumer_id),
                ("client_id", &partition.client_id),
                ("consumer_host", &partition.consumer_host),
            ];
            for (field, member) in members {
                if let Some(member) = member {
                    map.serialize_entry(field, member)?;
                }
            }
        }
        map.serialize_entry("outcome", &sample.outcome)?;
        map.serialize_entry("group_state", &sample.group_state)?;
        if let Some(reason) = &sample.reason {
            map.serialize_entry("reason", &indexable(reason))?;
        }
        if let Some(round_ms) = sample.round_ms {
            map.serialize_entry("round_ms", &round_ms)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
