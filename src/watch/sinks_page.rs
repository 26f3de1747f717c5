//! In: the sinks of the run, the journal, what is unhealthy. Out: a row per sink, lines for the rest.
//! Never: judges what is healthy.

use chrono::{DateTime, Utc};

use super::grid::{Column, Kind};
use super::look::{Cell, Look, Mood, age};
use super::sources_page::mark;
use super::{Phase, Sink, Standing};

/// The first column has a mark where something is unhealthy.
pub(super) const COLUMNS: [Column; 7] = [
    column("", Kind::Fixed(1), 0),
    column("SINK", Kind::Words(10), 0),
    column("POSITION", Kind::Number, 4),
    column("BEHIND", Kind::Number, 0),
    column("FOR", Kind::Number, 1),
    column("STORED", Kind::Number, 5),
    column("PHASE", Kind::Words(10), 0),
];

const fn column(title: &'static str, kind: Kind, rank: u8) -> Column {
    Column { title, kind, rank }
}

pub(super) fn row(look: Look, sink: &Sink, now: DateTime<Utc>) -> Vec<Cell> {
    let stuck = |word: &str| match sink.since {
        Some(at) => format!("{word} for {}", age(now - at)),
        None => word.to_owned(),
    };
    let (phase, mood) = match sink.phase {
        Some(Phase::Working) => ("working".to_owned(), Mood::Good),
        Some(Phase::Retrying) => (stuck("retrying"), Mood::Notice),
        Some(Phase::Holding) => (stuck("holding"), Mood::Bad),
        None => ("-".to_owned(), Mood::Plain),
    };
    vec![
        mark(look, sink.is_healthy),
        Cell::plain(look, &sink.name),
        Cell::number(Some(sink.position)),
        Cell::number(Some(sink.behind)),
        Cell::number(Some(age(sink.behind_for))),
        Cell::number(sink.stored),
        Cell::new(look, &phase, mood),
    ]
}

/// What stands below the table, one paragraph each.
pub(super) fn paragraphs(standing: &Standing) -> Vec<(String, Mood)> {
    let mut lines = Vec::new();
    if standing.sinks.is_empty() {
        lines.push((
            "no sink: what is collected stays in the journal".to_owned(),
            Mood::Dim,
        ));
    }
    for sink in &standing.sinks {
        if let Some(reason) = &sink.reason {
            lines.push((format!("{}: {}", sink.name, reason.trim()), Mood::Bad));
        }
    }
    lines.push((standing.run.clone(), Mood::Plain));
    lines.push((standing.journal.clone(), Mood::Plain));
    lines.push(match standing.letters {
        0 => ("no dead letters".to_owned(), Mood::Plain),
        1 => ("1 dead letter".to_owned(), Mood::Bad),
        more => (format!("{more} dead letters"), Mood::Bad),
    });
    match standing.problems.len() {
        0 => lines.push(("healthy".to_owned(), Mood::Good)),
        1 => lines.push(("1 problem:".to_owned(), Mood::Bad)),
        more => lines.push((format!("{more} problems:"), Mood::Bad)),
    }
    let problems = standing.problems.iter();
    lines.extend(problems.map(|problem| (format!("  {problem}"), Mood::Plain)));
    lines
}
