//! The house: which room may import which, no circle, and how a file opens. Reads `src/**`, runs nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import, in the order of `lib.rs`. A new arrow is a commit of its own, with its reason.
const ROOMS: &[(&str, &[&str])] = &[
    ("ssh", &[]),
    ("kafka", &[]),
    ("sample", &["kafka"]),
    ("collector", &["ssh", "kafka", "sample", "journal"]),
    ("journal", &[]),
    ("sinks", &["sample"]),
    // A record's bytes become a sample here, so that no sink has to know how the journal keeps them.
    ("delivery", &["journal", "sample", "sinks"]),
    // It draws what the sinks write, and has nothing of theirs but the names of the fields.
    ("kibana", &[]),
    // An operator's commands about indices go through the sink's own nodes, credentials and names; what Kibana gets is made in its room.
    ("setup", &["sinks", "kibana"]),
    (
        "config",
        &["ssh", "kafka", "collector", "journal", "sinks", "setup"],
    ),
    ("simulator", &[]),
    // It shows samples, and what it is told of run and sinks: neither the journal nor the terminal is its own.
    ("watch", &["kafka", "sample"]),
    (
        "app",
        &[
            "ssh",
            "kafka",
            "sample",
            "collector",
            "journal",
            "sinks",
            "delivery",
            "kibana",
            "setup",
            "config",
            "simulator",
            // What a journal has is told to the view in the view's own words.
            "watch",
        ],
    ),
    // `once` prints the documents that the sinks would store; keys go to the view, and its frames to the terminal.
    (
        "cli",
        &[
            "app",
            "config",
            "sample",
            "kafka",
            "collector",
            "sinks",
            "watch",
        ],
    ),
];

/// Any room may use them; they import no room.
const CORRIDORS: &[&str] = &["backoff", "finding", "hangup", "shutdown", "telemetry"];

/// Longer files are split; tests do not count.
const LINES_MAX: usize = 400;

struct SourceFile {
    path: PathBuf,
    room: String,
    /// Without comments, and without what stands behind `#[cfg(test)]`.
    code: String,
    text: String,
}

impl SourceFile {
    /// A room's unit tests may make what they need of any room.
    fn is_test(&self) -> bool {
        self.path.iter().any(|part| part == "tests")
            || self.path.to_string_lossy().ends_with("tests.rs")
    }
}

fn source_files() -> Vec<SourceFile> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let inside = path.strip_prefix(&src).unwrap();
                let first = inside.iter().next().unwrap().to_str().unwrap();
                let text = fs::read_to_string(&path).unwrap();
                files.push(SourceFile {
                    room: first.trim_end_matches(".rs").to_owned(),
                    code: code_of(&text),
                    path: inside.to_owned(),
                    text,
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn code_of(text: &str) -> String {
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Rooms and corridors named behind `crate::`, also inside `crate::{a, b}`.
fn imports(code: &str) -> BTreeSet<String> {
    named_behind("crate::", code)
}

/// First words behind `path`, also those of a list in braces.
fn named_behind(path: &str, code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for behind in code.split(path).skip(1) {
        if let Some(list) = behind.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut name = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.insert(first_word(&name));
                        name.clear();
                    }
                    c if depth == 0 => name.push(c),
                    _ => {}
                }
            }
            names.insert(first_word(&name));
        } else {
            names.insert(first_word(behind));
        }
    }
    names.remove("");
    names
}

fn first_word(text: &str) -> String {
    text.trim()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut allowed: BTreeMap<_, BTreeSet<_>> = ROOMS
        .iter()
        .map(|(room, may)| {
            let mut may: BTreeSet<_> = may.iter().copied().collect();
            may.extend(CORRIDORS);
            may.insert(room);
            (*room, may)
        })
        .collect();
    for corridor in CORRIDORS {
        allowed.insert(corridor, BTreeSet::from([*corridor]));
    }
    allowed.insert("lib", BTreeSet::new());
    allowed.insert("main", BTreeSet::from(["cli"]));
    allowed
}

