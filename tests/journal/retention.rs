//! What is dropped, in which order, and that it is counted.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use mirrorlag::journal::{Dropped, Journal};

use crate::{Place, assert_sound, bodies, letter, numbers};

fn in_days(days: i64) -> chrono::DateTime<Utc> {
    Utc::now() + TimeDelta::days(days)
}

#[tokio::test]
async fn by_age_only_what_every_kept_reader_has_had_goes() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=1000), None).await.unwrap();
    journal.keep_readers(&["a", "b"]).await.unwrap();
    journal.commit("a", 1000, Vec::new()).await.unwrap();
    journal.commit("b", 700, Vec::new()).await.unwrap();
    assert_eq!(
        journal.retain(in_days(6)).await.unwrap(),
        Dropped::default()
    );
    let dropped = journal.retain(in_days(8)).await.unwrap();
    assert_eq!((dropped.by_age, dropped.unread), (700, 0));
    assert_eq!(numbers(&journal).await, (701..=1000).collect::<Vec<_>>());
    // A sink that left the configuration holds nothing back.
    journal.keep_readers(&["a"]).await.unwrap();
    assert_eq!(journal.retain(in_days(8)).await.unwrap().by_age, 300);
    assert!(numbers(&journal).await.is_empty());
}

#[tokio::test]
async fn young_records_stay_though_every_reader_has_had_them() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=10), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    journal.commit("a", 10, Vec::new()).await.unwrap();
    assert_eq!(
        journal.retain(Utc::now()).await.unwrap(),
        Dropped::default()
    );
    assert_eq!(numbers(&journal).await.len(), 10);
}

#[tokio::test]
async fn a_dropped_position_is_never_used_again() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=10), None).await.unwrap();
    assert_eq!(journal.retain(in_days(8)).await.unwrap().by_age, 10);
    journal.close().await;
    let journal = place.open();
    assert_eq!(*journal.head().borrow(), 10);
    assert_eq!(journal.append(bodies(11..=11), None).await.unwrap(), 11);
}

#[tokio::test]
async fn over_the_size_the_oldest_go_and_the_unread_are_counted() {
    let place = Place::new();
    let settings = mirrorlag::journal::Settings {
        bytes_max: 1 << 20,
        ..place.settings()
    };
    let journal = Journal::open(&settings).unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    for _ in 0..30 {
        journal
            .append(vec![vec![b'x'; 1000]; 100], None)
            .await
            .unwrap();
    }
    journal.commit("a", 1000, Vec::new()).await.unwrap();
    let before = journal.size().await.unwrap();
    assert!(
        before.bytes > 3_000_000 && before.records == 3000,
        "{before:?}"
    );

    let dropped = journal.retain(Utc::now()).await.unwrap();
    let after = journal.size().await.unwrap();
    assert!(after.bytes <= 1 << 20, "{after:?}");
    // About 760 fit; a step of 256 may go beyond what is needed.
    assert!(after.records > 500, "more went than needed: {after:?}");
    assert_eq!(dropped.by_age, 0);
    assert_eq!(dropped.by_bytes, 3000 - after.records);
    assert_eq!(dropped.unread, dropped.by_bytes - 1000);
    let first = journal.read(0, 1, 1).await.unwrap()[0].position;
    assert_eq!(first, dropped.by_bytes + 1);
    journal.close().await;
    // The space went back to the file system.
    let bytes = std::fs::metadata(place.path()).unwrap().len();
    assert!(bytes < 2 << 20, "{bytes}");
}

#[tokio::test]
async fn the_oldest_dead_letters_go_when_there_are_ten_thousand() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=10_003), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    let letters = (1..=10_003).map(|position| letter("a", position)).collect();
    journal.commit("a", 10_003, letters).await.unwrap();
    assert_eq!(journal.retain(Utc::now()).await.unwrap().letters, 3);
    assert_eq!(journal.letters(0, 1).await.unwrap()[0].letter.position, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_go_on_while_much_is_dropped() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=20_000), None).await.unwrap();
    let retaining = tokio::spawn({
        let journal = journal.clone();
        async move { journal.retain(in_days(8)).await.unwrap() }
    });
    let mut longest = Duration::ZERO;
    let mut appended = 0;
    while !retaining.is_finished() {
        let started = std::time::Instant::now();
        journal.append(vec![b"{}".to_vec()], None).await.unwrap();
        longest = longest.max(started.elapsed());
        appended += 1;
    }
    // What is appended meanwhile is old too by that clock, and goes as well when it is seen in time.
    assert!(retaining.await.unwrap().by_age >= 20_000);
    assert!(appended > 5, "the appends waited for the end: {appended}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[tokio::test]
async fn the_size_names_the_oldest_record() {
    let place = Place::new();
    let journal = place.open();
    assert_eq!(journal.size().await.unwrap().oldest, None);
    journal.append(bodies(1..=2), None).await.unwrap();
    let size = journal.size().await.unwrap();
    assert!((Utc::now() - size.oldest.unwrap()).num_seconds().abs() < 60);
    assert_eq!((size.records, size.letters), (2, 0));
    assert!(size.bytes > 0);
}

/// What SIGTERM does to it: the program gives the future up and closes the journal.
#[tokio::test]
async fn a_retention_that_is_given_up_half_way_leaves_a_sound_journal_and_all_that_is_unread() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.retain_for = Duration::ZERO;
    let journal = Journal::open(&settings).unwrap();
    journal.keep_readers(&["sink"]).await.unwrap();
    let newest = 20_000;
    journal.append(bodies(1..=newest), None).await.unwrap();
    let unread = newest - 10;
    journal.commit("sink", unread, vec![]).await.unwrap();
    let now = Utc::now() + TimeDelta::hours(1);
    let given_up = {
        let mut retaining = std::pin::pin!(journal.retain(now));
        let mut given_up = false;
        // Some of its steps are done, and one is under way.
        for _ in 0..20 {
            let step = tokio::time::timeout(Duration::from_millis(1), &mut retaining).await;
            given_up = step.is_err();
            if journal.size().await.unwrap().records < newest {
                break;
            }
        }
        given_up
    };
    journal.close().await;
    assert!(given_up, "it had ended before it could be given up");
    assert_sound(&place.path());
    let journal = place.open();
    let kept = numbers(&journal).await;
    assert_eq!(kept.last(), Some(&newest));
    assert!(
        kept.len() as u64 >= newest - unread,
        "unread records are gone"
    );
    assert!((kept.len() as u64) < newest, "nothing was dropped yet");
    journal.close().await;
}
