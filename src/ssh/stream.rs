//! In: lines for a running command's standard input. Out: its lines of stdout and stderr in order, then its end.
//! Never: lets a slow reader stop what is sent, or a frozen peer stop the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ssh2::Channel;
use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::channel::{PIECE_BYTES, exit_of, read_some, write_some};
use super::connection::Connection;
use super::error::{Endpoint, Error};
use super::lines::{LINE_BYTES_MAX, Line, Lines};
use super::pulse::{Answer, Pulse, QUESTION, answer_of};

/// Pieces read before other tasks of the thread have their turn. The runtime's own budget counts a piece of 32 KiB, with all that
/// decrypting it costs, like one message; a host that floods would hold the others up for a second on a busy machine.
const PIECES_IN_A_TURN: usize = 8;
/// Pieces that wait for a slow reader. Beyond it the socket is no longer read, and the remote command stops at a full pipe:
/// nothing is lost, and memory ends at this many pieces of at most 32 KiB.
const PIECES_QUEUED_MAX: usize = 64;
/// Lines that wait to be sent. Ticks come one per interval; so many of them unread mean a command that hangs.
const LINES_QUEUED_MAX: usize = 64;
/// How long `close` waits for the owner of the session. It waits for nobody itself, so this is a margin for a busy runtime.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What came from a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Stdout(Line),
    Stderr(Line),
    /// Nothing comes after it. An orderly end of the command is `Error::CommandEnded`.
    Ended(Error),
}

/// What the owner of a session hands to the reader: bytes as they came, because a wake-up and two allocations for each line of a table
/// cost more than decrypting it.
#[derive(Debug)]
enum Piece {
    Of(usize, Vec<u8>),
    Ended(Error),
}

/// A running command on a mirror host. One task owns its session; dropping this ends the connection promptly.
#[derive(Debug)]
pub struct Stream {
    at: Arc<Endpoint>,
    lines: mpsc::Sender<String>,
    pieces: mpsc::Receiver<Piece>,
    /// One for each stream.
    splitters: [Lines; 2],
    /// Lines of the last piece that `next` has not given out.
    lines_read: VecDeque<Event>,
    ended: Option<Error>,
    bytes_read: Arc<AtomicU64>,
    stop: CancellationToken,
    owner: Option<JoinHandle<()>>,
}

impl Stream {
    pub(super) fn spawn(connection: Connection, channel: Channel) -> Self {
        let at = connection.at.clone();
        let (lines, lines_to_send) = mpsc::channel(LINES_QUEUED_MAX);
        let (deliver, pieces) = mpsc::channel(PIECES_QUEUED_MAX);
        let stop = CancellationToken::new();
        let bytes_read = Arc::new(AtomicU64::new(0));
        // Where the connection is TCP of our own, the kernel watches it.
        let is_behind_bastion = connection.via().is_some();
        let pulse = is_behind_bastion.then(|| Pulse::of_host(connection.dead_after));
        let owner = Owner {
            bytes_read: bytes_read.clone(),
            connection,
            channel,
            lines_to_send,
            sending: None,
            piece: vec![0; PIECE_BYTES],
            undelivered: None,
            deliver,
            pulse,
        };
        let stopped = stop.clone();
        let owner = tokio::spawn(async move {
            // Dropped half-way, the owner ends the connection, which is all that is left to do.
            let _end = stopped.run_until_cancelled(owner.run_to_the_end()).await;
        });
        Self {
            at,
            lines,
            pieces,
            splitters: [Lines::new(LINE_BYTES_MAX), Lines::new(LINE_BYTES_MAX)],
            lines_read: VecDeque::new(),
            ended: None,
            bytes_read,
            stop,
            owner: Some(owner),
        }
    }

