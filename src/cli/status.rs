//! In: a report of a journal. Out: the same as tables or as one JSON object, an exit code.
//! Never: judges what is healthy.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat, Utc};

use super::columns::{self, Cell, Column, Mood, printable};
use super::complain;
use super::exit::Exit;
use super::table::{age, number, text};
use crate::app::notes::PhaseWord;
use crate::app::status::{Kept, Report, Run, Sink, Source, look};
use crate::kafka::Outcome;

/// Width of the tables where the terminal does not say its own.
const WIDTH: usize = 100;

/// A line in a pipe is never cut.
const PIPE_WIDTH: usize = usize::MAX;

const NAME_NARROWEST: usize = 12;

/// The first column has a mark where something is unhealthy.
const SOURCE_COLUMNS: [Column; 9] = [
    text("", None),
    text("SOURCE", Some(NAME_NARROWEST)),
    text("CONNECTED", None),
    text("OUTCOME", None),
    number("AGE", "AGE"),
    number("ROUNDS", "ROUNDS"),
    number("SKIPPED", "SKIP"),
    number("TIMEOUTS", "TIMEO"),
    number("RECONNECTS", "RECON"),
];

const SINK_COLUMNS: [Column; 7] = [
    text("", None),
    text("SINK", Some(NAME_NARROWEST)),
    number("POSITION", "POS"),
    number("BEHIND", "BEHIND"),
    number("FOR", "FOR"),
    number("STORED", "STORED"),
    text("PHASE", Some(NAME_NARROWEST)),
];

/// Looks and prints. `Exit::Partial` when something is unhealthy.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn run(path: &Path, config: Option<&Path>, json: bool) -> io::Result<Exit> {
    let report = match look(path, config) {
        Ok(report) => report,
        Err(error) => {
            complain(error);
            return Ok(Exit::Configuration);
        }
    };
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &report)?;
        out.write_all(b"\n")?;
    } else {
        let on_terminal = out.is_terminal();
        let width = match on_terminal {
            true => terminal_width(),
            false => PIPE_WIDTH,
        };
        let color = on_terminal && std::env::var_os("NO_COLOR").is_none();
        out.write_all(render(&report, width, color).as_bytes())?;
    }
    Ok(match report.healthy {
        true => Exit::Done,
        false => Exit::Partial,
    })
}

fn terminal_width() -> usize {
    let columns = crossterm::terminal::size().map_or(0, |(columns, _)| usize::from(columns));
    // Some terminals, as those of containers, say 0.
    match columns {
        0 => WIDTH,
        known => known,
    }
}

/// The whole text; ends with a line feed.
fn render(report: &Report, width: usize, color: bool) -> String {
    let now = report.at;
    let mut lines = vec![
        marked(&run_line(&report.run, now), !has(report, "run"), color),
        marked(
            &journal_line(&report.journal, now),
            !has(report, "journal"),
            color,
        ),
    ];
    if !report.sources.is_empty() {
        lines.push(String::new());
        lines.extend(sources(report, width, color));
    }
    if !report.sinks.is_empty() {
        lines.push(String::new());
        lines.extend(sinks(report, width, color));
    }
    lines.push(String::new());
    lines.push(match report.problems.len() {
        0 => Mood::Good.paint("healthy", color),
        1 => Mood::Bad.paint("1 problem", color),
        more => Mood::Bad.paint(&format!("{more} problems"), color),
    });
    // Whole, however wide: a command that was cut cannot be typed.
    for problem in &report.problems {
        let (subject, what) = (printable(&problem.subject), printable(&problem.what));
        lines.push(format!(
            "{subject}: {what}; next: {}",
            printable(&problem.mend)
        ));
    }
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn has(report: &Report, subject: &str) -> bool {
    report.problems.iter().any(|it| it.subject == subject)
}

fn marked(line: &str, healthy: bool, color: bool) -> String {
    let mark = mark(healthy);
    format!(
        "{}  {line}",
        mark.mood.paint(&format!("{:1}", mark.text), color)
    )
}

fn mark(healthy: bool) -> Cell {
    match healthy {
        true => Cell::plain(" "),
        false => Cell::new("!", Mood::Bad),
    }
}

fn run_line(run: &Run, now: DateTime<Utc>) -> String {
    let mut line = match (run.alive, run.started_at) {
        (true, Some(at)) => format!("run      running since {}", since(at, now)),
        (true, None) => "run      running".to_owned(),
        (false, _) => match (run.stopped_at, run.alive_at) {
            (Some(at), _) => format!("run      not running since {}", since(at, now)),
            (None, Some(at)) => format!("run      not running, last seen {}", since(at, now)),
            (None, None) => "run      not running".to_owned(),
        },
    };
    if let Some(pid) = run.pid.filter(|_| run.alive) {
        line.push_str(&format!(", pid {pid}"));
    }
    if let Some(version) = &run.version {
        line.push_str(&format!(", mirrorlag {}", printable(version)));
    }
    if let Some(file) = &run.configuration {
        line.push_str(&format!(", {}", printable(&file.to_string_lossy())));
    }
    if run.samples_lost > 0 {
        line.push_str(&format!(", {} samples lost", run.samples_lost));
    }
    line
}

fn journal_line(journal: &Kept, now: DateTime<Utc>) -> String {
    let of = journal
        .bytes_max
        .map_or_else(String::new, |max| format!(" of {}", ByteSize(max)));
    let oldest = journal.oldest.map_or_else(String::new, |at| {
        format!(", the oldest {} old", age(now - at))
    });
    format!(
        "journal  {}: {}{of}, {} records{oldest}, {} dead letters",
        printable(&journal.path.to_string_lossy()),
        ByteSize(journal.bytes),
        journal.records,
        journal.letters
    )
}

/// `2026-11-20T10:00:00Z (12m03s ago)`
fn since(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let instant = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{instant} ({} ago)", age(now - at))
}

fn sources(report: &Report, width: usize, color: bool) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = report
        .sources
        .iter()
        .map(|source| source_cells(source, report.at))
        .collect();
    let reason = |source: &Source| {
        let last = source.state.last.as_ref();
        match last.filter(|last| last.outcome != Outcome::Ok) {
            Some(last) => last.reason.clone(),
            None if report.run.alive && source.state.connected_since.is_none() => {
                let error = source.state.last_error.as_ref();
                error.map(|error| error.reason.clone())
            }
            None => None,
        }
    };
    let reasons: Vec<Option<String>> = report.sources.iter().map(reason).collect();
    with_reasons(&SOURCE_COLUMNS, &rows, &reasons, width, color)
}

