//! In: updates from the journal, keys, signals. Out: a live view that fills the terminal.
//! Never: draws more often than something changes, or each second.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use ratatui::crossterm::event::Event;
use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::terminal::{self, Screen};
use super::{complain, warn};
use crate::app::watch::{Collecting, follow_run};
use crate::config::Loaded;
use crate::watch::{Flow, Update, Watch};

/// Ages are drawn anew this often.
const SECOND: Duration = Duration::from_secs(1);

/// A shell without job control ignores that we would stop; then the screen is taken again after this long.
const STOP_WAIT: Duration = Duration::from_millis(200);

/// What `watch` is told beside the journal.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file, of which only the journal: section is read, but with --collect
    #[arg(short, long, value_name = "FILE", default_value = "mirrorlag.yaml")]
    pub config: PathBuf,

    /// The journal itself, instead of the file that names it
    #[arg(long, value_name = "PATH", conflicts_with_all = ["config", "collect"])]
    pub journal: Option<PathBuf>,

    /// Ask the hosts, where no run does; nothing is delivered, and nothing is kept
    #[arg(long)]
    pub collect: bool,
}

/// Why the view ended by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "no full screen here: {0}; use `mirrorlag once` or `mirrorlag status`, which need none"
    )]
    NoTerminal(&'static str),
    #[error("the terminal is gone: {0}")]
    Terminal(#[from] io::Error),
}

/// Whether there is a terminal to fill; says so where there is none.
pub(super) fn has_terminal() -> bool {
    match terminal::why_not() {
        Some(why) => {
            complain(Error::NoTerminal(why));
            false
        }
        None => true,
    }
}

/// Shows the journal at `path` until a key or `stop`; `config` is the file that named it.
pub(super) async fn run(path: &Path, config: Option<&Path>, stop: CancellationToken) -> Exit {
    let mut watch = Watch::new("mirrorlag watch", terminal::look());
    let updates = follow_run(path, config);
    ended(show(&mut watch, updates, &stop).await)
}

/// Collects what the configuration says, without its journal and sinks, and shows it until a key or `stop`.
pub(super) async fn collect(loaded: Loaded, stop: CancellationToken) -> Exit {
    warn(&loaded);
    let collecting = match Collecting::start(loaded.config).await {
        Ok(collecting) => collecting,
        Err(error) => {
            complain(error);
            return Exit::NotStarted;
        }
    };
    let mut watch = Watch::new("mirrorlag watch --collect", terminal::look());
    let shown = show(&mut watch, collecting.follow(), &stop).await;
    // The terminal is itself again before the orderly end, which may take some seconds.
    collecting.finish().await;
    ended(shown)
}

/// Shows what comes until `q`, a signal, or `stop`. The terminal is as it was before when this returns.
///
/// # Errors
/// The terminal is gone.
pub(super) async fn show(
    watch: &mut Watch,
    mut updates: mpsc::Receiver<Update>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let mut hangup = unix::signal(SignalKind::hangup())?;
    let mut goes_on = unix::signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut screen = Screen::enter()?;
    let mut keys = terminal::keys();
    while !stop.is_cancelled() && !terminal::has_panicked() {
        let flow = tokio::select! {
            () = stop.cancelled() => Flow::Quit,
            _ = hangup.recv() => Flow::Quit,
            event = keys.recv() => pressed(watch, event),
            Some(update) = updates.recv() => {
                watch.take(update, Utc::now());
                Flow::GoOn
            }
            _ = seconds.tick() => Flow::GoOn,
            // Stopped and continued by somebody else: the shell has used the terminal meanwhile.
            _ = goes_on.recv() => {
                drop(screen);
                screen = Screen::enter()?;
                Flow::GoOn
            }
        };
        match flow {
            Flow::Quit => break,
            Flow::Suspend => {
                drop(screen);
                suspend(&mut goes_on).await;
                screen = Screen::enter()?;
            }
            Flow::GoOn => {}
        }
        // Keys that were held down are many changes and one drawing.
        if keys.is_empty() {
            let now = Utc::now();
            screen.draw(|area, buffer| watch.draw(area, buffer, now))?;
        }
    }
    Ok(())
}

/// `None` as the event: nobody will press a key any more.
fn pressed(watch: &mut Watch, event: Option<Event>) -> Flow {
    match event {
        Some(Event::Key(key)) => watch.press(key, Utc::now()),
        Some(_) => Flow::GoOn,
        None => Flow::Quit,
    }
}

/// Does what Ctrl-Z does in a terminal that is not ours: stops the whole job. Returns when it goes on.
async fn suspend(goes_on: &mut unix::Signal) {
    if let Err(error) = kill_current_process_group(Signal::TSTP) {
        tracing::debug!(%error, "cannot stop the job");
    }
    let _not_stopped = timeout(STOP_WAIT, goes_on.recv()).await;
}

fn ended(shown: io::Result<()>) -> Exit {
    match shown {
        Ok(()) if terminal::has_panicked() => Exit::Partial,
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(Error::Terminal(error));
            Exit::Partial
        }
    }
}
