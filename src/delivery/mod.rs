//! In: the journal from a committed position. Out: batches to one sink, commits, dead letters.
//! Never: formats a document, blocks the collector or another sink, drops a record that a sink has not had.

mod batch;
mod request_size;
mod resend;
mod status;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use self::batch::{Batch, Verdict};
use self::request_size::RequestSize;
pub use self::resend::{Resent, resend};
pub use self::status::{Phase, State, Status};
use crate::backoff::Backoff;
use crate::journal::{Journal, Position};
use crate::sinks::{NotReady, Sink};

/// When a batch closes and how patient a delivery is. The defaults are the program's; tests use shorter waits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Records of one batch. Elastic's guides begin at 1,000 documents; ours have up to some hundred fields.
    pub records_max: usize,
    /// Bytes of the records of one batch: below the 1 MiB that proxies often allow, before documents are made of them.
    pub bytes_max: usize,
    /// No record waits longer for company. Within this time `BATCHES_PER_FLUSH` batches go out that are not full: at once after a
    /// quiet time, evenly spread on a busy fleet.
    pub flush_after: Duration,
    /// First and longest wait between attempts that fail by something that passes.
    pub retry: (Duration, Duration),
    /// Time between two probes while an operator has to act.
    pub hold_probe: Duration,
    /// Time that a request under way has to end after the signal to stop.
    pub stop_grace: Duration,
}

/// Topics of one tick come in a few commits of the journal, one close behind the other: each of those may go out at once.
const BATCHES_PER_FLUSH: u32 = 4;

impl Default for Limits {
    fn default() -> Self {
        Self {
            records_max: 500,
            bytes_max: 1 << 20,
            flush_after: Duration::from_secs(1),
            retry: (Duration::from_millis(500), Duration::from_secs(60)),
            hold_probe: Duration::from_secs(30),
            stop_grace: Duration::from_secs(3),
        }
    }
}

/// Delivers to one sink until `stop`; what is committed then was stored or is a dead letter.
///
/// A failure of the journal is logged and tried again: the sink may lag, it must not end.
pub async fn run<S: Sink>(
    sink: S,
    journal: Journal,
    status: Arc<Status>,
    limits: Limits,
    stop: CancellationToken,
) {
    let delivery = Delivery {
        backoff: Backoff::new(limits.retry.0, limits.retry.1),
        request_size: RequestSize::new(limits.records_max),
        sink,
        journal,
        status,
        limits,
        stop,
        is_prepared: false,
        may_have_more: true,
        pace: Pace::default(),
    };
    delivery.run().await;
}

struct Delivery<S> {
    sink: S,
    journal: Journal,
    status: Arc<Status>,
    limits: Limits,
    stop: CancellationToken,
    backoff: Backoff,
    request_size: RequestSize,
    /// Whether the sink said that the place to write to exists, since the last doubt.
    is_prepared: bool,
    /// The last batch was full: the next one need not wait for company.
    may_have_more: bool,
    pace: Pace,
}

/// Why a delivery stops working on a batch.
enum Pause {
    /// Send what is left again after this long.
    Retry(Duration),
    /// Read the batch anew after a probe's wait: an operator has to act first.
    Hold,
}

impl<S: Sink> Delivery<S> {
    async fn run(mut self) {
        let mut position = self.start().await;
        loop {
            self.next_records(position).await;
            let Some(mut batch) = self.read(position).await else {
                if self.stop.is_cancelled() {
                    return;
                }
                continue;
            };
            self.pace.closed(Instant::now(), self.limits.flush_after);
            let is_settled = self.settle(&mut batch, &mut position).await;
            if self.stop.is_cancelled() && !is_settled {
                return;
            }
        }
    }

    /// The committed position; without it nothing can be delivered, so it is asked for until it comes.
    async fn start(&mut self) -> Position {
        loop {
            match self.journal.position(self.sink.name()).await {
                Ok(position) => {
                    self.status.at(position, *self.journal.head().borrow());
                    return position;
                }
                Err(error) => {
                    let pause = self.retrying(&format!("the journal cannot be read: {error}"));
                    if self.wait(pause).await {
                        return 0;
                    }
                }
            }
        }
    }

