//! In: the samples of a batch and the index that some of them go to. Out: the bodies of bulk requests, each of a bounded size.
//! Never: does I/O, holds more than one body.

use std::fmt;

use super::IndexName;
use super::partition;
use crate::sample::Sample;
use crate::sinks::document;

/// Documents of one request: its reply must stay below what is read of a reply, also where every item is an error of 1,000 characters.
const DOCUMENTS_MAX: usize = 5000;

/// What Elasticsearch says of a document that would bring one field too many, in every version.
const FIELD_LIMIT: &str = "Limit of total fields";

/// Which documents an index has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One per sample.
    Wide,
    /// One per partition.
    Partitions,
}

impl Kind {
    /// How many of them a sample becomes.
    pub(super) fn documents(self, sample: &Sample) -> usize {
        match self {
            Self::Wide => 1,
            Self::Partitions => partition::documents(sample),
        }
    }

    /// The key of the configuration that names the body of their index, and the file with the one that is built in.
    pub(super) fn mapping(self) -> (&'static str, &'static str) {
        match self {
            Self::Wide => ("mapping_file", "mappings/consumer_lag.json"),
            Self::Partitions => (
                "partitions_mapping_file",
                "mappings/consumer_lag_partitions.json",
            ),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wide => "wide documents",
            Self::Partitions => "documents of partitions",
        })
    }
}

/// One index, and the samples of a batch whose documents go there.
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) index: String,
    /// Whether it is one of many, which a reason has to name.
    is_dated: bool,
    /// Places in the batch, in its order.
    samples: Vec<usize>,
}

/// One document: its sample's place in the batch, and which of the sample's documents it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) sample: usize,
    document: usize,
}

/// The body of one bulk request, and what is in it.
pub(super) struct Request {
    pub(super) slots: Vec<Slot>,
    pub(super) ids: Vec<String>,
    pub(super) body: Vec<u8>,
    /// It ends where it does because it is as large as it may be.
    pub(super) is_full: bool,
}

/// Documents of a target that are in no request so far.
pub(super) struct Rest<'a> {
    target: &'a Target,
    /// The sample whose turn it is: its place in `target.samples`.
    at: usize,
    document: usize,
}

/// The indices that documents of a batch go to, in the order of their first sample.
pub(super) fn targets(kind: Kind, name: &IndexName, batch: &[Sample]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for (place, sample) in batch.iter().enumerate() {
        let index = name.at(sample.sampled_at);
        match targets.iter_mut().find(|target| target.index == index) {
            Some(target) => target.samples.push(place),
            None => targets.push(Target {
                kind,
                index,
                is_dated: name.period().is_some(),
                samples: vec![place],
            }),
        }
    }
    targets
}

impl Target {
    pub(super) fn rest(&self) -> Rest<'_> {
        Rest {
            target: self,
            at: 0,
            document: 0,
        }
    }

    /// `reason` with the index in it, where the configuration alone does not tell which one it is.
    pub(super) fn tell(&self, reason: &str) -> String {
        match (self.kind, self.is_dated) {
            (Kind::Wide, false) => reason.to_owned(),
            _ => format!("index {:?}: {reason}", self.index),
        }
    }

    /// `reason` with the document in it that it is about.
    pub(super) fn tell_of(&self, slot: Slot, batch: &[Sample], reason: &str) -> String {
        let sample = batch.get(slot.sample);
        let partition = sample.and_then(|it| it.partitions.get(slot.document));
        match (self.kind, partition) {
            (Kind::Partitions, Some(partition)) => format!(
                "partition {} in index {:?}: {reason}",
                partition.partition, self.index
            ),
            (Kind::Wide, _) if reason.contains(FIELD_LIMIT) => format!(
                "{}; write layout: partitions, or raise index.mapping.total_fields.limit of {:?}",
                self.tell(reason),
                self.index
            ),
            _ => self.tell(reason),
        }
    }

    /// A request of the first of these documents: of at most `bytes`, unless the first alone is larger.
    pub(super) fn request(&self, slots: &[Slot], batch: &[Sample], bytes: usize) -> Request {
        let mut request = Request::empty();
        let mut of = IdOf::default();
        for slot in slots {
            if let Some(sample) = batch.get(slot.sample)
                && !request.fits(*slot, self.kind, sample, &mut of, bytes)
            {
                break;
            }
        }
        request
    }
}

