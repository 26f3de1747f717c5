//! `mirrorlag setup` with exactly its role, then `mirrorlag run` with exactly its own, on each Elasticsearch that users have.

use std::thread;

use serde_json::{Value, json};

use crate::collector::{Config, END_LIMIT, text_of};
use crate::delivery::{assert_index_equals_journal, wait_for_documents};
use crate::elasticsearch::Elasticsearch;
use crate::sshd::Sshd;
use crate::{lab, process};

/// What two runs of the collector bring.
const ROUNDS: usize = 8;

fn as_user(config: &mut Config, user: &str) {
    user.clone_into(&mut config.username);
}

/// What `mirrorlag setup` prints; it has to end with this code.
#[track_caller]
fn setup(config: &Config, arguments: &[&str], code: i32) -> String {
    let arguments = [&["setup"], arguments].concat();
    let output = config.ask(&arguments);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Rises with every change of a template, an index, a mapping.
fn state_version(server: &Elasticsearch) -> i64 {
    let path = "/_cluster/state/version?filter_path=version";
    let (_, answer) = server.request("GET", path, None);
    answer["version"].as_i64().expect("a version")
}

fn template(server: &Elasticsearch, name: &str) -> Value {
    let (_, answer) = server.request("GET", &format!("/_index_template/{name}"), None);
    answer["index_templates"][0]["index_template"].clone()
}

#[test]
fn elasticsearch_7_17_is_set_up_with_the_roles_of_the_readme() {
    is_set_up("setup-7", "7.17.28", "ELASTICSEARCH_SETUP_7");
}

#[test]
fn elasticsearch_8_17_is_set_up_with_the_roles_of_the_readme() {
    is_set_up("setup-8", "8.17.4", "ELASTICSEARCH_SETUP_8");
}

#[test]
fn elasticsearch_9_2_is_set_up_with_the_roles_of_the_readme() {
    is_set_up("setup-9", "9.2.0", "ELASTICSEARCH_SETUP_9");
}

fn is_set_up(name: &str, version: &str, port: &str) {
    let sshd = Sshd::start(name);
    let server = Elasticsearch::own(name, version, lab::port(port));
    let mut config = Config::new(name, &sshd);
    config.elasticsearch_url = server.url();
    as_user(&mut config, "setup");
    makes_it_once(&server, &config);
    is_what_run_needs(&server, &mut config);
    leaves_what_is_not_ours(&server, &config);
    says_what_the_server_lacks(&server, &config);
    takes_it_back(&server, &config);
}

fn makes_it_once(server: &Elasticsearch, config: &Config) {
    let index = &config.index;
    let dry = setup(config, &["--dry-run"], 0);
    assert!(
        dry.contains(&format!("would create index {index}\n")),
        "{dry}"
    );
    assert_eq!(server.request("GET", &format!("/{index}"), None).0, 404);

    // Two at once: one of them may be the slower one everywhere.
    let path = config.write();
    let both = thread::scope(|scope| {
        let run = || process::output_of(&mut config.command("setup", &path));
        let (one, other) = (scope.spawn(run), scope.spawn(run));
        [one, other].map(|it| it.join().unwrap())
    });
    let codes = both.each_ref().map(|output| output.status.code());
    let both: String = both.iter().map(text_of).collect();
    assert_eq!(codes, [Some(0); 2], "{both}");
    assert!(
        both.contains(&format!("created   index {index}\n")),
        "{both}"
    );
    let before = state_version(server);
    let again = setup(config, &[], 0);
    assert!(
        again.contains(&format!("unchanged index template {index}\n")),
        "{again}"
    );
    assert!(again.contains("2 unchanged, 1 skipped"), "{again}");
    assert_eq!(
        state_version(server),
        before,
        "the second setup wrote something"
    );
    let template = template(server, index);
    assert_eq!(template["_meta"]["managed_by"], "mirrorlag");
    assert_eq!(template["priority"], 500);
}

fn is_what_run_needs(server: &Elasticsearch, config: &mut Config) {
    as_user(config, "collector");
    let mut collector = config.run();
    wait_for_documents(server, config, ROUNDS);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(config, server);
    // The collector's role is not enough for a template, and that is said with the privilege.
    server.request(
        "DELETE",
        &format!("/_index_template/{}", config.index),
        None,
    );
    let refused = setup(config, &[], 1);
    assert!(refused.contains("manage_index_templates"), "{refused}");
    as_user(config, "setup");
    setup(config, &[], 0);
}

fn leaves_what_is_not_ours(server: &Elasticsearch, config: &Config) {
    let index = &config.index;
    let theirs = json!({"index_patterns": [index], "priority": 7});
    let path = format!("/_index_template/{index}");
    server.request("PUT", &path, Some(&theirs));
    let failed = setup(config, &[], 1);
    assert!(failed.contains("belongs to somebody else"), "{failed}");
    let left = setup(config, &["--remove"], 0);
    assert!(
        left.contains(&format!("left      index template {index}: ")),
        "{left}"
    );
    assert_eq!(template(server, index)["priority"], 7);
    server.request("DELETE", &path, None);

    // One of an older version of ours is brought up to date.
    let older =
        json!({"index_patterns": [index], "priority": 499, "_meta": {"managed_by": "mirrorlag"}});
    server.request("PUT", &path, Some(&older));
    let changed = setup(config, &[], 0);
    assert!(
        changed.contains(&format!("changed   index template {index}: ")),
        "{changed}"
    );
    assert_eq!(template(server, index)["priority"], 500);
}

fn says_what_the_server_lacks(server: &Elasticsearch, config: &Config) {
    let stem = &config.index;
    let mut dated = Config::new("setup-dated", &Sshd::start("setup-dated"));
    dated
        .elasticsearch_url
        .clone_from(&config.elasticsearch_url);
    as_user(&mut dated, "setup");
    dated.index = format!("'{stem}-dated-%Y.%m'");
    let keys = ["layout: both", "data_stream: true", "retain_for: 30d"];
    dated.sink_lines = keys.map(|key| format!("    {key}")).to_vec();
    let said = setup(&dated, &[], 0);
    for part in [
        "the server has no lifecycle management",
        "`mirrorlag prune --older-than 30d`",
        "the server has no data streams",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    let removed = setup(&dated, &["--remove", "--dry-run"], 0);
    assert!(
        !removed.contains("prune"),
        "nothing was to be kept:\n{removed}"
    );
    // An index of another month gets our mapping from the template, whoever makes it.
    let other = format!("{stem}-dated-2025.01");
    let (status, answer) = server.request("PUT", &format!("/{other}"), None);
    assert_eq!(status, 200, "{answer}");
    let (_, answer) = server.request("GET", &format!("/{other}/_mapping"), None);
    let topic = answer[&other]["mappings"]["properties"]["topic"]["type"].clone();
    assert_eq!(topic, "keyword");

    let mut older = Config::new("setup-older", &Sshd::start("setup-older"));
    older
        .elasticsearch_url
        .clone_from(&config.elasticsearch_url);
    as_user(&mut older, "setup");
    let mapping =
        json!({"mappings": {"properties": {"topic": {"type": "text"}, "p0": {"type": "integer"}}}});
    server.request("PUT", &format!("/{}", older.index), Some(&mapping));
    let left = setup(&older, &[], 0);
    assert!(left.contains("has the older mapping"), "{left}");
}

fn takes_it_back(server: &Elasticsearch, config: &Config) {
    let count = || server.documents(&config.index).map(|it| it.len());
    let before = count().expect("documents");
    let removed = setup(config, &["--remove"], 0);
    assert!(removed.contains("removed   index template"), "{removed}");
    assert!(
        removed.contains(&format!("DELETE /{} deletes them", config.index)),
        "{removed}"
    );
    assert!(template(server, &config.index).is_null());
    assert_eq!(count(), Ok(before));
    let again = setup(config, &["--remove"], 0);
    assert!(again.contains(": there is none"), "{again}");
}
