//! In: a group id on the first line, then stdout of a describe, then, behind a line `@@ stderr`, its stderr. Out: nothing, or a panic.
//!
//! Claims: the same bytes in any pieces give the same rounds; what is read of any of them, whole or cut short, is a number that
//! stands in the text, in a whole line, in its column; what is kept for people is bounded.

use std::collections::BTreeSet;

use mirrorlag::kafka::{self, Outcome, Progress, RoundText, Row, Stream, Transcript};
use mirrorlag::ssh::{LINE_BYTES_MAX, Lines};

const MARKER: &str = "marker-5f1c";
const STDERR: &[u8] = b"\n@@ stderr\n";

/// Small, so that a fuzzer reaches it.
const ROUND_BYTES_MAX: usize = 16 * 1024;

/// Places at which the text of a round ends too soon; a torn number is a few bytes of it.
const CUTS: usize = 16;

/// As `kafka/read.rs` and `kafka/messages.rs` promise; a message quotes two texts at most.
const PROBLEMS_MAX: usize = 8;
const REASON_BYTES_MAX: usize = 500;

pub fn check(data: &[u8]) {
    let (first, rest) = split_at(data, b"\n");
    let group = String::from_utf8_lossy(first).into_owned();
    let (stdout, stderr) = split_at(rest, STDERR);
    let mut draw = Draw::new(data);
    let code = [0, 0, 0, 1, 124, 137, 139][draw.below(7)];
    let stdout = stream_of(stdout, code);
    let stderr = stream_of(stderr, code);

    let whole = rounds(&[&stdout], &[&stderr], &mut InOrder);
    for _ in 0..3 {
        let pieces = rounds(&draw.pieces(&stdout), &draw.pieces(&stderr), &mut InOrder);
        assert_eq!(whole, pieces, "other pieces, other rounds");
    }
    let bytes = |text: &[u8]| -> Vec<Vec<u8>> { text.iter().map(|byte| vec![*byte]).collect() };
    let (out, err) = (bytes(&stdout), bytes(&stderr));
    let single: Vec<&[u8]> = out.iter().map(Vec::as_slice).collect();
    let single_err: Vec<&[u8]> = err.iter().map(Vec::as_slice).collect();
    assert_eq!(
        whole,
        rounds(&single, &single_err, &mut InOrder),
        "byte by byte"
    );
    // Who prints the marker himself moves the end of a round, which then depends on the order of the two streams.
    if count(&stdout, MARKER) == 2 && count(&stderr, MARKER) == 2 {
        assert_eq!(whole.len(), 2, "one hello and one round");
        let mixed = rounds(&draw.pieces(&stdout), &draw.pieces(&stderr), &mut draw);
        assert_eq!(whole, mixed, "another order of the streams, another round");
    }

    let text = String::from_utf8_lossy(&stdout);
    let lines: Vec<Vec<&str>> = text.split('\n').map(words).collect();
    for progress in &whole {
        if let Progress::Round(round) = progress {
            check_round(&group, round, &lines);
            for _ in 0..CUTS {
                let end = draw.below(round.stdout.len() + 1);
                let cut = RoundText {
                    stdout: prefix(&round.stdout, end).to_owned(),
                    ..round.clone()
                };
                check_round(&group, &cut, &lines);
            }
        }
    }
}

/// What the remote loop puts around a describe.
fn stream_of(printed: &[u8], code: i32) -> Vec<u8> {
    let mut bytes = format!("\n{}\n", kafka::hello_line(MARKER, true)).into_bytes();
    bytes.extend_from_slice(printed);
    bytes.extend_from_slice(format!("\n{}\n", kafka::marker_line(MARKER, "17", code)).as_bytes());
    bytes
}

/// Which stream the next piece comes from.
trait Order {
    fn takes_stdout(&mut self) -> bool;
}

/// All of stdout first.
struct InOrder;

impl Order for InOrder {
    fn takes_stdout(&mut self) -> bool {
        true
    }
}

