//! In: a journal, of another process or of this one. Out: what is new in it since the last look, or why nothing can be read.
//! Never: commits a position, gives up.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::Handle;

use super::standing::standing;
use crate::app::status;
use crate::journal::{self, Holder, Journal, Position, Record, Rest, Snapshot, View};
use crate::watch::{Standing, Update};

/// Notes are read this often: a run writes them every two seconds.
const NOTES_EVERY: TimeDelta = TimeDelta::seconds(2);

/// The past that is read at the start, or so many intervals of the slowest source.
const PAST: TimeDelta = TimeDelta::minutes(5);
const PAST_INTERVALS: i32 = 4;

/// Records that are read at most to catch up, at the start or behind a flood; older ones are left out. A thousand topics at 10 s bring as
/// many in eight minutes.
const CATCH_UP_RECORDS_MAX: u64 = 50_000;

/// Bytes of records that are read at most to catch up, reckoned from the mean size: they are parsed in about a second.
const CATCH_UP_BYTES_MAX: u64 = 64 << 20;

/// Records and bytes of one update.
const RECORDS_MAX: usize = 5_000;
const BYTES_MAX: usize = 16 << 20;

/// A reader that commits no position.
pub(super) struct Follower {
    origin: Origin,
    /// The last record that was read; `None`: none of this journal.
    last: Option<Place>,
    notes_at: Option<DateTime<Utc>>,
    /// What was said to be in the way, so that it is said again only when it changes.
    trouble: Option<String>,
    is_another: bool,
    has_more: bool,
    /// How the journal of a run that has ended was left; until that changes there is nothing to look at.
    rest: Option<Rest>,
}

/// A place in a journal; another journal has another instant there.
#[derive(Debug, Clone, Copy)]
struct Place {
    position: Position,
    /// `None`: no record of that position was read.
    appended_at: Option<DateTime<Utc>>,
}

/// Where the records come from.
enum Origin {
    Run {
        path: PathBuf,
        config: Option<PathBuf>,
        /// Kept open between two looks while a run is alive. Afterwards it is closed: whoever moves the journal of a run that has ended
        /// must find all of it in one file.
        view: Option<Box<View>>,
    },
    Own {
        journal: Journal,
        runtime: Handle,
    },
}

impl Follower {
    /// Of the journal at `path`, which another process may have; `config` is the file that named it.
    pub(super) fn of_run(path: &Path, config: Option<&Path>) -> Self {
        Self::new(Origin::Run {
            path: path.to_owned(),
            config: config.map(Path::to_owned),
            view: None,
        })
    }

    /// Of a journal that this process has open.
    pub(super) fn of_this_process(journal: Journal, runtime: Handle) -> Self {
        Self::new(Origin::Own { journal, runtime })
    }

    fn new(origin: Origin) -> Self {
        Self {
            origin,
            last: None,
            notes_at: None,
            trouble: None,
            is_another: false,
            has_more: false,
            rest: None,
        }
    }

    /// Whether the last look left something to be read at once.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// What is new; `None`: nothing is. Blocks, for seconds where the file is locked.
    pub(super) fn look(&mut self, now: DateTime<Utc>) -> Option<Update> {
        if self.rest.is_some() && self.rest == self.origin.at_rest() {
            return None;
        }
        self.rest = None;
        let found = self.read(now);
        let has_ended = |update: &Update| update.standing.as_ref().is_some_and(|it| !it.is_alive);
        if found.as_ref().is_ok_and(has_ended) && !self.has_more {
            self.origin.close();
            self.rest = self.origin.at_rest();
        }
        let update = found.unwrap_or_else(|error| {
            // What was open may be what is wrong.
            self.origin.close();
            self.notes_at = None;
            self.has_more = false;
            Update {
                trouble: Some(error.to_string()),
                ..Update::default()
            }
        });
        let is_news = update.trouble != self.trouble
            || update.is_another
            || update.standing.is_some()
            || !update.samples.is_empty();
        self.trouble.clone_from(&update.trouble);
        is_news.then_some(update)
    }

    fn read(&mut self, now: DateTime<Utc>) -> Result<Update, journal::Error> {
        if self.origin.open()? {
            self.notes_at = None;
        }
        let is_due = |at: DateTime<Utc>| (now - at).abs() >= NOTES_EVERY;
        let mut said = None;
        if self.notes_at.is_none_or(is_due) {
            let snapshot = self.origin.snapshot()?;
            let standing = self.origin.standing(&snapshot, now)?;
            self.find_place(&snapshot, &standing, now)?;
            said = Some(standing);
            self.notes_at = Some(now);
        }
        let after = self.last.map_or(0, |last| last.position);
        let records = self.origin.records(after, RECORDS_MAX)?;
        if let Some(record) = records.last() {
            self.last = Some(Place::of(record));
        }
        // A few that came meanwhile are for the next look: a busy run would be read without a pause.
        let bytes: usize = records.iter().map(|it| it.body.len()).sum();
        self.has_more = records.len() >= RECORDS_MAX || bytes > BYTES_MAX / 2;
        let parse = |record: &Record| serde_json::from_slice(&record.body).ok();
        Ok(Update {
            samples: records.iter().filter_map(parse).collect(),
            standing: said,
            trouble: None,
            is_another: std::mem::take(&mut self.is_another),
        })
    }

