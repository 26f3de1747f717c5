//! Tests on real parts: OpenSSH, Kafka with MirrorMaker, Elasticsearch. `tests/run` starts them and names them in MIRRORLAG_LAB.

// What the tests stand on.
mod cable;
mod collector;
mod elasticsearch;
mod kafka;
mod lab;
mod namespace;
mod process;
mod sshd;

// What is claimed.
mod commands;
mod delivery;
mod nothing_left;
mod numbers;
mod outcomes;
mod ssh_faults;
mod versions;
