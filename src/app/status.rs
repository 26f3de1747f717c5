//! In: the journal alone. Out: how the run, its sources and its sinks stand, what is unhealthy, and what to type next.
//! Never: contacts a host or a sink, takes the journal's lock.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::notes::{PhaseWord, RUN, RunNote, SINK, SOURCE, SinkNote};
use crate::collector::SourceState;
use crate::journal::{self, Holder, Reader, Snapshot, View};
use crate::kafka::Outcome;

/// A sink may be behind, or retry, for this long: a node that is restarted takes about as long.
const LATE_AFTER: TimeDelta = TimeDelta::seconds(60);

/// A run that has said nothing for this long hangs, or cannot write; it speaks every 10 s.
const SILENT_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Beyond `describe_timeout`: what a host needs to kill a describe, and the collector to say so.
const KILL_TIME: TimeDelta = TimeDelta::seconds(15);

/// Lost samples are news for this long; then the number alone stays.
const LOSS_IS_NEWS: TimeDelta = TimeDelta::hours(1);

/// How everything stood when it was looked at. Serialised, it is what `status --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub healthy: bool,
    pub at: DateTime<Utc>,
    /// Everything that is not as it should be; empty when healthy.
    pub problems: Vec<Problem>,
    pub run: Run,
    pub sources: Vec<Source>,
    pub sinks: Vec<Sink>,
    pub journal: Kept,
}

/// One thing that is unhealthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `run`, `journal`, or the name of a source or sink.
    pub subject: String,
    pub what: String,
    /// What to type next.
    pub mend: String,
}

/// The run that is alive, or the last one; a field is null where it has not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    pub alive: bool,
    pub pid: Option<u32>,
    pub version: Option<String>,
    pub configuration: Option<PathBuf>,
    pub started_at: Option<DateTime<Utc>>,
    pub alive_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    /// Samples that did not reach the journal, or left it before a sink had them.
    pub samples_lost: u64,
    pub samples_lost_at: Option<DateTime<Utc>>,
}

/// A source as it last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    #[serde(flatten)]
    pub state: SourceState,
    /// Seconds since the last outcome; null before the first.
    pub age_s: Option<i64>,
    pub healthy: bool,
}

/// A sink: its position from the journal, its phase as it last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sink {
    pub name: String,
    pub position: u64,
    pub committed_at: DateTime<Utc>,
    /// Records that it has not had.
    pub behind: u64,
    /// Age of the oldest of those, in seconds; 0 when it has had all.
    pub behind_s: i64,
    /// Null where no run is alive, or it has said nothing yet.
    pub phase: Option<PhaseWord>,
    pub reason: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub stored: Option<u64>,
    pub newest_stored: Option<DateTime<Utc>>,
    pub healthy: bool,
}

/// What the journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub path: PathBuf,
    pub bytes: u64,
    /// Null where no run has said.
    pub bytes_max: Option<u64>,
    pub records: u64,
    pub head: u64,
    pub oldest: Option<DateTime<Utc>>,
    pub letters: u64,
}

/// Looks into the journal at `path`; `config` is the file that named it, for the mends.
///
/// # Errors
/// The journal is not there, or cannot be read.
pub fn look(path: &Path, config: Option<&Path>) -> Result<Report, journal::Error> {
    let view = View::open(path)?;
    let snapshot = view.snapshot()?;
    let holder = view.holder()?;
    Ok(judge(path, config, Utc::now(), &snapshot, holder))
}

