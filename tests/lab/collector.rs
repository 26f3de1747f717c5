//! In: what a test wants to be different. Out: a configuration file and the real binary with it.
//! Never: calls into the library: a user has the binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::elasticsearch::Elasticsearch;
use crate::process::{self, Process};
use crate::sshd::Sshd;
use crate::{kafka, lab};

/// SIGTERM ends in order within 10 s; a loaded machine gets some more.
pub const END_LIMIT: Duration = Duration::from_secs(15);

/// How the topics stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One `topics:` entry each.
    Topics,
    /// One `groups:` entry with all of them.
    Group,
    /// One `groups:` entry without a list.
    WholeGroup,
}

/// A configuration as an operator writes it. `new` gives one that works; a test changes what it is about.
pub struct Config {
    pub folder: PathBuf,
    pub shape: Shape,
    pub interval: &'static str,
    pub describe_timeout: &'static str,
    pub user: String,
    pub private_key: PathBuf,
    pub known_hosts: PathBuf,
    /// More lines of `ssh:`, as `key: value`.
    pub ssh_lines: Vec<String>,
    pub address: String,
    pub port: u16,
    /// A second mirror host, `mm-2`, with the same topics: address and port.
    pub second: Option<(String, u16)>,
    pub consumer_groups: PathBuf,
    pub command_config: Option<PathBuf>,
    pub bootstrap_server: String,
    pub group: String,
    pub topics: Vec<String>,
    pub elasticsearch_url: String,
    pub index: String,
    pub username: String,
    pub password: String,
    /// More lines of `sinks:`, behind those of `elasticsearch:`, as they stand in the file.
    pub sink_lines: Vec<String>,
    /// The words of a command that runs the collector, such as `unshare --mount`.
    pub within: Vec<String>,
    /// What stands in the file, and what is to stand there instead: for keys that few tests need.
    pub edits: Vec<(String, String)>,
    /// Holds the password instead of the environment.
    pub password_file: Option<PathBuf>,
}

impl Config {
    /// The group that never changes, by the recorded CLI, every second, through that sshd into the shared Elasticsearch.
    pub fn new(stem: &str, sshd: &Sshd) -> Self {
        Self {
            folder: lab::folder(stem),
            shape: Shape::Topics,
            interval: "1s",
            describe_timeout: "60s",
            user: lab::value("LOGIN"),
            private_key: lab::key("operator.pem"),
            known_hosts: sshd.known_hosts("host_ed25519"),
            ssh_lines: Vec::new(),
            address: sshd.address.clone(),
            port: sshd.port,
            second: None,
            consumer_groups: kafka::recorded_cli(),
            command_config: None,
            bootstrap_server: lab::source_broker(),
            group: lab::STILL_GROUP.to_owned(),
            topics: lab::STILL_TOPICS.map(str::to_owned).to_vec(),
            elasticsearch_url: Elasticsearch::main().url(),
            index: lab::unique("consumer_lag"),
            username: "collector".to_owned(),
            password: lab::PASSWORD.to_owned(),
            sink_lines: Vec::new(),
            within: Vec::new(),
            edits: Vec::new(),
            password_file: None,
        }
    }

    /// More keys of one of the mirror hosts, such as `ssh: {user: somebody}`.
    pub fn edit_host(&mut self, name: &str, keys: &str) {
        let head = format!("{name}: {{");
        self.edits.push((head.clone(), format!("{head}{keys}, ")));
    }

    /// The real CLI of that version, with the client properties of its folder; an interval that two cores can keep.
    pub fn with_cli(mut self, version: &str) -> Self {
        self.consumer_groups = kafka::cli(version);
        self.command_config = Some(kafka::command_config(version));
        self.interval = "3s";
        self
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.join("journal.db")
    }

    /// Writes the file and gives its path.
    pub fn write(&self) -> PathBuf {
        let path = self.folder.join("mirrorlag.yaml");
        let ssh_lines: String = self
            .ssh_lines
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect();
        let mut text = format!(
            "defaults:\n  interval: {}\n  describe_timeout: {}\n  ssh:\n    user: {}\n    private_key: {}\n    \
             known_hosts: {}\n{ssh_lines}  kafka: {{consumer_groups: {}}}\n\
             mirror_hosts:\n{}{}\
             journal: {{path: {}}}\n\
             sinks:\n  elasticsearch:\n    urls: ['{}']\n    index: {}\n    username: {}\n    {}\n{}",
            self.interval,
            self.describe_timeout,
            self.user,
            self.private_key.display(),
            self.known_hosts.display(),
            self.consumer_groups.display(),
            self.hosts(),
            self.entries(),
            self.journal().display(),
            self.elasticsearch_url,
            self.index,
            self.username,
            match &self.password_file {
                Some(file) => format!("password_file: {}", file.display()),
                None => "password_env: LAB_PASSWORD".to_owned(),
            },
            self.sink_lines
                .iter()
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
        );
        for (written, instead) in &self.edits {
            assert!(text.contains(written), "no {written:?} in:\n{text}");
            text = text.replace(written, instead);
        }
        // A collector that just starts may be reading it.
        let new = path.with_extension("new");
        fs::write(&new, text).expect("a configuration file");
        fs::rename(&new, &path).expect("a configuration file");
        path
    }