fn source_cells(source: &Source, now: DateTime<Utc>) -> Vec<Cell> {
    let state = &source.state;
    let connected = state.connected_since.map(|at| age(now - at));
    let (outcome, mood) = match &state.last {
        Some(last) if last.outcome == Outcome::Ok => (last.outcome.word(), Mood::Good),
        Some(last) => (last.outcome.word(), Mood::Bad),
        None => ("-", Mood::Plain),
    };
    let last_age = state.last.as_ref().map(|last| age(now - last.at));
    let or = |text: Option<String>, other: &str| text.unwrap_or_else(|| other.to_owned());
    vec![
        mark(source.healthy),
        Cell::plain(&state.name),
        Cell::plain(or(connected, "no")),
        Cell::new(outcome, mood),
        Cell::plain(or(last_age, "-")),
        Cell::plain(state.rounds.to_string()),
        Cell::plain(state.skipped.to_string()),
        Cell::plain(state.timeouts.to_string()),
        Cell::plain(state.reconnects.to_string()),
    ]
}

fn sinks(report: &Report, width: usize, color: bool) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = report
        .sinks
        .iter()
        .map(|sink| sink_cells(sink, report.at))
        .collect();
    let reasons: Vec<Option<String>> = report
        .sinks
        .iter()
        .map(|sink| sink.reason.clone())
        .collect();
    with_reasons(&SINK_COLUMNS, &rows, &reasons, width, color)
}

fn sink_cells(sink: &Sink, now: DateTime<Utc>) -> Vec<Cell> {
    let stuck = |word: &str| match sink.since {
        Some(at) => format!("{word} for {}", age(now - at)),
        None => word.to_owned(),
    };
    let (phase, mood) = match sink.phase {
        Some(PhaseWord::Working) => ("working".to_owned(), Mood::Good),
        Some(PhaseWord::Retrying) => (stuck("retrying"), Mood::Notice),
        Some(PhaseWord::Holding) => (stuck("holding"), Mood::Bad),
        None => ("-".to_owned(), Mood::Plain),
    };
    vec![
        mark(sink.healthy),
        Cell::plain(&sink.name),
        Cell::plain(sink.position.to_string()),
        Cell::plain(sink.behind.to_string()),
        Cell::plain(age(chrono::TimeDelta::seconds(sink.behind_s))),
        Cell::plain(
            sink.stored
                .map_or_else(|| "-".to_owned(), |it| it.to_string()),
        ),
        Cell::new(phase, mood),
    ]
}

/// A table with, under each row that has one, its reason.
fn with_reasons(
    columns: &[Column],
    rows: &[Vec<Cell>],
    reasons: &[Option<String>],
    width: usize,
    color: bool,
) -> Vec<String> {
    let mut table = columns::lines(columns, rows, width, color).into_iter();
    let mut lines: Vec<String> = table.next().into_iter().collect();
    for (line, reason) in table.zip(reasons) {
        lines.push(line);
        if let Some(reason) = reason {
            let reason = format!("       {}", printable(reason));
            lines.push(Mood::Dim.paint(&columns::cut(&reason, width), color));
        }
    }
    lines
}

#[cfg(test)]
mod tests;
