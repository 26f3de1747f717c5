//! In: one line below a header. Out: its row, borrowed from the line.
//! Never: allocates, takes a number that may be cut off, lets an unclear owner cost the row.

use super::Row;
use super::header::{Layout, Right};

/// Bytes of the longest topic name that Kafka allows.
const TOPIC_BYTES_MAX: usize = 249;

/// Bytes of the UUID that ends a consumer id: `8-4-4-4-12` hexadecimal digits.
const UUID_BYTES: usize = 36;

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

/// Reads one line, without its line end, as a row of `group`.
///
/// The group id asked for decides where the row begins, because ids may contain spaces and may look like a row themselves.
/// Each number must be followed by a separator. Every layout has a column right of LAG, so a number at the end of a line was
/// torn off, and what is left of it may be another number.
///
/// Rows of "team blue" are told from those of "team", but for a topic named by a number: there the group asked for decides.
pub(super) fn line<'a>(layout: Layout, group: &str, line: &'a str) -> Line<'a> {
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
    let right = line
        .get(core.end..)
        .unwrap_or_default()
        .trim_start_matches(' ');
    let member = match layout.right {
        Right::Owner => owner(right),
        Right::Member => member(right, !layout.has_group),
    };
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

impl Layout {
    fn separates(self, byte: u8) -> bool {
        byte == b' ' || (self.has_commas && byte == b',')
    }
}

/// *topic, partition, [epoch], current, end, lag* from byte `start` on.
fn core(layout: Layout, line: &str, start: usize) -> Option<Core<'_>> {
    let mut at = start;
    let topic = word(layout, line, &mut at)?;
    // Before the topic: of two words that are wrong this one is found out sooner.
    let partition = word(layout, line, &mut at)?;
    let partition = match partition {
        "-" => None,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    if !is_topic(topic) {
        return None;
    }
    if layout.has_epoch {
        number(word(layout, line, &mut at)?)?;
    }
    Some(Core {
        topic,
        partition,
        current_offset: number(word(layout, line, &mut at)?)?,
        log_end_offset: number(word(layout, line, &mut at)?)?,
        lag: number(word(layout, line, &mut at)?)?,
        end: at,
    })
}

/// The next word and its separator; `None` at the end of the line, also for a word that no separator follows.
fn word<'a>(layout: Layout, line: &'a str, at: &mut usize) -> Option<&'a str> {
    let bytes = line.as_bytes();
    let start = *at
        + bytes
            .get(*at..)?
            .iter()
            .position(|b| !layout.separates(*b))?;
    let end = start
        + bytes
            .get(start..)?
            .iter()
            .position(|b| layout.separates(*b))?;
    *at = end + 1;
    line.get(start..end)
}

/// The outer `None`: not a number and not unknown either.
fn number(word: &str) -> Option<Option<i64>> {
    match word.as_bytes() {
        b"-" | b"unknown" => Some(None),
        // Rust would take a plus sign, Kafka prints none.
        [b'0'..=b'9' | b'-', ..] => Some(Some(word.parse().ok()?)),
        _ => None,
    }
}

fn is_topic(word: &str) -> bool {
    word.len() <= TOPIC_BYTES_MAX
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

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
#[derive(Debug, Default, PartialEq, Eq)]
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
    while let Some(end) = word_end(text, start) {
        let word = text.get(start..end).unwrap_or_default();
        if start > 0 && is_address(word) {
            let (consumer_id, host) = text.split_at_checked(start).unwrap_or_default();
            return split_at_host(Some(consumer_id), host);
        }
        start = blanks_end(text, end);
    }
    Member::default()
}

/// CONSUMER-ID up to its UUID, and what is behind it if a HOST is. With `may_be_glued` no blank need be between.
fn split_at_uuid(text: &str, may_be_glued: bool) -> Option<(&str, &str)> {
    let mut start = 0;
    let mut behind_uuid = None;
    while let Some(end) = word_end(text, start) {
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
        start = blanks_end(text, end);
    }
    None
}

/// The end of the word at `start`, `None` behind the last one.
fn word_end(text: &str, start: usize) -> Option<usize> {
    let rest = text
        .as_bytes()
        .get(start..)
        .filter(|rest| !rest.is_empty())?;
    let length = rest.iter().position(|b| *b == b' ');
    Some(start + length.unwrap_or(rest.len()))
}

/// Where the word behind the blanks at `start` begins.
fn blanks_end(text: &str, start: usize) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| **byte == b' ').count()
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
