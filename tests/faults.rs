//! The fault matrix in `tests/faults/`: every row names tests, and every test that it names exists.

#![allow(clippy::unwrap_used)] // in functions that tests call, which clippy does not know as tests

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A word with so many underscores is the name of a test, not of a setting or a type.
const UNDERSCORES_MIN: usize = 3;

fn files_below(folder: &Path, ending: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// Names of all functions of tests and sources.
fn functions() -> BTreeSet<String> {
    let mut texts = Vec::new();
    for folder in ["src", "tests"] {
        files_below(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            "rs",
            &mut texts,
        );
    }
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .filter_map(|line| line.trim_start().split_once("fn "))
        .map(|(_, rest)| rest.chars().take_while(|c| is_of_a_name(*c)).collect())
        .collect()
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Row, and what stands in its column of tests.
fn rows() -> Vec<(String, String)> {
    let mut tables = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults");
    files_below(&folder, "md", &mut tables);
    assert!(tables.len() >= 3, "a part of the matrix is gone");
    let lines = tables.iter().flat_map(|table| table.lines());
    lines
        .filter(|line| line.starts_with("| ") && !line.contains("| what must happen"))
        .map(|line| {
            let columns: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            let tests = columns.get(2).unwrap_or_else(|| panic!("no tests: {line}"));
            (columns[0].trim().to_owned(), (*tests).to_owned())
        })
        .collect()
}

#[test]
fn every_fault_has_a_test_and_every_test_named_for_it_exists() {
    let functions = functions();
    let rows = rows();
    assert!(rows.len() > 60, "{} rows", rows.len());
    for (row, tests) in rows {
        let words = tests.split(|c: char| !is_of_a_name(c) && c != '…' && c != '.');
        // `name_of_a_...`: what it begins with.
        let names = words.map(|word| (word.trim_matches(['…', '.']), word.ends_with(['…', '.'])));
        let names: Vec<_> = names
            .filter(|(name, _)| name.matches('_').count() >= UNDERSCORES_MIN)
            .collect();
        assert!(!names.is_empty(), "{row}: no test in {tests:?}");
        for (name, is_cut) in names {
            let exists = match is_cut {
                true => functions.iter().any(|it| it.contains(name)),
                false => functions.contains(name),
            };
            assert!(exists, "{row}: there is no test {name}");
        }
    }
}
