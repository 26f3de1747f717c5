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
    /// Milliseconds from `sampled_at` until the round had ended; `None` where no describe was run.
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
