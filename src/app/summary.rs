//! In: the numbers of the collector and of every sink. Out: one log line a minute.
//! Never: counts anything itself.

use crate::collector::Tally;
use crate::kafka::Outcome;

/// Logs what the last minute brought.
pub(super) fn log_collector(minute: &Tally) {
    tracing::info!(
        rounds = minute.rounds,
        ok = minute.of(Outcome::Ok),
        no_rows = minute.of(Outcome::NoRows),
        group_missing = minute.of(Outcome::GroupMissing),
        cli_error = minute.of(Outcome::CliError),
        timeout = minute.of(Outcome::Timeout),
        ssh_error = minute.of(Outcome::SshError),
        skipped_ticks = minute.skipped,
        connects = minute.connects,
        connections_lost = minute.losses,
        samples_held = minute.held,
        samples_given_up = minute.unstored,
        table_problems = minute.problems,
        "last minute"
    );
}