#[test]
fn no_room_imports_another_than_the_house_allows() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for file in source_files() {
        let Some(may) = allowed.get(file.room.as_str()) else {
            wrong.push(format!(
                "{}: a room that no one planned",
                file.path.display()
            ));
            continue;
        };
        for name in imports(&file.code) {
            if !file.is_test() && !may.contains(name.as_str()) {
                wrong.push(format!("{}: imports crate::{name}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_allowed_arrow_is_used() {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in source_files() {
        used.entry(file.room)
            .or_default()
            .extend(imports(&file.code));
    }
    for (room, may) in ROOMS {
        for target in *may {
            assert!(
                used.get(*room).is_some_and(|names| names.contains(*target)),
                "{room} may import {target} and does not: take the arrow out"
            );
        }
    }
}

#[test]
fn rooms_stand_on_rooms_and_never_in_a_circle() {
    let arrows: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    fn visit<'a>(
        room: &'a str,
        arrows: &BTreeMap<&'a str, &'a [&'a str]>,
        path: &mut Vec<&'a str>,
    ) {
        assert!(!path.contains(&room), "circle: {path:?} -> {room}");
        path.push(room);
        for next in arrows.get(room).copied().unwrap_or_default() {
            visit(next, arrows, path);
        }
        path.pop();
    }
    for (room, _) in ROOMS {
        visit(room, &arrows, &mut Vec::new());
    }
}

#[test]
fn files_of_one_room_do_not_import_each_other_in_a_circle() {
    let files = source_files();
    let modules: BTreeMap<String, &SourceFile> = files
        .iter()
        .filter(|file| file.path.components().count() > 1 && !file.path.ends_with("mod.rs"))
        .map(|file| (file.path.with_extension("").display().to_string(), file))
        .collect();
    let mut arrows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, file) in &modules {
        let folder = file.path.parent().unwrap().display().to_string();
        for word in named_behind("super::", &file.code) {
            let target = format!("{folder}/{word}");
            if let Some((target, _)) = modules.get_key_value(&target) {
                arrows.entry(name).or_default().push(target);
            }
        }
    }
    fn visit<'a>(at: &'a str, arrows: &BTreeMap<&'a str, Vec<&'a str>>, path: &mut Vec<&'a str>) {
        assert!(!path.contains(&at), "circle: {path:?} -> {at}");
        path.push(at);
        for next in arrows.get(at).into_iter().flatten() {
            visit(next, arrows, path);
        }
        path.pop();
    }
    for name in modules.keys() {
        visit(name, &arrows, &mut Vec::new());
    }
}

#[test]
fn a_room_opens_with_what_comes_in_what_goes_out_and_what_it_never_does() {
    for file in source_files() {
        if ["lib", "main"].contains(&file.room.as_str()) || file.is_test() {
            continue;
        }
        let opening: String = file
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        for word in ["In:", "Out:", "Never:"] {
            assert!(
                opening.contains(word),
                "{}: the opening lacks `{word}`",
                file.path.display()
            );
        }
    }
}

#[test]
fn no_file_is_longer_than_a_reader_keeps_in_mind() {
    for file in source_files() {
        if file.is_test() {
            continue;
        }
        let lines = file
            .text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .count();
        assert!(lines <= LINES_MAX, "{}: {lines} lines", file.path.display());
    }
}

#[test]
fn the_words_of_the_house_are_kept() {
    const BANNED: &[&str] = &["utils", "helpers", "common", "manager", "types", "core"];
    for file in source_files() {
        let name = file.path.file_stem().unwrap().to_str().unwrap();
        assert!(!BANNED.contains(&name), "{}", file.path.display());
    }
}

#[test]
fn an_import_is_found_also_in_a_list() {
    let found = imports("use crate::{kafka, ssh::{Gate, Session}};\nlet x = crate::journal::y();");
    let expected = ["journal", "kafka", "ssh"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(expected));
}
