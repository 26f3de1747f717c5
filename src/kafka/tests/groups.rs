//! In: tables of several groups. Out: whose rows are whose.

use super::*;

#[test]
fn only_rows_of_the_group_asked_for_are_read() {
    let text = format!("{HEADER}team blue t 0 0 5 5 - - -\n{HEADER}team t 0 0 9 9 - - -\n");
    assert_eq!(lags("team", &text), [("t".to_owned(), 0, Some(9))]);
    assert_eq!(lags("team blue", &text), [("t".to_owned(), 0, Some(5))]);
    let round = round(0, &text, "");
    assert_eq!(read("team", &round).problems, []);
}

#[test]
fn a_group_that_looks_like_a_row_is_told_by_its_name() {
    let text = format!("{HEADER}team 1 2 3 4 x orders 0 10 12 2 - - -\n");
    assert_eq!(
        lags("team 1 2 3 4 x", &text),
        [("orders".to_owned(), 0, Some(2))]
    );
}

#[test]
fn a_topic_that_contains_the_name_of_another_is_another_topic() {
    let text = format!("{HEADER}g orders-eu 0 0 5 5 - - -\ng orders 0 0 9 9 - - -\n");
    assert_eq!(
        lags("g", &text),
        [
            ("orders-eu".to_owned(), 0, Some(5)),
            ("orders".to_owned(), 0, Some(9))
        ]
    );
}

#[test]
fn a_group_of_a_longer_name_is_not_the_group() {
    let text = format!("{HEADER}g2 t 0 0 5 5 - - -\n");
    let round = round(0, &text, "");
    let description = read("g", &round);
    assert_eq!((description.rows, description.problems), (vec![], vec![]));
}

#[test]
fn each_group_of_one_output_is_judged_by_itself() {
    let text =
        format!("{HEADER}g t 0 0 5 5 - - -\n\nError: Consumer group 'gone' does not exist.\n");
    let round = round(0, &text, "");
    let here = read("g", &round);
    assert_eq!((here.rows.len(), here.failure), (1, None));
    let gone = read("gone", &round).failure.map(|f| f.outcome);
    assert_eq!(gone, Some(Outcome::GroupMissing));
}

#[test]
fn without_a_group_column_every_row_is_of_the_group_asked_for() {
    let text = format!("{HEADER_OLD}t 0 1 2 1 - - -\n");
    assert_eq!(lags("any thing", &text), [("t".to_owned(), 0, Some(1))]);
}
