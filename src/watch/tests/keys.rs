//! In: keys. Out: what is sorted, chosen, filtered, held.

use super::*;

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