    /// Waits until a batch may close: it is full, or the pace allows one that is not, or `stop`.
    async fn next_records(&mut self, position: Position) {
        let mut head = self.journal.head();
        let full = position + self.limits.records_max as u64;
        let (stop, flush_after) = (self.stop.clone(), self.limits.flush_after);
        let pace = self.pace;
        let may_have_more = std::mem::take(&mut self.may_have_more);
        let filled = async {
            // The journal that closed announces nothing more; `read` finds that out.
            if head.wait_for(|head| *head > position).await.is_err() || may_have_more {
                return;
            }
            let closes_at = pace.closes_at(Instant::now(), flush_after);
            let _closed = timeout_at(closes_at, head.wait_for(|head| *head >= full)).await;
        };
        stop.run_until_cancelled(filled).await;
    }

    async fn read(&mut self, position: Position) -> Option<Batch> {
        let (records_max, bytes_max) = (self.limits.records_max, self.limits.bytes_max);
        match self.journal.read(position, records_max, bytes_max).await {
            Ok(records) => {
                let newest = records.last()?.position;
                self.may_have_more = *self.journal.head().borrow() > newest;
                Some(Batch::new(records, Utc::now()))
            }
            Err(error) => {
                let pause = self.retrying(&format!("the journal cannot be read: {error}"));
                self.wait(pause).await;
                None
            }
        }
    }

    /// Works on one batch until every record of it is stored or a dead letter, or it must be read anew, or `stop`.
    /// Returns whether every record is settled.
    async fn settle(&mut self, batch: &mut Batch, position: &mut Position) -> bool {
        loop {
            let pause = match self.attempt(batch).await {
                Some(pause) => pause,
                None => return false,
            };
            if !self.commit(batch, position).await {
                // The journal did not take the commit: sending again is harmless, forgetting would not be.
                return false;
            }
            let pause = match pause {
                None => {
                    self.backoff.reset();
                    self.status.working();
                    return true;
                }
                Some(pause) => pause,
            };
            let (wait, is_hold) = match pause {
                Pause::Retry(wait) => (wait, false),
                Pause::Hold => (self.limits.hold_probe, true),
            };
            if self.wait(wait).await || is_hold {
                return false;
            }
        }
    }

