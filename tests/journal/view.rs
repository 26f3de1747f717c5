//! What another process sees of a journal, while one has it and afterwards, and what it may change.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mirrorlag::journal::{Journal, Touch, View};
use rusqlite::Connection;

use crate::child::Appender;
use crate::{Place, bodies, letter, settings};

const DIRECTLY: &str = r#"exec "$@""#;
const DEADLINE: Duration = Duration::from_secs(30);
/// `nobody`: has no right to what is not everybody's.
const NOBODY: u32 = 65_534;
const LOOKED_AT: &str = "MIRRORLAG_TEST_LOOKED_AT";

/// The tables of the version before this one.
const SCHEMA_1: &str = "
PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
CREATE TABLE records (position INTEGER PRIMARY KEY AUTOINCREMENT, appended_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE readers (name TEXT PRIMARY KEY, position INTEGER NOT NULL, is_kept INTEGER NOT NULL, committed_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE letters (number INTEGER PRIMARY KEY AUTOINCREMENT, reader TEXT NOT NULL, position INTEGER NOT NULL, reason TEXT NOT NULL,
  body TEXT NOT NULL, first_attempt TEXT NOT NULL, last_attempt TEXT NOT NULL, attempts INTEGER NOT NULL, UNIQUE (reader, position));
CREATE TABLE marks (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO records (appended_at, body) VALUES ('2026-11-20T10:00:00.000Z', '{\"number\":1}'), ('2026-11-20T10:00:01.000Z', '{\"number\":2}');
INSERT INTO readers VALUES ('a', 1, 1, '2026-11-20T10:00:01.500Z');
INSERT INTO letters (reader, position, reason, body, first_attempt, last_attempt, attempts)
  VALUES ('a', 1, 'refused', '{\"number\":1}', '2026-11-20T10:00:01.000Z', '2026-11-20T10:00:01.000Z', 1);
INSERT INTO marks VALUES ('source', 'seven');
PRAGMA application_id = 0x6d6c6167; PRAGMA user_version = 1;
";

fn write_schema_1(place: &Place) {
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch(SCHEMA_1).unwrap();
    connection.close().unwrap();
}

/// Names beside each other in the folder of the journal.
fn files(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn with_letters(place: &Place, count: u64) {
    let journal = place.open();
    journal.append(bodies(1..=count), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    let letters = (1..=count).map(|position| letter("a", position)).collect();
    journal.commit("a", count, letters).await.unwrap();
    journal.close().await;
}

#[tokio::test]
async fn a_view_follows_the_process_that_has_the_journal_and_names_it() {
    let place = Place::new();
    let mut appender = Appender::start(&place.path(), DIRECTLY);
    appender.next("appended").unwrap();
    let view = View::open(&place.path()).unwrap();
    let holder = view.holder().unwrap().expect("somebody has it");
    assert_eq!(holder.pid, Some(appender.id()));
    let first = view.snapshot().unwrap();
    assert!(first.head >= 1 && first.size.records == first.head);
    let until = Instant::now() + DEADLINE;
    while view.snapshot().unwrap().head < first.head + 20 {
        assert!(Instant::now() < until, "the view stands still");
        appender.next("appended").unwrap();
    }
    let acknowledged = appender.kill();
    assert_eq!(view.holder().unwrap(), None);
    assert!(Some(view.snapshot().unwrap().head) >= acknowledged);
    drop(view);
    let journal = place.open();
    assert!(Some(*journal.head().borrow()) >= acknowledged);
}

#[tokio::test]
async fn a_closed_journal_is_looked_into_and_stays_as_it_was() {
    let place = Place::new();
    with_letters(&place, 3).await;
    let before = (files(&place.path()), fs::read(place.path()).unwrap());
    let view = View::open(&place.path()).unwrap();
    let snapshot = view.snapshot().unwrap();
    assert_eq!((snapshot.head, snapshot.size.letters), (3, 3));
    assert_eq!(snapshot.readers[0].behind, 0);
    assert_eq!(view.letter(2).unwrap().unwrap().letter, letter("a", 2));
    assert_eq!(view.letter(4).unwrap(), None);
    assert_eq!(view.holder().unwrap(), None);
    drop(view);
    assert_eq!(
        (files(&place.path()), fs::read(place.path()).unwrap()),
        before
    );
}

#[tokio::test]
async fn a_view_reads_records_from_a_position_and_from_an_instant() {
    let place = Place::new();
    write_schema_1(&place);
    let connection = Connection::open(place.path()).unwrap();
    // The first are gone by retention; a clock that was set back is behind the newest.
    let more = "INSERT INTO records (appended_at, body) VALUES ('2026-11-20T10:00:02.000Z', '3'), ('2026-11-20T10:00:09.000Z', '4'),
                  ('2026-11-20T10:00:09.000Z', '5'); DELETE FROM records WHERE position = 1;";
    connection.execute_batch(more).unwrap();
    connection.close().unwrap();
    let view = View::open(&place.path()).unwrap();
    let positions = |after, records_max, bytes_max| -> Vec<u64> {
        let records = view.records(after, records_max, bytes_max).unwrap();
        records.iter().map(|record| record.position).collect()
    };
    assert_eq!(positions(0, 10, 1000), [2, 3, 4, 5]);
    assert_eq!(positions(2, 2, 1000), [3, 4]);
    assert_eq!(positions(2, 10, 1), [3]);
    assert_eq!(positions(5, 10, 1000), [0; 0]);
    for (since, before) in [
        ("2026-11-20T09:00:00Z", 1),
        ("2026-11-20T10:00:01Z", 1),
        ("2026-11-20T10:00:02Z", 2),
        ("2026-11-20T10:00:03Z", 3),
        ("2026-11-20T10:00:09Z", 3),
        ("2026-11-20T10:00:10Z", 5),
    ] {
        let since = since.parse().unwrap();
        assert_eq!(view.position_before(since).unwrap(), before, "{since}");
    }
}

#[tokio::test]
async fn a_view_knows_when_its_path_leads_to_another_file() {
    let place = Place::new();
    with_letters(&place, 1).await;
    let view = View::open(&place.path()).unwrap();
    assert!(view.is_current());
    let aside = place.path().with_file_name("aside.db");
    fs::rename(place.path(), &aside).unwrap();
    assert!(!view.is_current());
    fs::write(place.path(), "shopping list").unwrap();
    assert!(!view.is_current());
    fs::rename(&aside, place.path()).unwrap();
    assert!(view.is_current());
}

#[tokio::test]
async fn what_root_looks_into_still_belongs_to_its_owner_alone() {
    if !rustix::process::geteuid().is_root() {
        // Only root can look into another user's file.
        return;
    }
    let place = Place::new();
    with_letters(&place, 1).await;
    for path in [place.path(), place.path().parent().unwrap().to_owned()] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let view = View::open(&place.path()).unwrap();
    assert_eq!(view.remove_letters(&[1]).unwrap(), 1);
    let beside: Vec<_> = files(&place.path())
        .into_iter()
        .filter(|name| !name.ends_with(".lock") && !name.ends_with(".reserve"))
        .collect();
    assert_eq!(beside, ["journal.db", "journal.db-shm", "journal.db-wal"]);
    for name in beside {
        let file = fs::metadata(place.path().with_file_name(&name)).unwrap();
        assert_eq!(file.uid(), NOBODY, "{name}");
    }
    drop(view);
    let left = files(&place.path());
    assert!(!left.contains("journal.db-wal"), "{left:?}");
}

#[tokio::test]
async fn a_user_who_may_only_read_looks_in_and_leaves_no_file() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become another user.
        return;
    }
    let place = Place::new();
    with_letters(&place, 3).await;
    // A folder into which everybody may write: a file made there by the wrong user would be in the way of the right one.
    for (path, mode) in [
        (place.path(), 0o644),
        (place.path().with_file_name("journal.db.lock"), 0o644),
        (place.path().parent().unwrap().to_owned(), 0o777),
        (place.folder.path().to_owned(), 0o755),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = files(&place.path());
    assert_eq!(look_as_nobody(&place.path()), "head 3, letters 3");
    assert_eq!(files(&place.path()), before);
    // A log that was left behind must be recovered, which only the owner may do.
    let left = Connection::open(place.path()).unwrap();
    left.execute_batch("DELETE FROM letters WHERE number = 1")
        .unwrap();
    let log = place.path().with_file_name("journal.db-wal");
    let copy = fs::read(&log).unwrap();
    drop(left);
    fs::write(&log, copy).unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
    let before = files(&place.path());
    let refused = look_as_nobody(&place.path());
    assert!(refused.contains("be root, or the user"), "{refused}");
    assert_eq!(files(&place.path()), before);
}

/// What `looks_at_a_journal` says of it, as another user.
fn look_as_nobody(path: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "view::looks_at_a_journal", "--nocapture"])
        .env(LOOKED_AT, path)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = text.split_once("saw <").unwrap().1;
    said.split_once('>').unwrap().0.to_owned()
}

/// The entry of the other user's process. Without the variable that names a journal it has nothing to do.
#[test]
fn looks_at_a_journal() {
    let Some(path) = std::env::var_os(LOOKED_AT) else {
        return;
    };
    let seen = View::open(Path::new(&path)).and_then(|view| {
        let snapshot = view.snapshot()?;
        let (head, letters) = (snapshot.head, snapshot.size.letters);
        Ok(format!("head {head}, letters {letters}"))
    });
    println!("saw <{}>", seen.unwrap_or_else(|error| error.to_string()));
}

#[tokio::test]
async fn letters_are_changed_while_another_process_writes_and_neither_fails() {
    let place = Place::new();
    with_letters(&place, 60).await;
    let mut appender = Appender::start(&place.path(), DIRECTLY);
    appender.next("appended").unwrap();
    let view = View::open(&place.path()).unwrap();
    let now = chrono::DateTime::from_timestamp_millis(1_763_632_900_000).unwrap();
    for number in 1..=40 {
        let touch = Touch {
            number: number + 20,
            reason: format!("still refused {number}"),
        };
        assert_eq!(view.touch_letters(now, &[touch]).unwrap(), 1);
        assert_eq!(view.remove_letters(&[number]).unwrap(), 1);
        let said = appender.next_of(&["appended", "failed"]).unwrap();
        said.parse::<u64>().expect("no append fails");
    }
    appender.kill();
    let left = view.letters(0, 100, usize::MAX).unwrap();
    let numbers: Vec<u64> = left.iter().map(|letter| letter.number).collect();
    assert_eq!(numbers, (41..=60).collect::<Vec<_>>());
    let last = &left[19].letter;
    assert_eq!(last.reason, "still refused 40");
    assert_eq!((last.last_attempt, last.attempts), (now, 3));
    assert_eq!(last.first_attempt, letter("a", 60).first_attempt);
    // Gone is gone: neither is an error.
    assert_eq!(view.remove_letters(&[1]).unwrap(), 0);
    let touch = Touch {
        number: 1,
        reason: "x".to_owned(),
    };
    assert_eq!(view.touch_letters(now, &[touch]).unwrap(), 0);
    assert_eq!(view.letter(1).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_for_a_foreign_writer_instead_of_failing() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=2), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    let foreign = Connection::open(place.path()).unwrap();
    foreign
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM letters")
        .unwrap();
    let commit = {
        let journal = journal.clone();
        tokio::spawn(async move { journal.commit("a", 2, Vec::new()).await })
    };
    // Time for the commit to meet the foreign one; it succeeds as well where it comes later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    foreign.execute_batch("COMMIT").unwrap();
    commit.await.unwrap().unwrap();
    assert_eq!(journal.position("a").await.unwrap(), 2);
}

#[tokio::test]
async fn letters_come_in_pages_by_number_and_by_bytes() {
    let place = Place::new();
    with_letters(&place, 5).await;
    let view = View::open(&place.path()).unwrap();
    let count = |after, letters, bytes| view.letters(after, letters, bytes).unwrap().len();
    let bytes = letter("a", 1).body.len();
    assert_eq!(count(0, 3, usize::MAX), 3);
    assert_eq!(count(3, 3, usize::MAX), 2);
    assert_eq!(count(0, 100, 2 * bytes), 2);
    assert_eq!(count(0, 100, 1), 1);
}

#[tokio::test]
async fn a_reader_is_as_far_behind_as_there_are_records_it_has_not_had() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=10), None).await.unwrap();
    journal.keep_readers(&["a", "b"]).await.unwrap();
    journal.commit("a", 10, Vec::new()).await.unwrap();
    journal.commit("b", 4, Vec::new()).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    // What goes although `b` has not had it is not waited for.
    let later = chrono::Utc::now() + chrono::TimeDelta::days(30);
    journal.retain(later).await.unwrap();
    journal.append(bodies(11..=13), None).await.unwrap();
    journal.close().await;
    let snapshot = View::open(&place.path()).unwrap().snapshot().unwrap();
    let (a, b) = (&snapshot.readers[0], &snapshot.readers[1]);
    assert_eq!((a.position, a.behind, a.is_kept), (10, 3, true));
    assert_eq!((b.position, b.behind, b.is_kept), (4, 3, false));
    assert_eq!(a.oldest_waiting, snapshot.size.oldest);
}

