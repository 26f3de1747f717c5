//! In: a source without a link. Out: the link, or why there is none yet.
//! Never: lets the ticks wait for it: it is opened in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::SourceSettings;
use super::link::{Error, HostShare, Link};

/// The link of a source, or the attempt to open one.
pub(super) enum Connection {
    Up(Box<Link>),
    Opening(Opening),
}

/// A link being opened; dropping it gives the attempt up.
pub(super) struct Opening {
    pub task: JoinHandle<Result<Link, Error>>,
    /// Why the link before this one ended or could not be opened; `None` at the start.
    failed: Option<Error>,
    /// The first attempt at the start or after a link was lost: worth waiting for.
    pub is_first: bool,
}

impl Opening {
    /// Begins after `wait`.
    pub(super) fn start(
        settings: &Arc<SourceSettings>,
        share: &HostShare,
        wait: Duration,
        failed: Option<Error>,
        is_first: bool,
    ) -> Self {
        let (settings, share) = (settings.clone(), share.clone());
        let task = tokio::spawn(async move {
            sleep(wait).await;
            Link::open(&settings, &share).await
        });
        Self {
            task,
            failed,
            is_first,
        }
    }

    /// One line for the `reason` of a document.
    pub(super) fn why_not_yet(&self, share: &HostShare, settings: &SourceSettings) -> String {
        let failed = self.failed.as_ref().map(Error::reason);
        failed
            .or_else(|| share.last_failure(&settings.mirror_host.ssh))
            .unwrap_or_else(|| "still connecting".to_owned())
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
