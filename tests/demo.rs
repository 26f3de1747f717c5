//! `mirrorlag demo` as an operator starts it: the real program, a simulated fleet, nothing left behind.

#![allow(clippy::unwrap_used)] // helper functions of tests, which clippy does not know as tests

#[path = "support/picture.rs"]
mod picture;
#[path = "support/terminal.rs"]
mod terminal;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use terminal::Terminal;

/// The orderly end has ten seconds; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a screen has when every host has answered.
const WORDS: [&str; 4] = ["orders", "stock", "searches", "ok, empty"];

fn demo(folder: &Path) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    demo.arg("demo")
        .env("TMPDIR", folder)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    demo
}

fn tell(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn end(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the demonstration does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_pipe_gets_a_line_for_each_of_twelve_topics_and_the_folder_is_gone_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path())
        .args(["--for", "60s"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut good = BTreeMap::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // `--for` ends this loop where a topic never comes.
    while good.len() < 12 && stdout.read_line(&mut line).unwrap() > 0 {
        assert!(!line.contains('\u{1b}'), "no colour in a pipe: {line:?}");
        let line = std::mem::take(&mut line);
        if let Some((_, behind)) = line.split_once(" topic=")
            && behind.contains(" outcome=ok ")
        {
            let topic = behind.split(' ').next().unwrap_or_default().to_owned();
            good.insert(topic, behind.to_owned());
        }
    }
    assert_eq!(good.len(), 12, "{good:#?}");
    for (topic, said) in [
        ("orders", "partitions=12 lag_total="),
        ("clicks", "partitions=18 lag_total="),
        ("legacy", "group_state=empty"),
    ] {
        assert!(good[topic].contains(said), "{}", good[topic]);
    }
    tell(&child, Signal::TERM);
    stdout.read_to_string(&mut line).unwrap();
    assert_eq!(end(child), Some(0));
    assert!(is_empty(folder.path()));
}

#[test]
fn it_ends_by_itself_after_the_time_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let child = demo(folder.path())
        .args(["--for", "1s"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(end(child), Some(0));
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(is_empty(folder.path()));
}

#[test]
fn a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = demo(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let heading = lines.next().unwrap().unwrap();
        assert!(heading.starts_with("# mirrorlag demo: 4 "), "{heading}");
        assert!(!is_empty(folder.path()));
        tell(&child, signal);
        assert_eq!(end(child), Some(0));
        assert!(is_empty(folder.path()));
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(end(child), Some(0));
    assert_eq!(said, "");
    assert!(is_empty(folder.path()));
}

#[test]
fn a_terminal_gets_the_live_view_whose_keys_work_and_is_itself_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    program
        .args(["demo", "--for", "60s"])
        .env("TMPDIR", folder.path());
    let mut terminal = Terminal::start(&mut program, 100, 30);
    let lines = terminal.until_words(&WORDS);
    assert!(
        lines[0].starts_with("mirrorlag demo: 4 simulated mirror hosts"),
        "{lines:#?}"
    );
    terminal.press("2");
    terminal.until_words(&["SOURCE", "CONNECTED"]);
    terminal.press("1/legacy\r\r");
    terminal.until_words(&["partitions of legacy", "CURRENT-OFFSET"]);
    terminal.press("q");
    assert!(terminal.end().success());
    terminal.assert_clean();
    let text = String::from_utf8(terminal.bytes()).unwrap();
    let (_, after) = text.split_once("\u{1b}[?1049l").unwrap();
    for word in WORDS {
        assert!(after.contains(word), "{word} in {after:?}");
    }
    // The group without members: a colour for it, and a word for those who see none.
    assert!(after.contains("\u{1b}[33mok, empty\u{1b}[0m"), "{after:?}");
    assert!(!after.contains("\u{1b}[?"), "{after:?}");
    assert!(is_empty(folder.path()));
}

/// `UPDATE_EXPECT=1` draws it anew, after a minute and a half.
#[test]
fn the_picture_in_the_readme_is_of_the_view_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo.svg");
    let is_update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut program = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    program.arg("demo").env("TMPDIR", folder.path());
    let mut terminal = Terminal::start(&mut program, 124, 19);
    let lines = terminal.until_words(&WORDS);
    if is_update {
        let filled = Instant::now() + Duration::from_secs(90);
        while Instant::now() < filled {
            std::thread::sleep(Duration::from_millis(100));
        }
        let svg = picture::svg(
            &terminal.screen(),
            "mirrorlag demo: lag of twelve simulated topics, live",
        );
        std::fs::write(&file, svg).unwrap();
    }
    terminal.press("q");
    assert!(terminal.end().success());
    let svg = std::fs::read_to_string(&file).unwrap_or_default();
    // Lines that are the same in every picture: tabs, keys, and the titles but for the minutes.
    let titles = lines[2]
        .split_whitespace()
        .filter(|it| !it.starts_with("MINUTE"));
    let titles = titles.filter(|it| it.parse::<u8>().is_err());
    let words: Vec<&str> = titles
        .chain(lines[1].split("  ").map(str::trim))
        .chain([lines.last().unwrap().as_str()])
        .collect();
    for word in words.into_iter().filter(|it| !it.is_empty()) {
        assert!(
            svg.contains(word),
            "{word:?}: UPDATE_EXPECT=1 draws it anew"
        );
    }
}

#[test]
fn a_terminal_that_cannot_be_filled_gets_plain_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    program
        .args(["demo", "--for", "60s"])
        .env("TMPDIR", folder.path())
        .env("TERM", "dumb");
    let mut terminal = Terminal::start(&mut program, 200, 30);
    terminal.until_words(&["# mirrorlag demo: 4 ", " topic=orders "]);
    terminal.tell(Signal::TERM);
    assert!(terminal.end().success());
    assert!(!terminal.bytes().contains(&0x1b));
    terminal.assert_settings();
    assert!(is_empty(folder.path()));
}

#[test]
fn a_wrong_url_is_one_line_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path())
        .args(["--elasticsearch", "http://elastic:secret@es:9200"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("--elasticsearch: has a user name or password in it"));
    assert!(!said.contains("secret"));
    assert_ne!(output.status.code(), Some(0));
    assert!(is_empty(folder.path()));
}
