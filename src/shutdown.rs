//! In: SIGTERM and SIGINT. Out: a token that every long task watches; on the second signal the process ends at once.
//! Never: decides the order in which tasks end.

use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was told twice to stop and did not finish in order.
pub const EXIT_CUT_SHORT: i32 = 130;

/// What must not be left behind is given so long: who tells a process twice to stop does not wait.
const LAST_ACT_LIMIT: Duration = Duration::from_millis(200);

static LAST_ACT: OnceLock<fn()> = OnceLock::new();

/// Does `act` before the second signal ends the process; the first `act` that is named stays.
pub fn before_cut_short(act: fn()) {
    LAST_ACT.get_or_init(|| act);
}

/// A token that is cancelled by the first SIGTERM or SIGINT; the second one ends the process at once.
///
/// # Errors
/// The runtime cannot install a signal handler.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        for repeated in [false, true] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if repeated {
                tracing::warn!(signal = name, "told twice to stop: ending at once");
                last_act();
                std::process::exit(EXIT_CUT_SHORT);
            }
            tracing::info!(signal = name, "stopping in order; once more ends at once");
            stop.cancel();
        }
    });
    Ok(token)
}

/// A terminal that takes nothing any more must not hold the end up.
fn last_act() {
    let Some(&act) = LAST_ACT.get() else { return };
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        act();
        // Whoever waited may have gone.
        let _late = done.send(());
    });
    let _too_late = is_done.recv_timeout(LAST_ACT_LIMIT);
}
