//! In: what one check of one link saw. Out: a `Finding` that says so in one line, with the mend.
//! Never: checks anything itself.

use std::time::Duration;

/// One link between the workstation, a mirror host, Kafka and a sink, and what a check of it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: a mirror host, a topic, a sink.
    pub subject: String,
    /// The link that was proven: `tcp`, `host key`, `login`, `index`, ...
    pub link: &'static str,
    pub verdict: Verdict,
    /// Time the check of this link took.
    pub took: Duration,
}

/// What was seen of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It works; the text says what was seen (a version, a fingerprint, a count).
    Passed(String),
    /// It works, at a cost that the operator should know.
    Warned { what: String, mend: String },
    /// It does not work.
    Failed { why: String, mend: String },
    /// It was not tried, because a link before it failed.
    Skipped(String),
}
