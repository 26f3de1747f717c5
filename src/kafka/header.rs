//! In: one line. Out: which columns the rows below it have, if it is a header.
//! Never: goes by positions: a value that is too long shifts the rest of its row.

/// The columns below a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Rows start with the group id.
    pub(super) has_group: bool,
    /// LEADER-EPOCH stands between PARTITION and CURRENT-OFFSET.
    pub(super) has_epoch: bool,
    /// Columns are separated by a comma and a space.
    pub(super) has_commas: bool,
    pub(super) right: Right,
}

/// What stands right of LAG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// OWNER: client id, `_`, host.
    Owner,
    /// CONSUMER-ID, HOST, CLIENT-ID; from 0.10.2 to 1.0, which have no GROUP, the first may run into the second.
    Member,
}

/// What a line is, seen as a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// Of the offsets view.
    Offsets(Layout),
    /// Of another view or tool: nothing below it can be read.
    Unknown,
}

// The columns of the offsets view, left and right of what differs.
const GROUP: &[&str] = &["GROUP"];
const PARTITION: &[&str] = &["TOPIC", "PARTITION"];
const EPOCH: &[&str] = &["LEADER-EPOCH"];
const OFFSETS: &[&str] = &["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"];
const OWNER: &[&str] = &["OWNER"];
const MEMBER: &[&str] = &["CONSUMER-ID", "HOST", "CLIENT-ID"];

/// The whole header of 0.9, whose names contain spaces.
const COMMA_HEADER: &str = "GROUP, TOPIC, PARTITION, CURRENT OFFSET, LOG END OFFSET, LAG, OWNER";

/// Headers of other views start with one of these (`--members`, `--state`, share groups, streams groups).
const FIRST_WORDS: [&str; 4] = ["GROUP", "TOPIC", "CONSUMER-ID", "COORDINATOR"];

/// Words from which on a line of capitals is taken for a header.
const UNKNOWN_HEADER_WORDS_MIN: usize = 3;

/// Tells whether `line` is a header; `None` where it is anything else.
pub(super) fn header(line: &str) -> Option<Header> {
    let line = line.trim_end();
    if !FIRST_WORDS.iter().any(|word| line.starts_with(word)) {
        return None;
    }
    if line == COMMA_HEADER {
        return Some(Header::Offsets(Layout {
            has_group: true,
            has_epoch: false,
            has_commas: true,
            right: Right::Owner,
        }));
    }
    if let Some(layout) = offsets_layout(line) {
        return Some(Header::Offsets(layout));
    }
    let is_header = words(line).count() >= UNKNOWN_HEADER_WORDS_MIN && words(line).all(is_name);
    is_header.then_some(Header::Unknown)
}

fn offsets_layout(line: &str) -> Option<Layout> {
    for (has_group, has_epoch, right) in [
        (true, false, Right::Member),
        (true, true, Right::Member),
        (false, false, Right::Member),
        (false, true, Right::Member),
        (true, false, Right::Owner),
    ] {
        let group = if has_group { GROUP } else { &[] };
        let epoch = if has_epoch { EPOCH } else { &[] };
        let owner = match right {
            Right::Owner => OWNER,
            Right::Member => MEMBER,
        };
        let names = [group, PARTITION, epoch, OFFSETS, owner];
        if words(line).eq(names.into_iter().flatten().copied()) {
            return Some(Layout {
                has_group,
                has_epoch,
                has_commas: false,
                right,
            });
        }
    }
    None
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').filter(|word| !word.is_empty())
}

/// `#PARTITIONS`, `(ID)`, `LOG-END-OFFSET`, `TOPIC,`: a column's name, never a value such as `-` or `12`.
fn is_name(word: &str) -> bool {
    let mut has_letter = false;
    word.bytes().all(|byte| {
        has_letter |= byte.is_ascii_uppercase();
        byte.is_ascii_uppercase() || b"-_#()/,".contains(&byte)
    }) && has_letter
}
