//! What the README promises is what the program does: its configuration loads, its fields are mapped, its messages exist.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const COMMANDS: [&str; 12] = [
    "run",
    "check",
    "once",
    "setup",
    "status",
    "watch",
    "letters",
    "migrate",
    "prune",
    "demo",
    "completions",
    "man",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// First cells of the table whose heading begins with `heading`, each without its column title.
fn first_cells(text: &str, heading: &str) -> Vec<String> {
    let table = text.split(heading).nth(1).expect("the table is there");
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').nth(1).unwrap().trim().to_owned())
        .collect()
}

fn code_spans(cell: &str) -> Vec<String> {
    let spans = cell.split('`').skip(1).step_by(2);
    spans.map(str::to_owned).collect()
}

fn mirrorlag(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_mirrorlag"))
        .args(arguments)
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

#[test]
fn the_configuration_of_the_first_host_loads_as_it_is_printed() {
    let readme = readme();
    let block = readme.split("```yaml\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    fs::write(&key, "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
    let yaml: String = block
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line)))
        .collect();
    let yaml = yaml.replace("~/.ssh/ec2_keypair.pem", key.to_str().unwrap());
    let file = folder.path().join("mirrorlag.yaml");
    fs::write(&file, yaml).unwrap();
    let home = folder.path().display().to_string();
    let env = |name: &str| match name {
        "ES_PASSWORD" => Some("secret".to_owned()),
        "HOME" => Some(home.clone()),
        _ => None,
    };
    let loaded =
        mirrorlag::config::load(&file, &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.config.sources.len(), 1);
}

#[test]
fn the_document_of_a_partition_has_exactly_the_fields_of_its_mapping_but_for_the_reason() {
    let mapping = fs::read_to_string(root().join("mappings/consumer_lag_partitions.json")).unwrap();
    let mapping: serde_json::Value = serde_json::from_str(&mapping).unwrap();
    let mapped = mapping["mappings"]["properties"].as_object().unwrap();
    let section = readme();
    let section = section.split("\n## Layouts\n").nth(1).unwrap();
    let lines = section
        .lines()
        .skip_while(|line| !line.starts_with("    {"));
    let text: String = lines.take_while(|line| line.starts_with("    ")).collect();
    let printed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let printed = printed.as_object().unwrap().keys();
    let mut expected: Vec<&String> = mapped.keys().filter(|field| *field != "reason").collect();
    let mut printed: Vec<&String> = printed.collect();
    expected.sort_unstable();
    printed.sort_unstable();
    assert_eq!(printed, expected);
}

#[test]
fn every_field_of_the_document_is_in_the_shipped_mapping() {
    let mapping = fs::read_to_string(root().join("mappings/consumer_lag.json")).unwrap();
    let mapping: serde_json::Value = serde_json::from_str(&mapping).unwrap();
    let properties = mapping["mappings"]["properties"].as_object().unwrap();
    let cells = first_cells(&readme(), "| field | meaning |");
    assert!(cells.len() > 8, "{cells:?}");
    for field in cells.iter().flat_map(|cell| code_spans(cell)) {
        let field = field.replace("<N>", "0");
        assert!(properties.contains_key(&field), "{field}");
    }
}

#[test]
fn every_outcome_is_explained_and_none_is_invented() {
    let cells = first_cells(&readme(), "| outcome | when | what to do |");
    let explained: Vec<String> = cells.iter().flat_map(|cell| code_spans(cell)).collect();
    let words = mirrorlag::kafka::Outcome::ALL.map(|outcome| outcome.word());
    assert_eq!(explained, words);
}

#[test]
fn every_message_that_is_explained_is_one_that_the_program_or_kafka_prints() {
    fn sources(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, text),
                false => text.push_str(&fs::read_to_string(&path).unwrap_or_default()),
            }
        }
    }
    let mut text = String::new();
    sources(&root().join("src"), &mut text);
    for cell in first_cells(&readme(), "| message | mend |") {
        let message = code_spans(&cell).remove(0);
        let piece = message.split(" ...").next().unwrap();
        let piece = piece.split("...").next().unwrap();
        assert!(text.contains(piece), "{piece:?} is in no source file");
    }
}

#[test]
fn the_roles_of_migrate_and_prune_are_those_that_the_lab_uses() {
    let readme = readme();
    for command in ["migrate", "prune"] {
        let file = root().join(format!("config/roles/{command}.json"));
        let role = fs::read_to_string(&file).unwrap();
        assert!(
            readme.contains(&format!("    {}\n", role.trim())),
            "{}",
            file.display()
        );
    }
}

#[test]
fn help_of_every_command_is_as_it_was_reviewed() {
    let folder = root().join("tests/help");
    let mut wrong = Vec::new();
    for command in std::iter::once("").chain(COMMANDS) {
        let arguments: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|a| !a.is_empty())
            .collect();
        let output = mirrorlag(&arguments);
        assert!(output.status.success(), "{command}");
        let help = String::from_utf8(output.stdout).unwrap();
        let name = if command.is_empty() {
            "mirrorlag"
        } else {
            command
        };
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &help).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != help {
            wrong.push(file);
        }
    }
    assert!(wrong.is_empty(), "UPDATE_EXPECT=1 rewrites {wrong:?}");
}

#[test]
fn completions_and_the_manual_are_printed_and_a_wrong_command_line_is_exit_code_2() {
    for shell in ["bash", "zsh", "fish"] {
        let output = mirrorlag(&["completions", shell]);
        assert!(
            output.status.success() && output.stdout.len() > 500,
            "{shell}"
        );
    }
    let manual = mirrorlag(&["man"]);
    assert!(String::from_utf8_lossy(&manual.stdout).contains(".TH mirrorlag"));
    assert_eq!(mirrorlag(&["collect"]).status.code(), Some(2));
    assert_eq!(
        mirrorlag(&["run", "-c", "/nowhere.yaml"]).status.code(),
        Some(2)
    );
}

#[test]
fn the_architecture_is_read_in_one_sitting() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() <= 200);
}
