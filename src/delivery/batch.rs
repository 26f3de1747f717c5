//! In: records of the journal, and what a sink said of them. Out: what to send again, what to commit, what is a dead letter.
//! Never: does I/O, reads a clock, waits.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::{Letter, Position, Record};
use crate::sample::Sample;
use crate::sinks::{Fate, Reply};

/// Records read together, and how far each has come.
pub(super) struct Batch {
    entries: Vec<Entry>,
    first_attempt: DateTime<Utc>,
}

struct Entry {
    record: Record,
    /// `None` for a record that is no sample: it was never sent.
    sample: Option<Sample>,
    progress: Progress,
    /// A request with nothing but this record was refused before.
    was_refused_alone: bool,
    attempts: u32,
    last_attempt: DateTime<Utc>,
}

enum Progress {
    Pending,
    Stored,
    /// Refused in this pass; whether it becomes a letter is decided when the pass is over.
    Refused {
        reason: String,
        is_sure: bool,
    },
    Letter(String),
}

/// What one pass over a batch brought.
#[derive(Default)]
pub(super) struct Verdict {
    pub stored: u64,
    pub letters: u64,
    /// Reason of the first record that has to be sent again.
    pub retry: Option<String>,
    /// Reason of the first record that waits for an operator.
    pub hold: Option<String>,
    pub retry_after: Option<Duration>,
    pub another_node: bool,
}

impl Verdict {
    /// Whether the sink said of a record that it must wait.
    pub(super) fn is_setback(&self) -> bool {
        self.retry.is_some() || self.hold.is_some()
    }
}

impl Batch {
    pub(super) fn new(records: Vec<Record>, now: DateTime<Utc>) -> Self {
        let entry = |record: Record| {
            let (sample, progress) = match serde_json::from_slice(&record.body) {
                Ok(sample) => (Some(sample), Progress::Pending),
                Err(error) => {
                    let reason = format!("the record is not a sample: {error}");
                    (None, Progress::Letter(reason))
                }
            };
            Entry {
                record,
                sample,
                progress,
                was_refused_alone: false,
                attempts: 0,
                last_attempt: now,
            }
        };
        Self {
            entries: records.into_iter().map(entry).collect(),
            first_attempt: now,
        }
    }

    /// What still has to be sent, as requests of at most `records` records: a stack with the oldest on top.
    pub(super) fn requests(&self, records: usize) -> Vec<Vec<usize>> {
        let pending = self.pending();
        let requests = pending.chunks(records.max(1)).rev();
        requests.map(<[usize]>::to_vec).collect()
    }

    /// Places of the records that still have to be sent.
    pub(super) fn pending(&self) -> Vec<usize> {
        let pending = |(_, entry): &(usize, &Entry)| matches!(entry.progress, Progress::Pending);
        let places = self.entries.iter().enumerate().filter(pending);
        places.map(|(place, _)| place).collect()
    }

    /// The samples at `part`.
    pub(super) fn samples(&self, part: &[usize]) -> Vec<Sample> {
        part.iter()
            .filter_map(|place| self.entries.get(*place)?.sample.clone())
            .collect()
    }

    /// Takes what the sink said of `part`; returns the parts to send instead where it wants smaller ones.
    pub(super) fn apply(
        &mut self,
        part: &[usize],
        reply: Reply,
        now: DateTime<Utc>,
        verdict: &mut Verdict,
    ) -> Vec<Vec<usize>> {
        let mut divided = Vec::new();
        verdict.another_node |= reply.another_node;
        verdict.retry_after = verdict.retry_after.max(reply.retry_after);
        // A sink that says nothing of a record has not stored it.
        let fates = reply.fates.into_iter().map(Some);
        for (place, fate) in part.iter().zip(fates.chain(std::iter::repeat(None))) {
            let Some(entry) = self.entries.get_mut(*place) else {
                continue;
            };
            entry.attempts = entry.attempts.saturating_add(1);
            entry.last_attempt = now;
            let unsaid = || Fate::Retry("the sink said nothing of this record".to_owned());
            match fate.unwrap_or_else(unsaid) {
                Fate::Stored => {
                    entry.progress = Progress::Stored;
                    verdict.stored += 1;
                }
                Fate::Retry(reason) => {
                    verdict.retry.get_or_insert(reason);
                }
                Fate::Hold(reason) => {
                    verdict.hold.get_or_insert(reason);
                }
                Fate::Reject(reason) => {
                    entry.progress = Progress::Refused {
                        reason,
                        is_sure: true,
                    };
                }
                Fate::Divide(reason) if part.len() == 1 => {
                    // What refuses requests of every size may be mended while the parts go out; then the neighbours behind are stored,
                    // which must not make this one a letter.
                    let is_sure = std::mem::replace(&mut entry.was_refused_alone, true);
                    entry.progress = Progress::Refused { reason, is_sure };
                }
                Fate::Divide(_) => divided.push(*place),
            }
        }
        if divided.is_empty() {
            return Vec::new();
        }
        // The later half first: the parts are a stack, and the older records go out first.
        let later = divided.split_off(divided.len().div_ceil(2));
        vec![later, divided]
    }

