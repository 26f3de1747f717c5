//! In: a `Config`, and others later. Out: collectors, journal and sinks at work as the last one says, ended in that order.
//! Never: formats anything, lets one part that hangs keep the process alive.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_util::sync::CancellationToken;

use super::deliveries::Deliveries;
use super::limits::{Need, TooFewDescriptors};
use super::notes::{Notes, RunNote};
use super::reload::{self, Changes, Reloads};
use super::summary;
use crate::collector::{Collector, Tally};
use crate::config::{Config, Loaded, Problems};
use crate::delivery;
use crate::journal::{self, Journal};
use crate::sinks::elasticsearch;

/// From the signal to the end of the process; what has not ended by then is named and left.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// While stopping, who still runs is named this often.
const SHUTDOWN_NEWS: Duration = Duration::from_secs(5);

/// A summary is logged, and the journal trimmed, this often.
const MINUTE: Duration = Duration::from_secs(60);

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Journal(#[from] journal::Error),
    #[error("{0}")]
    Elasticsearch(#[from] elasticsearch::SettingsError),
    #[error("{0}")]
    Descriptors(#[from] TooFewDescriptors),
}

/// Why a configuration was not taken; the program goes on with the one it has.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error(
        "journal.path is {}, and the journal in use is {}; restart mirrorlag to move the journal, or write the path in use",
        wanted.display(), in_use.display()
    )]
    JournalPath { wanted: PathBuf, in_use: PathBuf },
    #[error("{0}")]
    CannotStart(#[from] StartError),
}

/// The parts at work, in the order in which they were started.
pub struct Pipeline {
    collector: Collector,
    stop_collector: CancellationToken,
    deliveries: Deliveries,
    stop_deliveries: CancellationToken,
    journal: Journal,
    notes: Notes,
    journal_settings: journal::Settings,
    /// Whether the journal could not be trimmed the last time.
    is_untrimmed: bool,
}

