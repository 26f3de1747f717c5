//! `mirrorlag watch` in a pseudo terminal, beside the real `run` and without: what the screen shows, and how the terminal is left.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "support/bulk_server.rs"]
mod bulk_server;
#[path = "support/running.rs"]
mod running;
#[path = "support/terminal.rs"]
mod terminal;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bulk_server::Fake;
use mirrorlag::simulator::{CONSUMER_GROUPS, Fleet, FleetSettings};
use running::{Place, Running};
use rustix::process::Signal;
use terminal::{Terminal, without_terminal};

const BINARY: &str = env!("CARGO_BIN_EXE_mirrorlag");

/// What every page has in its last line.
const KEYS: &str = "q quit  ? help";

fn watch(place: &Place) -> Command {
    place.command(&["watch"])
}

/// A fleet, an Elasticsearch, and a `run` between them.
async fn start() -> (Place, Fleet, Fake, Running) {
    let place = Place::new();
    let fleet = place.fleet().await;
    let fake = Fake::start().await;
    place.configure(&fleet, &format!("urls: ['{}']", fake.url));
    let run = place.run();
    (place, fleet, fake, run)
}

/// A configuration whose journal is nowhere yet.
fn nothing() -> Place {
    let place = Place::new();
    let yaml = format!("journal: {{path: {}}}\n", place.journal().display());
    std::fs::write(place.config(), yaml).unwrap();
    place
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The row whose first word is `name`.
fn row<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
    let found = lines.iter().map(|line| words(line));
    let mut found = found.filter(|words| words.first() == Some(&name));
    found.next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_watched_page_by_page_sorted_filtered_and_down_to_its_partitions() {
    let (place, fleet, fake, mut run) = start().await;
    let mut terminal = Terminal::start(&mut watch(&place), 100, 24);
    let lines = terminal.until("both topics have numbers", |lines| {
        ["topic-0", "topic-1"]
            .iter()
            .all(|topic| row(lines, topic).contains(&"ok"))
    });
    assert!(
        lines[0].starts_with("mirrorlag watch  2 topics"),
        "{lines:#?}"
    );
    assert_eq!(row(&lines, "topic-0")[1..3], ["mirror", "mm-0"]);
    assert!(lines[23].starts_with(KEYS));

    // New samples come while it is looked at.
    let instant = |lines: &[String]| lines[0].split_whitespace().last().unwrap().to_owned();
    let first = instant(&lines);
    terminal.until("a later instant, and no sample is stale", |lines| {
        instant(lines) > first && !lines.join("").contains("stale") && lines[0].contains("2 topics")
    });

    terminal.press("s");
    terminal.until_words(&["by name"]);
    terminal.press("r");
    let lines = terminal.until("by name, the last first", |lines| {
        lines[1].contains("by name, reversed") && lines[3].starts_with("topic-1")
    });
    assert!(lines[4].starts_with("topic-0"), "{lines:#?}");
    terminal.press("/PIC-0");
    terminal.until("the filter leaves one", |lines| {
        lines[1].contains("filter: PIC-0_")
            && lines[3].starts_with("topic-0")
            && lines[4].is_empty()
    });
    terminal.press("\r\r");
    let lines = terminal.until("its partitions", |lines| {
        lines[1].contains("partitions of topic-0") && lines[2].contains("CURRENT-OFFSET")
    });
    let partitions: Vec<&str> = (3..7).map(|y| words(&lines[y])[0]).collect();
    assert_eq!(partitions, ["0", "1", "2", "3"], "{lines:#?}");
    terminal.press("\x1b");
    terminal.until_words(&["filter: PIC-0"]);
    terminal.press("\x1b");
    terminal.until("both again", |lines| lines[4].starts_with("topic-"));

    terminal.press("2");
    let lines = terminal.until("the host and what it did", |lines| {
        let row = row(lines, "mm-0/mirror");
        row.len() == 9 && row[2] == "ok" && row[5].parse::<u64>().unwrap() > 1
    });
    assert!(
        lines[1].contains(&format!("pid {}", run.id())),
        "{lines:#?}"
    );
    fleet.hold_down("mm-0", true);
    terminal.until_words(&["! mm-0/mirror", "ssh_error"]);
    terminal.press("\t");
    terminal.until("the sink has had something", |lines| {
        let row = row(lines, "elasticsearch");
        row.last() == Some(&"working") && row[4].parse::<u64>().unwrap() > 0
    });
    fake.lock().login = Some(("elastic".to_owned(), "changed".to_owned()));
    fleet.hold_down("mm-0", false);
    terminal.until_words(&["! elasticsearch", "holding for", "401", "no dead letters"]);

    assert_eq!(run.end(Signal::TERM), Some(0));
    terminal.until_words(&["no run is alive"]);
    // Whoever moves the journal now has all of it, also while it is watched.
    let log = place.folder.path().join("journal.db-wal");
    terminal.until("the journal is one file", |_| !log.exists());
    terminal.press("1");
    terminal.until_words(&["2 stale", " stale, "]);
    terminal.press("q");
    assert!(terminal.end().success());
    terminal.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_not_there_goes_away_and_comes_back_is_said_and_waited_for() {
    let place = Place::new();
    let fleet = place.fleet().await;
    let fake = Fake::start().await;
    place.configure(&fleet, &format!("urls: ['{}']", fake.url));
    let mut terminal = Terminal::start(&mut watch(&place), 80, 24);
    terminal.until_words(&["there is none", "no samples yet"]);
    let mut run = place.run();
    terminal.until("samples", |lines| row(lines, "topic-0").contains(&"ok"));
    assert_eq!(run.end(Signal::TERM), Some(0));
    let aside = place.folder.path().join("aside.db");
    std::fs::rename(place.journal(), &aside).unwrap();
    terminal.until("still the topics, and what is missing", |lines| {
        lines.join("").contains("there is none") && row(lines, "topic-0").contains(&"stale,")
    });
    std::fs::write(place.journal(), "shopping list\n").unwrap();
    terminal.until_words(&["not a journal of mirrorlag"]);
    std::fs::rename(&aside, place.journal()).unwrap();
    let _run = place.run();
    terminal.until("it goes on", |lines| {
        let row = row(lines, "topic-0");
        row.contains(&"ok") && !row.contains(&"stale,") && !lines.join("").contains("not a journal")
    });
    terminal.press("\x03");
    assert!(terminal.end().success());
    terminal.assert_clean();
}

#[test]
fn however_it_ends_the_terminal_is_as_it_was() {
    let place = nothing();
    let ways: [(&str, Option<Signal>); 5] = [
        ("q", None),
        ("\x03", None),
        ("", Some(Signal::TERM)),
        ("", Some(Signal::INT)),
        ("", Some(Signal::HUP)),
    ];
    for (key, signal) in ways {
        let mut terminal = Terminal::start(&mut watch(&place), 80, 24);
        terminal.until_words(&[KEYS]);
        assert!(terminal.is_full_screen() && terminal.is_cursor_hidden() && terminal.is_raw());
        terminal.press(key);
        if let Some(signal) = signal {
            terminal.tell(signal);
        }
        assert!(terminal.end().success(), "{key:?} {signal:?}");
        terminal.assert_clean();
        // What is on the screen afterwards is what was there before.
        assert_eq!(terminal.text().trim(), "", "{key:?} {signal:?}");
    }
}

#[test]
fn told_twice_to_stop_at_the_same_moment_it_still_gives_the_terminal_back() {
    let place = nothing();
    for _ in 0..10 {
        let mut terminal = Terminal::start(&mut watch(&place), 80, 24);
        terminal.until_words(&[KEYS]);
        terminal.tell(Signal::TERM);
        terminal.tell(Signal::INT);
        let code = terminal.end().code();
        assert!([Some(0), Some(130)].contains(&code), "{code:?}");
        terminal.assert_clean();
    }
}

#[test]
fn stopped_and_continued_from_elsewhere_it_takes_the_terminal_again() {
    let place = nothing();
    let mut terminal = Terminal::start(&mut watch(&place), 80, 24);
    terminal.until_words(&[KEYS]);
    let entered = |terminal: &Terminal| {
        let bytes = terminal.bytes();
        let enter = b"\x1b[?1049h";
        bytes.windows(enter.len()).filter(|it| it == enter).count()
    };
    terminal.tell(Signal::STOP);
    terminal.tell(Signal::CONT);
    terminal.until("a second entry", |_| entered(&terminal) == 2);
    terminal.until("the view", |lines| lines[23].starts_with(KEYS));
    assert!(terminal.is_full_screen() && terminal.is_raw());
    terminal.press("q");
    assert!(terminal.end().success());
    terminal.assert_clean();
}

#[test]
fn ctrl_z_gives_the_terminal_back_to_the_shell_and_fg_draws_it_anew() {
    let place = nothing();
    let mut shell = Command::new("bash");
    shell
        .args(["--norc", "--noprofile", "-i"])
        .env("PS1", "shell-is-here> ")
        .env("HISTFILE", "")
        .env("INPUTRC", "/dev/null");
    let mut terminal = Terminal::start(&mut shell, 80, 24);
    terminal.until_words(&["shell-is-here>"]);
    terminal.press(&format!("{BINARY} watch -c {}\r", place.config().display()));
    for round in 1..=2 {
        terminal.until("the view", |lines| lines[23].starts_with(KEYS));
        terminal.press("\x1a");
        terminal.until("the shell", |lines| {
            lines.join("\n").matches("Stopped").count() >= round
        });
        terminal.until("no screen of ours", |_| {
            !terminal.is_full_screen() && !terminal.is_cursor_hidden()
        });
        terminal.press("stty -a | tr ';' '\\n' | grep -c -w -e echo -e icanon\r");
        // Two settings, each without a minus before it.
        terminal.until("echo and lines", |lines| {
            lines
                .iter()
                .any(|line| line.trim() == "1" || line.trim() == "2")
        });
        terminal.press("fg\r");
    }
    terminal.until("the view", |lines| lines[23].starts_with(KEYS));
    terminal.press("q");
    terminal.until("the shell", |lines| !lines[23].starts_with(KEYS));
    terminal.press("exit\r");
    assert!(terminal.end().success());
    terminal.assert_clean();
}

#[test]
fn a_terminal_that_changes_its_size_is_filled_again() {
    let place = nothing();
    let mut terminal = Terminal::start(&mut watch(&place), 80, 24);
    terminal.until_words(&[KEYS]);
    for (columns, rows) in [(40, 10), (132, 40), (57, 13)] {
        terminal.resize(columns, rows);
        terminal.until("the keys are in the last line", |lines| {
            lines.len() == usize::from(rows)
                && lines.last().unwrap().starts_with(KEYS)
                && lines.iter().filter(|line| line.starts_with(KEYS)).count() == 1
        });
    }
    terminal.resize(30, 5);
    terminal.until_words(&["30x5 is too small"]);
    terminal.resize(80, 24);
    terminal.until("all again", |lines| {
        lines[23].starts_with(KEYS) && !lines.join("").contains("too small")
    });
    terminal.press("q");
    assert!(terminal.end().success());
    terminal.assert_clean();
}

#[test]
fn no_colour_is_sent_under_no_color_and_nothing_but_ascii_in_a_locale_that_is_not_utf_8() {
    let place = nothing();
    let shown = |variables: &[(&str, &str)]| {
        let mut program = watch(&place);
        program.envs(variables.iter().copied());
        let mut terminal = Terminal::start(&mut program, 80, 24);
        terminal.until_words(&["there is none"]);
        terminal.press("?");
        terminal.until_words(&["the partitions of the chosen topic"]);
        terminal.press("q");
        assert!(terminal.end().success());
        terminal.bytes()
    };
    let colors = |bytes: &[u8]| colors_of(std::str::from_utf8(bytes).unwrap());
    // The message about the journal is red.
    assert!(
        colors(&shown(&[])).contains(&"31".to_owned())
            || colors(&shown(&[])).iter().any(|it| it.starts_with("38"))
    );
    let plain = shown(&[("NO_COLOR", "1"), ("LC_ALL", "POSIX")]);
    assert_eq!(colors(&plain), Vec::<String>::new());
    assert!(plain.is_ascii());
}

/// The colours that are set: all numbers of `SGR` but attributes and the way back to the terminal's own colours.
fn colors_of(text: &str) -> Vec<String> {
    let mut colors = Vec::new();
    for sequence in text.split("\x1b[").skip(1) {
        let Some((numbers, _)) = sequence.split_once('m') else {
            continue;
        };
        if !numbers.chars().all(|c| c.is_ascii_digit() || c == ';') {
            continue;
        }
        let numbers = numbers.split(';');
        let is_color = |it: &&str| {
            it.len() >= 2
                && !["22", "23", "24", "25", "27", "28", "29", "39", "49", "59"].contains(it)
        };
        colors.extend(numbers.filter(is_color).map(str::to_owned));
    }
    colors
}

#[test]
fn without_a_terminal_one_line_names_the_commands_that_need_none() {
    let place = nothing();
    let mut program = watch(&place);
    let output = without_terminal(&mut program).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("`mirrorlag once` or `mirrorlag status`"),
        "{said}"
    );
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));

    let mut dumb = Terminal::start(watch(&place).env("TERM", "dumb"), 80, 24);
    assert_eq!(dumb.end().code(), Some(3));
    dumb.until_words(&["no full screen here: TERM names", "mirrorlag once"]);
    assert!(!dumb.bytes().contains(&0x1b));
    dumb.assert_settings();
}

