//! In: one batch of samples. Out: the fate of each.
//! Never: retries, sleeps, reads the journal.

use std::future::Future;
use std::time::Duration;

use crate::sample::Sample;

mod document;
pub mod elasticsearch;
pub mod stdout;

pub use document::document;

/// A place where samples go.
///
/// It judges each record and does nothing else about a failure: waiting and sending again are `delivery`'s.
pub trait Sink: Send + 'static {
    /// The sink's name in the configuration, and of its reader in the journal.
    fn name(&self) -> &'static str;

    /// Makes sure that the place to write to exists and is ours to write to.
    fn prepare(&mut self) -> impl Future<Output = Result<(), NotReady>> + Send;

    /// Sends a batch, which is never empty, and says what became of each sample, in its order.
    ///
    /// Dropped before it ends, the outcome is unknown and the batch is sent again.
    fn deliver(&mut self, batch: &[Sample]) -> impl Future<Output = Reply> + Send;
}

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
    /// There was no room for a request of this size now; a smaller one may find some.
    pub is_crowded: bool,
}

impl Reply {
    /// The same fate for each of `count` records, with nothing asked for.
    pub fn all(fate: Fate, count: usize) -> Self {
        Self {
            fates: vec![fate; count],
            retry_after: None,
            another_node: false,
            is_crowded: false,
        }
    }
}

/// Why a sink cannot be written to yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReady {
    /// Passes by itself; `after`: how long the sink asked to be left alone.
    Retry {
        why: String,
        after: Option<Duration>,
    },
    /// An operator must act.
    Hold(String),
}
