//! In: the encoded samples of one topic, one per tick. Out: the same in order, a few at a time.
//! Never: waits, grows beyond the room that all topics share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::held::Held;
use crate::journal::Mark;
use crate::kafka::Outcome;

/// Samples appended in one transaction: after a full disk, one at a time would take an hour for what ten minutes brought.
const BATCH_MAX: usize = 256;

/// A sample on its way to the journal, and the mark its source leaves with it.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub body: Vec<u8>,
    pub outcome: Outcome,
    /// On one sample of a round only: a mark of thousands of topics must not be written once per topic.
    pub mark: Option<Mark>,
}

impl Due {
    pub(super) fn bytes(&self) -> u64 {
        let mark = self.mark.as_ref().map_or(0, |mark| mark.value.len());
        (self.body.len() + mark) as u64
    }
}

/// How long its reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More may come.
    Open,
    /// Nothing more comes; what is there is stored, however long that takes.
    Closed,
    /// The program stops: what the journal does not take now is given up.
    Now,
}

/// The samples of one topic that the journal does not have yet.
#[derive(Debug)]
pub(super) struct Queue {
    held: Arc<Held>,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<Due>,
    end: End,
}

impl Queue {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Self {
            held,
            inner: Mutex::new(Inner {
                waiting: VecDeque::new(),
                end: End::Open,
            }),
            changed: Notify::new(),
        }
    }

    /// Takes one more; where there is no room, the topic's oldest goes for it.
    pub(super) fn push(&self, mut due: Due) {
        let mut inner = self.lock();
        while !self.held.take(due.bytes()) {
            let Some(oldest) = inner.waiting.pop_front() else {
                return self.held.refuse();
            };
            self.held.give_up(oldest.bytes());
            // The newer mark holds; without one, the source's memory must not be the poorer for it.
            let heir = inner.waiting.front_mut().unwrap_or(&mut due);
            if heir.mark.is_none() && oldest.mark.is_some() {
                heir.mark = oldest.mark;
            }
        }
        inner.waiting.push_back(due);
        drop(inner);
        self.changed.notify_one();
    }

    pub(super) fn end(&self, end: End) {
        self.lock().end = end;
        self.changed.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    pub(super) fn is_ending_now(&self) -> bool {
        self.lock().end == End::Now
    }

    /// Returns when something changed since it was last waited for.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The oldest, in order, at most `BATCH_MAX`; `None` when there is nothing and nothing more comes.
    pub(super) async fn next(&self) -> Option<Vec<Due>> {
        loop {
            {
                let mut inner = self.lock();
                if !inner.waiting.is_empty() {
                    let count = inner.waiting.len().min(BATCH_MAX);
                    return Some(inner.waiting.drain(..count).collect());
                }
                if inner.end != End::Open {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Puts a batch back where it was: the journal did not take it.
    pub(super) fn put_back(&self, batch: Vec<Due>) {
        let mut inner = self.lock();
        for due in batch.into_iter().rev() {
            inner.waiting.push_front(due);
        }
    }

    /// Gives up all that is left.
    pub(super) fn give_up(&self) {
        for due in self.lock().waiting.drain(..) {
            self.held.give_up(due.bytes());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held left whole samples in it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::counts::Counts;
    use super::super::held::Limits;
    use super::*;

    fn due(number: u8, mark: Option<u8>) -> Due {
        Due {
            body: vec![number],
            outcome: Outcome::Ok,
            mark: mark.map(|value| Mark {
                name: "source".to_owned(),
                value: vec![value],
            }),
        }
    }

    fn queue(records_max: u64, bytes_max: u64) -> (Queue, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        let limits = Limits {
            records_max,
            bytes_max,
        };
        (
            Queue::new(Arc::new(Held::new(limits, counts.clone()))),
            counts,
        )
    }

    async fn numbers(queue: &Queue) -> Vec<u8> {
        let batch = queue.next().await.unwrap();
        batch.iter().map(|due| due.body[0]).collect()
    }

    #[tokio::test]
    async fn beyond_the_limit_of_records_the_oldest_go_and_are_counted() {
        let (queue, counts) = queue(3, 1 << 20);
        for number in 0..10 {
            queue.push(due(number, None));
        }
        assert_eq!(counts.tally().unstored, 7);
        assert_eq!(counts.tally().held, 3);
        assert_eq!(numbers(&queue).await, [7, 8, 9]);
    }

    #[tokio::test]
    async fn beyond_the_limit_of_bytes_the_oldest_go_too() {
        let (queue, counts) = queue(100, 4);
        for number in 0..10 {
            queue.push(due(number, None));
        }
        assert_eq!(counts.tally().unstored, 6);
        assert_eq!(numbers(&queue).await, [6, 7, 8, 9]);
    }

    #[tokio::test]
    async fn the_mark_of_a_sample_that_went_stays_unless_a_newer_one_is_there() {
        let (queue, _) = queue(2, 1 << 20);
        queue.push(due(0, Some(0)));
        queue.push(due(1, None));
        queue.push(due(2, Some(2)));
        let batch = queue.next().await.unwrap();
        let marks: Vec<_> = batch
            .iter()
            .map(|due| due.mark.as_ref().map(|mark| mark.value[0]))
            .collect();
        assert_eq!(marks, [Some(0), Some(2)]);
    }

    #[tokio::test]
    async fn what_the_journal_did_not_take_stays_before_what_came_later() {
        let (queue, counts) = queue(10, 1 << 20);
        queue.push(due(0, None));
        queue.push(due(1, None));
        let batch = queue.next().await.unwrap();
        queue.push(due(2, None));
        queue.put_back(batch);
        assert_eq!(counts.tally().held, 3);
        assert_eq!(numbers(&queue).await, [0, 1, 2]);
    }

    #[tokio::test]
    async fn what_an_append_has_in_its_hands_counts_until_the_journal_has_it() {
        let (queue, counts) = queue(2, 1 << 20);
        queue.push(due(0, None));
        queue.push(due(1, None));
        let _in_hand = queue.next().await.unwrap();
        queue.push(due(2, None));
        assert_eq!(
            (counts.tally().held, counts.tally().unstored),
            (2, 1),
            "memory is bounded also while the journal is slow"
        );
    }
}
