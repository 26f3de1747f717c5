//! In: the ticks of one source. Out: one sample per topic and tick, handed to the topics' tasks.
//! Never: runs two describes at once, lets a failed connection stop the ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::link::{Error, HostShare, Link, RoundEnd};
use super::memory::Memory;
use super::round::{Round, listed, samples};
use super::schedule::{Schedule, Tick, UsedTicks};
use super::topic::{Due, TopicTask};
use super::{SourceSettings, Topics};
use crate::backoff::Backoff;
use crate::journal::{Journal, Mark};
use crate::kafka::{Description, Outcome, RoundText};

/// Waits between a link that ended before it brought a round and the next attempt. The gate has its own for failed logins.
const REOPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The clock is looked at this often while waiting for a far tick, so that a clock that is set is noticed.
const CLOCK_LOOK: Duration = Duration::from_secs(60);

/// One source and all that it needs to run for years.
pub(super) struct Source {
    settings: Arc<SourceSettings>,
    name: Arc<str>,
    share: HostShare,
    journal: Journal,
    counts: Arc<Counts>,
    schedule: Schedule,
    memory: Memory,
    topics: BTreeMap<String, TopicTask>,
    link: Connection,
    reopen: Backoff,
    /// Reason of the last log line about a link that could not be opened.
    logged: Option<String>,
}

enum Connection {
    Up(Box<Link>),
    Opening(Opening),
}

/// A link being opened in its own task, so that ticks go on meanwhile.
struct Opening {
    task: tokio::task::JoinHandle<Result<Link, Error>>,
    /// Why the link before this one ended or could not be opened; `None` at the start.
    failed: Option<Error>,
    /// The first attempt at the start or after a link was lost: worth waiting for.
    is_first: bool,
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Source {
    pub(super) fn new(
        settings: SourceSettings,
        share: HostShare,
        journal: Journal,
        counts: Arc<Counts>,
        memory: Memory,
    ) -> Self {
        let settings = Arc::new(settings);
        let link = Connection::Opening(open(&settings, &share, Duration::ZERO, None, true));
        Self {
            name: settings.name.as_str().into(),
            schedule: Schedule::new(&settings.name, settings.interval),
            settings,
            share,
            journal,
            counts,
            memory,
            topics: BTreeMap::new(),
            link,
            reopen: Backoff::new(REOPEN.0, REOPEN.1),
            logged: None,
        }
    }

    /// Runs until `stop`; then every sample handed over is in the journal and the connection is closed.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let work = async {
            loop {
                let tick = self.next_tick().await;
                self.round(tick).await;
            }
        };
        // The round under way is given up: its tick has no record yet, and the host ends the describe by itself.
        stop.run_until_cancelled(work).await;
        self.finish().await;
    }

    async fn finish(self) {
        if let Connection::Up(link) = self.link {
            link.close().await;
        }
        for (_, topic) in self.topics {
            topic.finish().await;
        }
    }

    /// Waits for the next tick; the connection is kept, lost and opened meanwhile.
    async fn next_tick(&mut self) -> Tick {
        loop {
            let now = Utc::now();
            let tick = self.schedule.next(now, self.memory.used.as_ref());
            let wait = until(tick.at, now);
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
                Round::without_link(not_connected(opening, &self.share, &self.settings))
            }
            Connection::Up(link) => {
                let ended = ask(link, &self.share, tick).await;
                self.counts.round();
                self.judge(ended)
            }
        };
        let took = started.elapsed();
        if self.account(tick, &round, took) == Some(Outcome::Timeout) {
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
        for sample in samples(&self.settings, tick, &description, &topics, round_ms) {
            let task = self.topics.entry(sample.topic.clone()).or_insert_with(|| {
                TopicTask::start(self.name.clone(), self.journal.clone(), self.counts.clone())
            });
            if !task.hand_over(Due {
                sample,
                mark: mark.take(),
            }) {
                self.counts.unstored();
            }
        }
        description.failure.map(|failure| failure.outcome)
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
        self.counts.problems(description.problems.len());
        for problem in &description.problems {
            tracing::debug!(source = %self.name, %problem, "the table has a problem");
        }
    }

    fn count_skipped(&self, took: Duration) {
        let ticks = took.as_millis() / self.settings.interval.as_millis().max(1);
        self.counts
            .skipped(u64::try_from(ticks).unwrap_or(u64::MAX));
    }

    fn opened(&mut self, result: Result<Result<Link, Error>, tokio::task::JoinError>) {
        let error = match result {
            Ok(Ok(link)) => {
                self.counts.connected();
                self.logged = None;
                tracing::info!(source = %self.name, mirror_host = self.settings.mirror_host.name, "connected");
                if !link.has_timeout {
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
        // A host that stays away is one line, not one per attempt.
        let reason = error.reason();
        if self.logged.as_ref() != Some(&reason) {
            tracing::warn!(source = %self.name, mirror_host = self.settings.mirror_host.name, %error, "not connected");
            self.logged = Some(reason);
        }
        self.reopen(Some(error), false);
    }

    fn lost(&mut self, error: Error) {
        tracing::warn!(source = %self.name, mirror_host = self.settings.mirror_host.name, %error, "connection lost");
        self.lose(Some(error));
    }

    fn lose(&mut self, error: Option<Error>) {
        self.counts.lost();
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
        self.link = Connection::Opening(open(&self.settings, &self.share, wait, failed, is_first));
    }
}

fn open(
    settings: &Arc<SourceSettings>,
    share: &HostShare,
    wait: Duration,
    failed: Option<Error>,
    is_first: bool,
) -> Opening {
    let (settings, share) = (settings.clone(), share.clone());
    let task = tokio::spawn(async move {
        sleep(wait).await;
        Link::open(&settings, &share).await
    });
    Opening {
        task,
        failed,
        is_first,
    }
}

/// A round waits for its turn on the host; the link is kept meanwhile.
pub(super) async fn ask(
    link: &mut Link,
    share: &HostShare,
    tick: Tick,
) -> Result<RoundText, RoundEnd> {
    let turn = tokio::select! {
        turn = share.describes.acquire() => turn,
        error = link.idle() => return Err(RoundEnd::Lost(error)),
    };
    let name = format!("{}.{}", tick.at.timestamp_millis(), tick.generation);
    let round = link.round(&name).await;
    // Held until here: the host runs no more describes than it was promised.
    drop(turn);
    round
}

fn not_connected(opening: &Opening, share: &HostShare, settings: &SourceSettings) -> String {
    let failed = opening.failed.as_ref().map(Error::reason);
    failed
        .or_else(|| share.last_failure(&settings.mirror_host.ssh))
        .unwrap_or_else(|| "still connecting".to_owned())
}

fn until(instant: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (instant - now).to_std().unwrap_or_default()
}
