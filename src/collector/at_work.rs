//! In: a source's settings, and whoever was there before it. Out: the task that runs it.
//! Never: lets two sources record the same topic at once, or one begin before the place where the other left off is known.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::SourceSettings;
use super::held::Held;
use super::link::HostShare;
use super::memory::Memory;
use super::source::{LeftOff, Source};
use super::status::SourceStatus;
use crate::journal::{self, Journal};

/// A source's task, from the collector's side.
pub(super) struct AtWork {
    pub settings: SourceSettings,
    /// Cancelled to end it in order while others go on.
    pub leave: CancellationToken,
    /// Cancelled when it has ended.
    pub ended: CancellationToken,
    /// Comes when it has ended; `None`: a successor has it.
    pub left_off: Option<oneshot::Receiver<LeftOff>>,
}

impl AtWork {
    /// Whether a topic of `other` may be one of this source.
    pub(super) fn may_record_the_same(&self, other: &SourceSettings) -> bool {
        self.settings.mirror_host.name == other.mirror_host.name
            && self.settings.describe.group == other.describe.group
    }
}

/// A source to start, behind those before it.
pub(super) struct Successor {
    /// The source of the same name that is leaving.
    pub forerunner: Option<oneshot::Receiver<LeftOff>>,
    /// What the journal has of it, where there is no forerunner.
    pub memory: Memory,
    /// Sources to wait for that record topics of the same group on the same mirror host.
    pub behind: Vec<CancellationToken>,
    pub share: HostShare,
    pub journal: Journal,
    pub status: Arc<SourceStatus>,
    pub held: Arc<Held>,
    pub stop: CancellationToken,
}

impl Successor {
    /// The source, and its task to be spawned.
    pub(super) fn start(
        self,
        settings: SourceSettings,
    ) -> (AtWork, impl Future<Output = ()> + Send + 'static) {
        let leave = CancellationToken::new();
        let ended = CancellationToken::new();
        let (leaves_off, left_off) = oneshot::channel();
        let source = AtWork {
            settings: settings.clone(),
            leave: leave.clone(),
            ended: ended.clone(),
            left_off: Some(left_off),
        };
        let task = async move {
            // Also when it panics: nobody may wait for it for ever.
            let _ended = ended.drop_guard();
            let left_off = self.run(settings, &leave).await;
            // Nobody comes behind a source that was removed for good.
            let _nobody_asks = leaves_off.send(left_off);
        };
        (source, task)
    }

    async fn run(self, settings: SourceSettings, leave: &CancellationToken) -> LeftOff {
        for ended in &self.behind {
            ended.cancelled().await;
        }
        let left_off = match self.forerunner {
            None => LeftOff {
                memory: self.memory,
                planned_from: None,
            },
            Some(left_off) => match left_off.await {
                Ok(left_off) => left_off,
                // It panicked, which the runtime has logged; the journal has what it had stored.
                Err(_) => LeftOff {
                    memory: remembered(&settings.name, &self.journal).await,
                    planned_from: None,
                },
            },
        };
        // Told to go before it began: nothing was asked of the host.
        if leave.is_cancelled() || self.stop.is_cancelled() {
            return left_off;
        }
        let name = settings.name.clone();
        let source = Source::new(
            settings,
            self.share,
            self.journal,
            self.status,
            self.held,
            left_off,
        );
        let left_off = source.run(leave, &self.stop).await;
        tracing::debug!(source = name, "ended");
        left_off
    }
}

/// Where a source of this name left off, as the journal has it.
///
/// # Errors
/// The file cannot be read.
pub(super) async fn remember(name: &str, journal: &Journal) -> Result<Memory, journal::Error> {
    let Some(kept) = journal.mark(name).await? else {
        return Ok(Memory::default());
    };
    Ok(serde_json::from_slice(&kept).unwrap_or_else(|error| {
        tracing::warn!(source = name, %error, "cannot read where this source left off; it starts anew");
        Memory::default()
    }))
}

async fn remembered(name: &str, journal: &Journal) -> Memory {
    remember(name, journal).await.unwrap_or_else(|error| {
        tracing::error!(source = name, %error, "cannot read where this source left off; it starts anew");
        Memory::default()
    })
}
