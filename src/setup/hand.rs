//! In: the name of an index, a query. Out: its documents, page by page, for a server that cannot copy or delete by itself.
//! Never: holds more than a page, changes a document.

use serde_json::{Value, json};

use crate::sinks::elasticsearch::{Admin, AdminError, Method};

/// Documents of a page; with documents of a thousand partitions, a page is below what an answer may have.
pub(super) const PAGE_DOCUMENTS_MAX: usize = 500;

/// The server forgets a scroll that nobody asked of for so long: time for one page to be sent again and again while shards recover.
const KEEP_ALIVE: &str = "10m";

/// Only this of a hit is wanted; an answer without it would be twice as long.
const FILTER_PATH: &str = "_scroll_id,hits.hits._index,hits.hits._id,hits.hits._routing,hits.hits._source,_shards.failed,_shards.failures.reason";

/// A document as a search gives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hit {
    /// The concrete index, also where an alias was asked.
    pub(super) index: String,
    pub(super) id: String,
    pub(super) routing: Option<String>,
    /// `None`: not asked for, or the index keeps no source.
    pub(super) source: Option<Value>,
}

/// A scroll: every document there was when it was opened, each once.
pub(super) struct Pages {
    id: String,
}

impl Pages {
    /// Opens it, with the first page; an empty page is the end.
    pub(super) async fn open(
        admin: &mut Admin,
        index: &str,
        query: &Value,
        with_source: bool,
        documents: usize,
    ) -> Result<(Self, Vec<Hit>), AdminError> {
        let path = format!("{index}/_search?scroll={KEEP_ALIVE}&filter_path={FILTER_PATH}");
        let body =
            json!({"size": documents, "sort": ["_doc"], "_source": with_source, "query": query});
        let answer = admin.ask(Method::Post, &path, Some(&body)).await?;
        let (id, hits) = page(answer.expect(&format!("read {index:?}"))?, index)?;
        Ok((Self { id }, hits))
    }

    /// The next page; an empty one is the end.
    pub(super) async fn next(&mut self, admin: &mut Admin) -> Result<Vec<Hit>, AdminError> {
        let path = format!("_search/scroll?filter_path={FILTER_PATH}");
        let body = json!({"scroll": KEEP_ALIVE, "scroll_id": self.id});
        let answer = admin.ask(Method::Post, &path, Some(&body)).await?;
        let (id, hits) = page(answer.expect("read on")?, "the scroll")?;
        self.id = id;
        Ok(hits)
    }

    /// Lets the server forget it; where that fails, it does so by itself.
    pub(super) async fn close(self, admin: &mut Admin) {
        let body = json!({"scroll_id": [self.id]});
        let _forgotten = admin
            .ask(Method::Delete, "_search/scroll", Some(&body))
            .await;
    }
}

fn page(mut body: Value, what: &str) -> Result<(String, Vec<Hit>), AdminError> {
    let failed = body.pointer("/_shards/failed").and_then(Value::as_u64);
    let refused = |reason: String| AdminError::Refused {
        what: format!("read {what:?}"),
        reason,
    };
    // A page that a shard is missing from looks whole.
    if failed.unwrap_or(0) > 0 {
        let failures = body.pointer("/_shards/failures").cloned();
        return Err(refused(format!(
            "shards did not answer: {}",
            failures.unwrap_or_default()
        )));
    }
    let id = body.get("_scroll_id").and_then(Value::as_str);
    let Some(id) = id.map(str::to_owned) else {
        return Err(refused("the answer has no _scroll_id".to_owned()));
    };
    let hits = match body.pointer_mut("/hits/hits").map(Value::take) {
        Some(Value::Array(hits)) => hits,
        _ => Vec::new(),
    };
    Ok((id, hits.into_iter().map(hit).collect()))
}

fn hit(mut hit: Value) -> Hit {
    let text = |key: &str| hit.get(key).and_then(Value::as_str).map(str::to_owned);
    Hit {
        index: text("_index").unwrap_or_default(),
        id: text("_id").unwrap_or_default(),
        routing: text("_routing"),
        source: hit
            .get_mut("_source")
            .map(Value::take)
            .filter(Value::is_object),
    }
}
