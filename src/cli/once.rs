//! In: the answers of one round. Out: a table on a terminal, JSON lines in a pipe, errors on standard error.
//! Never: waits for a slow host before it prints a fast one into a pipe.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};

use chrono::Utc;

use super::exit::Exit;
use super::{complain, table};
use crate::app;
use crate::collector::Answer;
use crate::config::Config;
use crate::kafka::Outcome;
use crate::sample::Sample;
use crate::sinks;

/// Width of the table where the terminal does not say its own.
const WIDTH: u16 = 100;

/// Asks everything once. `Exit::Partial` when a topic brought no numbers.
///
/// # Errors
/// Standard output cannot be written, but for a reader that went away.
pub(super) async fn run(config: Config) -> io::Result<Exit> {
    let on_terminal = io::stdout().is_terminal();
    let mut samples = Vec::new();
    let mut shown = BTreeSet::new();
    let mut written = Ok(());
    app::once(config, |answer: Answer| {
        // Twelve topics of one dead host are one line, not twelve.
        if let Some(error) = answer.error
            && shown.insert(error.clone())
        {
            complain(error);
        }
        if !on_terminal && written.is_ok() {
            written = write_lines(&answer.samples);
        }
        samples.extend(answer.samples);
    })
    .await;
    written?;
    if on_terminal {
        let width = crossterm::terminal::size().map_or(WIDTH, |(columns, _)| columns);
        let color = std::env::var_os("NO_COLOR").is_none();
        let text = table::render(&samples, Utc::now(), usize::from(width), color);
        writeln!(io::stdout(), "{text}")?;
    }
    let all_numbers = samples.iter().all(|s| s.outcome == Outcome::Ok);
    Ok(if all_numbers {
        Exit::Done
    } else {
        Exit::Partial
    })
}

fn write_lines(samples: &[Sample]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for sample in samples {
        out.write_all(&sinks::document(sample))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
