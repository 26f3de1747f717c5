//! In: samples on their way to the journal. Out: how many of them memory holds, and whether one more may wait.
//! Never: logs a line per sample or per retry, gives up a sample that the journal has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counts::Counts;
use crate::journal;

/// Samples that wait in memory for a journal that cannot write, of all topics together.
///
/// A thousand topics at 10 s fill it in a quarter of an hour, twenty in half a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub records_max: u64,
    pub bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records_max: 100_000,
            bytes_max: 64 << 20,
        }
    }
}

/// A journal that fails and works by turns is told once in this time; the minute's summary has the numbers.
const LINE_PAUSE: Duration = Duration::from_secs(60);

/// All samples in memory, of all sources.
#[derive(Debug)]
pub(super) struct Held {
    limits: Limits,
    counts: Arc<Counts>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: u64,
    bytes: u64,
    /// Topics whose last append failed.
    failing: u64,
    /// Samples that had to wait, and those given up, since the first of them failed.
    waited: u64,
    given_up: u64,
    /// The failure that was logged, and when; the end of it is logged only if it was.
    said: Option<Said>,
    last_line: Option<Instant>,
}

#[derive(Debug)]
struct Said {
    cause: std::mem::Discriminant<journal::Cause>,
}

impl Held {
    pub(super) fn new(limits: Limits, counts: Arc<Counts>) -> Self {
        Self {
            limits,
            counts,
            state: Mutex::default(),
        }
    }

    /// Takes room for one sample; `false`: there is none.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let mut state = self.lock();
        let fits = state.records < self.limits.records_max
            && state.bytes.saturating_add(bytes) <= self.limits.bytes_max;
        if fits {
            state.records += 1;
            state.bytes += bytes;
            self.counts.holding(state.records);
        }
        fits
    }

    /// The journal has these.
    pub(super) fn stored(&self, records: u64, bytes: u64) {
        let mut state = self.lock();
        self.leave(&mut state, records, bytes);
    }

    /// One that had room goes without being stored.
    pub(super) fn give_up(&self, bytes: u64) {
        let mut state = self.lock();
        self.leave(&mut state, 1, bytes);
        state.given_up += 1;
        self.counts.unstored();
    }

    /// One goes that never had room.
    pub(super) fn refuse(&self) {
        self.lock().given_up += 1;
        self.counts.unstored();
    }

    /// An append of `records` samples failed, for this topic for the first time (`is_first`).
    pub(super) fn failed(&self, error: &journal::Error, is_first: bool) {
        let mut state = self.lock();
        state.failing += u64::from(is_first);
        let cause = std::mem::discriminant(&error.cause);
        let is_news = state.said.as_ref().is_none_or(|said| said.cause != cause);
        let is_time = state.last_line.is_none_or(|at| at.elapsed() >= LINE_PAUSE);
        // Another cause is another thing to mend, so it is told at once.
        if is_news && (is_time || state.said.is_some()) {
            state.said = Some(Said { cause });
            state.last_line = Some(Instant::now());
            drop(state);
            tracing::error!(
                %error,
                records_max = self.limits.records_max,
                bytes_max = self.limits.bytes_max,
                "the journal does not take samples; collecting goes on and they wait in memory, beyond its limit the oldest go"
            );
        }
    }

    /// A topic whose appends failed got its samples into the journal, `waited` of them.
    pub(super) fn recovered(&self, waited: u64) {
        let mut state = self.lock();
        state.failing = state.failing.saturating_sub(1);
        state.waited += waited;
        if state.failing > 0 {
            return;
        }
        let (kept, given_up) = (state.waited, state.given_up);
        (state.waited, state.given_up) = (0, 0);
        let was_said = state.said.take().is_some();
        drop(state);
        if was_said {
            tracing::info!(kept, given_up, "the journal takes samples again");
        }
    }

    /// Samples given up and not told of yet.
    pub(super) fn take_given_up(&self) -> u64 {
        std::mem::take(&mut self.lock().given_up)
    }

    fn leave(&self, state: &mut State, records: u64, bytes: u64) {
        state.records = state.records.saturating_sub(records);
        state.bytes = state.bytes.saturating_sub(bytes);
        self.counts.holding(state.records);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held left at worst an old number.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
