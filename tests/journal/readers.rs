//! Each reader has a position of its own, which only moves forward.

use chrono::Utc;

use crate::{Place, bodies, letter};

#[tokio::test]
async fn a_new_reader_starts_before_the_oldest_record() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=5), None).await.unwrap();
    assert_eq!(journal.position("elasticsearch").await.unwrap(), 0);
    journal.keep_readers(&["elasticsearch"]).await.unwrap();
    assert_eq!(journal.position("elasticsearch").await.unwrap(), 0);
}

#[tokio::test]
async fn a_new_reader_of_a_journal_whose_front_is_gone_starts_behind_the_gap() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=5), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    journal.commit("a", 3, Vec::new()).await.unwrap();
    let later = Utc::now() + chrono::TimeDelta::days(30);
    assert_eq!(journal.retain(later).await.unwrap().by_age, 3);
    assert_eq!(journal.position("b").await.unwrap(), 3);
    journal.keep_readers(&["a", "b"]).await.unwrap();
    assert_eq!(journal.position("b").await.unwrap(), 3);
}

#[tokio::test]
async fn a_position_survives_a_restart_and_never_goes_back() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=5), None).await.unwrap();
    journal.keep_readers(&["a", "b"]).await.unwrap();
    journal.commit("a", 4, Vec::new()).await.unwrap();
    journal.commit("a", 2, Vec::new()).await.unwrap();
    journal.close().await;
    let journal = place.open();
    journal.keep_readers(&["a", "b"]).await.unwrap();
    assert_eq!(journal.position("a").await.unwrap(), 4);
    assert_eq!(journal.position("b").await.unwrap(), 0);
}

#[tokio::test]
async fn a_commit_beyond_the_newest_record_or_of_an_unknown_reader_changes_nothing() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=2), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    let error = journal
        .commit("a", 3, vec![letter("a", 3)])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("beyond the newest record 2"),
        "{error}"
    );
    let error = journal
        .commit("b", 1, vec![letter("b", 1)])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("unknown reader \"b\""),
        "{error}"
    );
    assert_eq!(journal.position("a").await.unwrap(), 0);
    assert_eq!(journal.letters(0, 10).await.unwrap(), []);
}

#[tokio::test]
async fn work_that_fails_takes_no_other_work_of_its_transaction_with_it() {
    let place = Place::new();
    let journal = place.open();
    journal.keep_readers(&["a"]).await.unwrap();
    // All at once, so that they meet in one transaction.
    let (first, bad, second) = tokio::join!(
        journal.append(bodies(1..=1), None),
        journal.commit("nobody", 0, Vec::new()),
        journal.append(bodies(2..=2), None),
    );
    assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
    bad.unwrap_err();
    assert_eq!(crate::numbers(&journal).await, [1, 2]);
}
