//! In: the first bytes of a peer. Out: it speaks SSH, it turns us away, or what it is instead.
//! Never: takes the bytes off the socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::connection::Connection;
use super::error::{Endpoint, Error, in_one_line};
use super::socket::BANNER_BYTES_MAX;

/// Pause between two looks at a banner of which only a part has come: such a part stays readable, so nothing wakes us.
const PARTIAL_BANNER_PAUSE: Duration = Duration::from_millis(20);
/// First bytes of a stranger, as far as a message shows them.
const FIRST_BYTES_SHOWN: usize = 60;

/// Waits until the peer's first bytes are seen to be an SSH banner, without taking them off the socket.
pub(super) async fn read_banner(connection: &Connection) -> Result<(), Error> {
    let at = || connection.at.clone();
    let mut bytes = [0; BANNER_BYTES_MAX];
    let mut seen = 0;
    loop {
        let length = match connection.socket.peek(&mut bytes).await {
            Ok(length) => length,
            Err(_) if seen > 0 => return Err(first_words(at(), &bytes[..seen])),
            Err(_) => return Err(refused(at(), None)),
        };
        let text = &bytes[..length];
        let has_banner = text
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"SSH-2.") || line.starts_with(b"SSH-1.99"));
        if has_banner {
            return Ok(());
        }
        let is_whole = length == 0 || length == seen && connection.is_closed_by_peer().await;
        let is_strange = text.starts_with(b"HTTP/") || text.contains(&0) || length == bytes.len();
        if is_whole || is_strange || is_refusal(text) {
            return Err(first_words(at(), text));
        }
        seen = length;
        sleep(PARTIAL_BANNER_PAUSE).await;
    }
}

/// What OpenSSH says when it turns a connection away: to 9.7, and from 9.8.
fn is_refusal(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    ["Exceeded MaxStartups", "Not allowed at this time"]
        .iter()
        .any(|said| text.contains(said))
}

fn first_words(at: Arc<Endpoint>, bytes: &[u8]) -> Error {
    let text = String::from_utf8_lossy(bytes);
    let shown: String = in_one_line(&text).chars().take(FIRST_BYTES_SHOWN).collect();
    if shown.is_empty() {
        refused(at, None)
    } else if is_refusal(bytes) {
        refused(at, Some(shown))
    } else {
        Error::NotSsh {
            at,
            first_bytes: shown,
        }
    }
}

fn refused(at: Arc<Endpoint>, said: Option<String>) -> Error {
    Error::Refused { at, said }
}
