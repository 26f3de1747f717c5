//! In: sources (a host, a group, its topics). Out: exactly one record in the journal per topic and tick.
//! Never: knows a sink, runs two describes of one source at once.

mod counts;
mod link;
mod memory;
mod once;
mod round;
mod schedule;
mod source;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::counts::{Counts, Tally};
pub use self::once::{Answer, once};

use self::link::HostShares;
use self::memory::Memory;
use self::source::Source;
use crate::journal::{self, Journal};
use crate::{kafka, ssh};

/// One machine we SSH to.
#[derive(Debug, Clone)]
pub struct MirrorHost {
    /// Name in the configuration, and the document's `mirror_host`.
    pub name: String,
    /// Name of the Kafka cluster it mirrors from; `None` where the configuration has none.
    pub cluster: Option<String>,
    pub ssh: ssh::Settings,
    pub kafka: kafka::Settings,
    /// Describes that may run on it at once.
    pub describes_per_host: usize,
    /// SSH handshakes that may be under way with it at once.
    pub handshakes_per_host: usize,
}

/// One SSH session with one loop on one mirror host: one group, one or more topics.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Unique and stable: decides the phase of its ticks. `<mirror_host>/<group>/<topic>` or `<mirror_host>/<group>`.
    pub name: String,
    pub mirror_host: Arc<MirrorHost>,
    pub describe: kafka::Describe,
    /// Time between two ticks.
    pub interval: Duration,
    pub topics: Topics,
}

/// Which topics of the group's table are recorded.
#[derive(Debug, Clone)]
pub enum Topics {
    /// An entry of `topics:`: this one.
    One(String),
    /// A `groups:` entry with a list: these, each in every tick.
    Listed(Vec<String>),
    /// A `groups:` entry without a list: whatever the table has, but for names that match one of these.
    All { exclude: Vec<Regex> },
}

/// All sources at work.
pub struct Collector {
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

impl Collector {
    /// Starts one task per source; each connects, ticks and writes to `journal` until `stop`.
    ///
    /// # Errors
    /// The journal cannot say where a source left off.
    pub async fn start(
        sources: Vec<SourceSettings>,
        journal: &Journal,
        stop: &CancellationToken,
    ) -> Result<Self, journal::Error> {
        let counts = Arc::new(Counts::default());
        let mut shares = HostShares::new(ssh::Bastions::patient());
        let mut tasks = JoinSet::new();
        for settings in sources {
            let memory = remember(&settings.name, journal).await?;
            let share = shares.of(&settings.mirror_host);
            let source = Source::new(settings, share, journal.clone(), counts.clone(), memory);
            tasks.spawn(source.run(stop.clone()));
        }
        Ok(Self { tasks, counts })
    }

    /// What was done so far.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Returns when every source has stopped and its samples are in the journal.
    pub async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn remember(name: &str, journal: &Journal) -> Result<Memory, journal::Error> {
    let Some(kept) = journal.mark(name).await? else {
        return Ok(Memory::default());
    };
    Ok(serde_json::from_slice(&kept).unwrap_or_else(|error| {
        tracing::warn!(source = name, %error, "cannot read where this source left off; it starts anew");
        Memory::default()
    }))
}
