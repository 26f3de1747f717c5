//! In: how many topics. Out: what it costs to collect them: CPU, memory, describes on the hosts, lateness of ticks.
//! Never: counts the time in which sources connect.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mirrorlag::simulator::{AnsweredRound, Fleet, FleetSettings};
use tokio::time::sleep;

use crate::START;
use crate::accepting::Accepting;
use crate::child::{Measured, python};
use crate::configuration::{Asked, Shape};

const TOPICS_PER_HOST: usize = 10;
const TOPICS_PER_GROUP: usize = 50;
const PARTITIONS: i32 = 12;

/// What one process used while it was looked at.
struct Used {
    cpu_percent: f64,
    resident_kib: u64,
    most_kib: u64,
    documents_per_second: f64,
    requests_per_second: f64,
}

impl Used {
    fn print(&self, name: &str) {
        println!(
            "{name:24} cpu {:.2} % of one core, resident {} KiB (at most {} KiB), {:.1} documents/s in {:.1} requests/s",
            self.cpu_percent,
            self.resident_kib,
            self.most_kib,
            self.documents_per_second,
            self.requests_per_second
        );
    }
}

async fn used(measured: &mut Measured, server: &Accepting, seconds: u64) -> Used {
    sleep(START).await;
    let before = (
        measured.cpu_seconds(),
        server.documents(),
        server.requests(),
    );
    sleep(Duration::from_secs(seconds)).await;
    measured.assert_alive();
    let (resident_kib, most_kib) = measured.memory_kib();
    Used {
        cpu_percent: 100.0 * (measured.cpu_seconds() - before.0) / seconds as f64,
        resident_kib,
        most_kib,
        documents_per_second: (server.documents() - before.1) as f64 / seconds as f64,
        requests_per_second: (server.requests() - before.2) as f64 / seconds as f64,
    }
}

async fn fleet(folder: &Path, hosts: usize, topics: usize) -> Fleet {
    let settings = FleetSettings::uniform(7, folder.to_owned(), hosts, topics, PARTITIONS);
    Fleet::start(settings).await.unwrap()
}

/// `sources` sources at 1 s, a session each: mirrorlag, then today's script on the same fleet.
pub async fn cost(sources: usize, seconds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(
        folder.path(),
        sources.div_ceil(TOPICS_PER_HOST),
        TOPICS_PER_HOST,
    )
    .await;
    let server = Accepting::start().await;
    let asked = Asked {
        fleet: &fleet,
        topics_per_host: TOPICS_PER_HOST,
        sources,
        shape: Shape::PerTopic,
        interval: "1s",
        handshakes_per_host: 4,
        elasticsearch: &server.url,
        folder: folder.path(),
    };
    println!(
        "{sources} sources, a session each, interval 1 s, {PARTITIONS} partitions, {seconds} s"
    );
    let mut mirrorlag = Measured::mirrorlag(&asked.yaml());
    let ours = used(&mut mirrorlag, &server, seconds).await;
    drop(mirrorlag);
    ours.print("mirrorlag");
    if let Some(mut command) = python("today.py") {
        let mut today = Measured::start(command.arg(asked.json()).stdout(Stdio::null()));
        let theirs = used(&mut today, &server, seconds).await;
        drop(today);
        theirs.print("today's script");
        println!(
            "ratio                    cpu 1/{:.1} (goal 1/20), resident 1/{:.1} (goal 1/5)",
            theirs.cpu_percent / ours.cpu_percent,
            theirs.resident_kib as f64 / ours.resident_kib as f64
        );
    }
    fleet.stop().await;
}

/// Groups of 50 topics, a session each: CPU, memory and lateness as the fleet grows.
pub async fn topics(seconds: u64, interval: u64) {
    println!(
        "groups of {TOPICS_PER_GROUP} topics with {PARTITIONS} partitions, interval {interval} s, {seconds} s"
    );
    for topics in [10, 100, 1000, 5000] {
        let folder = tempfile::tempdir().unwrap();
        let per_host = TOPICS_PER_GROUP.min(topics);
        let fleet = fleet(folder.path(), topics.div_ceil(per_host), per_host).await;
        let server = Accepting::start().await;
        let asked = Asked {
            fleet: &fleet,
            topics_per_host: per_host,
            sources: topics,
            shape: Shape::PerGroup,
            interval: &format!("{interval}s"),
            handshakes_per_host: 4,
            elasticsearch: &server.url,
            folder: folder.path(),
        };
        let mut mirrorlag = Measured::mirrorlag(&asked.yaml());
        sleep(START).await;
        drop(rounds(&fleet));
        let used = used(&mut mirrorlag, &server, seconds).await;
        drop(mirrorlag);
        used.print(&format!("{topics} topics"));
        let mut late: Vec<f64> = rounds(&fleet).iter().map(lateness_ms).collect();
        late.sort_by(f64::total_cmp);
        let at = |share: f64| {
            late.get(((late.len() - 1) as f64 * share) as usize)
                .copied()
                .unwrap_or(f64::NAN)
        };
        println!(
            "{:24} {} ticks, late by {:.1} ms (p50), {:.1} ms (p99), {:.1} ms (most; goal {} ms)",
            "",
            late.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            interval * 100
        );
        fleet.stop().await;
    }
}

fn rounds(fleet: &Fleet) -> Vec<AnsweredRound> {
    let hosts: Vec<String> = fleet.hosts().map(|(host, _)| host.name.clone()).collect();
    hosts
        .iter()
        .flat_map(|host| fleet.take_rounds(host))
        .collect()
}

/// A tick is named by its planned instant in milliseconds, a point, and the generation of the clock.
pub fn planned(round: &AnsweredRound) -> SystemTime {
    let ms = round.tick.split('.').next().and_then(|ms| ms.parse().ok());
    UNIX_EPOCH + Duration::from_millis(ms.expect("a tick of mirrorlag"))
}

fn lateness_ms(round: &AnsweredRound) -> f64 {
    let late = round
        .asked_at
        .duration_since(planned(round))
        .unwrap_or_default();
    late.as_secs_f64() * 1000.0
}

/// What a host runs per tick for 50 topics of one group.
pub async fn describes() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path(), 1, TOPICS_PER_GROUP).await;
    let server = Accepting::start().await;
    let asked = Asked {
        fleet: &fleet,
        topics_per_host: TOPICS_PER_GROUP,
        sources: TOPICS_PER_GROUP,
        shape: Shape::PerGroup,
        interval: "1s",
        handshakes_per_host: 4,
        elasticsearch: &server.url,
        folder: folder.path(),
    };
    println!(
        "{TOPICS_PER_GROUP} topics of one group, interval 1 s: describes that the host runs per second"
    );
    let mirrorlag = Measured::mirrorlag(&asked.yaml());
    println!(
        "{:24} {:.2}",
        "mirrorlag",
        describes_per_second(&fleet).await
    );
    drop(mirrorlag);
    if let Some(mut command) = python("today.py") {
        let today = Measured::start(command.arg(asked.json()).stdout(Stdio::null()));
        println!(
            "{:24} {:.2}",
            "today's script",
            describes_per_second(&fleet).await
        );
        drop(today);
    }
    fleet.stop().await;
}

async fn describes_per_second(fleet: &Fleet) -> f64 {
    const SECONDS: u64 = 20;
    sleep(START).await;
    let before = fleet.counts("mm-0").describes;
    sleep(Duration::from_secs(SECONDS)).await;
    (fleet.counts("mm-0").describes - before) as f64 / SECONDS as f64
}
