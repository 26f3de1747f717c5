//! In: the path of an open journal. Out: whether the files there are still those that were opened.
//! Never: opens a file, which would drop SQLite's locks on it when it is closed.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use super::error::Cause;
use super::lock::beside;

/// Device and inode.
type FileId = (u64, u64);

/// The journal and its write-ahead log as they were opened. A file that lost its name would take every sample and keep none.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    file: FileId,
    /// SQLite makes the log with the first use.
    log: OnceLock<FileId>,
}

impl Identity {
    /// Notes what lies at `path` now.
    pub(super) fn of(path: &Path) -> Result<Identity, Cause> {
        let Some(file) = file_id(path)? else {
            return Err(Cause::Gone);
        };
        Ok(Identity {
            path: path.to_owned(),
            file,
            log: OnceLock::new(),
        })
    }

    /// Whether the journal's name still leads to the file that was opened; of its log, which may come and go, nothing is said.
    pub(super) fn is_same_file(&self) -> bool {
        file_id(&self.path).is_ok_and(|found| found == Some(self.file))
    }

    /// `Gone` when another file, or none, has the name by now.
    pub(super) fn check(&self) -> Result<(), Cause> {
        if file_id(&self.path)? != Some(self.file) {
            return Err(Cause::Gone);
        }
        let log = file_id(&beside(&self.path, "-wal"))?;
        match (self.log.get(), log) {
            (Some(known), found) if found != Some(*known) => Err(Cause::Gone),
            (None, Some(found)) => {
                self.log.get_or_init(|| found);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A journal that nobody has open for writing, as it lies on the disk; an equal one is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    file: FileId,
    bytes: u64,
    modified: SystemTime,
}

/// A change so soon after another may leave the file's instant as it is.
const RESTLESS: Duration = Duration::from_secs(2);

/// How the journal at `path` lies there; `None`: there is none, it has a log beside it, or was changed just now.
pub fn at_rest(path: &Path) -> Option<Rest> {
    let found = std::fs::metadata(path).ok()?;
    let modified = found.modified().ok()?;
    // An instant in the future, of a clock that was set back, is no proof of anything.
    let age = modified.elapsed().ok()?;
    let has_log = beside(path, "-wal").exists();
    (!has_log && age > RESTLESS).then(|| Rest {
        file: (found.dev(), found.ino()),
        bytes: found.len(),
        modified,
    })
}

fn file_id(path: &Path) -> Result<Option<FileId>, Cause> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Cause::Write(error.to_string())),
    }
}
