//! In: the journal of a run in another process, or one that this process collects into. Out: its samples and notes as they come.
//! Never: takes the lock of a run, delivers anything, gives up because the journal is not there now.

mod follower;
mod standing;

use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::follower::Follower;
use super::temporary::{Folder, FolderError};
use super::{Pipeline, StartError};
use crate::config::Config;
use crate::journal::{self, Holder, Journal, View};
use crate::watch::Update;

/// The journal is looked at this often: an operator sees no difference to at once.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Updates that wait for the screen: it draws the latest of them only.
const UPDATES_MAX: usize = 2;

/// Ages and size limit of the journal that `watch --collect` keeps for itself: a little more than what is shown.
const OWN_RETAIN_FOR: Duration = Duration::from_secs(10 * 60);
const OWN_BYTES_MAX: u64 = 256 << 20;

/// Why `watch --collect` could not start.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error("{0}")]
    Folder(#[from] FolderError),
    #[error("{0}")]
    Start(#[from] StartError),
    /// Two collectors would ask each host for more at once than its limits say.
    #[error(
        "a run ({}) collects already what this configuration names; leave --collect away to watch that one, which asks no host",
        pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"))
    )]
    IsCollected { pid: Option<u32> },
}

/// A pipeline of its own, without sinks, on a temporary journal.
pub struct Collecting {
    pipeline: JoinHandle<()>,
    stop: CancellationToken,
    journal: Journal,
    /// Last, so that it is removed when all else is closed.
    _folder: Folder,
}

impl Collecting {
    /// Starts the sources of `config`; its journal and sinks are left alone.
    ///
    /// # Errors
    /// A run collects the same, no folder can be had, or what keeps `run` from starting.
    pub async fn start(mut config: Config) -> Result<Self, CollectError> {
        // A journal that cannot be looked at has no run that could be found: that is no reason not to look at the hosts.
        let view = View::open(&config.journal.path).and_then(|view| view.holder());
        if let Ok(Some(Holder { pid })) = view {
            return Err(CollectError::IsCollected { pid });
        }
        let folder = Folder::make(&std::env::temp_dir(), "watch")?;
        config.sinks.elasticsearch = None;
        config.sinks.stdout = false;
        config.journal = journal::Settings {
            path: folder.path.join("journal.db"),
            retain_for: OWN_RETAIN_FOR,
            bytes_max: OWN_BYTES_MAX,
        };
        let pipeline = Pipeline::start(config).await?;
        let stop = CancellationToken::new();
        Ok(Self {
            journal: pipeline.journal(),
            pipeline: tokio::spawn(pipeline.run_until(stop.clone(), None)),
            stop,
            _folder: folder,
        })
    }

    /// What it collects, as it comes.
    pub fn follow(&self) -> mpsc::Receiver<Update> {
        follow_own(self.journal.clone())
    }

    /// Ends the pipeline in order and removes its journal.
    pub async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.pipeline.await {
            tracing::error!(%error, "the pipeline of watch broke off");
        }
    }
}

/// What the journal at `path` gets from the run that another process is, until the receiver is dropped; `config` is the file that named it.
pub fn follow_run(path: &Path, config: Option<&Path>) -> mpsc::Receiver<Update> {
    follow(Follower::of_run(path, config))
}

/// What the journal of this process gets, until the receiver is dropped.
pub(super) fn follow_own(journal: Journal) -> mpsc::Receiver<Update> {
    follow(Follower::of_this_process(journal, Handle::current()))
}

fn follow(mut follower: Follower) -> mpsc::Receiver<Update> {
    let (send, updates) = mpsc::channel(UPDATES_MAX);
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // While there is more to read, the next look follows at once.
            if !follower.has_more() {
                tokio::select! {
                    _ = looks.tick() => {}
                    () = send.closed() => return,
                }
            }
            // A locked file or a file system that hangs must not hold the screen up.
            let look = tokio::task::spawn_blocking(move || {
                let update = follower.look(Utc::now());
                (follower, update)
            });
            let Ok((back, update)) = look.await else {
                return;
            };
            follower = back;
            if let Some(update) = update
                && send.send(update).await.is_err()
            {
                return;
            }
        }
    });
    updates
}

#[cfg(test)]
mod tests;
