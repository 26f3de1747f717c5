//! In: samples and how a run stands. Out: what each page shows of them, at every size.

use super::*;

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