    /// One pass over what is left of the batch. `None`: stopped; `Some(None)`: nothing is left.
    async fn attempt(&mut self, batch: &mut Batch) -> Option<Option<Pause>> {
        if !self.is_prepared {
            match self.in_time(|sink| sink.prepare()).await? {
                Ok(()) => self.is_prepared = true,
                Err(NotReady::Retry { why, after }) => {
                    return Some(Some(Pause::Retry(self.retry_wait(&why, after))));
                }
                Err(NotReady::Hold(reason)) => return Some(Some(self.holding(&reason))),
            }
        }
        let mut parts = batch.requests(self.request_size.records());
        let mut verdict = Verdict::default();
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let samples = batch.samples(&part);
            let reply = self.in_time(|sink| sink.deliver(&samples)).await?;
            if reply.is_crowded {
                self.request_size.crowded(part.len());
            }
            let divided = batch.apply(&part, reply, Utc::now(), &mut verdict);
            if verdict.is_setback() {
                // The server is not well, or an operator is needed: the other parts would only say so again.
                break;
            }
            if divided.is_empty() {
                // It takes requests: what comes next is no failure in a row.
                self.request_size.taken(part.len());
                self.backoff.reset();
            }
            parts.extend(divided);
        }
        batch.conclude(&mut verdict);
        self.status
            .stored(verdict.stored, verdict.letters, batch.newest());
        Some(self.pause_after(verdict))
    }

    fn pause_after(&mut self, verdict: Verdict) -> Option<Pause> {
        if let Some(reason) = verdict.hold {
            return Some(self.holding(&reason));
        }
        let reason = verdict.retry?;
        let wait = self.retry_wait(&reason, verdict.retry_after);
        Some(Pause::Retry(match verdict.another_node {
            true => Duration::ZERO,
            false => wait,
        }))
    }

    /// How long to wait before the next attempt; what a server asks for is honoured up to our longest wait.
    fn retry_wait(&mut self, reason: &str, asked_for: Option<Duration>) -> Duration {
        let asked_for = asked_for.unwrap_or_default().min(self.limits.retry.1);
        self.retrying(reason).max(asked_for)
    }

    async fn commit(&mut self, batch: &mut Batch, position: &mut Position) -> bool {
        let name = self.sink.name();
        let Some((done, letters)) = batch.done(name) else {
            return true;
        };
        if done <= *position {
            return true;
        }
        match self.journal.commit(name, done, letters.clone()).await {
            Ok(()) => {
                // Not before: a journal that takes no commit would repeat the line with every attempt.
                for letter in &letters {
                    tracing::error!(
                        sink = name,
                        position = letter.position,
                        reason = letter.reason,
                        "a document can never be stored as it is; it is kept as a dead letter in the journal"
                    );
                }
                *position = done;
                self.status.at(done, *self.journal.head().borrow());
                true
            }
            Err(error) => {
                let pause = self.retrying(&format!("the journal takes no commit: {error}"));
                self.wait(pause).await;
                false
            }
        }
    }

    /// Runs a call of the sink; after `stop` it has `stop_grace` left. `None`: it did not end in time.
    async fn in_time<'a, T, F>(&'a mut self, call: impl FnOnce(&'a mut S) -> F) -> Option<T>
    where
        F: Future<Output = T> + 'a,
    {
        let (stop, grace) = (&self.stop, self.limits.stop_grace);
        let cut_off = async {
            stop.cancelled().await;
            sleep(grace).await;
        };
        tokio::select! {
            biased;
            result = call(&mut self.sink) => Some(result),
            () = cut_off => None,
        }
    }

    /// Waits; `true` when it was stopped meanwhile.
    ///
    /// The future borrows nothing of the sink, which need not be shared between threads.
    fn wait(&self, wait: Duration) -> impl Future<Output = bool> + use<S> {
        let stop = self.stop.clone();
        async move { stop.run_until_cancelled(sleep(wait)).await.is_none() }
    }

    fn retrying(&mut self, reason: &str) -> Duration {
        // A dead node costs one attempt; only a reason that stays is worth a line.
        self.status.retrying(reason);
        self.backoff.next_wait()
    }

    fn holding(&mut self, reason: &str) -> Pause {
        // Whatever it was: when it is mended, the place to write to may be another one.
        self.is_prepared = false;
        self.status.holding(reason);
        Pause::Hold
    }
}

/// How soon a batch that is not full may follow those before it.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// When the batches so far would have gone out, evenly spread; `None` before the first.
    spread_to: Option<Instant>,
}

impl Pace {
    /// When a batch closes whose first record was there at `now`.
    fn closes_at(self, now: Instant, flush_after: Duration) -> Instant {
        let ahead = flush_after - flush_after / BATCHES_PER_FLUSH;
        let earliest = self.spread_to.and_then(|to| to.checked_sub(ahead));
        earliest.map_or(now, |earliest| now.max(earliest))
    }

    fn closed(&mut self, now: Instant, flush_after: Duration) {
        let from = self.spread_to.map_or(now, |to| now.max(to));
        let spread_to = from + flush_after / BATCHES_PER_FLUSH;
        // Full batches go out as they come; they keep the next small one from nothing longer than this.
        self.spread_to = Some(spread_to.min(now + flush_after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_quiet_time_batches_close_at_once_and_a_busy_fleet_has_them_evenly_spread() {
        let (flush_after, start) = (Duration::from_secs(1), Instant::now());
        let mut pace = Pace::default();
        let mut closed = Vec::new();
        for _ in 0..8 {
            let now = closed.last().copied().unwrap_or(start);
            let at = pace.closes_at(now, flush_after);
            pace.closed(at, flush_after);
            closed.push(at);
        }
        let ms: Vec<u128> = closed.iter().map(|at| (*at - start).as_millis()).collect();
        assert_eq!(ms, [0, 0, 0, 0, 250, 500, 750, 1000]);
        let later = start + 5 * flush_after;
        assert_eq!(pace.closes_at(later, flush_after), later);
    }

    #[test]
    fn no_record_waits_longer_than_a_flush() {
        let (flush_after, now) = (Duration::from_secs(1), Instant::now());
        let mut pace = Pace::default();
        for _ in 0..100 {
            // Full batches do not wait for the pace.
            pace.closed(now, flush_after);
        }
        assert!(pace.closes_at(now, flush_after) <= now + flush_after);
    }
}
