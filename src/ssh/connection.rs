//! In: one connected socket. Out: an ssh2 session that never blocks the thread, and ends without a leak.
//! Never: is used by two tasks at once, waits for the peer when it ends.

use std::io;
use std::io::Read;
use std::net::Shutdown;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use socket2::SockRef;
use ssh2::{BlockDirections, Channel, ErrorCode};
use tokio::io::Interest;
use tokio::time::Instant;

use super::error::{Endpoint, Error, words_of};
use super::socket::{Socket, Via};

/// libssh2's "would block".
const AGAIN: i32 = -37;

/// Reads of `TEARDOWN_PIECE` bytes when a connection ends. After the socket's shutdown the channel holds at most what libssh2
/// has queued (its 2 MiB window) and the kernel's receive buffer (6 MiB by default); then comes the error we look for.
const TEARDOWN_READS_MAX: usize = 512;
const TEARDOWN_PIECE: usize = 32 * 1024;

/// One SSH connection: the session, its socket, and the one channel that is in use.
pub(super) struct Connection {
    pub at: Arc<Endpoint>,
    pub session: ssh2::Session,
    /// The same descriptor as the session's: for readiness, options and the end.
    pub socket: Arc<Socket>,
    /// Opened ahead of the first command, then the command's.
    pub channel: Option<Channel>,
    pub dead_after: Duration,
    /// What the socket reported by itself, seen before a call of libssh2 swallowed it.
    broken_by: OnceLock<io::Error>,
}

impl Connection {
    /// Wraps a connected socket; nothing is sent.
    ///
    /// # Errors
    /// `Lost` when a socket option cannot be set, `KeyExchange` when there is no memory for a session.
    pub fn new(at: Arc<Endpoint>, socket: Socket, dead_after: Duration) -> Result<Self, Error> {
        socket.prepare(dead_after).map_err(|error| Error::Lost {
            at: at.clone(),
            why: format!("cannot set a socket option: {error}"),
        })?;
        let mut session = ssh2::Session::new().map_err(|error| Error::KeyExchange {
            at: at.clone(),
            why: error.message().to_owned(),
        })?;
        let socket = Arc::new(socket);
        session.set_tcp_stream(Arc::clone(&socket));
        session.set_blocking(false);
        Ok(Self {
            at,
            session,
            socket,
            channel: None,
            dead_after,
            broken_by: OnceLock::new(),
        })
    }

