//! In: a batch of samples and the settings of one cluster. Out: the fate of each sample.
//! Never: retries, sleeps, reads the journal.

use elasticsearch::BulkParts;
use serde_json::Value;
use tokio::time::Instant;

use super::{Fate, NotReady, Reply, Sink, document};
use crate::sample::Sample;

mod admin;
mod body;
mod check;
mod client;
mod index;
mod index_name;
mod mapping;
mod nodes;
mod response;
mod settings;

pub use admin::{Admin, AdminError, Answer, Method};
pub use check::check;
pub use index_name::{BadIndexName, IndexName, Period};
pub use mapping::judge as judge_mapping;
pub use settings::{
    Credentials, Layout, SHIPPED_MAPPING, SHIPPED_PARTITIONS_MAPPING, Settings, SettingsError,
};
// For `fuzz/` alone: it reads replies that no server sends.
#[doc(hidden)]
pub use response::{bulk_fates, refused_fate};

use index::Absent;
use nodes::{NoAnswer, Nodes};

/// The sink's name in the configuration.
pub const NAME: &str = "elasticsearch";

/// What of a bulk reply is wanted. Without `items.*.status` the stored items would vanish from it and the count be wrong.
const FILTER_PATH: &[&str] = &[
    "errors",
    "items.*._id",
    "items.*.status",
    "items.*.error.type",
    "items.*.error.reason",
    "items.*.error.caused_by.reason",
];

/// The sink `elasticsearch`.
pub struct Elasticsearch {
    nodes: Nodes,
    index: String,
    mapping: Value,
    /// How long a shard may be waited for by the server: less than we wait ourselves, so that it is the server who answers.
    shard_wait: String,
}

impl Elasticsearch {
    /// A sink that has asked nothing yet.
    ///
    /// # Errors
    /// A URL, certificate file, key or mapping that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let mapping: Value = serde_json::from_str(&settings.mapping)
            .map_err(|error| SettingsError::Mapping(error.to_string()))?;
        if !mapping.is_object() {
            return Err(SettingsError::Mapping("it is no object".to_owned()));
        }
        Ok(Self {
            nodes: Nodes::new(settings)?,
            index: settings.index.to_string(),
            mapping,
            shard_wait: format!("{}ms", settings.request_timeout.as_millis() / 2),
        })
    }

    /// Looks for the index through node `at`; notes the node's health.
    async fn ensure_index(&mut self, at: usize) -> Result<(), NotReady> {
        let Some(node) = self.nodes.list.get(at) else {
            return Err(no_node());
        };
        match index::ensure(node, &self.index, &self.mapping).await {
            Ok(()) => {
                self.nodes.worked(at);
                Ok(())
            }
            Err(Absent::Node(not_ready)) => {
                let (NotReady::Retry { why, .. } | NotReady::Hold(why)) = &not_ready;
                self.nodes.failed(at, why, Instant::now());
                Err(not_ready)
            }
            Err(Absent::Busy(not_ready)) => {
                self.nodes.busy(at, Instant::now());
                Err(not_ready)
            }
            Err(Absent::Cluster(not_ready)) => {
                self.nodes.worked(at);
                Err(not_ready)
            }
        }
    }

    /// Sends one bulk through node `at` and judges the answer; notes the node's health.
    async fn send(&mut self, at: usize, batch: &[Sample]) -> Reply {
        let ids: Vec<String> = batch.iter().map(Sample::id).collect();
        let Some(node) = self.nodes.list.get(at) else {
            return not_ready(no_node(), false, batch.len());
        };
        let sent = node
            .client
            .bulk(BulkParts::Index(&self.index))
            .filter_path(FILTER_PATH)
            .timeout(&self.shard_wait)
            .body(vec![bulk_body(batch, &ids)])
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
                return self.node_failed(at, fate, batch.len());
            }
        };
        if answer.status == 200 {
            return match response::bulk_fates(&answer.body, &ids) {
                Ok((fates, is_crowded)) => {
                    self.nodes.worked(at);
                    Reply {
                        fates,
                        retry_after: answer.retry_after,
                        another_node: false,
                        is_crowded,
                    }
                }
                // What was stored of it answers 409 to the next attempt.
                Err(why) => self.node_failed(at, Fate::Retry(why), batch.len()),
            };
        }
        let mut reply = self.refused(at, &answer, batch.len());
        reply.retry_after = answer.retry_after;
        reply
    }

    /// Judges an answer that refuses a bulk of `count` documents as a whole.
    fn refused(&mut self, at: usize, answer: &nodes::Answer, count: usize) -> Reply {
        let refusal = response::refusal(&answer.body);
        let fate = response::request_fate(answer.status, &refusal);
        if answer.status == 429 && matches!(fate, Fate::Retry(_)) {
            // Memory is counted by each node for itself: another may have room.
            let now = Instant::now();
            self.nodes.busy(at, now);
            return Reply {
                is_crowded: true,
                ..elsewhere(fate, self.nodes.another(now), count)
            };
        }
        let is_to_blame = matches!(answer.status, 502..=504)
            || response::is_wrong_server(answer.status, &refusal);
        if is_to_blame {
            return self.node_failed(at, fate, count);
        }
        self.nodes.worked(at);
        Reply::all(fate, count)
    }

    /// Notes that a node did not answer as one should, and says whether another may do better.
    fn node_failed(&mut self, at: usize, fate: Fate, count: usize) -> Reply {
        let now = Instant::now();
        if let Fate::Retry(why) | Fate::Hold(why) = &fate {
            self.nodes.failed(at, why, now);
        }
        elsewhere(fate, self.nodes.another(now), count)
    }
}

