//! Tests on real parts: OpenSSH, Kafka with MirrorMaker, Elasticsearch. `tests/run` starts them and names them in MIRRORLAG_LAB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // in functions that tests call, which clippy does not know as tests

// What the tests stand on.
mod cable;
mod collector;
mod elasticsearch;
mod http;
mod kafka;
mod lab;
mod namespace;
mod process;
mod sshd;
mod toxiproxy;

// What is claimed.
mod bastion;
mod commands;
mod delivery;
mod nothing_left;
mod numbers;
mod outcomes;
mod ssh_faults;
mod versions;