impl Pipeline {
    /// Opens the journal, then starts the sinks, then the collectors.
    ///
    /// # Errors
    /// The process may not open enough files, the journal cannot be opened (another process has it, it is damaged, no space), or
    /// a sink's settings are unusable.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let need = Need::of(&config, config.sources.len());
        need.claim_descriptors()?;
        warn_of_scarce_memory(need);
        let journal = Journal::open(&config.journal)?;
        let stop_deliveries = CancellationToken::new();
        let mut deliveries = Deliveries::new(journal.clone(), stop_deliveries.clone());
        let sinks = deliveries.plan(&config.sinks)?;
        // Every sink becomes a reader of the journal before the first record is written.
        journal.keep_readers(&sinks.readers()).await?;
        deliveries.apply(sinks);
        let stop_collector = CancellationToken::new();
        tracing::info!(
            sources = config.sources.len(),
            mirror_hosts = config.mirror_hosts.len(),
            journal = %config.journal.path.display(),
            "collecting"
        );
        let run = RunNote::of(&config);
        let collector = Collector::start(config.sources, &journal, &stop_collector).await?;
        let notes = Notes::start(&journal, run, &collector, deliveries.statuses());
        Ok(Self {
            notes,
            collector,
            stop_collector,
            deliveries,
            stop_deliveries,
            journal,
            journal_settings: config.journal,
            is_untrimmed: false,
        })
    }

    /// The journal that all parts share.
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// State of each sink, in the order of the configuration.
    pub fn statuses(&self) -> Vec<Arc<delivery::Status>> {
        self.deliveries.statuses()
    }

    /// Goes on with another configuration: what is equal in both is left alone, session, position and all.
    ///
    /// All or nothing: until everything that can fail has been tried, nothing is changed.
    ///
    /// # Errors
    /// What would have kept the program from starting with it, or another path of the journal.
    pub async fn apply(&mut self, config: Config) -> Result<Changes, NotTaken> {
        if config.journal.path != self.journal_settings.path {
            return Err(NotTaken::JournalPath {
                wanted: config.journal.path,
                in_use: self.journal_settings.path.clone(),
            });
        }
        let sources = self.collector.plan(config.sources.clone()).await;
        let sources = sources.map_err(StartError::from)?;
        let need = Need::of(&config, sources.at_most());
        need.claim_descriptors().map_err(StartError::from)?;
        let sinks = self.deliveries.plan(&config.sinks);
        let sinks = sinks.map_err(StartError::from)?;
        // Only where it changes something: a journal that takes nothing now must not keep a shorter retain_for away from it.
        if sinks.readers() != self.deliveries.readers() {
            let kept = self.journal.keep_readers(&sinks.readers()).await;
            kept.map_err(StartError::from)?;
        }
        // From here on nothing fails, and nothing waits: dropping this future can leave nothing half-way.
        warn_of_scarce_memory(need);
        self.journal.set_retention(&config.journal);
        self.journal_settings = config.journal;
        let changes = Changes {
            sinks: self.deliveries.apply(sinks),
            sources: self.collector.apply(sources),
        };
        let bytes_max = self.journal_settings.bytes_max;
        self.notes.changed(bytes_max, self.deliveries.statuses());
        Ok(changes)
    }

    /// Works until `stop`, then ends in order within `SHUTDOWN_LIMIT`.
    ///
    /// With `reloads`, a changed configuration is taken whenever one is asked for; requests that come meanwhile are one, taken after it.
    pub async fn run_until(mut self, stop: CancellationToken, reloads: Option<Reloads>) {
        // Whatever is under way may be dropped: nothing is half-way then, and a summary or a trim less does no harm.
        stop.run_until_cancelled(self.work(reloads)).await;
        self.finish().await;
    }

    async fn work(&mut self, mut reloads: Option<Reloads>) {
        let counts = self.collector.counts();
        let mut before = Tally::default();
        let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let read = async {
                match &mut reloads {
                    Some(reloads) => reloads.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = minutes.tick() => {
                    let now = counts.tally();
                    summary::log_collector(&now.since(&before));
                    before = now;
                    let head = *self.journal.head().borrow();
                    for status in self.statuses() {
                        status.log_summary(head);
                    }
                    self.is_untrimmed = !self.trim_journal().await;
                }
                read = read => self.take(read).await,
            }
        }
    }

    async fn take(&mut self, read: Result<Loaded, Problems>) {
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(problems) => return reload::log_problems(&problems),
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let kept_before = self.journal_settings.clone();
        match self.apply(loaded.config).await {
            Ok(changes) => reload::log_changes(&changes),
            Err(error) => return tracing::error!(%error, "configuration not changed"),
        }
        if self.journal_settings != kept_before {
            self.is_untrimmed = !self.trim_journal().await;
        }
    }

    /// Returns whether it could be done; that it cannot is said when it begins.
    async fn trim_journal(&self) -> bool {
        match self.journal.retain(Utc::now()).await {
            Ok(dropped) if dropped.unread > 0 => {
                self.notes.dropped_unread(dropped.unread);
                tracing::error!(
                    records = dropped.unread,
                    "records that a sink has not had were dropped: the journal is at its bytes_max; mend the sink or raise journal.bytes_max"
                );
            }
            Ok(_) => {}
            Err(error) if self.is_untrimmed => {
                tracing::debug!(%error, "the journal still cannot be trimmed");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, "the journal cannot be trimmed; it is tried each minute");
                return false;
            }
        }
        true
    }

    async fn finish(mut self) {
        let deadline = Instant::now() + SHUTDOWN_LIMIT;
        self.stop_collector.cancel();
        end_by(deadline, "collectors", self.collector.finish()).await;
        self.stop_deliveries.cancel();
        end_by(deadline, "delivery", self.deliveries.finish()).await;
        end_by(deadline, "notes", self.notes.finish()).await;
        end_by(deadline, "journal", self.journal.close()).await;
        tracing::info!("stopped");
    }
}

/// Waits for a part until `deadline`, saying now and then that it is waited for.
async fn end_by(deadline: Instant, part: &'static str, ending: impl Future<Output = ()>) {
    let mut ending = std::pin::pin!(ending);
    loop {
        let look = deadline.min(Instant::now() + SHUTDOWN_NEWS);
        if timeout_at(look, &mut ending).await.is_ok() {
            return;
        }
        if look == deadline {
            tracing::warn!(
                part,
                "did not end in time and was cut off; the journal keeps what it had acknowledged"
            );
            return;
        }
        tracing::info!(part, "still ending");
    }
}

fn warn_of_scarce_memory(need: Need) {
    if let Some(scarce) = need.scarce_memory() {
        tracing::warn!("{scarce}; {}", scarce.mend());
    }
}
