//! In: one line below a header. Out: its row, borrowed from the line.
//! Never: allocates, takes a number that may be cut off, lets an unclear owner cost the row.

use std::ops::Range;

use super::Row;
use super::blanks::{blanks_end, word_end};
use super::header::{Layout, Right};

/// Bytes of the longest topic name that Kafka allows.
const TOPIC_BYTES_MAX: usize = 249;

/// Bytes of the UUID that ends a consumer id: `8-4-4-4-12` hexadecimal digits.
const UUID_BYTES: usize = 36;

/// Digits of the largest offset.
const DIGITS_MAX: usize = 19;

/// What a line below a header is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A row of the group asked for.
    Row(Row<'a>),
    /// A row that says nothing about a partition of this group: of another group, or of a member without partitions
    /// (TOPIC and PARTITION are `-`).
    Quiet,
    NotRow,
}

/// The columns that decide the numbers, and where they end.
struct Core<'a> {
    topic: &'a str,
    /// `None`: `-`, the row of a member without partitions.
    partition: Option<i32>,
    current_offset: Option<i64>,
    log_end_offset: Option<i64>,
    lag: Option<i64>,
    end: usize,
}

/// Reads rows, one after the other.
///
/// The CLI prints the rows of one member one behind the other, so what stands right of LAG is mostly the same as in the row before.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    /// What stood right of LAG in the last row, and what was read of it.
    last: (&'a str, Member<'a>),
    /// Where `last` was read by.
    layout: Option<Layout>,
}

impl<'a> Rows<'a> {
    /// Reads one line, without its line end, as a row of `group`.
    ///
    /// The group id asked for decides where the row begins, because ids may contain spaces and may look like a row themselves.
    /// Each number must be followed by a separator. Every layout has a column right of LAG, so a number at the end of a line was
    /// torn off, and what is left of it may be another number.
    ///
    /// Rows of "team blue" are told from those of "team", but for a topic named by a number: there the group asked for decides.
    pub(super) fn line(&mut self, layout: Layout, group: &str, line: &'a str) -> Line<'a> {
        let start = if layout.has_group { group.len() } else { 0 };
        let is_of_group = !layout.has_group
            || (line.starts_with(group)
                && line
                    .as_bytes()
                    .get(start)
                    .is_some_and(|b| layout.separates(*b)));
        if !is_of_group {
            return if has_core_behind_a_group(layout, line) {
                Line::Quiet
            } else {
                Line::NotRow
            };
        }
        let Some(core) = core(layout, line, start) else {
            // "team" was asked for, this is "team blue".
            return if layout.has_group && has_core_behind_a_group(layout, line) {
                Line::Quiet
            } else {
                Line::NotRow
            };
        };
        let Some(partition) = core.partition else {
            return Line::Quiet;
        };
        // LAG is padded, so that the blanks behind it differ with its digits.
        let right = line
            .get(blanks_end(line.as_bytes(), core.end)..)
            .unwrap_or_default();
        // Another layout may begin below a second header.
        if right != self.last.0 || self.layout != Some(layout) {
            let member = match layout.right {
                Right::Owner => owner(right),
                Right::Member => member(right, !layout.has_group),
            };
            self.last = (right, member);
            self.layout = Some(layout);
        }
        let member = self.last.1;
        Line::Row(Row {
            topic: core.topic,
            partition,
            current_offset: core.current_offset,
            log_end_offset: core.log_end_offset,
            lag: core.lag,
            consumer_id: member.consumer_id,
            consumer_host: member.consumer_host,
            client_id: member.client_id,
        })
    }
}

impl Layout {
    fn separates(self, byte: u8) -> bool {
        byte == b' ' || (self.has_commas && byte == b',')
    }
}

/// *topic, partition, [epoch], current, end, lag* from byte `start` on.
fn core(layout: Layout, line: &str, start: usize) -> Option<Core<'_>> {
    let bytes = line.as_bytes();
    let mut at = start;
    let topic = word(layout, bytes, &mut at)?;
    // Before the topic: of two words that are wrong this one is found out sooner.
    let partition = match bytes.get(word(layout, bytes, &mut at)?)? {
        b"-" => None,
        digits => Some(i32::try_from(whole_number(digits)?).ok()?),
    };
    if !is_topic(bytes.get(topic.clone())?) {
        return None;
    }
    let mut number = || number(bytes.get(word(layout, bytes, &mut at)?)?);
    if layout.has_epoch {
        number()?;
    }
    Some(Core {
        current_offset: number()?,
        log_end_offset: number()?,
        lag: number()?,
        topic: line.get(topic)?,
        partition,
        end: at,
    })
}

