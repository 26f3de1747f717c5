//! The journal on real files, by kind of promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod child;
mod disk_full;
mod durability;
mod gone;
mod letters;
mod lock;
mod notes;
mod order;
mod readers;
mod refusals;
mod retention;
mod view;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mirrorlag::journal::{Journal, Letter, Settings};

/// A journal in a folder that goes away with this value.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/journal.db")
    }

    fn settings(&self) -> Settings {
        settings(&self.path())
    }

    fn open(&self) -> Journal {
        Journal::open(&self.settings()).unwrap()
    }
}

fn settings(path: &Path) -> Settings {
    Settings {
        path: path.to_owned(),
        retain_for: Duration::from_secs(7 * 86_400),
        bytes_max: 2 << 30,
    }
}

/// The body of record `number`: JSON, so that it reads like the real ones.
fn body(number: u64) -> Vec<u8> {
    format!("{{\"number\":{number}}}").into_bytes()
}

fn bodies(numbers: std::ops::RangeInclusive<u64>) -> Vec<Vec<u8>> {
    numbers.map(body).collect()
}

/// All numbers that the journal holds, in its order; every body must be at the position of its number.
async fn numbers(journal: &Journal) -> Vec<u64> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let records = journal.read(after, 100, 1 << 20).await.unwrap();
        let Some(last) = records.last() else {
            return found;
        };
        after = last.position;
        for record in records {
            assert_eq!(record.body, body(record.position));
            found.push(record.position);
        }
    }
}

fn letter(reader: &str, position: u64) -> Letter {
    let now = chrono::DateTime::from_timestamp_millis(1_763_632_800_123).unwrap();
    Letter {
        reader: reader.to_owned(),
        position,
        reason: "document_parsing_exception: failed to parse field [p0]".to_owned(),
        body: body(position),
        first_attempt: now,
        last_attempt: now + chrono::TimeDelta::seconds(3),
        attempts: 2,
    }
}

/// The whole database is sound, as SQLite itself sees it.
fn assert_sound(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}
