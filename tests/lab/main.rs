//! Tests on real parts: OpenSSH, Kafka with MirrorMaker, Elasticsearch. `tests/run` starts them and names them in MIRRORLAG_LAB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // in functions that tests call, which clippy does not know as tests

// What the tests stand on.
mod cable;
mod collector;
mod elasticsearch;
mod http;
mod kafka;
mod lab;
mod login;
mod namespace;
mod process;
mod sshd;
mod toxiproxy;
mod two_hosts;

// What is claimed.
mod bastion;
mod commands;
mod delivery;
mod describe_faults;
mod elasticsearch_faults;
mod kibana;
mod layouts;
mod letters;
mod login_faults_as_root;
mod migrate;
mod network_faults_elasticsearch;
mod network_faults_ssh;
mod nothing_left;
mod numbers;
mod outcomes;
mod prune;
mod reload;
mod secrets;
mod server_faults_ssh;
mod setup;
mod ssh_faults;
mod versions;
