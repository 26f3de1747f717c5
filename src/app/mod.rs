//! In: a `Config` and a shutdown signal. Out: the running program, or what one of its commands found.
//! Never: prints, parses arguments.

pub mod check;
mod deliveries;
pub mod demo;
pub mod letters;
mod limits;
pub mod moves;
pub mod notes;
mod pipeline;
mod reload;
pub mod setup;
pub mod status;
mod summary;
mod temporary;
pub mod watch;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use crate::collector::{self, Answer};
use crate::config::Config;
use crate::journal;

pub use self::deliveries::SinkChanges;
pub use self::limits::TooFewDescriptors;
pub use self::pipeline::{NotTaken, Pipeline, StartError};
pub use self::reload::{Changes, Reloads};

/// Collects until `stop`, then ends in order: collectors, delivery, journal. At each request of `reloads` a changed configuration
/// is taken, and what did not change goes on.
///
/// # Errors
/// The journal or a sink's settings do not allow a start; nothing was asked of any host then.
pub async fn run(
    config: Config,
    reloads: Reloads,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let pipeline = Pipeline::start(config).await?;
    pipeline.run_until(stop, Some(reloads)).await;
    Ok(())
}

/// Moves a damaged journal aside, so that `run` begins a new one, and says where to.
///
/// # Errors
/// The journal is sound, in use, or not a journal of this program: nothing was moved.
pub fn reset_journal(config: &Config) -> Result<(), journal::Error> {
    match journal::reset(&config.journal, Utc::now())? {
        Some(aside) => {
            let recover = format!("sqlite3 {} .recover", aside.display());
            tracing::warn!(
                moved_to = %aside.display(),
                recover,
                "the damaged journal was moved aside, a new one begins; what no sink has had is only in the old one"
            );
        }
        None => tracing::info!("there is no journal to move aside"),
    }
    Ok(())
}

/// One round of every source, written nowhere; `each` is told each answer as it comes.
pub async fn once(config: Config, each: impl FnMut(Answer)) {
    collector::once(config.sources, each).await;
}