/// Judges what a look at the journal found; `holder` is who has it open for writing.
pub(super) fn judge(
    path: &Path,
    config: Option<&Path>,
    now: DateTime<Utc>,
    snapshot: &Snapshot,
    holder: Option<Holder>,
) -> Report {
    let note: Option<RunNote> = read(snapshot, RUN);
    let run = run(note.as_ref(), holder);
    let said = note.as_ref().zip(holder);
    // The notes of an earlier process say nothing of the one that is alive.
    let said = said.filter(|(note, holder)| {
        // A process that starts has the lock a moment before it has written its id over that of the one before.
        note.stopped_at.is_none() && holder.pid.is_none_or(|pid| pid == note.pid)
    });
    let is_current = said.is_some();
    let file = run.configuration.as_deref().or(config);
    let mut judge = Judge {
        now,
        file: file.map_or_else(|| "FILE".to_owned(), quoted),
        problems: Vec::new(),
    };
    judge.run(&run, said.map(|(note, _)| note));
    let sources = snapshot.notes.iter().filter_map(|stored| {
        let is_source = stored.note.name.starts_with(SOURCE);
        is_source.then(|| serde_json::from_str(&stored.note.value).ok())?
    });
    let sources = sources
        .map(|state| judge.source(state, is_current))
        .collect();
    let sinks = snapshot.readers.iter().filter(|reader| reader.is_kept);
    let sinks = sinks
        .map(|reader| {
            let note = read(snapshot, &format!("{SINK}{}", reader.name));
            judge.sink(reader, note.filter(|_| is_current), run.alive)
        })
        .collect();
    let journal = Kept {
        path: path.to_owned(),
        bytes: snapshot.size.bytes,
        bytes_max: note.map(|note| note.bytes_max),
        records: snapshot.size.records,
        head: snapshot.head,
        oldest: snapshot.size.oldest,
        letters: snapshot.size.letters,
    };
    judge.journal(&journal, &run, config.is_none());
    Report {
        healthy: judge.problems.is_empty(),
        at: now,
        problems: judge.problems,
        run,
        sources,
        sinks,
        journal,
    }
}

/// The note of this name; `None` where there is none, or one of a version that says other things.
fn read<T: DeserializeOwned>(snapshot: &Snapshot, name: &str) -> Option<T> {
    let mut notes = snapshot.notes.iter();
    let stored = notes.find(|stored| stored.note.name == name)?;
    serde_json::from_str(&stored.note.value).ok()
}

fn run(note: Option<&RunNote>, holder: Option<Holder>) -> Run {
    Run {
        alive: holder.is_some(),
        pid: match holder {
            Some(holder) => holder.pid,
            None => note.map(|note| note.pid),
        },
        version: note.map(|note| note.version.clone()),
        configuration: note.map(|note| note.configuration.clone()),
        started_at: note.map(|note| note.started_at),
        alive_at: note.map(|note| note.alive_at),
        stopped_at: note.and_then(|note| note.stopped_at),
        samples_lost: note.map_or(0, |note| note.samples_lost),
        samples_lost_at: note.and_then(|note| note.samples_lost_at),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.clone().into_owned(), |it| it.into_owned())
}

/// Finds what is unhealthy.
struct Judge {
    now: DateTime<Utc>,
    /// For `-c`.
    file: String,
    problems: Vec<Problem>,
}

impl Judge {
    fn problem(&mut self, subject: &str, what: String, mend: String) {
        self.problems.push(Problem {
            subject: subject.to_owned(),
            what,
            mend,
        });
    }

    fn check(&self) -> String {
        format!("mirrorlag check -c {}", self.file)
    }

    fn run(&mut self, run: &Run, said: Option<&RunNote>) {
        if !run.alive {
            let what = match (run.stopped_at, run.alive_at) {
                (Some(at), _) => format!("no run is alive; the last one stopped at {}", text(at)),
                (None, Some(at)) => format!(
                    "no run is alive; the last one was killed, it was last seen at {}",
                    text(at)
                ),
                (None, None) => "no run is alive".to_owned(),
            };
            let mend = format!("mirrorlag run -c {}", self.file);
            return self.problem(RUN, what, mend);
        }
        let look_again = "look again in some seconds; then at its log: a full disk?".to_owned();
        match said {
            Some(note) => {
                let silent = self.now - note.alive_at;
                if silent > SILENT_AFTER {
                    let what = format!(
                        "it has noted nothing for {} s: it hangs, or the journal cannot be written",
                        silent.num_seconds()
                    );
                    self.problem(RUN, what, look_again);
                }
            }
            None => self.problem(RUN, "it has noted nothing yet".to_owned(), look_again),
        }
    }

    fn source(&mut self, mut state: SourceState, is_current: bool) -> Source {
        let last_at = state.last.as_ref().map(|last| last.at);
        let age = last_at.map(|at| self.now - at);
        if !is_current {
            // What follows from that is not said of each source.
            state.connected_since = None;
            return Source {
                age_s: age.map(|age| age.num_seconds()),
                state,
                healthy: true,
            };
        }
        let silent = age.unwrap_or_else(|| self.now - state.started_at);
        let why = why_unhealthy(&state, silent);
        if let Some(what) = &why {
            self.problem(&state.name, what.clone(), self.check());
        }
        Source {
            age_s: age.map(|age| age.num_seconds()),
            state,
            healthy: why.is_none(),
        }
    }

