//! In: nothing, or the URL of an Elasticsearch. Out: a simulated fleet and the real pipeline at work on it, and its samples as they come.
//! Never: prints, leaves a file, a port or a task behind.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::temporary::{Folder, FolderError};
use super::{Pipeline, StartError, watch};
use crate::config;
use crate::delivery;
use crate::journal::Journal;
use crate::simulator::{self, CONSUMER_GROUPS, Fleet, FleetSettings};
use crate::watch::Update;

/// The fleet of every demonstration: the same names, offsets and troubles each time.
const SEED: u64 = 2026;

/// Why a demonstration could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Folder(#[from] FolderError),
    #[error("{0}")]
    Fleet(#[from] simulator::Error),
    /// The URL, or a credential beside it.
    #[error("--elasticsearch: {what}; {mend}")]
    Elasticsearch { what: String, mend: String },
    #[error("{0}")]
    Config(config::Problems),
    #[error("{0}")]
    Start(#[from] StartError),
}

/// A fleet, and the pipeline that collects from it.
pub struct Demo {
    fleet: Fleet,
    pipeline: JoinHandle<()>,
    stop: CancellationToken,
    journal: Journal,
    statuses: Vec<Arc<delivery::Status>>,
    started: Instant,
    /// Last, so that it is removed when all else is closed.
    _folder: Folder,
}

/// What a demonstration did so far.
#[derive(Debug)]
pub struct Progress {
    /// Time since the start.
    pub running_for: Duration,
    /// Records that were ever appended.
    pub records: u64,
    /// Bytes in use by the journal; `None` when it cannot be read just now.
    pub journal_bytes: Option<u64>,
    /// One line per sink; empty without `--elasticsearch`.
    pub sinks: Vec<String>,
}

impl Demo {
    /// Starts the fleet in a temporary folder, writes a configuration for it, and starts collecting.
    ///
    /// `env` is the environment, for the credentials of Elasticsearch: `ES_API_KEY`, or `ES_PASSWORD` with `ES_USERNAME`
    /// (`elastic`).
    ///
    /// # Errors
    /// No folder or port can be had, or the URL is wrong.
    pub async fn start(
        elasticsearch: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let sink = elasticsearch.map(|url| sink(url, env)).transpose()?;
        let folder = Folder::make(&std::env::temp_dir(), "demo")?;
        let settings = FleetSettings::demonstration(SEED, folder.path.clone());
        let fleet = Fleet::start(settings).await?;
        let file = folder.path.join("mirrorlag.yaml");
        let text = configuration(&fleet, &folder.path, sink.as_deref());
        fs::write(&file, text).map_err(|source| FolderError {
            path: file.clone(),
            source,
        })?;
        // That several `topics:` entries of one group cost more than one of `groups:` is warned of, and is part of the show.
        let mut config = config::load(&file, env).map_err(told_of_the_url)?.config;
        // A configuration needs a sink; without a URL the demonstration has none and shows what the journal has.
        config.sinks.stdout = false;
        let pipeline = Pipeline::start(config).await?;
        let stop = CancellationToken::new();
        Ok(Self {
            fleet,
            journal: pipeline.journal(),
            statuses: pipeline.statuses(),
            pipeline: tokio::spawn(pipeline.run_until(stop.clone(), None)),
            stop,
            started,
            _folder: folder,
        })
    }

    /// Mirror hosts and topics of the fleet.
    pub fn size(&self) -> (usize, usize) {
        let groups = self.fleet.hosts().flat_map(|(host, _)| &host.groups);
        (
            self.fleet.hosts().count(),
            groups.map(|group| group.topics.len()).sum(),
        )
    }

    /// What it collects, as it comes.
    pub fn follow(&self) -> mpsc::Receiver<Update> {
        watch::follow_own(self.journal.clone())
    }

    /// What it did so far.
    pub async fn progress(&self) -> Progress {
        Progress {
            running_for: self.started.elapsed(),
            records: *self.journal.head().borrow(),
            journal_bytes: self.journal.size().await.ok().map(|size| size.bytes),
            sinks: self.statuses.iter().map(|s| s.to_string()).collect(),
        }
    }

    /// Ends the pipeline in order, then the fleet, and removes the folder.
    pub async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.pipeline.await {
            tracing::error!(%error, "the pipeline of the demonstration broke off");
        }
        drop(self.journal);
        self.fleet.stop().await;
    }
}

