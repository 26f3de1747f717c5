//! In: SIGTERM and SIGINT. Out: a token that every long task watches; on the second signal the process ends at once.
//! Never: decides the order in which tasks end.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that was told twice to stop and did not finish in order.
pub const EXIT_CUT_SHORT: i32 = 130;

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
                std::process::exit(EXIT_CUT_SHORT);
            }
            tracing::info!(signal = name, "stopping in order; once more ends at once");
            stop.cancel();
        }
    });
    Ok(token)
}
