//! In: arguments. Out: text on the terminal and an exit code.
//! Never: collects, delivers, knows SSH.

mod arguments;
mod check;
mod columns;
mod demo;
mod exit;
mod letters;
mod moves;
mod once;
mod setup;
mod status;
mod table;
mod terminal;
mod watch;

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio_util::sync::CancellationToken;

use self::arguments::{Arguments, Command, JournalPlace, Letters};
pub use self::exit::Exit;
use crate::app::{self, Reloads};
use crate::config::{self, Loaded};
use crate::{hangup, shutdown, telemetry};

/// Reads the command line, does what it says, and returns the exit code of `Exit`.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(&arguments);
    let exit = match &arguments.command {
        // The runtime first: from then on SIGHUP is caught.
        Command::Run(arguments) => with_runtime(|stop| run(arguments, stop)),
        Command::Check(file) => with_config(&file.config, |loaded| {
            with_runtime(|stop| until(stop, check::run(loaded)))
        }),
        Command::Setup(arguments) => {
            with_loaded(load_for_setup(arguments), |mut loaded| {
                // It asks no mirror host.
                let is_ours = |key: &str| key.starts_with("sinks") || key.starts_with("kibana");
                loaded
                    .warnings
                    .retain(|warning| is_ours(&warning.place.key));
                warn(&loaded);
                with_runtime(|stop| until(stop, setup::run(loaded.config, arguments)))
            })
        }
        Command::Once(file) => with_config(&file.config, |loaded| {
            warn(&loaded);
            with_runtime(|stop| until(stop, async { written(once::run(loaded.config).await) }))
        }),
        Command::Status { place, json } => with_journal(place, |path, config| {
            written(status::run(path, config, *json))
        }),
        Command::Watch(arguments) => watch(arguments),
        Command::Letters { command } => letters(command),
        Command::Migrate { file, dry_run } => with_config(&file.config, |loaded| {
            with_runtime(|stop| moves::migrate(loaded.config, *dry_run, stop))
        }),
        Command::Prune {
            file,
            older_than,
            dry_run,
        } => with_config(&file.config, |loaded| {
            with_runtime(|stop| moves::prune(loaded.config, *older_than, *dry_run, stop))
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

fn letters(command: &Letters) -> Exit {
    match command {
        Letters::List { place, json } => {
            with_journal(place, |path, _| written(letters::list(path, *json)))
        }
        Letters::Show {
            number,
            place,
            json,
        } => with_journal(place, |path, _| {
            written(letters::show(path, *number, *json))
        }),
        Letters::Drop { numbers, place, .. } => {
            with_journal(place, |path, _| written(letters::drop(path, numbers)))
        }
        Letters::Resend { numbers, file, .. } => with_config(&file.config, |loaded| {
            with_runtime(|stop| until(stop, letters::resend(loaded.config, numbers)))
        }),
    }
}

fn watch(arguments: &watch::Arguments) -> Exit {
    if !watch::has_terminal() {
        return Exit::NotStarted;
    }
    if arguments.collect {
        return with_config(&arguments.config, |loaded| {
            with_runtime(|stop| watch::collect(loaded, stop))
        });
    }
    let place = JournalPlace {
        config: arguments.config.clone(),
        journal: arguments.journal.clone(),
    };
    with_journal(&place, |path, config| {
        with_runtime(|stop| watch::run(path, config, stop))
    })
}

fn start_log(arguments: &Arguments) {
    let format = arguments.log_format.into();
    match &arguments.command {
        Command::Run(_) => telemetry::start(arguments.verbose, format),
        // A log line in a drawn screen destroys it.
        Command::Demo(_) | Command::Watch(_) if demo::is_drawn_over_by_logs() => {}
        // What these commands find, they print themselves.
        _ if arguments.verbose == 0 => {}
        _ => telemetry::start(arguments.verbose, format),
    }
}

fn with_config(path: &Path, act: impl FnOnce(Loaded) -> Exit) -> Exit {
    with_loaded(load(path), act)
}

fn with_loaded(loaded: Result<Loaded, Exit>, act: impl FnOnce(Loaded) -> Exit) -> Exit {
    loaded.map_or_else(|exit| exit, act)
}

fn load(path: &Path) -> Result<Loaded, Exit> {
    config::load(path, &|name| std::env::var(name).ok()).map_err(|problems| refused(&problems))
}

/// With the credentials of Kibana, or, where nobody is asked, without any.
fn load_for_setup(arguments: &setup::Arguments) -> Result<Loaded, Exit> {
    let (path, env) = (&arguments.config, |name: &str| std::env::var(name).ok());
    let loaded = match arguments.export {
        Some(_) => config::load_for_export(path, &env),
        None => config::load_for_setup(path, &env),
    };
    loaded.map_err(|problems| refused(&problems))
}

fn refused(problems: &config::Problems) -> Exit {
    complain_lines(&problems.to_string());
    Exit::Configuration
}

/// Acts on the journal that is named, or that the configuration names; then also on that file.
fn with_journal(place: &JournalPlace, act: impl FnOnce(&Path, Option<&Path>) -> Exit) -> Exit {
    if let Some(path) = &place.journal {
        return act(path, None);
    }
    let file = &place.config;
    match config::load_journal(file, &|name| std::env::var(name).ok()) {
        Ok(settings) => act(&settings.path, Some(file)),
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

async fn run(arguments: &arguments::Run, stop: CancellationToken) -> Exit {
    let path = arguments.file.config.as_path();
    let hangups = match hangup::on_hangup(stop.clone()) {
        Ok(hangups) => hangups,
        Err(error) => {
            complain(format_args!("cannot listen for SIGHUP: {error}"));
            return Exit::NotStarted;
        }
    };
    let of_start = path.to_owned();
    let loading = tokio::task::spawn_blocking(move || load(&of_start));
    // Told to stop while a file system hangs: nothing was started.
    let loaded = match stop.run_until_cancelled(loading).await {
        None => return Exit::Done,
        Some(Ok(Ok(loaded))) => loaded,
        Some(Ok(Err(exit))) => return exit,
        // A panic, which is printed by the runtime.
        Some(Err(_panicked)) => return Exit::NotStarted,
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if arguments.journal_reset
        && let Err(error) = app::reset_journal(&loaded.config)
    {
        complain(error);
        return Exit::NotStarted;
    }
    match app::run(loaded.config, Reloads::new(path, hangups), stop).await {
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