/// The configuration of a demonstration, in both shapes: every topic for itself, whole groups, and groups with a list.
fn configuration(fleet: &Fleet, folder: &Path, sink: Option<&str>) -> String {
    let access = fleet.access();
    let (mut hosts, mut topics, mut groups) = (String::new(), String::new(), String::new());
    for (number, (host, port)) in fleet.hosts().enumerate() {
        let name = quoted(&host.name);
        let cluster = host.name.split('-').next().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            hosts,
            "  {name}: {{address: 127.0.0.1, port: {port}, cluster: {}}}",
            quoted(cluster)
        );
        for group in &host.groups {
            let id = quoted(&group.name);
            let names: Vec<String> = group.topics.iter().map(|t| quoted(&t.name)).collect();
            let _ = match number % 3 {
                0 => names.iter().try_for_each(|topic| {
                    writeln!(
                        topics,
                        "  - {{topic: {topic}, mirror_host: {name}, group: {id}}}"
                    )
                }),
                1 => writeln!(groups, "  - {{group: {id}, mirror_host: {name}}}"),
                _ => writeln!(
                    groups,
                    "  - {{group: {id}, mirror_host: {name}, topics: [{}]}}",
                    names.join(", ")
                ),
            };
        }
    }
    format!(
        "defaults:
  interval: 1s
  describe_timeout: 10s
  bootstrap_servers: ['127.0.0.1:9092']
  ssh: {{user: {}, private_key: {}, known_hosts: {}}}
  kafka: {{consumer_groups: {CONSUMER_GROUPS}, timeout: 2s}}
mirror_hosts:
{hosts}topics:
{topics}groups:
{groups}journal: {{path: {}, retain_for: 10m, bytes_max: 256MiB}}
sinks:
  {}
",
        quoted(&access.user),
        quoted_path(&access.private_key),
        quoted_path(&access.known_hosts),
        quoted_path(&folder.join("journal.db")),
        sink.unwrap_or("stdout: {}"),
    )
}

/// The `elasticsearch:` sink, with the credentials that the environment has.
fn sink(url: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Error> {
    if url.contains('@') {
        return Err(Error::Elasticsearch {
            what: "has a user name or password in it".to_owned(),
            mend: "remove what stands before the @, and set ES_USERNAME and ES_PASSWORD".to_owned(),
        });
    }
    let url = quoted(url);
    let credentials = if env("ES_API_KEY").is_some() {
        ", api_key_env: ES_API_KEY".to_owned()
    } else if env("ES_PASSWORD").is_some() {
        let username = env("ES_USERNAME").unwrap_or_else(|| "elastic".to_owned());
        format!(
            ", username: {}, password_env: ES_PASSWORD",
            quoted(&username)
        )
    } else {
        String::new()
    };
    Ok(format!("elasticsearch: {{urls: [{url}]{credentials}}}"))
}

/// All that a user can do wrong in this configuration is the sink.
fn told_of_the_url(problems: config::Problems) -> Error {
    let is_sink = |p: &&config::Problem| p.place.key.starts_with("sinks.");
    match problems.errors.iter().find(is_sink) {
        Some(problem) => Error::Elasticsearch {
            what: problem.what.clone(),
            mend: problem.mend.clone(),
        },
        None => Error::Config(problems),
    }
}

/// A YAML scalar.
fn quoted(text: &str) -> String {
    // A JSON string is a YAML string.
    serde_json::Value::from(text).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

#[cfg(test)]
mod tests;
