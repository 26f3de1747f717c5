//! `mirrorlag setup` as an operator runs it, against servers that behave as the published API of Kibana and Elasticsearch (`scripted`).

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "setup/faults.rs"]
mod faults;
#[path = "setup/files.rs"]
mod files;
#[path = "setup/scripted.rs"]
mod scripted;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use scripted::{Fault, PASSWORD, Server, USER};
use serde_json::{Value, json};

/// A dated index, partitions in a data stream, and a time to keep them.
const DATED: &str = "layout: both, index: 'consumer_lag-%Y.%m', partitions_index: consumer_lag_partitions, data_stream: true, retain_for: 30d";

/// An operator's machine: a folder with a configuration.
struct Machine {
    folder: tempfile::TempDir,
}

/// What the command printed, and how it ended.
#[derive(Debug)]
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Said {
    /// The lines that begin with a word.
    fn lines(&self, word: &str) -> Vec<&str> {
        let lines = self.out.lines();
        lines
            .filter(|line| line.split(' ').next() == Some(word))
            .collect()
    }

    /// The line about a thing.
    fn line(&self, name: &str) -> &str {
        let mut lines = self.out.lines();
        let found = lines.find(|line| line.get(10..).is_some_and(|rest| rest.starts_with(name)));
        found.unwrap_or_else(|| panic!("no line about {name}:\n{}", self.out))
    }
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        fs::write(key, "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
        Self { folder }
    }

    /// A configuration with these keys beside url and login; no Kibana where that is `None`.
    fn config(&self, elasticsearch: (&Server, &str), kibana: Option<(&Server, &str)>) -> PathBuf {
        let login = format!("username: {USER}, password_env: SETUP_PASSWORD, request_timeout: 5s");
        let with = |keys: &str| match keys {
            "" => String::new(),
            keys => format!(", {keys}"),
        };
        let key = self.folder.path().join("key.pem");
        let mut text = format!(
            "mirror_hosts:\n  mm-1: {{ssh: {{user: u, private_key: {}}}, kafka: {{consumer_groups: /opt/k.sh}}}}\n\
             groups:\n  - {{group: g, mirror_host: mm-1, bootstrap_servers: ['b1:9092'], topics: [orders, payments]}}\n\
             sinks:\n  elasticsearch: {{urls: ['{}'], {login}{}}}\n",
            key.display(),
            elasticsearch.0.url,
            with(elasticsearch.1),
        );
        if let Some((server, keys)) = kibana {
            text += &format!("kibana: {{url: '{}', {login}{}}}\n", server.url, with(keys));
        }
        let path = self.folder.path().join("mirrorlag.yaml");
        fs::write(&path, text).unwrap();
        path
    }
}

/// Runs `mirrorlag setup -c FILE` with further arguments.
async fn setup(file: &std::path::Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    command.arg("setup").arg("-c").arg(file).args(arguments);
    command
        .env("SETUP_PASSWORD", PASSWORD)
        .env("HOME", "/nowhere");
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        out: text(output.stdout),
        err: text(output.stderr),
        code: output.status.code(),
    }
}

/// The index of this month.
fn this_month() -> String {
    chrono::Utc::now().format("consumer_lag-%Y.%m").to_string()
}

