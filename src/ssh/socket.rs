//! In: a TCP connection, or one end of a bridge that a bastion's session serves. Out: one socket for an SSH session.
//! Never: speaks SSH, knows who serves the other end.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::error::{Endpoint, Error};

/// RFC 4253 ends a banner line at 255 bytes; a few lines may come before it.
pub(super) const BANNER_BYTES_MAX: usize = 2048;

/// What an SSH session speaks over.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Bridged(Bridged),
}

/// The near end of a bridge to a host behind a bastion.
#[derive(Debug)]
pub(super) struct Bridged {
    pub stream: UnixStream,
    /// The first bytes that the host sent: a Unix socket cannot be looked into without taking them.
    pub first_bytes: Arc<Mutex<Vec<u8>>>,
    /// Set when this end is gone: the other one does not see that while it has bytes that it cannot pass on.
    pub is_abandoned: Arc<AtomicBool>,
    pub via: Arc<Via>,
}

impl Bridged {
    pub fn new(stream: UnixStream, via: Arc<Via>) -> Self {
        Self {
            stream,
            first_bytes: Arc::default(),
            is_abandoned: Arc::default(),
            via,
        }
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        self.is_abandoned.store(true, Ordering::Release);
    }
}

/// What a connection behind a bastion may know of the session that carries it.
#[derive(Debug)]
pub(super) struct Via {
    pub at: Arc<Endpoint>,
    heard: Mutex<Instant>,
    ended: OnceLock<Error>,
}

impl Via {
    pub fn new(at: Arc<Endpoint>) -> Self {
        Self {
            at,
            heard: Mutex::new(Instant::now()),
            ended: OnceLock::new(),
        }
    }

    /// The bastion said something, for any of the connections through it.
    pub fn hear(&self) {
        *locked(&self.heard) = Instant::now();
    }

    pub fn last_heard(&self) -> Instant {
        *locked(&self.heard)
    }

    /// Told before the bridges fall, so that those on them know why.
    pub fn end(&self, error: Error) {
        // The first reason is the reason.
        let _first = self.ended.set(error);
    }

    pub fn ended(&self) -> Option<&Error> {
        self.ended.get()
    }
}

impl Socket {
    /// `dead_after` is for the kernel to watch where the socket is TCP.
    pub fn prepare(&self, dead_after: Duration) -> io::Result<()> {
        let Self::Tcp(socket) = self else {
            return Ok(());
        };
        let options = SockRef::from(socket);
        options.set_tcp_nodelay(true)?;
        // Without it a silent drop is not noticed for a quarter of an hour: TCP repeats what we send until then.
        options.set_tcp_user_timeout(Some(dead_after))
    }

    /// The bastion's session below this socket; `None` for TCP.
    pub fn via(&self) -> Option<&Arc<Via>> {
        match self {
            Self::Tcp(_) => None,
            Self::Bridged(bridged) => Some(&bridged.via),
        }
    }

    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(socket) => socket.ready(interest).await,
            Self::Bridged(bridged) => bridged.stream.ready(interest).await,
        }
    }

    pub fn try_io<T>(
        &self,
        interest: Interest,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Tcp(socket) => socket.try_io(interest, work),
            Self::Bridged(bridged) => bridged.stream.try_io(interest, work),
        }
    }

    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(socket) => socket.take_error(),
            Self::Bridged(bridged) => bridged.stream.take_error(),
        }
    }

    /// Waits for bytes and copies the first of them without taking them; 0 at the end. Only right before anything was taken.
    pub async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let bridged = match self {
            Self::Tcp(socket) => return socket.peek(bytes).await,
            Self::Bridged(bridged) => bridged,
        };
        let mut unread = [MaybeUninit::uninit(); BANNER_BYTES_MAX];
        let room = bytes.len().min(BANNER_BYTES_MAX);
        loop {
            bridged.stream.readable().await?;
            let look = || SockRef::from(&bridged.stream).peek(&mut unread[..room]);
            match bridged.stream.try_io(Interest::READABLE, look) {
                Ok(length) => {
                    let first = locked(&bridged.first_bytes);
                    let length = length.min(first.len());
                    bytes[..length].copy_from_slice(&first[..length]);
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Bridged(bridged) => bridged.stream.as_fd(),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Nothing in here panics half-way through a change.
pub(super) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
