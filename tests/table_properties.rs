//! Any table that the model of the CLI prints comes back exactly; no bytes make the parser panic; a cut text yields no new number.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helper functions of tests, which clippy does not know as tests

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mirrorlag::kafka::{self, GroupState, Outcome, Progress, RoundText, Row, Stream, Transcript};
use mirrorlag::simulator::table::{CliVersion, TableRow, render};
use mirrorlag::ssh::{LINE_BYTES_MAX, Lines};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const MARKER: &str = "marker-5f1c";

/// A row as the document needs it, owned.
#[derive(Debug, Clone, PartialEq)]
struct Read {
    topic: String,
    partition: i32,
    numbers: [Option<i64>; 3],
    member: [Option<String>; 3],
}

impl From<&Row<'_>> for Read {
    fn from(row: &Row<'_>) -> Self {
        Self {
            topic: row.topic.to_owned(),
            partition: row.partition,
            numbers: [row.current_offset, row.log_end_offset, row.lag],
            member: [row.consumer_id, row.consumer_host, row.client_id]
                .map(|field| field.map(str::to_owned)),
        }
    }
}

/// What must be read of a row that `version` printed.
fn expected(version: CliVersion, row: &TableRow) -> Read {
    // OWNER has no consumer id, and says nothing where one of its two parts is unknown.
    let member = if version.has_owner() {
        match (&row.consumer_host, &row.client_id) {
            (Some(host), Some(client_id)) => [None, Some(host.clone()), Some(client_id.clone())],
            _ => [None, None, None],
        }
    } else {
        [&row.consumer_id, &row.consumer_host, &row.client_id].map(Clone::clone)
    };
    Read {
        topic: row.topic.clone(),
        partition: row.partition,
        numbers: [row.current_offset, row.log_end_offset, row.lag],
        member,
    }
}

fn offset() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        2 => Just(None),
        6 => (0..100_000_i64).prop_map(Some),
        1 => (-5_000..0_i64).prop_map(Some),
        1 => select(vec![Some(i64::MAX), Some(i64::MIN), Some(0)]),
    ]
}

/// Words that a client id, and so a group id, may have; some look like numbers, hosts, columns.
fn id() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-zA-Z0-9._-]{1,20}",
        "[a-z]{30,70}",
        select(vec![
            "größe",
            "日本",
            "\u{1d11e}",
            "it's",
            "\"x\"",
            "a/b",
            "/x",
            "3",
            "-70",
            "TOPIC",
            "LAG"
        ])
        .prop_map(str::to_owned),
    ];
    // A lone dash is how the CLI prints that there is no id.
    prop::collection::vec(word, 1..4)
        .prop_map(|words| words.join(" "))
        .prop_filter("an id", |id| id != "-")
}

fn group() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z][a-z0-9-]{0,30}",
        2 => id(),
        1 => Just("team 1 2 3 4 x".to_owned()),
    ]
}

fn topic() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec!["orders", "orders-eu", "payments", "0", "a.b_c-D", "TOPIC"]).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9._-]{1,249}",
    ]
}

/// A member: consumer id, host, client id, as the broker makes them; `None`: nobody owns the partition.
fn member() -> impl Strategy<Value = Option<(String, String, String)>> {
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
    let host = prop_oneof![
        "/10\\.[0-9]{1,3}\\.[0-9]{1,3}\\.7",
        Just("/fe80:0:0:0:1c2f:aff:fe3:1%eth0".to_owned()),
        "[a-z]{1,12}\\.example/192\\.168\\.0\\.[0-9]{1,2}",
    ];
    prop::option::weighted(
        0.8,
        (id(), uuid, host)
            .prop_map(|(client_id, uuid, host)| (format!("{client_id}-{uuid}"), host, client_id)),
    )
}

