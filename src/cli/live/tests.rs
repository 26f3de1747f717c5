use chrono::{DateTime, TimeDelta, Utc};
use unicode_width::UnicodeWidthStr;

use super::{Live, bar};
use crate::kafka::{GroupState, Outcome};
use crate::sample::{Partition, Sample};

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

fn sample(topic: &str, second: i64, lag: Option<i64>) -> Sample {
    let partition = Partition {
        partition: 0,
        lag,
        current_offset: None,
        log_end_offset: None,
        consumer_id: None,
        consumer_host: None,
        client_id: None,
    };
    Sample {
        sampled_at: start() + TimeDelta::seconds(second),
        clock_generation: 0,
        topic: topic.to_owned(),
        group: "oasis".to_owned(),
        mirror_host: "east-1".to_owned(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: vec![partition],
        round_ms: Some(100),
    }
}

fn failed(topic: &str, second: i64) -> Sample {
    Sample {
        outcome: Outcome::SshError,
        group_state: GroupState::Unknown,
        reason: Some("the connection was lost".to_owned()),
        partitions: Vec::new(),
        ..sample(topic, second, None)
    }
}

fn live() -> Live {
    let mut live = Live::default();
    for second in 0..8 {
        live.push(sample("orders", second, Some(100 * second)));
        live.push(sample("payments", second, Some(1000 - 50 * second)));
        live.push(sample("returns", second, Some(second % 2)));
    }
    live.push(failed("audit", 7));
    live
}

fn screen(live: &Live, width: usize, height: usize) -> Vec<String> {
    let now = start() + TimeDelta::seconds(9);
    let footer = ["9s, 25 documents".to_owned(), "Ctrl-C ends".to_owned()];
    live.screen("mirrorlag demo", &footer, now, (width, height), false)
}

#[test]
fn a_wide_screen_shows_bar_and_trend() {
    let expected = "\
mirrorlag demo

TOPIC     GROUP  HOST    PARTITIONS  LAG TOTAL              TREND      LAG MAX  OUTCOME    AGE
orders    oasis  east-1           1        700  ██████████  ▲ +100/s  700 (p0)  ok          2s
payments  oasis  east-1           1        650  █████████▎  ▼ -50/s   650 (p0)  ok          2s
returns   oasis  east-1           1          1  ▏           steady      1 (p0)  ok          2s
audit     oasis  east-1           -          -              -                -  ssh_error   2s
    the connection was lost

9s, 25 documents
Ctrl-C ends";
    assert_eq!(screen(&live(), 110, 24).join("\n"), expected);
}

#[test]
fn a_screen_of_80_by_24_has_every_column_but_the_bar_and_of_the_trend_the_sign() {
    let lines = screen(&live(), 80, 24);
    assert_eq!(
        lines[3],
        "orders    oasis  east-1           1        700  ▲  700 (p0)  ok          2s"
    );
}

#[test]
fn a_screen_never_outgrows_the_terminal() {
    let mut live = live();
    for number in 0..40 {
        live.push(failed(&format!("topic-number-{number}"), 8));
    }
    for (width, height) in [(1, 1), (20, 5), (80, 24), (80, 10), (200, 60)] {
        let lines = screen(&live, width, height);
        assert!(lines.len() <= height, "{height}: {}", lines.len());
        assert!(
            lines.iter().all(|line| line.width() <= width),
            "{width}: {lines:#?}"
        );
    }
    let lines = screen(&live, 80, 24);
    assert!(
        lines.iter().any(|l| l.starts_with("… 27 more topics")),
        "{lines:#?}"
    );
    assert_eq!(lines.last().unwrap(), "Ctrl-C ends");
}

#[test]
fn an_older_sample_does_not_replace_a_newer_one_and_unknown_lag_has_no_trend() {
    let mut live = live();
    live.push(sample("orders", 3, Some(5)));
    let now = start() + TimeDelta::seconds(9);
    assert!(live.plain(now).contains("topic=orders group=oasis mirror_host=east-1 partitions=1 lag_total=700 lag_max=700 trend=+100/s outcome=ok group_state=stable age=2s\n"));
    live.push(sample("orders", 9, None));
    assert!(
        live.plain(now)
            .contains("lag_total=- lag_max=- trend=- outcome=ok")
    );
}

#[test]
fn the_sawtooth_of_commits_is_no_trend_and_a_slow_steady_growth_is_one() {
    let mut live = Live::default();
    for second in 0..11 {
        live.push(sample("sawtooth", second, Some(40 + 200 * (second % 3))));
        live.push(sample("growing", second, Some(10_000 + 50 * second)));
        live.push(sample("still", second, Some(700)));
    }
    live.push(sample("new", 10, Some(5)));
    let text = live.plain(start() + TimeDelta::seconds(11));
    let trends: Vec<&str> = text
        .split(' ')
        .filter(|w| w.starts_with("trend="))
        .collect();
    assert_eq!(
        trends,
        ["trend=+50/s", "trend=-", "trend=steady", "trend=steady"]
    );
}

#[test]
fn a_pipe_gets_one_line_per_topic() {
    let text = live().plain(start() + TimeDelta::seconds(9));
    assert_eq!(text.lines().count(), 4);
    assert!(
        text.lines().all(|line| line.starts_with("14:13:27 topic=")),
        "{text}"
    );
}

#[test]
fn a_bar_has_the_share_of_the_largest_lag_and_shows_also_one_record() {
    assert_eq!(bar(0, 100).trim_end(), "");
    assert_eq!(bar(1, 1_000_000).trim_end(), "▏");
    assert_eq!(bar(50, 100).trim_end(), "█████");
    assert_eq!(bar(100, 100), "██████████");
}
