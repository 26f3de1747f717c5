//! In: the samples of a demonstration as they come. Out: a live table on a terminal, plain lines in a pipe.
//! Never: leaves the terminal other than it found it.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use chrono::Utc;
use crossterm::{cursor, queue, style, terminal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::live::Live;
use super::table;
use crate::app::demo::{Demo, Error, Update};

/// In a pipe every topic gets one line this often.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Size of a terminal that does not say its own.
const SIZE: (u16, u16) = (80, 24);

/// Show a simulated fleet, collected by the real pipeline, in a live table
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Also index into this Elasticsearch, for example http://127.0.0.1:9200
    ///
    /// Credentials come from the environment: ES_API_KEY, or ES_PASSWORD with ES_USERNAME (elastic where it is not set). The index is
    /// consumer_lag; it is created when it does not exist.
    #[arg(long, value_name = "URL")]
    pub elasticsearch: Option<String>,

    /// End after this long, for example 30s; without it, at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
}

/// Whether log lines would be written over the live table: then only errors are worth that.
pub fn is_drawn_over_by_logs() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Shows a simulated fleet until `stop`, or for as long as the arguments say.
///
/// # Errors
/// The fleet or the pipeline cannot start.
pub async fn run(arguments: &Arguments, stop: CancellationToken) -> Result<Exit, Error> {
    let env = |name: &str| std::env::var(name).ok();
    let demo = Demo::start(arguments.elasticsearch.as_deref(), &env).await?;
    let end = stop.child_token();
    if let Some(duration) = arguments.duration {
        let end = end.clone();
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            end.cancel();
        });
    }
    if io::stdout().is_terminal() {
        on_terminal(&demo, &end).await;
    } else {
        in_pipe(&demo, &end).await;
    }
    // The terminal is itself again before the orderly end, which may take some seconds.
    demo.finish().await;
    Ok(Exit::Done)
}

async fn on_terminal(demo: &Demo, stop: &CancellationToken) {
    let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let heading = heading(demo);
    let mut live = Live::default();
    let mut last = Vec::new();
    {
        let mut screen = Screen::enter(io::stdout());
        demo.watch(stop, |update| {
            last = footer(&update);
            update.samples.into_iter().for_each(|s| live.push(s));
            let mut lines = last.clone();
            lines.push("Ctrl-C ends".to_owned());
            let size = size();
            let lines = live.screen(&heading, &lines, Utc::now(), size, color);
            flow(screen.draw(&lines, size.1))
        })
        .await;
    }
    let text = table::render(&live.latest(), Utc::now(), size().0, color);
    // A terminal that is gone cannot be told.
    let _ = writeln!(io::stdout(), "{text}{}", last.join("\n"));
}

async fn in_pipe(demo: &Demo, stop: &CancellationToken) {
    let mut live = Live::default();
    let mut next = Instant::now() + PLAIN_EVERY;
    let mut out = io::stdout();
    let heading = heading(demo);
    if writeln!(out, "# {heading}").is_err() {
        return;
    }
    demo.watch(stop, |update| {
        let footer = footer(&update).join("; ");
        update.samples.into_iter().for_each(|s| live.push(s));
        if Instant::now() < next {
            return ControlFlow::Continue(());
        }
        next += PLAIN_EVERY;
        let text = live.plain(Utc::now());
        flow(writeln!(out, "{text}# {footer}").and_then(|()| out.flush()))
    })
    .await;
}

/// A reader that went away (`demo | head`) ends the demonstration quietly.
fn flow(written: io::Result<()>) -> ControlFlow<()> {
    match written {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

fn heading(demo: &Demo) -> String {
    let (hosts, topics) = demo.size();
    format!(
        "mirrorlag demo: {hosts} simulated mirror hosts on 127.0.0.1, {topics} topics, every second"
    )
}

fn footer(update: &Update) -> Vec<String> {
    let seconds = update.running_for.as_secs_f64();
    let size = update.journal_bytes.map_or("-".to_owned(), |bytes| {
        bytesize::ByteSize(bytes).display().iec().to_string()
    });
    let mut lines = vec![format!(
        "{seconds:.0}s, {} samples, {:.1} per second; journal {size}",
        update.records,
        update.records as f64 / seconds.max(1.0),
    )];
    lines.extend(update.sinks.iter().cloned());
    lines
}

/// Columns and rows of the terminal; a terminal that says it has none (a fresh pseudo-terminal) is taken for one of `SIZE`.
fn size() -> (usize, usize) {
    let (columns, rows) = match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
        _ => SIZE,
    };
    (usize::from(columns), usize::from(rows))
}

/// The alternate screen of the terminal, left when this is dropped: what was on the terminal is there again.
struct Screen<W: Write> {
    out: W,
}

impl<W: Write> Screen<W> {
    fn enter(mut out: W) -> Self {
        // A terminal that refuses shows that at the first drawing, which ends the demonstration.
        let _ = queue!(out, terminal::EnterAlternateScreen, cursor::Hide);
        Self { out }
    }

    /// Shows `lines` from the top of a terminal with so many `rows`; not more of them.
    fn draw(&mut self, lines: &[String], rows: usize) -> io::Result<()> {
        queue!(self.out, terminal::BeginSynchronizedUpdate)?;
        // Cleared before it is printed: behind a line as wide as the terminal the cursor stands on its last character.
        for (row, line) in (0..).zip(lines.iter().take(rows)) {
            let clear = terminal::Clear(terminal::ClearType::UntilNewLine);
            queue!(self.out, cursor::MoveTo(0, row), clear, style::Print(line))?;
        }
        if lines.len() < rows {
            let below = u16::try_from(lines.len()).unwrap_or(u16::MAX);
            let clear = terminal::Clear(terminal::ClearType::FromCursorDown);
            queue!(self.out, cursor::MoveTo(0, below), clear)?;
        }
        queue!(self.out, terminal::EndSynchronizedUpdate)?;
        self.out.flush()
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // A terminal that is gone needs no mending.
        let _ = queue!(self.out, cursor::Show, terminal::LeaveAlternateScreen);
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_itself_again_however_the_screen_ends() {
        let mut out = Vec::new();
        {
            let mut screen = Screen::enter(&mut out);
            screen
                .draw(&["one".to_owned(), "two".to_owned()], 5)
                .unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("\u{1b}[?1049h\u{1b}[?25l"), "{text:?}");
        assert!(text.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{text:?}");
    }

    #[test]
    fn a_drawing_clears_what_was_there_and_no_character_of_its_own() {
        let mut out = Vec::new();
        {
            let mut screen = Screen { out: &mut out };
            screen.draw(&["ab".to_owned(), "cd".to_owned()], 2).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        // Row by row: go there, clear to the end, print. Two rows of two are full, nothing below is cleared.
        assert!(
            text.contains("\u{1b}[1;1H\u{1b}[Kab\u{1b}[2;1H\u{1b}[Kcd\u{1b}[?2026l"),
            "{text:?}"
        );
    }
}
