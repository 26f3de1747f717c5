//! In: a name. Out: a folder of its own for a journal that nobody keeps.
//! Never: leaves it behind, lets another user look into it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Folders that are tried before giving up: names of programs that ended badly may still be there.
const FOLDERS_MAX: u32 = 100;

/// A temporary folder could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a temporary folder {path:?}: {source}; set TMPDIR to one that can be written")]
pub struct FolderError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// A folder of its own, readable by its owner only, removed with all that is in it.
#[derive(Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
}

impl Folder {
    /// Makes `mirrorlag-<name>-<pid>-<number>` in `parent`.
    pub(super) fn make(parent: &Path, name: &str) -> Result<Self, FolderError> {
        let mut number = 0;
        loop {
            let name = format!("mirrorlag-{name}-{}-{number}", std::process::id());
            let path = parent.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && number < FOLDERS_MAX =>
                {
                    number += 1;
                }
                Err(source) => return Err(FolderError { path, source }),
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the temporary folder");
        }
    }
}
