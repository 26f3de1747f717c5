//! In: tables under every header. Out: which of them are tables of offsets.

use super::*;

#[test]
fn nothing_below_the_header_of_another_view_is_read() {
    for header in [
        "GROUP           CONSUMER-ID  HOST            CLIENT-ID       #PARTITIONS     ",
        "GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS",
        "CONSUMER-ID  HOST  CLIENT-ID  #PARTITIONS",
        "COORDINATOR (ID)  ASSIGNMENT-STRATEGY  STATE  #MEMBERS",
        "GROUP TOPIC PARTITION START-OFFSET LAG",
        "GROUP TOPIC PARTITION OFFSET-LAG",
        "TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG",
        "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID RACK",
    ] {
        let (outcome, reason) = failure(0, &format!("\n{header}\ng t 0 1 2 1 - - -\n"), "");
        assert_eq!(outcome, Outcome::CliError, "{header}");
        assert_eq!(reason, format!("unknown table header: {}", header.trim()));
    }
}

#[test]
fn a_header_rules_until_the_next() {
    let text = format!(
        "{HEADER}g t 0 1 2 1 - - -\n\nGROUP TOPIC PARTITION OFFSET-LAG\ng t 1 1 2 1 - - -\n{HEADER_OLD}t 2 1 2 1 - - -\n"
    );
    let round = round(0, &text, "");
    let description = read("g", &round);
    let partitions: Vec<i32> = description.rows.iter().map(|r| r.partition).collect();
    assert_eq!(partitions, [0, 2]);
    assert_eq!(
        description.problems,
        [Problem::UnknownHeader {
            header: "GROUP TOPIC PARTITION OFFSET-LAG".to_owned()
        }]
    );
}

#[test]
fn a_group_called_group_is_no_header() {
    let text = format!("{HEADER}GROUP TOPIC 0 1 2 1 - - -\n");
    assert_eq!(lags("GROUP", &text), [("TOPIC".to_owned(), 0, Some(1))]);
}

#[test]
fn rows_without_a_header_are_not_rows() {
    assert_eq!(failure(0, "g t 0 1 2 1 - - -\n", "").0, Outcome::CliError);
}
