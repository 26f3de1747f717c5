//! In: what the task of a source does. Out: the state of each source for whoever asks; the numbers of all for the summary line.
//! Never: decides anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::SourceSettings;
use super::counts::Counts;
use crate::kafka::Outcome;

/// One source at one moment. All numbers only grow, from the start of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub name: String,
    pub mirror_host: String,
    pub group: String,
    /// Time between two ticks, in milliseconds.
    pub interval_ms: u64,
    /// The longest that a describe may run, in milliseconds.
    pub describe_timeout_ms: u64,
    pub started_at: DateTime<Utc>,
    /// `None`: not connected.
    pub connected_since: Option<DateTime<Utc>>,
    /// `None` before the first tick.
    pub last: Option<LastOutcome>,
    /// Why it was last not connected, or no longer; `None`: it never happened.
    pub last_error: Option<LastError>,
    pub rounds: u64,
    /// Ticks that fell while a round still ran.
    pub skipped: u64,
    /// Rounds that outlived their limit.
    pub timeouts: u64,
    /// Connections that ended without being asked to.
    pub reconnects: u64,
    /// Topics accounted for in the last tick.
    pub topics: usize,
    /// Samples by outcome; an outcome that never came is absent.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// How the last tick of a source ended: the worst outcome of its topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOutcome {
    pub outcome: Outcome,
    /// Of the first topic with that outcome; `None` when it is `ok`.
    pub reason: Option<String>,
    pub tick: DateTime<Utc>,
    /// When the tick's samples were handed over.
    pub at: DateTime<Utc>,
}

/// Why a source had no connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    pub reason: String,
    pub at: DateTime<Utc>,
}

/// The states of all sources that are at work, by name; clones are cheap and see the same.
#[derive(Debug, Clone, Default)]
pub struct SourceStates {
    by_name: Arc<Mutex<BTreeMap<String, Arc<SourceStatus>>>>,
}

/// State of one source, shared between its task and whoever asks.
#[derive(Debug)]
pub(super) struct SourceStatus {
    counts: Arc<Counts>,
    state: Mutex<SourceState>,
}

impl SourceStates {
    /// Every source, by name.
    pub fn all(&self) -> Vec<SourceState> {
        let statuses = lock(&self.by_name);
        statuses
            .values()
            .map(|status| lock(&status.state).clone())
            .collect()
    }

    /// A source that starts, in the place of one with its name.
    pub(super) fn add(&self, settings: &SourceSettings, counts: &Arc<Counts>) -> Arc<SourceStatus> {
        let status = Arc::new(SourceStatus::new(settings, counts.clone()));
        lock(&self.by_name).insert(settings.name.clone(), status.clone());
        status
    }

    /// A source that left the configuration.
    #[allow(dead_code)] // for a collector whose sources change while it runs
    pub(super) fn remove(&self, name: &str) {
        lock(&self.by_name).remove(name);
    }
}

impl SourceStatus {
    fn new(settings: &SourceSettings, counts: Arc<Counts>) -> Self {
        let state = SourceState {
            name: settings.name.clone(),
            mirror_host: settings.mirror_host.name.clone(),
            group: settings.describe.group.clone(),
            interval_ms: millis(settings.interval),
            describe_timeout_ms: millis(settings.describe.limit),
            started_at: Utc::now(),
            connected_since: None,
            last: None,
            last_error: None,
            rounds: 0,
            skipped: 0,
            timeouts: 0,
            reconnects: 0,
            topics: 0,
            outcomes: BTreeMap::new(),
        };
        Self {
            counts,
            state: Mutex::new(state),
        }
    }

    /// The numbers of all sources together.
    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub(super) fn connected(&self) {
        self.counts.connected();
        lock(&self.state).connected_since = Some(Utc::now());
    }

    /// An attempt to connect failed.
    pub(super) fn not_connected(&self, reason: String) {
        let at = Utc::now();
        lock(&self.state).last_error = Some(LastError { reason, at });
    }

    /// The connection ended, or is given up.
    pub(super) fn lost(&self, reason: Option<String>) {
        self.counts.lost();
        let mut state = lock(&self.state);
        state.connected_since = None;
        state.reconnects += 1;
        if let Some(reason) = reason {
            let at = Utc::now();
            state.last_error = Some(LastError { reason, at });
        }
    }

    pub(super) fn round(&self) {
        self.counts.round();
        lock(&self.state).rounds += 1;
    }

    pub(super) fn skipped(&self, ticks: u64) {
        self.counts.skipped(ticks);
        lock(&self.state).skipped += ticks;
    }

    /// The samples of `tick`, each with its outcome and reason, were handed over; `failure` is how its round failed, if it did.
    pub(super) fn accounted<'a>(
        &self,
        tick: DateTime<Utc>,
        failure: Option<Outcome>,
        outcomes: impl Iterator<Item = (Outcome, Option<&'a str>)>,
    ) {
        let mut worst: Option<(Outcome, Option<&str>)> = None;
        let mut state = lock(&self.state);
        state.topics = 0;
        for (outcome, reason) in outcomes {
            state.topics += 1;
            *state.outcomes.entry(outcome).or_default() += 1;
            if worst.is_none_or(|(before, _)| outcome > before) {
                worst = Some((outcome, reason));
            }
        }
        state.timeouts += u64::from(failure == Some(Outcome::Timeout));
        if let Some((outcome, reason)) = worst {
            state.last = Some(LastOutcome {
                outcome,
                reason: reason.map(str::to_owned),
                tick,
                at: Utc::now(),
            });
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held left at worst an old number.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
