//! `mirrorlag status` beside the real `run` and after it: what it says, and its exit code.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "support/bulk_server.rs"]
mod bulk_server;
#[path = "support/running.rs"]
mod running;

use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bulk_server::Fake;
use mirrorlag::simulator::Fleet;
use running::{Place, Running, Said};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

const JSON: [&str; 2] = ["status", "--json"];

fn report(said: &Said) -> Value {
    said.json().pop().unwrap_or_default()
}

/// What is said to be unhealthy, as `subject: what`.
fn problems(said: &Said) -> Vec<String> {
    let report = report(said);
    let problems = report["problems"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    problems
        .iter()
        .map(|it| format!("{}: {}", text(&it["subject"]), text(&it["what"])))
        .collect()
}

fn only(said: &Said, beginning: &str) -> bool {
    matches!(problems(said).as_slice(), [one] if one.starts_with(beginning))
}

async fn start() -> (Place, Fleet, Fake, Running) {
    let place = Place::new();
    let fleet = place.fleet().await;
    let fake = Fake::start().await;
    place.configure(&fleet, &format!("urls: ['{}']", fake.url));
    let run = place.run();
    (place, fleet, fake, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_works_is_healthy_and_after_its_end_it_is_said_when_it_stopped() {
    let (place, _fleet, _fake, mut run) = start().await;
    let healthy = place.until(&JSON, |said| said.code == Some(0));
    let report = report(&healthy);
    assert_eq!(report["healthy"], true);
    assert_eq!(report["run"]["pid"], run.id());
    assert_eq!(
        report["run"]["configuration"],
        place.config().display().to_string()
    );
    let source = &report["sources"][0];
    assert_eq!(source["name"], "mm-0/mirror");
    assert_eq!(
        (&source["topics"], &source["interval_ms"]),
        (&2.into(), &1000.into())
    );
    assert_eq!(source["last"]["outcome"], "ok");
    assert!(source["connected_since"].is_string() && source["rounds"].as_u64() >= Some(1));
    // The note goes on with the rounds.
    place.until(&JSON, |said| {
        let rounds = said.json().pop().unwrap_or_default()["sources"][0]["rounds"].as_u64();
        rounds > source["rounds"].as_u64()
    });
    let delivered = place.until(&JSON, |said| {
        let report = said.json().pop().unwrap_or_default();
        report["sinks"][0]["position"].as_u64() > Some(2)
    });
    let sink = &self::report(&delivered)["sinks"][0];
    assert_eq!(
        (&sink["name"], &sink["phase"]),
        (&"elasticsearch".into(), &"working".into())
    );

    let text = place.output(&["status"]);
    for words in ["running since", "mm-0/mirror", "elasticsearch", "working"] {
        assert!(text.out.contains(words), "{words} in {}", text.out);
    }
    assert!(!text.out.contains('\u{1b}'), "no colour in a pipe");

    assert_eq!(run.end(Signal::TERM), Some(0));
    let stopped = place.output(&JSON);
    assert_eq!(stopped.code, Some(1));
    assert!(only(
        &stopped,
        "run: no run is alive; the last one stopped at"
    ));
    let mend = &self::report(&stopped)["problems"][0]["mend"];
    assert_eq!(
        *mend,
        format!("mirrorlag run -c {}", place.config().display())
    );
    // What it had delivered is all: the last notes are of the very end.
    let last = self::report(&stopped);
    assert_eq!(last["sinks"][0]["behind"], 0, "{last:#}");
    assert_eq!(last["run"]["alive"], false);
    // And the journal is as `run` left it.
    assert!(!place.folder.path().join("journal.db-wal").exists());
    let mut by_path = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    by_path.args(["status", "--journal"]).arg(place.journal());
    assert_eq!(Said::of(&mut by_path).out, place.output(&["status"]).out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_not_alive_and_was_last_seen() {
    let (place, _fleet, _fake, mut run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    run.end(Signal::KILL);
    let killed = place.output(&JSON);
    assert_eq!(killed.code, Some(1));
    assert!(only(
        &killed,
        "run: no run is alive; the last one was killed"
    ));
    // The next run takes up what the dead one left.
    let _run = place.run();
    place.until(&JSON, |said| said.code == Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_down_is_unhealthy_until_it_is_back() {
    let (place, fleet, _fake, _run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    fleet.hold_down("mm-0", true);
    let down = place.until(&JSON, |said| only(said, "mm-0/mirror: ssh_error: "));
    assert_eq!(down.code, Some(1));
    let source = &report(&down)["sources"][0];
    assert_eq!(source["connected_since"], Value::Null);
    assert!(source["reconnects"].as_u64() >= Some(1));
    let text = place.output(&["status"]).out;
    assert!(text.contains("\n!  mm-0/mirror  no"), "{text}");
    assert!(text.contains("; next: mirrorlag check -c "), "{text}");
    fleet.hold_down("mm-0", false);
    place.until(&JSON, |said| said.code == Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_holds_says_why_and_since_when_until_it_is_mended() {
    let (place, _fleet, fake, _run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    let user = ("elastic".to_owned(), "changed".to_owned());
    fake.lock().login = Some(user);
    let held = place.until(&JSON, |said| only(said, "elasticsearch: holds since "));
    let sink = &report(&held)["sinks"][0];
    assert!(sink["reason"].as_str().unwrap().contains("401"), "{sink}");
    assert!(sink["since"].is_string());
    place.until(&JSON, |said| {
        let report = said.json().pop().unwrap_or_default();
        let sink = &report["sinks"][0];
        sink["behind"].as_u64() >= Some(4) && sink["behind_s"].as_u64() >= Some(1)
    });
    fake.lock().login = None;
    place.until(&JSON, |said| said.code == Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_unhealthy_and_the_mend_lists_it() {
    let (place, _fleet, fake, _run) = start().await;
    fake.lock().refused_topics.insert("topic-1".to_owned());
    let letters = place.until(&JSON, |said| {
        problems(said).iter().any(|it| it.contains("dead letter"))
    });
    let report = report(&letters);
    let problems = report["problems"].as_array().unwrap();
    let journal = problems.iter().find(|it| it["subject"] == "journal");
    let words = shlex::split(journal.unwrap()["mend"].as_str().unwrap()).unwrap();
    assert_eq!(words[0], "mirrorlag");
    let listed = Command::new(env!("CARGO_BIN_EXE_mirrorlag"))
        .args(&words[1..])
        .output()
        .unwrap();
    assert!(listed.status.success());
    assert!(
        String::from_utf8(listed.stdout)
            .unwrap()
            .contains("topic-1")
    );
}

#[test]
fn what_cannot_be_read_is_exit_code_2_with_one_line() {
    let place = Place::new();
    let no_file = place.output(&["status"]);
    assert_eq!(no_file.code, Some(2));
    assert!(no_file.err.contains("does not exist"), "{}", no_file.err);

    let yaml = format!("journal: {{path: {}}}\n", place.journal().display());
    std::fs::write(place.config(), yaml).unwrap();
    let no_journal = place.output(&["status"]);
    assert_eq!(no_journal.code, Some(2));
    assert!(
        no_journal
            .err
            .contains("there is none; `mirrorlag run` makes it"),
        "{}",
        no_journal.err
    );
    assert_eq!(no_journal.err.lines().count(), 1);
    assert!(!place.journal().exists());

    std::fs::write(place.journal(), "shopping list\n").unwrap();
    let foreign = place.output(&["letters", "list"]);
    assert_eq!(foreign.code, Some(2));
    assert!(
        foreign.err.contains("not an SQLite file"),
        "{}",
        foreign.err
    );

    let both = place.output(&["status", "--journal", "x"]);
    assert_eq!(both.code, Some(2));
    assert!(both.err.contains("cannot be used with"), "{}", both.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_needs_no_secret_and_no_sound_configuration_to_look() {
    let (place, _fleet, fake, _run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    let yaml = std::fs::read_to_string(place.config()).unwrap();
    let secret = format!(
        "urls: ['{}'], username: u, password_env: SURELY_NOT_SET",
        fake.url
    );
    let yaml = yaml.replace(&format!("urls: ['{}']", fake.url), &secret);
    std::fs::write(place.config(), yaml + "sources: [nonsense]\n").unwrap();
    assert_eq!(place.output(&["check"]).code, Some(2));
    let looked = place.output(&JSON);
    assert_eq!(looked.code, Some(0), "{looked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_left_the_configuration_is_not_spoken_of_any_more() {
    let (place, _fleet, _fake, mut run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    run.end(Signal::TERM);
    let yaml = std::fs::read_to_string(place.config()).unwrap();
    let yaml = yaml.replace("groups:\n  - {", "topics:\n  - {topic: topic-0, ");
    std::fs::write(place.config(), yaml).unwrap();
    let _run = place.run();
    let healthy = place.until(&JSON, |said| said.code == Some(0));
    let names: Vec<Value> = report(&healthy)["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["name"].clone())
        .collect();
    assert_eq!(names, ["mm-0/mirror/topic-0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_all_the_time_disturbs_no_run_and_keeps_none_from_starting() {
    let (place, _fleet, fake, mut run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    let stop = Arc::new(AtomicBool::new(false));
    // One thread: two views of one process would drop each other's locks.
    let looker = {
        let (stop, journal) = (stop.clone(), place.journal());
        std::thread::spawn(move || {
            let mut looks = 0;
            while !stop.load(Ordering::Relaxed) {
                mirrorlag::app::status::look(&journal, None).expect("a look");
                looks += 1;
            }
            looks
        })
    };
    for _ in 0..4 {
        assert_eq!(run.end(Signal::TERM), Some(0));
        run = place.run();
        let pid = run.id();
        place.until(&JSON, |said| {
            said.code == Some(0) && report(said)["run"]["pid"] == pid
        });
    }
    stop.store(true, Ordering::Relaxed);
    let looks: u32 = looker.join().unwrap();
    assert!(looks > 100, "{looks}");
    assert_eq!(run.end(Signal::TERM), Some(0));
    let log = std::fs::read_to_string(place.folder.path().join("run.log")).unwrap();
    let complaints: Vec<_> = log
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .collect();
    assert_eq!(complaints, Vec::<&str>::new());
    let journal = rusqlite::Connection::open(place.journal()).unwrap();
    let records = journal.query_row("SELECT count(*) FROM records", [], |row| row.get(0));
    let records: i64 = records.unwrap();
    let documents = fake.documents("consumer_lag").len();
    assert_eq!(i64::try_from(documents).unwrap(), records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_the_table_in_colour() {
    let (place, _fleet, _fake, _run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let program_side = File::options()
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let mut child = place
        .command(&["status"])
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdout(program_side)
        .spawn()
        .unwrap();
    let mut terminal = File::from(terminal);
    let mut text = String::new();
    let mut bytes = [0; 4096];
    // Reading ends with an error when the program has closed its side.
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    child.wait().unwrap();
    assert!(text.contains("mm-0/mirror"), "{text:?}");
    assert!(text.contains("\u{1b}[32mok"), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_takes_no_notes_does_not_disturb_collecting_and_is_unhealthy() {
    let (place, _fleet, fake, mut run) = start().await;
    place.until(&JSON, |said| said.code == Some(0));
    run.end(Signal::TERM);
    let journal = rusqlite::Connection::open(place.journal()).unwrap();
    let refusal = "BEGIN SELECT RAISE(ABORT, 'no notes'); END;";
    let triggers = ["INSERT", "DELETE"]
        .map(|change| format!("CREATE TRIGGER no_{change} BEFORE {change} ON notes {refusal}"));
    journal.execute_batch(&triggers.concat()).unwrap();
    drop(journal);
    let so_far = fake.documents("consumer_lag").len();
    let mut run = place.run();
    let silent = place.until(&JSON, |said| {
        let more = fake.documents("consumer_lag").len() >= so_far + 10;
        more && only(said, "run: it has noted nothing yet")
    });
    assert_eq!(silent.code, Some(1));
    assert_eq!(run.end(Signal::TERM), Some(0));
    let log = std::fs::read_to_string(place.folder.path().join("run.log")).unwrap();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}
