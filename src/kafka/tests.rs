//! What the facts about the CLI say, one test each: texts in, description out. Real outputs are in `tests/describe`.

use super::*;

mod groups;
mod headers;
mod members;
mod outcomes;
mod rows;

/// The header of 2.3 and later; what stands below may have any widths.
const HEADER: &str =
    "\nGROUP TOPIC PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID HOST CLIENT-ID\n";
/// The header of 0.10.2 to 2.2.
const HEADER_OLD: &str =
    "\nTOPIC PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID HOST CLIENT-ID\n";
const UUID: &str = "d57b630d-e052-4ba6-9170-8946bea22377";

fn round(exit_code: i32, stdout: &str, stderr: &str) -> RoundText {
    RoundText {
        tick: "1".to_owned(),
        exit_code,
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        cut_lines: 0,
        is_too_much: false,
    }
}

/// Topic, partition, lag of each row.
fn lags(group: &str, stdout: &str) -> Vec<(String, i32, Option<i64>)> {
    let round = round(0, stdout, "");
    read(group, &round)
        .rows
        .iter()
        .map(|row| (row.topic.to_owned(), row.partition, row.lag))
        .collect()
}

fn failure(exit_code: i32, stdout: &str, stderr: &str) -> (Outcome, String) {
    let round = round(exit_code, stdout, stderr);
    let description = read("g", &round);
    assert!(description.rows.is_empty());
    let failure = description.failure.expect("a failure");
    (failure.outcome, failure.reason)
}

/// CONSUMER-ID, HOST and CLIENT-ID of one row with this right side.
fn member(header: &str, right: &str) -> (Option<String>, Option<String>, Option<String>) {
    let group = if header == HEADER { "g " } else { "" };
    let round = round(0, &format!("{header}{group}t 0 1 2 1 {right}\n"), "");
    let description = read("g", &round);
    assert_eq!(
        description.rows.len(),
        1,
        "the right side never costs the row: {right:?}"
    );
    assert_eq!(description.rows[0].lag, Some(1));
    let row = &description.rows[0];
    (
        row.consumer_id.map(str::to_owned),
        row.consumer_host.map(str::to_owned),
        row.client_id.map(str::to_owned),
    )
}

fn some(
    consumer_id: &str,
    host: &str,
    client_id: &str,
) -> (Option<String>, Option<String>, Option<String>) {
    (
        Some(consumer_id.to_owned()),
        Some(host.to_owned()),
        Some(client_id.to_owned()),
    )
}
