//! In: the path of a journal. Out: a lock that only one process has, for as long as it lives.
//! Never: trusts the existence of a lock file, which outlives its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Cause;

/// A lock that is taken is tried again this often, this much later: `holder` of another process has it for microseconds.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Who has a journal open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Process id that the lock file names; `None` where it names none.
    pub pid: Option<u32>,
}

/// The operating system's lock on `<path>.lock`; it ends with this value or with the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes this process's id into the file.
    pub(super) fn take(journal: &Path) -> Result<Lock, Cause> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(journal, ".lock"))
            .map_err(Cause::Open)?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Cause::InUse {
                    pid: written_pid(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(Cause::Open(error)),
        }
        // Only a courtesy to the second process; the lock holds without it, also on a full disk.
        let _unwritten = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { _file: file })
    }
}

/// Who has the lock of this journal; nobody keeps it for having asked.
pub(super) fn holder(journal: &Path) -> Result<Option<Holder>, Cause> {
    let mut file = match File::open(beside(journal, ".lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Cause::NotReadable(error)),
    };
    // Shared, so that two who ask do not take each other for a holder.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(Holder {
            pid: written_pid(&mut file),
        })),
        Err(TryLockError::Error(error)) => Err(Cause::NotReadable(error)),
    }
}

fn try_lock(file: &File) -> Result<(), TryLockError> {
    let mut result = file.try_lock();
    for _ in 1..TRIES {
        if !matches!(result, Err(TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(BETWEEN_TRIES);
        result = file.try_lock();
    }
    result
}

/// The path with `suffix` appended to the whole file name, as SQLite does for its own side files.
pub(super) fn beside(journal: &Path, suffix: &str) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    // A pid has at most ten digits.
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
