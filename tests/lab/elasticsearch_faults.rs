//! A real Elasticsearch refuses in every way that an operator or a full server can bring about: nothing is lost, and it goes on by itself.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::collector::Config;
use crate::delivery::{letters, ticks, wait_for_documents, wait_for_records};
use crate::elasticsearch::Elasticsearch;
use crate::lab;
use crate::network_faults_elasticsearch::Patient;

const RECORDS: usize = 30;

fn start(stem: &str, change: impl FnOnce(&mut Config)) -> Patient {
    Patient::start(stem, &[Elasticsearch::main().url()], change)
}

#[track_caller]
fn must(server: &Elasticsearch, method: &str, path: &str, body: Option<&Value>) {
    let (status, answer) = server.request(method, path, body);
    assert_eq!(status, 200, "{method} {path}: {answer}");
}

/// A setting or state of the index, for 15 ticks.
fn held(
    stem: &str,
    said: &str,
    wound: (&str, &str, Option<Value>),
    mend: (&str, &str, Option<Value>),
) {
    let mut patient = start(stem, |_| {});
    patient.note();
    let path = |end: &str| format!("/{}/{end}", patient.config.index);
    must(patient.server(), wound.0, &path(wound.1), wound.2.as_ref());
    patient.suffers(RECORDS, said);
    patient.status_shows_it();
    must(patient.server(), mend.0, &path(mend.1), mend.2.as_ref());
    patient.recovers();
}

#[test]
fn the_block_of_a_full_disk_holds_until_it_is_lifted() {
    let block = |value: Value| json!({"index.blocks.read_only_allow_delete": value});
    held(
        "flood-stage",
        "read-only-allow-delete",
        ("PUT", "_settings", Some(block(json!(true)))),
        ("PUT", "_settings", Some(block(Value::Null))),
    );
}

#[test]
fn a_write_block_set_by_hand_holds_until_it_is_lifted() {
    let block = |value: Value| json!({"index.blocks.write": value});
    held(
        "write-block",
        "index write (api)",
        ("PUT", "_settings", Some(block(json!(true)))),
        ("PUT", "_settings", Some(block(json!(false)))),
    );
}

#[test]
fn a_closed_index_holds_until_it_is_opened() {
    held(
        "closed-index",
        "the sink holds",
        ("POST", "_close", None),
        ("POST", "_open", None),
    );
}

#[test]
fn rights_that_are_taken_hold_until_they_are_given_back() {
    let server = Elasticsearch::main();
    server.set_password("restricted", lab::PASSWORD);
    server.grant("restricted");
    let mut patient = start("rights", |config| config.username = "restricted".to_owned());
    patient.note();
    patient.server().revoke("restricted");
    patient.suffers(RECORDS, "HTTP 403");
    patient.status_shows_it();
    patient.server().grant("restricted");
    patient.recovers();
}

#[test]
fn an_index_deleted_after_the_start_comes_back_with_the_shipped_mapping_and_takes_every_later_tick()
{
    let mut patient = start("deleted-index", |_| {});
    patient.note();
    let index = patient.config.index.clone();
    must(patient.server(), "DELETE", &format!("/{index}"), None);
    // What was on its way until now may be in the index that is gone.
    let before = ticks(&patient.config);
    patient.suffers(RECORDS, "");
    let later: BTreeSet<_> = ticks(&patient.config)
        .difference(&before)
        .cloned()
        .collect();
    lab::eventually("every later tick", crate::delivery::MENDED_LIMIT, || {
        let documents = patient.server().documents(&index)?;
        let stored: BTreeSet<_> = documents.iter().map(|it| it.series_and_instant()).collect();
        let missing = later.difference(&stored).count();
        lab::claim(missing == 0, missing)
    });
    let (_, answer) = patient
        .server()
        .request("GET", &format!("/{index}/_mapping"), None);
    let topic = &answer[&index]["mappings"]["properties"]["topic"]["type"];
    assert_eq!(topic, "keyword", "{answer}");
}

#[test]
fn a_document_that_the_mapping_refuses_is_a_letter_and_all_others_are_stored() {
    let server = Elasticsearch::main();
    let mut patient = None;
    let patient = {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/consumer_lag.json");
        let shipped = fs::read_to_string(shipped).expect("the shipped mapping");
        let mut mapping: Value = serde_json::from_str(&shipped).expect("JSON");
        // Only one of the topics has that many partitions.
        mapping["mappings"]["properties"]["p11"] = json!({"type": "boolean"});
        patient.insert(start("mapping-error", |config| {
            must(
                &server,
                "PUT",
                &format!("/{}", config.index),
                Some(&mapping),
            );
        }))
    };
    patient.note();
    wait_for_records(&patient.config, 40);
    let records = patient.config.records();
    let is_bad = |body: &Value| {
        let partitions = body["partitions"].as_array().expect("partitions");
        partitions.iter().any(|it| it["partition"] == 11)
    };
    let (bad, good): (Vec<_>, Vec<_>) = records.iter().partition(|record| is_bad(&record.body));
    assert!(!bad.is_empty() && !good.is_empty(), "{records:?}");
    wait_for_documents(&server, &patient.config, good.len());
    lab::eventually("letters", crate::delivery::MENDED_LIMIT, || {
        let letters = letters(&patient.config);
        lab::claim(letters >= i64::try_from(bad.len()).expect("some"), letters)
    });
    let documents = server.documents(&patient.config.index).expect("documents");
    let stored: BTreeSet<_> = documents.iter().map(|it| it.series_and_instant()).collect();
    assert_eq!(stored.len(), documents.len(), "a tick has two documents");
    assert!(
        good.iter()
            .all(|it| stored.contains(&it.series_and_instant()))
    );
    assert!(
        !bad.iter()
            .any(|it| stored.contains(&it.series_and_instant()))
    );
}

#[test]
fn a_circuit_breaker_that_no_whole_batch_passes_lets_smaller_requests_through() {
    let server = Elasticsearch::own("ill", "8.17.4", lab::port("ELASTICSEARCH_ILL"));
    let url = server.url();
    let mut patient = Patient::start_on(server, "breaker", &[url], |_| {});
    patient.note();
    let limit =
        |bytes: Value| json!({"persistent": {"network.breaker.inflight_requests.limit": bytes}});
    let path = "/_cluster/settings";
    // Not even one document, but the questions of this test.
    must(patient.server(), "PUT", path, Some(&limit(json!("200b"))));
    patient.suffers(2 * RECORDS, "circuit_breaking_exception");
    // Some documents, and far fewer than now wait.
    must(patient.server(), "PUT", path, Some(&limit(json!("4kb"))));
    let waiting = patient.config.records().len();
    wait_for_documents(patient.server(), &patient.config, waiting);
    must(patient.server(), "PUT", path, Some(&limit(Value::Null)));
    patient.recovers();
}
