//! In: how much to log and in which format. Out: `tracing` on standard error.
//! Never: writes to standard output, which belongs to results.

use tracing_subscriber::EnvFilter;

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// Starts logging to standard error. `verbosity` 0 is info, 1 debug, 2 and more trace; `RUST_LOG` overrides it.
///
/// Called again in the same process (tests), the first call stays in force.
pub fn start(verbosity: u8, format: Format) {
    let level = match verbosity {
        0 => "info",
        1 => "mirrorlag=debug,info",
        _ => "mirrorlag=trace,debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr);
    // A subscriber that is already there is the first caller's: nothing to mend.
    let _already_started = match format {
        Format::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}