    fn hosts(&self) -> String {
        let host = |name, address, port| {
            format!("  {name}: {{address: {address}, port: {port}, cluster: lab-source}}\n")
        };
        let second = self.second.as_ref();
        let second = second.map(|(address, port)| host("mm-2", address, *port));
        host("mm-1", &self.address, self.port) + &second.unwrap_or_default()
    }

    fn entries(&self) -> String {
        let second = self.second.as_ref().map(|_| "mm-2");
        let hosts = ["mm-1"].into_iter().chain(second);
        let sources = hosts.map(|host| self.source(host));
        match self.shape {
            Shape::Topics => {
                let entries = sources.flat_map(|source| {
                    let entry = move |topic| format!("  - topic: {topic}\n{source}");
                    self.topics.iter().map(entry)
                });
                format!("topics:\n{}", entries.collect::<String>())
            }
            Shape::Group | Shape::WholeGroup => {
                let list = match self.shape {
                    Shape::Group => format!("    topics: [{}]\n", self.topics.join(", ")),
                    _ => String::new(),
                };
                let entry = |source| format!("  -\n{source}{list}");
                format!("groups:\n{}", sources.map(entry).collect::<String>())
            }
        }
    }

    /// What a `topics:` and a `groups:` entry have in common.
    fn source(&self, host: &str) -> String {
        let command_config = match &self.command_config {
            Some(path) => format!("    command_config: {}\n", path.display()),
            None => String::new(),
        };
        format!(
            "    group: {}\n    mirror_host: {host}\n    bootstrap_servers: ['{}']\n{command_config}",
            self.group, self.bootstrap_server
        )
    }

    pub fn command(&self, name: &str, path: &Path) -> Command {
        let program = env!("CARGO_BIN_EXE_mirrorlag");
        let mut words = self.within.iter().map(String::as_str).chain([program]);
        let mut command = Command::new(words.next().unwrap_or(program));
        command
            .args(words)
            .args([name, "-c"])
            .arg(path)
            .env("LAB_PASSWORD", &self.password)
            .env("NO_COLOR", "1");
        command
    }

    /// `mirrorlag run`, until the test ends it.
    pub fn run(&self) -> Process {
        let mut command = self.command("run", &self.write());
        Process::start("mirrorlag run", &mut command, self.folder.join("run.log"))
    }

    /// `mirrorlag once`.
    pub fn once(&self) -> Output {
        process::output_of(&mut self.command("once", &self.write()))
    }

    /// `mirrorlag check`.
    pub fn check(&self) -> Output {
        process::output_of(&mut self.command("check", &self.write()))
    }

    /// `mirrorlag status --json`: its exit code and what it says.
    pub fn status(&self) -> (Option<i32>, serde_json::Value) {
        let output = self.ask(&["status", "--json"]);
        let said = serde_json::from_slice(&output.stdout);
        (output.status.code(), said.unwrap_or_default())
    }

    /// Any command that takes `-c`, with the file behind it.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
        command
            .args(arguments)
            .arg("-c")
            .arg(self.write())
            .env("LAB_PASSWORD", &self.password)
            .env("NO_COLOR", "1");
        process::output_of(&mut command)
    }

    /// Every record of the journal in its order.
    pub fn records(&self) -> Vec<Record> {
        let journal = rusqlite::Connection::open_with_flags(
            self.journal(),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )
        .expect("the journal");
        let mut statement = journal
            .prepare("SELECT body FROM records ORDER BY position")
            .expect("the table of records");
        let bodies = statement
            .query_map([], |row| row.get::<_, String>(0))
            .expect("records");
        bodies
            .map(|body| Record::read(&body.expect("a record")))
            .collect()
    }
}

/// One record of the journal.
#[derive(Debug, Clone)]
pub struct Record {
    /// `<mirror_host>/<topic>`.
    pub series: String,
    pub instant_ms: i64,
    pub body: serde_json::Value,
}

impl Record {
    fn read(body: &str) -> Self {
        let body: serde_json::Value = serde_json::from_str(body).expect("a record is JSON");
        let instant = body["sampled_at"].as_str().expect("sampled_at");
        let instant = chrono::DateTime::parse_from_rfc3339(instant).expect("an instant");
        Self {
            series: series(&body),
            instant_ms: instant.timestamp_millis(),
            body,
        }
    }

    pub fn series_and_instant(&self) -> (String, i64) {
        (self.series.clone(), self.instant_ms)
    }
}

/// What there is one record of per instant: a topic on a mirror host.
pub fn series(body: &serde_json::Value) -> String {
    let word = |field: &str| body[field].as_str().unwrap_or_default();
    format!("{}/{}", word("mirror_host"), word("topic"))
}

/// Both streams of a command that ended, as text.
pub fn text_of(output: &Output) -> String {
    let both = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8_lossy(&both).into_owned()
}
