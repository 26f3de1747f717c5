//! In: a connection and the channel of a running command. Out: pieces of its output, room for its input, its end.
//! Never: splits lines, keeps anything between two calls.

use std::io::{Read, Write};
use std::time::Duration;

use ssh2::Channel;
use tokio::time::timeout;

use super::connection::{Connection, with_code};
use super::error::in_one_line;

/// One read of a channel: the largest packet of an SSH peer is 32 KiB.
pub(super) const PIECE_BYTES: usize = 32 * 1024;
/// How long the end of a command may lag behind the end of its output: some children keep the channel open.
pub(super) const EXIT_WAIT: Duration = Duration::from_secs(2);

/// How a remote command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    pub code: Option<i32>,
    pub signal: Option<String>,
}

/// Reads one piece of stdout (0) or stderr (1); `None` where nothing of it is there. The end is `Channel::eof`.
pub(super) async fn read_some(
    connection: &Connection,
    channel: &Channel,
    stream: usize,
    piece: &mut [u8],
) -> Result<Option<usize>, ssh2::Error> {
    let mut stream = if stream == 0 {
        channel.stream(0)
    } else {
        channel.stderr()
    };
    let read = connection
        .unless_inbound(|| {
            stream
                .read(piece)
                .map_err(|error| with_code(&connection.session, &error))
        })
        .await?;
    Ok(read.filter(|length| *length > 0))
}

/// Writes a part of `bytes` to the command's standard input; `None` where the peer must make room first.
pub(super) async fn write_some(
    connection: &Connection,
    channel: &Channel,
    bytes: &[u8],
) -> Result<Option<usize>, ssh2::Error> {
    let mut stream = channel.stream(0);
    connection
        .unless_inbound(|| {
            stream
                .write(bytes)
                .map_err(|error| with_code(&connection.session, &error))
        })
        .await
}

/// How the command ended, once its output has.
pub(super) async fn exit_of(
    connection: &Connection,
    channel: &mut Channel,
) -> Result<Exit, ssh2::Error> {
    let closed = timeout(EXIT_WAIT, connection.drive(|| channel.wait_close())).await;
    let Ok(closed) = closed else {
        return Ok(Exit {
            code: None,
            signal: None,
        });
    };
    closed?;
    // The status is 0 before any came and after a death by signal, so the signal is asked first.
    let signal = channel
        .exit_signal()?
        .exit_signal
        .map(|name| in_one_line(&name));
    let code = match signal {
        Some(_) => None,
        None => Some(channel.exit_status()?),
    };
    Ok(Exit { code, signal })
}
