use std::num::NonZeroU16;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use ratatui::backend::{CrosstermBackend, TestBackend};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::history::Topics;
use super::look::{Look, cells, wrap};
use super::*;
use crate::kafka::GroupState;
use crate::sample::{Partition, Sample};

const FULL: Look = Look {
    has_color: true,
    has_unicode: true,
};
const ASCII: Look = Look {
    has_color: false,
    has_unicode: false,
};

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

fn at(second: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(second)
}

fn partition(partition: i32, lag: Option<i64>) -> Partition {
    Partition {
        partition,
        lag,
        current_offset: lag.map(|_| 1000),
        log_end_offset: lag.map(|lag| 1000 + lag),
        consumer_id: lag.map(|_| "mirror-0-a1b2".to_owned()),
        consumer_host: lag.map(|_| "/10.0.0.5".to_owned()),
        client_id: lag.map(|_| "mirror-0".to_owned()),
    }
}

fn sample(topic: &str, second: i64, lags: &[Option<i64>]) -> Sample {
    let partitions = (0..).zip(lags).map(|(n, lag)| partition(n, *lag));
    Sample {
        sampled_at: at(second),
        clock_generation: 0,
        topic: topic.to_owned(),
        group: "oasis".to_owned(),
        mirror_host: "east-1".to_owned(),
        cluster: Some("source-a".to_owned()),
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: partitions.collect(),
        round_ms: Some(100),
    }
}

fn failed(topic: &str, second: i64) -> Sample {
    Sample {
        outcome: Outcome::SshError,
        group_state: GroupState::Unknown,
        reason: Some("connection refused by 10.0.0.11:22".to_owned()),
        partitions: Vec::new(),
        mirror_host: "west-2".to_owned(),
        ..sample(topic, second, &[])
    }
}

fn source(name: &str, host: &str, group: &str) -> Source {
    Source {
        name: name.to_owned(),
        mirror_host: host.to_owned(),
        group: group.to_owned(),
        interval: TimeDelta::seconds(1),
        is_healthy: true,
        connected_since: Some(start()),
        last: Some((Outcome::Ok, at(8))),
        reason: None,
        topics: 3,
        rounds: 120,
        skipped: 1,
        timeouts: 2,
        reconnects: 4,
    }
}

fn standing() -> Standing {
    let down = Source {
        is_healthy: false,
        connected_since: None,
        last: Some((Outcome::SshError, at(8))),
        reason: Some("connection refused by 10.0.0.11:22".to_owned()),
        ..source("west-2/oasis", "west-2", "oasis")
    };
    let sink = Sink {
        name: "elasticsearch".to_owned(),
        is_healthy: false,
        position: 900,
        behind: 42,
        behind_for: TimeDelta::seconds(70),
        stored: Some(858),
        phase: Some(Phase::Holding),
        since: Some(start()),
        reason: Some("401: no such user".to_owned()),
    };
    Standing {
        is_alive: true,
        run: "running since 2026-09-21T14:13:20Z, pid 4242".to_owned(),
        journal: "journal /var/lib/mirrorlag/journal.db: 1.5 MiB, 942 records".to_owned(),
        letters: 3,
        sources: vec![source("east-1/oasis", "east-1", "oasis"), down],
        sinks: vec![sink],
        problems: vec![
            "elasticsearch: holds since 70 s: 401; next: mirrorlag check -c a.yaml".to_owned(),
        ],
    }
}

fn watch(look: Look) -> Watch {
    let mut samples = Vec::new();
    for second in 0..9 {
        samples.push(sample("orders", second, &[Some(100 * second), Some(-7)]));
        samples.push(sample("payments", second, &[Some(500), None, Some(150)]));
        samples.push(sample("returns", second, &[Some(0)]));
        samples.push(failed("audit", second));
    }
    let mut watch = Watch::new("mirrorlag watch", look);
    let update = Update {
        samples,
        standing: Some(standing()),
        ..Update::default()
    };
    watch.take(update, at(9));
    watch
}