#[tokio::test]
async fn a_journal_of_the_version_before_is_looked_into_as_it_is() {
    let place = Place::new();
    write_schema_1(&place);
    let before = fs::read(place.path()).unwrap();
    let view = View::open(&place.path()).unwrap();
    let snapshot = view.snapshot().unwrap();
    assert_eq!((snapshot.head, snapshot.size.letters), (2, 1));
    assert_eq!(snapshot.notes, []);
    assert_eq!(view.letter(1).unwrap().unwrap().letter.reason, "refused");
    drop(view);
    assert!(fs::read(place.path()).unwrap() == before);
}

#[tokio::test]
async fn a_journal_of_the_version_before_is_brought_up_to_date_and_keeps_everything() {
    let place = Place::new();
    write_schema_1(&place);
    let journal = place.open();
    assert_eq!(crate::numbers(&journal).await, [1, 2]);
    assert_eq!(journal.position("a").await.unwrap(), 1);
    assert_eq!(journal.letters(0, 10).await.unwrap().len(), 1);
    assert_eq!(
        journal.mark("source").await.unwrap().as_deref(),
        Some(&b"seven"[..])
    );
    let note = mirrorlag::journal::Note {
        name: "run".to_owned(),
        value: "{}".to_owned(),
    };
    journal.note(vec![note.clone()]).await.unwrap();
    journal.close().await;
    let connection = Connection::open(place.path()).unwrap();
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
    drop(connection);
    let snapshot = View::open(&place.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.notes[0].note, note);
    // And a second time there is nothing to bring up to date.
    assert_eq!(crate::numbers(&place.open()).await, [1, 2]);
}