    fn sink(&mut self, reader: &Reader, note: Option<SinkNote>, is_alive: bool) -> Sink {
        let waiting = reader.oldest_waiting.map(|oldest| self.now - oldest);
        let behind_s = waiting.map_or(0, |waiting| waiting.num_seconds().max(0));
        let since = note.as_ref().and_then(|note| note.since);
        let stuck_for = since.map_or(TimeDelta::zero(), |since| self.now - since);
        let reason = note.as_ref().and_then(|note| note.reason.clone());
        let why = match note.as_ref().map(|note| note.phase) {
            Some(PhaseWord::Holding) => Some("holds"),
            Some(PhaseWord::Retrying) if stuck_for > LATE_AFTER => Some("retries"),
            _ => None,
        };
        let why = why.map(|word| {
            let seconds = stuck_for.num_seconds();
            let reason = reason.as_deref().unwrap_or("no reason given");
            format!("{word} since {seconds} s: {reason}")
        });
        let why = why.or_else(|| {
            let is_late = is_alive && waiting.is_some_and(|waiting| waiting > LATE_AFTER);
            is_late.then(|| format!("is {} records, {behind_s} s behind", reader.behind))
        });
        if let Some(what) = &why {
            self.problem(&reader.name, what.clone(), self.check());
        }
        Sink {
            name: reader.name.clone(),
            position: reader.position,
            committed_at: reader.committed_at,
            behind: reader.behind,
            behind_s,
            phase: note.as_ref().map(|note| note.phase),
            reason,
            since,
            stored: note.as_ref().map(|note| note.stored),
            newest_stored: note.as_ref().and_then(|note| note.newest_stored),
            healthy: why.is_none(),
        }
    }

    fn journal(&mut self, journal: &Kept, run: &Run, by_path: bool) {
        if journal.letters > 0 {
            let which = match by_path {
                true => format!("--journal {}", quoted(&journal.path)),
                false => format!("-c {}", self.file),
            };
            let letters = match journal.letters {
                1 => "1 dead letter".to_owned(),
                more => format!("{more} dead letters"),
            };
            self.problem(
                "journal",
                letters,
                format!("mirrorlag letters list {which}"),
            );
        }
        let is_news = |at: DateTime<Utc>| self.now - at < LOSS_IS_NEWS;
        if run.samples_lost_at.is_some_and(is_news) {
            let what = format!(
                "{} samples were lost: the disk was full, or the journal at its bytes_max",
                run.samples_lost
            );
            let folder = journal.path.parent().unwrap_or(Path::new("/"));
            self.problem("journal", what, format!("df -h {}", quoted(folder)));
        }
    }
}

/// Why a source of a run that is alive is unhealthy; `silent`: how long ago it last said anything.
fn why_unhealthy(state: &SourceState, silent: TimeDelta) -> Option<String> {
    let millis = |ms: u64| TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX / 4));
    let interval = millis(state.interval_ms);
    // A describe may take its limit, and the tick before it may have been the last for an interval.
    let slow_round = interval + millis(state.describe_timeout_ms) + KILL_TIME;
    let stale_after = (interval * 3).max(slow_round);
    if silent > stale_after {
        let seconds = silent.num_seconds();
        return Some(match &state.last {
            Some(last) => format!(
                "its last outcome, {}, is {seconds} s old",
                last.outcome.word()
            ),
            None => format!("no outcome in {seconds} s"),
        });
    }
    let error = state.last_error.as_ref().map(|error| error.reason.as_str());
    if let Some(last) = &state.last
        && last.outcome != Outcome::Ok
    {
        let reason = last.reason.as_deref().unwrap_or("no reason given");
        return Some(format!("{}: {reason}", last.outcome.word()));
    }
    match (state.connected_since, error) {
        (Some(_), _) => None,
        (None, Some(error)) => Some(format!("not connected: {error}")),
        (None, None) => Some("not connected yet".to_owned()),
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
