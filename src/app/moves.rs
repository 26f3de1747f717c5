//! In: a `Config`, what an operator wants moved or deleted in Elasticsearch. Out: the room `setup` at work, and what of the journal it must know.
//! Never: prints, opens a journal for writing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::journal::{self, View};
use crate::sample::Sample;
use crate::setup::prune::{Age, PruneError};
use crate::setup::{Say, migrate as room, prune as pruning};
use crate::sinks::elasticsearch::{self, AdminError, Settings};

pub use crate::setup::migrate::MigrateError;

/// Samples are not in the order of their ticks to the second: a round that takes long is appended after quicker ones of later ticks.
const DISORDER_MAX: TimeDelta = TimeDelta::days(1);

/// Letters looked at in one go.
const PAGE_LETTERS_MAX: usize = 500;
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Why nothing, or not all, was moved or deleted.
#[derive(Debug, thiserror::Error)]
pub enum MovesError {
    #[error("there is no elasticsearch in sinks; name its urls there")]
    NoElasticsearch,
    #[error("no age to delete by; give --older-than 30d, or retain_for in sinks.elasticsearch")]
    NoAge,
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Prune(#[from] PruneError),
}

impl MovesError {
    /// Whether the configuration is to blame, so that nothing was asked of the cluster.
    pub fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            Self::NoElasticsearch
                | Self::NoAge
                | Self::Migrate(MigrateError::Admin(AdminError::Settings(_)))
                | Self::Prune(PruneError::Admin(AdminError::Settings(_)))
        )
    }
}

/// Moves the sink's index to the new mapping.
///
/// # Errors
/// As `setup::migrate::migrate`; no Elasticsearch in the configuration.
pub async fn migrate(
    config: &Config,
    is_dry_run: bool,
    stop: &CancellationToken,
    say: &mut Say<'_>,
) -> Result<(), MovesError> {
    Ok(room::migrate(settings(config)?, is_dry_run, stop, say).await?)
}

/// Deletes what is older than `older_than`, or than `retain_for` without it.
///
/// # Errors
/// As `setup::prune::prune`; no Elasticsearch in the configuration, no age.
pub async fn prune(
    config: &Config,
    older_than: Option<Duration>,
    is_dry_run: bool,
    stop: &CancellationToken,
    say: &mut Say<'_>,
) -> Result<(), MovesError> {
    let settings = settings(config)?;
    let age = older_than.or(settings.retain_for);
    let age = age.and_then(|age| TimeDelta::from_std(age).ok());
    let before = age.and_then(|age| Utc::now().checked_sub_signed(age));
    let before = before.ok_or(MovesError::NoAge)?;
    let has_dates =
        settings.index.period().is_some() || settings.partitions_index.period().is_some();
    let oldest_unsent = match oldest_unsent(config) {
        Ok(oldest) => oldest,
        Err(error) => {
            if has_dates {
                say(format!(
                    "cannot look for samples that are not sent yet, which would make a deleted index anew: {error}"
                ));
            }
            None
        }
    };
    let age = Age {
        before,
        oldest_unsent,
    };
    Ok(pruning::prune(settings, age, is_dry_run, stop, say).await?)
}

fn settings(config: &Config) -> Result<&Settings, MovesError> {
    let settings = config.sinks.elasticsearch.as_ref();
    settings.ok_or(MovesError::NoElasticsearch)
}

/// The oldest instant of which Elasticsearch may still be sent a document: of a record that it has not had, or of a dead letter.
fn oldest_unsent(config: &Config) -> Result<Option<DateTime<Utc>>, journal::Error> {
    let view = View::open(&config.journal.path)?;
    let readers = view.snapshot()?.readers;
    let mut readers = readers.iter();
    let reader = readers.find(|reader| reader.name == elasticsearch::NAME);
    let position = reader.map_or(0, |reader| reader.position);
    let unsent = view.records(position, 1, usize::MAX)?;
    let mut oldest = unsent
        .first()
        .and_then(|record| tick_of(&record.body))
        .map(|tick| tick - DISORDER_MAX);
    let mut after = 0;
    loop {
        let page = view.letters(after, PAGE_LETTERS_MAX, PAGE_BYTES_MAX)?;
        let Some(last) = page.last() else {
            return Ok(oldest);
        };
        after = last.number;
        let ours = page
            .iter()
            .filter(|stored| stored.letter.reader == elasticsearch::NAME);
        let ticks = ours.filter_map(|stored| tick_of(&stored.letter.body));
        oldest = ticks.chain(oldest).min();
    }
}

/// `None` for a record that is no sample: it is never sent.
fn tick_of(body: &[u8]) -> Option<DateTime<Utc>> {
    let sample: Sample = serde_json::from_slice(body).ok()?;
    Some(sample.sampled_at)
}
