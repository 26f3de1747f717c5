//! In: the bastions before a mirror host, the steps of a connection. Out: a finding for each step; each bastion's once.
//! Never: logs in to one bastion twice.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::{Reporter, since};
use crate::finding::Verdict;
use crate::ssh::{Bastions, Error, Settings, Step};

/// Why nothing more can be asked, in the words of a skipped finding.
pub(super) type Stop = String;

/// What tells two logins at a bastion apart.
type Login = (Vec<(String, u16)>, String, Option<PathBuf>);

/// The bastions of all hosts; what stands with them is shared.
pub(super) struct Hops {
    pub bastions: Arc<Bastions>,
    proven: Mutex<HashMap<Login, Arc<OnceCell<Option<Stop>>>>>,
}

impl Hops {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            bastions: Bastions::impatient(),
            proven: Mutex::default(),
        })
    }

    /// Proves the bastions on the way to a host, the nearest to us first. The first host that needs one reports it.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub async fn prove(&self, host: &Settings, reporter: &Reporter) -> Result<(), Stop> {
        for hop in host.hops() {
            let cell = self.cell(&hop);
            let stop = cell.get_or_init(|| self.prove_one(&hop, reporter)).await;
            if let Some(stop) = stop {
                return Err(stop.clone());
            }
        }
        Ok(())
    }

    async fn prove_one(&self, hop: &Arc<Settings>, reporter: &Reporter) -> Option<Stop> {
        let name = format!("bastion {}@{}:{}", hop.user, hop.address, hop.port);
        let mut steps = Steps::of(hop, false);
        let result = self.bastions.log_in_to(hop, &mut steps.listener()).await;
        steps
            .report(&name, result.as_ref().err(), reporter)
            .await
            .map(|stop| format!("{name}: {stop}"))
    }

    fn cell(&self, hop: &Settings) -> Arc<OnceCell<Option<Stop>>> {
        let login = (hop.server(), hop.user.clone(), hop.private_key.clone());
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.entry(login).or_default().clone()
    }
}

/// The steps of one connection: which there are, and which passed.
pub(super) struct Steps {
    all: Vec<Step>,
    passed: Vec<(Step, Duration, String)>,
    started: Instant,
    is_to_host: bool,
}

impl Steps {
    /// A bastion has no shell for us; the name of what is behind one is not ours to resolve.
    pub fn of(settings: &Settings, has_shell: bool) -> Self {
        let mut all = vec![Step::Tcp, Step::HostKey, Step::Login];
        if settings.jump.is_none() {
            all.insert(0, Step::Resolve);
        }
        if has_shell {
            all.push(Step::Shell);
        }
        Self {
            all,
            passed: Vec::new(),
            started: Instant::now(),
            is_to_host: has_shell,
        }
    }

    /// A bastion that failed under a host's feet is named; else the subject of the finding says who it is.
    fn words_of(&self, error: &Error) -> String {
        match self.is_to_host && error.endpoint().is_bastion {
            true => error.reason(),
            false => error.detail(),
        }
    }

    pub fn listener(&mut self) -> impl FnMut(Step, Duration, &str) + Send + '_ {
        |step, took, detail| self.passed.push((step, took, detail.to_owned()))
    }

    /// Says what passed, what failed and what was not tried; returns which failed.
    pub async fn report(
        &self,
        name: &str,
        error: Option<&Error>,
        reporter: &Reporter,
    ) -> Option<Stop> {
        let took = since(self.started);
        for (step, took, detail) in &self.passed {
            let verdict = Verdict::Passed(detail.clone());
            reporter.say(name, link_of(*step), *took, verdict).await;
        }
        let error = error?;
        // What ends without a step was lost on the way to the next one.
        let next = self.all.get(self.passed.len()).or(self.all.last()).copied();
        let failed = error.step().or(next).unwrap_or(Step::Shell);
        let stop = format!("{} failed", link_of(failed));
        // A key file or known_hosts that cannot be read fails before the first step: those in between were not tried.
        for step in &self.all {
            if self.passed.iter().any(|(done, ..)| done == step) {
                continue;
            }
            let link = link_of(*step);
            if *step == failed {
                let spent: Duration = self.passed.iter().map(|(_, took, _)| *took).sum();
                let verdict = Verdict::Failed {
                    // With the fingerprint offered, which the mend asks to compare.
                    why: self.words_of(error),
                    mend: error.mend(),
                };
                reporter
                    .say(name, link, took.saturating_sub(spent), verdict)
                    .await;
            } else {
                let verdict = Verdict::Skipped(stop.clone());
                reporter.say(name, link, Duration::ZERO, verdict).await;
            }
        }
        Some(stop)
    }
}

fn link_of(step: Step) -> &'static str {
    match step {
        Step::Resolve => "name",
        Step::Tcp => "tcp",
        Step::HostKey => "host key",
        Step::Login => "login",
        Step::Shell => "shell",
    }
}
