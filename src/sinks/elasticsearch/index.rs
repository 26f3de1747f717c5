//! In: a node and the name of an index. Out: the index is there, with our mapping if it was us who made it.
//! Never: changes an index that exists, leaves it to Elasticsearch to create one.

use elasticsearch::indices::{IndicesCreateParts, IndicesExistsParts};
use serde_json::Value;

use super::nodes::{Answer, NoAnswer, Node};
use super::response::{is_wrong_server, refusal, request_fate};
use crate::sinks::{Fate, NotReady};

/// Why an index cannot be written to.
pub(super) enum Absent {
    /// The node is to blame; another may know better.
    Node(NotReady),
    /// The node has too much to do; another may have less.
    Busy(NotReady),
    /// The cluster is to blame.
    Cluster(NotReady),
}

/// One index to write to.
pub(super) struct Place<'a> {
    pub(super) index: &'a str,
    /// Body with which it is created; `None`: a data stream of this name, which only `setup` creates.
    pub(super) mapping: Option<&'a Value>,
    /// The key of the configuration that names another body.
    pub(super) key: &'static str,
    /// The file with the body that is built in.
    pub(super) file: &'static str,
}

/// Looks for the index, an alias or a data stream of this name, and creates the index with its mapping when there is none.
pub(super) async fn ensure(node: &Node, place: &Place<'_>) -> Result<(), Absent> {
    let name = place.index;
    let names = [name];
    let indices = node.client.indices();
    let request = indices.exists(IndicesExistsParts::Index(&names));
    let answer = node.answer(request.send().await, name).await;
    let answer = answer.map_err(Absent::from)?;
    match (answer.status, place.mapping) {
        (200, _) => Ok(()),
        (404, Some(mapping)) => create(node, place, mapping).await,
        // A bulk would make a plain index of this name, in the way of the stream for ever.
        (404, None) => Err(hold(format!(
            "data stream {name:?} does not exist; run `mirrorlag setup`, or set data_stream: false"
        ))),
        // A HEAD has no body, so that the status alone says why.
        (401, _) => Err(hold(format!(
            "{} refuses the login (HTTP 401); mend username and password or api_key",
            node.url
        ))),
        (403, _) => Err(hold(format!(
            "this user may not see whether index {name:?} exists (HTTP 403); grant view_index_metadata on it"
        ))),
        _ => Err(judge(node, &answer)),
    }
}

async fn create(node: &Node, place: &Place<'_>, mapping: &Value) -> Result<(), Absent> {
    let Place {
        index: name,
        key,
        file,
        ..
    } = place;
    let indices = node.client.indices();
    let request = indices
        .create(IndicesCreateParts::Index(name))
        .body(mapping);
    let answer = node.answer(request.send().await, name).await;
    let answer = answer.map_err(Absent::from)?;
    let refusal = refusal(&answer.body);
    match (answer.status, refusal.kind.as_deref()) {
        (200..=299, _) => {
            tracing::info!(index = name, "created the index with its mapping");
            Ok(())
        }
        // Somebody else was faster.
        (400, Some("resource_already_exists_exception")) => Ok(()),
        (401 | 403, _) => Err(hold(format!(
            "index {name:?} is missing and this user may not create it ({}); grant create_index on it, or let another user create it from {file}",
            refusal.reason
        ))),
        (400, Some(kind)) => Err(hold(format!(
            "index {name:?} cannot be created ({kind}: {}); mend the index name or {key}",
            refusal.reason
        ))),
        _ => Err(judge(node, &answer)),
    }
}

fn judge(node: &Node, answer: &Answer) -> Absent {
    let (status, refusal) = (answer.status, refusal(&answer.body));
    if is_wrong_server(status, &refusal) {
        return Absent::Node(NotReady::Hold(format!(
            "{} does not answer as Elasticsearch (HTTP {status} {}); mend urls",
            node.url, refusal.reason
        )));
    }
    let retry = |why| NotReady::Retry {
        why,
        after: answer.retry_after,
    };
    match request_fate(status, &refusal) {
        Fate::Retry(why) => match status {
            429 => Absent::Busy(retry(why)),
            502..=504 => Absent::Node(retry(why)),
            _ => Absent::Cluster(retry(why)),
        },
        Fate::Hold(why) | Fate::Divide(why) | Fate::Reject(why) => hold(why),
        Fate::Stored => Absent::Cluster(retry(format!("unexpected HTTP {status}"))),
    }
}

fn hold(why: String) -> Absent {
    Absent::Cluster(NotReady::Hold(why))
}

impl From<Absent> for NotReady {
    fn from(absent: Absent) -> Self {
        match absent {
            Absent::Node(it) | Absent::Busy(it) | Absent::Cluster(it) => it,
        }
    }
}

impl From<NoAnswer> for Absent {
    fn from(no_answer: NoAnswer) -> Self {
        Absent::Node(match no_answer {
            NoAnswer::Broken(why) => NotReady::Retry { why, after: None },
            NoAnswer::Untrusted { why, mend } => NotReady::Hold(format!("{why}; {mend}")),
            NoAnswer::Redirected(why) => NotReady::Hold(why),
        })
    }
}
