//! What is older than an age goes, on every version that users have; with the role of the README for `prune`.

use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::collector::{Config, text_of};
use crate::elasticsearch::Elasticsearch;
use crate::lab;
use crate::sshd::Sshd;

/// More than one search gives.
const DOCUMENTS: i64 = 12_000;
const BULK: i64 = 4_000;

fn pruner(server: &Elasticsearch, sshd: &Sshd) -> Config {
    let mut config = Config::new("prune", sshd);
    config.elasticsearch_url = server.url();
    config.username = "prune".to_owned();
    config
}

/// One document each five minutes, back from now.
fn seed(server: &Elasticsearch, index: &str, documents: i64) {
    let mapping = json!({"mappings": {"properties": {"@timestamp": {"type": "date"}}}});
    assert_eq!(
        server
            .request("PUT", &format!("/{index}"), Some(&mapping))
            .0,
        200
    );
    let now = Utc::now();
    for first in (0..documents).step_by(usize::try_from(BULK).expect("small")) {
        let lines = (first..documents.min(first + BULK)).map(|n| {
            let instant = now - TimeDelta::minutes(5 * n);
            format!("{{\"create\":{{\"_id\":\"id-{n}\"}}}}\n{{\"@timestamp\":\"{}\",\"topic\":\"orders\"}}\n", instant.to_rfc3339())
        });
        server.bulk(index, &lines.collect::<String>());
    }
}

/// Of an index without a date: 288 documents are of one day.
fn prunes_documents(server: &Elasticsearch, sshd: &Sshd) {
    let config = pruner(server, sshd);
    seed(server, &config.index, DOCUMENTS);
    let prune = |more: &[&str]| {
        let output = config.ask(&[&["prune", "--older-than", "10d"], more].concat());
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    };
    // The first is of the instant before now, so that at ten days the one of exactly then is a moment older.
    let (older, left) = (DOCUMENTS - 2880, 2880);
    let dry = prune(&["--dry-run"]);
    assert!(
        dry.contains(&format!("would lose {older} documents")),
        "{dry}"
    );
    assert_eq!(server.count(&config.index), Some(DOCUMENTS as u64));
    let said = prune(&[]);
    assert!(
        said.contains(&format!("deleted {older} documents")),
        "{said}"
    );
    assert_eq!(server.count(&config.index), Some(left));
    let again = prune(&[]);
    assert!(again.contains("has 0 documents older"), "{again}");
    assert_eq!(server.count(&config.index), Some(left));
    let (_, newest) = server.request("GET", &format!("/{}/_doc/id-0", config.index), None);
    assert_eq!(newest["found"], true);
}

/// Of a name with a date: whole days.
fn prunes_indices(server: &Elasticsearch, sshd: &Sshd) {
    let mut config = pruner(server, sshd);
    let stem = config.index.clone();
    config.index = format!("'{stem}-%Y.%m.%d'");
    let day = |ago: i64| {
        (Utc::now() - TimeDelta::days(ago))
            .format("%Y.%m.%d")
            .to_string()
    };
    let ours: Vec<String> = (0..6).map(|ago| format!("{stem}-{}", day(ago))).collect();
    let foreign = [
        format!("{stem}-{}-kept", day(5)),
        format!("{stem}_old-{}", day(5)),
    ];
    for index in ours.iter().chain(&foreign) {
        seed(server, index, 20);
    }
    let output = config.ask(&["prune", "--older-than", "2d"]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // The day that the age falls into has documents that are younger.
    assert!(
        text.contains(&format!("deleted {}: 20 documents", ours[3])),
        "{text}"
    );
    let left = server.behind(&format!("{stem}*"));
    let expected = [&ours[..3], &foreign].concat();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(left), sorted(expected), "{text}");
    let again = config.ask(&["prune", "--older-than", "2d"]);
    assert_eq!(again.status.code(), Some(0), "{}", text_of(&again));
}

fn prunes(server: &Elasticsearch, name: &str) {
    let sshd = Sshd::start(name);
    prunes_documents(server, &sshd);
    prunes_indices(server, &sshd);
}

#[test]
fn elasticsearch_7_17_loses_older_documents_and_indices_and_no_others() {
    let port = lab::port("ELASTICSEARCH_7_PRUNE");
    prunes(
        &Elasticsearch::own("prune-seven", "7.17.28", port),
        "prune-seven",
    );
}

#[test]
fn elasticsearch_8_17_loses_older_documents_and_indices_and_no_others() {
    prunes(&Elasticsearch::main(), "prune-eight");
}

#[test]
fn elasticsearch_9_2_loses_older_documents_and_indices_and_no_others() {
    let port = lab::port("ELASTICSEARCH_9_PRUNE");
    prunes(
        &Elasticsearch::own("prune-nine", "9.2.0", port),
        "prune-nine",
    );
}

#[test]
fn a_user_who_may_not_delete_is_told_which_privilege_is_missing() {
    let (server, sshd) = (Elasticsearch::main(), Sshd::start("prune-rights"));
    let mut config = pruner(&server, &sshd);
    config.username = "collector".to_owned();
    seed(&server, &config.index, 10);
    let output = config.ask(&["prune", "--older-than", "1d"]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("grant the index privilege read"), "{text}");
    assert_eq!(server.count(&config.index), Some(10));
}
