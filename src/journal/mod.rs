//! In: records as bytes. Out: the same records in order, from a position that a reader committed.
//! Never: looks inside a record, forgets one that an append reported as stored, knows a sink.

use std::path::PathBuf;
use std::time::Duration;

/// Where the journal lies and how much it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The SQLite file; its `-wal`, `-shm` and `.lock` lie beside it.
    pub path: PathBuf,
    /// Records that every reader has had are dropped after this long.
    pub retain_for: Duration,
    /// Size at which the oldest records go, also those that a reader has not had.
    pub bytes_max: u64,
}

/// Number of a record: 1 for the first ever appended, never used again. Position 0 is before every record.
pub type Position = u64;