    /// Hands a line to the command's standard input, LF added; it is sent when the peer takes it.
    ///
    /// # Errors
    /// `QueueFull` when 64 lines wait already, `Ended` when the session is over.
    pub fn send(&self, mut line: String) -> Result<(), Error> {
        line.push('\n');
        self.lines.try_send(line).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::QueueFull {
                at: self.at.clone(),
                lines: LINES_QUEUED_MAX,
            },
            mpsc::error::TrySendError::Closed(_) => Error::Ended {
                at: self.at.clone(),
            },
        })
    }

    /// The next line or the end. Dropping this future loses nothing; after the end it is the end again.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(line) = self.lines_read.pop_front() {
                return line;
            }
            if let Some(error) = &self.ended {
                return Event::Ended(error.clone());
            }
            match self.pieces.recv().await {
                Some(Piece::Of(stream, bytes)) => {
                    let lines_read = &mut self.lines_read;
                    self.splitters[stream].push(&bytes, &mut |line| {
                        lines_read.push_back(event_of(stream, line));
                    });
                }
                Some(Piece::Ended(error)) => self.end(error),
                // The owner says how it ended; without a word it was cut off with its runtime.
                None => self.end(Error::Ended {
                    at: self.at.clone(),
                }),
            }
        }
    }

    /// Where the command closed its output, a last line without an end counts, for the command meant it so.
    ///
    /// When the connection breaks, such a line is torn, and a torn row must not be taken for a row: it is dropped.
    fn end(&mut self, error: Error) {
        if matches!(error, Error::CommandEnded { .. }) {
            for (stream, lines) in self.splitters.iter_mut().enumerate() {
                let last = lines.finish().map(|line| event_of(stream, line));
                self.lines_read.extend(last);
            }
        }
        self.ended = Some(error);
    }

    /// Bytes that came on both streams so far, also those that made no line yet or were cut off.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Ends the connection and waits until its socket is closed: at most 2 s, also with a frozen peer.
    pub async fn close(mut self) {
        self.stop.cancel();
        if let Some(owner) = self.owner.take() {
            // Past the limit the owner still ends by itself: it was told to.
            let _at_most = timeout(CLOSE_WITHIN, owner).await;
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The task that alone touches a session.
struct Owner {
    bytes_read: Arc<AtomicU64>,
    // Before `connection`: the last handle of the channel must be gone when the connection frees the session.
    channel: Channel,
    connection: Connection,
    lines_to_send: mpsc::Receiver<String>,
    /// The line under way and how much of it is sent.
    sending: Option<(Vec<u8>, usize)>,
    piece: Vec<u8>,
    /// The last piece read, where the reader has no room for it; until it has, nothing more is read.
    undelivered: Option<Piece>,
    deliver: mpsc::Sender<Piece>,
    /// Of a host behind a bastion.
    pulse: Option<Pulse>,
}

impl Owner {
    async fn run_to_the_end(mut self) {
        let error = match self.run().await {
            Ok(error) => error,
            Err(error) => self.connection.lost(&error),
        };
        let Self {
            channel,
            connection,
            undelivered,
            deliver,
            ..
        } = self;
        // The host is rid of us before a slow reader is.
        drop(channel);
        drop(connection);
        for piece in undelivered.into_iter().chain([Piece::Ended(error)]) {
            if deliver.send(piece).await.is_err() {
                break;
            }
        }
    }

    /// Moves bytes both ways until the command ends.
    async fn run(&mut self) -> Result<Error, ssh2::Error> {
        loop {
            // A host that prints faster than we read must not keep the runtime's thread, or nobody could stop us.
            consume_budget().await;
            self.send_lines().await?;
            self.ask().await?;
            self.read_all().await?;
            if self.undelivered.is_none() && self.channel.eof() {
                return self.command_ended().await;
            }
            // Sending reads the socket too; what it found there is queued where epoll does not see it.
            if self.undelivered.is_none() && self.channel.read_window().available > 0 {
                continue;
            }
            if let Some(error) = self.death() {
                return Ok(error);
            }
            let look_at = self.pulse.as_ref().and_then(Pulse::next);
            let has_undelivered = self.undelivered.is_some();
            let is_sending = self.sending.is_some();
            tokio::select! {
                room = self.deliver.reserve(), if has_undelivered => {
                    let (Ok(room), Some(piece)) = (room, self.undelivered.take()) else {
                        // The reader is gone, and with it the reason to go on.
                        return Ok(Error::Ended { at: self.connection.at.clone() });
                    };
                    room.send(piece);
                }
                readable = self.connection.readable(), if !has_undelivered || is_sending => {
                    readable?;
                    if let Some(pulse) = &mut self.pulse {
                        pulse.hear();
                    }
                }
                () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() && !has_undelivered => {}
                Some(line) = self.lines_to_send.recv(), if !is_sending => {
                    self.sending = Some((line.into_bytes(), 0));
                }
            }
        }
    }

    /// Asks a host behind a bastion for a sign of life when it is time. Reads the socket, so it comes before `read_all`.
    async fn ask(&mut self) -> Result<(), ssh2::Error> {
        let Some(pulse) = &mut self.pulse else {
            return Ok(());
        };
        if self.undelivered.is_some() {
            pulse.pause();
            return Ok(());
        }
        if pulse.next().is_some_and(|at| at <= Instant::now()) {
            pulse.ask();
        }
        if pulse.is_asking() {
            let channel = &mut self.channel;
            let asked = self
                .connection
                .unless_inbound(|| channel.setenv(QUESTION, "1"));
            match answer_of(asked.await)? {
                Answer::Waits => {}
                Answer::Came => pulse.answered(),
                Answer::Never => pulse.give_up(),
            }
        }
        Ok(())
    }

    fn death(&mut self) -> Option<Error> {
        let pulse = self.pulse.as_mut()?;
        let asked = pulse.asked()?;
        pulse.is_dead().then(|| self.connection.unanswered(asked))
    }

    /// Sends as much as the peer takes now.
    async fn send_lines(&mut self) -> Result<(), ssh2::Error> {
        while let Some((line, sent)) = &mut self.sending {
            let rest = &line[*sent..];
            match write_some(&self.connection, &self.channel, rest).await? {
                Some(length) => *sent += length,
                None => break,
            }
            if *sent == line.len() {
                self.sending = self
                    .lines_to_send
                    .try_recv()
                    .ok()
                    .map(|line| (line.into_bytes(), 0));
            }
        }
        Ok(())
    }

    /// Reads both streams until nothing is queued, or until the reader is behind.
    async fn read_all(&mut self) -> Result<(), ssh2::Error> {
        let mut pieces = 0;
        loop {
            if pieces >= PIECES_IN_A_TURN {
                pieces = 0;
                yield_now().await;
            }
            consume_budget().await;
            let mut is_idle = true;
            for stream in 0..2 {
                if self.undelivered.is_some() {
                    return Ok(());
                }
                let read = read_some(&self.connection, &self.channel, stream, &mut self.piece);
                if let Some(length) = read.await? {
                    is_idle = false;
                    self.bytes_read.fetch_add(length as u64, Ordering::Relaxed);
                    pieces += 1;
                    self.hand_over(Piece::Of(stream, self.piece[..length].to_vec()));
                }
            }
            if is_idle && self.channel.read_window().available == 0 {
                return Ok(());
            }
        }
    }

    /// Gives the piece to the reader, or keeps it until there is room.
    fn hand_over(&mut self, piece: Piece) {
        use mpsc::error::TrySendError::{Closed, Full};
        // Where the reader is gone, it is found out when there would be room.
        if let Err(Full(piece) | Closed(piece)) = self.deliver.try_send(piece) {
            self.undelivered = Some(piece);
        }
    }

    async fn command_ended(&mut self) -> Result<Error, ssh2::Error> {
        let exit = exit_of(&self.connection, &mut self.channel).await?;
        Ok(Error::CommandEnded {
            at: self.connection.at.clone(),
            exit_code: exit.code,
            signal: exit.signal,
        })
    }
}

fn event_of(stream: usize, line: Line) -> Event {
    if stream == 0 {
        Event::Stdout(line)
    } else {
        Event::Stderr(line)
    }
}
