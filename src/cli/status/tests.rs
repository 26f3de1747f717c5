use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::*;
use crate::app::status::Problem;
use crate::collector::{LastError, LastOutcome, SourceState};

fn now() -> DateTime<Utc> {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

fn source(name: &str, outcome: Outcome, reason: Option<&str>) -> Source {
    let is_ok = outcome == Outcome::Ok;
    Source {
        state: SourceState {
            name: name.to_owned(),
            mirror_host: "mm-1".to_owned(),
            group: "oasis-group".to_owned(),
            interval_ms: 10_000,
            describe_timeout_ms: 30_000,
            started_at: ago(3600),
            connected_since: is_ok.then(|| ago(3500)),
            last: Some(LastOutcome {
                outcome,
                reason: reason.map(str::to_owned),
                tick: ago(5),
                at: ago(4),
            }),
            last_error: (!is_ok).then(|| LastError {
                reason: "refused".to_owned(),
                at: ago(30),
            }),
            rounds: 350,
            skipped: 2,
            timeouts: 1,
            reconnects: 12,
            topics: 2,
            outcomes: BTreeMap::from([(outcome, 700)]),
        },
        age_s: Some(4),
        healthy: is_ok,
    }
}

fn report() -> Report {
    Report {
        healthy: true,
        at: now(),
        problems: Vec::new(),
        run: Run {
            alive: true,
            pid: Some(7),
            version: Some("1.2.3".to_owned()),
            configuration: Some("/etc/mirrorlag.yaml".into()),
            started_at: Some(ago(3600)),
            alive_at: Some(ago(3)),
            stopped_at: None,
            samples_lost: 0,
            samples_lost_at: None,
        },
        sources: vec![source("mm-1/oasis-group", Outcome::Ok, None)],
        sinks: vec![Sink {
            name: "elasticsearch".to_owned(),
            position: 698,
            committed_at: ago(13),
            behind: 2,
            behind_s: 4,
            phase: Some(PhaseWord::Working),
            reason: None,
            since: None,
            stored: Some(690),
            newest_stored: Some(ago(14)),
            healthy: true,
        }],
        journal: Kept {
            path: "/var/lib/mirrorlag/journal.db".into(),
            bytes: 1 << 20,
            bytes_max: Some(2 << 30),
            records: 700,
            head: 700,
            oldest: Some(ago(3590)),
            letters: 0,
        },
    }
}

fn unhealthy() -> Report {
    let mut report = report();
    report.healthy = false;
    let refused = "connection to 10.0.0.12:22 refused\u{1b}[2J";
    let bad = source("mm-2/oasis-group", Outcome::SshError, Some(refused));
    report.sources.push(bad);
    let sink = &mut report.sinks[0];
    sink.healthy = false;
    sink.phase = Some(PhaseWord::Holding);
    sink.since = Some(ago(90));
    sink.reason = Some("401: wrong password".to_owned());
    report.journal.letters = 3;
    let problem = |subject: &str, what: &str, mend: &str| Problem {
        subject: subject.to_owned(),
        what: what.to_owned(),
        mend: mend.to_owned(),
    };
    report.problems = vec![
        problem(
            "mm-2/oasis-group",
            &format!("ssh_error: {refused}"),
            "mirrorlag check -c a.yaml",
        ),
        problem(
            "elasticsearch",
            "holds since 90 s: 401: wrong password",
            "mirrorlag check -c a.yaml",
        ),
        problem(
            "journal",
            "3 dead letters",
            "mirrorlag letters list -c a.yaml",
        ),
    ];
    report
}

#[test]
fn a_healthy_run_is_shown_in_four_blocks() {
    let expected = "
   run      running since 2026-11-20T09:00:00Z (1h00m ago), pid 7, mirrorlag 1.2.3, /etc/mirrorlag.yaml
   journal  /var/lib/mirrorlag/journal.db: 1.0 MiB of 2.0 GiB, 700 records, the oldest 59m50s old, 0 dead letters

   SOURCE            CONNECTED  OUTCOME  AGE  ROUNDS  SKIPPED  TIMEOUTS  RECONNECTS
   mm-1/oasis-group  58m20s     ok        4s     350        2         1          12

   SINK           POSITION  BEHIND  FOR  STORED  PHASE
   elasticsearch       698       2   4s     690  working

healthy
";
    assert_eq!(
        format!("\n{}", render(&report(), PIPE_WIDTH, false)),
        expected
    );
}

#[test]
fn what_is_unhealthy_is_marked_and_said_at_the_end_with_what_to_type_next() {
    let expected = "
   run      running since 2026-11-20T09:00:00Z (1h00m ago), pid 7, mirrorlag 1.2.3, /etc/mirrorlag.yaml
!  journal  /var/lib/mirrorlag/journal.db: 1.0 MiB of 2.0 GiB, 700 records, the oldest 59m50s old, 3 dead letters

   SOURCE            CONNECTED  OUTCOME    AGE  ROUNDS  SKIPPED  TIMEOUTS  RECONNECTS
   mm-1/oasis-group  58m20s     ok          4s     350        2         1          12
!  mm-2/oasis-group  no         ssh_error   4s     350        2         1          12
       connection to 10.0.0.12:22 refused [2J

   SINK           POSITION  BEHIND  FOR  STORED  PHASE
!  elasticsearch       698       2   4s     690  holding for 1m30s
       401: wrong password

3 problems
mm-2/oasis-group: ssh_error: connection to 10.0.0.12:22 refused [2J; next: mirrorlag check -c a.yaml
elasticsearch: holds since 90 s: 401: wrong password; next: mirrorlag check -c a.yaml
journal: 3 dead letters; next: mirrorlag letters list -c a.yaml
";
    assert_eq!(
        format!("\n{}", render(&unhealthy(), PIPE_WIDTH, false)),
        expected
    );
}

#[test]
fn a_terminal_gets_the_same_text_in_colour() {
    let painted = render(&unhealthy(), PIPE_WIDTH, true);
    let mut plain = String::new();
    for (at, piece) in painted.split("\u{1b}[").enumerate() {
        plain.push_str(match at {
            0 => piece,
            _ => piece.split_once('m').unwrap().1,
        });
    }
    let without = |text: &str| {
        text.lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect::<String>()
    };
    assert_eq!(without(&plain), render(&unhealthy(), PIPE_WIDTH, false));
    assert!(painted.contains("\u{1b}[31m!\u{1b}[0m"));
}

#[test]
fn a_run_that_ended_says_when() {
    let mut report = report();
    report.run.alive = false;
    report.run.stopped_at = Some(ago(60));
    let first = |report: &Report| {
        render(report, PIPE_WIDTH, false)
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        first(&report),
        "   run      not running since 2026-11-20T09:59:00Z (1m00s ago), mirrorlag 1.2.3, /etc/mirrorlag.yaml"
    );
    report.run.stopped_at = None;
    assert!(first(&report).contains("not running, last seen 2026-11-20T09:59:57Z (3s ago)"));
    report.run.alive_at = None;
    assert!(first(&report).contains("run      not running, mirrorlag"));
}

#[test]
fn the_json_has_the_names_that_are_documented() {
    let value = serde_json::to_value(unhealthy()).unwrap();
    let keys = |value: &serde_json::Value| {
        let object = value.as_object().unwrap();
        object.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        keys(&value),
        "at healthy journal problems run sinks sources"
    );
    assert_eq!(keys(&value["problems"][0]), "mend subject what");
    assert_eq!(
        keys(&value["run"]),
        "alive alive_at configuration pid samples_lost samples_lost_at started_at stopped_at version"
    );
    assert_eq!(
        keys(&value["sources"][0]),
        "age_s connected_since describe_timeout_ms group healthy interval_ms last last_error mirror_host name outcomes reconnects rounds skipped started_at timeouts topics"
    );
    assert_eq!(keys(&value["sources"][0]["last"]), "at outcome reason tick");
    assert_eq!(
        keys(&value["sinks"][0]),
        "behind behind_s committed_at healthy name newest_stored phase position reason since stored"
    );
    assert_eq!(
        keys(&value["journal"]),
        "bytes bytes_max head letters oldest path records"
    );
    assert_eq!(value["sinks"][0]["phase"], "holding");
    assert_eq!(value["sources"][1]["outcomes"]["ssh_error"], 700);
}
