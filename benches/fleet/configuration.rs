//! In: a running fleet and where documents go. Out: a configuration of mirrorlag, and the same for the scripts.
//! Never: names a host that the fleet does not have.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mirrorlag::simulator::{CONSUMER_GROUPS, Fleet};
use serde_json::json;

/// How topics are asked for.
pub enum Shape {
    /// One session per topic, as today's script does it.
    PerTopic,
    /// One session and one describe for all topics of a host's group.
    PerGroup,
}

/// What is asked of a fleet of `mirror` groups with `topics` topics on each host.
pub struct Asked<'a> {
    pub fleet: &'a Fleet,
    pub topics_per_host: usize,
    pub sources: usize,
    pub shape: Shape,
    pub interval: &'a str,
    pub handshakes_per_host: usize,
    /// Where documents go.
    pub elasticsearch: &'a str,
    pub folder: &'a Path,
}

impl Asked<'_> {
    pub fn yaml(&self) -> PathBuf {
        let access = self.fleet.access();
        let mut yaml = format!(
            "defaults:\n  interval: {}\n  describes_per_host: 64\n  handshakes_per_host: {}\n  group: mirror\n  bootstrap_servers: ['b1:9092']\n  \
             ssh: {{user: {}, private_key: {}, known_hosts: {}}}\n  kafka: {{consumer_groups: {CONSUMER_GROUPS}}}\n",
            self.interval,
            self.handshakes_per_host,
            access.user,
            access.private_key.display(),
            access.known_hosts.display(),
        );
        let journal = self.folder.join("journal.db");
        writeln!(yaml, "journal: {{path: {}}}", journal.display()).unwrap();
        writeln!(
            yaml,
            "sinks: {{elasticsearch: {{urls: ['{}']}}}}\nmirror_hosts:",
            self.elasticsearch
        )
        .unwrap();
        for (host, port) in self.fleet.hosts() {
            writeln!(
                yaml,
                "  {}: {{address: 127.0.0.1, port: {port}}}",
                host.name
            )
            .unwrap();
        }
        match self.shape {
            Shape::PerTopic => {
                yaml.push_str("topics:\n");
                for (topic, host) in self.entries() {
                    writeln!(yaml, "  - {{topic: {topic}, mirror_host: {host}}}").unwrap();
                }
            }
            Shape::PerGroup => {
                yaml.push_str("groups:\n");
                for (host, _) in self.fleet.hosts() {
                    writeln!(yaml, "  - {{mirror_host: {}}}", host.name).unwrap();
                }
            }
        }
        let path = self.folder.join("mirrorlag.yaml");
        fs::write(&path, yaml).unwrap();
        path
    }

    /// For `benches/compare/today.py`.
    pub fn json(&self) -> PathBuf {
        let access = self.fleet.access();
        let entries: Vec<_> = self
            .entries()
            .map(|(topic, host)| json!({"topic": topic, "group": "mirror", "port": self.fleet.port(&host)}))
            .collect();
        let text = json!({
            "user": access.user,
            "private_key": access.private_key,
            "consumer_groups": CONSUMER_GROUPS,
            "elasticsearch": self.elasticsearch,
            "index": "consumer_lag",
            "entries": entries,
        });
        let path = self.folder.join("today.json");
        fs::write(&path, text.to_string()).unwrap();
        path
    }

    fn entries(&self) -> impl Iterator<Item = (String, String)> {
        let per_host = self.topics_per_host;
        (0..self.sources).map(move |n| {
            (
                format!("topic-{}", n % per_host),
                format!("mm-{}", n / per_host),
            )
        })
    }
}
