//! In: a line `STATUS COUNT`, then the body of the answer to a bulk request of COUNT documents, `_id`s `0`, `1`, ... Out: nothing, or a panic.
//!
//! Claims: a usable reply has one fate per document; stored is only what the reply, read a second time and naively, says is stored; a
//! request that was refused as a whole has no document stored, and none lost.

use mirrorlag::sinks::Fate;
use mirrorlag::sinks::elasticsearch::{bulk_fates, refused_fate};
use serde_json::Value;

/// As a batch is at most.
const DOCUMENTS_MAX: usize = 500;

/// A reason goes into logs: 1,000 characters of a reason behind the type of the error, or words about the reply.
const REASON_CHARS_MAX: usize = 1000;

pub fn check(data: &[u8]) {
    let end = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let first = String::from_utf8_lossy(&data[..end]);
    let body = data.get(end + 1..).unwrap_or_default();
    let mut numbers = first
        .split(' ')
        .map(|word| word.parse::<u16>().unwrap_or(200));
    let status = numbers.next().unwrap_or(200);
    let count = usize::from(numbers.next().unwrap_or(1)).min(DOCUMENTS_MAX);
    if status == 200 {
        check_reply(body, count);
    } else {
        let fate = refused_fate(status, body);
        assert!(
            !matches!(fate, Fate::Stored | Fate::Reject(_)),
            "{status}: {fate:?} for a request that was refused as a whole"
        );
        check_reason(&fate, body);
    }
}

fn check_reply(body: &[u8], count: usize) {
    let ids: Vec<String> = (0..count).map(|id| id.to_string()).collect();
    let fates = match bulk_fates(body, &ids) {
        Ok((fates, _is_crowded)) => fates,
        Err(why) => return assert!(!why.is_empty() && !why.contains('\n'), "{why}"),
    };
    assert_eq!(fates.len(), count, "a fate for each document");
    // What is not asked for may be bytes or surrogates that are no text: the second reader replaces the ones, and gives up on the others.
    let Ok(reply) = serde_json::from_str::<Value>(&String::from_utf8_lossy(body)) else {
        return;
    };
    for (n, fate) in fates.iter().enumerate() {
        let item = &reply["items"][n]["create"];
        let named = item["_id"].as_str();
        assert!(
            named.is_none_or(|id| id == ids[n]),
            "item {n} is of {named:?}"
        );
        assert_eq!(
            *fate == Fate::Stored,
            says_stored(item),
            "item {n}: {fate:?} of {item}"
        );
        check_reason(fate, body);
    }
}

fn says_stored(item: &Value) -> bool {
    let error = &item["error"];
    match item["status"].as_u64() {
        Some(200..=299) => error.is_null(),
        Some(409) => error.is_null() || error["type"] == "version_conflict_engine_exception",
        _ => false,
    }
}

fn check_reason(fate: &Fate, body: &[u8]) {
    let reason = match fate {
        Fate::Stored => return,
        Fate::Retry(reason) | Fate::Hold(reason) | Fate::Reject(reason) | Fate::Divide(reason) => {
            reason
        }
    };
    assert!(!reason.is_empty(), "no reason");
    assert!(!reason.contains('\n'), "more than one line: {reason:?}");
    assert!(
        reason.chars().count() <= 2 * REASON_CHARS_MAX + 100,
        "a reason of {} characters from a body of {} bytes",
        reason.chars().count(),
        body.len()
    );
}
