//! What an acknowledged append costs: through the journal, as bare SQLite with the same settings, and as the disk itself.
//!
//!     cargo bench --bench journal
//!
//! One iteration is one tick: a batch of records, on disk when it returns.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mirrorlag::journal::{Journal, Settings};
use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Topics of one tick: a single one, a usual fleet, a large one.
const BATCHES: [usize; 3] = [1, 12, 100];

/// A sample of 18 partitions takes about this many bytes.
const BODY_BYTES: usize = 1200;

fn body() -> Vec<u8> {
    vec![b'x'; BODY_BYTES]
}

fn journal(folder: &tempfile::TempDir) -> Journal {
    let settings = Settings {
        path: folder.path().join("journal.db"),
        retain_for: Duration::from_secs(86_400),
        bytes_max: u64::MAX,
    };
    Journal::open(&settings).unwrap()
}

fn bare(folder: &tempfile::TempDir) -> Connection {
    let connection = Connection::open(folder.path().join("bare.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE records (position INTEGER PRIMARY KEY AUTOINCREMENT, appended_at TEXT, body TEXT);",
        )
        .unwrap();
    connection
}

fn append(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("append");
    for count in BATCHES {
        group.throughput(Throughput::Elements(count as u64));
        let folder = tempfile::tempdir().unwrap();
        let one_call = journal(&folder);
        group.bench_function(BenchmarkId::new("journal, one call", count), |bencher| {
            bencher.iter(|| {
                let records = vec![body(); count];
                black_box(runtime.block_on(one_call.append(records, None)).unwrap())
            });
        });
        let folder = tempfile::tempdir().unwrap();
        let many_calls = journal(&folder);
        group.bench_function(BenchmarkId::new("journal, a call each", count), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let mut calls = JoinSet::new();
                    for _ in 0..count {
                        let journal = many_calls.clone();
                        calls.spawn(async move { journal.append(vec![body()], None).await });
                    }
                    black_box(calls.join_all().await)
                })
            });
        });
        let mut file = File::create(folder.path().join("fdatasync")).unwrap();
        group.bench_function(BenchmarkId::new("write and fdatasync", count), |bencher| {
            bencher.iter(|| {
                file.write_all(&vec![b'x'; BODY_BYTES * count]).unwrap();
                file.sync_data().unwrap();
            });
        });
        let folder = tempfile::tempdir().unwrap();
        let connection = bare(&folder);
        group.bench_function(BenchmarkId::new("bare transaction", count), |bencher| {
            bencher.iter(|| {
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                let mut insert = connection
                    .prepare_cached("INSERT INTO records (appended_at, body) VALUES (?1, ?2)")
                    .unwrap();
                for _ in 0..count {
                    let text = String::from_utf8(body()).unwrap();
                    insert.execute(("2026-11-20T10:00:00.000Z", text)).unwrap();
                }
                connection.execute_batch("COMMIT").unwrap();
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = append
}
criterion_main!(benches);
