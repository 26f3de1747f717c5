//! In: documents of a page, what to do with each. Out: how many that was true of, or the first that was refused.
//! Never: keeps a page longer than until it is done, tries for ever.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::hand::Hit;
use crate::backoff::Backoff;
use crate::sinks::elasticsearch::{Admin, AdminError, Answer, Method};

/// Bytes of one request: well below `http.max_content_length`, and below the memory that a small node gives to indexing.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// A cluster that restarts is back within this many attempts, about five minutes; then the operator is asked.
const ATTEMPTS_MAX: u32 = 12;

/// Between two attempts.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_LONGEST: Duration = Duration::from_secs(60);

const FILTER_PATH: &str = "items.*._id,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";

/// Each document's `_id` and its lines in a request.
type Lines = Vec<(String, Vec<u8>)>;

/// What to do with each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action<'a> {
    /// Into that index, under its own `_id`; one that is there already is left as it is.
    Create(&'a str),
    /// From the index that it was found in; one that is gone already is no error.
    Delete,
}

/// What became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) changed: u64,
    /// There, or gone, before.
    pub(super) before: u64,
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum BulkError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("document {id:?}: {reason}")]
    Document { id: String, reason: String },
    #[error("the cluster has no room for it ({0})")]
    Busy(String),
    #[error("stopped")]
    Stopped,
}

/// Does it, in requests of bounded size; what the cluster has no room for is sent again.
pub(super) async fn apply(
    admin: &mut Admin,
    action: Action<'_>,
    hits: Vec<Hit>,
    stop: &CancellationToken,
) -> Result<Done, BulkError> {
    let mut done = Done::default();
    let mut lines = Lines::new();
    let mut bytes = 0;
    for hit in hits {
        let line = lines_of(action, &hit)?;
        if bytes + line.len() > REQUEST_BYTES_MAX && !lines.is_empty() {
            send(admin, std::mem::take(&mut lines), stop, &mut done).await?;
            bytes = 0;
        }
        bytes += line.len();
        lines.push((hit.id, line));
    }
    if !lines.is_empty() {
        send(admin, lines, stop, &mut done).await?;
    }
    Ok(done)
}

/// One or two lines, each with its newline.
fn lines_of(action: Action<'_>, hit: &Hit) -> Result<Vec<u8>, BulkError> {
    let mut head = json!({"_id": hit.id});
    if let Some(routing) = &hit.routing {
        head["routing"] = json!(routing);
    }
    match action {
        Action::Create(index) => {
            head["_index"] = json!(index);
            let Some(source) = &hit.source else {
                return Err(BulkError::Document {
                    id: hit.id.clone(),
                    reason: "the index keeps no _source of it".to_owned(),
                });
            };
            Ok(format!("{}\n{source}\n", json!({ "create": head })).into_bytes())
        }
        Action::Delete => {
            head["_index"] = json!(hit.index);
            Ok(format!("{}\n", json!({ "delete": head })).into_bytes())
        }
    }
}

/// Sends until each item is done; halves what is too long for the server.
async fn send(
    admin: &mut Admin,
    lines: Lines,
    stop: &CancellationToken,
    done: &mut Done,
) -> Result<(), BulkError> {
    let mut waiting = vec![lines];
    let mut backoff = Backoff::new(WAIT_FIRST, WAIT_LONGEST);
    while let Some(mut lines) = waiting.pop() {
        let body = lines.iter().flat_map(|(_, line)| line).copied().collect();
        let path = format!("_bulk?filter_path={FILTER_PATH}");
        let why = match admin.ask_with_bytes(Method::Post, &path, Some(body)).await {
            Ok(answer) if answer.status == 413 && lines.len() > 1 => {
                let behind = lines.split_off(lines.len() / 2);
                waiting.extend([behind, lines]);
                continue;
            }
            Ok(answer) if answer.is_success() => {
                let (again, why) = judge(&answer.body, lines, done)?;
                if again.is_empty() {
                    backoff.reset();
                    continue;
                }
                waiting.push(again);
                BulkError::Busy(why)
            }
            Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                waiting.push(lines);
                BulkError::Busy(answer.to_string())
            }
            Ok(answer) => return Err(refused(answer)),
            // It may have arrived: what is there already is no error then.
            Err(error @ AdminError::NoAnswer(_)) => {
                waiting.push(lines);
                error.into()
            }
            Err(error) => return Err(error.into()),
        };
        if backoff.failures() >= ATTEMPTS_MAX {
            return Err(why);
        }
        tokio::select! {
            () = stop.cancelled() => return Err(BulkError::Stopped),
            () = sleep(backoff.next_wait()) => {}
        }
    }
    Ok(())
}

