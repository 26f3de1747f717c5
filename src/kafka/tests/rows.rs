//! In: tables. Out: what of a row is read, number by number.

use super::*;

#[test]
fn a_dash_in_the_lag_column_is_unknown_not_zero() {
    let text = format!("{HEADER}g t 0 - 20 - c /1 c\n");
    assert_eq!(lags("g", &text), [("t".to_owned(), 0, None)]);
    let round = round(0, &text, "");
    let row = &read("g", &round).rows[0];
    assert_eq!((row.current_offset, row.log_end_offset), (None, Some(20)));
}

#[test]
fn the_word_unknown_is_unknown_too() {
    let text = "GROUP, TOPIC, PARTITION, CURRENT OFFSET, LOG END OFFSET, LAG, OWNER\n\
                g, t, 0, unknown, 20, unknown, none\n";
    assert_eq!(lags("g", text), [("t".to_owned(), 0, None)]);
}

#[test]
fn a_negative_lag_stays_negative_and_nineteen_digits_fit() {
    let text = format!(
        "{HEADER}g t 0 90 20 -70 - - -\ng t 1 0 9223372036854775807 9223372036854775807 - - -\n"
    );
    assert_eq!(
        lags("g", &text),
        [
            ("t".to_owned(), 0, Some(-70)),
            ("t".to_owned(), 1, Some(i64::MAX))
        ]
    );
}

#[test]
fn a_number_too_large_for_an_offset_is_no_number() {
    let text = format!("{HEADER}g t 0 0 9223372036854775808 1 - - -\ng t 1 +1 2 1 - - -\n");
    let round = round(0, &text, "");
    let description = read("g", &round);
    assert!(description.rows.is_empty());
    assert_eq!(
        description.problems,
        [Problem::NotRows {
            count: 2,
            first: "g t 0 0 9223372036854775808 1 - - -".to_owned()
        }]
    );
}

#[test]
fn a_number_too_large_for_a_partition_is_no_partition() {
    assert_eq!(
        lags("g", &format!("{HEADER}g t 3000000000 0 1 1 - - -\n")),
        []
    );
    assert_eq!(lags("g", &format!("{HEADER}g t -1 0 1 1 - - -\n")), []);
}

#[test]
fn rows_keep_the_order_in_which_they_are_printed() {
    let text = format!("{HEADER}g t 10 0 1 1 - - -\ng u 0 0 2 2 - - -\ng t 2 0 3 3 - - -\n");
    assert_eq!(
        lags("g", &text),
        [
            ("t".to_owned(), 10, Some(1)),
            ("u".to_owned(), 0, Some(2)),
            ("t".to_owned(), 2, Some(3))
        ]
    );
}

#[test]
fn a_partition_listed_twice_counts_once_and_is_named() {
    let text = format!("{HEADER}g t 0 0 5 5 - - -\ng t 0 0 9 9 - - -\n");
    let round = round(0, &text, "");
    let description = read("g", &round);
    assert_eq!(lags("g", &text), [("t".to_owned(), 0, Some(5))]);
    assert_eq!(
        description.problems,
        [Problem::PartitionTwice {
            topic: "t".to_owned(),
            partition: 0
        }]
    );
}

#[test]
fn a_member_without_partitions_is_dropped_without_a_problem() {
    let text = format!(
        "{HEADER_OLD}t 0 1 2 1 c-{UUID} /10.0.0.7 c\n-  -  -  -  -  c-{UUID} /10.0.0.7 c\n"
    );
    let round = round(0, &text, "");
    let description = read("g", &round);
    assert_eq!(description.rows.len(), 1);
    assert_eq!(description.problems, []);
}

#[test]
fn a_number_torn_off_at_the_end_of_a_line_is_not_read() {
    // "1134" became "11": the row is complete but for what cannot be seen.
    for torn in [
        "g t 0 100 1234 11",
        "g t 0 100 12",
        "g t 0 100 1234 1134",
        "g t",
        "g t 0",
    ] {
        assert_eq!(lags("g", &format!("{HEADER}{torn}")), [], "{torn}");
        assert_eq!(lags("g", &format!("{HEADER}{torn}\n")), [], "{torn}");
        assert_eq!(lags("g", &format!("{HEADER}{torn}\r\n")), [], "{torn}");
    }
    assert_eq!(lags("g", &format!("{HEADER}g t 0 100 1234 1134 ")).len(), 1);
}

#[test]
fn windows_line_ends_do_not_change_a_row() {
    let text = format!("{HEADER}g t 0 1 2 1 c-{UUID} /10.0.0.7 c\n").replace('\n', "\r\n");
    let round = round(0, &text, "");
    let description = read("g", &round);
    assert_eq!(description.rows[0].client_id, Some("c"));
    assert_eq!(description.problems, []);
}

#[test]
fn the_leader_epoch_is_no_offset() {
    let text = "\nGROUP TOPIC PARTITION LEADER-EPOCH CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n\
                g t 0 7 100 130 30 - - -\ng t 1 - 100 120 20 - - -\n";
    assert_eq!(
        lags("g", text),
        [("t".to_owned(), 0, Some(30)), ("t".to_owned(), 1, Some(20))]
    );
}

#[test]
fn a_topic_kafka_forbids_is_no_row() {
    let long = "t".repeat(250);
    let text = format!("{HEADER}g t/x 0 1 2 1 - - -\ng {long} 0 1 2 1 - - -\n");
    assert_eq!(lags("g", &text), []);
}