impl Rest<'_> {
    /// The next request, of at most `bytes` unless one document alone is larger; samples that `is_out` says are left out. `None`
    /// when there is no document left.
    pub(super) fn next(
        &mut self,
        batch: &[Sample],
        bytes: usize,
        is_out: impl Fn(usize) -> bool,
    ) -> Option<Request> {
        let mut request = Request::empty();
        let mut of = IdOf::default();
        while let Some(&place) = self.target.samples.get(self.at) {
            let sample = batch.get(place).filter(|_| !is_out(place));
            let Some(sample) = sample else {
                self.next_sample();
                continue;
            };
            let slot = Slot {
                sample: place,
                document: self.document,
            };
            if !request.fits(slot, self.target.kind, sample, &mut of, bytes) {
                return Some(request);
            }
            self.document += 1;
            if self.document >= self.target.kind.documents(sample) {
                self.next_sample();
            }
        }
        (!request.slots.is_empty()).then_some(request)
    }

    /// Places of the samples that still have documents here.
    pub(super) fn samples(&self) -> &[usize] {
        self.target.samples.get(self.at..).unwrap_or_default()
    }

    fn next_sample(&mut self) {
        self.at += 1;
        self.document = 0;
    }
}

impl Request {
    fn empty() -> Self {
        Self {
            slots: Vec::new(),
            ids: Vec::new(),
            body: Vec::new(),
            is_full: false,
        }
    }

    /// Whether it has documents of one sample only: then nobody else can make it smaller.
    pub(super) fn is_of_one_sample(&self) -> bool {
        let first = self.slots.first();
        self.slots
            .iter()
            .all(|slot| Some(slot.sample) == first.map(|first| first.sample))
    }

    /// Adds a document, unless the request is large enough without it.
    fn fits(
        &mut self,
        slot: Slot,
        kind: Kind,
        sample: &Sample,
        of: &mut IdOf,
        bytes: usize,
    ) -> bool {
        let (length, count) = (self.body.len(), self.slots.len());
        self.push(slot, kind, sample, of);
        if count == 0 || (self.body.len() <= bytes && count < DOCUMENTS_MAX) {
            return true;
        }
        self.body.truncate(length);
        self.slots.truncate(count);
        self.ids.truncate(count);
        self.is_full = true;
        false
    }

    /// Two lines for each document; the last one ends in a newline too, or the whole request is refused.
    fn push(&mut self, slot: Slot, kind: Kind, sample: &Sample, of: &mut IdOf) {
        let sample_id = of.sample(slot.sample, sample);
        let id = match kind {
            Kind::Wide => sample_id.to_owned(),
            Kind::Partitions => partition::id(sample_id, sample, slot.document),
        };
        // An id is digits, dashes, hex and a p: nothing in it needs escaping.
        self.body.extend_from_slice(b"{\"create\":{\"_id\":\"");
        self.body.extend_from_slice(id.as_bytes());
        self.body.extend_from_slice(b"\"}}\n");
        match kind {
            Kind::Wide => document::write(&mut self.body, sample),
            Kind::Partitions => partition::write(&mut self.body, sample, slot.document),
        }
        self.body.push(b'\n');
        self.slots.push(slot);
        self.ids.push(id);
    }
}

/// The `_id` of the sample whose documents are being written: it is a hash, and a sample may have thousands of them.
#[derive(Default)]
struct IdOf(Option<(usize, String)>);

impl IdOf {
    fn sample(&mut self, place: usize, sample: &Sample) -> &str {
        if self.0.as_ref().is_none_or(|(of, _)| *of != place) {
            self.0 = None;
        }
        &self.0.get_or_insert_with(|| (place, sample.id())).1
    }
}

#[cfg(test)]
mod tests;
