//! In: a configuration and what a check of it finds. Out: one line per finding, the mend below it, a summary, an exit code.
//! Never: checks anything itself, waits for the last host before it prints the first.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::columns::{Mood, printable};
use super::exit::Exit;
use super::written;
use crate::app;
use crate::collector::Topics;
use crate::config::{Config, Loaded, Problem};
use crate::finding::{Finding, Verdict};

/// Subjects beyond this are printed whole, but do not move the columns of all others.
const SUBJECT_WIDTH_MAX: usize = 48;

/// As wide as the longest link, `config file`.
const LINK_WIDTH: usize = 11;

/// Proves every link of the configuration and prints what it finds. `Exit::Partial` when a link does not work.
pub(super) async fn run(loaded: Loaded) -> Exit {
    let out = io::stdout();
    let color = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut report = Report::new(out, &loaded.config, color);
    let started = Instant::now();
    for warning in &loaded.warnings {
        report.warning(warning);
    }
    app::check::check(&loaded.config, &mut |finding| report.finding(&finding)).await;
    written(report.finish(started.elapsed()))
}

/// The lines of one check.
struct Report<W> {
    out: W,
    subject_width: usize,
    color: bool,
    passed: usize,
    warned: usize,
    failed: usize,
    skipped: usize,
    /// The first error of writing; what comes after it is not printed.
    broken: io::Result<()>,
}

impl<W: Write> Report<W> {
    fn new(out: W, config: &Config, color: bool) -> Self {
        Self {
            out,
            subject_width: subject_width(config),
            color,
            passed: 0,
            warned: 0,
            failed: 0,
            skipped: 0,
            broken: Ok(()),
        }
    }

    fn warning(&mut self, problem: &Problem) {
        self.warned += 1;
        let place = format!(
            "{}:{}:{}",
            problem.file.display(),
            problem.place.line,
            problem.place.column
        );
        let what = format!("{}: {}", problem.place.key, problem.what);
        self.line(
            "warn",
            Mood::Notice,
            &place,
            "config",
            &what,
            Duration::ZERO,
        );
        self.mend(&problem.mend);
    }

    fn finding(&mut self, finding: &Finding) {
        let (word, mood, text, mend) = match &finding.verdict {
            Verdict::Passed(text) => ("ok", Mood::Good, text, None),
            Verdict::Warned { what, mend } => ("warn", Mood::Notice, what, Some(mend)),
            Verdict::Failed { why, mend } => ("FAIL", Mood::Bad, why, Some(mend)),
            Verdict::Skipped(why) => ("skip", Mood::Dim, why, None),
        };
        *match &finding.verdict {
            Verdict::Passed(_) => &mut self.passed,
            Verdict::Warned { .. } => &mut self.warned,
            Verdict::Failed { .. } => &mut self.failed,
            Verdict::Skipped(_) => &mut self.skipped,
        } += 1;
        self.line(
            word,
            mood,
            &finding.subject,
            finding.link,
            text,
            finding.took,
        );
        if let Some(mend) = mend {
            self.mend(mend);
        }
    }

    fn line(
        &mut self,
        word: &str,
        mood: Mood,
        subject: &str,
        link: &str,
        text: &str,
        took: Duration,
    ) {
        let word = mood.paint(&format!("{word:<4}"), self.color);
        let (subject, text) = (printable(subject), printable(text));
        let width = self.subject_width;
        let took = match took {
            Duration::ZERO => String::new(),
            took => format!(" ({})", in_words(took)),
        };
        let took = Mood::Dim.paint(&took, self.color);
        self.write(&format!(
            "{word}  {subject:<width$}  {link:<LINK_WIDTH$}  {text}{took}"
        ));
    }

    fn mend(&mut self, mend: &str) {
        self.write(&format!("      mend: {}", printable(mend)));
    }

    fn write(&mut self, line: &str) {
        if self.broken.is_ok() {
            self.broken = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        }
    }

    fn finish(mut self, took: Duration) -> io::Result<Exit> {
        self.write(&format!(
            "{} ok, {} warn, {} FAIL, {} skip in {}",
            self.passed,
            self.warned,
            self.failed,
            self.skipped,
            in_words(took)
        ));
        self.broken?;
        Ok(match self.failed {
            0 => Exit::Done,
            _ => Exit::Partial,
        })
    }
}

/// Wide enough for what will be printed: hosts, groups, topics that are named.
fn subject_width(config: &Config) -> usize {
    let hosts = config
        .mirror_hosts
        .iter()
        .map(|host| host.name.chars().count());
    let topics = config.sources.iter().map(|source| {
        let group =
            source.mirror_host.name.chars().count() + 1 + source.describe.group.chars().count();
        let listed = match &source.topics {
            Topics::One(topic) => std::slice::from_ref(topic),
            Topics::Listed(topics) => topics.as_slice(),
            Topics::All { .. } => &[],
        };
        let longest = listed.iter().map(|topic| topic.chars().count() + 1).max();
        group + longest.unwrap_or(0)
    });
    let sinks = "elasticsearch".len();
    let widest = hosts.chain(topics).chain([sinks]).max();
    widest.unwrap_or(0).min(SUBJECT_WIDTH_MAX)
}

fn in_words(took: Duration) -> String {
    match took.as_millis() {
        0 => "under 1 ms".to_owned(),
        millis @ 1..=999 => format!("{millis} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests;
