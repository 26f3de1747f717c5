//! In: what the running program says of itself. Out: the same, for a command that looks in from another process.
//! Never: looks inside a note, holds an append back.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::error::Cause;
use super::tables::{instant, instant_text};

/// Notes written in one transaction: well under a millisecond, so that an append never waits noticeably behind them.
pub(super) const NOTES_PER_STEP: usize = 64;

/// What a part of the program says of itself; replaced by the next one of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub name: String,
    /// JSON.
    pub value: String,
}

/// A note in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNote {
    pub note: Note,
    pub noted_at: DateTime<Utc>,
}

pub(super) fn set(
    connection: &Connection,
    now: DateTime<Utc>,
    notes: &[Note],
) -> Result<(), Cause> {
    let mut replace = connection.prepare_cached(
        "INSERT INTO notes (name, noted_at, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET noted_at = excluded.noted_at, value = excluded.value",
    )?;
    let now = instant_text(now);
    for note in notes {
        replace.execute((&note.name, &now, &note.value))?;
    }
    Ok(())
}

/// Forgets every note whose name is not in `names`; returns how many.
pub(super) fn keep(connection: &Connection, names: &BTreeSet<String>) -> Result<u64, Cause> {
    let mut forget = connection.prepare_cached("DELETE FROM notes WHERE name = ?1")?;
    let mut forgotten = 0;
    for stored in all(connection)? {
        if !names.contains(&stored.note.name) {
            forgotten += forget.execute([&stored.note.name])? as u64;
        }
    }
    Ok(forgotten)
}

/// Every note, by name.
pub(super) fn all(connection: &Connection) -> Result<Vec<StoredNote>, Cause> {
    let mut select =
        connection.prepare_cached("SELECT name, noted_at, value FROM notes ORDER BY name")?;
    let rows = select.query_map([], |row| {
        Ok(StoredNote {
            note: Note {
                name: row.get(0)?,
                value: row.get(2)?,
            },
            noted_at: instant(row, 1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