/// Counts what is done; returns what is to be sent again, and why.
fn judge(body: &Value, lines: Lines, done: &mut Done) -> Result<(Lines, String), BulkError> {
    let items = body.get("items").and_then(Value::as_array);
    let items = items.map(Vec::as_slice).unwrap_or_default();
    if items.len() != lines.len() {
        let why = format!("{} documents, {} answers", lines.len(), items.len());
        return Ok((lines, why));
    }
    let mut again = Vec::new();
    let mut why = String::new();
    for (line, item) in lines.into_iter().zip(items) {
        let item = item.as_object().and_then(|action| action.values().next());
        let item = item.unwrap_or(&Value::Null);
        let status = item.get("status").and_then(Value::as_u64).unwrap_or(0);
        let text = |path: &str| item.pointer(path).and_then(Value::as_str);
        let kind = text("/error/type").unwrap_or_default();
        let reason = || {
            let parts = [
                text("/error/type"),
                text("/error/reason"),
                text("/error/caused_by/reason"),
            ];
            let parts: Vec<&str> = parts.into_iter().flatten().collect();
            match parts.is_empty() {
                true => format!("HTTP {status}"),
                false => parts.join(": "),
            }
        };
        match status {
            200..=299 => done.changed += 1,
            409 if kind == "version_conflict_engine_exception" => done.before += 1,
            404 if kind.is_empty() => done.before += 1,
            429 | 500..=599 if !(status == 429 && kind == "cluster_block_exception") => {
                why = reason();
                again.push(line);
            }
            _ => {
                return Err(BulkError::Document {
                    id: line.0,
                    reason: reason(),
                });
            }
        }
    }
    Ok((again, why))
}

fn refused(answer: Answer) -> BulkError {
    BulkError::Admin(AdminError::Refused {
        what: "send documents".to_owned(),
        reason: answer.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(ids: &[&str]) -> Lines {
        let line = |id: &&str| ((*id).to_owned(), b"{}\n".to_vec());
        ids.iter().map(line).collect()
    }

    #[test]
    fn what_is_there_already_counts_and_what_finds_no_room_is_sent_again() {
        let body = json!({"items": [
            {"create": {"_id": "a", "status": 201}},
            {"create": {"_id": "b", "status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "exists"}}},
            {"create": {"_id": "c", "status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}},
        ]});
        let mut done = Done::default();
        let (again, why) = judge(&body, lines(&["a", "b", "c"]), &mut done).unwrap();
        assert_eq!(again, lines(&["c"]));
        assert!(why.contains("full"), "{why}");
        assert_eq!((done.changed, done.before), (1, 1));
    }

    #[test]
    fn a_document_that_is_gone_needs_no_deleting() {
        let body = json!({"items": [{"delete": {"_id": "a", "status": 404}}]});
        let mut done = Done::default();
        let (again, _) = judge(&body, lines(&["a"]), &mut done).unwrap();
        assert_eq!((again.len(), done.before), (0, 1));
    }

    #[test]
    fn a_refused_document_is_named() {
        let body = json!({"items": [{"create": {"_id": "a", "status": 400,
            "error": {"type": "document_parsing_exception", "reason": "failed to parse field [p0]"}}}]});
        let error = judge(&body, lines(&["a"]), &mut Done::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("\"a\"") && text.contains("p0"), "{text}");
    }

    #[test]
    fn an_index_that_is_missing_is_not_a_document_that_is_gone() {
        let body = json!({"items": [{"delete": {"_id": "a", "status": 404, "error": {"type": "index_not_found_exception"}}}]});
        assert!(judge(&body, lines(&["a"]), &mut Done::default()).is_err());
    }

    #[test]
    fn an_answer_that_lacks_an_item_proves_nothing() {
        let body = json!({"items": [{"create": {"_id": "a", "status": 201}}]});
        let mut done = Done::default();
        let (again, _) = judge(&body, lines(&["a", "b"]), &mut done).unwrap();
        assert_eq!((again.len(), done), (2, Done::default()));
    }
}
