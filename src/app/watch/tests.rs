use std::fs;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rusqlite::Connection;

use super::follower::Follower;
use crate::journal::{Journal, Settings};
use crate::kafka::{GroupState, Outcome};
use crate::sample::Sample;
use crate::watch::Update;

/// A journal that is written by SQLite alone: `Journal` and `View` are not for one process.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("journal.db")
    }

    async fn make(&self, name: &str) {
        let settings = Settings {
            path: self.folder.path().join(name),
            retain_for: std::time::Duration::from_secs(3600),
            bytes_max: 64 << 20,
        };
        Journal::open(&settings).unwrap().close().await;
    }

    fn follow(&self) -> Follower {
        Follower::of_run(&self.path(), None)
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

fn append(path: &Path, topic: &str, appended_at: DateTime<Utc>) {
    let sample = Sample {
        sampled_at: appended_at,
        clock_generation: 0,
        topic: topic.to_owned(),
        group: "oasis".to_owned(),
        mirror_host: "mm-1".to_owned(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: Vec::new(),
        round_ms: None,
    };
    let instant = appended_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = serde_json::to_string(&sample).unwrap();
    let connection = Connection::open(path).unwrap();
    let insert = "INSERT INTO records (appended_at, body) VALUES (?1, ?2)";
    connection.execute(insert, (instant, body)).unwrap();
}

/// The topics of what came, in order.
fn topics(update: Option<Update>) -> Vec<String> {
    let samples = update.unwrap_or_default().samples;
    samples.into_iter().map(|it| it.topic).collect()
}

fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

#[tokio::test]
async fn the_last_minutes_come_first_and_then_only_what_is_new() {
    let place = Place::new();
    place.make("journal.db").await;
    for (topic, age) in [("old", 3600), ("older", 301), ("a", 299), ("b", 10)] {
        append(&place.path(), topic, later(-age));
    }
    let mut follower = place.follow();
    assert_eq!(topics(follower.look(now())), ["a", "b"]);
    assert_eq!(topics(follower.look(now())), [""; 0]);
    append(&place.path(), "c", later(1));
    append(&place.path(), "d", later(1));
    let update = follower.look(later(1)).unwrap();
    assert!(!update.is_another);
    assert_eq!(topics(Some(update)), ["c", "d"]);
    // The notes are due again; nobody has the lock.
    let standing = follower.look(later(3)).unwrap().standing.unwrap();
    assert!(!standing.is_alive);
    assert!(
        standing.problems[0].starts_with("run: no run is alive"),
        "{standing:?}"
    );
}

#[tokio::test]
async fn a_run_that_has_ended_leaves_one_file_and_it_is_looked_into_again_only_when_it_changes() {
    let place = Place::new();
    place.make("journal.db").await;
    // The log that a run leaves whose journal somebody else has open.
    let other = Connection::open(place.path()).unwrap();
    other
        .query_row("SELECT count(*) FROM records", [], |_| Ok(()))
        .unwrap();
    append(&place.path(), "a", now());
    let mut follower = place.follow();
    assert_eq!(topics(follower.look(now())), ["a"]);
    other.close().unwrap();
    assert!(follower.look(now()).is_some());
    let has_log = || place.folder.path().join("journal.db-wal").exists();
    assert!(!has_log());
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let file = fs::File::options().write(true).open(place.path()).unwrap();
    file.set_modified(long_ago).unwrap();
    assert!(follower.look(later(3)).is_some());
    assert_eq!(follower.look(later(6)), None);
    assert_eq!(follower.look(later(9)), None);
    append(&place.path(), "b", later(9));
    assert_eq!(topics(follower.look(later(9))), ["b"]);
}

#[tokio::test]
async fn a_journal_that_is_not_there_yet_is_waited_for() {
    let place = Place::new();
    let mut follower = place.follow();
    let update = follower.look(now()).unwrap();
    assert!(update.trouble.unwrap().contains("there is none"));
    // Said once.
    assert_eq!(follower.look(now()), None);
    place.make("journal.db").await;
    append(&place.path(), "a", now());
    let update = follower.look(now()).unwrap();
    assert_eq!(
        (update.trouble.as_deref(), update.is_another),
        (None, false)
    );
    assert_eq!(topics(Some(update)), ["a"]);
}

#[tokio::test]
async fn a_journal_that_was_moved_away_and_back_goes_on_where_it_was() {
    let place = Place::new();
    place.make("journal.db").await;
    append(&place.path(), "a", now());
    let mut follower = place.follow();
    assert_eq!(topics(follower.look(now())), ["a"]);
    let aside = place.folder.path().join("aside.db");
    fs::rename(place.path(), &aside).unwrap();
    let update = follower.look(now()).unwrap();
    assert!(update.trouble.unwrap().contains("there is none"));
    fs::rename(&aside, place.path()).unwrap();
    append(&place.path(), "b", now());
    let update = follower.look(now()).unwrap();
    assert_eq!(
        (update.trouble.as_deref(), update.is_another),
        (None, false)
    );
    assert_eq!(topics(Some(update)), ["b"]);
}

#[tokio::test]
async fn another_journal_in_its_place_is_read_from_its_beginning_and_said_to_be_another() {
    let place = Place::new();
    place.make("journal.db").await;
    append(&place.path(), "a", later(-1));
    let mut follower = place.follow();
    assert_eq!(topics(follower.look(now())), ["a"]);
    // As many records as the one before: only their instants differ.
    place.make("other.db").await;
    append(&place.folder.path().join("other.db"), "x", now());
    fs::rename(place.folder.path().join("other.db"), place.path()).unwrap();
    let update = follower.look(now()).unwrap();
    assert!(update.is_another);
    assert_eq!(topics(Some(update)), ["x"]);
    // And a younger one.
    place.make("third.db").await;
    fs::rename(place.folder.path().join("third.db"), place.path()).unwrap();
    assert!(follower.look(now()).unwrap().is_another);
}

#[tokio::test]
async fn a_file_that_is_no_journal_any_more_is_said_and_waited_for() {
    for (bytes, said) in [(&b""[..], "journal"), (b"shopping list\n", "not a journal")] {
        let place = Place::new();
        place.make("journal.db").await;
        append(&place.path(), "a", now());
        let mut follower = place.follow();
        assert_eq!(topics(follower.look(now())), ["a"]);
        let sound = place.folder.path().join("sound.db");
        fs::rename(place.path(), &sound).unwrap();
        fs::write(place.path(), bytes).unwrap();
        let trouble = follower.look(now()).unwrap().trouble.unwrap();
        assert!(trouble.contains(said), "{trouble}");
        fs::rename(&sound, place.path()).unwrap();
        let update = follower.look(now()).unwrap();
        assert_eq!(
            (update.trouble.as_deref(), update.is_another),
            (None, false)
        );
    }
}

#[tokio::test]
async fn a_journal_that_is_emptied_in_its_place_does_not_end_it() {
    let place = Place::new();
    place.make("journal.db").await;
    append(&place.path(), "a", now());
    let mut follower = place.follow();
    assert_eq!(topics(follower.look(now())), ["a"]);
    fs::write(place.path(), b"").unwrap();
    let trouble = follower.look(later(3)).unwrap().trouble;
    assert!(trouble.is_some());
}

#[tokio::test]
async fn a_journal_that_somebody_has_locked_is_said_after_five_seconds_and_read_later() {
    let place = Place::new();
    place.make("journal.db").await;
    append(&place.path(), "a", now());
    let lock = Connection::open(place.path()).unwrap();
    lock.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;")
        .unwrap();
    let mut follower = place.follow();
    let trouble = follower.look(now()).unwrap().trouble.unwrap();
    assert!(
        trouble.contains("locked by another program for 5 s"),
        "{trouble}"
    );
    drop(lock);
    assert_eq!(topics(follower.look(now())), ["a"]);
}