#[tokio::test]
async fn everything_is_made_once_and_a_second_setup_writes_nothing() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, DATED), Some((&kibana, "")));
    let first = setup(&file, &["--alerts"]).await;
    let index = this_month();
    let made = format!(
        "\
created   lifecycle policy mirrorlag-consumer_lag
created   index template consumer_lag
created   index {index}
created   index template consumer_lag_partitions
created   data stream consumer_lag_partitions
created   data view mirrorlag
created   data view mirrorlag partitions
created   saved search mirrorlag: documents
created   saved search mirrorlag: rounds without numbers
created   saved search mirrorlag: partitions
created   dashboard mirrorlag: overview
created   dashboard mirrorlag: topic
created   dashboard mirrorlag: MirrorMaker
created   alert rule lag
created   alert rule outcome
created   alert rule nobody-mirrors
created   alert rule silence
created   alert rule silence-orders
created   alert rule silence-payments
"
    );
    assert_eq!(first.out, format!("{made}19 created\n"));
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    assert_eq!(elasticsearch.take_writes().len(), 5);
    assert_eq!(kibana.take_writes().len(), 14);

    let second = setup(&file, &["--alerts"]).await;
    let unchanged = made.replace("created  ", "unchanged");
    assert_eq!(second.out, format!("{unchanged}19 unchanged\n"));
    assert_eq!(second.code, Some(0));
    assert_eq!(elasticsearch.take_writes(), Vec::<String>::new());
    assert_eq!(kibana.take_writes(), Vec::<String>::new());

    let seen = elasticsearch.seen();
    let policy = &seen.policies["mirrorlag-consumer_lag"]["policy"];
    // The documents of the last day of a month come 31 days after the index was made, and are kept for 30 days too.
    assert_eq!(policy["phases"]["delete"]["min_age"], "61d");
    let template = &seen.templates["consumer_lag"];
    assert_eq!(template["index_patterns"], json!(["consumer_lag-*.*"]));
    assert_eq!(template["priority"], 500);
    let stream = &seen.templates["consumer_lag_partitions"]["template"];
    assert_eq!(stream["lifecycle"]["data_retention"], "30d");
}

#[tokio::test]
async fn a_dry_run_prints_each_request_and_sends_none_that_changes_something() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    let said = setup(&file, &["--dry-run"]).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.ends_with("\n8 would create\n"), "{}", said.out);
    for line in [
        "would create index template consumer_lag",
        "  PUT /_index_template/consumer_lag",
        "  PUT /consumer_lag",
        "    \"priority\": 500,",
        "would create dashboard mirrorlag: overview",
        "  POST kbn:/api/saved_objects/_import?overwrite=true",
    ] {
        assert!(said.out.lines().any(|it| it == line), "{line}");
    }
    assert!(elasticsearch.seen().writes.is_empty() && kibana.seen().writes.is_empty());
    // What it said is what is done.
    let done = setup(&file, &[]).await;
    assert_eq!(done.lines("created").len(), 8);
    let again = setup(&file, &["--dry-run"]).await;
    assert_eq!(again.lines("unchanged").len(), 8, "{}", again.out);
}

#[tokio::test]
async fn two_setups_at_once_both_succeed() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, DATED), Some((&kibana, "")));
    // Another one makes it between our look and our request.
    let month = this_month();
    let index: &'static str = Box::leak(month.into_boxed_str());
    for part in [index, "_data_stream", "_index_template", "_ilm"] {
        elasticsearch.fail(part, Fault::Overtaken);
    }
    for part in ["_import", "alerting", "alerting"] {
        kibana.fail(part, Fault::Overtaken);
    }
    let (one, other) = tokio::join!(setup(&file, &["--alerts"]), setup(&file, &["--alerts"]));
    for said in [&one, &other] {
        assert_eq!(said.code, Some(0), "{}", said.out);
        assert!(said.lines("failed").is_empty());
    }
    assert!(elasticsearch.seen().faults.is_empty() && kibana.seen().faults.is_empty());
    assert_eq!(
        setup(&file, &["--alerts"]).await.lines("unchanged").len(),
        19
    );
}

