use std::collections::BTreeMap;

use super::*;
use crate::collector::{LastError, LastOutcome};
use crate::journal::{Note, Size, StoredNote};

const PATH: &str = "/var/lib/mirrorlag/journal.db";

fn now() -> DateTime<Utc> {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

fn run_note() -> RunNote {
    RunNote {
        pid: 7,
        version: "1.2.3".to_owned(),
        configuration: "/etc/mirror lag.yaml".into(),
        started_at: ago(3600),
        alive_at: ago(3),
        stopped_at: None,
        bytes_max: 1 << 30,
        samples_lost: 0,
        samples_lost_at: None,
    }
}

/// A source at 10 s whose last tick was four seconds ago.
fn source_note() -> SourceState {
    SourceState {
        name: "mm-1/oasis-group".to_owned(),
        mirror_host: "mm-1".to_owned(),
        group: "oasis-group".to_owned(),
        interval_ms: 10_000,
        describe_timeout_ms: 30_000,
        started_at: ago(3600),
        connected_since: Some(ago(3500)),
        last: Some(LastOutcome {
            outcome: Outcome::Ok,
            reason: None,
            tick: ago(5),
            at: ago(4),
        }),
        last_error: None,
        rounds: 350,
        skipped: 2,
        timeouts: 1,
        reconnects: 1,
        topics: 2,
        outcomes: BTreeMap::from([(Outcome::Ok, 700)]),
    }
}

fn sink_note() -> SinkNote {
    SinkNote {
        phase: PhaseWord::Working,
        reason: None,
        since: None,
        stored: 690,
        newest_stored: Some(ago(14)),
    }
}

fn reader() -> Reader {
    Reader {
        name: "elasticsearch".to_owned(),
        position: 698,
        is_kept: true,
        committed_at: ago(13),
        behind: 2,
        oldest_waiting: Some(ago(4)),
    }
}

fn stored(name: &str, value: &impl Serialize) -> StoredNote {
    StoredNote {
        note: Note {
            name: name.to_owned(),
            value: serde_json::to_string(value).unwrap(),
        },
        noted_at: ago(1),
    }
}

struct Scene {
    run: Option<RunNote>,
    source: SourceState,
    sink: SinkNote,
    reader: Reader,
    letters: u64,
    holder: Option<Holder>,
}

impl Scene {
    fn healthy() -> Self {
        Self {
            run: Some(run_note()),
            source: source_note(),
            sink: sink_note(),
            reader: reader(),
            letters: 0,
            holder: Some(Holder { pid: Some(7) }),
        }
    }

    fn judge(&self) -> Report {
        let mut notes = vec![
            stored("sink/elasticsearch", &self.sink),
            stored("source/mm-1/oasis-group", &self.source),
            stored("something/newer", &"what a later version notes"),
        ];
        notes.extend(self.run.as_ref().map(|run| stored("run", run)));
        let snapshot = Snapshot {
            size: Size {
                bytes: 1 << 20,
                records: 700,
                letters: self.letters,
                oldest: Some(ago(3590)),
            },
            head: 700,
            readers: vec![self.reader.clone()],
            notes,
        };
        judge(Path::new(PATH), None, now(), &snapshot, self.holder)
    }

    /// The only problem, as `subject: what; mend`.
    fn problem(&self) -> String {
        let report = self.judge();
        assert!(!report.healthy);
        let [problem] = report.problems.as_slice() else {
            panic!("{:#?}", report.problems);
        };
        format!("{}: {}; {}", problem.subject, problem.what, problem.mend)
    }
}

#[test]
fn a_run_whose_parts_all_work_is_healthy() {
    let report = Scene::healthy().judge();
    assert_eq!(report.problems, []);
    assert!(report.healthy);
    assert_eq!(report.sources[0].age_s, Some(4));
    assert_eq!(report.sinks[0].behind_s, 4);
    assert_eq!(report.journal.bytes_max, Some(1 << 30));
}

#[test]
fn without_a_run_only_that_is_said_of_it_and_its_sources_and_sinks() {
    let mut scene = Scene::healthy();
    scene.holder = None;
    scene.source.last = None;
    scene.reader.oldest_waiting = Some(ago(5000));
    scene.sink.phase = PhaseWord::Holding;
    assert_eq!(
        scene.problem(),
        "run: no run is alive; the last one was killed, it was last seen at 2026-11-20T09:59:57Z; mirrorlag run -c '/etc/mirror lag.yaml'"
    );
    let report = scene.judge();
    assert_eq!(report.sources[0].state.connected_since, None);
    assert_eq!(report.sinks[0].phase, None);
    let mut run = run_note();
    run.stopped_at = Some(ago(2));
    scene.run = Some(run);
    assert!(scene.problem().contains("the last one stopped at"));
    scene.run = None;
    assert_eq!(
        scene.problem(),
        "run: no run is alive; mirrorlag run -c FILE"
    );
}

#[test]
fn a_run_that_is_alive_and_notes_nothing_is_unhealthy() {
    let mut scene = Scene::healthy();
    let mut run = run_note();
    run.alive_at = ago(61);
    scene.run = Some(run);
    assert!(
        scene
            .problem()
            .starts_with("run: it has noted nothing for 61 s")
    );
    // The notes are those of an earlier process.
    let mut scene = Scene::healthy();
    scene.holder = Some(Holder { pid: Some(8) });
    scene.source.connected_since = None;
    scene.sink.phase = PhaseWord::Holding;
    assert!(scene.problem().starts_with("run: it has noted nothing yet"));
    // A process that starts has the lock a moment before it has written its id over that of the one before.
    let mut scene = Scene::healthy();
    let mut run = run_note();
    run.stopped_at = Some(ago(1));
    scene.run = Some(run);
    assert!(scene.problem().starts_with("run: it has noted nothing yet"));
    let mut scene = Scene::healthy();
    scene.holder = Some(Holder { pid: None });
    assert!(
        scene.judge().healthy,
        "a lock file without a pid names nobody"
    );
}

#[test]
fn a_source_whose_last_outcome_is_not_ok_says_its_reason() {
    let mut scene = Scene::healthy();
    if let Some(last) = &mut scene.source.last {
        last.outcome = Outcome::SshError;
        last.reason = Some("refused".to_owned());
    }
    assert_eq!(
        scene.problem(),
        "mm-1/oasis-group: ssh_error: refused; mirrorlag check -c '/etc/mirror lag.yaml'"
    );
    assert!(!scene.judge().sources[0].healthy);
}

#[test]
fn a_source_may_be_silent_for_three_intervals_or_one_and_a_describe_whichever_is_longer() {
    let silent_for = |interval_s: u64, seconds: i64| {
        let mut scene = Scene::healthy();
        scene.source.interval_ms = interval_s * 1000;
        let last = scene.source.last.as_mut().unwrap();
        last.at = ago(seconds);
        scene.judge().healthy
    };
    // 10 s interval, 30 s describe, 15 s to be killed.
    assert!(silent_for(10, 55));
    assert!(!silent_for(10, 56));
    assert!(silent_for(60, 180));
    assert!(!silent_for(60, 181));
}

#[test]
fn a_source_that_has_said_nothing_yet_has_the_same_time_from_its_start() {
    let mut scene = Scene::healthy();
    scene.source.last = None;
    scene.source.started_at = ago(20);
    assert!(scene.judge().healthy);
    scene.source.started_at = ago(70);
    assert!(scene.problem().contains("no outcome in 70 s"));
}

#[test]
fn a_source_that_is_not_connected_is_unhealthy_though_its_last_round_was_good() {
    let mut scene = Scene::healthy();
    scene.source.connected_since = None;
    assert!(scene.problem().contains("not connected yet"));
    scene.source.last_error = Some(LastError {
        reason: "connection reset".to_owned(),
        at: ago(1),
    });
    assert!(scene.problem().contains("not connected: connection reset"));
}

#[test]
fn a_sink_that_holds_is_unhealthy_at_once_and_one_that_retries_after_a_minute() {
    let mut scene = Scene::healthy();
    scene.sink.phase = PhaseWord::Holding;
    scene.sink.since = Some(ago(1));
    scene.sink.reason = Some("401: wrong password".to_owned());
    assert_eq!(
        scene.problem(),
        "elasticsearch: holds since 1 s: 401: wrong password; mirrorlag check -c '/etc/mirror lag.yaml'"
    );
    scene.sink.phase = PhaseWord::Retrying;
    scene.sink.since = Some(ago(60));
    assert!(scene.judge().healthy);
    scene.sink.since = Some(ago(61));
    assert!(scene.problem().contains("retries since 61 s"));
}

#[test]
fn a_sink_that_is_a_minute_behind_is_unhealthy() {
    let mut scene = Scene::healthy();
    scene.reader.oldest_waiting = Some(ago(60));
    assert!(scene.judge().healthy);
    scene.reader.oldest_waiting = Some(ago(61));
    assert!(scene.problem().contains("is 2 records, 61 s behind"));
    // A sink that left the configuration holds nothing back.
    scene.reader.is_kept = false;
    assert_eq!(scene.judge().sinks, []);
    assert!(scene.judge().healthy);
}

#[test]
fn dead_letters_and_samples_lost_within_the_hour_are_unhealthy() {
    let mut scene = Scene::healthy();
    scene.letters = 3;
    assert_eq!(
        scene.problem(),
        "journal: 3 dead letters; mirrorlag letters list --journal /var/lib/mirrorlag/journal.db"
    );
    let mut scene = Scene::healthy();
    let mut run = run_note();
    (run.samples_lost, run.samples_lost_at) = (12, Some(ago(3599)));
    scene.run = Some(run.clone());
    assert!(scene.problem().contains("12 samples were lost"));
    run.samples_lost_at = Some(ago(3601));
    scene.run = Some(run);
    assert!(scene.judge().healthy);
    assert_eq!(scene.judge().run.samples_lost, 12);
}

#[test]
fn a_mend_names_the_file_of_the_run_before_that_of_the_command() {
    let mut snapshot = Snapshot {
        size: Size {
            bytes: 0,
            records: 0,
            letters: 1,
            oldest: None,
        },
        head: 0,
        readers: Vec::new(),
        notes: Vec::new(),
    };
    let mends = |snapshot: &Snapshot| {
        let given = Some(Path::new("given.yaml"));
        let report = judge(Path::new(PATH), given, now(), snapshot, None);
        let mends = report.problems.into_iter().map(|problem| problem.mend);
        mends.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        mends(&snapshot),
        "mirrorlag run -c given.yaml; mirrorlag letters list -c given.yaml"
    );
    snapshot.notes = vec![stored("run", &run_note())];
    assert_eq!(
        mends(&snapshot),
        "mirrorlag run -c '/etc/mirror lag.yaml'; mirrorlag letters list -c '/etc/mirror lag.yaml'"
    );
}
