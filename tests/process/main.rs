//! What happens to the process and to its journal: killed, stopped, suspended, a clock that is set, a disk that is full.
//! The table of all rows is `tests/faults/process.md`; what takes longer than a minute is in `tests/long`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../support/bulk_server.rs"]
mod bulk_server;
mod clock;
mod kill;
mod pressure;
mod run;
mod stop;
mod suspend;

use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_nothing_acknowledged_is_lost_or_doubled() {
    kill::kill_again_and_again(15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_suspended_goes_on_and_makes_up_for_nothing() {
    suspend::suspended_for(Duration::from_secs(6)).await;
}
