//! In: the state of the running parts. Out: the same as notes in the journal, for `status` of another process.
//! Never: disturbs collecting when the journal takes no note.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::collector::{Collector, Counts, SourceStates};
use crate::config::Config;
use crate::delivery::{self, Phase};
use crate::journal::{Journal, Note};

/// What changed is noted this often; whoever looks sees nothing older.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The run says that it is alive at least this often.
const ALIVE_EVERY: TimeDelta = TimeDelta::seconds(10);

/// Name of the run's note.
pub(super) const RUN: &str = "run";
/// Beginning of the name of a source's note; the name of the source follows.
pub(super) const SOURCE: &str = "source/";
/// Beginning of the name of a sink's note; the name of the sink follows.
pub(super) const SINK: &str = "sink/";

/// What a `run` says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNote {
    pub pid: u32,
    pub version: String,
    /// The configuration file, absolute.
    pub configuration: PathBuf,
    pub started_at: DateTime<Utc>,
    /// Some seconds old at most, while it runs.
    pub alive_at: DateTime<Utc>,
    /// `None`: it runs, or it was killed.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Size that the journal may have.
    pub bytes_max: u64,
    /// Samples that could not be written to the journal, and records that went unread because of its size.
    pub samples_lost: u64,
    pub samples_lost_at: Option<DateTime<Utc>>,
}

/// What a delivery says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkNote {
    pub phase: PhaseWord,
    /// Why it retries or holds.
    pub reason: Option<String>,
    /// Since when it retries or holds.
    pub since: Option<DateTime<Utc>>,
    /// Records stored since the start.
    pub stored: u64,
    /// When the newest sample that was stored had been taken.
    pub newest_stored: Option<DateTime<Utc>>,
}

/// What a delivery is doing, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseWord {
    Working,
    Retrying,
    Holding,
}

impl From<&delivery::State> for SinkNote {
    fn from(state: &delivery::State) -> Self {
        let (phase, reason) = match &state.phase {
            Phase::Working => (PhaseWord::Working, None),
            Phase::Retrying { reason, .. } => (PhaseWord::Retrying, Some(reason.clone())),
            Phase::Holding { reason } => (PhaseWord::Holding, Some(reason.clone())),
        };
        Self {
            phase,
            reason,
            since: state.since,
            stored: state.stored,
            newest_stored: state.newest_stored,
        }
    }
}

/// The task that keeps the notes, from the side of the pipeline.
pub(super) struct Notes {
    task: JoinSet<()>,
    stop: CancellationToken,
    watched: Arc<Watched>,
}

/// What is noted.
struct Watched {
    sources: SourceStates,
    counts: Arc<Counts>,
    sinks: Mutex<Vec<Arc<delivery::Status>>>,
    /// Size that the journal may have.
    bytes_max: AtomicU64,
    /// Records that retention dropped although a sink has not had them.
    dropped_unread: AtomicU64,
}

impl Notes {
    /// Keeps the notes of these parts in the journal until `finish`.
    pub(super) fn start(
        journal: &Journal,
        run: RunNote,
        collector: &Collector,
        sinks: Vec<Arc<delivery::Status>>,
    ) -> Self {
        let watched = Arc::new(Watched {
            sources: collector.states(),
            counts: collector.counts(),
            sinks: Mutex::new(sinks),
            bytes_max: AtomicU64::new(run.bytes_max),
            dropped_unread: AtomicU64::new(0),
        });
        let writer = Writer {
            journal: journal.clone(),
            watched: watched.clone(),
            run,
            written: BTreeMap::new(),
        };
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(writer.work(stop.clone()));
        Self {
            task,
            stop,
            watched,
        }
    }

    /// The configuration changed: so large may the journal be, and these are the sinks from now on.
    pub(super) fn changed(&self, bytes_max: u64, sinks: Vec<Arc<delivery::Status>>) {
        self.watched.bytes_max.store(bytes_max, Ordering::Relaxed);
        let watched = &self.watched.sinks;
        *watched.lock().unwrap_or_else(PoisonError::into_inner) = sinks;
    }

    /// Records were dropped that a sink has not had.
    pub(super) fn dropped_unread(&self, records: u64) {
        let dropped = &self.watched.dropped_unread;
        dropped.fetch_add(records, Ordering::Relaxed);
    }

    /// Notes how everything stands at the end, and that it has ended.
    pub(super) async fn finish(&mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
    }
}

impl RunNote {
    /// This process, which begins to collect now.
    pub(super) fn of(config: &Config) -> Self {
        let now = Utc::now();
        let file = &config.file;
        Self {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            configuration: std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            started_at: now,
            alive_at: now,
            stopped_at: None,
            bytes_max: config.journal.bytes_max,
            samples_lost: 0,
            samples_lost_at: None,
        }
    }
}

struct Writer {
    journal: Journal,
    watched: Arc<Watched>,
    run: RunNote,
    /// Value of each note in the journal, by name.
    written: BTreeMap<String, String>,
}

impl Writer {
    async fn work(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            self.write(Utc::now()).await;
        }
        self.run.stopped_at = Some(Utc::now());
        self.write(Utc::now()).await;
    }

    /// Writes what changed; what the journal does not take is tried again at the next look.
    async fn write(&mut self, now: DateTime<Utc>) {
        let mut changed = Vec::new();
        let mut names = BTreeSet::new();
        for note in self.notes(now) {
            if self.written.get(&note.name) != Some(&note.value) {
                changed.push(note.clone());
            }
            names.insert(note.name);
        }
        let is_first = self.written.is_empty();
        let are_gone = self.written.keys().any(|name| !names.contains(name));
        if (is_first || are_gone) && self.journal.keep_notes(names.clone()).await.is_ok() {
            self.written.retain(|name, _| names.contains(name));
        }
        // A journal that takes no notes takes no samples either, of which the log speaks.
        if !changed.is_empty() && self.journal.note(changed.clone()).await.is_ok() {
            let pairs = changed.into_iter().map(|note| (note.name, note.value));
            self.written.extend(pairs);
        }
    }

    fn notes(&mut self, now: DateTime<Utc>) -> Vec<Note> {
        let lost = self.watched.counts.tally().unstored
            + self.watched.dropped_unread.load(Ordering::Relaxed);
        if lost > self.run.samples_lost {
            self.run.samples_lost = lost;
            self.run.samples_lost_at = Some(now);
        }
        // Also when the clock was set back.
        if (now - self.run.alive_at).abs() >= ALIVE_EVERY || self.run.stopped_at.is_some() {
            self.run.alive_at = now;
        }
        self.run.bytes_max = self.watched.bytes_max.load(Ordering::Relaxed);
        let mut notes = Vec::new();
        notes.extend(note(RUN.to_owned(), &self.run));
        for source in self.watched.sources.all() {
            notes.extend(note(format!("{SOURCE}{}", source.name), &source));
        }
        let sinks = &self.watched.sinks;
        for sink in sinks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let state = SinkNote::from(&sink.state());
            notes.extend(note(format!("{SINK}{}", sink.sink()), &state));
        }
        notes
    }
}

fn note(name: String, value: &impl Serialize) -> Option<Note> {
    // Text and numbers: there is no value that JSON has no form for.
    let value = serde_json::to_string(value).ok()?;
    Some(Note { name, value })
}
