//! In: a version of the CLI, a group, rows. Out: the text that this version's `--describe` prints for them on standard output.
//! Never: is used by a room that collects, prints a state message (those stand on standard error).

use std::fmt::Write as _;

/// The least width of the columns that grow with their values. Source: `ConsumerGroupCommand`, `minWidth`.
const GROWING_WIDTH_MIN: usize = 15;

/// The layouts of the table, each named for the first version that prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CliVersion {
    /// 0.9: comma and space, an OWNER column, `unknown` and `none`.
    V0_9,
    /// 0.10.0 and 0.10.1: fixed widths, GROUP first, an OWNER column.
    V0_10_0,
    /// 0.10.2 to 1.0: fixed widths, no GROUP, no space between CONSUMER-ID and HOST.
    V0_10_2,
    /// 1.1 to 2.2: growing widths, no GROUP.
    V1_1,
    /// 2.3 to 3.7: growing widths, GROUP first.
    V2_3,
    /// 3.8 and 3.9: as 2.3, with a line feed before each line and none after the last.
    V3_8,
    /// 4.0 and later: as 2.3.
    V4_0,
    /// 4.0 and later with `--verbose`: LEADER-EPOCH after PARTITION.
    V4_0Verbose,
}

impl CliVersion {
    /// Every layout, oldest first.
    pub const ALL: [Self; 8] = [
        Self::V0_9,
        Self::V0_10_0,
        Self::V0_10_2,
        Self::V1_1,
        Self::V2_3,
        Self::V3_8,
        Self::V4_0,
        Self::V4_0Verbose,
    ];

    /// Whether one OWNER column stands where later versions have CONSUMER-ID, HOST and CLIENT-ID.
    pub fn has_owner(self) -> bool {
        matches!(self, Self::V0_9 | Self::V0_10_0)
    }
}

/// One row to print; `None` is printed as this version prints an unknown value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    pub topic: String,
    pub partition: i32,
    pub current_offset: Option<i64>,
    pub log_end_offset: Option<i64>,
    /// In records; printed as it is, also where it is not the difference of the two offsets.
    pub lag: Option<i64>,
    pub consumer_id: Option<String>,
    /// The HOST column, as Kafka has it: `/10.0.0.1`, `name/10.0.0.1`.
    pub consumer_host: Option<String>,
    pub client_id: Option<String>,
}

/// The table of one group as `version` prints it, with the line ends of that version.
///
/// Rows are printed in the order given. Several groups are several calls, one text behind the other.
///
/// Source: `ConsumerGroupCommand.printOffsets` (to 0.10.1 `describeGroup`).
pub fn render(version: CliVersion, group: &str, rows: &[TableRow]) -> String {
    let mut lines = vec![header(version)];
    lines.extend(rows.iter().map(|row| cells(version, group, row)));
    let widths = widths(version, &lines);
    let mut text = String::new();
    match version {
        CliVersion::V0_9 | CliVersion::V0_10_0 | CliVersion::V3_8 => {}
        _ => text.push('\n'),
    }
    for line in &lines {
        if version == CliVersion::V3_8 {
            text.push('\n');
        }
        push_line(&mut text, version, line, &widths);
        if version != CliVersion::V3_8 {
            text.push('\n');
        }
    }
    text
}