/// The screen as lines without their blanks at the end.
fn screen(watch: &mut Watch, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let frame = terminal
        .draw(|frame| watch.draw(frame.area(), frame.buffer_mut(), at(9)))
        .unwrap();
    let line = |y: u16| -> String {
        let mut text = String::new();
        let mut x = 0;
        while x < width {
            let symbol = frame.buffer[(x, y)].symbol();
            text.push_str(symbol);
            // The cell behind a wide character is part of it.
            x += u16::try_from(cells(symbol).max(1)).unwrap();
        }
        text.trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

/// The same as a terminal shows it that was sent the bytes of one frame.
fn through_a_terminal(watch: &mut Watch, width: u16, height: u16) -> Vec<String> {
    let mut bytes = Vec::new();
    let options = TerminalOptions {
        viewport: Viewport::Fixed(Rect::new(0, 0, width, height)),
    };
    let backend = CrosstermBackend::new(&mut bytes);
    let mut terminal = Terminal::with_options(backend, options).unwrap();
    terminal
        .draw(|frame| watch.draw(frame.area(), frame.buffer_mut(), at(9)))
        .unwrap();
    drop(terminal);
    let cells = |count| NonZeroU16::new(count).unwrap();
    let mut parser = vt100::Parser::new(cells(height), cells(width), 0);
    parser.process(&bytes);
    let rows = parser.screen().rows(0, width);
    rows.map(|row| row.trim_end().to_owned()).collect()
}

fn press(watch: &mut Watch, keys: &str) {
    for c in keys.chars() {
        let flow = watch.press(KeyEvent::from(code(c)), at(9));
        assert_eq!(flow, Flow::GoOn, "{c}");
    }
}

fn code(c: char) -> KeyCode {
    match c {
        '\n' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        '\t' => KeyCode::Tab,
        '\x08' => KeyCode::Backspace,
        c => KeyCode::Char(c),
    }
}

/// The first words of the rows of a table.
fn names(lines: &[String]) -> Vec<String> {
    let notes = if lines.len() < 16 { 1 } else { 2 };
    let body = &lines[3..lines.len() - 1 - notes];
    let first = |line: &String| line.split_whitespace().next().map(str::to_owned);
    body.iter().filter_map(first).collect()
}

#[test]
fn a_screen_of_80_by_24_has_lag_bar_past_age_and_outcome_of_each_topic() {
    let lines = screen(&mut watch(FULL), 80, 24);
    let expected = "\
mirrorlag watch  4 topics, 1 without numbers                2026-09-21T14:13:29Z
 1 topics  2 hosts  3 sinks  by lag
TOPIC    GROUP HOST       LAG                MAX 1 MINUTE    AGE OUTCOME
orders   oasis east-1     800 ██████    800 (p0)        ▃█    1s ok
payments oasis east-1     650 ████▉     500 (p0)        ██    1s ok
returns  oasis east-1       0             0 (p0)        ▁▁    1s ok
audit    oasis west-2       -                  -              1s ssh_error: con…";
    assert_eq!(lines[..7].join("\n"), expected);
    assert_eq!(
        lines[21..23].join("/"),
        "orders: oasis on east-1 (source-a), 2 partitions, max 800 (p0), group stable,/round 100 ms"
    );
    assert!(lines[23].starts_with("q quit  ? help"), "{lines:#?}");
}

#[test]
fn a_wide_screen_also_has_group_maximum_and_trend() {
    let lines = screen(&mut watch(FULL), 140, 16);
    let expected = "\
TOPIC    GROUP HOST       LAG                      MAX 1 MINUTE                   TREND   AGE OUTCOME
orders   oasis east-1     800 ████████████    800 (p0)                     ▂▅▇█  +100/s    1s ok";
    assert_eq!(lines[2..4].join("\n"), expected);
}

#[test]
fn every_size_down_to_one_cell_is_drawn_without_a_panic_and_below_40_by_10_it_says_so() {
    for look in [FULL, ASCII] {
        let mut watch = watch(look);
        for keys in ["", "?", "?2", "3", "1\n", "\x1b/x"] {
            press(&mut watch, keys);
            for (width, height) in [
                (1, 1),
                (2, 30),
                (39, 10),
                (40, 9),
                (40, 10),
                (57, 12),
                (80, 24),
                (200, 60),
            ] {
                let lines = screen(&mut watch, width, height);
                let is_too_small = width < 40 || height < 10;
                let says_so = lines.join(" ").contains("too small");
                assert_eq!(
                    is_too_small && width > 10,
                    says_so,
                    "{width}x{height}: {lines:#?}"
                );
            }
        }
    }
    let lines = screen(&mut watch(FULL), 40, 10);
    assert_eq!(names(&lines), ["orders", "payments", "returns", "audit"]);
    assert!(
        lines[3].contains("800") && lines[3].contains("ok"),
        "{lines:#?}"
    );
    assert!(lines[6].contains(" - "), "{lines:#?}");
}

#[test]
fn an_unknown_lag_is_a_dash_and_never_zero() {
    let mut watch = watch(FULL);
    press(&mut watch, "j\n");
    let lines = screen(&mut watch, 100, 24);
    assert_eq!(
        lines[1],
        " 1 topics  2 hosts  3 sinks  partitions of payments"
    );
    let rows: Vec<Vec<&str>> = lines[3..6]
        .iter()
        .map(|line| {
            line.split_whitespace()
                .filter(|it| !it.starts_with('█'))
                .collect()
        })
        .collect();
    assert_eq!(rows[0][..4], ["0", "500", "1000", "1500"], "{lines:#?}");
    assert_eq!(rows[1], ["1", "-", "-", "-", "-", "-", "-"], "{lines:#?}");
    assert_eq!(rows[2][..2], ["2", "150"], "{lines:#?}");
    // By lag the unknown is last, whichever way round.
    for keys in ["s", "r"] {
        press(&mut watch, keys);
        let lines = screen(&mut watch, 100, 24);
        assert!(lines[5].trim_start().starts_with("1 "), "{lines:#?}");
    }
    press(&mut watch, "\x1b");
    assert!(screen(&mut watch, 100, 24)[1].ends_with("by lag"));
}

#[test]
fn a_topic_without_numbers_has_its_reason_where_its_partitions_would_be() {
    let mut watch = watch(FULL);
    press(&mut watch, "G\n");
    let lines = screen(&mut watch, 80, 24);
    assert_eq!(lines[2], "ssh_error: connection refused by 10.0.0.11:22");
}

#[test]
fn topics_are_sorted_by_lag_name_age_outcome_and_host_and_each_the_other_way_round() {
    let mut watch = watch(FULL);
    let late = Update {
        samples: vec![sample("returns", 20, &[Some(1)])],
        ..Update::default()
    };
    watch.take(late, at(20));
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(names(&screen(&mut watch, 80, 24)).join(" "));
        press(&mut watch, "r");
        orders.push(names(&screen(&mut watch, 80, 24)).join(" "));
        press(&mut watch, "rs");
    }
    assert_eq!(
        orders,
        [
            "orders payments returns audit",
            "returns payments orders audit",
            "audit orders payments returns",
            "returns payments orders audit",
            "audit orders payments returns",
            "returns audit orders payments",
            "audit orders payments returns",
            "orders payments returns audit",
            "orders payments returns audit",
            "audit orders payments returns",
        ]
    );
}

#[test]
fn the_filter_looks_into_topic_group_host_and_cluster_and_escape_clears_it() {
    let mut watch = watch(FULL);
    for (filter, left) in [
        ("ORD", "orders"),
        ("west", "audit"),
        ("oasis ret", "returns"),
        ("source-a pay", "payments"),
    ] {
        press(&mut watch, &format!("/{filter}"));
        let lines = screen(&mut watch, 80, 24);
        assert_eq!(names(&lines), [left], "{lines:#?}");
        assert!(
            lines[1].ends_with(&format!("filter: {filter}_")),
            "{lines:#?}"
        );
        press(&mut watch, "\n");
        assert_eq!(names(&screen(&mut watch, 80, 24)), [left]);
        press(&mut watch, "\x1b");
        assert_eq!(names(&screen(&mut watch, 80, 24)).len(), 4);
    }
    // q and s are letters of a name there.
    press(&mut watch, "/qs\x08\x08pj");
    assert!(screen(&mut watch, 80, 24)[2].contains("no topic matches"));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(watch.press(interrupt, at(9)), Flow::Quit);
}

#[test]
fn the_chosen_topic_stays_chosen_while_others_overtake_it() {
    let mut watch = watch(FULL);
    press(&mut watch, "j");
    let overtaken = Update {
        samples: vec![sample("returns", 9, &[Some(99_999)])],
        ..Update::default()
    };
    watch.take(overtaken, at(9));
    let lines = screen(&mut watch, 80, 24);
    assert_eq!(names(&lines), ["returns", "orders", "payments", "audit"]);
    assert!(lines[21].starts_with("payments: "), "{lines:#?}");
    press(&mut watch, "\n");
    assert!(screen(&mut watch, 80, 24)[1].ends_with("partitions of payments"));
}

#[test]
fn a_page_of_many_topics_scrolls_and_keeps_the_chosen_one_in_sight() {
    let mut watch = Watch::new("mirrorlag watch", FULL);
    let samples = (0..100).map(|n| sample(&format!("topic-{n:03}"), 8, &[Some(1000 - n)]));
    let update = Update {
        samples: samples.collect(),
        ..Update::default()
    };
    watch.take(update, at(9));
    let shown = |watch: &mut Watch| names(&screen(watch, 80, 12));
    // Title, tabs, titles of columns, one line about the chosen topic, keys.
    assert_eq!(shown(&mut watch).len(), 7);
    for (key, first, last) in [
        (KeyCode::PageDown, "topic-000", "topic-006"),
        (KeyCode::PageDown, "topic-006", "topic-012"),
        (KeyCode::Down, "topic-007", "topic-013"),
        (KeyCode::End, "topic-093", "topic-099"),
        (KeyCode::Up, "topic-093", "topic-099"),
        (KeyCode::PageUp, "topic-092", "topic-098"),
        (KeyCode::Home, "topic-000", "topic-006"),
    ] {
        watch.press(KeyEvent::from(key), at(9));
        let names = shown(&mut watch);
        assert_eq!(
            (names[0].as_str(), names[6].as_str()),
            (first, last),
            "{key:?}"
        );
    }
}

#[test]
fn the_hosts_have_connection_outcome_rounds_skips_timeouts_and_reconnects() {
    let mut watch = watch(FULL);
    press(&mut watch, "2");
    let lines = screen(&mut watch, 120, 24);
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(&lines[2]),
        [
            "SOURCE",
            "CONNECTED",
            "OUTCOME",
            "AGE",
            "TOPICS",
            "ROUNDS",
            "SKIPPED",
            "TIMEOUTS",
            "RECONNECTS"
        ]
    );
    assert_eq!(
        words(&lines[3]),
        ["east-1/oasis", "9s", "ok", "1s", "3", "120", "1", "2", "4"]
    );
    assert_eq!(
        words(&lines[4])[..5],
        ["!", "west-2/oasis", "no", "ssh_error", "1s"]
    );
    press(&mut watch, "j");
    let text = screen(&mut watch, 120, 24).join(" ");
    assert!(
        text.contains("4 reconnects; connection refused by 10.0.0.11:22"),
        "{text}"
    );
    let narrow = screen(&mut watch, 40, 10);
    assert!(narrow[4].starts_with("! west-2/oasis"), "{narrow:#?}");
}

