//! In: the path of a journal. Out: some disk space beside it that only what frees space may use.
//! Never: holds an append up where no space could be set aside.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::lock::beside;

/// SQLite folds its log into the file every 1,000 pages of 4 KiB, and for that the file may grow by as much.
///
/// Measured on a full tmpfs: without it not even one record can be deleted, because the deletion itself has to be logged.
const RESERVE_BYTES: u64 = 4 << 20;

/// With less than this a spent reserve is not worth making again. Between the two it is halved: a disk that others keep full must not
/// stop records for which retention has made room inside the file. Measured: half a MiB is enough to begin deleting.
const RESERVE_BYTES_MIN: u64 = 512 << 10;

/// `<path>.reserve`, from one run to the next.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Made,
    /// The file system had no room for it, or cannot set space aside: everything goes on without.
    Missing,
    /// Removed to make room: nothing may be added before it is there again.
    Spent,
}

impl Reserve {
    /// Sets the space aside where that is possible.
    pub(super) fn beside(journal: &Path) -> Reserve {
        let path = beside(journal, ".reserve");
        let state = match make(&path, RESERVE_BYTES) {
            true => State::Made,
            false => State::Missing,
        };
        Reserve { path, state }
    }

    /// Gives the space free; `false` when there was none.
    pub(super) fn release(&mut self) -> bool {
        let was_made = self.state == State::Made && std::fs::remove_file(&self.path).is_ok();
        if was_made {
            self.state = State::Spent;
        }
        was_made
    }

    /// Whether something may be added: a reserve that was spent has to be there again first.
    pub(super) fn lets_add(&mut self) -> bool {
        let mut bytes = RESERVE_BYTES;
        while self.state == State::Spent && bytes >= RESERVE_BYTES_MIN {
            if make(&self.path, bytes) {
                self.state = State::Made;
            }
            bytes /= 2;
        }
        self.state != State::Spent
    }
}

fn make(path: &Path, bytes: u64) -> bool {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let is_made = file.is_ok_and(|file| set_aside(&file, bytes));
    if !is_made {
        // Half a reserve would only take the space away.
        let _not_there = std::fs::remove_file(path);
    }
    is_made
}

fn set_aside(file: &File, bytes: u64) -> bool {
    fallocate(file, FallocateFlags::empty(), 0, bytes).is_ok()
}
