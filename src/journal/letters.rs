//! In: records that a reader's sink can never store. Out: the same, with the reason, for an operator to look at.
//! Never: decides which record becomes a letter.

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::Position;
use super::error::Cause;
use super::tables::{body, body_value, instant, instant_text, number, stored};

/// A record that one sink refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The reader whose sink refused it.
    pub reader: String,
    /// Position of the record, which itself may be dropped since.
    pub position: Position,
    /// Type and reason in the words of the sink.
    pub reason: String,
    /// The record as it was appended.
    pub body: Vec<u8>,
    pub first_attempt: DateTime<Utc>,
    pub last_attempt: DateTime<Utc>,
    /// How often it was sent; 0 for a record that could not be read as a sample.
    pub attempts: u32,
}

/// A dead letter in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLetter {
    /// By which an operator names it; never used again.
    pub number: u64,
    pub letter: Letter,
}

/// Another attempt at a dead letter that is still refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    pub number: u64,
    /// What the sink says now.
    pub reason: String,
}

pub(super) fn keep(connection: &Connection, letters: &[Letter]) -> Result<(), Cause> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO letters (reader, position, reason, body, first_attempt, last_attempt, attempts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (reader, position) DO NOTHING",
    )?;
    for letter in letters {
        insert.execute((
            &letter.reader,
            stored(letter.position),
            &letter.reason,
            body_value(&letter.body),
            instant_text(letter.first_attempt),
            instant_text(letter.last_attempt),
            letter.attempts,
        ))?;
    }
    Ok(())
}

pub(super) fn list(
    connection: &Connection,
    after: u64,
    letters_max: usize,
    bytes_max: usize,
) -> Result<Vec<StoredLetter>, Cause> {
    let mut select = connection.prepare_cached(
        "SELECT number, reader, position, reason, body, first_attempt, last_attempt, attempts
         FROM letters WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let limit = i64::try_from(letters_max).unwrap_or(i64::MAX);
    let mut rows = select.query((stored(after), limit))?;
    let mut letters = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let letter = StoredLetter {
            number: number(row, 0)?,
            letter: Letter {
                reader: row.get(1)?,
                position: number(row, 2)?,
                reason: row.get(3)?,
                body: body(row, 4)?,
                first_attempt: instant(row, 5)?,
                last_attempt: instant(row, 6)?,
                attempts: row.get(7)?,
            },
        };
        bytes += letter.letter.body.len();
        if bytes > bytes_max && !letters.is_empty() {
            break;
        }
        letters.push(letter);
    }
    Ok(letters)
}

pub(super) fn touch(
    connection: &Connection,
    now: DateTime<Utc>,
    touches: &[Touch],
) -> Result<u64, Cause> {
    let mut update = connection.prepare_cached(
        "UPDATE letters SET reason = ?2, last_attempt = ?3, attempts = attempts + 1 WHERE number = ?1",
    )?;
    let mut touched = 0;
    for touch in touches {
        touched += update.execute((stored(touch.number), &touch.reason, instant_text(now)))? as u64;
    }
    Ok(touched)
}

pub(super) fn remove(connection: &Connection, numbers: &[u64]) -> Result<u64, Cause> {
    let mut delete = connection.prepare_cached("DELETE FROM letters WHERE number = ?1")?;
    let mut removed = 0;
    for &number in numbers {
        removed += delete.execute([stored(number)])? as u64;
    }
    Ok(removed)
}