fn rows() -> impl Strategy<Value = Vec<TableRow>> {
    let members = prop::collection::vec(member(), 1..4);
    let partitions = prop::collection::btree_set((topic(), 0..40_i32), 0..30);
    let numbers = prop::collection::vec((offset(), offset(), offset(), any::<Index>()), 30);
    (members, partitions, numbers).prop_map(|(members, partitions, numbers)| {
        let row = |((topic, partition), (current, end, lag, owner)): (
            (String, i32),
            (_, _, _, Index),
        )| {
            let owner = owner.get(&members).clone();
            let (consumer_id, consumer_host, client_id) = match owner {
                Some((id, host, client)) => (Some(id), Some(host), Some(client)),
                None => (None, None, None),
            };
            TableRow {
                topic,
                partition,
                current_offset: current,
                log_end_offset: end,
                lag,
                consumer_id,
                consumer_host,
                client_id,
            }
        };
        partitions.into_iter().zip(numbers).map(row).collect()
    })
}

/// Both streams through a transcript, line by line as the loop prints them; the exit code is 0.
fn round_of(stdout: &str, stderr: &str) -> RoundText {
    let mut transcript = Transcript::new(MARKER, 1 << 22);
    let hello = kafka::hello_line(MARKER, true);
    let end = kafka::marker_line(MARKER, "1", 0);
    let mut ended = None;
    for (stream, text) in [(Stream::Stderr, stderr), (Stream::Stdout, stdout)] {
        let looped = format!("\n{hello}\n{text}\n{end}");
        for line in looped.split('\n') {
            if let Some(Progress::Round(round)) = transcript.push(stream, line, false) {
                ended = Some(round);
            }
        }
    }
    ended.expect("both markers were shown")
}

/// As `round_of`, but as bytes that arrive in pieces of these sizes, split into lines by the room that reads them from the wire.
fn round_in_pieces(stdout: &str, sizes: &[usize]) -> RoundText {
    let hello = kafka::hello_line(MARKER, true);
    let end = kafka::marker_line(MARKER, "1", 0);
    let mut transcript = Transcript::new(MARKER, 1 << 22);
    let mut ended = None;
    for (stream, text) in [(Stream::Stderr, ""), (Stream::Stdout, stdout)] {
        let looped = format!("\n{hello}\n{text}\n{end}\n");
        let mut rest = looped.as_bytes();
        let mut lines = Lines::new(LINE_BYTES_MAX);
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*size).min(rest.len()));
            rest = later;
            lines.push(piece, &mut |line| {
                let progress = transcript.push(stream, &line.text, line.is_cut);
                if let Some(Progress::Round(round)) = progress {
                    ended = Some(round);
                }
            });
        }
    }
    ended.expect("both markers were shown")
}