#[tokio::test]
async fn what_bears_the_name_and_is_somebody_elses_is_neither_overwritten_nor_removed() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, DATED), Some((&kibana, "")));
    let theirs = json!({"index_patterns": ["consumer_lag-*"], "priority": 1, "template": {}});
    let policy =
        json!({"policy": {"phases": {"delete": {"min_age": "1d", "actions": {"delete": {}}}}}});
    let rule = json!({"name": "cpu", "rule_type_id": "metrics.alert.threshold", "params": {}});
    // The id of the rule `lag`.
    let id = (
        "default".to_owned(),
        "bc20ae8a-ca32-4213-8459-7556b1735f8b".to_owned(),
    );
    {
        let mut seen = elasticsearch.seen();
        seen.templates
            .insert("consumer_lag".to_owned(), theirs.clone());
        seen.policies
            .insert("mirrorlag-consumer_lag".to_owned(), policy.clone());
        kibana.seen().rules.insert(id.clone(), rule.clone());
    }
    let said = setup(&file, &["--alerts"]).await;
    assert_eq!(said.code, Some(1));
    let template = said.line("index template consumer_lag:");
    assert!(
        template.starts_with("failed    ") && template.contains("belongs to somebody else"),
        "{template}"
    );
    assert!(
        said.line("lifecycle policy")
            .contains("DELETE /_ilm/policy/mirrorlag-consumer_lag")
    );
    assert!(
        said.line("alert rule lag")
            .contains("a rule of another type")
    );
    assert_eq!(
        said.lines("created").len(),
        16,
        "one that fails does not keep the others"
    );

    let removed = setup(&file, &["--remove"]).await;
    assert_eq!(removed.code, Some(0), "{}", removed.out);
    assert!(
        removed
            .line("index template consumer_lag:")
            .starts_with("left ")
    );
    assert!(removed.line("alert rule lag").starts_with("left "));
    let seen = elasticsearch.seen();
    assert_eq!(seen.templates["consumer_lag"], theirs);
    assert_eq!(seen.policies["mirrorlag-consumer_lag"], policy);
    assert_eq!(kibana.seen().rules, [(id, rule)].into());
}

#[tokio::test]
async fn a_removal_takes_back_what_is_ours_and_leaves_documents_and_copies() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, DATED), Some((&kibana, "")));
    setup(&file, &["--alerts"]).await;
    let copy = (
        "default".to_owned(),
        "dashboard".to_owned(),
        "a-copy".to_owned(),
    );
    kibana.seen().objects.insert(
        copy.clone(),
        json!({"attributes": {"title": "mirrorlag: overview"}}),
    );

    let dry = setup(&file, &["--remove", "--dry-run"]).await;
    assert_eq!(
        dry.lines("would")
            .iter()
            .filter(|line| line.starts_with("would remove "))
            .count(),
        17,
        "{}",
        dry.out
    );
    elasticsearch.take_writes();

    let said = setup(&file, &["--remove"]).await;
    assert_eq!(said.code, Some(0), "{}", said.out);
    let index = this_month();
    assert_eq!(
        said.line("index consumer_lag"),
        format!(
            "left      index {index}: documents are never deleted here; DELETE /{index} deletes them"
        )
    );
    assert!(
        said.line("data stream")
            .contains("DELETE /_data_stream/consumer_lag_partitions deletes them")
    );
    // The index has the policy, the stream its template: Elasticsearch keeps them.
    assert!(said.line("lifecycle policy").contains("It is in use by"));
    assert!(
        said.line("index template consumer_lag_partitions")
            .contains("in use by a data streams")
    );
    assert!(said.out.ends_with("\n15 removed, 4 left\n"), "{}", said.out);
    assert_eq!(kibana.seen().objects.keys().collect::<Vec<_>>(), [&copy]);
    assert!(kibana.seen().rules.is_empty());
    assert!(elasticsearch.seen().indices.contains_key(&index));

    kibana.take_writes();
    let again = setup(&file, &["--remove"]).await;
    assert_eq!(again.lines("removed"), Vec::<&str>::new());
    assert!(
        again
            .line("dashboard mirrorlag: topic")
            .ends_with(": there is none")
    );
    assert!(kibana.take_writes().is_empty());
}

