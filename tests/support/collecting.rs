//! A simulated fleet, a journal in a fresh folder, and the sources that read the one into the other.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mirrorlag::collector::{Collector, MirrorHost, SourceSettings, Topics};
use mirrorlag::journal::{self, Journal};
use mirrorlag::kafka::{self, Jvm};
use mirrorlag::sample::Sample;
use mirrorlag::simulator::{self, Fleet, FleetSettings};
use mirrorlag::ssh::{self, HostKeyPolicy};
use tokio_util::sync::CancellationToken;

/// Beyond this a wait is a failure of the program, not of the machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub fn mirror_host(fleet: &Fleet, name: &str) -> MirrorHost {
    let access = fleet.access();
    MirrorHost {
        name: name.to_owned(),
        cluster: Some("source-a".to_owned()),
        ssh: ssh::Settings {
            address: "127.0.0.1".to_owned(),
            port: fleet.port(name).unwrap(),
            user: access.user.clone(),
            private_key: Some(access.private_key.clone()),
            passphrase: None,
            agent: false,
            known_hosts: access.known_hosts.clone(),
            host_key: HostKeyPolicy::Strict,
            connect_timeout: Duration::from_secs(10),
            dead_after: Duration::from_secs(10),
            jump: None,
        },
        kafka: kafka::Settings {
            consumer_groups: simulator::CONSUMER_GROUPS.to_owned(),
            java_home: None,
            jvm: Jvm::Light,
            timeout: None,
        },
        describes_per_host: 2,
        handshakes_per_host: 4,
    }
}

pub fn source(host: &Arc<MirrorHost>, group: &str, topics: Topics) -> SourceSettings {
    let name = match &topics {
        Topics::One(topic) => format!("{}/{group}/{topic}", host.name),
        _ => format!("{}/{group}", host.name),
    };
    SourceSettings {
        name,
        mirror_host: host.clone(),
        describe: kafka::Describe {
            group: group.to_owned(),
            bootstrap_servers: vec!["b1:9092".to_owned()],
            command_config: None,
            limit: Duration::from_secs(10),
        },
        interval: Duration::from_secs(1),
        topics,
    }
}

pub fn all_topics() -> Topics {
    Topics::All { exclude: vec![] }
}

/// One host, one group `mirror`, topics `topic-0`.. of four partitions.
pub async fn small_fleet(folder: &Path, topics: usize) -> Fleet {
    let settings = FleetSettings::uniform(7, folder.to_owned(), 1, topics, 4);
    Fleet::start(settings).await.unwrap()
}

pub fn open_journal(folder: &Path) -> Journal {
    Journal::open(&journal::Settings {
        path: folder.join("journal.db"),
        retain_for: Duration::from_secs(3600),
        bytes_max: 1 << 30,
    })
    .unwrap()
}

pub async fn samples(journal: &Journal) -> Vec<Sample> {
    let mut after = 0;
    let mut samples = Vec::new();
    loop {
        let records = journal.read(after, 1000, 1 << 24).await.unwrap();
        let Some(last) = records.last() else {
            return samples;
        };
        after = last.position;
        let body = |r: &journal::Record| serde_json::from_slice(&r.body).unwrap();
        samples.extend(records.iter().map(body));
    }
}

/// Waits until the journal's samples satisfy `condition`, and returns them.
pub async fn samples_until(
    journal: &Journal,
    what: &str,
    condition: impl Fn(&[Sample]) -> bool,
) -> Vec<Sample> {
    let started = Instant::now();
    loop {
        let samples = samples(journal).await;
        if condition(&samples) {
            return samples;
        }
        assert!(
            started.elapsed() < DEADLINE,
            "{what}: not within {DEADLINE:?}; last seen: {:#?}",
            samples.iter().rev().take(3).collect::<Vec<_>>()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A collector at work, and how to end it.
pub struct Running {
    pub collector: Collector,
    pub stop: CancellationToken,
}

pub async fn collect(sources: Vec<SourceSettings>, journal: &Journal) -> Running {
    let stop = CancellationToken::new();
    let collector = Collector::start(sources, journal, &stop).await.unwrap();
    Running { collector, stop }
}

impl Running {
    pub async fn finish(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.collector.finish())
            .await
            .expect("the collector ends when it is told to");
    }
}
