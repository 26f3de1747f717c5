//! The real binary with a configuration for a simulated fleet and a fake Elasticsearch.
// Each test binary uses its own part of it.
#![allow(dead_code)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mirrorlag::simulator::{CONSUMER_GROUPS, Fleet, FleetSettings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Beyond this a wait is a failure of the program, not of the machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A folder with a configuration and a journal, and the program to be used on them.
pub struct Place {
    pub folder: tempfile::TempDir,
}

/// A `run` that ends with the test.
pub struct Running {
    child: Child,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("mirrorlag.yaml")
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// One host with one group of two topics.
    pub async fn fleet(&self) -> Fleet {
        let settings = FleetSettings::uniform(7, self.folder.path().to_owned(), 1, 2, 4);
        Fleet::start(settings).await.unwrap()
    }

    /// A configuration for that fleet; `elasticsearch` is YAML of that sink.
    pub fn configure(&self, fleet: &Fleet, elasticsearch: &str) {
        let access = fleet.access();
        let yaml = format!(
            "defaults:\n  interval: 1s\n  ssh: {{user: {}, private_key: {}, known_hosts: {}}}\n  kafka: {{consumer_groups: {CONSUMER_GROUPS}}}\n\
             mirror_hosts:\n  mm-0: {{address: 127.0.0.1, port: {}}}\n\
             groups:\n  - {{group: mirror, mirror_host: mm-0, bootstrap_servers: ['b1:9092']}}\n\
             journal: {{path: {}}}\nsinks:\n  elasticsearch: {{{elasticsearch}}}\n",
            access.user,
            access.private_key.display(),
            access.known_hosts.display(),
            fleet.port("mm-0").unwrap(),
            self.journal().display(),
        );
        fs::write(self.config(), yaml).unwrap();
    }

    /// Starts `mirrorlag run`; its log goes to a file in the folder.
    pub fn run(&self) -> Running {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("run.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mirrorlag"))
            .args(["run", "-c"])
            .arg(self.config())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Running { child }
    }

    /// A command with `-c` of this place behind it, and none of the environment's secrets.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
        command.args(arguments).arg("-c").arg(self.config());
        command
    }

    pub fn output(&self, arguments: &[&str]) -> Said {
        Said::of(&mut self.command(arguments))
    }

    /// Asks until the command's answer satisfies `is_so`, and returns it.
    pub fn until(&self, arguments: &[&str], is_so: impl Fn(&Said) -> bool) -> Said {
        let from = Instant::now();
        loop {
            let said = self.output(arguments);
            if is_so(&said) {
                return said;
            }
            let log = || fs::read_to_string(self.folder.path().join("run.log"));
            assert!(
                from.elapsed() < DEADLINE,
                "{arguments:?} ends with {said:#?}; log:\n{}",
                log().unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What a command said, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        Self {
            code: status.code(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// The lines of standard output as JSON.
    pub fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap();
        self.out.lines().map(parse).collect()
    }
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end after a signal; the exit code.
    pub fn end(&mut self, signal: Signal) -> Option<i32> {
        self.tell(signal);
        let from = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(from.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed must not leave its process; one that passed has none.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
