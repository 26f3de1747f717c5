//! In: the group asked for, both streams of one round. Out: its rows, its state, what could not be read, or why there is no table.
//! Never: calls a round good for its exit code, keeps rows of a round that was cut short.

use memchr::memchr;

use super::header::{Header, Layout, header};
use super::messages::{Messages, shortened};
use super::row::{Line, Rows};
use super::seen::Seen;
use super::{Description, Failure, GroupState, Outcome, Problem, RoundText, Row};

/// Problems kept per round; they are for a person to read, and the first ones say what is wrong.
const PROBLEMS_MAX: usize = 8;

/// Bytes of a usual row: room for so many is made at once, and a table of shorter ones grows.
const ROW_BYTES: usize = 128;

/// `timeout` ended the describe.
const EXIT_TIMEOUT: i32 = 124;
/// The describe was ended by `kill -9`: by `timeout`, five seconds after its limit, or by a host out of memory.
const EXIT_KILLED: i32 = 137;
/// The same of BusyBox's `timeout`, which does not say 124.
const EXIT_TERMINATED: i32 = 143;
/// Exit codes above are 128 and a signal's number.
const EXIT_SIGNAL: i32 = 128;

/// What one round says of the group asked for.
///
/// Rows are those of `group` only, numbers as printed. A round whose describe was killed, or whose output was too much, has no rows: its
/// table may end anywhere, and a total over half a table is a wrong number.
pub fn read<'a>(group: &str, round: &'a RoundText) -> Description<'a> {
    let mut messages = Messages::new(group);
    let mut table = Table::new(&round.stdout);
    let mut rest = round.stdout.as_str();
    while !rest.is_empty() {
        let end = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        let (line, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = behind.get(1..).unwrap_or_default();
        table.take(
            group,
            line.strip_suffix('\r').unwrap_or(line),
            &mut messages,
        );
    }
    messages.take_stderr(&round.stderr);

    let failure = failure(round, &table, &messages);
    let state = messages.state.map(|(state, _)| state);
    let group_state = match &failure {
        None => state.unwrap_or(GroupState::Stable),
        Some(Failure { outcome, .. }) if *outcome == Outcome::NoRows => {
            state.unwrap_or(GroupState::Unknown)
        }
        Some(_) => GroupState::Unknown,
    };
    let problems = table.problems(round);
    Description {
        rows: if failure.is_none() {
            table.rows
        } else {
            Vec::new()
        },
        problems,
        group_state,
        failure,
    }
}

/// What stands on stdout, line by line.
struct Table<'a> {
    /// Of the header that rules; `None` before the first, and below one that is unknown.
    layout: Option<Layout>,
    has_header: bool,
    reader: Rows<'a>,
    rows: Vec<Row<'a>>,
    seen: Seen<'a>,
    twice: Vec<(&'a str, i32)>,
    unknown_header: Option<&'a str>,
    not_rows: usize,
    first_not_row: Option<&'a str>,
}

impl<'a> Table<'a> {
    fn new(text: &str) -> Self {
        Self {
            layout: None,
            has_header: false,
            reader: Rows::default(),
            rows: Vec::with_capacity(text.len() / ROW_BYTES),
            seen: Seen::new(),
            twice: Vec::new(),
            unknown_header: None,
            not_rows: 0,
            first_not_row: None,
        }
    }

    fn take<'m>(&mut self, group: &str, line: &'a str, messages: &mut Messages<'m>)
    where
        'a: 'm,
    {
        if line.is_empty() {
            return;
        }
        if let Some(layout) = self.layout {
            match self.reader.line(layout, group, line) {
                Line::Row(row) => return self.take_row(row),
                Line::Quiet => return,
                Line::NotRow => {}
            }
        }
        match header(line) {
            Some(Header::Offsets(layout)) => {
                self.layout = Some(layout);
                self.has_header = true;
                return;
            }
            Some(Header::Unknown) => {
                self.layout = None;
                self.unknown_header.get_or_insert(line);
                return;
            }
            None => {}
        }
        if line.trim().is_empty() || messages.take_stdout(line) {
            return;
        }
        if self.layout.is_some() {
            self.not_rows += 1;
            self.first_not_row.get_or_insert(line);
        }
    }

