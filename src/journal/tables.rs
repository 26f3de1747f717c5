//! In: a connection. Out: what the tables records, readers and marks hold, and changes of it.
//! Never: begins or ends a transaction, which the writer does for many at once.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::Cause;
use super::{Mark, Position, Record, Size, schema};

pub(super) fn append(
    connection: &Connection,
    appended_at: DateTime<Utc>,
    records: &[Vec<u8>],
) -> Result<(), Cause> {
    let mut insert =
        connection.prepare_cached("INSERT INTO records (appended_at, body) VALUES (?1, ?2)")?;
    let appended_at = instant_text(appended_at);
    for record in records {
        insert.execute((&appended_at, body_value(record)))?;
    }
    Ok(())
}

/// The newest position ever given out, also when its record was dropped.
pub(super) fn head(connection: &Connection) -> Result<Position, Cause> {
    let head = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'records'")?
        .query_row([], |row| number(row, 0))
        .optional()?;
    Ok(head.unwrap_or(0))
}

/// The position before the oldest record kept, where a new reader starts.
pub(super) fn start(connection: &Connection) -> Result<Position, Cause> {
    match oldest(connection)? {
        Some(oldest) => Ok(oldest.saturating_sub(1)),
        None => head(connection),
    }
}

/// The position before the first record appended at `since` or later; the newest where there is none.
///
/// Looks at a few records only: instants grow with the positions, but for a clock that was set back, where this is a near miss.
pub(super) fn before(connection: &Connection, since: DateTime<Utc>) -> Result<Position, Cause> {
    let mut appended_at = connection.prepare_cached(
        "SELECT appended_at FROM records WHERE position >= ?1 ORDER BY position LIMIT 1",
    )?;
    let (mut low, mut high) = (start(connection)?, head(connection)?);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = appended_at
            .query_row([stored(middle + 1)], |row| instant(row, 0))
            .optional()?;
        match found {
            Some(at) if at < since => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

pub(super) fn oldest(connection: &Connection) -> Result<Option<Position>, Cause> {
    Ok(connection
        .prepare_cached("SELECT position FROM records ORDER BY position LIMIT 1")?
        .query_row([], |row| number(row, 0))
        .optional()?)
}

pub(super) fn set_mark(connection: &Connection, mark: &Mark) -> Result<(), Cause> {
    connection
        .prepare_cached(
            "INSERT INTO marks (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute((&mark.name, body_value(&mark.value)))?;
    Ok(())
}

pub(super) fn mark(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, Cause> {
    Ok(connection
        .prepare_cached("SELECT value FROM marks WHERE name = ?1")?
        .query_row([name], |row| body(row, 0))
        .optional()?)
}

pub(super) fn keep_readers(
    connection: &Connection,
    now: DateTime<Utc>,
    names: &[String],
) -> Result<(), Cause> {
    let start = stored(start(connection)?);
    connection.execute("UPDATE readers SET is_kept = 0", [])?;
    let mut keep = connection.prepare_cached(
        "INSERT INTO readers (name, position, is_kept, committed_at) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (name) DO UPDATE SET is_kept = 1",
    )?;
    for name in names {
        keep.execute((name, start, instant_text(now)))?;
    }
    Ok(())
}

/// How far a reader committed; `None` for one that was never named.
pub(super) fn position(connection: &Connection, reader: &str) -> Result<Option<Position>, Cause> {
    Ok(connection
        .prepare_cached("SELECT position FROM readers WHERE name = ?1")?
        .query_row([reader], |row| number(row, 0))
        .optional()?)
}

/// One who reads records in order and commits how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    pub name: String,
    /// It has had every record up to here.
    pub position: Position,
    /// Whether records wait for it; not, once it left the configuration.
    pub is_kept: bool,
    pub committed_at: DateTime<Utc>,
    /// Records kept that it has not had.
    pub behind: u64,
    /// When the oldest of those was appended; `None`: it has had all.
    pub oldest_waiting: Option<DateTime<Utc>>,
}

/// Every reader that was ever named, by name.
pub(super) fn readers(connection: &Connection) -> Result<Vec<Reader>, Cause> {
    let head = head(connection)?;
    let start = start(connection)?;
    let mut select = connection.prepare_cached(
        "SELECT name, position, is_kept, committed_at,
           (SELECT appended_at FROM records WHERE records.position > readers.position
            ORDER BY records.position LIMIT 1)
         FROM readers ORDER BY name",
    )?;
    let rows = select.query_map([], |row| {
        let position = number(row, 1)?;
        let is_waiting = row.get_ref(4)? != ValueRef::Null;
        Ok(Reader {
            name: row.get(0)?,
            position,
            is_kept: row.get(2)?,
            committed_at: instant(row, 3)?,
            // What retention dropped unread is not waited for any more.
            behind: head.saturating_sub(position.max(start)),
            oldest_waiting: is_waiting.then(|| instant(row, 4)).transpose()?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What every kept reader has had; `None` when no reader is kept, so that nothing is held back.
pub(super) fn had_by_all(connection: &Connection) -> Result<Option<Position>, Cause> {
    let least: Option<i64> = connection
        .prepare_cached("SELECT min(position) FROM readers WHERE is_kept = 1")?
        .query_row([], |row| row.get(0))?;
    Ok(least.map(|it| Position::try_from(it).unwrap_or(0)))
}

pub(super) fn commit(
    connection: &Connection,
    now: DateTime<Utc>,
    reader: &str,
    position: Position,
) -> Result<(), Cause> {
    let head = head(connection)?;
    if position > head {
        return Err(Cause::BeyondHead {
            asked: position,
            head,
        });
    }
    let changed = connection
        .prepare_cached(
            "UPDATE readers SET position = max(position, ?2), committed_at = ?3 WHERE name = ?1",
        )?
        .execute((reader, stored(position), instant_text(now)))?;
    if changed == 0 {
        return Err(Cause::UnknownReader(reader.to_owned()));
    }
    Ok(())
}

pub(super) fn read(
    connection: &Connection,
    after: Position,
    records_max: usize,
    bytes_max: usize,
) -> Result<Vec<Record>, Cause> {
    let mut select = connection.prepare_cached(
        "SELECT position, appended_at, body FROM records WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let limit = i64::try_from(records_max.max(1)).unwrap_or(i64::MAX);
    let mut rows = select.query((stored(after), limit))?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let record = Record {
            position: number(row, 0)?,
            appended_at: instant(row, 1)?,
            body: body(row, 2)?,
        };
        bytes += record.body.len();
        if bytes > bytes_max && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(records)
}

pub(super) fn size(connection: &Connection) -> Result<Size, Cause> {
    // Records only ever go from the front, so that first and last say how many there are without a scan.
    let newest: Option<i64> =
        connection.query_row("SELECT max(position) FROM records", [], |row| row.get(0))?;
    let newest = newest.and_then(|it| Position::try_from(it).ok());
    let oldest = oldest(connection)?;
    let records = match (oldest, newest) {
        (Some(oldest), Some(newest)) => (newest + 1).saturating_sub(oldest),
        _ => 0,
    };
    let letters = connection.query_row("SELECT count(*) FROM letters", [], |row| number(row, 0))?;
    let oldest = connection
        .prepare_cached("SELECT appended_at FROM records ORDER BY position LIMIT 1")?
        .query_row([], |row| instant(row, 0))
        .optional()?;
    Ok(Size {
        bytes: used_bytes(connection)?,
        records,
        letters,
        oldest,
    })
}

/// Bytes of all pages that hold something.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, Cause> {
    let pages = schema::pragma(connection, "page_count")?;
    let free = schema::pragma(connection, "freelist_count")?;
    let page_bytes = schema::pragma(connection, "page_size")?;
    Ok(u64::try_from((pages - free).saturating_mul(page_bytes)).unwrap_or(0))
}

/// SQLite's integers are signed; positions stay far below the difference.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn number(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn instant_text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn instant(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>, rusqlite::Error> {
    let text = row.get_ref(column)?.as_str()?;
    let instant = DateTime::parse_from_rfc3339(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })?;
    Ok(instant.to_utc())
}

/// Text where it is UTF-8, so that `sqlite3` shows it; bytes come back as they were either way.
pub(super) fn body_value(body: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match std::str::from_utf8(body) {
        Ok(_) => ValueRef::Text(body),
        Err(_) => ValueRef::Blob(body),
    })
}

pub(super) fn body(row: &Row<'_>, column: usize) -> Result<Vec<u8>, rusqlite::Error> {
    Ok(row.get_ref(column)?.as_bytes()?.to_owned())
}
