//! In: the fate of each document. Out: the fate of each sample: stored only when all its documents are.
//! Never: does I/O, forgets a document that nothing was said of.

use std::time::Duration;

use crate::sinks::{Fate, Reply};

/// Why nothing more of a batch is sent now.
pub(super) struct Halt {
    /// Of every document that was not sent.
    pub(super) fate: Fate,
    /// Another node is thought alive.
    pub(super) another_node: bool,
    /// There was no room for a request of this size.
    pub(super) is_crowded: bool,
}

/// The fates of a batch's samples, as far as they are known.
pub(super) struct Joined {
    samples: Vec<Sample>,
    retry_after: Option<Duration>,
}

struct Sample {
    /// The worst so far; `None`: nothing was said.
    worst: Option<Fate>,
    /// Documents that nothing was said of.
    open: usize,
}

impl Joined {
    /// `documents`: how many there are of each sample.
    pub(super) fn new(documents: impl Iterator<Item = usize>) -> Self {
        let samples = documents.map(|open| Sample { worst: None, open });
        Self {
            samples: samples.collect(),
            retry_after: None,
        }
    }

    /// What became of one document of the sample at `place`.
    pub(super) fn document(&mut self, place: usize, fate: Fate) {
        if let Some(sample) = self.samples.get_mut(place) {
            sample.open = sample.open.saturating_sub(1);
            sample.join(fate);
        }
    }

    /// What holds for documents of the sample at `place` that were not sent.
    pub(super) fn unsent(&mut self, place: usize, fate: Fate) {
        if let Some(sample) = self.samples.get_mut(place) {
            sample.join(fate);
        }
    }

    /// Whether the sample is to be sent again by itself whatever becomes of its other documents, which therefore can wait.
    pub(super) fn is_divided(&self, place: usize) -> bool {
        let sample = self.samples.get(place);
        sample.is_some_and(|sample| matches!(sample.worst, Some(Fate::Divide(_))))
    }

    /// A server asked to be left alone for this long.
    pub(super) fn retry_after(&mut self, asked: Option<Duration>) {
        self.retry_after = self.retry_after.max(asked);
    }

    /// `halt`: why not everything was sent.
    pub(super) fn into_reply(self, halt: Option<Halt>) -> Reply {
        let unsaid = match &halt {
            Some(halt) => halt.fate.clone(),
            None => Fate::Retry("a document of this sample was not sent".to_owned()),
        };
        let fate = |mut sample: Sample| {
            if sample.open > 0
                && (halt.is_some() || matches!(sample.worst, None | Some(Fate::Stored)))
            {
                sample.join(unsaid.clone());
            }
            sample.worst.unwrap_or(unsaid.clone())
        };
        Reply {
            fates: self.samples.into_iter().map(fate).collect(),
            retry_after: self.retry_after,
            another_node: halt.as_ref().is_some_and(|halt| halt.another_node),
            is_crowded: halt.is_some_and(|halt| halt.is_crowded),
        }
    }
}

impl Sample {
    /// The first of the worst is kept: its reason is what the log and a letter say.
    fn join(&mut self, fate: Fate) {
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| rank(&fate) > rank(worst))
        {
            self.worst = Some(fate);
        }
    }
}

/// Which fate of a document decides for its sample.
///
/// As long as a document may still be stored, the sample is sent again: it must not become a letter with that document missing. Until an
/// operator has acted a retry would bring nothing, and what has to be sent in smaller parts is known as soon as nothing else is in the
/// way. What was stored meanwhile answers 409 to the next attempt, so that nothing is doubled.
fn rank(fate: &Fate) -> u8 {
    match fate {
        Fate::Stored => 0,
        Fate::Reject(_) => 1,
        Fate::Divide(_) => 2,
        Fate::Retry(_) => 3,
        Fate::Hold(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(fates: &[Fate], order: impl Iterator<Item = usize>) -> Fate {
        let mut joined = Joined::new(std::iter::once(fates.len()));
        for place in order {
            joined.document(0, fates[place].clone());
        }
        joined.into_reply(None).fates.remove(0)
    }

    #[test]
    fn the_worst_fate_of_its_documents_is_that_of_the_sample_in_whatever_order_they_come() {
        let text = |word: &str| word.to_owned();
        let fates = [
            Fate::Stored,
            Fate::Reject(text("reject")),
            Fate::Divide(text("divide")),
            Fate::Retry(text("retry")),
            Fate::Hold(text("hold")),
        ];
        for count in 1..=fates.len() {
            let some = &fates[..count];
            let worst = &fates[count - 1];
            assert_eq!(joined(some, 0..count), *worst);
            assert_eq!(joined(some, (0..count).rev()), *worst);
        }
    }

    #[test]
    fn of_two_fates_alike_the_reason_of_the_first_is_kept() {
        let fates = ["first", "second"].map(|why| Fate::Reject(why.to_owned()));
        assert_eq!(joined(&fates, 0..2), fates[0]);
    }

    #[test]
    fn a_sample_with_a_document_that_was_not_sent_is_not_stored() {
        let mut joined = Joined::new([2, 1, 1].into_iter());
        joined.document(0, Fate::Stored);
        joined.document(1, Fate::Stored);
        let halt = Halt {
            fate: Fate::Retry("no answer".to_owned()),
            another_node: true,
            is_crowded: false,
        };
        let reply = joined.into_reply(Some(halt));
        let retry = Fate::Retry("no answer".to_owned());
        assert_eq!(reply.fates, [retry.clone(), Fate::Stored, retry]);
        assert!(reply.another_node && !reply.is_crowded);
    }

    #[test]
    fn a_document_forgotten_on_the_way_is_sent_again() {
        let mut joined = Joined::new([2, 1].into_iter());
        joined.document(0, Fate::Stored);
        let reply = joined.into_reply(None);
        assert!(
            reply
                .fates
                .iter()
                .all(|fate| matches!(fate, Fate::Retry(_)))
        );
    }
}
