//! SIGHUP takes a changed configuration, and the process knows its own limits: the real binary on a simulated fleet.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "../support/bulk_server.rs"]
mod bulk_server;

// What the tests stand on.
mod journal;
mod run;
mod site;

// What is claimed.
mod limits;
mod process;
mod sequences;
mod sinks;
mod sources;
