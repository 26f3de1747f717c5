//! In: a `Config`. Out: collectors, journal and sinks at work, ended in that order.
//! Never: formats anything, lets one part that hangs keep the process alive.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_util::sync::CancellationToken;

use super::summary;
use crate::collector::{Collector, Tally};
use crate::config::{Config, Sinks};
use crate::delivery::{self, Limits};
use crate::journal::{self, Journal};
use crate::sinks::Sink;
use crate::sinks::elasticsearch::{self, Elasticsearch};
use crate::sinks::stdout::Stdout;

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
}

/// The parts at work, in the order in which they were started.
pub struct Pipeline {
    collector: Collector,
    stop_collector: CancellationToken,
    deliveries: JoinSet<()>,
    stop_deliveries: CancellationToken,
    statuses: Vec<Arc<delivery::Status>>,
    journal: Journal,
}

impl Pipeline {
    /// Opens the journal, then starts the sinks, then the collectors.
    ///
    /// # Errors
    /// The journal cannot be opened (another process has it, it is damaged, no space), or a sink's settings are unusable.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let journal = Journal::open(&config.journal)?;
        let stop_deliveries = CancellationToken::new();
        let mut starting = Deliveries {
            tasks: JoinSet::new(),
            statuses: Vec::new(),
            journal: &journal,
            stop: &stop_deliveries,
        };
        starting.start(&config.sinks).await?;
        let (deliveries, statuses) = (starting.tasks, starting.statuses);
        let stop_collector = CancellationToken::new();
        tracing::info!(
            sources = config.sources.len(),
            mirror_hosts = config.mirror_hosts.len(),
            journal = %config.journal.path.display(),
            "collecting"
        );
        let collector = Collector::start(config.sources, &journal, &stop_collector).await?;
        Ok(Self {
            collector,
            stop_collector,
            deliveries,
            stop_deliveries,
            statuses,
            journal,
        })
    }

    /// The journal that all parts share.
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// State of each sink, in the order of the configuration.
    pub fn statuses(&self) -> &[Arc<delivery::Status>] {
        &self.statuses
    }

    /// Works until `stop`, then ends in order within `SHUTDOWN_LIMIT`.
    pub async fn run_until(self, stop: CancellationToken) {
        let counts = self.collector.counts();
        let mut before = Tally::default();
        let mut is_untrimmed = false;
        let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(minutes.tick()).await.is_some() {
            let now = counts.tally();
            summary::log_collector(&now.since(&before));
            before = now;
            let head = *self.journal.head().borrow();
            for status in &self.statuses {
                status.log_summary(head);
            }
            is_untrimmed = !self.trim_journal(is_untrimmed).await;
        }
        self.finish().await;
    }

    /// Returns whether it could be done; that it cannot is said when it begins (`was_untrimmed`).
    async fn trim_journal(&self, was_untrimmed: bool) -> bool {
        match self.journal.retain(Utc::now()).await {
            Ok(dropped) if dropped.unread > 0 => tracing::error!(
                records = dropped.unread,
                "records that a sink has not had were dropped: the journal is at its bytes_max; mend the sink or raise journal.bytes_max"
            ),
            Ok(_) => {}
            Err(error) if was_untrimmed => {
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
        let deliveries = async { while self.deliveries.join_next().await.is_some() {} };
        end_by(deadline, "delivery", deliveries).await;
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

struct Deliveries<'a> {
    tasks: JoinSet<()>,
    statuses: Vec<Arc<delivery::Status>>,
    journal: &'a Journal,
    stop: &'a CancellationToken,
}

impl Deliveries<'_> {
    /// Every sink of the configuration becomes a reader of the journal before the first record is written.
    async fn start(&mut self, sinks: &Sinks) -> Result<(), StartError> {
        let elasticsearch = sinks.elasticsearch.as_ref();
        let elasticsearch = elasticsearch.map(Elasticsearch::new).transpose()?;
        let stdout = sinks.stdout.then(Stdout::new);
        let mut readers = Vec::new();
        readers.extend(elasticsearch.as_ref().map(Sink::name));
        readers.extend(stdout.as_ref().map(Sink::name));
        self.journal.keep_readers(&readers).await?;
        if let Some(sink) = elasticsearch {
            self.spawn(sink);
        }
        if let Some(sink) = stdout {
            self.spawn(sink);
        }
        Ok(())
    }

    fn spawn(&mut self, sink: impl Sink) {
        let status = Arc::new(delivery::Status::new(sink.name()));
        self.statuses.push(status.clone());
        let (journal, stop) = (self.journal.clone(), self.stop.clone());
        self.tasks.spawn(delivery::run(
            sink,
            journal,
            status,
            Limits::default(),
            stop,
        ));
    }
}
