//! In: dead letters of one sink. Out: which of them it has now, which it still refuses, and why it could not be asked.
//! Never: changes the journal, waits for a sink that is not well.

use chrono::Utc;

use super::batch::{Batch, Verdict};
use crate::journal::{Record, StoredLetter, Touch};
use crate::sinks::{NotReady, Sink};

/// Passes over one batch while another node may do better than the last one: each URL once, and no configuration has more.
const PASSES_MAX: usize = 16;

/// What became of letters that were sent again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resent {
    /// Numbers of those the sink has, now or from an earlier attempt.
    pub stored: Vec<u64>,
    /// Those it still refuses, with what it says now.
    pub refused: Vec<Touch>,
    /// How many are no samples, and were not sent.
    pub unreadable: u64,
    /// Why the others were not settled: an operator must act, or it passes by itself. `None`: all are.
    pub ended: Option<String>,
}

/// Sends `letters`, all of one sink, once more. Each has the `_id` it always had, so that none is stored twice.
pub async fn resend<S: Sink>(sink: &mut S, letters: Vec<StoredLetter>) -> Resent {
    let count = letters.len();
    let records = letters.into_iter().map(|stored| Record {
        // What a batch knows its records by.
        position: stored.number,
        appended_at: stored.letter.first_attempt,
        body: stored.letter.body,
    });
    let mut batch = Batch::new(records.collect(), Utc::now());
    let ended = match sink.prepare().await {
        Ok(()) => send(sink, &mut batch).await,
        Err(NotReady::Retry { why, .. } | NotReady::Hold(why)) => Some(why),
    };
    let (stored, refused) = batch.fates();
    let settled = stored.len() + refused.len() + batch.pending().len();
    let touch = |(number, reason)| Touch { number, reason };
    Resent {
        stored,
        refused: refused.into_iter().map(touch).collect(),
        unreadable: count.saturating_sub(settled) as u64,
        ended,
    }
}

/// Why it ended before everything was settled.
async fn send<S: Sink>(sink: &mut S, batch: &mut Batch) -> Option<String> {
    let mut why = None;
    for _ in 0..PASSES_MAX {
        let verdict = pass(sink, batch).await;
        let is_elsewhere = verdict.another_node && verdict.hold.is_none();
        why = verdict.hold.or(verdict.retry);
        if why.is_none() || !is_elsewhere {
            break;
        }
    }
    why
}

async fn pass<S: Sink>(sink: &mut S, batch: &mut Batch) -> Verdict {
    let mut verdict = Verdict::default();
    let mut parts = batch.requests(usize::MAX);
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let reply = sink.deliver(&batch.samples(&part)).await;
        let divided = batch.apply(&part, reply, Utc::now(), &mut verdict);
        if verdict.is_setback() {
            break;
        }
        parts.extend(divided);
    }
    verdict
}
