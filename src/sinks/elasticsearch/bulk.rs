//! In: the documents of one index and the nodes of a cluster. Out: what became of each, request by request.
//! Never: waits, sends a request whose index was not looked for just before.

use elasticsearch::BulkParts;
use tokio::time::Instant;

use super::index::{self, Absent, Place};
use super::joined::{Halt, Joined};
use super::nodes::{self, NoAnswer, Nodes};
use super::request::{Request, Rest, Slot, Target};
use super::request_bytes::RequestBytes;
use super::response;
use crate::sample::Sample;
use crate::sinks::{Fate, NotReady, Reply};

/// What of a bulk reply is wanted. Without `items.*.status` the stored items would vanish from it and the count be wrong.
const FILTER_PATH: &[&str] = &[
    "errors",
    "items.*._id",
    "items.*.status",
    "items.*.error.type",
    "items.*.error.reason",
    "items.*.error.caused_by.reason",
];

/// The documents of a batch, on their way.
pub(super) struct Bulk<'a> {
    pub(super) nodes: &'a mut Nodes,
    pub(super) bytes: &'a mut RequestBytes,
    /// How long a shard may be waited for by the server.
    pub(super) shard_wait: &'a str,
    pub(super) batch: &'a [Sample],
    pub(super) joined: Joined,
    /// A request that was as large as it may be was taken.
    pub(super) had_full: bool,
}

/// Why no further documents of one index are sent now; those of another may still be.
enum Ended {
    Index(Fate),
    All(Halt),
}

