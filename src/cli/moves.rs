//! In: a configuration and what to move or delete. Out: a line for each step, as it is done.
//! Never: stops in the middle because nobody reads.

use std::io::{self, Write};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::complain;
use super::exit::Exit;
use crate::app::moves::{self, MovesError};
use crate::config::Config;

/// The shortest age that is deleted: what is younger is being looked at.
const AGE_MIN: Duration = Duration::from_secs(86_400);

/// Reads `30d`.
///
/// # Errors
/// It is no duration, or too short.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let age =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write it as in 30d"))?;
    match age < AGE_MIN {
        true => Err("the shortest is 1d".to_owned()),
        false => Ok(age),
    }
}

/// Moves the index to the new mapping.
pub(super) async fn migrate(config: Config, is_dry_run: bool, stop: CancellationToken) -> Exit {
    ended(moves::migrate(&config, is_dry_run, &stop, &mut say).await)
}

/// Deletes what is old.
pub(super) async fn prune(
    config: Config,
    older_than: Option<Duration>,
    is_dry_run: bool,
    stop: CancellationToken,
) -> Exit {
    ended(moves::prune(&config, older_than, is_dry_run, &stop, &mut say).await)
}

fn ended(result: Result<(), MovesError>) -> Exit {
    let Err(error) = result else {
        return Exit::Done;
    };
    complain(&error);
    match error.is_of_configuration() {
        true => Exit::Configuration,
        false => Exit::Partial,
    }
}

fn say(line: String) {
    // A reader that went away must not leave an index half moved.
    let _gone = writeln!(io::stdout(), "{line}");
}
