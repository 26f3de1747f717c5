//! In: the path of a journal. Out: a connection to a whole journal of a schema this program knows.
//! Never: recreates, repairs or overwrites a file that is there.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::{BUSY_WAIT, Cause};
use super::lock::beside;

/// `PRAGMA application_id`: "mlag" in ASCII, so that `file` and we can tell a journal from any other SQLite file.
const APPLICATION_ID: u32 = 0x6d6c_6167;

/// `PRAGMA user_version` of the tables below.
const SCHEMA_VERSION: i64 = 2;

/// The first schema with the table `notes`.
pub(super) const NOTES_SINCE: i64 = 2;

/// Up to this size every page is checked at the start (about 0.3 s on a disk); a larger journal is trusted until a page is read.
const CHECKED_BYTES_MAX: u64 = 256 << 20;

/// The write-ahead log is cut back to this after a burst, so that it does not keep the disk it once needed.
const WAL_KEPT_BYTES: i64 = 16 << 20;

/// FULL: every commit is synced before it returns. The fullfsync pair does the same on macOS, where fsync alone does not.
const DURABLE: &str =
    "PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1;";

const TABLES: &str = "
CREATE TABLE records (
  position    INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, also after the record is dropped
  appended_at TEXT NOT NULL,                     -- UTC, RFC 3339 with milliseconds
  body        TEXT NOT NULL                      -- JSON
);
CREATE TABLE readers (
  name         TEXT PRIMARY KEY,
  position     INTEGER NOT NULL,                 -- the reader has had every record up to here
  is_kept      INTEGER NOT NULL,                 -- 0: holds no record back any more
  committed_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE letters (
  number        INTEGER PRIMARY KEY AUTOINCREMENT,
  reader        TEXT NOT NULL,
  position      INTEGER NOT NULL,
  reason        TEXT NOT NULL,
  body          TEXT NOT NULL,
  first_attempt TEXT NOT NULL,
  last_attempt  TEXT NOT NULL,
  attempts      INTEGER NOT NULL,
  UNIQUE (reader, position)
);
CREATE TABLE marks (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
";

/// Since schema 2.
const NOTES_TABLE: &str = "
CREATE TABLE notes (
  name     TEXT PRIMARY KEY,
  noted_at TEXT NOT NULL,                        -- UTC, RFC 3339 with milliseconds
  value    TEXT NOT NULL                         -- JSON
) WITHOUT ROWID;
";

/// Opens the journal for writing, makes it when there is none, and checks that it is whole and ours.
///
/// The caller holds the lock.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, Cause> {
    match File::open(path) {
        Ok(file) => {
            check_header(&file)?;
            let file_bytes = file.metadata().map_err(Cause::Open)?.len();
            // Closed before SQLite opens the file: POSIX drops all locks of a process when it closes any descriptor of it.
            drop(file);
            let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            check(&connection, file_bytes <= CHECKED_BYTES_MAX)?;
            return migrated(prepare(connection)?);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Cause::Open(error)),
    }
    refuse_left_log(path)?;
    create(path)?;
    prepare(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

/// Whether the file there is a whole journal that this program knows, every page of it; changes nothing.
///
/// The caller holds the lock.
pub(super) fn check_whole(path: &Path) -> Result<(), Cause> {
    match File::open(path) {
        Ok(file) => {
            check_header(&file)?;
            // As above: no descriptor but SQLite's may be closed while SQLite has the file open.
            drop(file);
            check(&open_for_reading(path)?, true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => refuse_left_log(path),
        Err(error) => Err(Cause::Open(error)),
    }
}

/// SQLite would apply a log that a deleted journal left behind to the new file.
fn refuse_left_log(path: &Path) -> Result<(), Cause> {
    if beside(path, "-wal").exists() {
        return Err(Cause::Damaged(
            "its -wal file is there without it".to_owned(),
        ));
    }
    Ok(())
}

/// A second connection, which cannot write.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Cause> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// A second connection, which can write; the caller needs no lock and must not keep a transaction open.
pub(super) fn open_for_changes(path: &Path) -> Result<Connection, Cause> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch(DURABLE)?;
    Ok(connection)
}

/// A file named by a URI, which says how to open it.
pub(super) fn open_uri_for_reading(uri: &str) -> Result<Connection, Cause> {
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    connect(Path::new(uri), access)
}

/// Bytes of the write-ahead log; 0 where there is none.
pub(super) fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len())
}

/// Whether the write-ahead log has its index, so that a reader need not make one.
pub(super) fn has_index(path: &Path) -> bool {
    beside(path, "-shm").exists()
}

/// Makes the folder of the journal, readable by its owner only, and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), Cause> {
    let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(Cause::Open)
}

/// Builds the file under another name and renames it, so that a crash in between leaves no half-made journal.
fn create(path: &Path) -> Result<(), Cause> {
    let unfinished = beside(path, ".new");
    for suffix in ["", "-journal"] {
        match std::fs::remove_file(beside(&unfinished, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Cause::Open(error));
            }
            _ => {}
        }
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(Cause::Open)?;
    let connection = connect(&unfinished, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // auto_vacuum must be chosen before the first table; it lets retention give space back in small steps.
    connection.execute_batch(&format!(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL;
         BEGIN; {TABLES} {notes} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
        notes = NOTES_TABLE,
    ))?;
    connection
        .close()
        .map_err(|(_, error)| Cause::from(error))?;
    std::fs::rename(&unfinished, path).map_err(Cause::Open)?;
    // The name itself must survive a power failure.
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(Cause::Open)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, Cause> {
    // A connection is only ever used by one thread at a time, so SQLite need not lock it.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| Cause::Open(std::io::Error::other(error)))?;
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(connection)
}

/// Refuses another program's file before SQLite opens it, which could already write to it.
///
/// Source: "The Database Header" of the SQLite file format.
pub(super) fn check_header(mut file: &File) -> Result<(), Cause> {
    let mut header = Vec::with_capacity(100);
    Read::by_ref(&mut file)
        .take(100)
        .read_to_end(&mut header)
        .map_err(Cause::Open)?;
    if header.is_empty() {
        return Err(Cause::Damaged("it is empty".to_owned()));
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(Cause::Foreign("not an SQLite file".to_owned()));
    }
    match header.get(68..72) {
        Some(id) if id == APPLICATION_ID.to_be_bytes() => Ok(()),
        Some(_) => Err(Cause::Foreign("another program's SQLite file".to_owned())),
        None => Err(Cause::Damaged("it ends within its header".to_owned())),
    }
}

/// Refuses a schema that we do not know; returns which it is.
pub(super) fn check_version(connection: &Connection) -> Result<i64, Cause> {
    let found: i64 = pragma(connection, "user_version")?;
    match found {
        1..=SCHEMA_VERSION => Ok(found),
        ..1 => Err(Cause::Damaged(format!("schema {found} never existed"))),
        _ => Err(Cause::NewerSchema {
            found,
            known: SCHEMA_VERSION,
        }),
    }
}

/// Refuses what is not a whole journal of a schema we know.
fn check(connection: &Connection, every_page: bool) -> Result<(), Cause> {
    check_version(connection)?;
    if every_page {
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| Cause::Damaged(error.to_string()))?;
        if verdict != "ok" {
            return Err(Cause::Damaged(one_line(&verdict)));
        }
    }
    Ok(())
}

/// Brings an older schema to ours, in one transaction. An older mirrorlag refuses the file from then on.
fn migrated(connection: Connection) -> Result<Connection, Cause> {
    let found = check_version(&connection)?;
    if found < NOTES_SINCE {
        let change = format!(
            "BEGIN IMMEDIATE; {} PRAGMA user_version = {NOTES_SINCE}; COMMIT;",
            NOTES_TABLE
        );
        connection.execute_batch(&change).inspect_err(|_| {
            if !connection.is_autocommit() {
                let _undone = connection.execute_batch("ROLLBACK");
            }
        })?;
        tracing::info!(
            from = found,
            to = SCHEMA_VERSION,
            "journal: schema brought up to date"
        );
    }
    Ok(connection)
}

fn prepare(connection: Connection) -> Result<Connection, Cause> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Cause::Open(std::io::Error::other(format!(
            "this file system allows no write-ahead log (journal mode {mode}); use a local disk"
        ))));
    }
    connection.execute_batch(DURABLE)?;
    connection.query_row(
        &format!("PRAGMA journal_size_limit = {WAL_KEPT_BYTES}"),
        [],
        |_| Ok(()),
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

pub(super) fn pragma(connection: &Connection, name: &str) -> Result<i64, rusqlite::Error> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