#[tokio::test(flavor = "multi_thread")]
async fn collecting_itself_it_asks_the_hosts_and_leaves_journal_and_sinks_alone() {
    let place = Place::new();
    let fleet = place.fleet().await;
    let fake = Fake::start().await;
    place.configure(&fleet, &format!("urls: ['{}']", fake.url));
    let temporary = tempfile::tempdir().unwrap();
    let mut collect = place.command(&["watch", "--collect"]);
    collect.env("TMPDIR", temporary.path());
    let mut terminal = Terminal::start(&mut collect, 100, 24);
    terminal.until("samples", |lines| row(lines, "topic-0").contains(&"ok"));
    assert!(
        std::fs::read_dir(temporary.path())
            .unwrap()
            .next()
            .is_some()
    );
    terminal.press("2");
    terminal.until("the host", |lines| {
        row(lines, "mm-0/mirror").contains(&"ok")
    });
    terminal.press("3");
    terminal.until_words(&["no sink: what is collected stays in the journal"]);
    assert!(!place.journal().exists());
    // A run may start beside it.
    let mut run = place.run();
    place.until(&["status", "--json"], |said| said.code == Some(0));
    terminal.press("q");
    assert!(terminal.end().success());
    terminal.assert_clean();
    assert!(is_empty(temporary.path()));

    // But two who ask each host are more than its limits allow.
    let mut second = Terminal::start(&mut place.command(&["watch", "--collect"]), 100, 24);
    assert_eq!(second.end().code(), Some(3));
    let pid = format!("a run (pid {}) collects already", run.id());
    second.until_words(&[&pid, "leave --collect away"]);
    assert_eq!(run.end(Signal::TERM), Some(0));
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_topics_scroll_and_cost_next_to_nothing_while_nothing_is_pressed() {
    let place = Place::new();
    let folder = place.folder.path().to_owned();
    let fleet = Fleet::start(FleetSettings::uniform(7, folder, 1, 1000, 4))
        .await
        .unwrap();
    let access = fleet.access();
    let yaml = format!(
        "defaults:\n  interval: 10s\n  ssh: {{user: {}, private_key: {}, known_hosts: {}}}\n  kafka: {{consumer_groups: {CONSUMER_GROUPS}}}\n\
         mirror_hosts:\n  mm-0: {{address: 127.0.0.1, port: {}}}\n\
         groups:\n  - {{group: mirror, mirror_host: mm-0, bootstrap_servers: ['b1:9092']}}\n\
         journal: {{path: {}}}\nsinks:\n  stdout: {{}}\n",
        access.user,
        access.private_key.display(),
        access.known_hosts.display(),
        fleet.port("mm-0").unwrap(),
        place.journal().display(),
    );
    std::fs::write(place.config(), yaml).unwrap();
    let _run = place.run();
    let mut terminal = Terminal::start(&mut watch(&place), 80, 24);
    terminal.until("all topics", |lines| lines[0].contains("1000 topics"));
    terminal.press("ss");
    terminal.until_words(&["by age"]);
    terminal.press("G");
    terminal.until_words(&["topic-"]);
    // In a build without optimisation ten times of what is promised; a busy loop is a hundred times.
    let (from, before) = (Instant::now(), cpu_ticks(terminal.id()));
    let deadline = from + Duration::from_secs(5);
    terminal.until("five seconds", |_| Instant::now() > deadline);
    let share = (cpu_ticks(terminal.id()) - before) / 100.0 / from.elapsed().as_secs_f64();
    eprintln!("{:.2} % of a core", share * 100.0);
    assert!(share < 0.1, "{share}");
    terminal.press("q");
    assert!(terminal.end().success());
}

/// User and system time of a process in hundredths of a second.
///
/// Source: proc_pid_stat(5), fields 14 and 15, counted behind the name in brackets.
fn cpu_ticks(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let fields = rest.split(' ').skip(11).take(2);
    fields.map(|field| field.parse::<f64>().unwrap()).sum()
}
