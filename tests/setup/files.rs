//! `--export`: the same things as files, without a word to a server.

use std::fs;
use std::path::{Path, PathBuf};

use mirrorlag::kibana::{self, Description};
use serde_json::Value;

use super::scripted::Server;
use super::{DATED, Machine, setup};

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn an_export_asks_nobody_and_has_what_setup_would_send() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, DATED), Some((&kibana, "space: ops")));
    let folder = machine.folder.path().join("files");
    let said = setup(&file, &["--export", folder.to_str().unwrap()]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!((elasticsearch.seen().asked, kibana.seen().asked), (0, 0));
    let readme = fs::read_to_string(folder.join("README.txt")).unwrap();
    for path in files_of(&folder) {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        let is_named =
            readme.contains(&name) || name.starts_with("grafana/") || name == "README.txt";
        assert!(is_named, "README.txt does not say what {name} is for");
        if name.ends_with(".json") {
            let text = fs::read_to_string(&path).unwrap();
            serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    assert!(readme.contains("KIBANA/s/ops/api/saved_objects/_import?overwrite=true"));
    let roles = fs::read_to_string(folder.join("roles/kibana.json")).unwrap();
    assert!(roles.contains("\"ops\""), "{roles}");

    // Sent by hand, as README.txt says, nothing is left for setup to do.
    let text = fs::read_to_string(folder.join("kibana/mirrorlag.ndjson")).unwrap();
    let description = Description {
        index: "consumer_lag-%Y.%m".to_owned(),
        layout: kibana::Layout::Both,
        space: Some("ops".to_owned()),
        topics: vec!["orders".to_owned(), "payments".to_owned()],
        ..Description::default()
    };
    assert_eq!(text, kibana::ndjson(&description));
    for line in readme
        .lines()
        .filter(|line| line.contains(" ES/") && line.contains("@elasticsearch/"))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let path = words
            .iter()
            .find_map(|word| word.strip_prefix('@'))
            .unwrap();
        let target = words.last().unwrap().strip_prefix("ES/").unwrap();
        let body: Value =
            serde_json::from_str(&fs::read_to_string(folder.join(path)).unwrap()).unwrap();
        let mut seen = elasticsearch.seen();
        let name = target.rsplit('/').next().unwrap().to_owned();
        match target.split('/').next().unwrap() {
            "_ilm" => drop(seen.policies.insert(name, body)),
            "_index_template" => drop(seen.templates.insert(name, body)),
            _ => drop(seen.indices.insert(name, body)),
        }
    }
    elasticsearch
        .seen()
        .streams
        .insert("consumer_lag_partitions".to_owned());
    let said = setup(&machine.config((&elasticsearch, DATED), None), &[]).await;
    assert_eq!(said.lines("unchanged").len(), 5, "{}", said.out);
}

#[tokio::test]
async fn an_export_needs_no_secret_and_setup_names_those_that_are_not_set() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("SETUP_PASSWORD", "SET_NOWHERE")).unwrap();
    let folder = machine.folder.path().join("files");
    let said = setup(&file, &["--export", folder.to_str().unwrap()]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let said = setup(&file, &[]).await;
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    for key in ["sinks.elasticsearch.password_env", "kibana.password_env"] {
        assert!(said.err.contains(key), "{}", said.err);
    }
}

#[tokio::test]
async fn a_second_export_replaces_its_own_files_and_no_other() {
    let elasticsearch = Server::elasticsearch().await;
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), None);
    let folder = machine.folder.path().join("files");
    let folder_name = folder.to_str().unwrap();
    setup(&file, &["--export", folder_name]).await;
    let said = setup(&file, &["--export", folder_name, "--partitions", "48"]).await;
    let changed = said.lines("changed");
    assert!(
        changed
            .iter()
            .any(|line| line.contains("kibana/mirrorlag.ndjson: replaced")),
        "{}",
        said.out
    );
    fs::write(folder.join("grafana/topic.json"), "mine").unwrap();
    let said = setup(&file, &["--export", folder_name]).await;
    assert_eq!(said.code, Some(1));
    assert_eq!(said.lines("failed").len(), 1);
    assert!(
        said.out.contains(
            "grafana/topic.json: it was not written by setup --export, or was changed since"
        ),
        "{}",
        said.out
    );
    assert_eq!(said.lines("changed"), Vec::<&str>::new(), "all or nothing");
    assert_eq!(
        fs::read_to_string(folder.join("grafana/topic.json")).unwrap(),
        "mine"
    );
    let unfinished = files_of(&folder)
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("unfinished"));
    assert_eq!(unfinished.count(), 0);
}
