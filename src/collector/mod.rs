//! In: sources (a host, a group, its topics). Out: exactly one record in the journal per topic and tick.
//! Never: knows a sink, runs two describes of one source at once.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use crate::{kafka, ssh};

/// One machine we SSH to.
#[derive(Debug, Clone)]
pub struct MirrorHost {
    /// Name in the configuration, and the document's `mirror_host`.
    pub name: String,
    /// Name of the Kafka cluster it mirrors from; `None` where the configuration has none.
    pub cluster: Option<String>,
    pub ssh: ssh::Settings,
    pub kafka: kafka::Settings,
    /// Describes that may run on it at once.
    pub describes_per_host: usize,
    /// SSH handshakes that may be under way with it at once.
    pub handshakes_per_host: usize,
}

/// One SSH session with one loop on one mirror host: one group, one or more topics.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Unique and stable: decides the phase of its ticks. `<mirror_host>/<group>/<topic>` or `<mirror_host>/<group>`.
    pub name: String,
    pub mirror_host: Arc<MirrorHost>,
    pub describe: kafka::Describe,
    /// Time between two ticks.
    pub interval: Duration,
    pub topics: Topics,
}

/// Which topics of the group's table are recorded.
#[derive(Debug, Clone)]
pub enum Topics {
    /// An entry of `topics:`: this one.
    One(String),
    /// A `groups:` entry with a list: these, each in every tick.
    Listed(Vec<String>),
    /// A `groups:` entry without a list: whatever the table has, but for names that match one of these.
    All { exclude: Vec<Regex> },
}
