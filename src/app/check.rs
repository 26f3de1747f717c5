//! In: a `Config`. Out: one `Finding` per link, from the name of each mirror host to the index.
//! Never: changes anything on a host, in a journal or in a sink; asks a link whose forerunner failed.

mod groups;
mod hops;
mod host;
mod journal;
mod limits;
mod mends;
mod probe;
mod turns;
mod widest;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use self::hops::Hops;
use self::host::HostCheck;
use self::turns::Turns;
use self::widest::WidestTopic;
use super::limits::Need;
use crate::config::Config;
use crate::finding::{Finding, Verdict};
use crate::sinks::elasticsearch;

/// Hosts that are checked at once: enough that one slow host costs no time, few enough for a workstation's uplink.
const HOSTS_AT_ONCE: usize = 8;

/// Findings on their way to the caller, who prints them; a checker that is ahead waits.
const FINDINGS_QUEUED_MAX: usize = 64;

/// Where a checker puts its findings; each checker has a number, and what it finds stays together.
#[derive(Debug, Clone)]
struct Reporter {
    number: usize,
    findings: mpsc::Sender<(usize, Option<Finding>)>,
    widest: WidestTopic,
}

impl Reporter {
    async fn say(&self, subject: &str, link: &'static str, took: Duration, verdict: Verdict) {
        self.pass_on(Finding {
            subject: subject.to_owned(),
            link,
            verdict,
            took,
        })
        .await;
    }

    async fn pass_on(&self, finding: Finding) {
        // A caller that is gone asks for nothing more.
        let _gone = self.findings.send((self.number, Some(finding))).await;
    }

    async fn end(&self) {
        let _gone = self.findings.send((self.number, None)).await;
    }
}

/// Proves every link, hosts in parallel; `on_finding` gets each finding as soon as its turn comes, those of one host together.
///
/// Dropping the future ends all connections.
pub async fn check(config: &Config, on_finding: &mut (dyn FnMut(Finding) + Send)) {
    let (findings, mut arriving) = mpsc::channel(FINDINGS_QUEUED_MAX);
    let places = Arc::new(Semaphore::new(HOSTS_AT_ONCE));
    let mut tasks = JoinSet::new();
    let hosts = hosts_to_check(config);
    let sinks_number = hosts.len();
    let widest = WidestTopic::default();
    // Closed when no host is at work any more; nothing is ever sent.
    let (at_work, mut ended) = mpsc::channel::<()>(1);
    for (number, host) in hosts.into_iter().enumerate() {
        let (places, findings) = (places.clone(), findings.clone());
        let (widest, at_work) = (widest.clone(), at_work.clone());
        tasks.spawn(async move {
            let _at_work = at_work;
            // The semaphore is never closed, so there is always a place in the end.
            let _place = places.acquire_owned().await;
            let reporter = Reporter {
                number,
                findings,
                widest,
            };
            host.run(&reporter).await;
            reporter.end().await;
        });
    }
    let reporter = Reporter {
        number: sinks_number,
        findings,
        widest,
    };
    drop(at_work);
    let need = Need::of(config, config.sources.len());
    let journal = config.journal.clone();
    let elasticsearch = config.sinks.elasticsearch.clone();
    tasks.spawn(async move {
        limits::check(need, &reporter).await;
        journal::check(&journal, &reporter).await;
        if let Some(settings) = elasticsearch {
            // Only the tables say how many fields a document needs; what is said of sinks stands behind what is said of hosts anyway.
            let _closed = ended.recv().await;
            let widest = reporter.widest.seen();
            for finding in elasticsearch::check(&settings, widest.as_ref()).await {
                reporter.pass_on(finding).await;
            }
        }
        reporter.end().await;
    });

    let mut turns = Turns::default();
    while let Some((number, finding)) = arriving.recv().await {
        turns.take(number, finding, on_finding);
    }
    turns.finish(on_finding);
}

/// Each mirror host with the sources that use it. A host that no source uses is checked up to its CLI.
fn hosts_to_check(config: &Config) -> Vec<HostCheck> {
    let hops = Hops::new();
    let hosts = config.mirror_hosts.iter();
    hosts
        .map(|host| {
            let uses = |name: &str| name == host.name;
            let sources = config.sources.iter();
            let sources = sources.filter(|source| uses(&source.mirror_host.name));
            HostCheck::new(host.clone(), sources.cloned(), hops.clone())
        })
        .collect()
}

/// The time since `started`, for a finding.
fn since(started: Instant) -> Duration {
    started.elapsed()
}