/// The next word and its separator; `None` at the end of the line, also for a word that no separator follows.
#[inline]
fn word(layout: Layout, bytes: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let (start, end) = if layout.has_commas {
        let rest = bytes.get(*at..)?;
        let start = *at + rest.iter().position(|b| !layout.separates(*b))?;
        let rest = bytes.get(start..)?;
        (
            start,
            start + rest.iter().position(|b| layout.separates(*b))?,
        )
    } else {
        let start = blanks_end(bytes, *at);
        (start, word_end(bytes, start)?)
    };
    *at = end + 1;
    Some(start..end)
}

/// The outer `None`: not a number and not unknown either.
#[inline]
fn number(word: &[u8]) -> Option<Option<i64>> {
    match word {
        b"-" | b"unknown" => Some(None),
        [b'-', digits @ ..] if whole_number(digits).is_none() => {
            // The least number has no positive twin.
            (digits == b"9223372036854775808").then_some(Some(i64::MIN))
        }
        [b'-', digits @ ..] => Some(Some(-whole_number(digits)?)),
        digits => Some(Some(whole_number(digits)?)),
    }
}

/// Digits alone: Rust would take a plus sign, Kafka prints none.
#[inline]
fn whole_number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Nineteen digits fit.
        number = number * 10 + u64::from(digit);
    }
    i64::try_from(number).ok()
}

fn is_topic(word: &[u8]) -> bool {
    word.len() <= TOPIC_BYTES_MAX && word.iter().all(|byte| IN_TOPICS[usize::from(*byte)])
}

/// Whether a byte may stand in the name of a topic.
const IN_TOPICS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        byte += 1;
    }
    table
};

/// Whether some group id could end before one of the words, so that a row of it follows.
fn has_core_behind_a_group(layout: Layout, line: &str) -> bool {
    layout.has_group
        && line
            .bytes()
            .enumerate()
            .skip(1)
            .filter(|(_, byte)| layout.separates(*byte))
            .any(|(at, _)| core(layout, line, at).is_some())
}

/// The columns right of LAG.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Member<'a> {
    consumer_id: Option<&'a str>,
    consumer_host: Option<&'a str>,
    client_id: Option<&'a str>,
}

/// OWNER is client id, `_`, host; `none` or `unknown` where nobody owns the partition.
///
/// Source: `ConsumerGroupCommand.KafkaConsumerGroupService.describeGroup` of 0.9 to 0.10.1.
fn owner(text: &str) -> Member<'_> {
    // The address is behind the last slash, and a host name has no underscore.
    let parts = text.rfind('/').and_then(|slash| {
        let underscore = text.get(..slash)?.rfind('_')?;
        Some((text.get(..underscore)?, text.get(underscore + 1..)?))
    });
    match parts {
        Some((client_id, consumer_host)) => Member {
            consumer_id: None,
            consumer_host: Some(consumer_host),
            client_id: Some(client_id),
        },
        None => Member::default(),
    }
}

