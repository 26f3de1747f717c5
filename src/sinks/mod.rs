//! In: one batch of samples. Out: the fate of each.
//! Never: retries, sleeps, reads the journal.

use std::time::Duration;

pub mod elasticsearch;

/// What became of one record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The sink has it, now or from an earlier attempt.
    Stored,
    /// Passes by itself: send again.
    Retry(String),
    /// An operator must act: keep it, say so, probe slowly.
    Hold(String),
    /// Can never be stored as it is: a dead letter.
    Reject(String),
    /// The request as a whole was refused for its size or for one record: send in smaller parts; alone, it is a `Reject`.
    Divide(String),
}

/// What a sink says of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// One fate per record of the batch, in its order.
    pub fates: Vec<Fate>,
    /// How long the sink asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Another node is thought alive, so a retry need not wait.
    pub another_node: bool,
}
