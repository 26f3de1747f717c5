//! In: the ticks of one source. Out: one sample per topic and tick, handed to the topics' tasks.
//! Never: runs two describes at once, lets a failed connection stop the ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::held::Held;
use super::link::{Error, HostShare, Link, RoundEnd};
use super::memory::Memory;
use super::opening::{Connection, Opening};
use super::round::{Round, listed, samples};
use super::schedule::{Schedule, Tick, UsedTicks};
use super::status::SourceStatus;
use super::topic::TopicTask;
use super::{SourceSettings, Topics};
use crate::backoff::Backoff;
use crate::journal::{Journal, Mark};
use crate::kafka::{Description, Outcome, RoundText};
use crate::sample::Sample;

/// Waits between a link that ended before it brought a round and the next attempt. The gate has its own for failed logins.
const REOPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A round that is under way when its source is told to leave has this long to end. Beyond it the tick is given up, as it is when the
/// program ends: a configuration that was changed must not wait for a `describe_timeout`.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// The clock is looked at this often while waiting for a far tick, so that a clock that is set is noticed.
const CLOCK_LOOK: Duration = Duration::from_secs(60);

/// One source and all that it needs to run for years.
pub(super) struct Source {
    settings: Arc<SourceSettings>,
    name: Arc<str>,
    share: HostShare,
    journal: Journal,
    status: Arc<SourceStatus>,
    held: Arc<Held>,
    schedule: Schedule,
    memory: Memory,
    /// Ticks up to here were used, or skipped.
    planned_from: DateTime<Utc>,
    topics: BTreeMap<String, TopicTask>,
    link: Connection,
    reopen: Backoff,
    said: Said,
    /// Whether the log has it that the host has no `timeout`.
    has_said_no_timeout: bool,
}

/// What the log last said of the link: a host that flaps or stays away is one line per change, not one per attempt.
#[derive(PartialEq, Eq)]
enum Said {
    Nothing,
    Connected,
    /// It was lost or could not be opened, for this reason.
    Down(String),
}

/// Where a source left off: what the next one of its name needs to use every tick once.
#[derive(Debug, Clone)]
pub(super) struct LeftOff {
    pub memory: Memory,
    /// The next tick is the first after it; `None` for now.
    pub planned_from: Option<DateTime<Utc>>,
}

impl Source {
    pub(super) fn new(
        settings: SourceSettings,
        share: HostShare,
        journal: Journal,
        status: Arc<SourceStatus>,
        held: Arc<Held>,
        left_off: LeftOff,
    ) -> Self {
        let settings = Arc::new(settings);
        let link = Connection::Opening(Opening::start(
            &settings,
            &share,
            Duration::ZERO,
            None,
            true,
        ));
        Self {
            name: settings.name.as_str().into(),
            schedule: Schedule::new(&settings.name, settings.interval),
            settings,
            share,
            journal,
            status,
            held,
            memory: left_off.memory,
            planned_from: left_off.planned_from.unwrap_or_else(Utc::now),
            topics: BTreeMap::new(),
            link,
            reopen: Backoff::new(REOPEN.0, REOPEN.1),
            said: Said::Nothing,
            has_said_no_timeout: false,
        }
    }

    /// Runs until `leave` or `stop`; then every sample handed over is in the journal and the connection is closed.
    ///
    /// At `leave` the round under way is ended first. At `stop` it is given up: its tick has no record yet, and the host ends
    /// the describe by itself.
    pub(super) async fn run(
        mut self,
        leave: &CancellationToken,
        stop: &CancellationToken,
    ) -> LeftOff {
        let work = async {
            while let Some(tick) = leave.run_until_cancelled(self.next_tick()).await {
                self.round(tick).await;
                self.planned_from = Utc::now();
            }
        };
        let too_late = async {
            leave.cancelled().await;
            sleep(LEAVE_LIMIT).await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = work => {}
            () = too_late => {}
        }
        let left_off = LeftOff {
            memory: self.memory.clone(),
            planned_from: Some(self.planned_from),
        };
        self.finish().await;
        left_off
    }

    async fn finish(self) {
        if let Connection::Up(link) = self.link {
            link.close().await;
        }
        // All at once: on a full disk each has its last attempt.
        let mut ending: JoinSet<()> = self.topics.into_values().map(TopicTask::finish).collect();
        while ending.join_next().await.is_some() {}
    }

