//! In: the tables that the mirror hosts printed. Out: the topic with the most partitions among those that are recorded.
//! Never: asks a host, judges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::groups::Question;
use crate::kafka::{self, RoundText};
use crate::sinks::elasticsearch::Widest;

/// The widest topic so far; all checkers have the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct WidestTopic(Arc<Mutex<Option<Widest>>>);

impl WidestTopic {
    /// Takes in what one describe printed.
    pub fn note(&self, question: &Question, round: &RoundText) {
        let description = kafka::read(&question.describe.group, round);
        let mut topics: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
        for row in &description.rows {
            topics.entry(row.topic).or_default().insert(row.partition);
        }
        let recorded = topics
            .into_iter()
            .filter(|(topic, _)| question.records(topic));
        let widest = recorded.max_by_key(|(_, partitions)| partitions.len());
        let Some((topic, partitions)) = widest else {
            return;
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen
            .as_ref()
            .is_none_or(|seen| seen.partitions < partitions.len())
        {
            *seen = Some(Widest {
                topic: topic.to_owned(),
                partitions: partitions.len(),
            });
        }
    }

    /// `None`: no table had a row of a topic that is recorded.
    pub fn seen(&self) -> Option<Widest> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}
