//! In: what `status` says. Out: the same as the live view shows it.
//! Never: judges.

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::app::notes::PhaseWord;
use crate::app::status::{Kept, Report, Run, Sink, Source};
use crate::kafka::Outcome;
use crate::watch::{self, Phase, Standing, age};

pub(super) fn standing(report: Report) -> Standing {
    let now = report.at;
    let problems = report.problems.into_iter();
    let is_alive = report.run.alive;
    Standing {
        is_alive,
        run: run_line(&report.run),
        journal: journal_line(&report.journal, now),
        letters: report.journal.letters,
        sources: report
            .sources
            .into_iter()
            .map(|it| source(it, is_alive))
            .collect(),
        sinks: report.sinks.into_iter().map(sink).collect(),
        problems: problems
            .map(|it| format!("{}: {}; next: {}", it.subject, it.what, it.mend))
            .collect(),
    }
}

fn run_line(run: &Run) -> String {
    let since = |word: &str, at: DateTime<Utc>| {
        format!("{word} {}", at.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    let mut line = match (run.alive, run.started_at, run.stopped_at, run.alive_at) {
        (true, Some(at), _, _) => since("running since", at),
        (true, None, _, _) => "running".to_owned(),
        (false, _, Some(at), _) => since("not running since", at),
        (false, _, None, Some(at)) => since("not running, last seen", at),
        (false, _, None, None) => "not running".to_owned(),
    };
    if let Some(pid) = run.pid.filter(|_| run.alive) {
        line.push_str(&format!(", pid {pid}"));
    }
    if run.samples_lost > 0 {
        line.push_str(&format!(", {} samples lost", run.samples_lost));
    }
    line
}

fn journal_line(journal: &Kept, now: DateTime<Utc>) -> String {
    let oldest = journal.oldest.map_or_else(String::new, |at| {
        format!(", the oldest {} old", age(now - at))
    });
    format!(
        "journal {}: {}, {} records{oldest}",
        journal.path.display(),
        ByteSize(journal.bytes),
        journal.records
    )
}

fn source(source: Source, is_alive: bool) -> watch::Source {
    let state = source.state;
    let interval = i64::try_from(state.interval_ms).unwrap_or(i64::MAX / 4);
    let last_reason = state.last.as_ref().and_then(|last| last.reason.clone());
    let error = state.last_error.map(|error| error.reason);
    let error = error.filter(|_| is_alive && state.connected_since.is_none());
    let is_ok = |last: &crate::collector::LastOutcome| last.outcome == Outcome::Ok;
    watch::Source {
        is_healthy: source.healthy,
        interval: TimeDelta::milliseconds(interval),
        connected_since: state.connected_since,
        reason: match state.last.as_ref().is_some_and(is_ok) {
            true => error,
            false => last_reason.or(error),
        },
        last: state.last.map(|last| (last.outcome, last.at)),
        topics: state.topics,
        rounds: state.rounds,
        skipped: state.skipped,
        timeouts: state.timeouts,
        reconnects: state.reconnects,
        name: state.name,
        mirror_host: state.mirror_host,
        group: state.group,
    }
}

fn sink(sink: Sink) -> watch::Sink {
    watch::Sink {
        name: sink.name,
        is_healthy: sink.healthy,
        position: sink.position,
        behind: sink.behind,
        behind_for: TimeDelta::seconds(sink.behind_s),
        stored: sink.stored,
        phase: sink.phase.map(|phase| match phase {
            PhaseWord::Working => Phase::Working,
            PhaseWord::Retrying => Phase::Retrying,
            PhaseWord::Holding => Phase::Holding,
        }),
        since: sink.since,
        reason: sink.reason,
    }
}