    /// Waits for the next tick; the connection is kept, lost and opened meanwhile. Dropped half-way, no tick is used.
    async fn next_tick(&mut self) -> Tick {
        loop {
            let tick = self
                .schedule
                .next(self.planned_from, self.memory.used.as_ref());
            let wait = until(tick.at, Utc::now());
            self.stay_connected(Instant::now() + wait.min(CLOCK_LOOK))
                .await;
            // Early after a look at a far tick, or because the clock was set back; late by more than an interval
            // because it was set forward or the machine slept: then the plan is made anew.
            let now = Utc::now();
            let late = (now - tick.at).to_std();
            if late.is_ok_and(|late| late < self.settings.interval) {
                self.memory.used = Some(UsedTicks::with(self.memory.used, tick));
                return tick;
            }
            self.planned_from = now;
        }
    }

    /// Keeps the link alive, or opening, until `deadline`.
    async fn stay_connected(&mut self, deadline: Instant) {
        loop {
            match &mut self.link {
                Connection::Up(link) => tokio::select! {
                    biased;
                    () = sleep_until(deadline) => return,
                    error = link.idle() => self.lost(error),
                },
                Connection::Opening(opening) => tokio::select! {
                    biased;
                    () = sleep_until(deadline) => return,
                    result = &mut opening.task => self.opened(result),
                },
            }
        }
    }

    async fn round(&mut self, tick: Tick) {
        let started = Instant::now();
        self.await_first_connection(started).await;
        let round = match &mut self.link {
            Connection::Opening(opening) => {
                Round::without_link(opening.why_not_yet(&self.share, &self.settings))
            }
            Connection::Up(link) => {
                let ended = ask(link, &self.share, tick).await;
                self.status.round();
                self.judge(ended)
            }
        };
        let took = started.elapsed();
        let outcome = self.account(tick, &round, took);
        if outcome == Some(Outcome::Timeout) || round.is_too_much() {
            // Whatever the host did to the describe, this session is not trusted with another one.
            self.lose(None);
        }
        self.count_skipped(took);
    }

    /// At the start, and after a link was lost, a tick waits for the first attempt to connect, for half an interval at most:
    /// a fleet that starts must not fill the index with `ssh_error`.
    async fn await_first_connection(&mut self, started: Instant) {
        let deadline = started + self.settings.interval / 2;
        while let Connection::Opening(opening) = &mut self.link {
            if !opening.is_first {
                return;
            }
            tokio::select! {
                biased;
                result = &mut opening.task => self.opened(result),
                () = sleep_until(deadline) => return,
            }
        }
    }

    fn judge(&mut self, ended: Result<RoundText, RoundEnd>) -> Round {
        match ended {
            Ok(text) => {
                self.reopen.reset();
                self.say_connected();
                Round::Text(text)
            }
            Err(end) => {
                let (round, error) = end.into_round(self.settings.describe.limit);
                if let Some(error) = error {
                    self.lost(error);
                }
                round
            }
        }
    }

    /// Every topic of the source gets its sample of this tick. Returns how the round failed, if it did.
    fn account(&mut self, tick: Tick, round: &Round, took: Duration) -> Option<Outcome> {
        let description = round.describe(&self.settings.describe.group);
        self.report_problems(&description);
        let listed = listed(&description);
        let topics = self
            .memory
            .account(&self.settings.topics, listed.as_ref(), tick.at);
        if matches!(self.settings.topics, Topics::All { .. }) {
            self.forget_all_but(&topics);
        }
        let round_ms = round.round_ms(took);
        let mut mark = self.mark();
        let counts = self.status.counts();
        let samples: Vec<Sample> =
            samples(&self.settings, tick, &description, &topics, round_ms).collect();
        let failure = description.failure.as_ref().map(|failure| failure.outcome);
        let outcomes = samples.iter().map(|it| (it.outcome, it.reason.as_deref()));
        self.status.accounted(tick.at, failure, outcomes);
        for sample in samples {
            let task = self.topics.entry(sample.topic.clone()).or_insert_with(|| {
                let journal = self.journal.clone();
                TopicTask::start(
                    self.name.clone(),
                    journal,
                    counts.clone(),
                    self.held.clone(),
                )
            });
            task.hand_over(&sample, mark.take());
        }
        failure
    }

