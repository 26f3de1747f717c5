//! In: commands. Out: processes that end with the test, signals, what /proc says.
//! Never: ends a process by its name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::lab;

/// Lines of a log shown when a test fails.
const LOG_LINES_SHOWN: usize = 30;

/// A process that a test started. It is killed when the test ends; on a failure the end of its log is shown.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts it with both streams into `log`.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        let child = marked(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the same file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            child,
            name: name.to_owned(),
            log,
        }
    }

    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    pub fn signal(&self, signal: Signal) {
        send(self.id(), signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        lab::eventually(&format!("end of {name}"), limit, || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err("still running".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    #[track_caller]
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended_within(limit)
    }

    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended_within(Duration::from_secs(5));
    }

    /// The most memory that it ever had, in KiB.
    pub fn memory_peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|text| text.parse().ok()).expect("VmHWM")
    }

    /// Both streams so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _already_ended = self.child.kill();
        let _status = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("--- end of {}:\n{}", self.log.display(), shown.join("\n"));
        }
    }
}

/// Runs it to its end.
#[track_caller]
pub fn output_of(command: &mut Command) -> Output {
    marked(command)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs it to its end, which must be a success, and gives its standard output.
#[track_caller]
pub fn stdout_of(command: &mut Command) -> String {
    let output = output_of(command);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// With the mark by which `tests/lab/down` finds what a test that was itself killed has left.
fn marked(command: &mut Command) -> &mut Command {
    command.env("MIRRORLAG_LAB_PROCESS", lab::run_folder())
}

pub fn send(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process id");
    // It may have ended meanwhile.
    let _gone = kill_process(pid, signal);
}

/// Every process below this one, as (pid, name).
pub fn descendants(pid: i32) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        let child = child.parse().expect("a process id");
        let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        found.push((child, name.trim_end().to_owned()));
        found.extend(descendants(child));
    }
    found
}

/// Every process whose environment has `KEY=VALUE`, as `pid command line`.
pub fn with_environment(key: &str, value: &str) -> Vec<String> {
    let wanted = format!("{key}={value}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let folder = entry.path();
        // Without a right to read it, it is not ours; without an environment it has ended.
        let environment = fs::read(folder.join("environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        if variables.any(|variable| variable == wanted.as_bytes()) {
            found.push(format!(
                "{} {}",
                entry.file_name().to_string_lossy(),
                command_line(&folder)
            ));
        }
    }
    found
}

fn command_line(folder: &Path) -> String {
    let words = fs::read(folder.join("cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&words).replace('\0', " ");
    text.chars().take(120).collect()
}