impl Bulk<'_> {
    /// Sends every document of `target`. The error says why nothing more can be sent anywhere.
    pub(super) async fn send_all(
        &mut self,
        target: &Target,
        place: &Place<'_>,
    ) -> Result<(), Halt> {
        let mut rest = target.rest();
        loop {
            let (batch, bytes) = (self.batch, self.bytes.limit());
            let joined = &self.joined;
            let Some(request) = rest.next(batch, bytes, |sample| joined.is_divided(sample)) else {
                return Ok(());
            };
            match self.send_divided(target, place, request).await {
                Ok(()) => {}
                Err(Ended::All(halt)) => return Err(halt),
                Err(Ended::Index(fate)) => {
                    self.end_index(&rest, &fate);
                    return Ok(());
                }
            }
        }
    }

    /// What became of each sample; `halt`: why not everything was sent.
    pub(super) fn into_reply(self, halt: Option<Halt>) -> Reply {
        // Once a batch, not once a request: a sample of many requests would never get through when every third one is refused.
        if halt.is_none() && self.had_full {
            self.bytes.taken_full();
        }
        self.joined.into_reply(halt)
    }

    fn end_index(&mut self, rest: &Rest<'_>, fate: &Fate) {
        for sample in rest.samples() {
            self.joined.unsent(*sample, fate.clone());
        }
    }

    /// Sends a request, and where it is refused for its size and `delivery` cannot make it smaller, in parts.
    async fn send_divided(
        &mut self,
        target: &Target,
        place: &Place<'_>,
        request: Request,
    ) -> Result<(), Ended> {
        let mut next = Some(request);
        // What is left of it, in parts of so many bytes.
        let (mut left, mut bytes): (Vec<Slot>, usize) = (Vec::new(), 0);
        loop {
            let part = match next.take() {
                Some(part) => part,
                None if left.is_empty() => return Ok(()),
                None => target.request(&left, self.batch, bytes),
            };
            if part.slots.is_empty() {
                return Ok(());
            }
            left.drain(..part.slots.len().min(left.len()));
            let (slots, sent) = (part.slots.clone(), part.body.len());
            let is_ours = part.is_of_one_sample() && slots.len() > 1;
            match self.send(target, place, part).await {
                Ok(None) => {}
                Ok(Some(_)) if is_ours => {
                    bytes = sent / 2;
                    left.splice(..0, slots);
                }
                Ok(Some(why)) => {
                    for slot in &slots {
                        let why = match slots.len() {
                            1 => target.tell_of(*slot, self.batch, &why),
                            _ => target.tell(&why),
                        };
                        self.joined.document(slot.sample, Fate::Divide(why));
                    }
                    // Of one sample, whose other documents are sent with it again.
                    left.clear();
                }
                Err(ended) => {
                    let fate = match &ended {
                        Ended::All(halt) => &halt.fate,
                        Ended::Index(fate) => fate,
                    };
                    for slot in slots.iter().chain(&left) {
                        self.joined.document(slot.sample, fate.clone());
                    }
                    return Err(ended);
                }
            }
        }
    }

    /// Sends one request and takes the fates of its documents. `Some`: it was refused whole, and smaller ones may not be.
    async fn send(
        &mut self,
        target: &Target,
        place: &Place<'_>,
        request: Request,
    ) -> Result<Option<String>, Ended> {
        let at = self.nodes.pick(Instant::now());
        // Before each bulk: where somebody deleted the index, the bulk itself would make one with a guessed mapping.
        if let Err(absent) = look(self.nodes, at, place).await {
            return Err(self.absent(at, absent));
        }
        let Some(node) = self.nodes.list.get(at) else {
            return Err(Ended::All(halt(Fate::Retry(NO_NODE.to_owned()), false)));
        };
        let bytes = request.body.len();
        // Such a request nobody but us can make smaller.
        let is_ours = request.is_of_one_sample() && request.slots.len() > 1;
        let sent = node
            .client
            .bulk(BulkParts::Index(&target.index))
            .filter_path(FILTER_PATH)
            .timeout(self.shard_wait)
            .body(vec![request.body])
            .send()
            .await;
        let answer = match node.answer(sent, "/_bulk").await {
            Ok(answer) => answer,
            Err(no_answer) => {
                let fate = match no_answer {
                    NoAnswer::Broken(why) => Fate::Retry(why),
                    NoAnswer::Untrusted { why, mend } => Fate::Hold(format!("{why}; {mend}")),
                    NoAnswer::Redirected(why) => Fate::Hold(why),
                };
                return Err(Ended::All(self.node_failed(at, fate)));
            }
        };
        self.joined.retry_after(answer.retry_after);
        if answer.status != 200 {
            return self.refused(at, target, &answer, bytes, is_ours);
        }
        let (fates, is_crowded) = match response::bulk_fates(&answer.body, &request.ids) {
            Ok(said) => said,
            // What was stored of it answers 409 to the next attempt.
            Err(why) => return Err(Ended::All(self.node_failed(at, Fate::Retry(why)))),
        };
        self.nodes.worked(at);
        if is_crowded {
            let why = fates.into_iter().next().unwrap_or(Fate::Stored);
            return Err(Ended::All(self.crowded(why, false, bytes, is_ours)));
        }
        self.had_full |= request.is_full;
        for (slot, fate) in request.slots.into_iter().zip(fates) {
            let fate = told(fate, |why| target.tell_of(slot, self.batch, why));
            self.joined.document(slot.sample, fate);
        }
        Ok(None)
    }

    /// Judges an answer that refuses a request of `bytes` as a whole.
    fn refused(
        &mut self,
        at: usize,
        target: &Target,
        answer: &nodes::Answer,
        bytes: usize,
        is_ours: bool,
    ) -> Result<Option<String>, Ended> {
        let refusal = response::refusal(&answer.body);
        let fate = response::request_fate(answer.status, &refusal);
        if answer.status == 429 && matches!(fate, Fate::Retry(_)) {
            // Memory is counted by each node for itself: another may have room.
            let now = Instant::now();
            self.nodes.busy(at, now);
            let another_node = self.nodes.another(now);
            return Err(Ended::All(self.crowded(fate, another_node, bytes, is_ours)));
        }
        let is_to_blame = matches!(answer.status, 502..=504)
            || response::is_wrong_server(answer.status, &refusal);
        if is_to_blame {
            return Err(Ended::All(self.node_failed(at, fate)));
        }
        self.nodes.worked(at);
        match fate {
            Fate::Divide(why) => {
                if answer.status == 413 {
                    self.bytes.too_large(bytes);
                }
                Ok(Some(why))
            }
            // Another index may be open to us.
            Fate::Hold(why) => Err(Ended::Index(Fate::Hold(target.tell(&why)))),
            other => Err(Ended::All(halt(other, false))),
        }
    }

    /// There was no room for a request of `bytes`. One with several samples is made smaller by `delivery`.
    fn crowded(&mut self, fate: Fate, another_node: bool, bytes: usize, is_ours: bool) -> Halt {
        if is_ours {
            self.bytes.crowded(bytes);
        }
        Halt {
            is_crowded: true,
            ..halt(elsewhere(fate, another_node), another_node)
        }
    }

    /// Notes that a node did not answer as one should, and says whether another may do better.
    fn node_failed(&mut self, at: usize, fate: Fate) -> Halt {
        let now = Instant::now();
        if let Fate::Retry(why) | Fate::Hold(why) = &fate {
            self.nodes.failed(at, why, now);
        }
        let another_node = self.nodes.another(now);
        halt(elsewhere(fate, another_node), another_node)
    }

    fn absent(&mut self, at: usize, absent: Absent) -> Ended {
        let (not_ready, is_index) = match absent {
            Absent::Cluster(not_ready) => (not_ready, true),
            Absent::Node(not_ready) | Absent::Busy(not_ready) => (not_ready, false),
        };
        let fate = match not_ready {
            NotReady::Retry { why, after } => {
                self.joined.retry_after(after);
                Fate::Retry(why)
            }
            NotReady::Hold(why) => Fate::Hold(why),
        };
        if is_index {
            return Ended::Index(fate);
        }
        let another_node = self.nodes.is_paused(at) && self.nodes.another(Instant::now());
        Ended::All(halt(elsewhere(fate, another_node), another_node))
    }
}

