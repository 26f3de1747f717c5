//! In: the journal from a committed position. Out: batches to one sink, commits, dead letters.
//! Never: formats a document, blocks the collector or another sink, drops a record that a sink has not had.

mod batch;
mod status;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::batch::{Batch, Verdict};
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
    /// A batch that is not full closes this long after its first record was there.
    pub flush_after: Duration,
    /// First and longest wait between attempts that fail by something that passes.
    pub retry: (Duration, Duration),
    /// Time between two probes while an operator has to act.
    pub hold_probe: Duration,
    /// Time that a request under way has to end after the signal to stop.
    pub stop_grace: Duration,
}

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
        sink,
        journal,
        status,
        limits,
        stop,
        is_prepared: false,
        may_have_more: true,
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
    /// Whether the sink said that the place to write to exists, since the last doubt.
    is_prepared: bool,
    /// The last batch was full: the next one need not wait for company.
    may_have_more: bool,
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

    /// Waits until a batch may close: it is full, or its first record has waited long enough, or `stop`.
    async fn next_records(&mut self, position: Position) {
        let mut head = self.journal.head();
        let full = position + self.limits.records_max as u64;
        let (stop, flush_after) = (self.stop.clone(), self.limits.flush_after);
        let may_have_more = std::mem::take(&mut self.may_have_more);
        let filled = async {
            // The journal that closed announces nothing more; `read` finds that out.
            if head.wait_for(|head| *head > position).await.is_err() || may_have_more {
                return;
            }
            let _closed = timeout(flush_after, head.wait_for(|head| *head >= full)).await;
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
                Err(NotReady::Retry(reason)) => {
                    return Some(Some(Pause::Retry(self.retrying(&reason))));
                }
                Err(NotReady::Hold(reason)) => return Some(Some(self.holding(&reason))),
            }
        }
        let mut parts = vec![batch.pending()];
        let mut verdict = Verdict::default();
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let samples = batch.samples(&part);
            let reply = self.in_time(|sink| sink.deliver(&samples)).await?;
            let divided = batch.apply(&part, reply, Utc::now(), &mut verdict);
            if verdict.is_setback() {
                // The server is not well, or an operator is needed: the other parts would only say so again.
                break;
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
        let wait = self.retrying(&reason);
        Some(Pause::Retry(if verdict.another_node {
            Duration::ZERO
        } else {
            // What a server asks for is honoured up to our longest wait.
            wait.max(
                verdict
                    .retry_after
                    .unwrap_or_default()
                    .min(self.limits.retry.1),
            )
        }))
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
