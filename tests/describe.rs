//! Each file of `tests/describe/` is what a real CLI printed; beside it stands what must be read from it.
//!
//! `<version>_<situation>.txt` is stdout, `.stderr.txt` is stderr (absent: nothing), `.expected.json` holds the exit code, the groups asked
//! for, and the answer for each. `UPDATE_EXPECT=1 cargo test --test describe` rewrites the answers.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helper functions of tests, which clippy does not know as tests

use std::fs;
use std::path::{Path, PathBuf};

use mirrorlag::kafka::{self, Description, Progress, RoundText, Row, Stream, Transcript};
use serde_json::{Value, json};

const MARKER: &str = "marker-5f1c";

#[test]
fn every_captured_output_is_read_as_expected() {
    let mut files = 0;
    let mut wrong = Vec::new();
    for expected in captures() {
        files += 1;
        let text = fs::read_to_string(&expected).unwrap();
        let asked: Value = serde_json::from_str(&text).unwrap();
        let answer = answer(&expected, &asked["asked"]);
        if answer == text {
            continue;
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, answer).unwrap();
        } else {
            let name = expected.display();
            wrong.push(format!("== {name}, expected\n{text}== but read\n{answer}"));
        }
    }
    assert!(files >= 80, "only {files} captures found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_captured_output_cut_at_any_byte_yields_no_number_that_was_not_printed() {
    for expected in captures() {
        let asked: Value = serde_json::from_str(&fs::read_to_string(&expected).unwrap()).unwrap();
        let groups = asked["asked"]["groups"].as_array().unwrap();
        let group = groups[0].as_str().unwrap();
        let whole = round_of(&expected, 0);
        let printed = kafka::read(group, &whole);
        // Windows of the text are enough: the parser has no memory longer than a line but for the header.
        let step = (whole.stdout.len() / 400).max(1);
        for end in (0..whole.stdout.len()).step_by(step) {
            let Some(stdout) = whole.stdout.get(..end) else {
                continue;
            };
            let cut = RoundText {
                stdout: stdout.to_owned(),
                ..whole.clone()
            };
            for row in kafka::read(group, &cut).rows {
                assert!(
                    printed
                        .rows
                        .iter()
                        .any(|whole| numbers(whole) == numbers(&row)),
                    "{} cut at byte {end}: {row:?}",
                    expected.display()
                );
            }
        }
    }
}

#[test]
fn every_capture_has_its_source_named_and_every_file_belongs_to_a_capture() {
    let sources = fs::read_to_string(folder().join("SOURCES.md")).unwrap();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "SOURCES.md" {
            continue;
        }
        let stem = name
            .strip_suffix(".expected.json")
            .or_else(|| name.strip_suffix(".stderr.txt"))
            .or_else(|| name.strip_suffix(".txt"))
            .unwrap_or_else(|| panic!("{name} is no part of a capture"));
        let (version, situation) = stem.split_once('_').unwrap();
        for part in ["txt", "expected.json"] {
            assert!(
                folder().join(format!("{stem}.{part}")).exists(),
                "{stem}.{part}"
            );
        }
        for word in [version, situation] {
            assert!(
                sources.contains(&format!("`{word}`")),
                "SOURCES.md lacks `{word}`"
            );
        }
    }
}

fn numbers<'a>(row: &Row<'a>) -> (&'a str, i32, Option<i64>, Option<i64>, Option<i64>) {
    (
        row.topic,
        row.partition,
        row.current_offset,
        row.log_end_offset,
        row.lag,
    )
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/describe")
}

/// The `.expected.json` of every capture, in the order of their names.
fn captures() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".expected.json"))
        .collect();
    files.sort();
    files
}

/// The captured streams as they come out of the remote loop: in lines, the marker behind them.
fn round_of(expected: &Path, exit_code: i64) -> RoundText {
    let stem = expected.to_string_lossy().replace(".expected.json", "");
    let stdout = fs::read(format!("{stem}.txt")).unwrap();
    let stderr = fs::read(format!("{stem}.stderr.txt")).unwrap_or_default();
    let mut transcript = Transcript::new(MARKER, 1 << 20);
    let mut ended = None;
    let hello = kafka::hello_line(MARKER, true);
    for (stream, text) in [(Stream::Stderr, stderr), (Stream::Stdout, stdout)] {
        let text = String::from_utf8_lossy(&text);
        let looped = format!("\n{hello}\n{text}\n{MARKER} 7 {exit_code}\n");
        for line in looped.strip_suffix('\n').unwrap().split('\n') {
            if let Some(Progress::Round(round)) = transcript.push(stream, line, false) {
                ended = Some(round);
            }
        }
    }
    ended.expect("both markers were shown")
}

/// The file `expected` should have this text.
fn answer(expected: &Path, asked: &Value) -> String {
    let round = round_of(expected, asked["exit_code"].as_i64().unwrap());
    let mut text = format!("{{\"asked\": {asked},\n \"answers\": {{");
    for (at, group) in asked["groups"].as_array().unwrap().iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let described = described(&kafka::read(group.as_str().unwrap(), &round));
        text.push_str(&format!("{comma}\n  {group}: {described}"));
    }
    text.push_str("}}\n");
    text
}

/// One line per row, for people who read a diff.
fn described(description: &Description<'_>) -> String {
    let failure = description.failure.as_ref().map_or(
        Value::Null,
        |failure| json!({"outcome": failure.outcome, "reason": failure.reason}),
    );
    let problems: Vec<String> = description.problems.iter().map(|p| p.to_string()).collect();
    let mut text = format!(
        "{{\"group_state\": {}, \"failure\": {failure},\n   \"problems\": {},\n   \"rows\": [",
        json!(description.group_state),
        json!(problems)
    );
    for (at, row) in description.rows.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let row = json!([
            row.topic,
            row.partition,
            row.current_offset,
            row.log_end_offset,
            row.lag,
            row.consumer_id,
            row.consumer_host,
            row.client_id
        ]);
        text.push_str(&format!("{comma}\n    {row}"));
    }
    text.push_str("]}");
    text
}
