//! In: the latest sample of each topic. Out: the table that `once` prints, and `demo` at its end.
//! Never: asks for a sample, reads a clock, knows whether it prints to a terminal.

use chrono::{DateTime, Utc};

use super::columns::{self, Cell, Column, Mood};
use crate::kafka::{GroupState, Outcome};
use crate::sample::Sample;
pub(super) use crate::watch::age;

/// Least width of a column of names: `oasis-g…` still tells groups apart.
const NAME_NARROWEST: usize = 8;

/// Least width of the outcome: `ok, rebalancing` and `group_missing` whole.
const OUTCOME_NARROWEST: usize = 15;

/// Columns of every table of samples.
const COLUMNS: [Column; 8] = [
    text("TOPIC", Some(NAME_NARROWEST)),
    text("GROUP", Some(NAME_NARROWEST)),
    text("HOST", Some(NAME_NARROWEST)),
    number("PARTITIONS", "PART"),
    number("LAG TOTAL", "LAG"),
    number("LAG MAX", "MAX"),
    text("OUTCOME", Some(OUTCOME_NARROWEST)),
    number("AGE", "AGE"),
];

/// A column of words.
pub(super) const fn text(title: &'static str, narrowest: Option<usize>) -> Column {
    Column {
        title,
        short_title: title,
        right: false,
        narrowest,
    }
}

pub(super) const fn number(title: &'static str, short_title: &'static str) -> Column {
    Column {
        title,
        short_title,
        right: true,
        narrowest: None,
    }
}

/// One line per sample under a title line, the largest lag first and unknown lag last; ends with a line feed.
///
/// The reason stands under a topic without numbers. No line is wider than `width` terminal cells; too long values are cut with `…`.
/// HOST is the mirror host. In PARTITIONS, `12 (2?)` says that two of twelve have no known lag. `now` is what AGE counts to.
pub fn render(samples: &[Sample], now: DateTime<Utc>, width: usize, color: bool) -> String {
    if samples.is_empty() {
        return "no samples\n".to_owned();
    }
    let mut sorted: Vec<&Sample> = samples.iter().collect();
    sort(&mut sorted);
    let rows: Vec<Vec<Cell>> = sorted.iter().map(|s| cells(s, now).into()).collect();
    let mut text = String::new();
    for (at, line) in columns::lines(&COLUMNS, &rows, width, color)
        .iter()
        .enumerate()
    {
        text.push_str(line.trim_end());
        text.push('\n');
        let sample = at.checked_sub(1).and_then(|at| sorted.get(at));
        if let Some(reason) = sample.and_then(|s| reason(s, width, color)) {
            text.push_str(&reason);
            text.push('\n');
        }
    }
    text
}

/// Largest total lag first, unknown lag last; equal ones by topic, group and mirror host.
fn sort(samples: &mut [&Sample]) {
    samples.sort_by(|a, b| {
        let lag = b.lag_total().cmp(&a.lag_total());
        lag.then_with(|| {
            (&a.topic, &a.group, &a.mirror_host).cmp(&(&b.topic, &b.group, &b.mirror_host))
        })
    });
}

/// The cells of one sample under `COLUMNS`.
fn cells(sample: &Sample, now: DateTime<Utc>) -> [Cell; 8] {
    let (outcome, mood) = outcome(sample);
    [
        Cell::plain(&sample.topic),
        Cell::plain(&sample.group),
        Cell::plain(&sample.mirror_host),
        Cell::plain(partitions(sample)),
        Cell::plain(sample.lag_total().map_or("-".to_owned(), |n| n.to_string())),
        Cell::plain(lag_max(sample)),
        Cell::new(outcome, mood),
        Cell::plain(age(now - sample.sampled_at)),
    ]
}

/// The line under a topic that says why it has no numbers, not wider than `width`; `None` where there is nothing to say.
fn reason(sample: &Sample, width: usize, color: bool) -> Option<String> {
    let reason = sample.reason.as_deref()?.trim();
    let line = format!("    {}", columns::printable(reason));
    Some(Mood::Dim.paint(&columns::cut(&line, width), color))
}

fn partitions(sample: &Sample) -> String {
    if sample.outcome != Outcome::Ok {
        return "-".to_owned();
    }
    match sample.partitions_unknown().len() {
        0 => sample.partitions.len().to_string(),
        unknown => format!("{} ({unknown}?)", sample.partitions.len()),
    }
}

fn lag_max(sample: &Sample) -> String {
    match (sample.lag_max(), sample.lag_max_partition()) {
        (Some(lag), Some(partition)) => format!("{lag} (p{partition})"),
        _ => "-".to_owned(),
    }
}

/// The words of the documents; beside `ok` the state of the group where it is not the usual one.
fn outcome(sample: &Sample) -> (String, Mood) {
    let outcome = sample.outcome.word();
    let state = match sample.group_state {
        state @ (GroupState::Empty | GroupState::Rebalancing) => Some(state.word()),
        GroupState::Stable | GroupState::Unknown => None,
    };
    let mood = match (sample.outcome, state) {
        (Outcome::Ok, None) => Mood::Good,
        (Outcome::Ok, Some(_)) | (Outcome::NoRows, _) => Mood::Notice,
        _ => Mood::Bad,
    };
    match state {
        Some(state) => (format!("{outcome}, {state}"), mood),
        None => (outcome.to_owned(), mood),
    }
}

#[cfg(test)]
mod tests;
