//! In: sources (a host, a group, its topics). Out: exactly one record in the journal per topic and tick.
//! Never: knows a sink, runs two describes of one source at once.

mod at_work;
mod change;
mod counts;
mod held;
mod link;
mod memory;
mod once;
mod opening;
mod queue;
mod round;
mod schedule;
mod source;
mod status;
mod topic;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::change::{Plan, SourceChanges};
pub use self::counts::{Counts, Tally};
pub use self::once::{Answer, once};
pub use self::status::{LastError, LastOutcome, SourceState, SourceStates};

use self::at_work::{AtWork, Successor, remember};
use self::held::Held;
use self::link::HostShares;
use self::memory::Memory;
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
    journal: Journal,
    stop: CancellationToken,
    counts: Arc<Counts>,
    held: Arc<Held>,
    states: SourceStates,
    shares: HostShares,
    at_work: BTreeMap<String, AtWork>,
    /// Sources that were told to leave, until they have ended.
    leaving: Vec<AtWork>,
    tasks: JoinSet<()>,
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
        let mut collector = Self {
            journal: journal.clone(),
            stop: stop.clone(),
            held: Arc::new(Held::new(held::Limits::default(), counts.clone())),
            counts,
            states: SourceStates::default(),
            shares: HostShares::new(ssh::Bastions::patient()),
            at_work: BTreeMap::new(),
            leaving: Vec::new(),
            tasks: JoinSet::new(),
        };
        let plan = collector.plan(sources).await?;
        collector.apply(plan);
        Ok(collector)
    }

    /// What it takes to have exactly `sources` at work. Nothing is changed yet.
    ///
    /// # Errors
    /// The journal cannot say where a new source left off.
    pub async fn plan(&self, sources: Vec<SourceSettings>) -> Result<Plan, journal::Error> {
        let mut plan = Plan::between(self.at_work.values().map(|it| &it.settings), sources);
        let leaving = self.leaving.iter().filter(|it| !it.ended.is_cancelled());
        plan.leaving = leaving.count();
        for added in &mut plan.added {
            added.memory = remember(&added.settings.name, &self.journal).await?;
        }
        Ok(plan)
    }

    /// Carries a plan out, made since the last change: sources of the same settings keep their task and session, removed ones
    /// end their round and then their session, changed ones are started anew behind that, where they left off. Waits for none of it.
    pub fn apply(&mut self, plan: Plan) -> SourceChanges {
        while self.tasks.try_join_next().is_some() {}
        self.leaving.retain(|it| !it.ended.is_cancelled());
        let changes = plan.changes();
        let changed = plan.changed.iter().map(|settings| &settings.name);
        for name in plan.removed.iter().chain(changed) {
            self.states.remove(name);
            if let Some(source) = self.at_work.remove(name) {
                source.leave.cancel();
                self.leaving.push(source);
            }
        }
        self.shares.follow(plan.hosts.iter().map(Arc::as_ref));
        for settings in plan.changed {
            self.start_source(settings, Memory::default());
        }
        for added in plan.added {
            self.start_source(added.settings, added.memory);
        }
        changes
    }

    /// What was done so far.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// What each source is doing.
    pub fn states(&self) -> SourceStates {
        self.states.clone()
    }

    /// Returns when every source has stopped and its samples are in the journal, or the journal refused them once more.
    pub async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
        let samples = self.held.take_given_up();
        if samples > 0 {
            tracing::error!(
                samples,
                "samples that only memory held were given up at the end: the journal did not take them"
            );
        }
    }

    /// `memory` is what the journal has of it; a source of this name that is leaving knows better.
    fn start_source(&mut self, settings: SourceSettings, memory: Memory) {
        let share = self.shares.of(&settings.mirror_host);
        let name = &settings.name;
        let successor = Successor {
            forerunner: self
                .leaving
                .iter_mut()
                .rfind(|it| it.settings.name == *name)
                .and_then(|it| it.left_off.take()),
            memory,
            behind: self
                .leaving
                .iter()
                .filter(|it| it.may_record_the_same(&settings))
                .map(|it| it.ended.clone())
                .collect(),
            share,
            journal: self.journal.clone(),
            status: self.states.add(&settings, &self.counts),
            held: self.held.clone(),
            stop: self.stop.clone(),
        };
        let (source, task) = successor.start(settings);
        self.tasks.spawn(task);
        self.at_work.insert(source.settings.name.clone(), source);
    }
}
