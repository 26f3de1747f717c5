//! In: which topics each table listed. Out: which topics a round must account for.
//! Never: reads a clock, forgets a topic while no table comes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Topics;
use super::schedule::UsedTicks;

/// A topic of a source without a list that is no longer in the table is reported `no_rows` for this long.
///
/// An hour outlives every rebalance and restart of a MirrorMaker, and ends the noise after a topic was deleted.
const MISSING_FOR: TimeDelta = TimeDelta::hours(1);

/// What a source knows across rounds and restarts: the mark it leaves in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub used: Option<UsedTicks>,
    /// Topics of a source without a list; the instant since when a table came without them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seen: BTreeMap<String, Option<DateTime<Utc>>>,
}

impl Memory {
    /// The topics that the round at `now` accounts for, given the topics `listed` in its table; `None`: no table came.
    ///
    /// Empty only for a source without a list that has not seen a topic yet.
    pub(super) fn account(
        &mut self,
        topics: &Topics,
        listed: Option<&BTreeSet<&str>>,
        now: DateTime<Utc>,
    ) -> Vec<String> {
        match topics {
            Topics::One(topic) => vec![topic.clone()],
            Topics::Listed(topics) => topics.clone(),
            Topics::All { exclude } => {
                if let Some(listed) = listed {
                    let wanted = listed
                        .iter()
                        .copied()
                        .filter(|topic| !exclude.iter().any(|pattern| pattern.is_match(topic)))
                        .collect();
                    self.update(&wanted, now);
                }
                // A changed `exclude` also holds for topics remembered from before.
                self.seen
                    .retain(|topic, _| !exclude.iter().any(|pattern| pattern.is_match(topic)));
                self.seen.keys().cloned().collect()
            }
        }
    }

    fn update(&mut self, listed: &BTreeSet<&str>, now: DateTime<Utc>) {
        for (topic, missing_since) in &mut self.seen {
            if listed.contains(topic.as_str()) {
                *missing_since = None;
            } else {
                // A clock that was set back must not keep a topic for longer than the hour.
                *missing_since = Some(missing_since.map_or(now, |since| since.min(now)));
            }
        }
        self.seen
            .retain(|_, missing_since| missing_since.is_none_or(|since| now - since < MISSING_FOR));
        for topic in listed {
            if !self.seen.contains_key(*topic) {
                self.seen.insert((*topic).to_owned(), None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn minute(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn all() -> Topics {
        Topics::All {
            exclude: vec![Regex::new("^heartbeats$").unwrap()],
        }
    }

    fn listed(topics: &'static [&'static str]) -> BTreeSet<&'static str> {
        topics.iter().copied().collect()
    }

    #[test]
    fn a_topic_that_left_the_table_is_accounted_for_one_hour_and_then_forgotten() {
        let mut memory = Memory::default();
        let table = listed(&["orders", "payments"]);
        memory.account(&all(), Some(&table), minute(0));
        let without = listed(&["orders"]);
        for at in [1, 30, 60] {
            assert_eq!(
                memory.account(&all(), Some(&without), minute(at)),
                ["orders", "payments"],
                "minute {at}"
            );
        }
        assert_eq!(
            memory.account(&all(), Some(&without), minute(61)),
            ["orders"]
        );
    }

    #[test]
    fn the_hour_does_not_run_while_no_table_comes() {
        let mut memory = Memory::default();
        memory.account(&all(), Some(&listed(&["orders"])), minute(0));
        assert_eq!(memory.account(&all(), None, minute(500)), ["orders"]);
        let empty = BTreeSet::new();
        assert_eq!(
            memory.account(&all(), Some(&empty), minute(501)),
            ["orders"]
        );
        assert!(memory.account(&all(), Some(&empty), minute(561)).is_empty());
    }

    #[test]
    fn a_topic_that_comes_back_begins_a_new_hour() {
        let mut memory = Memory::default();
        let table = listed(&["orders"]);
        let empty = BTreeSet::new();
        memory.account(&all(), Some(&table), minute(0));
        memory.account(&all(), Some(&empty), minute(1));
        memory.account(&all(), Some(&table), minute(50));
        assert_eq!(memory.account(&all(), Some(&empty), minute(70)), ["orders"]);
        assert_eq!(
            memory.account(&all(), Some(&empty), minute(120)),
            ["orders"]
        );
    }

    #[test]
    fn excluded_topics_are_not_accounted_for_also_when_they_were_remembered() {
        let mut memory = Memory::default();
        let everything = Topics::All { exclude: vec![] };
        let table = listed(&["heartbeats", "orders"]);
        memory.account(&everything, Some(&table), minute(0));
        assert_eq!(memory.account(&all(), None, minute(1)), ["orders"]);
        assert_eq!(memory.account(&all(), Some(&table), minute(2)), ["orders"]);
    }

    #[test]
    fn a_listed_topic_is_accounted_for_whatever_the_table_has() {
        let mut memory = Memory::default();
        let topics = Topics::Listed(vec!["orders".into(), "payments".into()]);
        let table = listed(&["refunds"]);
        assert_eq!(
            memory.account(&topics, Some(&table), minute(0)),
            ["orders", "payments"]
        );
    }

    #[test]
    fn memory_outlives_a_restart() {
        let mut memory = Memory::default();
        memory.account(&all(), Some(&listed(&["orders"])), minute(0));
        let kept = serde_json::to_vec(&memory).unwrap();
        let mut memory: Memory = serde_json::from_slice(&kept).unwrap();
        assert_eq!(memory.account(&all(), None, minute(1)), ["orders"]);
    }
}
