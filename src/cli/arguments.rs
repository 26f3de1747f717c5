//! In: the command line. Out: a command with its options.
//! Never: reads a file, has an option for a secret.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::demo;
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

    /// Show a simulated fleet, collected by the real pipeline, in a live table
    ///
    /// Needs nothing: MirrorMakers behind a real SSH server in this process fall behind and catch up, rebalance, drop their
    /// connections. In a pipe it prints plain lines.
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