#[tokio::test]
async fn an_edited_dashboard_is_replaced_alone_and_it_is_said_where_it_differed() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    setup(&file, &[]).await;
    kibana.take_writes();
    let key = (
        "default".to_owned(),
        "dashboard".to_owned(),
        "mirrorlag-topic".to_owned(),
    );
    kibana.seen().objects.get_mut(&key).unwrap()["attributes"]["timeFrom"] = json!("now-7d");
    let said = setup(&file, &[]).await;
    assert_eq!(
        said.lines("changed"),
        ["changed   dashboard mirrorlag: topic: replaced: timeFrom"]
    );
    assert_eq!(kibana.take_writes().len(), 1);
    // More partitions change the dashboard and the search that name them.
    let more = setup(&file, &["--partitions", "48"]).await;
    assert_eq!(more.lines("changed").len(), 2, "{}", more.out);
    assert_eq!(
        setup(&file, &["--partitions", "48"]).await.lines("changed"),
        Vec::<&str>::new()
    );
}

#[tokio::test]
async fn what_is_tuned_in_kibana_stays_when_the_rule_has_to_change() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    setup(&file, &["--alerts"]).await;
    let id = (
        "default".to_owned(),
        "bc20ae8a-ca32-4213-8459-7556b1735f8b".to_owned(),
    );
    {
        let mut seen = kibana.seen();
        let rule = seen.rules.get_mut(&id).unwrap();
        rule["params"]["threshold"] = json!([77]);
        rule["actions"] = json!([{"group": "query matched", "id": "mail", "params": {}, "connector_type_id": ".email"}]);
        seen.writes.clear();
    }
    assert_eq!(
        setup(&file, &["--alerts"]).await.lines("unchanged").len(),
        14
    );
    assert!(kibana.take_writes().is_empty());
    let file = machine.config((&elasticsearch, "index: kafka-lag"), Some((&kibana, "")));
    let said = setup(&file, &["--alerts"]).await;
    assert!(
        said.line("alert rule lag")
            .starts_with("changed   alert rule lag: index"),
        "{}",
        said.out
    );
    let seen = kibana.seen();
    let rule = &seen.rules[&id];
    assert_eq!(rule["params"]["threshold"], json!([77]));
    assert_eq!(rule["params"]["index"], json!(["kafka-lag", "kafka-lag-*"]));
    assert_eq!(rule["actions"][0]["id"], "mail");
}

#[tokio::test]
async fn a_changed_configuration_changes_what_it_is_about_and_nothing_else() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, DATED), Some((&kibana, "")));
    setup(&file, &[]).await;
    let longer = DATED.replace("30d", "60d");
    let file = machine.config((&elasticsearch, &longer), Some((&kibana, "")));
    let said = setup(&file, &[]).await;
    assert_eq!(
        said.lines("changed"),
        [
            "changed   lifecycle policy mirrorlag-consumer_lag: delete.min_age",
            "changed   index template consumer_lag_partitions: template.lifecycle.data_retention",
        ]
    );
    // Without a time, the template gives new indices no policy any more.
    let for_ever = DATED.replace(", retain_for: 30d", "");
    let file = machine.config((&elasticsearch, &for_ever), Some((&kibana, "")));
    let said = setup(&file, &[]).await;
    assert_eq!(
        said.line("index template consumer_lag:"),
        "changed   index template consumer_lag: settings.index.lifecycle.name"
    );
    assert_eq!(setup(&file, &[]).await.lines("changed"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_field_that_a_newer_mapping_has_is_added_to_the_index() {
    let elasticsearch = Server::elasticsearch().await;
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), None);
    setup(&file, &[]).await;
    let lacking = |seen: &mut scripted::Seen| {
        let index = seen.indices.get_mut("consumer_lag").unwrap();
        index["mappings"]["properties"]
            .as_object_mut()
            .unwrap()
            .remove("cluster");
    };
    lacking(&mut elasticsearch.seen());
    let said = setup(&file, &[]).await;
    assert_eq!(
        said.line("index consumer_lag"),
        "changed   index consumer_lag: new fields cluster"
    );
    let seen = elasticsearch.seen();
    assert_eq!(
        seen.indices["consumer_lag"]["mappings"]["properties"]["cluster"],
        json!({"type": "keyword"})
    );
    assert_eq!(seen.writes.last().unwrap(), "PUT /consumer_lag/_mapping");
}

