//! In: the path of a journal, from another process, while `run` has it open or afterwards. Out: what it holds; changes of its dead letters.
//! Never: takes the lock, leaves a file behind that the owner of the journal cannot use.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use rustix::fs::{Access, access};

use super::error::{Cause, Error};
use super::identity::Identity;
use super::letters::{self, StoredLetter, Touch};
use super::lock::{self, Holder};
use super::notes::{self, StoredNote};
use super::tables::{self, Reader};
use super::{Position, Record, Size, schema};

/// A journal as another process than the one that writes it sees it.
///
/// Not for the process that has it open as a `Journal`: looking at the file's header there would drop SQLite's locks.
#[derive(Debug)]
pub struct View {
    path: PathBuf,
    connection: Connection,
    has_notes: bool,
    identity: Identity,
    /// Whether changes of the file are not seen, because this user may neither write it nor make a file beside it.
    is_fixed: bool,
}

/// The journal at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub size: Size,
    /// The newest position ever given out.
    pub head: Position,
    /// By name; also those that hold nothing back any more.
    pub readers: Vec<Reader>,
    /// By name; empty in a journal that an older version has written.
    pub notes: Vec<StoredNote>,
}

impl View {
    /// Opens the journal at `path`, whoever has it open.
    ///
    /// # Errors
    /// There is none, it is foreign, damaged or of a newer schema, or this user may not read it.
    pub fn open(path: &Path) -> Result<View, Error> {
        let at = |cause: Cause| for_reading(cause).at(path);
        let file = File::open(path).map_err(|error| at(why_closed(error)))?;
        schema::check_header(&file).map_err(at)?;
        // As in `schema`: a descriptor closed later would take SQLite's locks with it.
        drop(file);
        let identity = Identity::of(path).map_err(at)?;
        let (connection, is_fixed) = connect(path).map_err(at)?;
        let version = schema::check_version(&connection).map_err(at)?;
        Ok(View {
            path: path.to_owned(),
            connection,
            identity,
            is_fixed,
            has_notes: version >= schema::NOTES_SINCE,
        })
    }

    /// The process that collects into this journal; `None`: nobody does.
    ///
    /// # Errors
    /// The lock file may not be read.
    pub fn holder(&self) -> Result<Option<Holder>, Error> {
        lock::holder(&self.path).map_err(|cause| cause.at(&self.path))
    }

    /// All but the records and letters themselves, as of one moment.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.read(|connection| snapshot(connection, self.has_notes))
    }

    /// Whether the path still leads to the file that this looks into, and its changes are seen; otherwise open it anew, after this was dropped.
    pub fn is_current(&self) -> bool {
        !self.is_fixed && self.identity.is_same_file()
    }

    /// Records after position `after`, as `Journal::read` gives them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn records(
        &self,
        after: Position,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, Error> {
        self.read(|connection| tables::read(connection, after, records_max, bytes_max))
    }

    /// The position before the first record appended at `since` or later; the newest where there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn position_before(&self, since: DateTime<Utc>) -> Result<Position, Error> {
        self.read(|connection| tables::before(connection, since))
    }

    /// Dead letters with a number above `after`, in their order: at most `letters_max`, and no more once `bytes_max` of bodies are
    /// reached, but one at least if there is one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letters(
        &self,
        after: u64,
        letters_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredLetter>, Error> {
        self.read(|connection| letters::list(connection, after, letters_max, bytes_max))
    }

    /// The dead letter with this number; `None`: there is none, or none any more.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letter(&self, number: u64) -> Result<Option<StoredLetter>, Error> {
        let from = number.saturating_sub(1);
        let found = self.read(|connection| letters::list(connection, from, 1, usize::MAX))?;
        Ok(found.into_iter().find(|letter| letter.number == number))
    }

    /// Forgets the dead letters with these numbers; returns how many there were.
    ///
    /// # Errors
    /// Disk full or failing, or this user may not write the file; then none is forgotten.
    pub fn remove_letters(&self, numbers: &[u64]) -> Result<u64, Error> {
        self.write(|connection| letters::remove(connection, numbers))
    }

    /// Notes another attempt at each; returns how many there were. A letter that is gone meanwhile stays gone.
    ///
    /// # Errors
    /// Disk full or failing, or this user may not write the file; then none is changed.
    pub fn touch_letters(&self, now: DateTime<Utc>, touches: &[Touch]) -> Result<u64, Error> {
        self.write(|connection| letters::touch(connection, now, touches))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Cause>) -> Result<T, Error> {
        read(&self.connection).map_err(|cause| for_reading(cause).at(&self.path))
    }

    /// As the writer of `run` does it: it waits for that one, and that one for us, and neither ever has to begin anew.
    fn write<T>(&self, change: impl FnOnce(&Connection) -> Result<T, Cause>) -> Result<T, Error> {
        let run = || -> Result<T, Cause> {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            let found = change(&self.connection)?;
            self.connection.execute_batch("COMMIT")?;
            Ok(found)
        };
        run().map_err(|cause| {
            if !self.connection.is_autocommit() {
                let _undone = self.connection.execute_batch("ROLLBACK");
            }
            cause.at(&self.path)
        })
    }
}

/// All but the records and letters themselves, as of one moment.
pub(super) fn snapshot(connection: &Connection, has_notes: bool) -> Result<Snapshot, Cause> {
    // One transaction: position and head must be of one moment, or a reader seems to be behind that is not.
    let moment = connection.unchecked_transaction()?;
    Ok(Snapshot {
        size: tables::size(&moment)?,
        head: tables::head(&moment)?,
        readers: tables::readers(&moment)?,
        notes: match has_notes {
            true => notes::all(&moment)?,
            false => Vec::new(),
        },
    })
}

/// A connection, and whether it does not see what changes from now on.
///
/// Whoever may write the file opens it for writing: the last of them folds the write-ahead log into it and removes the files beside
/// it, and where root makes those, SQLite gives them to the owner of the journal. Whoever may only read must make no file.
fn connect(path: &Path) -> Result<(Connection, bool), Cause> {
    if access(path, Access::READ_OK | Access::WRITE_OK).is_ok() {
        return Ok((schema::open_for_changes(path)?, false));
    }
    let log = schema::log_bytes(path);
    if log > 0 && schema::has_index(path) {
        return Ok((schema::open_for_reading(path)?, false));
    }
    if log == 0 {
        return Ok((open_unchanging(path)?, true));
    }
    Err(Cause::NotReadable(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "its -wal file has to be recovered first",
    )))
}

/// A file that nobody writes, read without any file beside it.
///
/// Source: sqlite.org/uri.html, `immutable`.
fn open_unchanging(path: &Path) -> Result<Connection, Cause> {
    let mut uri = "file:".to_owned();
    for &byte in std::path::absolute(path)
        .map_err(Cause::NotReadable)?
        .as_os_str()
        .as_bytes()
    {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    schema::open_uri_for_reading(&uri)
}

fn why_closed(error: io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::NotFound => Cause::Missing,
        _ => Cause::NotReadable(error),
    }
}

/// What fails while only reading did not fail to write.
fn for_reading(cause: Cause) -> Cause {
    match cause {
        Cause::Write(text) => Cause::Read(text),
        Cause::Open(error) => Cause::NotReadable(error),
        other => other,
    }
}