fn rounds(stdout: &[&[u8]], stderr: &[&[u8]], order: &mut impl Order) -> Vec<Progress> {
    let mut transcript = Transcript::new(MARKER, ROUND_BYTES_MAX);
    let mut lines = [Lines::new(LINE_BYTES_MAX), Lines::new(LINE_BYTES_MAX)];
    let mut pieces = [stdout.iter(), stderr.iter()];
    let mut seen = Vec::new();
    while pieces.iter().any(|left| left.len() > 0) {
        let wants_stdout = order.takes_stdout();
        let is_stdout = if wants_stdout {
            pieces[0].len() > 0
        } else {
            pieces[1].len() == 0
        };
        let at = usize::from(!is_stdout);
        let stream = if is_stdout {
            Stream::Stdout
        } else {
            Stream::Stderr
        };
        if let Some(piece) = pieces[at].next() {
            lines[at].push(piece, &mut |line| {
                seen.extend(transcript.push(stream, &line.text, line.is_cut));
            });
        }
    }
    seen
}

/// `lines` is all that ever came on stdout, in words; the round may have a part of it.
fn check_round(group: &str, round: &RoundText, lines: &[Vec<&str>]) {
    assert!(round.stdout.len() <= ROUND_BYTES_MAX, "more text than fits");
    let read = kafka::read(group, round);
    assert_eq!(read, kafka::read(group, round), "the same text, read twice");
    assert!(read.problems.len() <= PROBLEMS_MAX);
    for problem in &read.problems {
        let words = problem.to_string();
        assert!(
            words.len() <= 8 * REASON_BYTES_MAX && !words.contains('\n'),
            "{words}"
        );
    }
    if let Some(failure) = &read.failure {
        assert!(read.rows.is_empty(), "rows beside a failure");
        assert_ne!(failure.outcome, Outcome::Ok);
        assert!(
            !failure.reason.is_empty() && failure.reason.len() <= REASON_BYTES_MAX,
            "{}",
            failure.reason
        );
        assert!(!failure.reason.contains('\n'), "{}", failure.reason);
    }
    if round.exit_code > 123 {
        assert!(read.rows.is_empty(), "rows of a round that was cut short");
    }
    let mut seen = BTreeSet::new();
    for row in &read.rows {
        assert!(seen.insert((row.topic, row.partition)), "twice: {row:?}");
        assert!(
            lines.iter().any(|line| is_printed(row, line)),
            "nobody printed this: {row:?} in {lines:?}"
        );
    }
}

/// Blanks separate columns; to 0.9 a comma does as well, and it is never a part of a number or a topic.
fn words(line: &str) -> Vec<&str> {
    line.split([' ', ','])
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether the words hold topic, partition, perhaps an epoch, and the three numbers, with something behind them.
fn is_printed(row: &Row<'_>, words: &[&str]) -> bool {
    let numbers = [row.current_offset, row.log_end_offset, row.lag];
    (0..words.len()).any(|at| {
        words[at] == row.topic
            && words
                .get(at + 1)
                .is_some_and(|word| word.parse() == Ok(row.partition))
            && [2, 3].iter().any(|first| {
                numbers.iter().enumerate().all(|(n, number)| {
                    words.get(at + first + n).is_some_and(|word| match number {
                        Some(number) => word.parse() == Ok(*number),
                        None => ["-", "unknown"].contains(word),
                    })
                })
            })
    })
}

fn split_at<'a>(data: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    match data
        .windows(separator.len())
        .position(|window| window == separator)
    {
        Some(at) => (&data[..at], &data[at + separator.len()..]),
        None => (data, &[]),
    }
}

fn prefix(text: &str, mut end: usize) -> &str {
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn count(text: &[u8], word: &str) -> usize {
    text.windows(word.len())
        .filter(|window| *window == word.as_bytes())
        .count()
}

/// Numbers that follow from the input, so that a finding is found again.
struct Draw(u64);

impl Draw {
    fn new(data: &[u8]) -> Self {
        let hash = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }

    fn pieces<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = (0..self.below(12))
            .map(|_| self.below(bytes.len()))
            .collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
    }
}

impl Order for Draw {
    fn takes_stdout(&mut self) -> bool {
        self.below(2) == 0
    }
}
