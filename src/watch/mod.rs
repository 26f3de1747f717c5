//! In: samples, how the run and its sinks stand, keys, the instant. Out: frames of a full-screen view of them.
//! Never: reads the journal, a clock or the environment, writes to a terminal.

// Text and colours that no terminal trips over.
mod look;
// How fast a lag changes.
mod trend;
// The latest sample of every topic, and its last minutes.
mod history;
// What a key asks for.
mod keys;
// Columns that fit a width.
mod grid;
// One file per page.
mod partitions_page;
mod sinks_page;
mod sources_page;
mod topics_page;
// Title, body, footer.
mod frame;
// Which page, which row, which order.
mod screen;

pub use history::{Topic, TopicKey, Topics};
pub use look::{Look, age};
pub use screen::{Flow, Watch};

use chrono::{DateTime, TimeDelta, Utc};

use crate::kafka::Outcome;

/// What came since the update before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// In the order of the journal.
    pub samples: Vec<crate::sample::Sample>,
    /// `None`: as before.
    pub standing: Option<Standing>,
    /// Why nothing comes just now; `None`: nothing is in the way.
    pub trouble: Option<String>,
    /// Whether the journal is another one than before: what was shown is not in it.
    pub is_another: bool,
}

/// How the run, its sources and its sinks stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether somebody collects.
    pub is_alive: bool,
    /// Since when and as which process, or since when not.
    pub run: String,
    /// What the journal holds, in a line.
    pub journal: String,
    /// Dead letters of all sinks.
    pub letters: u64,
    pub sources: Vec<Source>,
    pub sinks: Vec<Sink>,
    /// What is unhealthy, each with what to type next.
    pub problems: Vec<String>,
}

/// One source as it last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub mirror_host: String,
    pub group: String,
    /// Time between two ticks.
    pub interval: TimeDelta,
    pub is_healthy: bool,
    /// `None`: not connected.
    pub connected_since: Option<DateTime<Utc>>,
    /// The last outcome and when it was known; `None` before the first.
    pub last: Option<(Outcome, DateTime<Utc>)>,
    /// Why the last outcome is not `ok`, or why it is not connected.
    pub reason: Option<String>,
    pub topics: usize,
    pub rounds: u64,
    pub skipped: u64,
    pub timeouts: u64,
    pub reconnects: u64,
}

/// One sink: its position from the journal, its phase as it last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    pub name: String,
    pub is_healthy: bool,
    pub position: u64,
    /// Records that it has not had.
    pub behind: u64,
    /// Age of the oldest of those.
    pub behind_for: TimeDelta,
    /// Records stored since the start; `None` where it has not said.
    pub stored: Option<u64>,
    /// `None` where it has not said.
    pub phase: Option<Phase>,
    /// Since when it retries or holds.
    pub since: Option<DateTime<Utc>>,
    /// Why it retries or holds.
    pub reason: Option<String>,
}

/// What a sink does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Working,
    Retrying,
    Holding,
}

#[cfg(test)]
mod tests;
