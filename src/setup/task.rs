//! In: the id of a task that the server works on by itself. Out: its progress, its end, what it could not do.
//! Never: starts a task, asks faster than anybody reads.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Say;
use crate::sinks::elasticsearch::{Admin, AdminError, Method};

/// Between two questions, after the first few: short beside what anybody copies, and nothing for a cluster.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Before the second question; then twice that, up to `ASK_EVERY`, so that a small index is done at once.
const ASK_FIRST: Duration = Duration::from_millis(50);

/// Between two lines of progress.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Questions without an answer in a row, while a cluster restarts, before the operator is asked.
const SILENCES_MAX: u32 = 60;

/// A task that was told to stop has ended after this: it finishes the batch that it is at.
const END_LIMIT: Duration = Duration::from_secs(30);

/// How a task ended.
#[derive(Debug)]
pub(super) enum End {
    /// Its `response`: `total`, `created`, `deleted`, `version_conflicts`, `failures`.
    Done(Value),
    /// The node that worked on it has restarted.
    Lost,
    Failed(String),
    /// It was told to, because we were.
    Stopped,
}

/// Waits for it; `verb` begins the lines of progress: `copied`.
pub(super) async fn wait(
    admin: &mut Admin,
    id: &str,
    verb: &str,
    stop: &CancellationToken,
    say: &mut Say<'_>,
) -> Result<End, AdminError> {
    let mut said = Instant::now();
    let mut silences = 0;
    let mut wait = ASK_FIRST;
    loop {
        if stop.is_cancelled() {
            cancel(admin, id).await?;
            return Ok(End::Stopped);
        }
        let answer = match admin.ask(Method::Get, &format!("_tasks/{id}"), None).await {
            Ok(answer) => answer,
            Err(AdminError::NoAnswer(_)) if silences < SILENCES_MAX => {
                silences += 1;
                pause(ASK_EVERY, stop).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        silences = 0;
        if answer.status == 404 {
            return Ok(End::Lost);
        }
        let mut body = answer.expect(&format!("ask for task {id}"))?;
        if body.get("completed").and_then(Value::as_bool) == Some(true) {
            return Ok(match body.get("error") {
                Some(error) => End::Failed(error.to_string()),
                None => End::Done(
                    body.get_mut("response")
                        .map(Value::take)
                        .unwrap_or_default(),
                ),
            });
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let status = body.pointer("/task/status").unwrap_or(&Value::Null);
            say(progress(verb, status));
        }
        pause(wait, stop).await;
        wait = (wait * 2).min(ASK_EVERY);
    }
}

/// Tells a task to end and waits until it has.
pub(super) async fn cancel(admin: &mut Admin, id: &str) -> Result<(), AdminError> {
    admin
        .ask(Method::Post, &format!("_tasks/{id}/_cancel"), None)
        .await?;
    let end = Instant::now() + END_LIMIT;
    while Instant::now() < end {
        let answer = admin
            .ask(Method::Get, &format!("_tasks/{id}"), None)
            .await?;
        let is_over = answer.body.get("completed").and_then(Value::as_bool) == Some(true);
        if answer.status == 404 || is_over {
            return Ok(());
        }
        sleep(ASK_EVERY).await;
    }
    Err(AdminError::Refused {
        what: format!("end task {id}"),
        reason: format!(
            "it still works {} s after it was told to",
            END_LIMIT.as_secs()
        ),
    })
}

async fn pause(wait: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(wait) => {}
    }
}

/// `copied 1200 of 10000 (12 %)`.
fn progress(verb: &str, status: &Value) -> String {
    let count = |key: &str| status.get(key).and_then(Value::as_u64).unwrap_or(0);
    let done = ["created", "updated", "deleted", "version_conflicts"]
        .iter()
        .map(|key| count(key))
        .sum();
    of_all(verb, done, count("total"))
}

/// A line of progress.
pub(super) fn of_all(verb: &str, done: u64, total: u64) -> String {
    let percent = done.saturating_mul(100) / total.max(1);
    format!("{verb} {done} of {total} ({percent} %)")
}

/// The first failure of a task's response: the document, if it is about one, and the reason.
pub(super) fn first_failure(response: &Value) -> Option<(Option<String>, String)> {
    let failure = response.get("failures")?.as_array()?.first()?;
    let id = failure.get("id").and_then(Value::as_str).map(str::to_owned);
    let cause = failure.get("cause").or_else(|| failure.get("reason"));
    let text = |path: &str| cause.and_then(|cause| cause.pointer(path)?.as_str());
    let parts = [text("/type"), text("/reason"), text("/caused_by/reason")];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let status = failure.get("status").and_then(Value::as_u64).unwrap_or(0);
    // Only a 4xx other than "no room" is the document's fault.
    let is_of_document = (400..500).contains(&status) && status != 429;
    Some((id.filter(|_| is_of_document), parts.join(": ")))
}
