//! In: a connection that is logged in. Out: the output of short commands, or a stream of one long command's lines.
//! Never: uses a connection on which a command was given up half-way.

use std::time::Duration;

use ssh2::Channel;
use tokio::task::coop::consume_budget;
use tokio::time::{sleep, timeout};

use super::channel::{PIECE_BYTES, exit_of, read_some};
use super::connection::{Connection, code};
use super::error::Error;
use super::lines::text_of;
use super::stream::Stream;

/// Output of a command of `run` that is kept, per stream; the rest is read and dropped. What `check` asks for has a few
/// hundred bytes, a describe of a thousand partitions 200 KB.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// OpenSSH counts a channel until it next tidies up, so with `MaxSessions 1` the command after another is refused for a moment.
const REOPEN_PAUSES: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(160),
    Duration::from_millis(640),
];

/// What a command of `run` printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The first 1 MiB; invalid UTF-8 is replaced.
    pub stdout: String,
    /// The first 1 MiB; invalid UTF-8 is replaced.
    pub stderr: String,
    /// `None`: it was ended by a signal, or the server did not tell.
    pub exit_code: Option<i32>,
}

/// A login on one mirror host, not yet busy.
pub struct Session {
    connection: Connection,
    /// Whether a command is under way, or was when its future was dropped.
    is_busy: bool,
    /// Whether a command ran here before, whose channel the server may still count.
    has_run: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("at", &self.connection.at)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            is_busy: false,
            has_run: false,
        }
    }

    /// Runs one command with an empty standard input and returns what it printed.
    ///
    /// # Errors
    /// `ChannelRefused`, `CommandRefused`, `CommandTimeout` after `limit`, or the connection's end. After an error, and after
    /// this future was dropped half-way, the session is of no more use: close it.
    pub async fn run(&mut self, command: &str, limit: Duration) -> Result<Output, Error> {
        if self.is_busy {
            return Err(Error::Ended {
                at: self.connection.at.clone(),
            });
        }
        self.is_busy = true;
        let at = self.connection.at.clone();
        let output = timeout(limit, self.output_of(command))
            .await
            .unwrap_or(Err(Error::CommandTimeout { at, limit }))?;
        self.is_busy = false;
        self.has_run = true;
        Ok(output)
    }

    /// Starts a long command and hands the session over to the task that owns it from then on.
    ///
    /// # Errors
    /// `ChannelRefused`, `CommandRefused`, or the connection's end.
    pub async fn stream(mut self, command: &str) -> Result<Stream, Error> {
        if self.is_busy {
            return Err(Error::Ended {
                at: self.connection.at.clone(),
            });
        }
        let channel = self.start(command).await?;
        Ok(Stream::spawn(self.connection, channel))
    }

    /// Ends the connection; waits for nobody.
    pub async fn close(self) {
        // One attempt, as far as the socket takes it at once: sshd then logs an orderly end.
        let _best_effort = self.connection.session.disconnect(None, "closed", None);
    }

    /// The server's banner without `SSH-2.0-`.
    pub(super) fn server_version(&self) -> String {
        let banner = self.connection.session.banner().unwrap_or_default();
        let version = banner.strip_prefix("SSH-2.0-").unwrap_or(banner);
        version
            .chars()
            .filter(|letter| !letter.is_control())
            .collect()
    }

    /// Opens the channel of the next command, if there is none yet.
    pub(super) async fn open_channel(&mut self) -> Result<(), Error> {
        if self.connection.channel.is_some() {
            return Ok(());
        }
        let connection = &self.connection;
        let mut pauses = REOPEN_PAUSES.iter().filter(|_| self.has_run);
        let opened = loop {
            let error = match connection
                .drive(|| connection.session.channel_session())
                .await
            {
                Ok(opened) => break opened,
                Err(error) if code(&error) == -21 => error,
                Err(error) => return Err(connection.lost(&error)),
            };
            match pauses.next() {
                Some(pause) => sleep(*pause).await,
                None => {
                    return Err(Error::ChannelRefused {
                        at: connection.at.clone(),
                        why: words_in_brackets(error.message()),
                    });
                }
            }
        };
        self.connection.channel = Some(opened);
        Ok(())
    }

    /// Opens a channel if need be, and starts the command on it.
    async fn start(&mut self, command: &str) -> Result<Channel, Error> {
        self.open_channel().await?;
        let connection = &self.connection;
        let refused = |why: &str| Error::CommandRefused {
            at: connection.at.clone(),
            why: why.to_owned(),
        };
        let mut channel = connection
            .channel
            .clone()
            .ok_or_else(|| refused("no channel"))?;
        connection
            .drive(|| channel.exec(command))
            .await
            .map_err(|error| match code(&error) {
                -22 => refused("the server does not start it"),
                _ => connection.lost(&error),
            })?;
        Ok(channel)
    }

    async fn output_of(&mut self, command: &str) -> Result<Output, Error> {
        let mut channel = self.start(command).await?;
        let connection = &self.connection;
        let lost = |error: ssh2::Error| connection.lost(&error);
        let sent = connection.drive(|| channel.send_eof()).await;
        sent.map_err(lost)?;
        let mut kept = [Vec::new(), Vec::new()];
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            // Output without end must not keep the runtime's thread: the limit could not strike.
            consume_budget().await;
            let mut is_idle = true;
            for (index, kept) in kept.iter_mut().enumerate() {
                let read = read_some(connection, &channel, index, &mut piece).await;
                if let Some(length) = read.map_err(lost)? {
                    let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
                    kept.extend_from_slice(&piece[..length.min(room)]);
                    is_idle = false;
                }
            }
            if channel.eof() {
                break;
            }
            if is_idle && channel.read_window().available == 0 {
                connection.readable().await.map_err(lost)?;
            }
        }
        let exit = exit_of(connection, &mut channel).await.map_err(lost)?;
        // Our half of the close, so that the server counts this channel no more.
        let closed = connection.drive(|| channel.close()).await;
        closed.map_err(lost)?;
        drop(channel);
        self.connection.channel = None;
        let [stdout, stderr] = kept.map(text_of);
        Ok(Output {
            stdout,
            stderr,
            exit_code: exit.code,
        })
    }
}

/// `Channel open failure (connect failed)` has the server's reason in brackets.
fn words_in_brackets(message: &str) -> String {
    message
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or(message, |(words, _)| words)
        .to_owned()
}
