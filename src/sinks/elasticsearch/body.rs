//! In: a response whose headers have come. Out: its bytes, of which there are not too many.
//! Never: keeps reading what does not end.

use std::time::Duration;

use elasticsearch::http::response::Response;
use tokio::time::sleep;

/// An answer of more bytes is not one to us: `filter_path` keeps a bulk reply of 500 documents below 1 MiB.
const BYTES_MAX: u64 = 8 << 20;

/// While an answer without a length is read, the process may grow by this much: the answer twice, in pieces and as a whole, and what
/// all other parts need meanwhile, which together take less than this.
const GROWTH_MAX: u64 = 8 * BYTES_MAX;

/// How often it is looked how much the process has grown: within one, a local network brings some ten megabytes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why there is no body.
pub(super) enum Unread {
    /// There is more of it than any answer to us has.
    TooLong(String),
    /// The connection broke, or the time was over.
    Broken(elasticsearch::Error),
}

/// Reads the body.
///
/// The client only gives it whole, with no limit of its own. Where a length is announced, that is judged first; where none is (chunks,
/// compression), the memory of this process tells that a body does not end.
pub(super) async fn read(response: Response) -> Result<Vec<u8>, Unread> {
    let announced = response.content_length();
    if let Some(bytes) = announced.filter(|&bytes| bytes > BYTES_MAX) {
        return Err(Unread::TooLong(format!("{bytes} bytes")));
    }
    let body = tokio::select! {
        biased;
        () = grown(), if announced.is_none() => {
            return Err(Unread::TooLong("a body that does not end".to_owned()));
        }
        body = response.bytes() => body.map_err(Unread::Broken)?,
    };
    match body.len() as u64 {
        bytes if bytes > BYTES_MAX => Err(Unread::TooLong(format!("{bytes} bytes"))),
        _ => Ok(body.to_vec()),
    }
}

/// Returns when the process has grown by more than `GROWTH_MAX`; never where that cannot be told.
async fn grown() {
    let before = resident_bytes();
    loop {
        sleep(LOOK_EVERY).await;
        let now = resident_bytes();
        if let (Some(before), Some(now)) = (before, now)
            && now.saturating_sub(before) > GROWTH_MAX
        {
            return;
        }
    }
}

/// Memory of this process that is in RAM; `None` where there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}