    /// Ends a pass: what was refused becomes dead letters; unless everything was, for one reason: then the sink is wrong, not
    /// the records, and an operator is needed.
    pub(super) fn conclude(&mut self, verdict: &mut Verdict) {
        let refused: Vec<&str> = self.entries.iter().filter_map(Entry::refusal).collect();
        let Some(first) = refused.first() else {
            return;
        };
        let kind = kind_of(first);
        let sent = self.entries.iter().filter(|e| e.attempts > 0).count();
        let all_alike =
            refused.len() == sent && refused.iter().all(|reason| kind_of(reason) == kind);
        if all_alike {
            let reason = format!("every document is refused for the same reason: {first}");
            verdict.hold.get_or_insert(reason);
        }
        for entry in &mut self.entries {
            let Progress::Refused { reason, is_sure } = &entry.progress else {
                continue;
            };
            if all_alike {
                entry.progress = Progress::Pending;
            } else if *is_sure {
                verdict.letters += 1;
                entry.progress = Progress::Letter(reason.clone());
            } else {
                let once_more = format!("refused alone, sent once more to be sure: {reason}");
                verdict.retry.get_or_insert(once_more);
                entry.progress = Progress::Pending;
            }
        }
    }

    /// The newest position up to which every record is stored or a letter, with these letters; `None` before the first.
    pub(super) fn done(&self, reader: &str) -> Option<(Position, Vec<Letter>)> {
        let mut last = None;
        let mut letters = Vec::new();
        for entry in &self.entries {
            match &entry.progress {
                Progress::Stored => {}
                Progress::Letter(reason) => letters.push(Letter {
                    reader: reader.to_owned(),
                    position: entry.record.position,
                    reason: reason.clone(),
                    body: entry.record.body.clone(),
                    first_attempt: self.first_attempt,
                    last_attempt: entry.last_attempt,
                    attempts: entry.attempts,
                }),
                Progress::Pending | Progress::Refused { .. } => break,
            }
            last = Some(entry.record.position);
        }
        last.map(|position| (position, letters))
    }

    /// Positions of what is stored, and of what was sent and refused, with the reason. In neither: what is no sample, and what has to
    /// be sent again.
    pub(super) fn fates(&self) -> (Vec<Position>, Vec<(Position, String)>) {
        let (mut stored, mut refused) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let position = entry.record.position;
            match &entry.progress {
                Progress::Stored => stored.push(position),
                Progress::Refused { reason, .. } => refused.push((position, reason.clone())),
                Progress::Pending | Progress::Letter(_) => {}
            }
        }
        (stored, refused)
    }

    /// When the newest sample of the batch was taken.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        let samples = self.entries.iter().filter_map(|e| e.sample.as_ref());
        samples.map(|sample| sample.sampled_at).max()
    }
}

impl Entry {
    fn refusal(&self) -> Option<&str> {
        match &self.progress {
            Progress::Refused { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// A reason without what differs from document to document: names in brackets, quoted values, numbers.
///
/// Elasticsearch writes `failed to parse field [p0] of type [integer] in document with id '17...'. Preview of field's value: '3000000000'`.
pub(super) fn kind_of(reason: &str) -> String {
    let mut kind = String::new();
    let mut closing = None;
    for c in reason.chars() {
        match (closing, c) {
            (Some(end), c) if c == end => closing = None,
            (Some(_), _) => {}
            (None, '[') => closing = Some(']'),
            (None, '\'') => closing = Some('\''),
            (None, c) if c.is_ascii_digit() => {}
            (None, c) => kind.push(c),
        }
    }
    kind
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
