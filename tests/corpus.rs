//! Every seed and every finding of the fuzzer, through the claims that the fuzzer holds.
//!
//! `fuzz/checks/` has the claims, `fuzz/corpus/<target>/` the inputs; a finding becomes a file there and stays.

// A claim of the fuzzer fails by a panic, in functions that clippy does not know as tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../fuzz/checks/bulk_response.rs"]
mod bulk_response;
#[path = "../fuzz/checks/configuration.rs"]
mod configuration;
#[path = "../fuzz/checks/known_hosts.rs"]
mod known_hosts;
#[path = "../fuzz/checks/table_in_pieces.rs"]
mod table_in_pieces;

/// Fewer seeds mean that the folder was not found, or was emptied.
const SEEDS_MIN: usize = 10;

/// What the repository carries of one target.
const CORPUS_BYTES_MAX: u64 = 200 * 1024;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut wrong = Vec::new();
    let (mut seeds, mut bytes) = (0, 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::read(&path).unwrap();
        seeds += 1;
        bytes += data.len() as u64;
        if catch_unwind(|| check(&data)).is_err() {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "a claim does not hold for {wrong:#?}");
    assert!(
        seeds >= SEEDS_MIN,
        "only {seeds} seeds in {}",
        folder.display()
    );
    assert!(
        bytes <= CORPUS_BYTES_MAX,
        "{bytes} bytes in {}",
        folder.display()
    );
}

#[test]
fn every_table_reads_the_same_in_any_pieces_and_yields_no_number_that_was_not_printed() {
    replay("table_in_pieces", table_in_pieces::check);
}

#[test]
fn every_known_hosts_file_is_read_line_by_line() {
    replay("known_hosts", known_hosts::check);
}

#[test]
fn every_configuration_is_refused_line_by_line_or_within_its_limits() {
    replay("configuration", configuration::check);
}

#[test]
fn every_bulk_reply_stores_only_what_it_says_is_stored() {
    replay("bulk_response", bulk_response::check);
}
