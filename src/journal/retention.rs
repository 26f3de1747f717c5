//! In: how much may be kept, and now. Out: the oldest records gone, a few at a time, and how many.
//! Never: drops by age what a reader has not had, keeps the writer busy for long.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};

use super::error::{Cause, Error};
use super::tables::{had_by_all, instant, number, stored, used_bytes};
use super::writer::Writer;
use super::{Position, Settings};

/// Records dropped in one transaction: about a millisecond, so that appends never wait long behind it.
const RECORDS_PER_STEP: u64 = 256;

/// Dead letters kept: an operator reads tens; more means one cause for all, and they must not fill the journal.
pub const LETTERS_MAX: u64 = 10_000;

/// Free pages given back to the file system in one transaction, about 1 MiB.
const PAGES_PER_STEP: i64 = 256;

/// What a call of `retain` dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Records that every reader had had and that were old enough.
    pub by_age: u64,
    /// Records that went because of the size limit.
    pub by_bytes: u64,
    /// Those of `by_bytes` that a reader had not had: lost to that reader's sink. The caller says so in the log.
    pub unread: u64,
    /// Dead letters over the limit.
    pub letters: u64,
}

pub(super) async fn retain(
    writer: &Writer,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Dropped, Error> {
    let mut dropped = Dropped::default();
    // A duration beyond what a date can hold keeps everything.
    let oldest_kept = chrono::Duration::from_std(settings.retain_for)
        .ok()
        .and_then(|kept| now.checked_sub_signed(kept));
    if let Some(oldest_kept) = oldest_kept {
        loop {
            let gone = writer
                .write(move |connection| drop_aged(connection, oldest_kept))
                .await?;
            dropped.by_age += gone;
            if gone < RECORDS_PER_STEP {
                break;
            }
        }
    }
    let bytes_max = settings.bytes_max;
    loop {
        let (gone, unread) = writer
            .write(move |connection| drop_over_size(connection, bytes_max))
            .await?;
        dropped.by_bytes += gone;
        dropped.unread += unread;
        if gone == 0 {
            break;
        }
    }
    dropped.letters = writer.write(drop_letters).await?;
    while writer.write(give_back).await? {}
    if dropped.letters > 0 {
        tracing::error!(
            letters = dropped.letters,
            letters_max = LETTERS_MAX,
            "dropped the oldest dead letters"
        );
    }
    Ok(dropped)
}

/// Drops one step of records that every reader has had and that were appended before `oldest_kept`; returns how many.
fn drop_aged(connection: &Connection, oldest_kept: DateTime<Utc>) -> Result<u64, Cause> {
    let had = had_by_all(connection)?.map_or(i64::MAX, stored);
    let mut select = connection.prepare_cached(
        "SELECT position, appended_at FROM records WHERE position <= ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut rows = select.query((had, stored(RECORDS_PER_STEP)))?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        // Records go from the front only, so the first young one keeps all behind it.
        if instant(row, 1)? >= oldest_kept {
            break;
        }
        last = Some(number(row, 0)?);
    }
    drop(rows);
    last.map_or(Ok(0), |last| drop_up_to(connection, last))
}

/// Drops one step of the oldest records while more than `bytes_max` are in use; returns how many, and how many of them unread.
fn drop_over_size(connection: &Connection, bytes_max: u64) -> Result<(u64, u64), Cause> {
    if used_bytes(connection)? <= bytes_max {
        return Ok((0, 0));
    }
    let had = had_by_all(connection)?.unwrap_or(Position::MAX);
    let last = connection
        .prepare_cached(
            "SELECT max(position), coalesce(sum(position > ?1), 0) FROM (SELECT position FROM records ORDER BY position LIMIT ?2)",
        )?
        .query_row((stored(had), stored(RECORDS_PER_STEP)), |row| {
            Ok((row.get::<_, Option<i64>>(0)?, number(row, 1)?))
        })
        .optional()?;
    match last {
        Some((Some(last), unread)) => {
            let gone = drop_up_to(connection, Position::try_from(last).unwrap_or(0))?;
            Ok((gone, unread))
        }
        _ => Ok((0, 0)),
    }
}

fn drop_up_to(connection: &Connection, last: Position) -> Result<u64, Cause> {
    let gone = connection
        .prepare_cached("DELETE FROM records WHERE position <= ?1")?
        .execute([stored(last)])?;
    Ok(gone as u64)
}

fn drop_letters(connection: &Connection) -> Result<u64, Cause> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM letters WHERE number <= (SELECT number FROM letters ORDER BY number DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([stored(LETTERS_MAX)])?;
    Ok(gone as u64)
}

/// Gives one step of free pages back when more than a quarter of the file is free; below that, new records use them.
fn give_back(connection: &Connection) -> Result<bool, Cause> {
    let pages = super::schema::pragma(connection, "page_count")?;
    let free = super::schema::pragma(connection, "freelist_count")?;
    if free < PAGES_PER_STEP || free < pages / 4 {
        return Ok(false);
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_PER_STEP})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(super::schema::pragma(connection, "freelist_count")? < free)
}