fn read_all(group: &str, round: &RoundText) -> Vec<Read> {
    kafka::read(group, round)
        .rows
        .iter()
        .map(Read::from)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_table_of_the_model_comes_back_exactly(
        version in select(CliVersion::ALL.to_vec()), group in group(), rows in rows(),
    ) {
        let round = round_of(&render(version, &group, &rows), "");
        let description = kafka::read(&group, &round);
        prop_assert_eq!(&description.failure, &None);
        prop_assert_eq!(&description.problems, &vec![]);
        prop_assert_eq!(description.group_state, GroupState::Stable);
        let read: Vec<Read> = description.rows.iter().map(Read::from).collect();
        let printed: Vec<Read> = rows.iter().map(|row| expected(version, row)).collect();
        prop_assert_eq!(read, printed);
    }

    #[test]
    fn a_table_that_arrives_in_any_pieces_comes_back_exactly(
        version in select(CliVersion::ALL.to_vec()), group in group(), rows in rows(),
        sizes in prop::collection::vec(1_usize..200, 1..20),
    ) {
        let round = round_in_pieces(&render(version, &group, &rows), &sizes);
        let printed: Vec<Read> = rows.iter().map(|row| expected(version, row)).collect();
        prop_assert_eq!(read_all(&group, &round), printed);
    }

    #[test]
    fn tables_of_several_groups_and_noise_between_them_do_not_mix(
        version in select(vec![CliVersion::V2_3, CliVersion::V3_8, CliVersion::V4_0, CliVersion::V4_0Verbose]),
        mine in rows(), other in rows(), noise in select(vec![
            "", "\n[2026-11-21 07:04:39,645] INFO done\n", "\nOpenJDK 64-Bit Server VM warning: x\n",
            "\nError: Consumer group 'third' does not exist.\n",
        ]),
    ) {
        // Of "team blue 7 1 2 3" nobody can say whether "blue" is a topic: the group asked for decides.
        let mut other = other;
        for row in other.iter_mut().filter(|row| row.topic.parse::<i64>().is_ok()) {
            row.topic.insert(0, 't');
        }
        let mut text = render(version, "team blue", &other);
        text.push_str(noise);
        text.push_str(&render(version, "team", &mine));
        text.push_str(noise);
        text.push_str(&render(version, "teams", &other));
        let round = round_of(&text, "\nConsumer group 'teams' has no active members.\n");
        let printed: Vec<Read> = mine.iter().map(|row| expected(version, row)).collect();
        prop_assert_eq!(read_all("team", &round), printed);
        prop_assert_eq!(kafka::read("team", &round).group_state, GroupState::Stable);
    }

    #[test]
    fn a_table_cut_at_any_byte_yields_only_numbers_that_were_printed(
        version in select(CliVersion::ALL.to_vec()), group in group(), rows in rows(), at in any::<Index>(),
        is_from_the_front in any::<bool>(),
    ) {
        let text = render(version, &group, &rows);
        let at = at.index(text.len() + 1);
        let bytes = if is_from_the_front { &text.as_bytes()[at..] } else { &text.as_bytes()[..at] };
        // A character torn in two is replaced, as the reader of the stream does it.
        let round = round_of(&String::from_utf8_lossy(bytes), "");
        let printed: BTreeMap<_, _> = rows.iter()
            .map(|row| ((row.topic.as_str(), row.partition), [row.current_offset, row.log_end_offset, row.lag]))
            .collect();
        for row in read_all(&group, &round) {
            let numbers = printed.get(&(row.topic.as_str(), row.partition));
            prop_assert_eq!(numbers, Some(&row.numbers), "of {}", row.topic);
        }
    }

    #[test]
    fn a_killed_describe_yields_no_rows_wherever_it_was_cut(
        version in select(CliVersion::ALL.to_vec()), rows in rows(), at in any::<Index>(),
        exit_code in select(vec![124, 137, 143]),
    ) {
        let text = render(version, "g", &rows);
        let cut = String::from_utf8_lossy(&text.as_bytes()[..at.index(text.len() + 1)]);
        let round = RoundText { exit_code, ..round_of(&cut, "") };
        let description = kafka::read("g", &round);
        prop_assert!(description.rows.is_empty());
        prop_assert_eq!(description.failure.map(|f| f.outcome), Some(Outcome::Timeout));
    }

    #[test]
    fn windows_line_ends_and_blank_lines_change_nothing(
        version in select(CliVersion::ALL.to_vec()), group in group(), rows in rows(),
    ) {
        let text = render(version, &group, &rows);
        let plain = round_of(&text, "");
        let windows = round_of(&text.replace('\n', "\r\n"), "");
        let spaced = round_of(&text.replace('\n', "\n \n\n"), "");
        prop_assert_eq!(read_all(&group, &windows), read_all(&group, &plain));
        prop_assert_eq!(read_all(&group, &spaced), read_all(&group, &plain));
    }

    #[test]
    fn a_partition_printed_twice_counts_once_and_the_first_row_counts(
        version in select(CliVersion::ALL.to_vec()), rows in rows(), again in rows(),
    ) {
        let both: Vec<TableRow> = rows.iter().chain(&again).cloned().collect();
        let round = round_of(&render(version, "g", &both), "");
        let mut seen = BTreeSet::new();
        let firsts: Vec<_> = both.iter()
            .filter(|row| seen.insert((row.topic.clone(), row.partition)))
            .map(|row| (row.topic.clone(), row.partition, row.lag))
            .collect();
        let read: Vec<_> = read_all("g", &round).into_iter()
            .map(|row| (row.topic, row.partition, row.numbers[2]))
            .collect();
        prop_assert_eq!(read, firsts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(
        group in ".{0,12}", exit_code in any::<i32>(), stderr in "(?s).{0,200}",
        pieces in prop::collection::vec(prop_oneof![
            "(?s).{0,60}",
            select(vec![
                "\nGROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n",
                "\nTOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n",
                "GROUP, TOPIC, PARTITION, CURRENT OFFSET, LOG END OFFSET, LAG, OWNER\n",
                "g t 0 1 2 1 ", "t 0 1 2 1 ", "g, t, 0, 1, 2, 1, ", "-", " ", "/", "_/", "[2026-", "\n", "\r\n", "\u{fffd}",
                "5ce7ca71-36b5-47fa-8eee-139c1a7571af", "ä", "\u{1d11e}", "Error: ", "Consumer group '", "' ",
                "GroupIdNotFoundException", "Error occurred during initialization of VM\n",
            ]).prop_map(str::to_owned),
        ], 0..25),
    ) {
        let stdout = pieces.concat();
        let round = RoundText { exit_code, ..round_of(&stdout, &stderr) };
        let description = kafka::read(&group, &round);
        prop_assert!(description.problems.len() <= 8);
        prop_assert!(description.failure.is_none_or(|f| f.reason.len() < 2_000 && f.outcome != Outcome::Ok));
        let _ = kafka::read("g", &round);
    }

    #[test]
    fn no_lines_make_the_transcript_panic_or_grow(
        lines in prop::collection::vec((any::<bool>(), any::<bool>(), prop_oneof![
            "(?s).{0,40}",
            select(vec!["m hello timeout", "m hello no-timeout", "m 1 0", "m 2 0", "m 3 124", "m", "m ", "m 1 x"])
                .prop_map(str::to_owned),
        ]), 0..60),
    ) {
        let mut transcript = Transcript::new("m", 64);
        for (is_stdout, is_cut, line) in lines {
            let stream = if is_stdout { Stream::Stdout } else { Stream::Stderr };
            if let Some(Progress::Round(round)) = transcript.push(stream, &line, is_cut) {
                prop_assert!(round.stdout.len() <= 64 && round.stderr.len() <= 64);
            }
        }
    }
}

/// The model is held against the CLI itself: what was read from a captured table, printed again, is that table.
#[test]
fn the_model_prints_what_the_cli_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/describe");
    let layouts = [
        ("0.9.0.1", CliVersion::V0_9),
        ("0.10.1.1", CliVersion::V0_10_0),
        ("1.0.2", CliVersion::V0_10_2),
        ("2.2.2", CliVersion::V1_1),
        ("2.6.3", CliVersion::V2_3),
        ("3.4.1", CliVersion::V2_3),
        ("3.7.2", CliVersion::V2_3),
        ("3.9.1", CliVersion::V3_8),
        ("4.1.0", CliVersion::V4_0),
    ];
    let tables = [
        ("mirrormaker", "oasis-group"),
        ("fresh_mirrormaker", "oasis-group"),
        ("member_with_space", "web app"),
        ("short_member", "mm"),
        ("id_of_49", "orders-forty"),
        ("not_ascii", "länge"),
        ("commit_ahead", "ahead-group"),
        ("empty_group", "empty-group"),
        ("group_that_looks_like_a_row", "team blue 7 payments"),
    ];
    let mut compared = 0;
    for (name, version) in layouts {
        for (situation, group) in tables {
            let file = folder.join(format!("{name}_{situation}.txt"));
            let Ok(printed) = fs::read_to_string(&file) else {
                continue;
            };
            let round = round_of(&printed, "");
            let rows: Vec<TableRow> = kafka::read(group, &round)
                .rows
                .iter()
                .map(table_row)
                .collect();
            if rows.is_empty() {
                continue;
            }
            assert_eq!(render(version, group, &rows), printed, "{}", file.display());
            compared += 1;
        }
    }
    assert!(compared >= 50, "only {compared} tables compared");
}

fn table_row(row: &Row<'_>) -> TableRow {
    TableRow {
        topic: row.topic.to_owned(),
        partition: row.partition,
        current_offset: row.current_offset,
        log_end_offset: row.log_end_offset,
        lag: row.lag,
        consumer_id: row.consumer_id.map(str::to_owned),
        consumer_host: row.consumer_host.map(str::to_owned),
        client_id: row.client_id.map(str::to_owned),
    }
}