    /// Repeats `call` until it no longer blocks, waiting for the socket in between.
    ///
    /// `call` must be the same call with the same arguments each time. When the future is dropped half-way, the
    /// connection must not be used again.
    pub async fn drive<T>(
        &self,
        mut call: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<T, ssh2::Error> {
        loop {
            if let Some(done) = self.unless_inbound(&mut call).await? {
                return Ok(done);
            }
            self.readable().await?;
        }
    }

    /// As `drive`, but gives up with `None` where the call waits for the peer to send something.
    ///
    /// A call that waits for room to send is half-way: it is repeated before anything else may be called.
    pub async fn unless_inbound<T>(
        &self,
        mut call: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<Option<T>, ssh2::Error> {
        let mut outcome = unless_again(call());
        loop {
            if let Some(done) = outcome? {
                return Ok(Some(done));
            }
            let direction = match self.session.block_directions() {
                BlockDirections::Outbound => Interest::WRITABLE,
                BlockDirections::Both => Interest::READABLE | Interest::WRITABLE,
                BlockDirections::Inbound | BlockDirections::None => Interest::READABLE,
            };
            let waits_for_peer = direction == Interest::READABLE;
            if !waits_for_peer {
                self.socket.ready(direction).await.map_err(socket_error)?;
                self.check_socket()?;
            }
            // Once more inside `try_io`: only a `WouldBlock` in there clears the readiness that epoll reports once.
            let again = self
                .socket
                .try_io(direction, || match unless_again(call()) {
                    Ok(None) if self.blocks_only(direction) => {
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                    other => Ok(other),
                });
            match again {
                Ok(other) => outcome = other,
                Err(_) if waits_for_peer => return Ok(None),
                Err(_) => outcome = Ok(None),
            }
        }
    }

    /// Waits until the peer has sent something, or the connection is broken.
    pub async fn readable(&self) -> Result<(), ssh2::Error> {
        let ready = self.socket.ready(Interest::READABLE).await;
        ready.map_err(socket_error)?;
        self.check_socket()
    }

    /// Takes the socket's own error (a peer that acknowledges nothing) before a read or write of libssh2 swallows it.
    fn check_socket(&self) -> Result<(), ssh2::Error> {
        match self.socket.take_error() {
            Ok(Some(error)) | Err(error) => {
                let dead = socket_error(());
                self.broken_by.get_or_init(|| error);
                Err(dead)
            }
            Ok(None) => Ok(()),
        }
    }

    /// Whether the peer will send nothing more than what the socket has.
    pub async fn is_closed_by_peer(&self) -> bool {
        let ready = self.socket.ready(Interest::READABLE).await;
        ready.is_ok_and(|ready| ready.is_read_closed())
    }

    /// Waits for what the last call of a session was blocked by, where that call cannot be repeated inside `try_io`.
    pub async fn unblocked(&self) -> Result<(), ssh2::Error> {
        match self.session.block_directions() {
            BlockDirections::Inbound | BlockDirections::None => {
                // A peek clears a readiness that is used up, a plain wait would not.
                self.socket.peek(&mut [0]).await.map(|_| ())
            }
            BlockDirections::Outbound | BlockDirections::Both => {
                self.socket.ready(Interest::WRITABLE).await.map(|_| ())
            }
        }
        .map_err(socket_error)
    }

    /// Whether what a blocked call waits for is within `direction`: clearing another readiness would lose an event.
    fn blocks_only(&self, direction: Interest) -> bool {
        match self.session.block_directions() {
            BlockDirections::Inbound | BlockDirections::None => direction.is_readable(),
            BlockDirections::Outbound => direction == Interest::WRITABLE,
            BlockDirections::Both => direction.is_readable() && direction.is_writable(),
        }
    }

    /// What an error of an established connection means.
    pub fn lost(&self, error: &ssh2::Error) -> Error {
        // libssh2 keeps no system error; where the socket had one, it is the better answer.
        let _known = self.check_socket();
        // Behind a bastion whose session is over, that is the news.
        if let Some(ended) = self.via().and_then(|via| via.ended()) {
            return ended.clone();
        }
        let why = match self.broken_by.get() {
            Some(system) if system.kind() == io::ErrorKind::TimedOut => return self.silent(),
            Some(system) if system.kind() == io::ErrorKind::ConnectionReset => {
                "reset by the peer".into()
            }
            Some(system) => words_of(system),
            None => match code(error) {
                -43 | -13 => "closed by the peer".into(),
                -7 => "cannot send".into(),
                _ => error.message().to_owned(),
            },
        };
        Error::Lost {
            at: self.at.clone(),
            why,
        }
    }

    /// The bastion's session below this connection; `None` where there is none.
    pub fn via(&self) -> Option<&Arc<Via>> {
        self.socket.via()
    }

    /// The peer did not answer what was asked at `asked`: where the bastion has said nothing either, it is the bastion.
    pub fn unanswered(&self, asked: Instant) -> Error {
        match self.via() {
            Some(via) if via.last_heard() < asked => Error::Silent {
                at: via.at.clone(),
                waited: self.dead_after,
            },
            _ => self.silent(),
        }
    }

    fn silent(&self) -> Error {
        Error::Silent {
            at: self.at.clone(),
            waited: self.dead_after,
        }
    }
}

impl Connection {
    /// Ends the connection at once, whatever the peer does; `channel` is any of its channels.
    ///
    /// Freeing a session that does not block leaks it (84 KB) when the peer has not confirmed the end of a channel; freeing
    /// one that blocks waits for a frozen peer. After a shutdown both are settled: every call fails at once.
    pub fn end(&self, channel: Option<&Channel>) {
        // An error means that the connection is gone already.
        let _gone = SockRef::from(&*self.socket).shutdown(Shutdown::Both);
        let Some(channel) = channel else { return };
        let mut piece = vec![0; TEARDOWN_PIECE];
        let mut streams = [channel.stream(0), channel.stderr()];
        for _ in 0..TEARDOWN_READS_MAX {
            let ended = streams
                .iter_mut()
                .all(|stream| match stream.read(&mut piece) {
                    Ok(0) => true,
                    Ok(_) => false,
                    Err(error) => error.kind() != io::ErrorKind::WouldBlock,
                });
            if ended {
                break;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let channel = self.channel.take();
        self.end(channel.as_ref());
    }
}

/// `Ok(None)` where the call would block.
fn unless_again<T>(outcome: Result<T, ssh2::Error>) -> Result<Option<T>, ssh2::Error> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(error) if code(&error) == AGAIN => Ok(None),
        Err(error) => Err(error),
    }
}

/// libssh2's number of an error.
pub(super) fn code(error: &ssh2::Error) -> i32 {
    match error.code() {
        ErrorCode::Session(code) | ErrorCode::SFTP(code) => code,
    }
}

/// Whether only one channel is over, or refuses something; libssh2 numbers those errors so.
pub(super) fn is_of_channel(error: &ssh2::Error) -> bool {
    (-27..=-20).contains(&code(error))
}

/// Turns the error of a read or write on a channel back into libssh2's, whose number it lost.
pub(super) fn with_code(session: &ssh2::Session, error: &io::Error) -> ssh2::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return ssh2::Error::from_errno(ErrorCode::Session(AGAIN));
    }
    ssh2::Error::last_session_error(session).unwrap_or_else(ssh2::Error::unknown)
}

/// Stands for an error of the socket itself, or of a runtime that shuts down and refuses to wait for it.
fn socket_error<E>(_error: E) -> ssh2::Error {
    ssh2::Error::new(ErrorCode::Session(-43), "the socket is of no more use")
}
