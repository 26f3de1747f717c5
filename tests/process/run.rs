//! The real binary on a simulated fleet, its log in a file, its documents in a strict fake Elasticsearch.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mirrorlag::sample::Sample;
use mirrorlag::simulator::{CONSUMER_GROUPS, Fleet, FleetSettings};
use rustix::process::{Pid, Signal, kill_process};

use crate::bulk_server::Fake;

pub const INDEX: &str = "consumer_lag";

/// Beyond this a wait is a failure of the program, not of the machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Topic and planned instant in milliseconds: what must be in the index once.
pub type TopicTick = (String, i64);

/// A folder with a fleet of one host, one group, two topics, and a place for the journal.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub fleet: Fleet,
    pub fake: Fake,
}

impl Place {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = FleetSettings::uniform(7, folder.path().to_owned(), 1, 2, 4);
        Self {
            fleet: Fleet::start(settings).await.unwrap(),
            fake: Fake::start().await,
            folder,
        }
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("state/journal.db")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Lines of the log that have these words.
    pub fn lines(&self, words: &str) -> usize {
        self.log().lines().filter(|it| it.contains(words)).count()
    }

    pub fn port(&self) -> u16 {
        self.fleet.port("mm-0").unwrap()
    }

    /// The program itself.
    pub fn run(&self) -> Run {
        self.run_with(self.port(), &self.fake.url, &[], |_| {})
    }

    pub fn run_with(
        &self,
        ssh_port: u16,
        url: &str,
        options: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Run {
        let file = self.write_configuration(ssh_port, url);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
        command.args(["run", "-c"]).arg(&file).args(options);
        change(&mut command);
        self.start(command)
    }

    /// The program under `wrapper`, a shell script that ends in `exec "$@"`.
    pub fn run_under(&self, wrapper: &str) -> Run {
        let file = self.write_configuration(self.port(), &self.fake.url);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", wrapper, "sh", env!("CARGO_BIN_EXE_mirrorlag")])
            .args(["run", "-c"])
            .arg(&file);
        self.start(command)
    }

    fn start(&self, mut command: Command) -> Run {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Run { child }
    }

    fn write_configuration(&self, ssh_port: u16, url: &str) -> PathBuf {
        let access = self.fleet.access();
        let yaml = format!(
            "defaults:\n  interval: 1s\n  ssh: {{user: {}, private_key: {}, known_hosts: {}}}\n  kafka: {{consumer_groups: {CONSUMER_GROUPS}}}\n\
             mirror_hosts:\n  mm-0: {{address: 127.0.0.1, port: {ssh_port}}}\n\
             groups:\n  - {{group: mirror, mirror_host: mm-0, bootstrap_servers: ['b1:9092']}}\n\
             journal: {{path: {}}}\nsinks:\n  elasticsearch: {{urls: ['{url}']}}\n",
            access.user,
            access.private_key.display(),
            access.known_hosts.display(),
            self.journal().display(),
        );
        let file = self.folder.path().join("mirrorlag.yaml");
        fs::write(&file, yaml).unwrap();
        file
    }

    /// What the index has; two documents of one topic and tick are a failure.
    pub fn documents(&self) -> BTreeSet<TopicTick> {
        let mut found = BTreeSet::new();
        for (id, document) in self.fake.documents(INDEX) {
            let at = document["@timestamp"].as_str().unwrap();
            let at = chrono::DateTime::parse_from_rfc3339(at).unwrap();
            let topic = document["topic"].as_str().unwrap().to_owned();
            // A tick that brought no table before any topic was known speaks for all of them.
            let is_new = found.insert((topic, at.timestamp_millis()));
            assert!(is_new, "twice in the index, here as {id}: {document}");
        }
        found
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let from = Instant::now();
        while !condition(self) {
            let late = from.elapsed() > DEADLINE;
            assert!(!late, "{what}: not within {DEADLINE:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_more_documents(&self, count: usize) {
        let before = self.documents().len();
        self.until("more documents", |it| {
            it.documents().len() >= before + count
        })
        .await;
    }
}

/// Every record that the journal holds, read beside whoever has it open and without changing it.
pub fn records(journal: &Path) -> BTreeSet<TopicTick> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    // Killed before the journal was made: nothing was acknowledged.
    if !journal.exists() {
        return BTreeSet::new();
    }
    let connection = rusqlite::Connection::open_with_flags(journal, flags).unwrap();
    let mut select = connection.prepare("SELECT body FROM records").unwrap();
    let bodies = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut found = BTreeSet::new();
    for body in bodies {
        let sample: Sample = serde_json::from_str(&body.unwrap()).unwrap();
        let is_new = found.insert((sample.topic.clone(), sample.sampled_at.timestamp_millis()));
        assert!(is_new, "twice in the journal: {sample:?}");
    }
    found
}

pub struct Run {
    child: Child,
}

impl Run {
    pub fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGKILL, at whatever it is doing.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The exit code, and how long it took from now.
    pub fn end(&mut self) -> (Option<i32>, Duration) {
        let from = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), from.elapsed());
            }
            assert!(from.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM; it must end with exit code 0 within ten seconds.
    pub fn end_in_order(&mut self) {
        self.tell(Signal::TERM);
        let (code, took) = self.end();
        assert_eq!(code, Some(0));
        // Its own limit, and a little for a machine that is busy.
        assert!(took < Duration::from_secs(12), "{took:?}");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A test that failed must not leave its process; one that passed has none.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
