//! What an append reported as stored is there after the process was killed.

use crate::child::Appender;
use crate::{Place, assert_sound, bodies, numbers};

const DIRECTLY: &str = r#"exec "$@""#;

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_again_and_again() {
    let place = Place::new();
    let mut acknowledged = 0;
    for round in 0..8 {
        let mut appender = Appender::start(&place.path(), DIRECTLY);
        // A different number of records each round, so that the kill falls on different moments.
        for _ in 0..=(round * 7) {
            acknowledged = appender.next("appended").unwrap().parse().unwrap();
        }
        acknowledged = appender.kill().unwrap_or(acknowledged);

        let journal = place.open();
        let found = numbers(&journal).await;
        let newest = *found.last().unwrap();
        assert!(newest >= acknowledged, "{newest} < {acknowledged}");
        assert_eq!(found, (1..=newest).collect::<Vec<_>>());
        assert_eq!(*journal.head().borrow(), newest);
        let mark = journal.mark("last").await.unwrap().unwrap();
        assert_eq!(
            mark,
            newest.to_string().into_bytes(),
            "mark and records are one"
        );
        journal.close().await;
        assert_sound(&place.path());
    }
    assert!(acknowledged > 100);
}

#[tokio::test]
async fn close_waits_for_everything_accepted() {
    let place = Place::new();
    let journal = place.open();
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let journal = journal.clone();
        appends.spawn(async move { journal.append(bodies(1..=1), None).await });
    }
    tokio::task::yield_now().await;
    let other = journal.clone();
    journal.close().await;
    let mut kept = 0;
    while let Some(end) = appends.join_next().await {
        kept += u64::from(end.unwrap().is_ok());
    }
    let error = other.append(bodies(1..=1), None).await.unwrap_err();
    assert!(error.to_string().ends_with("it is closed"), "{error}");
    let size = place.open().size().await.unwrap();
    assert_eq!(size.records, kept);
    assert!(kept > 0);
}

#[tokio::test]
async fn a_closed_journal_is_one_file_that_sqlite3_reads() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=3), None).await.unwrap();
    journal.size().await.unwrap();
    journal.close().await;
    assert!(!place.path().with_file_name("journal.db-wal").exists());
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    let row = connection
        .query_row(
            "SELECT position, appended_at, body ->> 'number' FROM records WHERE position = 2",
            [],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            },
        )
        .unwrap();
    assert_eq!((row.0, row.2), (2, 2));
    assert!(row.1.ends_with('Z') && row.1.len() == "2026-11-20T10:00:00.000Z".len());
}
