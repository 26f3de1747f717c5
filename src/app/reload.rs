//! In: requests to read the configuration again, and its path. Out: what was read; what became of it, in the log.
//! Never: changes anything itself.

use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::deliveries::SinkChanges;
use crate::collector::SourceChanges;
use crate::config::{self, Loaded, Problems};
use crate::hangup::Hangups;

/// Where a changed configuration comes from.
#[derive(Debug)]
pub struct Reloads {
    path: PathBuf,
    hangups: Hangups,
    reading: Option<JoinHandle<Result<Loaded, Problems>>>,
}

/// What became of each source and sink when a configuration was taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    pub sources: SourceChanges,
    pub sinks: SinkChanges,
}

impl Reloads {
    /// At each request, `path` is read again, in the environment of the start.
    pub fn new(path: &Path, hangups: Hangups) -> Self {
        Self {
            path: path.to_owned(),
            hangups,
            reading: None,
        }
    }

    /// The configuration as it is at the next request. Dropping this future loses none.
    pub(super) async fn next(&mut self) -> Result<Loaded, Problems> {
        loop {
            let reading = match &mut self.reading {
                Some(reading) => reading,
                None => {
                    self.hangups.next().await;
                    let path = self.path.clone();
                    // On a thread of its own: a file system that hangs must not stop the summaries, or the end.
                    self.reading.insert(tokio::task::spawn_blocking(move || {
                        config::load(&path, &|name| std::env::var(name).ok())
                    }))
                }
            };
            let read = reading.await;
            self.reading = None;
            match read {
                Ok(loaded) => return loaded,
                // A panic is printed by the runtime; the next request reads again.
                Err(error) => tracing::error!(%error, "the configuration was not read"),
            }
        }
    }
}

/// Says that nothing was changed, and every reason, one line each, in the words of the start.
pub(super) fn log_problems(problems: &Problems) {
    for line in problems.to_string().lines() {
        tracing::error!("{line}");
    }
    tracing::error!(
        problems = problems.errors.len(),
        "configuration not changed: mend the file and send SIGHUP again"
    );
}

/// The one line of a configuration that was taken; names at a higher verbosity.
pub(super) fn log_changes(changes: &Changes) {
    let Changes { sources, sinks } = changes;
    tracing::info!(
        kept = sources.kept.len(),
        added = sources.added.len(),
        changed = sources.changed.len(),
        removed = sources.removed.len(),
        sinks_kept = sinks.kept.len(),
        sinks_added = sinks.added.len(),
        sinks_changed = sinks.changed.len(),
        sinks_removed = sinks.removed.len(),
        "configuration taken"
    );
    for (what, names) in [
        ("added", &sources.added),
        ("changed", &sources.changed),
        ("removed", &sources.removed),
        ("kept", &sources.kept),
    ] {
        for source in names {
            tracing::debug!(source, what, "configuration taken");
        }
    }
    for (what, names) in [
        ("added", &sinks.added),
        ("changed", &sinks.changed),
        ("removed", &sinks.removed),
        ("kept", &sinks.kept),
    ] {
        for sink in names {
            tracing::debug!(sink, what, "configuration taken");
        }
    }
}
