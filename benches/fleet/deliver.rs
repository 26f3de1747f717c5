//! In: how many records, an Elasticsearch. Out: documents per second from the journal into its index, beside two Python clients.
//! Never: keeps the indices.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mirrorlag::delivery::{self, Limits, Status};
use mirrorlag::sinks::elasticsearch::{
    Credentials, Elasticsearch, Layout, SHIPPED_MAPPING, SHIPPED_PARTITIONS_MAPPING, Settings,
};
use mirrorlag::sinks::{Sink as _, document};
use tokio_util::sync::CancellationToken;

use crate::backlog::{fill, open, sample};
use crate::child::python;

/// As an older table has it.
const PARTITIONS: i32 = 18;

/// One call per document is slow: so many are enough.
const ONE_BY_ONE: u64 = 1_000;

/// Pairs that are timed in turn, behind one that only warms the server up: its first minute is its slowest.
const PAIRS: usize = 3;

pub async fn deliver(records: u64) {
    let Some((url, user, password)) = elasticsearch() else {
        println!("left out: MIRRORLAG_COMPARE_ELASTICSEARCH is not set");
        return;
    };
    println!("{records} documents of {PARTITIONS} partitions into one Elasticsearch");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("documents.ndjson");
    write_documents(&file, records);
    let python = |how: &str, count: u64| {
        let mut command = python("index.py")?;
        command.args([how, &url, &user, &password]).arg(&file);
        Some(seconds_of(command.arg(count.to_string())))
    };
    let mut ratios = Vec::new();
    let mut last = 0.0;
    for pair in 0..=PAIRS {
        last = ours(&url, &user, &password, records, pair).await;
        let Some(theirs) = python("bulk", records) else {
            return;
        };
        if pair > 0 {
            print_rate("mirrorlag", records, last);
            print_rate("helpers.bulk", records, theirs);
            ratios.push(theirs / last);
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!("  ratio                  {ratios:.2?} (goal 1)");
    let count = ONE_BY_ONE.min(records);
    let Some(one_by_one) = python("one", count) else {
        return;
    };
    print_rate("one call per document", count, one_by_one);
    let ratio = (one_by_one / count as f64) / (last / records as f64);
    println!("  ratio                  {ratio:.1} (goal 20)");
}

/// Seconds from the start of a delivery until the last of `records` is stored. The index is there before, as for the others.
async fn ours(url: &str, user: &str, password: &str, records: u64, pair: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    fill(&journal, records, PARTITIONS).await;
    let index = format!("consumer_lag_bench_{}_{pair}", std::process::id());
    let settings = Settings {
        urls: vec![url.to_owned()],
        index: index.parse().unwrap(),
        mapping: SHIPPED_MAPPING.to_owned(),
        layout: Layout::Wide,
        partitions_index: format!("{index}_partitions").parse().unwrap(),
        partitions_mapping: SHIPPED_PARTITIONS_MAPPING.to_owned(),
        data_stream: false,
        retain_for: None,
        credentials: Credentials::Basic {
            username: user.to_owned(),
            password: password.to_owned().into(),
        },
        ca_file: None,
        accept_any_certificate: false,
        proxy: None,
        request_timeout: Duration::from_secs(30),
    };
    let mut sink = Elasticsearch::new(&settings).unwrap();
    sink.prepare().await.unwrap();
    let status = Arc::new(Status::new("elasticsearch"));
    let stop = CancellationToken::new();
    let started = Instant::now();
    let limits = Limits::default();
    let delivery = delivery::run(sink, journal.clone(), status.clone(), limits, stop.clone());
    let delivery = tokio::spawn(delivery);
    while status.state().stored < records {
        assert!(
            started.elapsed() < Duration::from_secs(600),
            "{:?}",
            status.state()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = started.elapsed().as_secs_f64();
    stop.cancel();
    delivery.await.unwrap();
    took
}

/// A line per document: its `_id`, a tab, its JSON.
fn write_documents(file: &Path, records: u64) {
    let mut lines = std::fs::File::create(file)
        .map(std::io::BufWriter::new)
        .unwrap();
    for n in 0..records {
        let sample = sample(n, PARTITIONS);
        write!(lines, "{}\t", sample.id()).unwrap();
        lines.write_all(&document(&sample)).unwrap();
        lines.write_all(b"\n").unwrap();
    }
    lines.flush().unwrap();
}

fn seconds_of(command: &mut Command) -> f64 {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    text.trim().parse().unwrap()
}

fn print_rate(name: &str, documents: u64, seconds: f64) {
    let rate = documents as f64 / seconds;
    println!("{name:24} {rate:.0} documents/s ({documents} in {seconds:.2} s)");
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
