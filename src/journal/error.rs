//! In: what SQLite or the file system answered. Out: one line that says what, where, why and the mend.
//! Never: names a record's content.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;

use super::Position;

/// How long a write waits for an operator's `sqlite3` that has the file locked; longer, and collecting would pile up.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// A journal that could not do what it was asked; nothing that it had reported as stored is affected.
#[derive(Debug, thiserror::Error)]
#[error("journal {}: {cause}", path.display())]
pub struct Error {
    /// The SQLite file.
    pub path: PathBuf,
    pub cause: Cause,
}

/// Why a journal could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error(
        "in use by another mirrorlag ({}); stop that one, or give this one its own journal.path",
        owner(*pid)
    )]
    InUse {
        /// Process id that the lock file names; `None` where it names none.
        pid: Option<u32>,
    },
    #[error("cannot create or open it: {0}; check that the folder exists and may be written to")]
    Open(std::io::Error),
    #[error(
        "this is not a journal of mirrorlag ({0}); it is left untouched: give another journal.path"
    )]
    Foreign(String),
    #[error(
        "the file is damaged ({0}); it is left untouched: `mirrorlag run --journal-reset` moves it aside and starts anew, and `sqlite3 FILE .recover` shows what it held"
    )]
    Damaged(String),
    #[error(
        "this journal is sound, so --journal-reset leaves it where it is; start without that option, or stop mirrorlag and move it away yourself"
    )]
    Sound,
    #[error(
        "the file or its -wal was moved, removed or replaced while it was open, nothing of this was kept; put it back, or restart mirrorlag to begin a new one"
    )]
    Gone,
    #[error(
        "written by a newer mirrorlag (schema {found}, this one knows {known}); use that version, or give another journal.path"
    )]
    NewerSchema { found: i64, known: i64 },
    #[error("no space left on the disk, nothing of this was kept; free space there")]
    DiskFull,
    #[error("cannot write, nothing of this was kept: {0}; check the disk")]
    Write(String),
    #[error("cannot read: {0}")]
    Read(String),
    #[error(
        "there is none; `mirrorlag run` makes it at its first start (as a systemd service in its StateDirectory: name that file by --journal)"
    )]
    Missing,
    #[error("cannot be looked into: {0}; be root, or the user that `mirrorlag run` has")]
    NotReadable(std::io::Error),
    #[error("locked by another program for {0} s; end the sqlite3 that has it open for writing")]
    Busy(u64),
    #[error("a record of {bytes} bytes is over the limit of {limit_bytes}")]
    TooLarge { bytes: usize, limit_bytes: usize },
    #[error("unknown reader {0:?}; `keep_readers` names those that exist")]
    UnknownReader(String),
    #[error("position {asked} is beyond the newest record {head}")]
    BeyondHead { asked: Position, head: Position },
    #[error("it is closed")]
    Closed,
}

impl Cause {
    pub(super) fn at(self, path: &Path) -> Error {
        Error {
            path: path.to_owned(),
            cause: self,
        }
    }
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Cause::DiskFull,
            Some(ErrorCode::DatabaseCorrupt) => Cause::Damaged(text),
            Some(ErrorCode::NotADatabase) => Cause::Foreign("not an SQLite file".to_owned()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Cause::Busy(BUSY_WAIT.as_secs())
            }
            Some(_) => Cause::Write(text),
            // Not SQLite's own error: a column that holds what this program never writes.
            None => Cause::Read(text),
        }
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"))
}