fn header(version: CliVersion) -> Vec<String> {
    let names: &[&str] = match version {
        CliVersion::V0_9 => &[
            "GROUP",
            "TOPIC",
            "PARTITION",
            "CURRENT OFFSET",
            "LOG END OFFSET",
            "LAG",
            "OWNER",
        ],
        CliVersion::V0_10_0 => &[
            "GROUP",
            "TOPIC",
            "PARTITION",
            "CURRENT-OFFSET",
            "LOG-END-OFFSET",
            "LAG",
            "OWNER",
        ],
        CliVersion::V0_10_2 | CliVersion::V1_1 => &[
            "TOPIC",
            "PARTITION",
            "CURRENT-OFFSET",
            "LOG-END-OFFSET",
            "LAG",
            "CONSUMER-ID",
            "HOST",
            "CLIENT-ID",
        ],
        CliVersion::V2_3 | CliVersion::V3_8 | CliVersion::V4_0 => &[
            "GROUP",
            "TOPIC",
            "PARTITION",
            "CURRENT-OFFSET",
            "LOG-END-OFFSET",
            "LAG",
            "CONSUMER-ID",
            "HOST",
            "CLIENT-ID",
        ],
        CliVersion::V4_0Verbose => &[
            "GROUP",
            "TOPIC",
            "PARTITION",
            "LEADER-EPOCH",
            "CURRENT-OFFSET",
            "LOG-END-OFFSET",
            "LAG",
            "CONSUMER-ID",
            "HOST",
            "CLIENT-ID",
        ],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn cells(version: CliVersion, group: &str, row: &TableRow) -> Vec<String> {
    let unknown = if version.has_owner() { "unknown" } else { "-" };
    let number = |value: Option<i64>| value.map_or(unknown.to_owned(), |n| n.to_string());
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());

    let mut cells = Vec::with_capacity(10);
    if !matches!(version, CliVersion::V0_10_2 | CliVersion::V1_1) {
        cells.push(group.to_owned());
    }
    cells.push(row.topic.clone());
    cells.push(row.partition.to_string());
    if version == CliVersion::V4_0Verbose {
        cells.push("0".to_owned());
    }
    cells.push(number(row.current_offset));
    cells.push(number(row.log_end_offset));
    cells.push(number(row.lag));
    if version.has_owner() {
        cells.push(match (&row.client_id, &row.consumer_host) {
            (Some(client_id), Some(host)) => format!("{client_id}_{host}"),
            _ => "none".to_owned(),
        });
    } else {
        cells.push(text(&row.consumer_id));
        cells.push(text(&row.consumer_host));
        cells.push(text(&row.client_id));
    }
    cells
}

/// The width of each column but the last, which is never padded.
fn widths(version: CliVersion, lines: &[Vec<String>]) -> Vec<usize> {
    let growing = |column: usize| {
        let longest = lines
            .iter()
            .skip(1)
            .filter_map(|line| line.get(column))
            .map(|cell| width(cell))
            .max();
        longest.unwrap_or(0).max(GROWING_WIDTH_MIN)
    };
    match version {
        CliVersion::V0_9 => vec![0; 6],
        CliVersion::V0_10_0 => vec![30, 30, 10, 15, 15, 15],
        CliVersion::V0_10_2 => vec![30, 10, 15, 15, 10, 50, 30],
        CliVersion::V1_1 => vec![growing(0), 10, 15, 15, 15, growing(5), growing(6)],
        CliVersion::V2_3 | CliVersion::V3_8 | CliVersion::V4_0 => vec![
            growing(0),
            growing(1),
            10,
            15,
            15,
            15,
            growing(6),
            growing(7),
        ],
        CliVersion::V4_0Verbose => vec![
            growing(0),
            growing(1),
            10,
            15,
            15,
            15,
            15,
            growing(7),
            growing(8),
        ],
    }
}

fn push_line(text: &mut String, version: CliVersion, cells: &[String], widths: &[usize]) {
    for (column, cell) in cells.iter().enumerate() {
        text.push_str(cell);
        let Some(wanted) = widths.get(column) else {
            continue;
        };
        let separator = match version {
            CliVersion::V0_9 => ", ",
            // CONSUMER-ID runs into HOST.
            CliVersion::V0_10_2 if column == 5 => "",
            _ => " ",
        };
        let padding = wanted.saturating_sub(width(cell));
        // Writing to a String cannot fail.
        let _ = write!(text, "{:padding$}{separator}", "");
    }
}

/// Java counts UTF-16 units.
fn width(cell: &str) -> usize {
    cell.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> TableRow {
        TableRow {
            topic: "orders".to_owned(),
            partition: 3,
            current_offset: Some(10),
            log_end_offset: Some(12),
            lag: Some(2),
            consumer_id: Some("c".repeat(50)),
            consumer_host: Some("/10.0.0.7".to_owned()),
            client_id: Some("oasis-0".to_owned()),
        }
    }

    #[test]
    fn kafka_3_8_puts_the_line_feed_before_each_line_and_none_after_the_last() {
        let text = render(CliVersion::V3_8, "g", &[row()]);
        assert!(text.starts_with("\nGROUP           TOPIC           PARTITION  CURRENT-OFFSET"));
        assert!(text.ends_with("/10.0.0.7       oasis-0"), "{text}");
    }

    #[test]
    fn an_id_of_fifty_characters_is_glued_to_the_host_by_the_old_layout() {
        let text = render(CliVersion::V0_10_2, "g", &[row()]);
        assert!(
            text.contains("cc/10.0.0.7                      oasis-0\n"),
            "{text}"
        );
        let text = render(CliVersion::V1_1, "g", &[row()]);
        assert!(text.contains("cc /10.0.0.7       oasis-0\n"), "{text}");
    }

    #[test]
    fn an_unknown_value_is_a_dash_and_was_a_word_before() {
        let unknown = TableRow {
            current_offset: None,
            lag: None,
            client_id: None,
            ..row()
        };
        let text = render(CliVersion::V0_9, "g", std::slice::from_ref(&unknown));
        assert_eq!(
            text,
            "GROUP, TOPIC, PARTITION, CURRENT OFFSET, LOG END OFFSET, LAG, OWNER\n\
             g, orders, 3, unknown, 12, unknown, none\n"
        );
        let text = render(CliVersion::V2_3, "g", &[unknown]);
        assert!(text.contains("3          -               12              -               ccc"));
    }

    #[test]
    fn a_width_counts_utf_16_units() {
        let group = "\u{1d11e}".repeat(8);
        let text = render(CliVersion::V4_0, &group, &[row()]);
        // Eight clefs are sixteen units: the header gets one more blank than its least width.
        assert!(text.starts_with("\nGROUP            TOPIC"), "{text}");
    }
}
