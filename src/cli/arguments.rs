//! In: the command line. Out: a command with its options.
//! Never: reads a file, has an option for a secret.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{demo, setup, watch};
use crate::telemetry::Format;

/// Lag of Kafka MirrorMaker, read over SSH from the hosts where it runs, indexed into Elasticsearch
///
/// For every mirrored topic, mirrorlag reads what kafka-consumer-groups.sh --describe prints on the MirrorMaker host and
/// indexes one document per topic and tick, with the lag of partition N in the field pN. Nothing is installed on the hosts.
///
/// Begin with `mirrorlag demo`, which needs nothing; then write a configuration and let `mirrorlag check` prove it.
#[derive(Debug, Parser)]
#[command(
    name = "mirrorlag",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,

    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,

    /// Form of a log line
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
}

/// Form of a log line on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collect until SIGTERM or Ctrl-C
    ///
    /// Every sample is on local disk before a sink sees it. At the signal everything ends in order within 10 seconds; a second
    /// signal ends it at once, and nothing that was stored is lost by that.
    ///
    /// SIGHUP (`systemctl reload`, `kill -HUP`) takes a changed configuration: what did not change goes on, and a file with a mistake
    /// changes nothing. When the terminal of an interactive run is closed, it ends in order.
    #[command(
        after_help = "Exit codes: 0 stopped as told, 2 the configuration is wrong, 3 could not start, 130 told twice to stop."
    )]
    Run(Run),

    /// Prove every link from the configuration to the index, one line each, with the mend
    ///
    /// Per mirror host: name, TCP, host key, login, shell, CLI and its version, properties file, brokers, group; per topic: its
    /// partitions; the journal's folder; per sink: login, rights, index, mapping. Changes nothing.
    #[command(
        after_help = "Exit codes: 0 all links work, 1 one does not, 2 the configuration is wrong."
    )]
    Check(File),

    /// Ask everything once: a table on a terminal, JSON lines in a pipe; writes nowhere
    #[command(
        after_help = "Exit codes: 0 numbers for every topic, 1 not for every topic, 2 the configuration is wrong."
    )]
    Once(File),

    /// Make what the servers are to have: index templates, indices, lifecycles, dashboards; one line for each
    ///
    /// Run twice, the second changes nothing. What bears the same name and was not made by mirrorlag is neither overwritten nor removed.
    /// Edits of mirrorlag's own dashboards are replaced; copies of them are not touched.
    #[command(
        after_help = "Exit codes: 0 everything is as it should be, 1 something failed, 2 the configuration is wrong."
    )]
    Setup(setup::Arguments),

    /// Say how a run stands, from its journal alone: sources, sinks, and what is unhealthy
    ///
    /// Works while `run` runs and afterwards, contacts no host and no sink, and needs no secret. Per source: connected since, last
    /// outcome and its age, rounds, skipped ticks, timeouts, reconnects; per sink: position, how far behind, held why. Unhealthy things are
    /// marked with ! and said at the end, each with what to type next. For cron and monitoring.
    #[command(
        after_help = "Unhealthy is: no run is alive, or it notes nothing for 60 s; a source is not connected, or its last outcome is not ok or too old \
            (three intervals, or one and describe_timeout); a sink holds, or retries or is behind for more than 60 s; there are dead letters; samples \
            were lost within the hour.\n\n\
            Exit codes: 0 healthy, 1 something is unhealthy, 2 the configuration or the journal cannot be read."
    )]
    Status {
        #[command(flatten)]
        place: JournalPlace,

        /// One JSON object: healthy, at, problems, run, sources, sinks, journal
        #[arg(long)]
        json: bool,
    },

    /// Watch a run live, in a full screen: topics, partitions, hosts, sinks
    ///
    /// Reads the journal of a running `run`, as status does: no host and no sink is contacted, and no secret is needed. A journal that is not there, or not
    /// whole, is waited for. With --collect it asks the hosts itself, with their limits, into a temporary journal, delivers nothing, and refuses where a run does
    /// it already. Keys are in the last line of the screen, all of them behind `?`; NO_COLOR is heeded.
    #[command(
        after_help = "Exit codes: 0 ended by a key or a signal, 1 the terminal was lost, 2 the configuration is wrong, 3 could not start (no terminal, or with --collect a run that collects already)."
    )]
    Watch(watch::Arguments),

    /// List, show, resend or drop dead letters: documents that a sink refused for good
    ///
    /// They are in the journal, with reason and document. All of it works while `run` runs and afterwards.
    #[command(
        after_help = "Exit codes: 0 done, 1 not all of it, 2 the configuration or the journal cannot be read."
    )]
    Letters {
        #[command(subcommand)]
        command: Letters,
    },

    /// Move an index with the older mapping to the new one, under the same name
    ///
    /// For an index with the older mapping (topic as text, p0 to p17 as integer). Copies by _reindex where the server has it, else page by page; compares
    /// the counts; keeps the older index, read-only, as <index>_before_migration. A `run` goes on meanwhile: the index refuses documents until the end,
    /// and the journal keeps them. Whatever ends it, the same command goes on or starts over. Ctrl-C takes back what was done.
    #[command(
        after_help = "Exit codes: 0 done, or nothing to do; 1 not done, and said why; 2 the configuration is wrong."
    )]
    Migrate {
        #[command(flatten)]
        file: File,

        /// Say what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
    },

    /// Delete what is older than an age
    ///
    /// Whole indices where their names have a date, else document by document. Of both layouts' indices. Nothing whose name is not exactly ours, and no index that the journal still has documents for. For cron; where the server has
    /// lifecycle management, `retain_for` does it without.
    #[command(
        after_help = "Exit codes: 0 done, or nothing to do; 1 not all of it; 2 the configuration is wrong."
    )]
    Prune {
        #[command(flatten)]
        file: File,

        /// Age from which on documents are deleted, such as 30d; at least 1d [default: retain_for of the configuration]
        #[arg(long, value_name = "AGE", value_parser = super::moves::age)]
        older_than: Option<std::time::Duration>,

        /// Say what would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },

    /// Show a simulated fleet, collected by the real pipeline, in a live view
    ///
    /// Needs nothing: MirrorMakers behind a real SSH server in this process fall behind and catch up, rebalance, drop their
    /// connections. The view is that of `watch`. In a pipe it prints plain lines.
    Demo(demo::Arguments),

    /// Print the completions for a shell
    ///
    /// For bash: mirrorlag completions bash > ~/.local/share/bash-completion/completions/mirrorlag
    Completions {
        /// Whose
        shell: clap_complete::Shell,
    },

    /// Print the manual page
    ///
    /// To read it: mirrorlag man | man -l -
    Man,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum Letters {
    /// One line each: number, sink, topic, tick, attempts, first and last attempt, reason
    List {
        #[command(flatten)]
        place: JournalPlace,

        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },

    /// All of one letter, with the document as it would be sent
    Show {
        /// Its number in the list
        number: u64,

        #[command(flatten)]
        place: JournalPlace,

        /// One JSON object
        #[arg(long)]
        json: bool,
    },

    /// Send letters again, now, after what they were refused for was mended
    ///
    /// What is stored leaves the journal; what is refused again stays, with the new reason. A document keeps its _id, so nothing is ever
    /// stored twice, also where this was interrupted.
    Resend {
        /// Their numbers in the list; all without
        #[arg(conflicts_with = "all")]
        numbers: Vec<u64>,

        /// All of them
        #[arg(long)]
        all: bool,

        #[command(flatten)]
        file: File,
    },

    /// Forget letters, without asking; their documents are nowhere else
    Drop {
        /// Their numbers in the list
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        numbers: Vec<u64>,

        /// All of them
        #[arg(long)]
        all: bool,

        #[command(flatten)]
        place: JournalPlace,
    },
}

/// The journal to look into.
#[derive(Debug, Args)]
pub struct JournalPlace {
    /// The configuration file, of which only the journal: section is read
    #[arg(short, long, value_name = "FILE", default_value = "mirrorlag.yaml")]
    pub config: PathBuf,

    /// The journal itself, instead of the file that names it
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub journal: Option<PathBuf>,
}

/// What `run` is told beside the configuration.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub file: File,

    /// Move a damaged journal aside and begin a new one
    ///
    /// Its files get the name they have with .damaged-<UTC time> behind it; nothing is deleted. A sound journal, or one that
    /// another process has open, stays where it is, and nothing is started.
    #[arg(long)]
    pub journal_reset: bool,
}

/// The configuration to work with.
#[derive(Debug, Args)]
pub struct File {
    /// The configuration file; config/mirrorlag.yaml shows every key
    #[arg(short, long, value_name = "FILE", default_value = "mirrorlag.yaml")]
    pub config: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_for_logs_stand_before_or_behind_the_command() {
        for line in [
            "mirrorlag -v --log-format json run -c a.yaml",
            "mirrorlag run -c a.yaml -v --log-format json",
        ] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(
                (arguments.verbose, arguments.log_format),
                (1, LogFormat::Json)
            );
        }
    }

    #[test]
    fn a_duration_of_the_demo_is_written_as_people_write_it() {
        let arguments = Arguments::try_parse_from(["mirrorlag", "demo", "--for", "30s"]).unwrap();
        let Command::Demo(demo) = arguments.command else {
            panic!("not a demo");
        };
        assert_eq!(demo.duration, Some(std::time::Duration::from_secs(30)));
    }
}
