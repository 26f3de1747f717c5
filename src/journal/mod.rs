//! In: records as bytes. Out: the same records in order, from a position that a reader committed.
//! Never: looks inside a record, forgets one that an append reported as stored, knows a sink.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use tokio::sync::watch;

mod error;
mod identity;
mod letters;
mod lock;
mod notes;
mod reserve;
mod reset;
mod retention;
mod schema;
mod tables;
mod view;
mod writer;

pub use error::{Cause, Error};
pub use identity::{Rest, at_rest};
pub use letters::{Letter, StoredLetter, Touch};
pub use lock::Holder;
pub use notes::{Note, StoredNote};
pub use reset::reset;
pub use retention::Dropped;
pub use tables::Reader;
pub use view::{Snapshot, View};

/// One record may have this many bytes: a topic of ten thousand partitions needs about a quarter of it.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Connections kept open for reading; more readers at once open one each and close it again.
const READ_CONNECTIONS_KEPT: usize = 4;

/// Where the journal lies and how much it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The SQLite file; its `-wal`, `-shm`, `.lock` and `.reserve` lie beside it.
    pub path: PathBuf,
    /// Records that every reader has had are dropped after this long.
    pub retain_for: Duration,
    /// Size at which the oldest records go, also those that a reader has not had.
    pub bytes_max: u64,
}

/// Number of a record: 1 for the first ever appended, never used again. Position 0 is before every record.
pub type Position = u64;

/// One appended record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    pub appended_at: DateTime<Utc>,
    pub body: Vec<u8>,
}

/// State of whoever appends, replaced in the same transaction as the records it goes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub name: String,
    pub value: Vec<u8>,
}

/// What the journal takes on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// Bytes in use, without free pages and write-ahead log; what `Settings::bytes_max` limits.
    pub bytes: u64,
    pub records: u64,
    /// Dead letters of all readers.
    pub letters: u64,
    /// When the oldest record was appended; `None` without records.
    pub oldest: Option<DateTime<Utc>>,
}

/// Handle of an open journal; clones are cheap and share one file and one writing thread.
#[derive(Debug, Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    /// How much is kept now: `settings`, until `set_retention`.
    retention: Mutex<Settings>,
    writer: writer::Writer,
    head: watch::Receiver<Position>,
    identity: Arc<identity::Identity>,
    /// Connections that no read is using.
    idle: Mutex<Vec<Connection>>,
}

impl Journal {
    /// Opens the journal at `settings.path`; makes it, owner-only, with its folder, when there is none.
    ///
    /// # Errors
    /// Another process has it open; it is damaged, foreign or of a newer schema (it is left untouched); it cannot be created.
    pub fn open(settings: &Settings) -> Result<Journal, Error> {
        let path = &settings.path;
        let at = |cause: Cause| cause.at(path);
        schema::make_folder(path).map_err(at)?;
        let lock = lock::Lock::take(path).map_err(at)?;
        let connection = schema::open_for_writing(path).map_err(at)?;
        let newest = tables::head(&connection).map_err(at)?;
        let identity = Arc::new(identity::Identity::of(path).map_err(at)?);
        let disk = writer::Disk {
            identity: identity.clone(),
            reserve: reserve::Reserve::beside(path),
        };
        let (announce, head) = watch::channel(newest);
        let after_commit = move |connection: &Connection| {
            // A head that cannot be read now is announced after the next commit.
            if let Ok(newest) = tables::head(connection) {
                announce.send_if_modified(|head| std::mem::replace(head, newest) != newest);
            }
        };
        let writer = writer::Writer::start(path.clone(), connection, lock, disk, after_commit)?;
        Ok(Journal {
            shared: Arc::new(Shared {
                settings: settings.clone(),
                retention: Mutex::new(settings.clone()),
                writer,
                head,
                identity,
                idle: Mutex::new(Vec::new()),
            }),
        })
    }

    /// Appends `records` in order and replaces `mark`, all or nothing; returns the newest position when both are on disk.
    ///
    /// # Errors
    /// Disk full or failing, the file gone, or a record over `RECORD_BYTES_MAX`: nothing of this call was kept.
    pub async fn append(
        &self,
        records: Vec<Vec<u8>>,
        mark: Option<Mark>,
    ) -> Result<Position, Error> {
        let longest = records.iter().map(Vec::len).max().unwrap_or(0);
        if longest > RECORD_BYTES_MAX {
            let cause = Cause::TooLarge {
                bytes: longest,
                limit_bytes: RECORD_BYTES_MAX,
            };
            return Err(cause.at(self.path()));
        }
        let appended_at = Utc::now();
        self.shared
            .writer
            .add(move |connection| {
                tables::append(connection, appended_at, &records)?;
                if let Some(mark) = &mark {
                    tables::set_mark(connection, mark)?;
                }
                tables::head(connection)
            })
            .await
    }

