//! In: samples as time goes by. Out: what is stale, gone, kept; the past and its trend.

use super::*;

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
