//! In: the rows that one round brought for one topic. Out: one `Sample`: one topic of one group at one instant.
//! Never: reads a clock, turns an unknown lag into a number.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::kafka::{GroupState, Outcome, Row};

/// Stands for the topic where a source without a topic list has not seen any topic yet; no Kafka topic can have this name.
pub const ANY_TOPIC: &str = "*";

/// One topic of one group at one instant: what the journal keeps and every sink formats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The planned instant of the round; `round_ms` later the numbers were complete.
    pub sampled_at: DateTime<Utc>,
    /// Counts the times the clock was set back over instants already used; 0 on a clock that only moves forward.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock_generation: u32,
    pub topic: String,
    pub group: String,
    /// Name of the mirror host in the configuration.
    pub mirror_host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub outcome: Outcome,
    pub group_state: GroupState,
    /// Why there are no numbers, in the words of the CLI or of SSH; `None` when `outcome` is `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Sorted by partition, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<Partition>,
    /// Milliseconds from `sampled_at` until the round had ended; `None` where there was no connection to ask on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_ms: Option<u64>,
}

/// One partition as the table printed it; `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    pub partition: i32,
    /// In records, as printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_offset: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_end_offset: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl Sample {
    /// The document's `_id`: the same for the same group, topic, mirror host and tick, wherever and however often it is computed.
    ///
    /// The instant in milliseconds, a dash, and 128 bits of SHA-256 in hex: at most 64 bytes, far below Elasticsearch's 512.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.group, &self.topic, &self.mirror_host] {
            // The length keeps ("a", "bc") and ("ab", "c") apart.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(self.clock_generation.to_be_bytes());
        let digest = hash.finalize();
        let mut id = format!("{}-", self.sampled_at.timestamp_millis());
        for byte in digest.iter().take(16) {
            id.push_str(&format!("{byte:02x}"));
        }
        id
    }

    /// Sum of the known lags in records, negatives counted as 0; `None` when no lag is known.
    pub fn lag_total(&self) -> Option<i64> {
        self.known_lags().fold(None, |sum, (_, lag)| {
            Some(sum.unwrap_or(0_i64).saturating_add(lag))
        })
    }

    /// The largest known lag in records, negatives counted as 0; `None` when no lag is known.
    pub fn lag_max(&self) -> Option<i64> {
        self.known_lags().map(|(_, lag)| lag).max()
    }

    /// The first partition that has the largest known lag.
    pub fn lag_max_partition(&self) -> Option<i32> {
        let max = self.lag_max()?;
        self.known_lags()
            .find(|(_, lag)| *lag == max)
            .map(|(partition, _)| partition)
    }

    /// Partitions that the table listed without a lag.
    pub fn partitions_unknown(&self) -> Vec<i32> {
        self.partitions
            .iter()
            .filter(|p| p.lag.is_none())
            .map(|p| p.partition)
            .collect()
    }

    fn known_lags(&self) -> impl Iterator<Item = (i32, i64)> {
        self.partitions
            .iter()
            .filter_map(|p| Some((p.partition, p.lag?.max(0))))
    }
}

