//! In: the samples of one topic, one per tick. Out: records in the journal, a log line when the outcome changes.
//! Never: delays the source, gives a sample up while there is room to wait, logs a line per retry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::counts::Counts;
use super::held::Held;
use super::queue::{Due, End, Queue};
use crate::backoff::Backoff;
use crate::journal::{Journal, Mark};
use crate::kafka::{GroupState, Outcome};
use crate::sample::Sample;

/// First and longest wait before a failed append is tried again: a disk is freed by people, not by retries.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// The task of one topic, from its source's side.
pub(super) struct TopicTask {
    source: Arc<str>,
    queue: Arc<Queue>,
    done: tokio::task::JoinHandle<()>,
    said: Said,
}

impl TopicTask {
    pub(super) fn start(
        source: Arc<str>,
        journal: Journal,
        counts: Arc<Counts>,
        held: Arc<Held>,
    ) -> Self {
        let queue = Arc::new(Queue::new(held.clone()));
        Self {
            source,
            done: tokio::spawn(keep(queue.clone(), journal, counts, held)),
            queue,
            said: Said::default(),
        }
    }

    /// Hands a sample over without waiting, with the mark that its source leaves with it.
    pub(super) fn hand_over(&mut self, sample: &Sample, mark: Option<Mark>) {
        log_change(&self.source, sample, &mut self.said);
        match serde_json::to_vec(sample) {
            Ok(body) => self.queue.push(Due {
                body,
                outcome: sample.outcome,
                mark,
            }),
            Err(error) => {
                tracing::error!(source = %self.source, %error, "a sample cannot be written as JSON; it is lost");
            }
        }
    }

    /// Returns when every sample handed over is in the journal, or the journal did not take it at the last attempt.
    pub(super) async fn finish(mut self) {
        self.queue.end(End::Now);
        // A task that panicked has said so; there is nothing left to wait for.
        let _ended = (&mut self.done).await;
    }
}

impl Drop for TopicTask {
    fn drop(&mut self) {
        // A topic that is forgotten: its task stores what it has, then ends. After `finish` it has ended.
        self.queue.end(End::Closed);
    }
}

/// Tries until the journal has it: a full disk must not cost a sample that still fits into memory.
async fn keep(queue: Arc<Queue>, journal: Journal, counts: Arc<Counts>, held: Arc<Held>) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut waited = 0;
    while let Some(batch) = queue.next().await {
        let is_last_attempt = queue.is_ending_now();
        let bodies = batch.iter().map(|due| due.body.clone()).collect();
        let mark = batch.iter().rev().find_map(|due| due.mark.clone());
        let Err(error) = journal.append(bodies, mark).await else {
            held.stored(batch.len() as u64, batch.iter().map(Due::bytes).sum());
            batch.iter().for_each(|due| counts.outcome(due.outcome));
            if backoff.failures() > 0 {
                waited += batch.len() as u64;
                if queue.is_empty() {
                    held.recovered(std::mem::take(&mut waited));
                    backoff.reset();
                }
            }
            continue;
        };
        held.failed(&error, backoff.failures() == 0);
        queue.put_back(batch);
        if is_last_attempt {
            queue.give_up();
            return;
        }
        pause(&queue, backoff.next_wait()).await;
    }
    if backoff.failures() > 0 {
        held.recovered(waited);
    }
}

/// Waits for `wait`, or until the program stops.
async fn pause(queue: &Queue, wait: Duration) {
    let stopped = async {
        while !queue.is_ending_now() {
            queue.changed().await;
        }
    };
    let _either = tokio::time::timeout(wait, stopped).await;
}

/// What the log has of a topic: trouble that goes to and fro between two outcomes is a line for each of them, not one per round.
#[derive(Debug, Default)]
struct Said {
    last: Option<(Outcome, GroupState)>,
    /// Outcomes without numbers since the last one with them.
    trouble: BTreeSet<Outcome>,
}

impl Said {
    fn is_news(&mut self, now: (Outcome, GroupState)) -> bool {
        let before = self.last.replace(now);
        if now.0 != Outcome::Ok {
            return self.trouble.insert(now.0);
        }
        self.trouble.clear();
        // A good start is not worth a line per topic.
        before.map_or(now.1 != GroupState::Stable, |before| before != now)
    }
}

fn log_change(source: &str, sample: &Sample, said: &mut Said) {
    if !said.is_news((sample.outcome, sample.group_state)) {
        return;
    }
    let (topic, reason) = (&sample.topic, sample.reason.as_deref());
    let (outcome, group_state) = (sample.outcome.word(), sample.group_state.word());
    match sample.outcome {
        Outcome::Ok => tracing::info!(source, topic, outcome, group_state, "outcome changed"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_goes_to_and_fro_is_a_line_for_each_outcome_until_numbers_come_again() {
        let mut said = Said::default();
        let mut is_news = |outcome, state| said.is_news((outcome, state));
        assert!(!is_news(Outcome::Ok, GroupState::Stable), "a good start");
        assert!(is_news(Outcome::Ok, GroupState::Rebalancing));
        for is_first in [true, false, false] {
            assert_eq!(is_news(Outcome::CliError, GroupState::Unknown), is_first);
            assert_eq!(is_news(Outcome::SshError, GroupState::Unknown), is_first);
        }
        assert!(is_news(Outcome::Ok, GroupState::Stable));
        assert!(!is_news(Outcome::Ok, GroupState::Stable));
        assert!(is_news(Outcome::CliError, GroupState::Unknown));
    }
}
