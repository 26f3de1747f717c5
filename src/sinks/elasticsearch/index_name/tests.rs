use proptest::prelude::*;

use super::*;

fn name(text: &str) -> IndexName {
    text.parse().unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_name_without_a_date_is_one_index_for_all_time() {
    let name = name("consumer_lag");
    assert_eq!(name.at(instant("2026-11-20T10:00:00Z")), "consumer_lag");
    assert_eq!(name.pattern(), "consumer_lag");
    assert_eq!(name.period(), None);
    assert_eq!(name.range_of("consumer_lag"), None);
}

#[test]
fn the_date_is_that_of_the_instant_in_utc_to_its_last_millisecond() {
    let last = instant("2026-10-31T23:59:59.999Z");
    let first = instant("2026-11-01T00:00:00Z");
    let months = name("consumer_lag-%Y.%m");
    assert_eq!(months.at(last), "consumer_lag-2026.10");
    assert_eq!(months.at(first), "consumer_lag-2026.11");
    assert_eq!(name("lag-%Y").at(last), "lag-2026");
    assert_eq!(name("lag-%Y%m%d-eu").at(first), "lag-20261101-eu");
    // A zone's midnight is not that of the date.
    let there: DateTime<Utc> = instant("2026-11-01T00:30:00+01:00");
    assert_eq!(months.at(there), "consumer_lag-2026.10");
}

#[test]
fn the_wildcard_takes_in_no_neighbour() {
    assert_eq!(name("consumer_lag-%Y.%m").pattern(), "consumer_lag-*.*");
    assert_eq!(name("lag-%Y%m%d-eu").pattern(), "lag-*-eu");
    let matches = |pattern: &str, index: &str| wildcards_meet(pattern, index);
    for neighbour in [
        "consumer_lag",
        "consumer_lag_old",
        "consumer_lag_partitions-2026.11",
        "consumer_lag_before_migration",
    ] {
        assert!(!matches("consumer_lag-*.*", neighbour), "{neighbour}");
    }
    assert!(matches("consumer_lag-*.*", "consumer_lag-2026.11"));
}

#[test]
fn only_a_name_that_we_give_is_read_back() {
    let days = name("consumer_lag-%Y.%m.%d");
    let range = days.range_of("consumer_lag-2024.02.29").unwrap();
    assert_eq!(range.0, instant("2024-02-29T00:00:00Z"));
    assert_eq!(range.1, instant("2024-03-01T00:00:00Z"));
    let year = name("lag-%Y").range_of("lag-2026").unwrap();
    assert_eq!(year.1 - year.0, chrono::TimeDelta::days(365));
    for foreign in [
        "consumer_lag-2023.02.29",
        "consumer_lag-2024.2.29",
        "consumer_lag-2024.02.29-000001",
        "consumer_lag-2024.02",
        "consumer_lag-2024.13.01",
        "consumer_lag-+024.02.01",
        "consumer_lag-２024.02.01",
        "xconsumer_lag-2024.02.01",
        "consumer_lag-2024_02_01",
        "consumer_lag-",
        "consumer_lag",
        "",
    ] {
        assert_eq!(days.range_of(foreign), None, "{foreign}");
    }
}

#[test]
fn a_year_of_five_digits_is_written_and_never_pruned_by_mistake() {
    let far = DateTime::from_timestamp(253_402_300_800, 0).unwrap();
    let years = name("lag-%Y");
    assert_eq!(years.at(far), "lag-10000");
    assert_eq!(years.range_of("lag-10000"), None);
}

#[test]
fn a_bad_date_says_what_is_wrong_and_what_to_write() {
    let message = |text: &str| text.parse::<IndexName>().unwrap_err().to_string();
    let alone = "use %Y, %m and %d alone: year, month and day of @timestamp in UTC";
    assert_eq!(
        message("lag-%y"),
        format!("\"lag-%y\" has %y in it; {alone}")
    );
    assert_eq!(message("lag-%"), format!("\"lag-%\" has % in it; {alone}"));
    assert_eq!(message("lag%%"), format!("\"lag%%\" has % in it; {alone}"));
    let order = "write %Y, %Y.%m or %Y.%m.%d: the year first, each once";
    for (text, part) in [
        ("lag-%m", "%m"),
        ("lag-%m.%Y", "%m"),
        ("lag-%Y.%d", "%d"),
        ("lag-%Y.%Y", "%Y"),
        ("lag-%Y.%m.%d.%d", "%d"),
    ] {
        let expected = format!("{text:?} has {part} where it cannot stand; {order}");
        assert_eq!(message(text), expected);
    }
    for text in ["%Y", "-%Y", "lag%Y", "lag_%Y.%m"] {
        let expected = format!(
            "{text:?} needs a name and '-' before its date; write it as in consumer_lag-%Y.%m"
        );
        assert_eq!(message(text), expected);
    }
}

#[test]
fn the_index_of_partitions_takes_its_name_from_the_other() {
    let partitions = |text: &str| name(text).with_suffix("_partitions").to_string();
    assert_eq!(partitions("consumer_lag"), "consumer_lag_partitions");
    assert_eq!(
        partitions("consumer_lag-%Y.%m"),
        "consumer_lag_partitions-%Y.%m"
    );
    assert_eq!(partitions("lag-%Y-eu"), "lag_partitions-%Y-eu");
    assert_eq!(partitions("lag-"), "lag-_partitions");
    assert_eq!(
        name("consumer_lag-%Y.%m").without_date(),
        name("consumer_lag")
    );
}

#[test]
fn names_that_one_index_could_bear_meet() {
    let meets = |one: &str, other: &str| {
        let (one, other) = (name(one), name(other));
        assert_eq!(one.meets(&other), other.meets(&one));
        one.meets(&other)
    };
    assert!(meets("lag", "lag"));
    assert!(meets("lag-%Y", "lag-partitions"));
    assert!(meets("lag-%Y", "lag-partitions-%Y"));
    assert!(meets("lag-%Y", "lag-%Y.%m"));
    assert!(meets("lag", "lag-%Y"));
    assert!(meets("lag", "lag-partitions"));
    assert!(meets("a-%Y-x", "a-b-%Y"));
    assert!(!meets("lag", "lag_partitions"));
    assert!(!meets("lag-%Y.%m", "lag_partitions-%Y.%m"));
    assert!(!meets("lag-%Y-x", "lag-%Y-y"));
}

/// Names that can be written, dated or not.
fn names() -> impl Strategy<Value = String> {
    let text = "[a-z0-9._-]{0,4}";
    let date = (1..4_usize, text, text, text).prop_map(|(parts, a, b, c)| {
        let all = [("%Y", a), ("%m", b), ("%d", c)];
        let parts = all.iter().take(parts);
        parts.map(|(part, text)| format!("{part}{text}")).collect()
    });
    let date = prop_oneof![
        Just(String::new()),
        date.prop_map(|it: String| format!("-{it}"))
    ];
    ("[a-z][a-z0-9._-]{0,12}", date).prop_map(|(stem, date)| stem + &date)
}

proptest! {
    #[test]
    fn a_name_is_shown_as_it_was_written(text in names()) {
        prop_assert_eq!(name(&text).to_string(), text);
    }

    #[test]
    fn every_index_is_found_by_its_wildcard_and_read_back_to_its_time(
        text in names(),
        seconds in -62_135_596_800_i64..253_402_300_800,
    ) {
        let name = name(&text);
        let instant = DateTime::from_timestamp(seconds, 0).unwrap();
        let index = name.at(instant);
        prop_assert!(wildcards_meet(&name.pattern(), &index));
        match name.range_of(&index) {
            None => prop_assert_eq!(name.period(), None),
            Some((start, end)) => {
                prop_assert!(start <= instant && instant < end);
                prop_assert_eq!(name.at(start), index.clone());
                prop_assert_ne!(name.at(end), index);
            }
        }
    }

    #[test]
    fn what_is_read_back_is_a_name_that_we_give(text in names(), index in "[a-z]{1,3}-[0-9.]{4,10}") {
        if let Some((start, _)) = name(&text).range_of(&index) {
            prop_assert_eq!(name(&text).at(start), index);
        }
    }

    #[test]
    fn the_index_of_partitions_never_meets_the_other(text in names()) {
        let name = name(&text);
        prop_assert!(!name.meets(&name.with_suffix("_partitions")), "{}", name);
    }

    #[test]
    fn no_text_makes_a_name_panic(text in ".{0,20}", other in ".{0,20}") {
        if let Ok(name) = text.parse::<IndexName>() {
            let _unread = name.range_of(&other);
            let _pattern = name.pattern();
        }
    }
}
