//! What takes longer than a minute; `tests/run --long` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code
)]

#[path = "../support/bulk_server.rs"]
mod bulk_server;
#[path = "../process/kill.rs"]
mod kill;
#[path = "../process/run.rs"]
mod run;
#[path = "../process/suspend.rs"]
mod suspend;

use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn killed_two_hundred_times_nothing_acknowledged_is_lost_or_doubled() {
    kill::kill_again_and_again(200).await;
}

/// Longer than the lease of the loop on the host, and than `dead_after`.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_suspended_for_over_a_minute_goes_on_and_makes_up_for_nothing() {
    suspend::suspended_for(Duration::from_secs(75)).await;
}
