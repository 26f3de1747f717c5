//! Signals at every moment: SIGHUP never ends the process, SIGTERM always does, and `kill -9` doubles nothing.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::bulk_server::{Fake, raw_port};
use crate::journal::{assert_no_tick_missing, assert_no_tick_twice, records};
use crate::run::{Run, claim, command, eventually};
use crate::sinks::everything_is_indexed_once;
use crate::site::Site;

/// SIGHUP is bit 0 of `SigCgt`.
fn catches_hangups(run: &Run) -> bool {
    let caught = run.status("SigCgt");
    u64::from_str_radix(&caught, 16).is_ok_and(|mask| mask & 1 == 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_sighups_in_a_row_are_taken_one_after_the_other_and_as_fewer() {
    let site = Site::new(1).await;
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    let mut run = Run::start(&site.file());
    run.until_it_says("connected");
    run.until_it_says("connected");
    site.write(&[(0, 0, 1), (0, 1, 1), (0, 2, 1)]);
    for _ in 0..20 {
        run.tell(Signal::HUP);
    }
    run.until_it_says("kept=2 added=1 changed=0 removed=0");
    // One more, to know that those before it were taken.
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    run.tell(Signal::HUP);
    run.until_it_says("kept=2 added=0 changed=0 removed=1");
    let taken = run.lines_with("configuration taken kept=").len();
    assert!((2..=21).contains(&taken), "{taken}");
    // The added one may have been removed before it had logged in.
    let logins = site.logins("mm-0");
    assert!((2..=3).contains(&logins), "{logins}");
    run.stop();
    let records = records(&site.journal());
    assert_no_tick_twice(&records);
}

/// A run whose configuration is a pipe that nobody has written to yet, once it listens for SIGHUP.
fn run_on_a_pipe(pipe: &Path) -> Run {
    let made = Command::new("mkfifo").arg(pipe).status().unwrap();
    assert!(made.success());
    let run = Run::start(pipe);
    eventually("SIGHUP is caught", || {
        claim(catches_hangups(&run), run.status("SigCgt"))
    });
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_before_the_configuration_is_read_does_not_end_it_and_a_file_that_hangs_does_not_stop_the_end()
 {
    let site = Site::new(1).await;
    let yaml = site.yaml(&[(0, 0, 1)]);
    let mut run = run_on_a_pipe(&site.file());
    for _ in 0..3 {
        run.tell(Signal::HUP);
    }
    std::fs::write(site.file(), yaml).unwrap();
    run.until_it_says("connected");
    // The request of before hangs now: nobody writes into the pipe again. The end does not wait for it.
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_the_first_configuration_hangs_ends_it() {
    let site = Site::new(1).await;
    let mut run = run_on_a_pipe(&site.file());
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_and_sigterm_together_end_it_in_order() {
    for signals in [
        [Signal::HUP, Signal::TERM],
        [Signal::TERM, Signal::HUP],
        [Signal::HUP, Signal::INT],
    ] {
        let site = Site::new(1).await;
        site.write(&[(0, 0, 1), (0, 1, 1)]);
        let mut run = Run::start(&site.file());
        run.until_it_says("connected");
        run.until_it_says("connected");
        site.write(&[(0, 0, 2), (0, 2, 1)]);
        for signal in signals {
            run.tell(signal);
        }
        let (code, took) = run.end();
        assert_eq!(code, Some(0), "{:#?}", run.log());
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(run.lines_with("did not end in time"), [""; 0]);
        eventually("no loop is left", || {
            claim(site.loops("mm-0") == 0, site.loops("mm-0"))
        });
        assert_no_tick_twice(&records(&site.journal()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_while_it_ends_is_ignored() {
    let mut site = Site::new(1).await;
    let (address, asked) = raw_port(None).await;
    site.sinks = format!("elasticsearch: {{urls: ['http://{address}'], request_timeout: 50s}}");
    site.write(&[(0, 0, 1)]);
    let mut run = Run::start(&site.file());
    eventually("a request that is never answered", || {
        claim(*asked.lock().unwrap() > 0, ())
    });
    run.tell(Signal::TERM);
    run.until_it_says("stopping in order");
    for _ in 0..5 {
        run.tell(Signal::HUP);
    }
    let (code, took) = run.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(run.lines_with("configuration"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_a_changed_sink_waits_for_the_one_before_it_ends_in_order() {
    let mut site = Site::new(1).await;
    let (address, asked) = raw_port(None).await;
    site.sinks = format!("elasticsearch: {{urls: ['http://{address}'], request_timeout: 50s}}");
    site.write(&[(0, 0, 1)]);
    let mut run = Run::start(&site.file());
    eventually("a request that is never answered", || {
        claim(*asked.lock().unwrap() > 0, ())
    });
    let fake = Fake::start().await;
    site.sinks = format!("elasticsearch: {{urls: ['{}']}}", fake.url);
    site.write(&[(0, 0, 1)]);
    run.reload();
    run.stop();
    everything_is_indexed_once(&site, &fake, "consumer_lag");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_right_after_a_reload_doubles_no_tick_and_loses_no_record() {
    let mut site = Site::new(2).await;
    let fake = Fake::start().await;
    site.sinks = format!("elasticsearch: {{urls: ['{}']}}", fake.url);
    let shapes: [&[crate::site::Entry]; 3] = [
        &[(0, 0, 1), (0, 1, 1), (1, 0, 1)],
        &[(0, 0, 2), (0, 1, 1), (1, 1, 1)],
        &[(0, 1, 1), (0, 2, 1), (1, 0, 3), (1, 1, 1)],
    ];
    let mut had = Vec::new();
    for round in 0..8_u64 {
        site.write(shapes[round as usize % 3]);
        let mut run = Run::start(&site.file());
        run.until_it_says("connected");
        site.write(shapes[(round as usize + 1) % 3]);
        run.reload();
        // Through the ends of the old rounds and the first of the new ones.
        std::thread::sleep(Duration::from_millis(round * 157));
        run.kill();
        let now = records(&site.journal());
        assert_no_tick_twice(&now);
        assert!(had.iter().all(|it| now.contains(it)), "a record is lost");
        had = now;
    }
    everything_is_indexed_once(&site, &fake, "consumer_lag");
    for host in ["mm-0", "mm-1"] {
        eventually("no loop is left", || {
            claim(site.loops(host) == 0, site.loops(host))
        });
    }
}

/// A terminal: our end of it, which closes it when it is dropped, and its path.
fn terminal() -> (OwnedFd, String) {
    let controller =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let path = ptsname(&controller, Vec::new()).unwrap();
    (controller, path.into_string().unwrap())
}

/// `run` in a session of its own, with that terminal as its standard input and in control of it; the log goes into a file.
fn in_terminal(site: &Site, path: &str, before: &[&str]) -> Run {
    let program = command(&site.file());
    let terminal = File::options().read(true).write(true).open(path).unwrap();
    let child = Command::new("setsid")
        .arg("--ctty")
        .args(before)
        .arg(program.get_program())
        .args(program.get_args())
        .stdin(terminal)
        .stdout(Stdio::null())
        .stderr(File::create(log_of(site)).unwrap())
        .spawn();
    Run::unwatched(child.unwrap())
}

fn log_of(site: &Site) -> PathBuf {
    site.folder.path().join("log")
}

#[track_caller]
fn until_log_says(site: &Site, words: &str) {
    eventually(words, || {
        let text = std::fs::read_to_string(log_of(site)).unwrap();
        claim(text.contains(words), text)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_closed_ends_it_in_order_and_kill_hup_in_it_reloads() {
    let site = Site::new(1).await;
    site.write(&[(0, 0, 1)]);
    let (controller, path) = terminal();
    let mut run = in_terminal(&site, &path, &[]);
    until_log_says(&site, "connected");
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    run.tell(Signal::HUP);
    until_log_says(&site, "configuration taken kept=1 added=1");
    drop(controller);
    let (code, took) = run.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    until_log_says(&site, "the terminal was closed: stopping in order");
    eventually("no loop is left", || {
        claim(site.loops("mm-0") == 0, site.loops("mm-0"))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nohup_a_closed_terminal_is_one_more_reload() {
    let site = Site::new(1).await;
    site.write(&[(0, 0, 1)]);
    let (controller, path) = terminal();
    let mut run = in_terminal(&site, &path, &["nohup"]);
    until_log_says(&site, "connected");
    drop(controller);
    until_log_says(&site, "configuration taken kept=1");
    assert!(run.is_running());
    eventually("ticks go on", || {
        let records = records(&site.journal()).len();
        claim(records >= 4, records)
    });
    run.stop();
    assert_no_tick_missing(&records(&site.journal()), "mm-0/topic-0", 1000);
}
