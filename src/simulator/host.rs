//! In: the settings of one host and the fleet's time. Out: what its CLI prints now, whether it is down, what was counted.
//! Never: knows SSH.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::fleet::HostSettings;
use super::load::{self, Snapshot};
use super::printed::{self, Printed};

/// Time since the start of a fleet; it runs until it is held.
#[derive(Debug)]
pub(super) struct Time {
    started: Instant,
    /// Milliseconds at which it stands still; `u64::MAX` while it runs.
    held_ms: AtomicU64,
}

impl Time {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            held_ms: AtomicU64::new(u64::MAX),
        }
    }

    pub(super) fn hold(&self, at: Duration) {
        let ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX - 1);
        self.held_ms.store(ms, Ordering::Relaxed);
    }

    pub(super) fn elapsed(&self) -> Duration {
        match self.held_ms.load(Ordering::Relaxed) {
            u64::MAX => self.started.elapsed(),
            ms => Duration::from_millis(ms),
        }
    }
}

/// What a host saw since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostCounts {
    /// Logins that succeeded.
    pub logins: u64,
    /// Describes that were started.
    pub describes: u64,
    /// The most describes that ran at once.
    pub describes_at_once_max: u64,
    /// Remote loops that are running now.
    pub loops: u64,
}

/// One round that a host has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredRound {
    /// The line that asked for it; for the loop of a script, its topic.
    pub tick: String,
    /// When that line came.
    pub asked_at: SystemTime,
    /// When the last byte was handed to the connection.
    pub answered_at: SystemTime,
}

/// Answered rounds that a host keeps for whoever measures; the oldest go first.
const ROUNDS_KEPT_MAX: usize = 10_000;

/// One host of a running fleet.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) settings: HostSettings,
    pub(super) port: u16,
    seed: u64,
    time: Arc<Time>,
    /// Down by command, beside the outages of the settings.
    is_held_down: AtomicBool,
    /// Wakes the listener when `is_held_down` changed.
    pub(super) held: Notify,
    /// Cancelled to cut every connection of this moment; new ones get a new one.
    cut: Mutex<CancellationToken>,
    logins: AtomicU64,
    loops: AtomicU64,
    describes: AtomicU64,
    describes_now: AtomicU64,
    describes_at_once_max: AtomicU64,
    answered: Mutex<VecDeque<AnsweredRound>>,
}

impl Host {
    pub(super) fn new(settings: HostSettings, port: u16, seed: u64, time: Arc<Time>) -> Self {
        Self {
            seed: load::draw(seed, &settings.name, 0),
            settings,
            port,
            time,
            is_held_down: AtomicBool::new(false),
            held: Notify::new(),
            cut: Mutex::new(CancellationToken::new()),
            logins: AtomicU64::new(0),
            loops: AtomicU64::new(0),
            describes: AtomicU64::new(0),
            describes_now: AtomicU64::new(0),
            describes_at_once_max: AtomicU64::new(0),
            answered: Mutex::default(),
        }
    }

    /// What Kafka knows of `group`; `None` for a group that this host does not have.
    pub(super) fn snapshot(&self, group: &str, at: Duration) -> Option<Snapshot> {
        let group = self.settings.groups.iter().find(|g| g.name == group)?;
        Some(load::snapshot(self.seed, group, at))
    }

    /// One run of the CLI: it takes its time, then prints what Kafka knows by then.
    pub(super) async fn describe(&self, group: &str) -> Printed {
        let number = self.describes.fetch_add(1, Ordering::Relaxed);
        let _running = self.count_describe();
        let (least, most) = (self.settings.start_up.start(), self.settings.start_up.end());
        let share = load::fraction(self.seed, "start-up", number);
        tokio::time::sleep(*least + most.saturating_sub(*least).mul_f64(share)).await;
        let snapshot = self.snapshot(group, self.time.elapsed());
        printed::describe(self.settings.cli, group, snapshot.as_ref())
    }

    pub(super) fn is_down(&self) -> bool {
        let outage = |o: super::fleet::Recurring| o.is_on(self.time.elapsed());
        self.is_held_down.load(Ordering::Relaxed) || self.settings.outages.is_some_and(outage)
    }

    pub(super) fn hold_down(&self, is_down: bool) {
        self.is_held_down.store(is_down, Ordering::Relaxed);
        if is_down {
            self.cut_connections();
        }
        self.held.notify_one();
    }

    /// Cancelled when the connections of this moment are to be cut.
    pub(super) fn cut_token(&self) -> CancellationToken {
        // A token is whole whatever a panicking holder did.
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.child_token()
    }

    pub(super) fn cut_connections(&self) {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cut).cancel();
    }

    /// Notes a round whose last byte was sent at this moment.
    pub(super) fn note_round(&self, tick: String, asked_at: SystemTime) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() == ROUNDS_KEPT_MAX {
            answered.pop_front();
        }
        answered.push_back(AnsweredRound {
            tick,
            asked_at,
            answered_at: SystemTime::now(),
        });
    }

    pub(super) fn take_rounds(&self) -> Vec<AnsweredRound> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *answered).into()
    }

    pub(super) fn count_login(&self) {
        self.logins.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a loop as running until the value is dropped.
    pub(super) fn count_loop(&self) -> Running<'_> {
        Running::start(&self.loops)
    }

    pub(super) fn counts(&self) -> HostCounts {
        HostCounts {
            logins: self.logins.load(Ordering::Relaxed),
            describes: self.describes.load(Ordering::Relaxed),
            describes_at_once_max: self.describes_at_once_max.load(Ordering::Relaxed),
            loops: self.loops.load(Ordering::Relaxed),
        }
    }

    fn count_describe(&self) -> Running<'_> {
        let running = Running::start(&self.describes_now);
        let now = self.describes_now.load(Ordering::Relaxed);
        self.describes_at_once_max.fetch_max(now, Ordering::Relaxed);
        running
    }
}

/// Counted as one while it lives.
pub(super) struct Running<'a>(&'a AtomicU64);

impl<'a> Running<'a> {
    fn start(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