    fn mark(&self) -> Option<Mark> {
        // Without the mark only the memory across a restart is poorer; the samples go on.
        let value = serde_json::to_vec(&self.memory).ok()?;
        Some(Mark {
            name: self.settings.name.clone(),
            value,
        })
    }

    fn forget_all_but(&mut self, topics: &[String]) {
        let keep: BTreeSet<&String> = topics.iter().collect();
        // A dropped task's queue is closed; it stores what it has and ends.
        self.topics.retain(|topic, _| keep.contains(topic));
    }

    fn report_problems(&self, description: &Description<'_>) {
        self.status.counts().problems(description.problems.len());
        for problem in &description.problems {
            tracing::debug!(source = %self.name, %problem, "the table has a problem");
        }
    }

    fn count_skipped(&self, took: Duration) {
        let ticks = took.as_millis() / self.settings.interval.as_millis().max(1);
        self.status
            .skipped(u64::try_from(ticks).unwrap_or(u64::MAX));
    }

    fn opened(&mut self, result: Result<Result<Link, Error>, tokio::task::JoinError>) {
        let error = match result {
            Ok(Ok(link)) => {
                self.status.connected();
                // After a loss it is news only when it brings a round.
                if self.said == Said::Nothing {
                    self.say_connected();
                }
                if !link.has_timeout && !std::mem::replace(&mut self.has_said_no_timeout, true) {
                    tracing::warn!(source = %self.name, mirror_host = self.settings.mirror_host.name,
                        "the host has no `timeout`: a describe that hangs there cannot be killed; install coreutils on it");
                }
                self.link = Connection::Up(Box::new(link));
                return;
            }
            Ok(Err(error)) => error,
            // The task cannot be cancelled while it is awaited; a panic in it is logged by the runtime.
            Err(_panicked) => return self.reopen(None, false),
        };
        self.status.not_connected(error.reason());
        self.say_down("not connected", &error);
        self.reopen(Some(error), false);
    }

    fn lost(&mut self, error: Error) {
        self.say_down("connection lost", &error);
        self.lose(Some(error));
    }

    fn say_connected(&mut self) {
        if self.said != Said::Connected {
            tracing::info!(source = %self.name, mirror_host = self.settings.mirror_host.name, "connected");
            self.said = Said::Connected;
        }
    }

    fn say_down(&mut self, what: &str, error: &Error) {
        let reason = Said::Down(error.reason());
        if self.said != reason {
            tracing::warn!(source = %self.name, mirror_host = self.settings.mirror_host.name, %error, "{what}");
            self.said = reason;
        }
    }

    fn lose(&mut self, error: Option<Error>) {
        self.status.lost(error.as_ref().map(Error::reason));
        self.reopen(error, true);
    }

    fn reopen(&mut self, failed: Option<Error>, is_first: bool) {
        // The gate paces what fails up to the login. What fails behind it, or again and again before it brought a round, is
        // paced here; the first attempt after a good round is made at once.
        let is_paced = failed.as_ref().is_some_and(Error::is_before_login);
        let wait = match (is_paced, self.reopen.failures()) {
            (true, _) => Duration::ZERO,
            (false, 0) => {
                self.reopen.next_wait();
                Duration::ZERO
            }
            (false, _) => self.reopen.next_wait(),
        };
        // The old link is dropped here, which ends its connection.
        let opening = Opening::start(&self.settings, &self.share, wait, failed, is_first);
        self.link = Connection::Opening(opening);
    }
}

/// A round waits for its turn on the host; the link is kept meanwhile.
pub(super) async fn ask(
    link: &mut Link,
    share: &HostShare,
    tick: Tick,
) -> Result<RoundText, RoundEnd> {
    let turn = tokio::select! {
        turn = share.describes.take() => turn,
        error = link.idle() => return Err(RoundEnd::Lost(error)),
    };
    let name = format!("{}.{}", tick.at.timestamp_millis(), tick.generation);
    let round = link.round(&name).await;
    // Held until here: the host runs no more describes than it was promised.
    drop(turn);
    round
}

fn until(instant: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (instant - now).to_std().unwrap_or_default()
}