/// Why nothing can be sent where there is no URL, which settings never lack.
const NO_NODE: &str = "no node to ask";

/// Looks for an index through node `at`; notes the node's health.
pub(super) async fn look(nodes: &mut Nodes, at: usize, place: &Place<'_>) -> Result<(), Absent> {
    let Some(node) = nodes.list.get(at) else {
        return Err(Absent::Cluster(NotReady::Retry {
            why: NO_NODE.to_owned(),
            after: None,
        }));
    };
    let looked = index::ensure(node, place).await;
    match &looked {
        Ok(()) | Err(Absent::Cluster(_)) => nodes.worked(at),
        Err(Absent::Node(NotReady::Retry { why, .. } | NotReady::Hold(why))) => {
            nodes.failed(at, why, Instant::now());
        }
        Err(Absent::Busy(_)) => nodes.busy(at, Instant::now()),
    }
    looked
}

/// A fate with its reason in other words.
fn told(fate: Fate, tell: impl Fn(&str) -> String) -> Fate {
    match fate {
        Fate::Stored => Fate::Stored,
        Fate::Retry(why) => Fate::Retry(tell(&why)),
        Fate::Hold(why) => Fate::Hold(tell(&why)),
        Fate::Reject(why) => Fate::Reject(tell(&why)),
        Fate::Divide(why) => Fate::Divide(tell(&why)),
    }
}

fn halt(fate: Fate, another_node: bool) -> Halt {
    Halt {
        fate,
        another_node,
        is_crowded: false,
    }
}

/// What one node did not take: nobody needs to act while another node may.
fn elsewhere(fate: Fate, another_node: bool) -> Fate {
    match fate {
        Fate::Hold(why) if another_node => Fate::Retry(why),
        other => other,
    }
}
