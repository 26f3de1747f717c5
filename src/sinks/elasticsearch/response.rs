//! In: status and body of an answer of Elasticsearch. Out: the fate of each document, or of the request as a whole.
//! Never: does I/O, trusts that the answer comes from Elasticsearch.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::sinks::Fate;

/// Characters of a reason that are kept: Elasticsearch quotes the start of a document in it, and it goes into logs.
const REASON_CHARS_MAX: usize = 1000;

/// An error as Elasticsearch reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `index_not_found_exception`, ...; `None` where the body is not an error of Elasticsearch.
    pub(super) kind: Option<String>,
    /// Reason, with that of its cause where it adds something; empty when none was given.
    pub(super) reason: String,
}

/// The fate of one item of a bulk reply, judged by error type first and status second.
pub(super) fn item_fate(status: u16, refusal: Option<&Refusal>) -> Fate {
    let kind = refusal.and_then(|it| it.kind.as_deref());
    let reason = refusal.map_or("", |it| it.reason.as_str());
    let text = text(status, kind, reason);
    match (kind, status) {
        // An error beside a status of success proves nothing.
        (None, 200..=299 | 409) if refusal.is_none() => Fate::Stored,
        (Some("version_conflict_engine_exception"), 409) => Fate::Stored,
        (Some("es_rejected_execution_exception" | "circuit_breaking_exception"), _) => {
            Fate::Retry(text)
        }
        // 429 is the flood-stage disk, 403 a block set by hand; 503 is a cluster that is still electing or recovering.
        (Some("cluster_block_exception"), 503) => Fate::Retry(text),
        (Some("cluster_block_exception"), _) => Fate::Hold(text),
        (
            Some(
                "unavailable_shards_exception"
                | "no_shard_available_action_exception"
                | "process_cluster_event_timeout_exception",
            ),
            _,
        ) => Fate::Retry(text),
        (
            Some("index_not_found_exception" | "index_closed_exception" | "security_exception"),
            _,
        ) => Fate::Hold(text),
        (Some("illegal_argument_exception"), _) if concerns_the_index(reason) => Fate::Hold(text),
        (_, 401 | 403) => Fate::Hold(text),
        (_, 429) => Fate::Retry(text),
        (_, 400..=499) => Fate::Reject(text),
        _ => Fate::Retry(text),
    }
}

/// The fate of every document of a request that was answered by anything but a bulk reply.
pub(super) fn request_fate(status: u16, refusal: &Refusal) -> Fate {
    let kind = refusal.kind.as_deref();
    let text = text(status, kind, &refusal.reason);
    match (status, kind) {
        (408 | 500..=599, _) => Fate::Retry(text),
        (429, Some("cluster_block_exception")) => Fate::Hold(text),
        (429, _) => Fate::Retry(text),
        (413, _) => Fate::Divide(text),
        (400, Some("media_type_header_exception")) => Fate::Hold(text),
        // One document may have spoiled the request.
        (400, Some(_)) => Fate::Divide(text),
        // Whatever else: nothing is dropped for what no document can be blamed for.
        _ => Fate::Hold(text),
    }
}

/// Whether such an answer says that something that is not (this) Elasticsearch stands at the URL.
pub(super) fn is_wrong_server(status: u16, refusal: &Refusal) -> bool {
    match status {
        405 | 406 | 300..=399 => true,
        400 | 404 => refusal.kind.is_none(),
        _ => false,
    }
}

/// The fates of a bulk reply, in the order of `ids`, and whether there was no room for any of the documents; the error says why the
/// reply proves nothing.
pub fn bulk_fates(body: &[u8], ids: &[String]) -> Result<(Vec<Fate>, bool), String> {
    let reply: BulkReply = serde_json::from_slice(body)
        .map_err(|error| format!("the reply to a bulk is not one of Elasticsearch ({error})"))?;
    // An action line without a document is skipped with `errors: false`, so that only the count tells.
    if reply.items.len() != ids.len() {
        return Err(format!(
            "the reply to a bulk of {} documents has {} items",
            ids.len(),
            reply.items.len()
        ));
    }
    let mut fates = Vec::with_capacity(ids.len());
    let mut is_crowded = true;
    for (action, id) in reply.items.iter().zip(ids) {
        let item = &action.create;
        if item.id.as_ref().is_some_and(|answered| answered != id) {
            return Err("the reply to a bulk names other documents than were sent".to_owned());
        }
        let refusal = item.error.as_ref().map(refusal_of);
        let fate = item_fate(item.status, refusal.as_ref());
        // The queue of a shard takes its part of a bulk whole or not at all.
        is_crowded &= item.status == 429 && matches!(fate, Fate::Retry(_));
        fates.push(fate);
    }
    Ok((fates, is_crowded))
}

/// The fate of every document of a request whose answer has another status than 200.
pub fn refused_fate(status: u16, body: &[u8]) -> Fate {
    request_fate(status, &refusal(body))
}

/// What an answer other than a bulk reply says; a body that is not an error of Elasticsearch has no kind.
pub(super) fn refusal(body: &[u8]) -> Refusal {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    match value.get("error") {
        Some(error) => refusal_of(error),
        None => Refusal {
            kind: None,
            reason: start_of_text(body),
        },
    }
}

/// `Retry-After` in seconds or as a date; `None` for what is neither.
pub(super) fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(header).ok()?;
    // A date that has passed asks for no wait.
    Some((date.to_utc() - now).to_std().unwrap_or(Duration::ZERO))
}

#[derive(Deserialize)]
struct BulkReply {
    items: Vec<Action>,
}

/// We only ever send `create`; an answer to anything else is not an answer to us.
#[derive(Deserialize)]
struct Action {
    create: Item,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "_id")]
    id: Option<String>,
    status: u16,
    error: Option<Value>,
}

fn refusal_of(error: &Value) -> Refusal {
    // Requests that reach no handler are answered with a bare text.
    if let Some(text) = error.as_str() {
        return Refusal {
            kind: None,
            reason: cut(text),
        };
    }
    let part = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut reason = part(error, "reason").unwrap_or_default();
    let cause = error.get("caused_by").and_then(|it| part(it, "reason"));
    // 7.x says only there what is wrong with a document.
    if let Some(cause) = cause.filter(|cause| !reason.contains(cause.as_str())) {
        reason = format!("{reason}: {cause}");
    }
    Refusal {
        kind: part(error, "type")
            .map(|kind| cut(&kind))
            .filter(|kind| !kind.is_empty()),
        reason: cut(&reason),
    }
}

/// Reasons of `illegal_argument_exception` that no document is to blame for: pipeline, write alias, data stream.
fn concerns_the_index(reason: &str) -> bool {
    ["pipeline with id", "no write index", "data stream"]
        .iter()
        .any(|part| reason.contains(part))
}

fn text(status: u16, kind: Option<&str>, reason: &str) -> String {
    match (kind, reason.is_empty()) {
        (Some(kind), true) => kind.to_owned(),
        (Some(kind), false) => format!("{kind}: {reason}"),
        (None, true) => format!("HTTP {status} without an explanation"),
        (None, false) => format!("HTTP {status}: {reason}"),
    }
}

/// The first words of a body that is not JSON, such as the page of a proxy.
fn start_of_text(body: &[u8]) -> String {
    let start = body.get(..200).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(REASON_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests;
