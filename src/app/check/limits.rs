//! In: a configuration. Out: whether a process started as this one may open as many files, and have as much memory, as `run` will need.
//! Never: changes a limit.

use std::time::Instant;

use super::{Reporter, since};
use crate::app::limits::Need;
use crate::finding::Verdict;

const SUBJECT: &str = "process";

/// Reports the limits of this process.
pub(super) async fn check(need: Need, reporter: &Reporter) {
    let started = Instant::now();
    let verdict = match need.allowed_descriptors() {
        Ok(allowed) => Verdict::Passed(format!(
            "{} needed, {} allowed",
            need.descriptors,
            allowed.map_or("any number".to_owned(), |allowed| allowed.to_string())
        )),
        Err(error) => Verdict::Failed {
            why: error.why(),
            mend: error.mend(),
        },
    };
    reporter
        .say(SUBJECT, "open files", since(started), verdict)
        .await;
    let started = Instant::now();
    let verdict = match need.scarce_memory() {
        None => Verdict::Passed(format!("up to {} may be needed", need.memory())),
        Some(scarce) => Verdict::Warned {
            what: scarce.to_string(),
            mend: scarce.mend(),
        },
    };
    reporter
        .say(SUBJECT, "memory", since(started), verdict)
        .await;
}
