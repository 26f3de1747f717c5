//! In: the arguments of the remote loop, its standard input, a host. Out: what the loop would print on that host, on both streams.
//! Never: runs two describes at once, outlives its lease.

use std::time::{Duration, SystemTime};

use russh::ChannelId;
use russh::server::Handle;
use tokio::sync::mpsc;

use super::command::{Answer, CONSUMER_GROUPS, LoopArguments};
use super::host::Host;
use super::printed::Printed;

/// Extended data of standard error. Source: RFC 4254, section 5.2.
const STDERR: u32 = 1;

/// Bytes of a packet of output: small enough that a table comes in several pieces and rows are torn, as a JVM writes them.
const PIECE_BYTES: usize = 1500;

/// A line of input longer than this ends the loop; a tick has some twenty bytes.
const LINE_BYTES_MAX: usize = 1024;

/// Code with which `timeout` says that it ended a command.
const TIMED_OUT: i32 = 124;

/// The two output streams of one command.
pub(super) struct Output {
    session: Handle,
    channel: ChannelId,
}

/// The client is gone: nobody reads what a command prints.
pub(super) struct Gone;

impl Output {
    pub(super) fn new(session: Handle, channel: ChannelId) -> Self {
        Self { session, channel }
    }

    /// Prints the answer, then ends the command.
    pub(super) async fn finish(&self, answer: &Answer) {
        // When the client is gone there is nobody to tell.
        if self.err(&answer.stderr).await.is_ok() && self.out(&answer.stdout).await.is_ok() {
            let _ = self
                .session
                .exit_status_request(self.channel, answer.code)
                .await;
            let _ = self.session.eof(self.channel).await;
            let _ = self.session.close(self.channel).await;
        }
    }

    pub(super) async fn out(&self, text: &str) -> Result<(), Gone> {
        for piece in text.as_bytes().chunks(PIECE_BYTES) {
            let sent = self.session.data(self.channel, piece.to_vec()).await;
            sent.map_err(|_| Gone)?;
        }
        Ok(())
    }

    async fn err(&self, text: &str) -> Result<(), Gone> {
        for piece in text.as_bytes().chunks(PIECE_BYTES) {
            let sent = self
                .session
                .extended_data(self.channel, STDERR, piece.to_vec())
                .await;
            sent.map_err(|_| Gone)?;
        }
        Ok(())
    }

    async fn on_both(&self, line: &str) -> Result<(), Gone> {
        self.err(line).await?;
        self.out(line).await
    }
}

/// Runs the loop until end of file, the end of its lease or the end of the session.
pub(super) async fn run(
    host: &Host,
    arguments: &LoopArguments,
    input: mpsc::Receiver<Vec<u8>>,
    output: Output,
) {
    let _running = host.count_loop();
    let ended = rounds(host, arguments, Lines::new(input), &output).await;
    if ended.is_ok() {
        let answer = Answer {
            stdout: String::new(),
            stderr: String::new(),
            code: 0,
        };
        output.finish(&answer).await;
    }
}

async fn rounds(
    host: &Host,
    arguments: &LoopArguments,
    mut lines: Lines,
    output: &Output,
) -> Result<(), Gone> {
    let marker = &arguments.marker;
    output
        .on_both(&format!("\n{marker} hello timeout\n"))
        .await?;
    while let Some(tick) = lines.next(arguments.lease).await {
        if tick.is_empty() {
            continue;
        }
        let asked_at = SystemTime::now();
        let printed = describe(host, arguments).await;
        output.err(&printed.stderr).await?;
        output.out(&printed.stdout).await?;
        output
            .on_both(&format!("\n{marker} {tick} {}\n", printed.code))
            .await?;
        host.note_round(tick, asked_at);
    }
    Ok(())
}

async fn describe(host: &Host, arguments: &LoopArguments) -> Printed {
    let failed = |stderr: String, code| Printed {
        stdout: String::new(),
        stderr,
        code,
    };
    if arguments.consumer_groups != CONSUMER_GROUPS {
        let path = &arguments.consumer_groups;
        let text = format!("timeout: failed to run command '{path}': No such file or directory\n");
        return failed(text, 127);
    }
    let describe = host.describe(&arguments.group);
    match tokio::time::timeout(arguments.limit, describe).await {
        Ok(printed) => printed,
        Err(_) => failed(String::new(), TIMED_OUT),
    }
}

/// Standard input, line by line.
struct Lines {
    input: mpsc::Receiver<Vec<u8>>,
    unread: Vec<u8>,
}

impl Lines {
    fn new(input: mpsc::Receiver<Vec<u8>>) -> Self {
        Self {
            input,
            unread: Vec::new(),
        }
    }

    /// The next whole line without its line feed; `None` at end of file, at a line without end and after `lease`.
    async fn next(&mut self, lease: Duration) -> Option<String> {
        let line = async {
            loop {
                if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.unread.drain(..=end).collect();
                    let line = line.strip_suffix(b"\n").unwrap_or(&line);
                    return Some(String::from_utf8_lossy(line).into_owned());
                }
                if self.unread.len() > LINE_BYTES_MAX {
                    return None;
                }
                self.unread.extend(self.input.recv().await?);
            }
        };
        tokio::time::timeout(lease, line).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_from_any_pieces_and_a_torn_last_line_is_not_run() {
        let (sender, receiver) = mpsc::channel(8);
        for piece in ["17000", "00000\n\n", "170000", "0001\ntorn"] {
            sender.send(piece.as_bytes().to_vec()).await.unwrap();
        }
        drop(sender);
        let mut lines = Lines::new(receiver);
        let lease = Duration::from_secs(5);
        let mut read = Vec::new();
        while let Some(line) = lines.next(lease).await {
            read.push(line);
        }
        assert_eq!(read, ["1700000000", "", "1700000001"]);
    }

    #[tokio::test]
    async fn the_lease_ends_a_loop_that_nobody_speaks_to() {
        let (sender, receiver) = mpsc::channel(1);
        let mut lines = Lines::new(receiver);
        assert_eq!(lines.next(Duration::from_millis(20)).await, None);
        drop(sender);
    }
}