#[test]
fn the_sinks_have_position_backlog_why_they_hold_dead_letters_and_the_mends() {
    let mut watch = watch(FULL);
    press(&mut watch, "3");
    let lines = screen(&mut watch, 100, 24);
    let text = lines.join("\n");
    let row: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(
        row,
        [
            "!",
            "elasticsearch",
            "900",
            "42",
            "1m10s",
            "858",
            "holding",
            "for",
            "9s"
        ]
    );
    for words in [
        "elasticsearch: 401: no such user",
        "3 dead letters",
        "1 problem:",
        "next: mirrorlag check -c a.yaml",
        "pid 4242",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    // What does not fit can be scrolled to.
    let found = (0..20).any(|_| {
        press(&mut watch, "j");
        screen(&mut watch, 40, 10)
            .join(" ")
            .contains("check -c a.yaml")
    });
    assert!(found);
}

#[test]
fn what_is_older_than_three_intervals_is_stale_in_words() {
    let mut watch = watch(FULL);
    // An interval of 1 s was said; a round took 100 ms.
    let update = Update {
        samples: vec![sample("orders", 11, &[Some(5)])],
        ..Update::default()
    };
    watch.take(update, at(11));
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut draw = |now| {
        let frame = terminal.draw(|frame| watch.draw(frame.area(), frame.buffer_mut(), now));
        frame.unwrap().buffer.clone()
    };
    let text = |buffer: &ratatui::buffer::Buffer| -> String {
        buffer.content().iter().map(|cell| cell.symbol()).collect()
    };
    assert!(!text(&draw(at(11))).contains("stale, ok"));
    let later = draw(DateTime::from_timestamp_millis(at(11).timestamp_millis() + 200).unwrap());
    assert!(text(&later).contains("3 stale"), "{}", text(&later));
    assert_eq!(text(&later).matches("stale, ok").count(), 2);
    let y = (3..7).find(|y| later[(0, *y)].symbol() == "p").unwrap();
    assert!(later[(0, y)].modifier.contains(Modifier::DIM));
}

#[test]
fn a_topic_that_is_gone_leaves_when_others_have_gone_on_for_long_or_nobody_asks_for_it() {
    let mut watch = watch(FULL);
    let mut standing = standing();
    standing.sources.pop();
    let left_out = Update {
        samples: vec![sample("orders", 12, &[Some(5)])],
        standing: Some(standing),
        ..Update::default()
    };
    watch.take(left_out, at(12));
    // west-2 is not asked any more, and its last sample is older than three of the intervals that it had.
    assert_eq!(
        names(&screen(&mut watch, 80, 24)),
        ["payments", "orders", "returns"]
    );
    let later = Update {
        samples: vec![sample("orders", 8 + 901, &[Some(5)])],
        ..Update::default()
    };
    watch.take(later, at(909));
    assert_eq!(names(&screen(&mut watch, 80, 24)), ["orders"]);
}

#[test]
fn topics_stay_when_everything_stands_still() {
    let mut watch = watch(FULL);
    let silence = Update {
        trouble: Some("journal /j.db: there is none".to_owned()),
        ..Update::default()
    };
    watch.take(silence, at(7200));
    let lines = screen(&mut watch, 80, 24);
    assert_eq!(names(&lines).len(), 4);
    assert!(
        lines[21].starts_with("journal /j.db: there is none"),
        "{lines:#?}"
    );
    let again = Update {
        samples: vec![sample("orders", 8, &[Some(1)])],
        is_another: true,
        ..Update::default()
    };
    watch.take(again, at(7201));
    let lines = screen(&mut watch, 80, 24);
    assert_eq!(names(&lines), ["orders"]);
    assert!(!lines.join(" ").contains("there is none"));
}

#[test]
fn the_star_of_a_source_that_knew_no_topic_leaves_with_its_first_topic() {
    let mut topics = Topics::default();
    topics.push(failed("*", 1));
    assert_eq!(topics.iter().count(), 1);
    topics.push(failed("audit", 2));
    let names: Vec<&str> = topics.iter().map(|(key, _)| key.topic.as_str()).collect();
    assert_eq!(names, ["audit"]);
}

#[test]
fn a_pause_keeps_the_picture_and_loses_nothing() {
    let mut watch = watch(FULL);
    press(&mut watch, "p");
    let before = screen(&mut watch, 80, 24);
    assert!(
        before[0].starts_with("mirrorlag watch PAUSED  4 topics"),
        "{before:#?}"
    );
    let update = Update {
        samples: vec![sample("new", 9, &[Some(5_000)])],
        ..Update::default()
    };
    watch.take(update, at(9));
    assert_eq!(screen(&mut watch, 80, 24), before);
    press(&mut watch, "p");
    assert_eq!(names(&screen(&mut watch, 80, 24))[0], "new");
}

#[test]
fn help_names_the_keys_and_any_key_leaves_it() {
    let mut watch = watch(FULL);
    press(&mut watch, "?");
    let text = screen(&mut watch, 80, 24).join("\n");
    for key in [
        "Tab",
        "PgUp",
        "Enter",
        "Esc",
        "Ctrl-Z",
        "q  Ctrl-C",
        "filter by topic",
    ] {
        assert!(text.contains(key), "{key} in {text}");
    }
    press(&mut watch, "2");
    assert!(screen(&mut watch, 80, 24)[2].contains("SOURCE"));
    assert_eq!(
        watch.press(KeyEvent::from(KeyCode::Char('q')), at(9)),
        Flow::Quit
    );
}

#[test]
fn without_colour_no_cell_has_one_and_in_ascii_no_cell_is_anything_else() {
    let mut watch = watch(ASCII);
    for keys in ["", "\n", "\x1b2", "3", "?"] {
        press(&mut watch, keys);
        let mut terminal = Terminal::new(TestBackend::new(100, 24)).unwrap();
        let frame = terminal.draw(|frame| watch.draw(frame.area(), frame.buffer_mut(), at(9)));
        for cell in frame.unwrap().buffer.content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
            assert!(cell.symbol().is_ascii(), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn wide_characters_take_two_cells_and_no_name_can_break_the_screen() {
    let mut watch = Watch::new("mirrorlag watch", FULL);
    let names = [
        "注文",
        "a\u{200b}b\u{202e}c",
        "red\u{1b}[31m\u{7}\r\n",
        "e\u{301}te\u{301}",
        "👍\u{1f3fd}ok",
        "x",
    ];
    let lags = (0..).map(|n| 60 - 10 * n);
    let samples = names
        .iter()
        .zip(lags)
        .map(|(name, lag)| sample(name, 8, &[Some(lag)]));
    let update = Update {
        samples: samples.collect(),
        ..Update::default()
    };
    watch.take(update, at(9));
    let lines = screen(&mut watch, 80, 24);
    assert_eq!(through_a_terminal(&mut watch, 80, 24), lines);
    // Each host begins in the same column.
    let column = lines[2].find("HOST").unwrap();
    for line in &lines[3..9] {
        let before: usize = cells(line.split("east-1").next().unwrap());
        assert_eq!(before, column, "{lines:#?}");
    }
    let begin = ["注文 ", "abc ", "red [31m ", "ete ", "👍ok ", "x "];
    for (line, begin) in lines[3..].iter().zip(begin) {
        assert!(
            line.starts_with(begin),
            "{line:?} does not start with {begin:?}"
        );
    }
    let mut watch = Watch::new("mirrorlag watch", ASCII);
    let update = Update {
        samples: vec![sample("注文", 8, &[Some(5)])],
        ..Update::default()
    };
    watch.take(update, at(9));
    assert!(screen(&mut watch, 80, 24)[3].starts_with("???? "));
    // Half of a wide character is never shown.
    assert_eq!(FULL.cut("注文注文", 4), "注…");
    assert_eq!(FULL.cut("注文注文", 6), "注文…");
}

#[test]
fn a_bar_has_the_share_of_the_largest_lag_and_shows_also_one_record() {
    assert_eq!(FULL.bar(0, 100, 10), "");
    assert_eq!(FULL.bar(-5, 100, 10), "");
    assert_eq!(FULL.bar(1, 1_000_000, 10), "▏");
    assert_eq!(FULL.bar(50, 100, 10), "█████");
    assert_eq!(FULL.bar(100, 100, 10), "██████████");
    assert_eq!(ASCII.bar(1, 1_000_000, 10), "#");
    assert_eq!(ASCII.bar(50, 100, 10), "#####");
}

#[test]
fn a_sparkline_has_a_gap_for_the_unknown_and_its_lowest_mark_for_zero() {
    let values = [Some(0), None, Some(1), Some(50), Some(100)];
    assert_eq!(FULL.sparkline(&values), "▁ ▂▅█");
    assert_eq!(ASCII.sparkline(&values), "_ .=#");
}

#[test]
fn the_past_holds_a_lag_until_the_next_sample_and_not_longer_than_three_intervals() {
    let mut topics = Topics::default();
    for second in (0..=120).step_by(10) {
        let lag = (second != 60).then_some(second);
        topics.push(sample("orders", second, &[lag]));
    }
    let (_, topic) = topics.iter().next().unwrap();
    assert_eq!(topics.past(at(121)), TimeDelta::minutes(5));
    assert_eq!(topics.past(at(119)), TimeDelta::minutes(2));
    // Parts of 5 s: every second one has no sample of its own.
    let lags = topic.lags(at(120), TimeDelta::minutes(1), 12);
    let expected = [
        None,
        Some(70),
        Some(70),
        Some(80),
        Some(80),
        Some(90),
        Some(90),
        Some(100),
    ];
    assert_eq!(lags[..8], expected);
    let later = topic.lags(at(180), TimeDelta::minutes(1), 6);
    assert_eq!(later, [Some(120), Some(120), Some(120), None, None, None]);
}

#[test]
fn the_sawtooth_of_commits_is_no_trend_and_a_slow_steady_growth_is_one() {
    let mut topics = Topics::default();
    for second in 0..11 {
        topics.push(sample("sawtooth", second, &[Some(40 + 200 * (second % 3))]));
        topics.push(sample("growing", second, &[Some(10_000 + 50 * second)]));
        topics.push(sample("still", second, &[Some(700)]));
    }
    topics.push(sample("new", 10, &[Some(5)]));
    let trends: Vec<String> = topics
        .iter()
        .map(|(_, topic)| topic.trend().word())
        .collect();
    assert_eq!(trends, ["+50/s", "-", "steady", "steady"]);
    topics.push(failed("growing", 11));
    topics.push(sample("still", 11, &[None]));
    assert!(
        topics
            .iter()
            .all(|(key, it)| key.topic != "still" || it.trend().word() == "-")
    );
}

#[test]
fn a_clock_that_was_set_back_is_followed() {
    let mut topics = Topics::default();
    for second in [100, 101, 102, 50, 51] {
        topics.push(sample("orders", second, &[Some(second)]));
    }
    let (_, topic) = topics.iter().next().unwrap();
    assert_eq!(topic.latest().lag_total(), Some(51));
    assert_eq!(topic.lags(at(51), TimeDelta::minutes(1), 6)[5], Some(51));
}

#[test]
fn a_text_is_broken_at_blanks_and_its_last_line_is_cut() {
    let lines = wrap(FULL, "one two three four five", 9, 2);
    assert_eq!(lines, ["one two", "three fo…"]);
    assert_eq!(wrap(FULL, "", 9, 2), Vec::<String>::new());
    assert_eq!(
        wrap(FULL, "unbreakable-word then", 9, 3),
        ["unbreaka…", "then"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_name_reason_or_number_breaks_a_screen_of_any_size(
        names in proptest::collection::vec(".{0,30}", 1..6), reason in ".{0,80}", keys in "[1230sr/?jkGgpa\\n\\x1b\t ]{0,12}",
        lags in proptest::collection::vec(any::<Option<i64>>(), 0..6),
        width in 1_u16..160, height in 1_u16..50, has_unicode in any::<bool>(),
    ) {
        let mut watch = Watch::new("mirrorlag watch", Look { has_color: true, has_unicode });
        let samples = names.iter().map(|name| Sample {
            group: name.chars().rev().collect(),
            reason: Some(reason.clone()),
            ..sample(name, 8, &lags)
        });
        let update = Update { samples: samples.collect(), standing: Some(standing()), ..Update::default() };
        watch.take(update, at(9));
        for key in keys.chars() {
            watch.press(KeyEvent::from(code(key)), at(9));
            let lines = screen(&mut watch, width, height);
            prop_assert!(lines.iter().all(|line| !line.contains(char::is_control)));
            prop_assert!(has_unicode || lines.iter().all(|line| line.is_ascii()));
        }
    }
}
