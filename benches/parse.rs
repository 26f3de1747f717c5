//! What reading a describe table costs, beside the least that can be done with its bytes: looking for the line ends.
//!
//!     cargo bench --bench parse
//!
//! A table of 1,000 rows as Kafka 2.3 to 3.7 print it, of one group. `memchr` finds its line feeds one by one.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mirrorlag::kafka::{RoundText, read};
use mirrorlag::simulator::table::{CliVersion, TableRow, render};

const ROWS: i32 = 1_000;
const GROUP: &str = "oasis-group";
/// Partitions of one topic.
const PARTITIONS: i32 = 50;

/// As the CLI prints them: the rows of one member behind each other, in the order of a hash table.
fn row(n: i32) -> TableRow {
    let member = n / 250;
    let client = format!("{GROUP}-{member}");
    let place = (n * 379) % ROWS;
    TableRow {
        topic: format!("orders-{}", place / PARTITIONS),
        partition: place % PARTITIONS,
        current_offset: Some(81_220_334 + i64::from(n) * 1_013),
        log_end_offset: Some(81_220_334 + i64::from(n) * 1_014),
        lag: Some(i64::from(n)),
        consumer_id: Some(format!(
            "{client}-5f0c2d1e-9a53-4d1b-8a0e-3b6f1c7d{member:04x}"
        )),
        consumer_host: Some("/10.0.0.11".to_owned()),
        client_id: Some(client),
    }
}

fn parse(criterion: &mut Criterion) {
    let rows: Vec<TableRow> = (0..ROWS).map(row).collect();
    let round = RoundText {
        stdout: render(CliVersion::V2_3, GROUP, &rows),
        ..RoundText::default()
    };
    assert_eq!(read(GROUP, &round).rows.len(), rows.len());
    let mut group = criterion.benchmark_group("table of 1,000 rows");
    group.throughput(Throughput::Bytes(round.stdout.len() as u64));
    group.bench_function("memchr: line feeds", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(round.stdout.as_bytes());
            memchr::memchr_iter(b'\n', bytes).fold(0, |sum, at| sum ^ at)
        });
    });
    // No reader of columns does less than this.
    group.bench_function("words: where they begin and end", |bencher| {
        bencher.iter(|| {
            let text = black_box(round.stdout.as_str());
            text.split_ascii_whitespace()
                .fold(0, |sum, word| sum ^ word.len())
        });
    });
    group.bench_function("kafka::read", |bencher| {
        bencher.iter(|| black_box(read(GROUP, black_box(&round))));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(5));
    targets = parse
}
criterion_main!(benches);
