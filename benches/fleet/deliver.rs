//! In: how many records, an Elasticsearch. Out: documents per second from the journal into its index, beside two Python clients.
//! Never: keeps the indices.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mirrorlag::delivery::{self, Limits, Status};
use mirrorlag::sinks::document;
use mirrorlag::sinks::elasticsearch::{
    Credentials, Elasticsearch, Layout, SHIPPED_MAPPING, SHIPPED_PARTITIONS_MAPPING, Settings,
};
use tokio_util::sync::CancellationToken;

use crate::backlog::{fill, open, sample};
use crate::child::python;

/// As an older table has it.
const PARTITIONS: i32 = 18;

/// One call per document is slow: so many are enough.
const ONE_BY_ONE: u64 = 1_000;

pub async fn deliver(records: u64) {
    let Some((url, user, password)) = elasticsearch() else {
        println!("left out: MIRRORLAG_COMPARE_ELASTICSEARCH is not set");
        return;
    };
    println!("{records} documents of {PARTITIONS} partitions into one Elasticsearch");
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    fill(&journal, records, PARTITIONS).await;
    let index = format!("consumer_lag_bench_{}", std::process::id());
    let settings = Settings {
        urls: vec![url.clone()],
        index: index.parse().unwrap(),
        mapping: SHIPPED_MAPPING.to_owned(),
        layout: Layout::Wide,
        partitions_index: format!("{index}_partitions").parse().unwrap(),
        partitions_mapping: SHIPPED_PARTITIONS_MAPPING.to_owned(),
        data_stream: false,
        retain_for: None,
        credentials: Credentials::Basic {
            username: user.clone(),
            password: password.clone().into(),
        },
        ca_file: None,
        accept_any_certificate: false,
        proxy: None,
        request_timeout: Duration::from_secs(30),
    };
    let sink = Elasticsearch::new(&settings).unwrap();
    let status = Arc::new(Status::new("elasticsearch"));
    let stop = CancellationToken::new();
    let started = Instant::now();
    let delivery = delivery::run(
        sink,
        journal.clone(),
        status.clone(),
        Limits::default(),
        stop.clone(),
    );
    let delivery = tokio::spawn(delivery);
    while status.state().stored < records {
        assert!(
            started.elapsed() < Duration::from_secs(600),
            "{:?}",
            status.state()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let ours = rate("mirrorlag", records, started.elapsed());
    stop.cancel();
    delivery.await.unwrap();
    let file = folder.path().join("documents.ndjson");
    let mut lines = std::fs::File::create(&file)
        .map(std::io::BufWriter::new)
        .unwrap();
    for n in 0..records {
        let sample = sample(n, PARTITIONS);
        write!(lines, "{}\t", sample.id()).unwrap();
        lines.write_all(&document(&sample)).unwrap();
        lines.write_all(b"\n").unwrap();
    }
    lines.flush().unwrap();
    for (how, name, count, goal) in [
        (
            "one",
            "one call per document",
            ONE_BY_ONE.min(records),
            "20",
        ),
        ("bulk", "helpers.bulk", records, "1"),
    ] {
        let Some(mut command) = python("index.py") else {
            return;
        };
        command
            .args([how, &url, &user, &password])
            .arg(&file)
            .arg(count.to_string());
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let seconds: f64 = String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .unwrap();
        let theirs = rate(name, count, Duration::from_secs_f64(seconds));
        println!("{:24} {:.1} (goal {goal})", "  ratio", ours / theirs);
    }
}

fn rate(name: &str, documents: u64, took: Duration) -> f64 {
    let rate = documents as f64 / took.as_secs_f64();
    println!(
        "{name:24} {rate:.0} documents/s ({documents} in {:.2} s)",
        took.as_secs_f64()
    );
    rate
}

/// URL without login, user, password.
fn elasticsearch() -> Option<(String, String, String)> {
    let text = std::env::var("MIRRORLAG_COMPARE_ELASTICSEARCH").ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let (login, host) = rest.split_once('@')?;
    let (user, password) = login.split_once(':')?;
    Some((
        format!("{scheme}://{host}"),
        user.to_owned(),
        password.to_owned(),
    ))
}
