//! In: SIGHUP. Out: a request to read the configuration again; where it came because the terminal was closed, a cancelled token.
//! Never: reads a file, ends the process.

use std::io::IsTerminal;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Requests that came by SIGHUP; several that nobody has taken yet are one.
#[derive(Debug, Clone)]
pub struct Hangups {
    requested: Arc<Notify>,
}

/// From now on SIGHUP does not end the process: it is a request, or cancels `stop` when our terminal is gone.
///
/// # Errors
/// The runtime cannot install a signal handler.
pub fn on_hangup(stop: CancellationToken) -> std::io::Result<Hangups> {
    let mut hangup = signal(SignalKind::hangup())?;
    let requested = Arc::new(Notify::new());
    let hangups = Hangups {
        requested: requested.clone(),
    };
    let had_terminal = has_terminal();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // A terminal that is closed hangs up its streams before the signal comes; `kill -HUP` leaves them as they are.
            if had_terminal && !has_terminal() {
                tracing::info!("the terminal was closed: stopping in order");
                stop.cancel();
            } else {
                requested.notify_one();
            }
        }
    });
    Ok(hangups)
}

impl Hangups {
    /// The next request. Dropping this future loses none.
    pub async fn next(&self) {
        self.requested.notified().await;
    }
}

fn has_terminal() -> bool {
    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}
