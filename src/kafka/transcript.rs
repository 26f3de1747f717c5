//! In: lines of both streams of the remote loop. Out: its hello, then one text per round.
//! Never: joins what belongs to two rounds, keeps more than its limits, reads what a line means.

use std::collections::VecDeque;

/// Rounds that one stream may be ahead of the other. One tick is under way at a time, so one would do; more than this
/// means that the other stream's marker is lost, and the oldest goes.
const ROUNDS_AHEAD_MAX: usize = 4;

/// Bytes of stderr kept per round: state messages are one line, a Java stack trace a few kilobytes. The first ones are kept.
const STDERR_BYTES_MAX: usize = 64 * 1024;

/// Which stream of the remote loop a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// What a line completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The loop runs and takes ticks. Without `timeout` on the mirror host a describe has no limit and the loop no lease.
    Hello { has_timeout: bool },
    /// Both streams showed the marker of one tick.
    Round(RoundText),
}

/// What one describe printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoundText {
    /// The line that was written to the loop.
    pub tick: String,
    /// Of the CLI, or 124 and 137 where `timeout` ended it.
    pub exit_code: i32,
    /// Lines that ended with a line feed or with the marker, a line feed behind each.
    pub stdout: String,
    /// As `stdout`.
    pub stderr: String,
    /// Lines of both streams that were too long; they are not in the texts.
    pub cut_lines: usize,
    /// Whether `stdout` outgrew its limit; it ends with the last line that fitted.
    pub is_too_much: bool,
}

/// Collects the lines of one session into rounds.
#[derive(Debug)]
pub struct Transcript {
    marker: String,
    has_hello: bool,
    stdout: Side,
    stderr: Side,
}

/// One stream: the round being printed, and those that wait for the other stream's marker.
#[derive(Debug)]
struct Side {
    bytes_max: usize,
    open: Part,
    ended: VecDeque<Part>,
}

#[derive(Debug, Default)]
struct Part {
    tick: String,
    exit_code: i32,
    text: String,
    cut_lines: usize,
    is_too_much: bool,
}

/// What a line of the loop itself says.
enum Said<'l> {
    Hello { has_timeout: bool },
    RoundEnd { tick: &'l str, exit_code: i32 },
}

impl Transcript {
    /// `marker` is what the loop was given. `round_bytes_max` limits the stdout that is kept per round, in bytes.
    pub fn new(marker: &str, round_bytes_max: usize) -> Self {
        Self {
            marker: marker.to_owned(),
            has_hello: false,
            stdout: Side::new(round_bytes_max),
            stderr: Side::new(round_bytes_max.min(STDERR_BYTES_MAX)),
        }
    }

    /// Takes one line of a stream, without its line feed. `is_cut`: the line was longer than `line`, the rest is lost.
    ///
    /// What stands before the hello is noise of the login shell and is dropped, on each stream for itself: the two have no
    /// common order.
    pub fn push(&mut self, stream: Stream, line: &str, is_cut: bool) -> Option<Progress> {
        let said = self.said(line);
        let side = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        match said {
            Some(Said::Hello { has_timeout }) => {
                side.open = Part::default();
                let is_first = stream == Stream::Stdout && !self.has_hello;
                self.has_hello |= is_first;
                is_first.then_some(Progress::Hello { has_timeout })
            }
            Some(Said::RoundEnd { tick, exit_code }) => {
                side.end_round(tick, exit_code);
                self.take_round().map(Progress::Round)
            }
            None => {
                if self.has_hello || stream == Stream::Stderr {
                    side.push(line, is_cut);
                }
                None
            }
        }
    }

    fn said<'l>(&self, line: &'l str) -> Option<Said<'l>> {
        let words = line.strip_prefix(self.marker.as_str())?.strip_prefix(' ')?;
        let (first, last) = words.strip_suffix('\r').unwrap_or(words).rsplit_once(' ')?;
        match (first, last) {
            ("hello", "timeout") => Some(Said::Hello { has_timeout: true }),
            ("hello", "no-timeout") => Some(Said::Hello { has_timeout: false }),
            (tick, code) => Some(Said::RoundEnd {
                tick,
                exit_code: code.parse().ok()?,
            }),
        }
    }

    /// The oldest tick that both streams have ended; what one of them has older than that will never be whole.
    fn take_round(&mut self) -> Option<RoundText> {
        let (out, err) = self
            .stdout
            .ended
            .iter()
            .enumerate()
            .find_map(|(out, part)| {
                let err = self.stderr.ended.iter().position(|p| p.tick == part.tick)?;
                Some((out, err))
            })?;
        let stdout = self.stdout.ended.drain(..=out).next_back()?;
        let stderr = self.stderr.ended.drain(..=err).next_back()?;
        Some(RoundText {
            tick: stdout.tick,
            exit_code: stdout.exit_code,
            cut_lines: stdout.cut_lines + stderr.cut_lines,
            is_too_much: stdout.is_too_much,
            stdout: stdout.text,
            stderr: stderr.text,
        })
    }
}

impl Side {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            open: Part::default(),
            ended: VecDeque::new(),
        }
    }

    fn push(&mut self, line: &str, is_cut: bool) {
        let part = &mut self.open;
        if is_cut {
            // Its last number may be half a number, and what it says is lost anyway.
            part.cut_lines += 1;
        } else if part.is_too_much || part.text.len() + line.len() + 1 > self.bytes_max {
            part.is_too_much = true;
        } else {
            part.text.push_str(line);
            part.text.push('\n');
        }
    }

    fn end_round(&mut self, tick: &str, exit_code: i32) {
        let mut part = std::mem::take(&mut self.open);
        tick.clone_into(&mut part.tick);
        part.exit_code = exit_code;
        if self.ended.len() == ROUNDS_AHEAD_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(part);
    }
}

/// The line, without its line feed, with which the loop says on both streams that it takes ticks.
pub fn hello_line(marker: &str, has_timeout: bool) -> String {
    let word = if has_timeout { "timeout" } else { "no-timeout" };
    format!("{marker} hello {word}")
}

/// The line, without its line feed, with which the loop ends a round on both streams. The loop prints a line feed before it.
pub fn marker_line(marker: &str, tick: &str, exit_code: i32) -> String {
    format!("{marker} {tick} {exit_code}")
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
