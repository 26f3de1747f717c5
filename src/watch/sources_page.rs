//! In: the sources of the run. Out: a row for each, and its reason.
//! Never: judges what is healthy.

use chrono::{DateTime, Utc};

use super::Source;
use super::grid::{Column, Kind};
use super::look::{Cell, Look, Mood, age};
use crate::kafka::Outcome;

/// Sources of one group differ at the end of their names, so other columns go before they are cut further.
const SOURCE_LEAST: usize = 20;

/// The first column has a mark where something is unhealthy.
pub(super) const COLUMNS: [Column; 10] = [
    column("", Kind::Fixed(1), 0),
    column("SOURCE", Kind::Words(SOURCE_LEAST), 0),
    column("CONNECTED", Kind::Number, 3),
    column("OUTCOME", Kind::Words(13), 0),
    column("AGE", Kind::Number, 1),
    column("TOPICS", Kind::Number, 8),
    column("ROUNDS", Kind::Number, 7),
    column("SKIPPED", Kind::Number, 4),
    column("TIMEOUTS", Kind::Number, 5),
    column("RECONNECTS", Kind::Number, 6),
];

const fn column(title: &'static str, kind: Kind, rank: u8) -> Column {
    Column { title, kind, rank }
}

pub(super) fn row(look: Look, source: &Source, now: DateTime<Utc>) -> Vec<Cell> {
    let (outcome, mood) = match source.last {
        Some((outcome @ Outcome::Ok, _)) => (outcome.word(), Mood::Good),
        Some((outcome, _)) => (outcome.word(), Mood::Bad),
        None => ("-", Mood::Plain),
    };
    let connected = source.connected_since.map(|at| age(now - at));
    vec![
        mark(look, source.is_healthy),
        Cell::plain(look, &source.name),
        Cell::plain(look, connected.as_deref().unwrap_or("no")),
        Cell::new(look, outcome, mood),
        Cell::number(source.last.map(|(_, at)| age(now - at))),
        Cell::number(Some(source.topics)),
        Cell::number(Some(source.rounds)),
        Cell::number(Some(source.skipped)),
        Cell::number(Some(source.timeouts)),
        Cell::number(Some(source.reconnects)),
    ]
}

/// All of one source in a sentence, for the line below the table.
pub(super) fn sentence(source: &Source, now: DateTime<Utc>) -> String {
    let connected = source.connected_since.map_or_else(
        || "not connected".to_owned(),
        |at| format!("connected for {}", age(now - at)),
    );
    let mut text = format!(
        "{}: {connected}, {} topics, every {}, {} rounds, {} skipped ticks, {} timeouts, {} reconnects",
        source.name,
        source.topics,
        age(source.interval),
        source.rounds,
        source.skipped,
        source.timeouts,
        source.reconnects
    );
    if let Some(reason) = &source.reason {
        text.push_str(&format!("; {}", reason.trim()));
    }
    text
}

pub(super) fn mark(look: Look, is_healthy: bool) -> Cell {
    match is_healthy {
        true => Cell::plain(look, ""),
        false => Cell::new(look, "!", Mood::Bad),
    }
}
