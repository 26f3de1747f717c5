//! In: arguments. Out: text on the terminal and an exit code.
//! Never: collects, delivers, knows SSH.

mod arguments;
mod check;
mod columns;
mod demo;
mod exit;
mod live;
mod once;
mod table;

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio_util::sync::CancellationToken;

use self::arguments::{Arguments, Command};
pub use self::exit::Exit;
use crate::app;
use crate::config::{self, Loaded};
use crate::{shutdown, telemetry};

/// Reads the command line, does what it says, and returns the exit code of `Exit`.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(&arguments);
    let exit = match &arguments.command {
        Command::Run(arguments) => with_config(&arguments.file.config, |loaded| {
            if arguments.journal_reset
                && let Err(error) = app::reset_journal(&loaded.config)
            {
                complain(error);
                return Exit::NotStarted;
            }
            with_runtime(|stop| run(loaded, stop))
        }),
        Command::Check(file) => with_config(&file.config, |loaded| {
            with_runtime(|stop| until(stop, check::run(loaded)))
        }),
        Command::Once(file) => with_config(&file.config, |loaded| {
            warn(&loaded);
            with_runtime(|stop| until(stop, async { written(once::run(loaded.config).await) }))
        }),
        Command::Demo(arguments) => with_runtime(|stop| demo(arguments, stop)),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "mirrorlag", &mut text);
            written(print(&text))
        }
        Command::Man => written(manual().and_then(|text| print(&text))),
    };
    exit.into()
}

fn start_log(arguments: &Arguments) {
    let format = arguments.log_format.into();
    match &arguments.command {
        Command::Run(_) => telemetry::start(arguments.verbose, format),
        // A log line in a drawn screen destroys it.
        Command::Demo(_) if demo::is_drawn_over_by_logs() => {}
        // What these commands find, they print themselves.
        _ if arguments.verbose == 0 => {}
        _ => telemetry::start(arguments.verbose, format),
    }
}

fn with_config(path: &Path, act: impl FnOnce(Loaded) -> Exit) -> Exit {
    match config::load(path, &|name| std::env::var(name).ok()) {
        Ok(loaded) => act(loaded),
        Err(problems) => {
            complain_lines(&problems.to_string());
            Exit::Configuration
        }
    }
}

/// Runs `act` on a runtime, with the token that signals cancel.
fn with_runtime<F: Future<Output = Exit>>(act: impl FnOnce(CancellationToken) -> F) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!(
                "cannot start threads: {error}; raise the limit of processes (ulimit -u)"
            ));
            return Exit::NotStarted;
        }
    };
    let exit = runtime.block_on(async {
        match shutdown::on_signal() {
            Ok(stop) => act(stop).await,
            Err(error) => {
                complain(format_args!("cannot listen for signals: {error}"));
                Exit::NotStarted
            }
        }
    });
    // What was named as not ended in time must not keep the process alive.
    runtime.shutdown_background();
    exit
}

/// A command that is asked to stop ends at once: it has written nothing that needs an order.
async fn until(stop: CancellationToken, command: impl Future<Output = Exit>) -> Exit {
    stop.run_until_cancelled(command)
        .await
        .unwrap_or(Exit::Partial)
}

async fn run(loaded: Loaded, stop: CancellationToken) -> Exit {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match app::run(loaded.config, stop).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(error);
            Exit::NotStarted
        }
    }
}

async fn demo(arguments: &demo::Arguments, stop: CancellationToken) -> Exit {
    match demo::run(arguments, stop).await {
        Ok(exit) => exit,
        Err(error) => {
            complain(error);
            Exit::NotStarted
        }
    }
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        complain(format_args!("warning: {warning}"));
    }
}

fn manual() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
    Ok(text)
}

fn print(text: &[u8]) -> io::Result<Exit> {
    io::stdout().write_all(text)?;
    Ok(Exit::Done)
}

/// A reader that went away (`| head`) has what it wanted; anything else is an error.
fn written(result: io::Result<Exit>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            complain(format_args!("cannot write to standard output: {error}"));
            Exit::Partial
        }
    }
}

/// One line on standard error.
fn complain(what: impl Display) {
    complain_lines(&format!("mirrorlag: {what}"));
}

fn complain_lines(text: &str) {
    // Standard error that is gone cannot be told about.
    let _gone = writeln!(io::stderr(), "{}", text.trim_end());
}
