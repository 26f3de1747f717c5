//! In: a configuration file. Out: `mirrorlag run` with it, its log, signals to it, its end.
//! Never: leaves the process behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Beyond this a wait is a failure of the program, not of the machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

pub struct Run {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Lines of the log that `until_it_says` has passed.
    passed: usize,
}

pub fn command(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    command.args(["-v", "run", "-c"]).arg(file);
    command
}

impl Run {
    pub fn start(file: &Path) -> Self {
        Self::of(command(file))
    }

    /// A command that becomes the program by `exec`.
    pub fn of(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self::watched(child)
    }

    fn watched(mut child: Child) -> Self {
        let stderr = child.stderr.take().unwrap();
        let run = Self::unwatched(child);
        let lines = run.log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line.trim_end().to_owned());
            }
        });
        run
    }

    /// Its standard error is the caller's.
    pub fn unwatched(child: Child) -> Self {
        Self {
            child,
            log: Arc::default(),
            passed: 0,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn lines_with(&self, words: &str) -> Vec<String> {
        let log = self.log();
        log.into_iter().filter(|it| it.contains(words)).collect()
    }

    /// Waits for a line behind those waited for before, and gives it.
    #[track_caller]
    pub fn until_it_says(&mut self, words: &str) -> String {
        let line = eventually(&format!("{words:?} in the log"), || {
            let log = self.log();
            let found = (self.passed..log.len()).find(|n| log[*n].contains(words));
            found.map(|n| (n, log[n].clone())).ok_or(log)
        });
        self.passed = line.0 + 1;
        line.1
    }

    pub fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGHUP, and the line that says what came of it.
    #[track_caller]
    pub fn reload(&mut self) -> String {
        self.tell(Signal::HUP);
        self.until_it_says("configuration taken kept=")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The exit code, and how long it took from now.
    #[track_caller]
    pub fn end(&mut self) -> (Option<i32>, Duration) {
        let from = Instant::now();
        let status = eventually("the end", || self.child.try_wait().unwrap().ok_or(()));
        (status.code(), from.elapsed())
    }

    /// SIGTERM, which must end it in order.
    #[track_caller]
    pub fn stop(&mut self) {
        self.tell(Signal::TERM);
        let (code, took) = self.end();
        assert_eq!(code, Some(0), "{:#?}", self.log());
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A line of `/proc/<pid>/status`, without its name.
    pub fn status(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default()
            .trim_start_matches(':')
            .trim()
            .to_owned()
    }

    pub fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.id());
        fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that failed must not leave its process; one that passed has none.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Asks until the answer is `Ok`; at the deadline fails with the last `Err`.
#[track_caller]
pub fn eventually<T, E: std::fmt::Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(state) if Instant::now() >= end => {
                panic!("{what}: not within {DEADLINE:?}; last seen: {state:#?}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// `Ok` when the claim holds, else the state as the reason.
pub fn claim<T>(holds: bool, state: T) -> Result<(), T> {
    if holds { Ok(()) } else { Err(state) }
}