impl Sink for Elasticsearch {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn prepare(&mut self) -> Result<(), NotReady> {
        let mut last = Ok(());
        // Each URL once at most: the first that answers decides.
        for _ in 0..self.nodes.list.len() {
            let at = self.nodes.pick(Instant::now());
            last = self.ensure_index(at).await;
            let is_node_to_blame = last.is_err() && self.nodes.is_paused(at);
            if !is_node_to_blame || !self.nodes.another(Instant::now()) {
                break;
            }
        }
        last
    }

    async fn deliver(&mut self, batch: &[Sample]) -> Reply {
        let at = self.nodes.pick(Instant::now());
        // Before each bulk: where somebody deleted the index, the bulk itself would make one with a guessed mapping.
        match self.ensure_index(at).await {
            Ok(()) => self.send(at, batch).await,
            Err(why) => {
                let may_go_on = self.nodes.is_paused(at) && self.nodes.another(Instant::now());
                not_ready(why, may_go_on, batch.len())
            }
        }
    }
}

fn no_node() -> NotReady {
    NotReady::Retry {
        why: "no node to ask".to_owned(),
        after: None,
    }
}

/// The fate of a batch that was not sent.
fn not_ready(why: NotReady, another_node: bool, count: usize) -> Reply {
    let (fate, retry_after) = match why {
        NotReady::Retry { why, after } => (Fate::Retry(why), after),
        NotReady::Hold(why) => (Fate::Hold(why), None),
    };
    Reply {
        retry_after,
        ..elsewhere(fate, another_node, count)
    }
}

/// The fate of a batch that one node did not take: nobody needs to act while another node may.
fn elsewhere(fate: Fate, another_node: bool, count: usize) -> Reply {
    let fate = match fate {
        Fate::Hold(why) if another_node => Fate::Retry(why),
        other => other,
    };
    Reply {
        another_node,
        ..Reply::all(fate, count)
    }
}

/// Two lines for each document; the last one ends in a newline too, or the whole request is refused.
fn bulk_body(batch: &[Sample], ids: &[String]) -> Vec<u8> {
    let mut body = Vec::new();
    for (sample, id) in batch.iter().zip(ids) {
        // An id is digits, a dash and hex: nothing in it needs escaping.
        body.extend_from_slice(b"{\"create\":{\"_id\":\"");
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(b"\"}}\n");
        document::write(&mut body, sample);
        body.push(b'\n');
    }
    body
}
