//! In: a `Config` and a shutdown signal. Out: the running program, or what one of its commands found.
//! Never: prints, parses arguments.

pub mod check;
pub mod demo;
pub mod letters;
pub mod notes;
mod pipeline;
pub mod status;
mod summary;

use tokio_util::sync::CancellationToken;

use crate::collector::{self, Answer};
use crate::config::Config;

pub use self::pipeline::{Pipeline, StartError};

/// Collects until `stop`, then ends in order: collectors, delivery, journal.
///
/// # Errors
/// The journal or a sink's settings do not allow a start; nothing was asked of any host then.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), StartError> {
    let pipeline = Pipeline::start(config).await?;
    pipeline.run_until(stop).await;
    Ok(())
}

/// One round of every source, written nowhere; `each` is told each answer as it comes.
pub async fn once(config: Config, each: impl FnMut(Answer)) {
    collector::once(config.sources, each).await;
}
