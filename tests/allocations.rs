//! What reading a table allocates: for the round and per topic, never per row. A binary of its own, for its allocator counts.

#![allow(clippy::unwrap_used)]

use std::alloc::System;

use mirrorlag::kafka::{RoundText, read};
use mirrorlag::simulator::table::{CliVersion, TableRow, render};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const GROUP: &str = "oasis-group";
const TOPICS: i32 = 20;

/// Rows in the order of their members, as the CLI prints them.
fn round(rows: i32) -> RoundText {
    let row = |n: i32| {
        let member = n * 4 / rows;
        TableRow {
            topic: format!("orders-{}", n % TOPICS),
            partition: n / TOPICS,
            current_offset: Some(81_220_334),
            log_end_offset: Some(81_220_334 + i64::from(n)),
            lag: Some(i64::from(n)),
            consumer_id: Some(format!(
                "mm-{member}-5f0c2d1e-9a53-4d1b-8a0e-3b6f1c7d000{member}"
            )),
            consumer_host: Some("/10.0.0.11".to_owned()),
            client_id: Some(format!("mm-{member}")),
        }
    };
    let rows: Vec<TableRow> = (0..rows).map(row).collect();
    RoundText {
        stdout: render(CliVersion::V2_3, GROUP, &rows),
        ..RoundText::default()
    }
}

fn allocations(rows: i32) -> usize {
    let round = round(rows);
    let region = Region::new(COUNTED);
    let read = read(GROUP, &round);
    let change = region.change();
    assert_eq!(read.rows.len(), usize::try_from(rows).unwrap());
    change.allocations + change.reallocations
}

#[test]
fn a_row_allocates_nothing() {
    let (few, many) = (allocations(1_000), allocations(2_000));
    // Partitions of a topic are bits: twice as many may need their list to grow once more.
    let topics = usize::try_from(TOPICS).unwrap();
    assert!(
        many <= few + topics,
        "{few} for 1,000 rows, {many} for 2,000"
    );
    assert!(few <= 3 * topics + 40, "{few} for {TOPICS} topics");
}
