//! In: the sinks of a configuration. Out: one delivery per sink at work, also after the configuration was changed.
//! Never: lets two deliveries of one sink's position run at once.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Sinks;
use crate::delivery::{self, Limits, Status};
use crate::journal::Journal;
use crate::sinks::elasticsearch::{self, Elasticsearch};
use crate::sinks::stdout::{self, Stdout};

/// All sinks at work.
pub(super) struct Deliveries {
    journal: Journal,
    stop: CancellationToken,
    /// In the order of the configuration.
    at_work: Vec<AtWork>,
    /// Deliveries that were told to stop, until they have ended.
    ending: Vec<(&'static str, CancellationToken)>,
    tasks: JoinSet<()>,
}

struct AtWork {
    name: &'static str,
    made_of: MadeOf,
    status: Arc<Status>,
    stop: CancellationToken,
    ended: CancellationToken,
}

/// All that decides what a sink does; equal means that the sink at work may go on.
#[derive(PartialEq)]
enum MadeOf {
    Elasticsearch {
        settings: Box<elasticsearch::Settings>,
        /// What `ca_file` held: certificates are renewed in their place.
        certificates: Option<Vec<u8>>,
    },
    Stdout,
}

/// What it takes to have other sinks at work, in their order.
pub(super) struct Plan(Vec<Planned>);

enum Planned {
    Keep(&'static str),
    Start(MadeOf, Ready),
}

enum Ready {
    Elasticsearch(Box<Elasticsearch>),
    Stdout(Stdout),
}

/// Names of sinks, by what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkChanges {
    pub kept: Vec<&'static str>,
    pub added: Vec<&'static str>,
    pub changed: Vec<&'static str>,
    pub removed: Vec<&'static str>,
}

impl Deliveries {
    /// None yet; those to come end at `stop`.
    pub(super) fn new(journal: Journal, stop: CancellationToken) -> Self {
        Self {
            journal,
            stop,
            at_work: Vec::new(),
            ending: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// What it takes to have exactly `sinks` at work. Nothing is changed yet.
    ///
    /// # Errors
    /// Settings of a sink that cannot be used.
    pub(super) fn plan(&self, sinks: &Sinks) -> Result<Plan, elasticsearch::SettingsError> {
        let mut planned = Vec::new();
        if let Some(settings) = &sinks.elasticsearch {
            let made_of = MadeOf::elasticsearch(settings);
            planned.push(match self.has(&made_of) {
                true => Planned::Keep(made_of.name()),
                false => {
                    let sink = Elasticsearch::new(settings)?;
                    Planned::Start(made_of, Ready::Elasticsearch(Box::new(sink)))
                }
            });
        }
        if sinks.stdout {
            planned.push(match self.has(&MadeOf::Stdout) {
                true => Planned::Keep(MadeOf::Stdout.name()),
                false => Planned::Start(MadeOf::Stdout, Ready::Stdout(Stdout::new())),
            });
        }
        Ok(Plan(planned))
    }

    /// Carries a plan out whose `readers` the journal keeps: a sink of the same settings goes on, whatever it is doing; a changed one
    /// ends, and begins anew at its committed position; a removed one ends. Waits for none of it.
    pub(super) fn apply(&mut self, plan: Plan) -> SinkChanges {
        while self.tasks.try_join_next().is_some() {}
        self.ending.retain(|(_, ended)| !ended.is_cancelled());
        let mut changes = SinkChanges::default();
        let mut before = std::mem::take(&mut self.at_work);
        for planned in plan.0 {
            let of_its_name = before.iter().position(|it| it.name == planned.name());
            let old = of_its_name.map(|at| before.remove(at));
            match (planned, old) {
                (Planned::Keep(name), old) => {
                    changes.kept.push(name);
                    self.at_work.extend(old);
                }
                (Planned::Start(made_of, sink), Some(old)) => {
                    changes.changed.push(made_of.name());
                    self.end(old);
                    self.start(made_of, sink);
                }
                (Planned::Start(made_of, sink), None) => {
                    changes.added.push(made_of.name());
                    self.start(made_of, sink);
                }
            }
        }
        for old in before {
            changes.removed.push(old.name);
            self.end(old);
        }
        changes
    }

    /// State of each sink, in the order of the configuration.
    pub(super) fn statuses(&self) -> Vec<Arc<Status>> {
        self.at_work.iter().map(|it| it.status.clone()).collect()
    }

    /// Names of the readers that the journal keeps for them.
    pub(super) fn readers(&self) -> Vec<&'static str> {
        self.at_work.iter().map(|it| it.name).collect()
    }

    /// Returns when every delivery has ended.
    pub(super) async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn has(&self, made_of: &MadeOf) -> bool {
        self.at_work.iter().any(|it| it.made_of == *made_of)
    }

    fn end(&mut self, old: AtWork) {
        old.stop.cancel();
        self.ending.push((old.name, old.ended));
    }

    fn start(&mut self, made_of: MadeOf, sink: Ready) {
        let name = made_of.name();
        let at_work = AtWork {
            name,
            made_of,
            status: Arc::new(Status::new(name)),
            stop: self.stop.child_token(),
            ended: CancellationToken::new(),
        };
        let (journal, status) = (self.journal.clone(), at_work.status.clone());
        let (stop, ended) = (at_work.stop.clone(), at_work.ended.clone());
        let of_its_name = self.ending.iter().filter(|(it, _)| *it == name);
        let before: Vec<_> = of_its_name.map(|(_, ended)| ended.clone()).collect();
        self.tasks.spawn(async move {
            // Also when it panics: nobody may wait for it for ever.
            let _ended = ended.drop_guard();
            for ended in before {
                ended.cancelled().await;
            }
            if stop.is_cancelled() {
                return;
            }
            let limits = Limits::default();
            match sink {
                Ready::Elasticsearch(sink) => {
                    delivery::run(*sink, journal, status, limits, stop).await;
                }
                Ready::Stdout(sink) => delivery::run(sink, journal, status, limits, stop).await,
            }
        });
        self.at_work.push(at_work);
    }
}

impl Plan {
    /// Names of the readers that the journal must keep for it.
    pub(super) fn readers(&self) -> Vec<&'static str> {
        self.0.iter().map(Planned::name).collect()
    }
}

impl Planned {
    fn name(&self) -> &'static str {
        match self {
            Self::Keep(name) => name,
            Self::Start(made_of, _) => made_of.name(),
        }
    }
}

impl MadeOf {
    fn elasticsearch(settings: &elasticsearch::Settings) -> Self {
        let file = settings.ca_file.as_ref();
        Self::Elasticsearch {
            settings: Box::new(settings.clone()),
            // A file that cannot be read now is an error where the sink is made.
            certificates: file.and_then(|path| std::fs::read(path).ok()),
        }
    }

    /// The sink's name in the configuration.
    fn name(&self) -> &'static str {
        match self {
            Self::Elasticsearch { .. } => elasticsearch::NAME,
            Self::Stdout => stdout::NAME,
        }
    }
}
