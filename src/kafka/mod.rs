//! In: what to ask of which group; then the text that the CLI printed. Out: the command line for the remote shell; rows and problems.
//! Never: does I/O, reads a clock, panics, guesses a number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

// Where words of a line end.
mod blanks;
// Words of a table's first line: which columns, in which layout.
mod header;
// What to run on the mirror host.
mod loop_command;
// Texts of the CLI, the JVM and the shell: outcome, state of the group, reason.
mod messages;
// Both streams of one round: rows and problems.
mod read;
// One line of the table.
mod row;
// Partitions that a table has listed.
mod seen;
// Lines of both streams, cut into rounds by the marker.
mod transcript;

pub use loop_command::{LOOP_SCRIPT, Unquotable, loop_command};
pub use read::read;
pub use transcript::{Progress, RoundText, Stream, Transcript, hello_line, marker_line};

/// Where and how the CLI runs on a mirror host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Absolute path of `kafka-consumer-groups.sh` on the mirror host.
    pub consumer_groups: String,
    /// `JAVA_HOME` for the CLI; `None`: what the login has.
    pub java_home: Option<String>,
    /// How heavy the CLI's JVM may be.
    pub jvm: Jvm,
    /// The CLI's own `--timeout` per admin call; `None`: the CLI's default (5 s to Kafka 4.0, 30 s from 4.1).
    pub timeout: Option<Duration>,
}

/// How the JVM of a describe is started on the mirror host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jvm {
    /// Small heap, serial collector, first-tier compiler: least CPU for a process that lives one second.
    Light,
    /// `KAFKA_HEAP_OPTS` and `KAFKA_JVM_PERFORMANCE_OPTS` are left as the login has them.
    AsIs,
}

/// One question to the CLI: the offsets of one consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Describe {
    /// Consumer group id; may contain spaces.
    pub group: String,
    /// `host:port` of brokers of the cluster that is mirrored from; never empty.
    pub bootstrap_servers: Vec<String>,
    /// Absolute path of the client properties file on the mirror host, for `--command-config`.
    pub command_config: Option<String>,
    /// A describe that runs longer is killed on the mirror host.
    pub limit: Duration,
}

/// What a round brought for one topic. The words are the same in documents, logs and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Rows of this topic were in the table.
    Ok,
    /// The table came, the topic is not in it.
    NoRows,
    /// The group does not exist.
    GroupMissing,
    /// The CLI, its JVM or the shell failed; the reason is its first line.
    CliError,
    /// The describe outlived its limit.
    Timeout,
    /// Connecting, host key, login or the connection failed; the reason says which.
    SshError,
}

impl Outcome {
    /// Every outcome, best first; the discriminant of each is its place here.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::NoRows,
        Self::GroupMissing,
        Self::CliError,
        Self::Timeout,
        Self::SshError,
    ];

    /// The word in documents, logs and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoRows => "no_rows",
            Self::GroupMissing => "group_missing",
            Self::CliError => "cli_error",
            Self::Timeout => "timeout",
            Self::SshError => "ssh_error",
        }
    }
}

impl GroupState {
    /// The word in documents, logs and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Empty => "empty",
            Self::Rebalancing => "rebalancing",
            Self::Unknown => "unknown",
        }
    }
}

/// State of the consumer group, as far as the CLI's messages tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// A table without any state message.
    Stable,
    /// No active members: nobody is mirroring.
    Empty,
    /// Partitions are being assigned anew; rows may be missing for a moment.
    Rebalancing,
    /// Nothing was said.
    Unknown,
}

/// One row of the table: the columns of Kafka, by their names. `None` is what the CLI prints as `-` or `unknown`.
///
/// Source: `ConsumerGroupCommand.PartitionAssignmentState`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub current_offset: Option<i64>,
    pub log_end_offset: Option<i64>,
    /// In records, as printed: negative stays negative.
    pub lag: Option<i64>,
    pub consumer_id: Option<&'a str>,
    /// The HOST column: where the consumer runs, as the broker sees it.
    pub consumer_host: Option<&'a str>,
    pub client_id: Option<&'a str>,
}

/// All that one describe said about one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description<'a> {
    /// Rows of the group asked for, in the order printed, each (topic, partition) at most once.
    pub rows: Vec<Row<'a>>,
    /// What could not be read or contradicts itself; bounded.
    pub problems: Vec<Problem>,
    pub group_state: GroupState,
    /// `Some` when the round as a whole brought no table: its outcome (never `Ok`) and the reason in the CLI's own words.
    pub failure: Option<Failure>,
}

/// Why a describe brought no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub outcome: Outcome,
    pub reason: String,
}

/// Something in the text that is not as Kafka prints it. Never fatal to other rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("topic {topic:?} partition {partition} is listed twice; the first row counts")]
    PartitionTwice { topic: String, partition: i32 },
    #[error("{count} lines under the header are not rows, the first: {first:?}")]
    NotRows { count: usize, first: String },
    #[error("unknown table header: {header:?}")]
    UnknownHeader { header: String },
    #[error("{count} lines were too long, were cut and not read")]
    CutLines { count: usize },
    #[error("too much output, the rest of the round was not read")]
    TooMuchOutput,
}

#[cfg(test)]
mod tests;