#[tokio::test]
async fn an_index_of_the_older_mapping_is_left_as_it_is() {
    let elasticsearch = Server::elasticsearch().await;
    let older =
        json!({"mappings": {"properties": {"topic": {"type": "text"}, "p0": {"type": "integer"}}}});
    elasticsearch
        .seen()
        .indices
        .insert("consumer_lag".to_owned(), older.clone());
    let machine = Machine::new();
    let said = setup(&machine.config((&elasticsearch, ""), None), &[]).await;
    assert_eq!(said.code, Some(0));
    let line = said.line("index consumer_lag");
    assert!(
        line.starts_with("left ") && line.contains("has the older mapping"),
        "{line}"
    );
    assert_eq!(elasticsearch.seen().indices["consumer_lag"], older);
}

#[tokio::test]
async fn an_index_without_a_date_gets_no_lifecycle_which_would_delete_it_whole() {
    let elasticsearch = Server::elasticsearch().await;
    let machine = Machine::new();
    let said = setup(
        &machine.config((&elasticsearch, "retain_for: 30d"), None),
        &[],
    )
    .await;
    let line = said.line("retention of consumer_lag");
    assert!(
        line.starts_with("skipped ") && line.contains("`mirrorlag prune --older-than 30d`"),
        "{line}"
    );
    assert!(elasticsearch.seen().policies.is_empty());
}

#[tokio::test]
async fn a_data_stream_of_an_older_server_is_made_without_a_lifecycle() {
    let elasticsearch = Server::elasticsearch().await;
    "8.13.4".clone_into(&mut elasticsearch.seen().version);
    let machine = Machine::new();
    let said = setup(&machine.config((&elasticsearch, DATED), None), &[]).await;
    assert_eq!(said.code, Some(0), "{}", said.out);
    assert!(
        said.line("retention of consumer_lag_partitions")
            .contains("from 8.14 on (this is version 8.13.4)")
    );
    let seen = elasticsearch.seen();
    assert!(
        seen.templates["consumer_lag_partitions"]["template"]
            .get("lifecycle")
            .is_none()
    );
    assert!(seen.streams.contains("consumer_lag_partitions"));
}

#[tokio::test]
async fn each_space_has_objects_of_its_own_ids() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    kibana.seen().spaces.insert("ops".to_owned());
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    setup(&file, &["--alerts"]).await;
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "space: ops")));
    let said = setup(&file, &["--alerts"]).await;
    assert_eq!(
        (said.code, said.lines("created").len()),
        (Some(0), 12),
        "{}",
        said.out
    );
    kibana.take_writes();
    assert_eq!(
        setup(&file, &["--alerts"]).await.lines("unchanged").len(),
        14
    );
    assert!(kibana.take_writes().is_empty());
    setup(&file, &["--remove"]).await;
    let seen = kibana.seen();
    assert!(seen.objects.keys().all(|(space, ..)| space == "default"));
    assert_eq!((seen.objects.len(), seen.rules.len()), (6, 6));
}

#[tokio::test]
async fn without_a_kibana_in_the_configuration_it_is_said_how_to_get_the_files() {
    let elasticsearch = Server::elasticsearch().await;
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), None);
    let said = setup(&file, &[]).await;
    assert_eq!(said.code, Some(0));
    let line = format!(
        "skipped   Kibana: no kibana: in {}; `mirrorlag setup --export DIR` writes the files",
        file.display()
    );
    assert_eq!(said.line("Kibana"), line);
}

#[test]
fn the_roles_of_the_readme_are_those_that_are_shipped() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for role in ["run", "setup", "kibana"] {
        let path = root.join(format!("config/roles/{role}.json"));
        let text = fs::read_to_string(path).unwrap();
        let _json: Value = serde_json::from_str(&text).unwrap();
        assert!(readme.contains(&format!("    {}\n", text.trim())), "{role}");
    }
}
