//! In: one thing that a server is to have. Out: how to look at it, what an answer says of it, how to make it and to take it back.
//! Never: sends a request, prints.

use super::request::Request;
use crate::sinks::elasticsearch::Answer;

/// Written into whatever has room for it, so that what is ours is told from what is somebody else's.
pub(super) const MANAGED_BY: &str = "mirrorlag";

/// Something that setup makes: every kind of it is handled in the same way (`apply`).
pub(super) trait Thing: Send + Sync {
    /// Kind and name, as an operator calls it: `index template consumer_lag`.
    fn name(&self) -> String;

    /// The request that shows it; it changes nothing.
    fn look(&self) -> Request;

    /// What the answer to `look` says of it.
    fn judge(&self, answer: &Answer) -> Found;

    /// The request that makes it where it is missing.
    fn make(&self) -> Request;

    /// Whether an answer to `make`, or to a change, says that it was done; else why not, with the mend.
    fn is_done(&self, answer: &Answer) -> Result<(), String> {
        match answer.is_success() {
            true => Ok(()),
            false => Err(answer.to_string()),
        }
    }

    /// The request that takes it back, or why it is never taken back and what to type instead.
    fn take_back(&self) -> Result<Request, String>;
}

/// What there is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    Missing,
    /// As it should be.
    Same,
    /// Ours, and not as it should be: what differs, and the request that mends it.
    Differs {
        what: String,
        change: Request,
    },
    /// It is there and works, and setup does not touch it: why, and what to type.
    Kept(String),
    /// It bears the name and was not made by us: how that is seen, and what to do about it.
    Foreign(String),
    /// The answer does not say: why, with the mend.
    Unclear(String),
}

/// What became of one thing; every text is one line, with the mend where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Created,
    /// What was different.
    Changed(String),
    Unchanged,
    Removed,
    /// It stays as it is, for a reason.
    Left(String),
    /// It was not tried, and nothing is wrong with that.
    Skipped(String),
    Failed(String),
}

impl Outcome {
    /// The word that a line begins with.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed(_) => "changed",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
            Self::Left(_) => "left",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }

    /// What stands behind the name; `None`: nothing more to say.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Created | Self::Unchanged | Self::Removed => None,
            Self::Changed(text) | Self::Left(text) | Self::Skipped(text) | Self::Failed(text) => {
                Some(text)
            }
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Kind and name of the thing.
    pub name: String,
    pub outcome: Outcome,
    /// What a dry run would have sent: then the outcome is what would have become of it.
    pub unsent: Option<Request>,
}

impl Line {
    pub(super) fn new(name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            name: name.into(),
            outcome,
            unsent: None,
        }
    }
}
