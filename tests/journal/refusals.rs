//! A file that is damaged, foreign or newer is refused with a mend, and left as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mirrorlag::journal::Journal;
use rusqlite::Connection;

use crate::{Place, bodies};

/// A closed journal with records.
async fn filled() -> Place {
    let place = Place::new();
    let journal = place.open();
    for _ in 0..20 {
        journal
            .append(vec![vec![b'x'; 1000]; 50], None)
            .await
            .unwrap();
    }
    journal.close().await;
    place
}

/// Opening is refused with a text that has `part`, in one line, and the file keeps every byte.
fn assert_refused(place: &Place, part: &str) {
    let before = fs::read(place.path()).unwrap();
    let error = Journal::open(&place.settings()).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
    assert!(
        error.contains("journal.db") && !error.contains('\n'),
        "{error}"
    );
    assert!(
        fs::read(place.path()).unwrap() == before,
        "the file was changed"
    );
}

#[tokio::test]
async fn a_damaged_page_is_found_when_the_journal_is_opened() {
    let place = filled().await;
    let mut bytes = fs::read(place.path()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(place.path(), bytes).unwrap();
    assert_refused(&place, "damaged");
}

#[tokio::test]
async fn a_file_cut_short_is_refused() {
    let place = filled().await;
    let bytes = fs::read(place.path()).unwrap();
    fs::write(place.path(), &bytes[..bytes.len() / 2]).unwrap();
    assert_refused(&place, "damaged");
    fs::write(place.path(), &bytes[..50]).unwrap();
    assert_refused(&place, "ends within its header");
    fs::write(place.path(), b"").unwrap();
    assert_refused(&place, "it is empty");
}

#[tokio::test]
async fn another_programs_file_is_refused() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path(), "shopping list\n").unwrap();
    assert_refused(&place, "not an SQLite file");
    fs::remove_file(place.path()).unwrap();
    let foreign = Connection::open(place.path()).unwrap();
    foreign.execute_batch("CREATE TABLE records (a)").unwrap();
    drop(foreign);
    assert_refused(&place, "another program's SQLite file");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = filled().await;
    let newer = Connection::open(place.path()).unwrap();
    newer.execute_batch("PRAGMA user_version = 3").unwrap();
    newer.close().unwrap();
    assert_refused(&place, "newer mirrorlag (schema 3, this one knows 2)");
}

#[tokio::test]
async fn a_log_without_its_journal_is_not_applied_to_a_new_one() {
    let place = filled().await;
    fs::remove_file(place.path()).unwrap();
    fs::write(place.path().with_file_name("journal.db-wal"), "leftover").unwrap();
    let error = Journal::open(&place.settings()).unwrap_err().to_string();
    assert!(error.contains("-wal"), "{error}");
    assert!(!place.path().exists());
}

#[tokio::test]
async fn a_creation_that_was_interrupted_is_begun_anew() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path().with_file_name("journal.db.new"), "half").unwrap();
    let journal = place.open();
    journal.append(bodies(1..=1), None).await.unwrap();
    assert!(!place.path().with_file_name("journal.db.new").exists());
}

#[tokio::test]
async fn folder_and_files_are_for_their_owner_only() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=1), None).await.unwrap();
    let mode = |name: &str| {
        let path = place.path().with_file_name(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    for name in [
        "journal.db",
        "journal.db-wal",
        "journal.db-shm",
        "journal.db.lock",
    ] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    assert_eq!(mode(""), 0o700);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let place = Place::new();
    fs::write(
        place.path().parent().unwrap(),
        "a file where the folder should be",
    )
    .unwrap();
    let error = Journal::open(&place.settings()).unwrap_err().to_string();
    assert!(error.contains("cannot create or open it"), "{error}");
}
