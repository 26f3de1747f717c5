//! In: the samples of one topic, one per tick. Out: records in the journal, a log line when the outcome changes.
//! Never: delays the source, gives a sample up while there is room to wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::counts::Counts;
use crate::backoff::Backoff;
use crate::journal::{Journal, Mark};
use crate::kafka::{GroupState, Outcome};
use crate::sample::Sample;

/// Samples of one topic that wait for a journal that cannot write. At 10 s that is ten minutes; at most some 100 KiB a topic.
const QUEUE_MAX: usize = 64;

/// First and longest wait before a failed append is tried again: a disk is freed by people, not by retries.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// A sample and the mark its source leaves with it.
pub(super) struct Due {
    pub sample: Sample,
    /// On one sample of a round only: a mark of thousands of topics must not be written once per topic.
    pub mark: Option<Mark>,
}

/// The task of one topic, from its source's side.
pub(super) struct TopicTask {
    queue: mpsc::Sender<Due>,
    done: tokio::task::JoinHandle<()>,
}

impl TopicTask {
    pub(super) fn start(source: Arc<str>, journal: Journal, counts: Arc<Counts>) -> Self {
        let (queue, due) = mpsc::channel(QUEUE_MAX);
        Self {
            queue,
            done: tokio::spawn(keep(source, due, journal, counts)),
        }
    }

    /// Hands a sample over without waiting; `false`: the queue is full and the sample is given up.
    pub(super) fn hand_over(&self, due: Due) -> bool {
        self.queue.try_send(due).is_ok()
    }

    /// Returns when every sample handed over is in the journal.
    pub(super) async fn finish(self) {
        drop(self.queue);
        // A task that panicked has said so; there is nothing left to wait for.
        let _ended = self.done.await;
    }
}

async fn keep(
    source: Arc<str>,
    mut due: mpsc::Receiver<Due>,
    journal: Journal,
    counts: Arc<Counts>,
) {
    let mut last = None;
    while let Some(Due { sample, mark }) = due.recv().await {
        log_change(&source, &sample, &mut last);
        let outcome = sample.outcome;
        append(&source, &sample, mark, &journal).await;
        counts.outcome(outcome);
    }
}

/// Tries until the journal has it: a full disk must not cost a sample that still fits into memory.
async fn append(source: &str, sample: &Sample, mark: Option<Mark>, journal: &Journal) {
    let body = match serde_json::to_vec(sample) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(source, %error, "a sample cannot be written as JSON; it is lost");
            return;
        }
    };
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        let Err(error) = journal.append(vec![body.clone()], mark.clone()).await else {
            break;
        };
        if backoff.failures() == 0 {
            tracing::error!(source, topic = sample.topic, %error, "the journal does not take samples; they wait in memory");
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
    if backoff.failures() > 0 {
        tracing::info!(
            source,
            topic = sample.topic,
            "the journal takes samples again"
        );
    }
}

fn log_change(source: &str, sample: &Sample, last: &mut Option<(Outcome, GroupState)>) {
    let now = (sample.outcome, sample.group_state);
    let before = last.replace(now);
    if before == Some(now) {
        return;
    }
    let (topic, reason) = (&sample.topic, sample.reason.as_deref());
    let (outcome, group_state) = (sample.outcome.word(), sample.group_state.word());
    match (before, sample.outcome) {
        // A good start is not worth a line per topic.
        (None, Outcome::Ok) if sample.group_state == GroupState::Stable => {}
        (_, Outcome::Ok) => tracing::info!(source, topic, outcome, group_state, "outcome changed"),
        _ => tracing::warn!(
            source,
            topic,
            outcome,
            group_state,
            reason,
            "outcome changed"
        ),
    }
}
