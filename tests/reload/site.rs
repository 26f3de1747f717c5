//! In: hosts, entries and sinks as a test wants them. Out: a configuration file for a simulated fleet.
//! Never: starts the program.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mirrorlag::simulator::{CONSUMER_GROUPS, Fleet, FleetSettings};
use tempfile::TempDir;

/// Topics of the group `mirror` on each host.
pub const TOPICS: usize = 10;

/// A fleet, a folder, and the file in it.
pub struct Site {
    pub fleet: Fleet,
    pub folder: TempDir,
    pub hosts: usize,
    /// Keys of every host, as YAML in one line each.
    pub host_keys: String,
    pub journal_keys: String,
    pub sinks: String,
}

/// One `topics:` entry: host, topic, seconds of its interval.
pub type Entry = (usize, usize, u64);

impl Site {
    pub async fn new(hosts: usize) -> Self {
        Self::with_describes_of(hosts, None).await
    }

    /// With a CLI that takes so long; `None`: as long as in a demonstration.
    pub async fn with_describes_of(hosts: usize, takes: Option<Duration>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings =
            FleetSettings::uniform(7, folder.path().to_owned(), hosts.max(1), TOPICS, 4);
        for host in settings.hosts.iter_mut() {
            host.start_up = takes.map_or(host.start_up.clone(), |takes| takes..=takes);
        }
        Self {
            fleet: Fleet::start(settings).await.unwrap(),
            folder,
            hosts,
            host_keys: String::new(),
            journal_keys: String::new(),
            sinks: "stdout: {}".to_owned(),
        }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("mirrorlag.yaml")
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// Replaces the file as an editor does, whole.
    pub fn write(&self, entries: &[Entry]) {
        self.write_text(&self.yaml(entries));
    }

    pub fn write_text(&self, text: &str) {
        let new = self.folder.path().join("mirrorlag.yaml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    pub fn yaml(&self, entries: &[Entry]) -> String {
        let access = self.fleet.access();
        let mut yaml = format!(
            "defaults:\n  group: mirror\n  bootstrap_servers: ['b1:9092']\n  describes_per_host: 10\n  \
             ssh: {{user: {}, private_key: {}, known_hosts: {}}}\n  kafka: {{consumer_groups: {CONSUMER_GROUPS}}}\n\
             journal: {{path: {}{}}}\nsinks:\n  {}\nmirror_hosts:\n",
            access.user,
            access.private_key.display(),
            access.known_hosts.display(),
            self.journal().display(),
            self.journal_keys,
            self.sinks,
        );
        for (host, port) in self.fleet.hosts().take(self.hosts) {
            let (name, keys) = (&host.name, &self.host_keys);
            writeln!(yaml, "  {name}: {{address: 127.0.0.1, port: {port}{keys}}}").unwrap();
        }
        yaml.push_str("topics:\n");
        for (host, topic, interval) in entries {
            let entry = format!("topic: topic-{topic}, mirror_host: mm-{host}");
            writeln!(yaml, "  - {{{entry}, interval: {interval}s}}").unwrap();
        }
        yaml
    }

    pub fn logins(&self, host: &str) -> u64 {
        self.fleet.counts(host).logins
    }

    pub fn loops(&self, host: &str) -> u64 {
        self.fleet.counts(host).loops
    }
}