    /// The value last appended with the mark `name`; `None` when there never was one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn mark(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let name = name.to_owned();
        self.query(move |connection| tables::mark(connection, &name))
            .await
    }

    /// Names the readers that exist: records wait for these, and for no others. A new one starts before the oldest record kept.
    ///
    /// # Errors
    /// Disk full or failing.
    pub async fn keep_readers(&self, names: &[&str]) -> Result<(), Error> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.shared
            .writer
            .write(move |connection| tables::keep_readers(connection, Utc::now(), &names))
            .await
    }

    /// How far `reader` committed; for an unknown reader, where it would start.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn position(&self, reader: &str) -> Result<Position, Error> {
        let reader = reader.to_owned();
        self.query(
            move |connection| match tables::position(connection, &reader)? {
                Some(position) => Ok(position),
                None => tables::start(connection),
            },
        )
        .await
    }

    /// Records after position `after`, in order: at most `records_max`, and no more once `bytes_max` of bodies are reached,
    /// but one at least if there is one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn read(
        &self,
        after: Position,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Record>, Error> {
        self.query(move |connection| tables::read(connection, after, records_max, bytes_max))
            .await
    }

    /// All but the records and letters themselves, as of one moment: what a `View` of another process sees.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.query(|connection| view::snapshot(connection, true))
            .await
    }

    /// Notes, in one transaction, that `reader` has had everything up to `position`, and keeps its dead letters.
    ///
    /// A position never goes back; a letter that is there already is not kept twice.
    ///
    /// # Errors
    /// Disk full or failing, a reader that `keep_readers` never named, a position beyond the newest record.
    pub async fn commit(
        &self,
        reader: &str,
        position: Position,
        letters: Vec<Letter>,
    ) -> Result<(), Error> {
        let reader = reader.to_owned();
        self.shared
            .writer
            .write(move |connection| {
                tables::commit(connection, Utc::now(), &reader, position)?;
                letters::keep(connection, &letters)
            })
            .await
    }

    /// Dead letters of all readers with a number above `after`, in the order they were kept; at most `letters_max`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn letters(
        &self,
        after: u64,
        letters_max: usize,
    ) -> Result<Vec<StoredLetter>, Error> {
        self.query(move |connection| letters::list(connection, after, letters_max, usize::MAX))
            .await
    }

    /// Forgets the dead letters with these numbers, after they were stored at last or given up; returns how many there were.
    ///
    /// # Errors
    /// Disk full or failing.
    pub async fn remove_letters(&self, numbers: Vec<u64>) -> Result<u64, Error> {
        self.shared
            .writer
            .write(move |connection| letters::remove(connection, &numbers))
            .await
    }

    /// Replaces the notes of these names, a few at a time: an append that comes meanwhile goes between them.
    ///
    /// # Errors
    /// Disk full or failing; some may be replaced then.
    pub async fn note(&self, notes: Vec<Note>) -> Result<(), Error> {
        for some in notes.chunks(notes::NOTES_PER_STEP) {
            let some = some.to_vec();
            let write = move |connection: &Connection| notes::set(connection, Utc::now(), &some);
            self.shared.writer.add(write).await?;
        }
        Ok(())
    }

    /// Forgets every note whose name is not in `names`.
    ///
    /// # Errors
    /// Disk full or failing.
    pub async fn keep_notes(&self, names: BTreeSet<String>) -> Result<(), Error> {
        self.shared
            .writer
            .write(move |connection| notes::keep(connection, &names).map(drop))
            .await
    }

    /// The newest position that is on disk, and every later one.
    pub fn head(&self) -> watch::Receiver<Position> {
        self.shared.head.clone()
    }

    /// Drops what `Settings` no longer wants kept: by age what every reader has had, by size the oldest. Small transactions.
    ///
    /// # Errors
    /// Disk full or failing; what was dropped until then stays dropped.
    pub async fn retain(&self, now: DateTime<Utc>) -> Result<Dropped, Error> {
        let settings = self.retention().clone();
        retention::retain(&self.shared.writer, &settings, now).await
    }

    /// From the next `retain` on, as long and as much is kept as `settings` say; their path is not looked at.
    pub fn set_retention(&self, settings: &Settings) {
        *self.retention() = settings.clone();
    }

    /// What the journal takes on disk.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn size(&self) -> Result<Size, Error> {
        self.query(tables::size).await
    }

    /// Waits until everything accepted is on disk, then closes and unlocks the file; other handles answer `Closed` from now on.
    pub async fn close(self) {
        // The writer's connection must be the last: only that one can fold the write-ahead log into the file.
        if let Ok(mut idle) = self.shared.idle.lock() {
            idle.clear();
        }
        self.shared.writer.close().await;
    }

    fn retention(&self) -> MutexGuard<'_, Settings> {
        // Settings are replaced whole, so a panic elsewhere left none half-way.
        let locked = self.shared.retention.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// The SQLite file.
    pub fn path(&self) -> &Path {
        &self.shared.settings.path
    }

    /// Runs a read beside the writer: in WAL mode neither waits for the other.
    async fn query<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Cause> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let result = tokio::task::spawn_blocking(move || shared.with_connection(read)).await;
        // The only other end is a runtime that is being torn down.
        result.unwrap_or(Err(Cause::Closed)).map_err(|cause| {
            let cause = match cause {
                Cause::Write(text) => Cause::Read(text),
                other => other,
            };
            cause.at(self.path())
        })
    }
}

impl Shared {
    fn with_connection<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Cause>,
    ) -> Result<T, Cause> {
        // By its name, a new connection could find another file.
        self.identity.check()?;
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_for_reading(&self.settings.path)?,
        };
        // A connection whose read failed is not used again: it may be what is wrong.
        let found = read(&connection)?;
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < READ_CONNECTIONS_KEPT
        {
            idle.push(connection);
        }
        Ok(found)
    }
}
