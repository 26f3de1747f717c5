//! mirrorlag reads the consumer-group lag of Kafka MirrorMaker over SSH and indexes it into Elasticsearch.
//!
//! The rooms below stand in the order in which data flows; `ARCHITECTURE.md` is the map.

// Lines of stdout and stderr of a command on a mirror host.
pub mod ssh;
// The describe command, and what its text means.
pub mod kafka;
// One topic of one group at one instant.
pub mod sample;
// One task per topic: tick, describe, sample, journal.
pub mod collector;
// Records on local disk, read from committed positions.
pub mod journal;
// One batch in, the fate of each record out.
pub mod sinks;
// Journal to sink: batches, retries, holds, dead letters.
pub mod delivery;

// What Kibana and Grafana import, and what each panel asks.
pub mod kibana;
// What an operator's command makes, moves and takes away in a sink and in Kibana.
pub mod setup;

// YAML into the settings of every room.
pub mod config;
// A MirrorMaker fleet behind a real SSH server in this process.
pub mod simulator;
// What a full-screen view shows, key by key.
pub mod watch;
// Joins the rooms into commands.
pub mod app;
// Arguments in, text on the terminal out.
pub mod cli;

// Corridors any room may use.
pub mod backoff;
pub mod finding;
pub mod hangup;
pub mod shutdown;
pub mod telemetry;
