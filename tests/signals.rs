//! How `mirrorlag run` ends: the real binary on a simulated fleet, told to stop by signals.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mirrorlag::simulator::{CONSUMER_GROUPS, Fleet, FleetSettings};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Beyond this a wait is a failure of the program, not of the machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// `run` on one host with one group of two topics; `sinks` is YAML.
struct Run {
    child: Child,
    /// Lines of its standard error.
    log: Receiver<String>,
    started: Instant,
}

impl Run {
    fn start(fleet: &Fleet, folder: &Path, sinks: &str) -> Self {
        let access = fleet.access();
        let yaml = format!(
            "defaults:\n  interval: 1s\n  ssh: {{user: {}, private_key: {}, known_hosts: {}}}\n  kafka: {{consumer_groups: {CONSUMER_GROUPS}}}\n\
             mirror_hosts:\n  mm-0: {{address: 127.0.0.1, port: {}}}\n\
             groups:\n  - {{group: mirror, mirror_host: mm-0, bootstrap_servers: ['b1:9092']}}\n\
             journal: {{path: {}}}\nsinks:\n  {sinks}\n",
            access.user,
            access.private_key.display(),
            access.known_hosts.display(),
            fleet.port("mm-0").unwrap(),
            folder.join("journal.db").display(),
        );
        let file = folder.join("mirrorlag.yaml");
        fs::write(&file, yaml).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mirrorlag"))
            .args(["run", "-v", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            log,
            started: Instant::now(),
        }
    }

    fn until_it_says(&self, words: &str) {
        let mut said = Vec::new();
        loop {
            let left = DEADLINE.saturating_sub(self.started.elapsed());
            match self.log.recv_timeout(left) {
                Ok(line) if line.contains(words) => return,
                Ok(line) => said.push(line),
                Err(error) => panic!("no {words:?} ({error}); it said {said:#?}"),
            }
        }
    }

    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, and how long it took from now.
    fn end(&mut self) -> (Option<i32>, Duration) {
        let from = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), from.elapsed());
            }
            assert!(from.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that failed must not leave its process; one that passed has none.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

async fn fleet(folder: &Path) -> Fleet {
    let settings = FleetSettings::uniform(7, folder.to_owned(), 1, 2, 4);
    Fleet::start(settings).await.unwrap()
}

/// A `run` with a request under way to an Elasticsearch that takes connections and never answers.
struct Waiting {
    run: Run,
    _request: TcpStream,
    _listener: TcpListener,
    _fleet: Fleet,
    _folder: TempDir,
}

async fn waiting_for_its_sink() -> Waiting {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sinks =
        format!("elasticsearch: {{urls: ['http://127.0.0.1:{port}'], request_timeout: 50s}}");
    let run = Run::start(&fleet, folder.path(), &sinks);
    Waiting {
        run,
        _request: asked(&listener).await,
        _listener: listener,
        _fleet: fleet,
        _folder: folder,
    }
}

/// Waits until a request is under way: the first record is in the journal and on its way to nowhere.
async fn asked(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let from = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            return stream;
        }
        assert!(from.elapsed() < DEADLINE, "the sink asks nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sigint_end_in_order_with_exit_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let fleet = fleet(folder.path()).await;
        let mut run = Run::start(&fleet, folder.path(), "stdout: {}");
        run.until_it_says("connected");
        run.tell(signal);
        let (code, took) = run.end();
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_never_answers_is_cut_off_within_ten_seconds() {
    let mut waiting = waiting_for_its_sink().await;
    let run = &mut waiting.run;
    run.tell(Signal::TERM);
    let (code, took) = run.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_while_the_first_still_waits() {
    let mut waiting = waiting_for_its_sink().await;
    let run = &mut waiting.run;
    run.tell(Signal::TERM);
    run.until_it_says("stopping in order");
    run.tell(Signal::TERM);
    let (code, took) = run.end();
    assert_eq!(code, Some(mirrorlag::shutdown::EXIT_CUT_SHORT));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_another_process_has_is_exit_code_3_and_does_not_disturb_it() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    let mut first = Run::start(&fleet, folder.path(), "stdout: {}");
    first.until_it_says("connected");
    let mut second = Run::start(&fleet, folder.path(), "stdout: {}");
    second.until_it_says("in use by another mirrorlag");
    assert_eq!(second.end().0, Some(3));
    first.tell(Signal::TERM);
    assert_eq!(first.end().0, Some(0));
}
