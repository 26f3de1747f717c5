//! In: how many records. Out: a journal with so many that no sink has had; the time to the first batch, and memory, of a start with it.
//! Never: measures the filling.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use mirrorlag::journal::{self, Journal};
use mirrorlag::kafka::{GroupState, Outcome};
use mirrorlag::sample::{Partition, Sample};
use tokio::time::sleep;

use crate::accepting::Accepting;
use crate::child::Measured;

/// Records of one append while the journal is filled.
const APPEND: u64 = 5_000;

/// Time that is looked at, at most.
const SECONDS: u64 = 60;

/// The `n`-th of a series: `partitions` partitions, all of them known.
pub fn sample(n: u64, partitions: i32) -> Sample {
    let first: DateTime<Utc> = DateTime::from_timestamp_millis(1_795_168_800_000).unwrap();
    let partition = |partition: i32| Partition {
        partition,
        lag: Some((n as i64 * 7 + i64::from(partition)) % 5_000),
        current_offset: Some(n as i64),
        log_end_offset: Some(n as i64 + 5_000),
        consumer_id: None,
        consumer_host: None,
        client_id: None,
    };
    Sample {
        sampled_at: first + TimeDelta::milliseconds(n as i64 * 10),
        clock_generation: 0,
        topic: format!("topic-{}", n % 100),
        group: "mirror".to_owned(),
        mirror_host: format!("mm-{}", n % 10),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: (0..partitions).map(partition).collect(),
        round_ms: Some(700),
    }
}

pub fn open(folder: &Path) -> Journal {
    let settings = journal::Settings {
        path: folder.join("journal.db"),
        retain_for: Duration::from_secs(86_400),
        bytes_max: 8 << 30,
    };
    Journal::open(&settings).unwrap()
}

/// Appends `records` samples that the sink `elasticsearch` has not had.
pub async fn fill(journal: &Journal, records: u64, partitions: i32) {
    journal.keep_readers(&["elasticsearch"]).await.unwrap();
    let mut next = 0;
    while next < records {
        let end = (next + APPEND).min(records);
        let bodies = (next..end).map(|n| serde_json::to_vec(&sample(n, partitions)).unwrap());
        journal.append(bodies.collect(), None).await.unwrap();
        next = end;
    }
}

pub async fn restart(records: u64) {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    fill(&journal, records, 4).await;
    let bytes = journal.size().await.unwrap().bytes;
    journal.close().await;
    let server = Accepting::start().await;
    let yaml = folder.path().join("mirrorlag.yaml");
    // Nobody listens there: the one source costs nothing.
    let text = format!(
        "defaults: {{ssh: {{user: nobody, agent: true}}, kafka: {{consumer_groups: /k.sh}}}}\nmirror_hosts: {{mm-0: {{address: 127.0.0.1, port: 9}}}}\n\
         groups: [{{group: mirror, mirror_host: mm-0, bootstrap_servers: 'b1:9092', interval: 1d}}]\n\
         journal: {{path: {}, bytes_max: 8GiB}}\nsinks: {{elasticsearch: {{urls: ['{}']}}}}\n",
        folder.path().join("journal.db").display(),
        server.url
    );
    std::fs::write(&yaml, text).unwrap();
    println!(
        "{records} records undelivered, {} MiB of journal",
        bytes >> 20
    );
    let started = Instant::now();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    command
        .args(["run", "-c"])
        .arg(&yaml)
        .env("SSH_AUTH_SOCK", "/nowhere");
    let mirrorlag = Measured::start(&mut command);
    server.wait(0, 1).await;
    println!(
        "first batch after       {:.3} s (goal 1 s)",
        started.elapsed().as_secs_f64()
    );
    let mut delivered = server.documents();
    while delivered < records && started.elapsed() < Duration::from_secs(SECONDS) {
        sleep(Duration::from_millis(50)).await;
        delivered = server.documents();
    }
    let took = started.elapsed().as_secs_f64();
    let (resident, most) = mirrorlag.memory_kib();
    println!(
        "delivered               {delivered} in {took:.1} s, {:.0} documents/s",
        delivered as f64 / took
    );
    println!("resident memory         {resident} KiB, at most {most} KiB");
    println!("cpu                     {:.1} s", mirrorlag.cpu_seconds());
}
