use chrono::{DateTime, TimeDelta, Utc};
use unicode_width::UnicodeWidthStr;

use super::{age, render};
use crate::kafka::{GroupState, Outcome};
use crate::sample::{Partition, Sample};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

fn sample(topic: &str, lags: &[Option<i64>]) -> Sample {
    Sample {
        sampled_at: now() - TimeDelta::seconds(3),
        clock_generation: 0,
        topic: topic.to_owned(),
        group: "oasis-group".to_owned(),
        mirror_host: "mm-1".to_owned(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: lags
            .iter()
            .zip(0..)
            .map(|(lag, partition)| Partition {
                partition,
                lag: *lag,
                current_offset: None,
                log_end_offset: None,
                consumer_id: None,
                consumer_host: None,
                client_id: None,
            })
            .collect(),
        round_ms: Some(700),
    }
}

fn failed(topic: &str, outcome: Outcome, reason: &str) -> Sample {
    Sample {
        outcome,
        group_state: GroupState::Unknown,
        reason: Some(reason.to_owned()),
        ..sample(topic, &[])
    }
}

fn samples() -> Vec<Sample> {
    let mut samples = vec![
        failed(
            "audit",
            Outcome::GroupMissing,
            "Consumer group 'oasis-group' does not exist.",
        ),
        sample("orders", &[Some(12), Some(0), None, Some(-70)]),
        sample("payments", &[Some(8_000_000), Some(123_456)]),
    ];
    let mut rebalancing = sample("returns", &[Some(0)]);
    rebalancing.group_state = GroupState::Rebalancing;
    samples.push(rebalancing);
    samples
}

#[test]
fn the_table_is_sorted_by_lag_and_says_why_a_topic_has_no_numbers() {
    let text = render(&samples(), now(), 120, false);
    let expected = "\
TOPIC     GROUP        HOST  PARTITIONS  LAG TOTAL       LAG MAX  OUTCOME          AGE
payments  oasis-group  mm-1           2    8123456  8000000 (p0)  ok                3s
orders    oasis-group  mm-1      4 (1?)         12       12 (p0)  ok                3s
returns   oasis-group  mm-1           1          0        0 (p0)  ok, rebalancing   3s
audit     oasis-group  mm-1           -          -             -  group_missing     3s
    Consumer group 'oasis-group' does not exist.
";
    assert_eq!(text, expected);
}

#[test]
fn a_narrow_terminal_gets_short_titles_and_cut_names() {
    let mut samples = samples();
    samples[1].topic = "a-topic-with-a-very-long-name".to_owned();
    samples[0].reason = Some("x".repeat(200));
    let text = render(&samples, now(), 80, false);
    let expected = "\
TOPIC       GROUP      HOST    PART      LAG           MAX  OUTCOME          AGE
payments    oasis-gr…  mm-1       2  8123456  8000000 (p0)  ok                3s
a-topic-w…  oasis-gr…  mm-1  4 (1?)       12       12 (p0)  ok                3s
returns     oasis-gr…  mm-1       1        0        0 (p0)  ok, rebalancing   3s
audit       oasis-gr…  mm-1       -        -             -  group_missing     3s
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("xxx…\n"), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal_whatever_the_names() {
    let mut samples = samples();
    samples[1].group = "漢字グループ名".repeat(8);
    samples[2].mirror_host = "a.very.long.name.of.a.host.example.org".to_owned();
    for width in [1, 10, 40, 64, 80, 81, 100, 200, usize::MAX] {
        for line in render(&samples, now(), width, false).lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn what_a_host_printed_cannot_move_the_cursor() {
    let samples = [failed(
        "t\u{1b}[2J",
        Outcome::CliError,
        "Error: \u{1b}]0;title\u{7}\u{9b}1A\r\nx",
    )];
    let text = render(&samples, now(), 100, false);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.chars().all(|c| c == '\n' || !c.is_control()),
        "{text:?}"
    );
}

#[test]
fn colour_says_the_outcome_and_changes_no_width() {
    let plain = render(&samples(), now(), 100, false);
    let coloured = render(&samples(), now(), 100, true);
    assert!(coloured.contains("\u{1b}[31mgroup_missing\u{1b}[0m"));
    assert!(coloured.contains("\u{1b}[32mok\u{1b}[0m"));
    assert!(coloured.contains("\u{1b}[33mok, rebalancing\u{1b}[0m"));
    let escapes = regex::Regex::new("\u{1b}\\[[0-9]*m").unwrap();
    assert_eq!(escapes.replace_all(&coloured, ""), plain);
}

#[test]
fn an_age_has_at_most_two_units_and_is_never_negative() {
    let seconds = [-5, 0, 59, 60, 3_661, 90_000].map(|s| age(TimeDelta::seconds(s)));
    assert_eq!(seconds, ["0s", "0s", "59s", "1m00s", "1h01m", "1d01h"]);
}

#[test]
fn no_samples_is_said() {
    assert_eq!(render(&[], now(), 80, false), "no samples\n");
}
