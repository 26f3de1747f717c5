//! In: the path of a journal. Out: a lock that only one process has, for as long as it lives.
//! Never: trusts the existence of a lock file, which outlives its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::Cause;

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
        match file.try_lock() {
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
