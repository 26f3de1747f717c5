//! In: what a delivery does. Out: its state for the log and for whoever asks; a line when it changes for the operator.
//! Never: decides anything.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::batch::kind_of;
use crate::journal::Position;

/// A reason must outlive this many attempts in a row before a retry is worth a line: a dead node costs one.
const QUIET_RETRIES: u32 = 3;

/// Reasons to hold that are logged until it works again: with several nodes there may be several, one after the other.
const HOLDS_SAID_MAX: usize = 4;

/// What a delivery is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Phase {
    /// Delivering, or waiting for something to deliver.
    #[default]
    Working,
    /// Trying again what fails by something that passes.
    Retrying { reason: String, attempts: u32 },
    /// Nothing goes out until an operator has acted.
    Holding { reason: String },
}

/// A delivery at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    pub phase: Phase,
    /// Since when nothing goes out; `None` while `phase` is working.
    pub since: Option<DateTime<Utc>>,
    /// Records stored since the start.
    pub stored: u64,
    /// Dead letters since the start.
    pub letters: u64,
    /// Everything up to here is committed.
    pub position: Position,
    /// Newest record of the journal when `position` was committed.
    pub head: Position,
    /// When the newest sample that was stored had been taken; `None` before the first.
    pub newest_stored: Option<DateTime<Utc>>,
}

/// State of one delivery, shared between its task and whoever asks.
#[derive(Debug)]
pub struct Status {
    sink: &'static str,
    state: Mutex<State>,
    /// `stored` and `letters` at the last summary.
    summarised: Mutex<(u64, u64)>,
    said: Mutex<Said>,
}

/// What the log says of the trouble that began when it last worked: a sink may go back and forth between two kinds of trouble.
#[derive(Debug, Default)]
struct Said {
    retrying: bool,
    /// Kinds of reasons.
    holds: Vec<String>,
}

impl Said {
    fn is_news(&mut self, hold: &str) -> bool {
        // A reason may have the time in it, as that of an expired certificate has.
        let kind = kind_of(hold);
        let is_news = self.holds.len() < HOLDS_SAID_MAX && !self.holds.contains(&kind);
        if is_news {
            self.holds.push(kind);
        }
        is_news
    }
}

impl Status {
    pub fn new(sink: &'static str) -> Self {
        Self {
            sink,
            state: Mutex::default(),
            summarised: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// Name of the sink.
    pub fn sink(&self) -> &'static str {
        self.sink
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// One line: what was delivered since the last one, and how far the sink is behind `head`.
    pub fn log_summary(&self, head: Position) {
        let state = self.state();
        let mut summarised = self
            .summarised
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (stored, letters) = (state.stored - summarised.0, state.letters - summarised.1);
        *summarised = (state.stored, state.letters);
        let behind = head.saturating_sub(state.position);
        let sink = self.sink;
        match state.phase {
            Phase::Working => tracing::info!(sink, stored, letters, behind, "last minute"),
            Phase::Retrying { reason, .. } => {
                tracing::warn!(
                    sink,
                    stored,
                    letters,
                    behind,
                    reason,
                    "last minute: retrying"
                );
            }
            Phase::Holding { reason } => {
                tracing::warn!(
                    sink,
                    stored,
                    letters,
                    behind,
                    reason,
                    "last minute: holding"
                );
            }
        }
    }

    pub(super) fn at(&self, position: Position, head: Position) {
        let mut state = self.lock();
        state.position = position;
        state.head = head;
    }

    pub(super) fn stored(&self, stored: u64, letters: u64, newest: Option<DateTime<Utc>>) {
        let mut state = self.lock();
        state.stored += stored;
        state.letters += letters;
        if stored > 0 {
            state.newest_stored = state.newest_stored.max(newest);
        }
    }

    pub(super) fn working(&self) {
        let mut state = self.lock();
        let before = std::mem::take(&mut state.phase);
        state.since = None;
        drop(state);
        let said = std::mem::take(&mut *self.said());
        let (sink, was_said) = (self.sink, said.retrying || !said.holds.is_empty());
        if was_said && before != Phase::Working {
            tracing::info!(sink, "the sink takes documents again");
        }
    }

    pub(super) fn retrying(&self, reason: &str) {
        let mut state = self.lock();
        let attempts = match &state.phase {
            Phase::Retrying { attempts, .. } => attempts + 1,
            Phase::Working | Phase::Holding { .. } => 1,
        };
        state.phase = Phase::Retrying {
            reason: reason.to_owned(),
            attempts,
        };
        state.since.get_or_insert_with(Utc::now);
        drop(state);
        if attempts >= QUIET_RETRIES && !std::mem::replace(&mut self.said().retrying, true) {
            let sink = self.sink;
            tracing::warn!(
                sink,
                reason,
                "the sink does not take documents; they wait in the journal"
            );
        }
    }

    pub(super) fn holding(&self, reason: &str) {
        let mut state = self.lock();
        state.phase = Phase::Holding {
            reason: reason.to_owned(),
        };
        state.since.get_or_insert_with(Utc::now);
        drop(state);
        if self.said().is_news(reason) {
            let sink = self.sink;
            tracing::error!(
                sink,
                reason,
                "the sink holds: nothing is lost, and nothing goes out until this is mended"
            );
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held left at worst an old number.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Status {
    /// One line for people: `elasticsearch: 1200 stored, 3 behind`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let behind = state.head.saturating_sub(state.position);
        write!(f, "{}: {} stored, {behind} behind", self.sink, state.stored)?;
        if state.letters > 0 {
            write!(f, ", {} dead letters", state.letters)?;
        }
        match state.phase {
            Phase::Working => Ok(()),
            Phase::Retrying { reason, .. } => write!(f, ", retrying: {reason}"),
            Phase::Holding { reason } => write!(f, ", holding: {reason}"),
        }
    }
}