#[tokio::test]
async fn a_start_is_not_refused_because_somebody_asks_who_has_the_journal() {
    let place = Place::new();
    place.open().close().await;
    let lock = fs::File::open(place.path().with_file_name("journal.db.lock")).unwrap();
    lock.try_lock_shared().unwrap();
    let asking = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(lock);
    });
    Journal::open(&settings(&place.path())).unwrap();
    asking.join().unwrap();
}

#[tokio::test]
async fn a_view_says_what_is_wrong_with_a_file_and_leaves_it_alone() {
    let place = Place::new();
    let folder = place.path().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let refusal = || View::open(&place.path()).unwrap_err().to_string();
    let missing = refusal();
    assert!(missing.contains("there is none"), "{missing}");
    assert!(files(&place.path()).is_empty());
    fs::write(place.path(), "shopping list\n").unwrap();
    assert!(refusal().contains("not an SQLite file"));
    fs::remove_file(place.path()).unwrap();
    with_letters(&place, 1).await;
    let newer = Connection::open(place.path()).unwrap();
    newer.execute_batch("PRAGMA user_version = 9").unwrap();
    newer.close().unwrap();
    let refused = refusal();
    assert!(refused.contains("schema 9, this one knows 2"), "{refused}");
    fs::remove_file(place.path()).unwrap();
    with_letters(&place, 500).await;
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(place.path(), &bytes).unwrap();
    let damaged = View::open(&place.path()).and_then(|view| view.snapshot());
    let damaged = damaged.unwrap_err().to_string();
    assert!(damaged.contains("the file is damaged"), "{damaged}");
    assert!(fs::read(place.path()).unwrap() == bytes);
}
