//! A file that lost its name, or a page that went bad, while the journal is open.

use std::fs;

use chrono::{TimeZone, Utc};
use mirrorlag::journal::{Cause, Journal, reset};

use crate::{Place, bodies, numbers};

#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_was_moved_and_it_goes_on_when_it_is_back() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=3), None).await.unwrap();
    let away = place.path().with_file_name("away");
    fs::rename(place.path(), &away).unwrap();
    let error = journal.append(bodies(4..=4), None).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Gone), "{error}");
    assert!(error.to_string().contains("put it back"), "{error}");
    assert!(journal.read(0, 10, 1 << 20).await.is_err());
    fs::rename(&away, place.path()).unwrap();
    journal.append(bodies(4..=4), None).await.unwrap();
    assert_eq!(numbers(&journal).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn another_file_under_its_name_is_neither_read_nor_written() {
    let place = Place::new();
    let other = Place::new();
    let journal = other.open();
    journal.append(bodies(1..=9), None).await.unwrap();
    journal.close().await;
    let journal = place.open();
    journal.append(bodies(1..=3), None).await.unwrap();
    fs::rename(other.path(), place.path()).unwrap();
    let before = fs::read(place.path()).unwrap();
    assert!(journal.append(bodies(4..=4), None).await.is_err());
    assert!(journal.read(0, 10, 1 << 20).await.is_err());
    assert!(journal.commit("a", 1, Vec::new()).await.is_err());
    assert!(fs::read(place.path()).unwrap() == before);
}

#[tokio::test]
async fn a_log_that_was_removed_is_noticed_before_the_next_record() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=1), None).await.unwrap();
    journal.append(bodies(2..=2), None).await.unwrap();
    fs::remove_file(place.path().with_file_name("journal.db-wal")).unwrap();
    let error = journal.append(bodies(3..=3), None).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Gone), "{error}");
}

#[tokio::test]
async fn a_page_that_goes_bad_while_it_is_open_is_an_error_that_names_the_mend() {
    let place = Place::new();
    let journal = place.open();
    for _ in 0..60 {
        journal
            .append(vec![vec![b'x'; 1000]; 100], None)
            .await
            .unwrap();
    }
    let mut bytes = fs::read(place.path()).unwrap();
    assert!(bytes.len() > 1 << 20, "nothing of it is in the file yet");
    bytes[8 * 4096..].fill(0xa5);
    fs::write(place.path(), bytes).unwrap();
    let mut error = None;
    for after in (0..5000).step_by(100) {
        error = error.or(journal.read(after, 100, 1 << 20).await.err());
    }
    let error = error.unwrap().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert!(error.contains("--journal-reset"), "{error}");
}

#[tokio::test]
async fn a_reset_never_overwrites_what_an_earlier_one_moved() {
    let place = Place::new();
    let folder = place.path().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let now = Utc.with_ymd_and_hms(2026, 11, 21, 10, 0, 0).unwrap();
    assert_eq!(reset(&place.settings(), now).unwrap(), None);
    for (content, name) in [
        ("", "journal.db.damaged-20261121T100000Z"),
        ("SQLite format 3\0", "journal.db.damaged-20261121T100000Z-2"),
    ] {
        fs::write(place.path(), content).unwrap();
        fs::write(folder.join("journal.db-wal"), "log").unwrap();
        let aside = reset(&place.settings(), now).unwrap().unwrap();
        assert_eq!(aside, folder.join(name));
        assert_eq!(fs::read_to_string(&aside).unwrap(), content);
        let log = folder.join(format!("{name}-wal"));
        assert_eq!(fs::read_to_string(log).unwrap(), "log");
        assert!(!folder.join("journal.db-wal").exists());
    }
    let journal = Journal::open(&place.settings()).unwrap();
    journal.append(bodies(1..=1), None).await.unwrap();
}

#[tokio::test]
async fn a_reset_leaves_another_programs_file_and_a_newer_journal_alone() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path(), "shopping list\n").unwrap();
    let error = reset(&place.settings(), Utc::now()).unwrap_err();
    assert!(matches!(error.cause, Cause::Foreign(_)), "{error}");
    fs::remove_file(place.path()).unwrap();
    place.open().close().await;
    let newer = rusqlite::Connection::open(place.path()).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    newer.close().unwrap();
    let error = reset(&place.settings(), Utc::now()).unwrap_err();
    assert!(matches!(error.cause, Cause::NewerSchema { .. }), "{error}");
    assert!(place.path().exists());
}