    fn take_row(&mut self, row: Row<'a>) {
        if self.seen.insert(row.topic, row.partition) {
            self.rows.push(row);
        } else if self.twice.len() < PROBLEMS_MAX {
            self.twice.push((row.topic, row.partition));
        }
    }

    fn problems(&self, round: &RoundText) -> Vec<Problem> {
        let mut problems = Vec::new();
        if round.is_too_much {
            problems.push(Problem::TooMuchOutput);
        }
        if round.cut_lines > 0 {
            problems.push(Problem::CutLines {
                count: round.cut_lines,
            });
        }
        if let Some(header) = self.unknown_header {
            problems.push(Problem::UnknownHeader {
                header: shortened(header),
            });
        }
        if let Some(first) = self.first_not_row {
            problems.push(Problem::NotRows {
                count: self.not_rows,
                first: shortened(first),
            });
        }
        problems.extend(
            self.twice
                .iter()
                .map(|(topic, partition)| Problem::PartitionTwice {
                    topic: (*topic).to_owned(),
                    partition: *partition,
                }),
        );
        problems.truncate(PROBLEMS_MAX);
        problems
    }
}

/// Why the round has no table for the group; `None` where it has.
fn failure(round: &RoundText, table: &Table<'_>, messages: &Messages<'_>) -> Option<Failure> {
    let failure = |outcome, reason: String| Some(Failure { outcome, reason });
    if let Some(failure) = cut_short(round, messages) {
        return Some(failure);
    }
    if !table.rows.is_empty() {
        return None;
    }
    if let Some(line) = messages.missing {
        return failure(Outcome::GroupMissing, shortened(line));
    }
    if table.has_header && round.exit_code == 0 && !messages.has_error() {
        return None;
    }
    if !messages.has_error()
        && let Some(header) = table.unknown_header
    {
        let reason = format!("unknown table header: {header}");
        return failure(Outcome::CliError, shortened(&reason));
    }
    if round.exit_code != 0 || messages.has_error() {
        let reason = messages.reason().unwrap_or_else(|| {
            format!(
                "the CLI ended with code {} and said nothing",
                round.exit_code
            )
        });
        return failure(Outcome::CliError, reason);
    }
    if let Some((_, line)) = messages.state {
        return failure(Outcome::NoRows, shortened(line));
    }
    match messages.reason() {
        Some(reason) => failure(Outcome::CliError, reason),
        None if round.cut_lines > 0 => {
            let lines = round.cut_lines;
            let reason = format!("the CLI printed nothing but {lines} lines that are too long");
            failure(Outcome::CliError, reason)
        }
        None => failure(Outcome::NoRows, "the CLI printed nothing".to_owned()),
    }
}

/// The failure of a round whose table may end anywhere.
fn cut_short(round: &RoundText, messages: &Messages<'_>) -> Option<Failure> {
    let (outcome, what) = match round.exit_code {
        EXIT_TIMEOUT | EXIT_TERMINATED => (
            Outcome::Timeout,
            "the describe outlived its limit and was ended on the mirror host".to_owned(),
        ),
        EXIT_KILLED => (
            Outcome::Timeout,
            "the describe was killed: it ignored its limit, or the mirror host ran out of memory"
                .to_owned(),
        ),
        code if code > EXIT_SIGNAL => (
            Outcome::CliError,
            format!("the describe was ended by signal {}", code - EXIT_SIGNAL),
        ),
        _ if round.is_too_much => {
            let bytes = round.stdout.len();
            let what =
                format!("the CLI printed more than fits, reading stopped after {bytes} bytes");
            return Some(Failure {
                outcome: Outcome::CliError,
                reason: what,
            });
        }
        _ => return None,
    };
    let reason = match messages.complaint() {
        Some(said) => shortened(&format!("{what}; before, it said: {said}")),
        None => what,
    };
    Some(Failure { outcome, reason })
}
