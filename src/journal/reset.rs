//! In: the path of a journal that was refused as damaged. Out: its files under another name, so that a new one can begin.
//! Never: moves a sound journal, another program's file, or one that is in use; overwrites or deletes anything.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::error::{Cause, Error};
use super::lock::{Lock, beside};
use super::{Settings, schema};

/// What SQLite keeps of one journal; they belong together.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Resets within one second that find a name each.
const NAMES_MAX: u32 = 100;

/// Moves a damaged journal aside, to `<path>.damaged-<UTC time>`; returns where to, `None` when there was no journal at all.
///
/// # Errors
/// Another process has it open; it is sound, foreign or of a newer schema; it cannot be moved.
pub fn reset(settings: &Settings, now: DateTime<Utc>) -> Result<Option<PathBuf>, Error> {
    let path = &settings.path;
    if !SUFFIXES.iter().any(|it| is_there(&beside(path, it))) {
        return Ok(None);
    }
    let moved = || {
        // Whoever has it open would go on writing under the new name.
        let _lock = Lock::take(path)?;
        match schema::check_whole(path) {
            Ok(()) => return Err(Cause::Sound),
            Err(Cause::Damaged(_)) => {}
            Err(other) => return Err(other),
        }
        let aside = free_name(path, now)?;
        for suffix in SUFFIXES {
            let from = beside(path, suffix);
            if is_there(&from) {
                std::fs::rename(&from, beside(&aside, suffix)).map_err(Cause::Open)?;
            }
        }
        // The names must survive a power failure, or the old log would meet the new file.
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(Cause::Open)?;
        Ok(Some(aside))
    };
    moved().map_err(|cause| cause.at(path))
}

fn free_name(path: &Path, now: DateTime<Utc>) -> Result<PathBuf, Cause> {
    let stem = beside(path, &format!(".damaged-{}", now.format("%Y%m%dT%H%M%SZ")));
    let is_free = |name: &PathBuf| SUFFIXES.iter().all(|it| !is_there(&beside(name, it)));
    let numbered = (2..=NAMES_MAX).map(|number| beside(&stem, &format!("-{number}")));
    std::iter::once(stem.clone())
        .chain(numbered)
        .find(is_free)
        .ok_or_else(|| {
            Cause::Open(std::io::Error::other(
                "no free name to move it to; move what stands beside it away",
            ))
        })
}

/// Also for a link that leads nowhere.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