    /// Goes on where it was; begins anew in another journal, and a little before the newest where too much is new.
    fn find_place(
        &mut self,
        snapshot: &Snapshot,
        standing: &Standing,
        now: DateTime<Utc>,
    ) -> Result<(), journal::Error> {
        if let Some(last) = self.last
            && !self.origin.has(last, snapshot)?
        {
            self.is_another = true;
            self.last = None;
        }
        let earliest = snapshot.head.saturating_sub(catch_up_max(snapshot));
        let position = match self.last {
            Some(last) if last.position >= earliest => return Ok(()),
            Some(_) => earliest,
            None => {
                let slowest = standing.sources.iter().map(|it| it.interval).max();
                let past = PAST.max(slowest.unwrap_or_default() * PAST_INTERVALS);
                self.origin.before(now - past)?.max(earliest)
            }
        };
        self.last = Some(Place {
            position,
            appended_at: None,
        });
        Ok(())
    }
}

impl Place {
    fn of(record: &Record) -> Self {
        Self {
            position: record.position,
            appended_at: Some(record.appended_at),
        }
    }
}

impl Origin {
    /// Makes sure that it can be read; returns whether it was opened just now.
    fn open(&mut self) -> Result<bool, journal::Error> {
        match self {
            Self::Run { view, path, .. } => {
                if view.as_ref().is_some_and(|view| view.is_current()) {
                    return Ok(false);
                }
                // First: a file that is looked at and closed again drops the locks of a view that is open.
                *view = None;
                *view = Some(Box::new(View::open(path)?));
                Ok(true)
            }
            Self::Own { .. } => Ok(false),
        }
    }

    fn close(&mut self) {
        if let Self::Run { view, .. } = self {
            *view = None;
        }
    }

    /// `None`: somebody has it open, or it was changed just now.
    fn at_rest(&self) -> Option<Rest> {
        match self {
            Self::Run { path, .. } => journal::at_rest(path),
            Self::Own { .. } => None,
        }
    }

    fn snapshot(&self) -> Result<Snapshot, journal::Error> {
        match self {
            Self::Run { path, view, .. } => view_of(view, path)?.snapshot(),
            Self::Own { journal, runtime } => runtime.block_on(journal.snapshot()),
        }
    }

    fn records(&self, after: Position, records_max: usize) -> Result<Vec<Record>, journal::Error> {
        match self {
            Self::Run { path, view, .. } => {
                view_of(view, path)?.records(after, records_max, BYTES_MAX)
            }
            Self::Own { journal, runtime } => {
                runtime.block_on(journal.read(after, records_max, BYTES_MAX))
            }
        }
    }

    /// The position before the first record of `since` or later.
    fn before(&self, since: DateTime<Utc>) -> Result<Position, journal::Error> {
        match self {
            Self::Run { path, view, .. } => view_of(view, path)?.position_before(since),
            // It is as old as this process.
            Self::Own { .. } => Ok(0),
        }
    }

    fn standing(
        &self,
        snapshot: &Snapshot,
        now: DateTime<Utc>,
    ) -> Result<Standing, journal::Error> {
        let report = match self {
            Self::Run { path, config, view } => {
                let holder = view_of(view, path)?.holder()?;
                status::judge(path, config.as_deref(), now, snapshot, holder)
            }
            Self::Own { journal, .. } => {
                let pid = Some(std::process::id());
                status::judge(journal.path(), None, now, snapshot, Some(Holder { pid }))
            }
        };
        Ok(standing(report))
    }

    /// Whether this is the journal in which `place` was read.
    fn has(&self, place: Place, snapshot: &Snapshot) -> Result<bool, journal::Error> {
        if place.position > snapshot.head {
            return Ok(false);
        }
        let found = self.records(place.position.saturating_sub(1), 1)?;
        // A record that retention has dropped is no sign of another journal.
        let found = found.first().filter(|it| it.position == place.position);
        let instants = found.map(|it| it.appended_at).zip(place.appended_at);
        Ok(instants.is_none_or(|(found, known)| found == known))
    }
}

fn view_of<'a>(view: &'a Option<Box<View>>, path: &Path) -> Result<&'a View, journal::Error> {
    view.as_deref().ok_or_else(|| journal::Error {
        path: path.to_owned(),
        cause: journal::Cause::Closed,
    })
}

/// How many of the newest records are worth reading.
fn catch_up_max(snapshot: &Snapshot) -> u64 {
    let mean_bytes = snapshot.size.bytes / snapshot.size.records.max(1);
    CATCH_UP_RECORDS_MAX.min(CATCH_UP_BYTES_MAX / mean_bytes.max(1))
}
