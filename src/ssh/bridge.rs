//! In: a channel to a host behind a bastion, one end of a socket pair. Out: the bytes of each on the other, in order.
//! Never: takes more off one side than the other side took, is used by two tasks.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;

use socket2::SockRef;
use ssh2::Channel;
use tokio::net::UnixStream;

use super::channel::{read_some, write_some};
use super::connection::{Connection, is_of_channel};
use super::pulse::{Answer, QUESTION, answer_of};
use super::socket::{BANNER_BYTES_MAX, Bridged, Via, locked};

/// Pieces of one host that are passed on before the others have their turn.
const PIECES_AT_ONCE: usize = 8;

/// Bytes that the taking side had no room for: at most one piece, and nothing more is read before they are gone.
#[derive(Debug, Default)]
struct Rest {
    bytes: Vec<u8>,
    passed_on: usize,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.passed_on == self.bytes.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes = bytes.to_vec();
        self.passed_on = 0;
    }

    fn pass(&mut self, length: usize) {
        self.passed_on += length;
        if self.is_empty() {
            // Most of the time there is no rest, so its memory is given back.
            *self = Self::default();
        }
    }

    fn left(&self) -> &[u8] {
        &self.bytes[self.passed_on..]
    }
}

/// One host's connection through a bastion's session.
pub(super) struct Bridge {
    channel: Channel,
    near: UnixStream,
    first_bytes: Arc<Mutex<Vec<u8>>>,
    is_abandoned: Arc<AtomicBool>,
    to_host: Rest,
    to_near: Rest,
    /// The near end was told that the host sends nothing more.
    has_told_end: bool,
    /// The near end is gone: the channel is being closed.
    is_closing: bool,
    /// A question goes through this channel.
    pub is_asked: bool,
}

impl Bridge {
    /// Returns the near end as well.
    ///
    /// # Errors
    /// No socket pair: the limit of open files.
    pub fn over(channel: Channel, via: Arc<Via>) -> io::Result<(Self, Bridged)> {
        let (near, far) = UnixStream::pair()?;
        let bridged = Bridged::new(far, via);
        let bridge = Self {
            channel,
            near,
            first_bytes: bridged.first_bytes.clone(),
            is_abandoned: bridged.is_abandoned.clone(),
            to_host: Rest::default(),
            to_near: Rest::default(),
            has_told_end: false,
            is_closing: false,
            is_asked: false,
        };
        Ok((bridge, bridged))
    }

    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    pub fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether more of the host may be read now.
    pub fn has_room(&self) -> bool {
        self.to_near.is_empty() && !self.is_closing && !self.channel.eof()
    }

    /// Whether it waits for anything that comes over the session.
    pub fn listens(&self) -> bool {
        self.has_room() || self.is_closing || self.is_asked || !self.to_host.is_empty()
    }

    /// Whether the near end is ready for what is to be done with it; else the context is woken when it is.
    pub fn poll_near(&self, context: &mut Context<'_>) -> bool {
        let gives = self.to_host.is_empty() && !self.is_closing;
        let takes = !self.to_near.is_empty() && !self.is_closing;
        gives && self.near.poll_read_ready(context).is_ready()
            || takes && self.near.poll_write_ready(context).is_ready()
    }

    /// Near end to host. Returns whether anything was moved.
    ///
    /// # Errors
    /// The session is over.
    pub async fn send(
        &mut self,
        connection: &Connection,
        piece: &mut [u8],
    ) -> Result<bool, ssh2::Error> {
        let mut has_moved = false;
        for _ in 0..PIECES_AT_ONCE {
            if self.is_closing {
                return Ok(has_moved);
            }
            if self.to_host.is_empty() {
                match self.near.try_read(piece) {
                    Ok(length) if length > 0 => self.to_host.keep(&piece[..length]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Its owner is gone: what is still on the way to it is of no use to anybody.
                    Ok(_) | Err(_) => {
                        self.is_closing = true;
                        return Ok(true);
                    }
                }
            }
            match write_some(connection, &self.channel, self.to_host.left()).await {
                Ok(Some(length)) if length > 0 => self.to_host.pass(length),
                // The host takes no more for now. Its owner may give it up all the same.
                Ok(_) => {
                    self.is_closing = self.is_abandoned.load(Ordering::Acquire);
                    return Ok(has_moved || self.is_closing);
                }
                Err(error) if is_of_channel(&error) => self.is_closing = true,
                Err(error) => return Err(error),
            }
            has_moved = true;
        }
        Ok(has_moved)
    }

    /// Host to near end, as far as it came over the session already. Returns whether anything was moved.
    ///
    /// # Errors
    /// The session is over.
    pub async fn receive(
        &mut self,
        connection: &Connection,
        piece: &mut [u8],
    ) -> Result<bool, ssh2::Error> {
        let mut has_moved = self.pass_on_rest();
        for _ in 0..PIECES_AT_ONCE {
            if self.is_closing || !self.to_near.is_empty() {
                return Ok(has_moved);
            }
            // Asking libssh2 what it has is cheap; a read would ask the kernel, for each of some hundred bridges.
            if self.channel.read_window().available == 0 {
                if self.channel.eof() && !self.has_told_end {
                    self.has_told_end = true;
                    // An error means that the near end is gone, which `send` sees.
                    let _gone = SockRef::from(&self.near).shutdown(Shutdown::Write);
                    has_moved = true;
                }
                break;
            }
            match read_some(connection, &self.channel, 0, piece).await {
                Ok(Some(length)) => self.pass_on(&piece[..length]),
                Ok(None) => break,
                Err(error) if is_of_channel(&error) => self.is_closing = true,
                Err(error) => return Err(error),
            }
            has_moved = true;
        }
        Ok(has_moved)
    }

    /// Takes everything off the session's socket, for whichever bridge it is; what is for this one may be passed on at once.
    ///
    /// # Errors
    /// The session is over.
    pub async fn drain(
        &mut self,
        connection: &Connection,
        piece: &mut [u8],
    ) -> Result<bool, ssh2::Error> {
        match read_some(connection, &self.channel, 0, piece).await {
            Ok(Some(length)) => {
                self.pass_on(&piece[..length]);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) if is_of_channel(&error) => {
                self.is_closing = true;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Closes the channel; true when that is done and the bridge can be dropped.
    ///
    /// # Errors
    /// The session is over.
    pub async fn close(&mut self, connection: &Connection) -> Result<bool, ssh2::Error> {
        let channel = &mut self.channel;
        match connection.unless_inbound(|| channel.close()).await {
            Ok(closed) => Ok(closed.is_some()),
            Err(error) if is_of_channel(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Asks the bastion for a sign of life; to be repeated until it came.
    ///
    /// # Errors
    /// The session is over.
    pub async fn ask(&mut self, connection: &Connection) -> Result<Answer, ssh2::Error> {
        let channel = &mut self.channel;
        answer_of(
            connection
                .unless_inbound(|| channel.setenv(QUESTION, "1"))
                .await,
        )
    }

    fn pass_on(&mut self, bytes: &[u8]) {
        {
            let mut first = locked(&self.first_bytes);
            let room = BANNER_BYTES_MAX - first.len();
            first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        self.to_near.keep(bytes);
        self.pass_on_rest();
    }

    fn pass_on_rest(&mut self) -> bool {
        let mut has_moved = false;
        while !self.to_near.is_empty() && !self.is_closing {
            match self.near.try_write(self.to_near.left()) {
                Ok(length) => self.to_near.pass(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return has_moved,
                Err(_) => self.is_closing = true,
            }
            has_moved = true;
        }
        has_moved
    }
}