/// Rows of one topic, sorted by partition. The rows must all be of that topic, each partition at most once.
pub fn partitions_of<'a>(rows: impl IntoIterator<Item = &'a Row<'a>>) -> Vec<Partition> {
    let mut partitions: Vec<Partition> = rows
        .into_iter()
        .map(|row| Partition {
            partition: row.partition,
            lag: row.lag,
            current_offset: row.current_offset,
            log_end_offset: row.log_end_offset,
            consumer_id: row.consumer_id.map(str::to_owned),
            consumer_host: row.consumer_host.map(str::to_owned),
            client_id: row.client_id.map(str::to_owned),
        })
        .collect();
    partitions.sort_by_key(|p| p.partition);
    partitions
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(lags: &[(i32, Option<i64>)]) -> Sample {
        let partition = |&(partition, lag)| Partition {
            partition,
            lag,
            current_offset: None,
            log_end_offset: None,
            consumer_id: None,
            consumer_host: None,
            client_id: None,
        };
        Sample {
            sampled_at: DateTime::from_timestamp_millis(1_763_632_800_000).unwrap(),
            clock_generation: 0,
            topic: "orders".into(),
            group: "oasis-group".into(),
            mirror_host: "mm-1".into(),
            cluster: None,
            outcome: Outcome::Ok,
            group_state: GroupState::Stable,
            reason: None,
            partitions: lags.iter().map(partition).collect(),
            round_ms: Some(1534),
        }
    }

    #[test]
    fn negative_lag_stays_in_its_partition_and_counts_as_zero_in_the_sum() {
        let sample = sample(&[(0, Some(12)), (1, Some(0)), (2, None), (3, Some(-70))]);
        assert_eq!(sample.lag_total(), Some(12));
        assert_eq!(sample.lag_max(), Some(12));
        assert_eq!(sample.lag_max_partition(), Some(0));
        assert_eq!(sample.partitions_unknown(), [2]);
        assert_eq!(sample.partitions[3].lag, Some(-70));
    }

    #[test]
    fn nothing_known_is_no_sum_and_never_zero() {
        let sample = sample(&[(0, None), (1, None)]);
        assert_eq!(sample.lag_total(), None);
        assert_eq!(sample.lag_max(), None);
        assert_eq!(sample.lag_max_partition(), None);
    }

    #[test]
    fn lags_that_sum_beyond_64_bits_stop_at_the_largest_number() {
        let sample = sample(&[(0, Some(i64::MAX)), (1, Some(i64::MAX))]);
        assert_eq!(sample.lag_total(), Some(i64::MAX));
    }

    #[test]
    fn the_id_depends_on_group_topic_mirror_host_and_tick_and_on_nothing_else() {
        let first = sample(&[(0, Some(1))]);
        let mut other_numbers = sample(&[(0, Some(2))]);
        other_numbers.outcome = Outcome::Timeout;
        other_numbers.cluster = Some("a".into());
        other_numbers.round_ms = None;
        assert_eq!(first.id(), other_numbers.id());
        let changes: [fn(&mut Sample); 5] = [
            |s| s.topic = "payments".into(),
            |s| s.group = "other".into(),
            |s| s.mirror_host = "mm-2".into(),
            |s| s.sampled_at += chrono::TimeDelta::milliseconds(1),
            |s| s.clock_generation = 1,
        ];
        for change in changes {
            let mut changed = first.clone();
            change(&mut changed);
            assert_ne!(first.id(), changed.id());
        }
    }

    #[test]
    fn the_id_of_a_known_sample_never_changes_between_versions() {
        // An id that changed would double what a collector of the version before has written.
        assert_eq!(
            sample(&[]).id(),
            "1763632800000-7d7238c19e43ec14ec94e0909afe800b"
        );
    }

    #[test]
    fn names_that_run_together_alike_have_different_ids() {
        let mut a = sample(&[]);
        let mut b = sample(&[]);
        (a.group, a.topic) = ("ab".into(), "c".into());
        (b.group, b.topic) = ("a".into(), "bc".into());
        assert_ne!(a.id(), b.id());
    }

    proptest! {
        #[test]
        fn a_sample_comes_back_from_the_journal_as_it_was(
            topic in ".*", group in ".*", reason in proptest::option::of(".*"),
            lags in proptest::collection::btree_map(any::<i32>(), any::<Option<i64>>(), 0..20),
        ) {
            let mut sample = sample(&lags.into_iter().collect::<Vec<_>>());
            (sample.topic, sample.group, sample.reason) = (topic, group, reason);
            let body = serde_json::to_vec(&sample).unwrap();
            prop_assert!(sample.id().len() <= 64);
            prop_assert_eq!(serde_json::from_slice::<Sample>(&body).unwrap(), sample);
        }
    }
}
