//! In: a configuration and what to do with it. Out: one line for each thing that was made, changed or left alone, a summary, an exit code.
//! Never: decides what is made.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

use super::columns::printable;
use super::exit::Exit;
use crate::app::setup::{self, Line, Mode, Options, Outcome, Request, Server};
use crate::config::Config;

/// More `p<N>` than one chart can show apart; a topic with more is for the layout `partitions`.
const PARTITIONS_MAX: i64 = 1000;

/// What `setup` is told beside the configuration.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file; config/mirrorlag.yaml shows every key
    #[arg(short, long, value_name = "FILE", default_value = "mirrorlag.yaml")]
    pub config: PathBuf,

    /// Print the requests that would be sent, and send only those that change nothing
    #[arg(long)]
    dry_run: bool,

    /// Write everything as files that can be imported by hand, with a README.txt; ask no server
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "remove", "alerts"])]
    pub export: Option<PathBuf>,

    /// Take back what setup made, but for indices and data streams
    #[arg(long)]
    remove: bool,

    /// Make Kibana's alert rules too
    #[arg(long, conflicts_with = "remove")]
    alerts: bool,

    /// How many partitions the topic dashboard draws, from p0 on [default: 18]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=PARTITIONS_MAX))]
    partitions: Option<u16>,
}

/// Does it and prints what became of each thing. `Exit::Partial` when something failed.
pub(super) async fn run(config: Config, arguments: &Arguments) -> Exit {
    let options = Options {
        with_alerts: arguments.alerts,
        partitions: arguments.partitions,
    };
    let mut report = Report::new(io::stdout());
    if let Some(folder) = &arguments.export {
        for line in setup::export(&config, options, folder) {
            report.line(&line);
        }
    } else {
        let mode = Mode {
            is_dry: arguments.dry_run,
            is_removal: arguments.remove,
        };
        setup::set_up(&config, options, mode, &mut |line| report.line(&line)).await;
    }
    super::written(report.finish())
}

/// The lines of one setup.
struct Report<W> {
    out: W,
    /// How often each word was printed, in the order of `WORDS`.
    counts: [usize; WORDS.len()],
    has_failed: bool,
    /// The first error of writing; what comes after it is not printed.
    broken: io::Result<()>,
}

/// In the order of the summary.
const WORDS: [&str; 10] = [
    "created",
    "changed",
    "removed",
    "would create",
    "would change",
    "would remove",
    "unchanged",
    "left",
    "skipped",
    "failed",
];

impl<W: Write> Report<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            counts: [0; WORDS.len()],
            has_failed: false,
            broken: Ok(()),
        }
    }

    fn line(&mut self, line: &Line) {
        let word = word(line);
        for (count, _) in self
            .counts
            .iter_mut()
            .zip(WORDS)
            .filter(|(_, w)| *w == word)
        {
            *count += 1;
        }
        self.has_failed |= matches!(line.outcome, Outcome::Failed(_));
        let name = printable(&line.name);
        match line.outcome.text() {
            None => self.write(format_args!("{word:<9} {name}")),
            Some(text) => self.write(format_args!("{word:<9} {name}: {}", printable(text))),
        }
        if let Some(request) = &line.unsent {
            self.request(request);
        }
    }

    /// As Kibana's console writes it, where `kbn:` is Kibana itself.
    fn request(&mut self, request: &Request) {
        let server = match request.server {
            Server::Elasticsearch => "/",
            Server::Kibana => "kbn:/",
        };
        self.write(format_args!(
            "  {} {server}{}",
            request.verb(),
            request.path
        ));
        for line in request.body.to_string().lines() {
            self.write(format_args!("  {}", printable(line)));
        }
    }

    fn write(&mut self, line: impl Display) {
        if self.broken.is_ok() {
            self.broken = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        }
    }

    fn finish(mut self) -> io::Result<Exit> {
        let counts = WORDS.iter().zip(self.counts);
        let counts = counts.filter(|(_, count)| *count > 0);
        let summary: Vec<String> = counts
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        if !summary.is_empty() {
            self.write(summary.join(", "));
        }
        self.broken?;
        Ok(match self.has_failed {
            false => Exit::Done,
            true => Exit::Partial,
        })
    }
}

fn word(line: &Line) -> &'static str {
    match (line.unsent.is_some(), &line.outcome) {
        (true, Outcome::Created) => "would create",
        (true, Outcome::Changed(_)) => "would change",
        (true, Outcome::Removed) => "would remove",
        (_, outcome) => outcome.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(lines: &[Line]) -> (String, Exit) {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        for line in lines {
            report.line(line);
        }
        let exit = report.finish().unwrap();
        (String::from_utf8(out).unwrap(), exit)
    }

    fn line(name: &str, outcome: Outcome) -> Line {
        Line {
            name: name.to_owned(),
            outcome,
            unsent: None,
        }
    }

    #[test]
    fn each_thing_is_one_line_and_the_last_line_counts_them() {
        let lines = [
            line("index template consumer_lag", Outcome::Created),
            line(
                "index consumer_lag",
                Outcome::Changed("new fields cluster".to_owned()),
            ),
            line("data view mirrorlag", Outcome::Unchanged),
            line(
                "Kibana",
                Outcome::Skipped("no kibana: in a.yaml".to_owned()),
            ),
        ];
        let (text, exit) = printed(&lines);
        let expected = "\
created   index template consumer_lag
changed   index consumer_lag: new fields cluster
unchanged data view mirrorlag
skipped   Kibana: no kibana: in a.yaml
1 created, 1 changed, 1 unchanged, 1 skipped
";
        assert_eq!((text.as_str(), exit), (expected, Exit::Done));
    }

    #[test]
    fn one_failure_is_exit_code_1_and_no_answer_moves_the_cursor() {
        let why = "HTTP 500: a\u{1b}[2Jb".to_owned();
        let (text, exit) = printed(&[line("index consumer_lag", Outcome::Failed(why))]);
        assert_eq!(exit, Exit::Partial);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
