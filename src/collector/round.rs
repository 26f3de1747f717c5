//! In: how one round ended. Out: a sample for each topic it must account for.
//! Never: does I/O, reads a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::SourceSettings;
use super::schedule::Tick;
use crate::kafka::{self, Description, Failure, GroupState, Outcome, RoundText, Row};
use crate::sample::{ANY_TOPIC, Sample, partitions_of};

/// How the round of one tick ended.
pub(super) enum Round {
    /// The CLI ran; this is what it said.
    Text(RoundText),
    /// It did not, or nothing came back.
    Failed { failure: Failure, was_asked: bool },
}

impl Round {
    /// The connection was not there.
    pub(super) fn without_link(reason: String) -> Self {
        Self::ssh_error(reason, false)
    }

    /// The connection broke under the round; how long that took explains the ticks skipped meanwhile.
    pub(super) fn lost(reason: String) -> Self {
        Self::ssh_error(reason, true)
    }

    fn ssh_error(reason: String, was_asked: bool) -> Self {
        Self::Failed {
            failure: Failure {
                outcome: Outcome::SshError,
                reason,
            },
            was_asked,
        }
    }

    /// Nothing came within the describe's limit and the time a host needs to kill it.
    pub(super) fn silent(limit: Duration) -> Self {
        Self::Failed {
            failure: Failure {
                outcome: Outcome::Timeout,
                reason: format!(
                    "no answer from the mirror host within describe_timeout ({}s)",
                    limit.as_secs()
                ),
            },
            was_asked: true,
        }
    }

    /// More came than is read of one round; the session was ended over it.
    pub(super) fn too_much(bytes_max: u64) -> Self {
        Self::Failed {
            failure: Failure {
                outcome: Outcome::CliError,
                reason: format!(
                    "the CLI printed more than fits, the session was ended after {bytes_max} bytes"
                ),
            },
            was_asked: true,
        }
    }

    /// Whether the describe was left while it still printed.
    pub(super) fn is_too_much(&self) -> bool {
        matches!(self, Self::Failed { failure, .. } if failure.outcome == Outcome::CliError)
    }

    /// Whether a describe was run for it.
    fn was_asked(&self) -> bool {
        matches!(
            self,
            Self::Text(_)
                | Self::Failed {
                    was_asked: true,
                    ..
                }
        )
    }

    /// Milliseconds that the round took; `None` where there was no connection to ask on.
    pub(super) fn round_ms(&self, took: Duration) -> Option<u64> {
        self.was_asked()
            .then(|| u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }

    /// What the round says of `group`.
    pub(super) fn describe(&self, group: &str) -> Description<'_> {
        match self {
            Self::Text(text) => kafka::read(group, text),
            Self::Failed { failure, .. } => Description {
                rows: Vec::new(),
                problems: Vec::new(),
                group_state: GroupState::Unknown,
                failure: Some(failure.clone()),
            },
        }
    }
}

/// The topics in the table of a round; `None`: no table came.
pub(super) fn listed<'a>(description: &Description<'a>) -> Option<BTreeSet<&'a str>> {
    let topics = || description.rows.iter().map(|row| row.topic).collect();
    description.failure.is_none().then(topics)
}

/// One sample per topic of `topics`; where that is empty, one for `ANY_TOPIC`, so that no tick stays without a record.
pub(super) fn samples<'a>(
    settings: &'a SourceSettings,
    tick: Tick,
    description: &'a Description<'a>,
    topics: &'a [String],
    round_ms: Option<u64>,
) -> impl Iterator<Item = Sample> + 'a {
    let mut rows: BTreeMap<&str, Vec<&Row<'_>>> = BTreeMap::new();
    for row in &description.rows {
        rows.entry(row.topic).or_default().push(row);
    }
    let any = topics.is_empty().then_some(ANY_TOPIC);
    topics
        .iter()
        .map(String::as_str)
        .chain(any)
        .map(move |topic| {
            let rows = rows.get(topic).map_or(&[][..], Vec::as_slice);
            let (outcome, reason) = outcome_of(topic, rows.is_empty(), description, settings);
            Sample {
                sampled_at: tick.at,
                clock_generation: tick.generation,
                topic: topic.to_owned(),
                group: settings.describe.group.clone(),
                mirror_host: settings.mirror_host.name.clone(),
                cluster: settings.mirror_host.cluster.clone(),
                outcome,
                group_state: description.group_state,
                reason,
                partitions: partitions_of(rows.iter().copied()),
                round_ms,
            }
        })
}

fn outcome_of(
    topic: &str,
    has_no_rows: bool,
    description: &Description<'_>,
    settings: &SourceSettings,
) -> (Outcome, Option<String>) {
    match &description.failure {
        // A group's failure beside its own rows would contradict itself; the rows are what the CLI printed.
        _ if !has_no_rows => (Outcome::Ok, None),
        Some(failure) => (failure.outcome, Some(failure.reason.clone())),
        None if topic == ANY_TOPIC => {
            let reason = format!(
                "the table of group {:?} has no topic",
                settings.describe.group
            );
            (Outcome::NoRows, Some(reason))
        }
        None => {
            let reason = format!(
                "topic {topic:?} is not in the table of group {:?}",
                settings.describe.group
            );
            (Outcome::NoRows, Some(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_round_that_found_no_connection_was_not_asked() {
        assert!(Round::lost("it broke".to_owned()).was_asked());
        assert!(Round::silent(Duration::from_secs(1)).was_asked());
        assert!(!Round::without_link("still connecting".to_owned()).was_asked());
    }
}