/// CONSUMER-ID, HOST, CLIENT-ID; all unknown where it is unclear which is which.
///
/// Both ids may contain spaces and slashes, so HOST is found by what is before it, the UUID that ends a consumer id the broker made. Behind an
/// id without one it is the first word that looks like an address (`/10.0.0.7`, `name/10.0.0.7`).
fn member(text: &str, may_be_glued: bool) -> Member<'_> {
    if let Some((consumer_id, host)) = split_at_uuid(text, may_be_glued) {
        return split_at_host(Some(consumer_id), host);
    }
    if let Some(host) = text.strip_prefix("- ") {
        return split_at_host(None, host);
    }
    let mut start = 0;
    while let Some(end) = end_of_word(text, start) {
        let word = text.get(start..end).unwrap_or_default();
        if start > 0 && is_address(word) {
            let (consumer_id, host) = text.split_at_checked(start).unwrap_or_default();
            return split_at_host(Some(consumer_id), host);
        }
        start = blanks_end(text.as_bytes(), end);
    }
    Member::default()
}

/// CONSUMER-ID up to its UUID, and what is behind it if a HOST is. With `may_be_glued` no blank need be between.
fn split_at_uuid(text: &str, may_be_glued: bool) -> Option<(&str, &str)> {
    let mut start = 0;
    let mut behind_uuid = None;
    while let Some(end) = end_of_word(text, start) {
        let word = text.get(start..end)?;
        if let Some(at) = behind_uuid
            && word.contains('/')
        {
            return text.split_at_checked(at);
        }
        if may_be_glued && let Some(host) = host_behind_uuid(word) {
            return text.split_at_checked(start + host);
        }
        behind_uuid = ends_with_uuid(word).then_some(end);
        start = blanks_end(text.as_bytes(), end);
    }
    None
}

/// The end of the word at `start`, `None` behind the last one.
fn end_of_word(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    (start < bytes.len()).then(|| word_end(bytes, start).unwrap_or(bytes.len()))
}

/// `host` begins with HOST, or with the blanks before it.
fn split_at_host<'a>(consumer_id: Option<&'a str>, host: &'a str) -> Member<'a> {
    let consumer_id = consumer_id.map(|id| id.trim_end_matches(' '));
    let rest = host.trim_start_matches(' ');
    // Without a blank behind it the host is torn, and the client id is lost.
    let Some((consumer_host, client_id)) = rest.split_once(' ') else {
        return Member {
            consumer_id,
            ..Member::default()
        };
    };
    let client_id = before_log_line(client_id.trim_start_matches(' '));
    Member {
        consumer_id,
        consumer_host: known(consumer_host),
        client_id: known(client_id),
    }
}

fn known(word: &str) -> Option<&str> {
    (!word.is_empty() && word != "-").then_some(word)
}

/// Cuts off the log line that 3.8 and 3.9 glue to the last row: `mm-0[2026-11-21 07:04:39,645] INFO ...`.
fn before_log_line(client_id: &str) -> &str {
    let is_date = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() > 5
            && bytes.iter().take(4).all(u8::is_ascii_digit)
            && bytes.get(4) == Some(&b'-')
    };
    match client_id.split_once('[') {
        Some((before, log)) if is_date(log) => before,
        _ => client_id,
    }
}

/// `/10.0.0.7`, `name/10.0.0.7`, with or without a port. A client id may hold a slash too, a UUID tells it from an address.
fn is_address(word: &str) -> bool {
    match word.split_once('/') {
        Some(("", address)) => !address.is_empty() && !ends_with_uuid(word),
        Some((_, address)) => {
            !address.is_empty()
                && address
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'%'))
        }
        None => false,
    }
}

fn ends_with_uuid(word: &str) -> bool {
    word.len()
        .checked_sub(UUID_BYTES)
        .is_some_and(|start| is_uuid_at(word.as_bytes(), start))
}

/// Where the host begins in `<id>-<uuid>/10.0.0.7`; the slash may have a host name before it.
fn host_behind_uuid(word: &str) -> Option<usize> {
    let slash = word.rfind('/')?;
    let bytes = word.as_bytes();
    (0..=slash.checked_sub(UUID_BYTES)?)
        .rev()
        .find(|start| is_uuid_at(bytes, *start))
        .map(|start| start + UUID_BYTES)
}

fn is_uuid_at(bytes: &[u8], start: usize) -> bool {
    let Some(uuid) = bytes.get(start..start + UUID_BYTES) else {
        return false;
    };
    uuid.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}
