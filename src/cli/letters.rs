//! In: a journal or a configuration, numbers. Out: dead letters as lines or JSON, and what became of them.
//! Never: keeps more letters in memory than a page.

use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::columns::printable;
use super::complain;
use super::exit::Exit;
use crate::app::letters::{Letter, Letters, Which, Whole, send};
use crate::config::Config;

/// Titles of the list, each at the place of its values: letters come page by page, so no column can wait for its widest value.
const TITLES: [&str; 8] = [
    "NUMBER",
    "SINK",
    "TOPIC",
    "TICK",
    "ATTEMPTS",
    "FIRST ATTEMPT",
    "LAST ATTEMPT",
    "REASON",
];

/// Prints every letter.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn list(path: &Path, json: bool) -> io::Result<Exit> {
    let letters = match Letters::open(path) {
        Ok(letters) => letters,
        Err(error) => return cannot_read(error),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut after = 0;
    loop {
        let page = match letters.page(after) {
            Ok(page) => page,
            Err(error) => return cannot_read(error),
        };
        if after == 0 && !json && !page.is_empty() {
            writeln!(out, "{}", row(TITLES.map(str::to_owned)))?;
        }
        for letter in &page {
            match json {
                true => write_json(&mut out, letter)?,
                false => writeln!(out, "{}", row(cells(letter)))?,
            }
        }
        out.flush()?;
        match page.last() {
            Some(last) => after = last.number,
            None => return Ok(Exit::Done),
        }
    }
}

/// Prints all of one letter.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn show(path: &Path, number: u64, json: bool) -> io::Result<Exit> {
    let found = match Letters::open(path).and_then(|letters| letters.find(number)) {
        Ok(found) => found,
        Err(error) => return cannot_read(error),
    };
    let Some(whole) = found else {
        complain(missing(number));
        return Ok(Exit::Partial);
    };
    let mut out = io::stdout().lock();
    match json {
        true => write_json(&mut out, &whole)?,
        false => write_whole(&mut out, &whole)?,
    }
    Ok(Exit::Done)
}

/// Forgets letters and prints each; no number: all.
///
/// # Errors
/// Standard output cannot be written; what was to be dropped is dropped all the same.
pub(super) fn drop(path: &Path, numbers: &[u64]) -> io::Result<Exit> {
    let mut out = io::stdout().lock();
    let mut dropped = 0_u64;
    let mut written = Ok(());
    let gone = Letters::open(path).and_then(|letters| {
        letters.drop(&which(numbers), |letter| {
            dropped += 1;
            if written.is_ok() {
                written = writeln!(out, "{}", row(cells(letter)));
            }
        })
    });
    let missing_numbers = match gone {
        Ok(missing_numbers) => missing_numbers,
        Err(error) => return cannot_read(error),
    };
    written?;
    writeln!(out, "{dropped} dropped")?;
    for &number in &missing_numbers {
        complain(missing(number));
    }
    Ok(match missing_numbers.is_empty() {
        true => Exit::Done,
        false => Exit::Partial,
    })
}

/// Sends letters again and says what became of them; no number: all.
pub(super) async fn resend(config: Config, numbers: &[u64]) -> Exit {
    let sent = match send(&config, &which(numbers)).await {
        Ok(sent) => sent,
        Err(error) => {
            complain(error);
            return Exit::Configuration;
        }
    };
    for &number in &sent.missing {
        complain(missing(number));
    }
    for (sink, why) in &sent.untried {
        complain(format_args!("{}: {}", printable(sink), printable(why)));
    }
    let (stored, refused, left) = (sent.stored, sent.refused, sent.left);
    let said = writeln!(
        io::stdout(),
        "{stored} stored, {refused} refused again, {left} left"
    );
    let is_all = refused == 0 && sent.missing.is_empty() && sent.untried.is_empty();
    super::written(said.map(|()| if is_all { Exit::Done } else { Exit::Partial }))
}

fn which(numbers: &[u64]) -> Which {
    match numbers {
        [] => Which::All,
        numbers => Which::Numbers(numbers.iter().copied().collect()),
    }
}

fn missing(number: u64) -> String {
    format!("there is no dead letter {number}; `mirrorlag letters list` shows those that are")
}

fn cannot_read(error: impl std::fmt::Display) -> io::Result<Exit> {
    complain(error);
    Ok(Exit::Configuration)
}

fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn write_whole(out: &mut impl Write, whole: &Whole) -> io::Result<()> {
    let letter = &whole.letter;
    for (title, value) in TITLES.into_iter().zip(cells(letter)) {
        writeln!(out, "{title:<14} {value}")?;
    }
    writeln!(out, "{:<14} {}", "POSITION", letter.position)?;
    writeln!(out, "{:<14} {}", "_id", whole.id.as_deref().unwrap_or("-"))?;
    let document = serde_json::to_string_pretty(&whole.document)?;
    // JSON escapes every control character but for its own line feeds.
    writeln!(out, "DOCUMENT\n{document}")
}

fn cells(letter: &Letter) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        letter.number.to_string(),
        printable(&letter.sink),
        printable(&or_dash(letter.topic.clone())),
        or_dash(letter.tick.map(instant)),
        letter.attempts.to_string(),
        instant(letter.first_attempt),
        instant(letter.last_attempt),
        printable(&letter.reason),
    ]
}

fn row([number, sink, topic, tick, attempts, first, last, reason]: [String; 8]) -> String {
    format!(
        "{number:>6}  {sink:<13}  {topic:<20}  {tick:<24}  {attempts:>8}  {first:<24}  {last:<24}  {reason}"
    )
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
