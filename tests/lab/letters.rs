//! Dead letters of a real Elasticsearch: a mapping that refuses one topic, mended as an operator mends it, while `run` goes on.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::{Config, END_LIMIT, Shape, text_of};
use crate::delivery::{assert_index_equals_journal, assert_no_tick_is_missing, wait_for_documents};
use crate::elasticsearch::Elasticsearch;
use crate::lab;
use crate::sshd::Sshd;

/// The batch that closed with the refused topic alone holds for half a minute first, and so does a block.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn letters_of_a_mended_mapping_are_resent_while_run_goes_on_and_are_in_the_index_once() {
    let sshd = Sshd::start("letters");
    let server = Elasticsearch::main();
    let mut config = Config::new("letters", &sshd);
    config.shape = Shape::Group;
    let (index, mended) = (config.index.clone(), format!("{}-mended", config.index));
    // Only still-payments has this partition, and its lag is no truth value.
    let mut wrong = shipped();
    wrong["mappings"]["properties"]["p11"] = json!({"type": "boolean"});
    must(&server, "PUT", &format!("/{index}"), Some(&wrong));
    let mut collector = config.run();
    lab::eventually("dead letters", LIMIT, || {
        let letters = config.ask(&["letters", "list", "--json"]);
        let lines: Vec<Value> = String::from_utf8(letters.stdout)
            .expect("UTF-8")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let is_so = lines.len() >= 5 && lines.iter().all(|it| it["topic"] == "still-payments");
        lab::claim(is_so, lines)
    });
    let unhealthy = config.ask(&["status"]);
    assert_eq!(unhealthy.status.code(), Some(1));
    assert!(
        text_of(&unhealthy).contains("dead letter"),
        "{}",
        text_of(&unhealthy)
    );
    let refused = config.ask(&["letters", "resend", "1"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text_of(&refused));
    assert!(text_of(&refused).contains("0 stored, 1 refused again"));
    let shown = text_of(&config.ask(&["letters", "show", "1"]));
    assert!(shown.contains("failed to parse field [p11]"), "{shown}");

    // Nothing is written while it is copied: the sink holds, and nothing is lost.
    must(&server, "PUT", &format!("/{index}/_block/write"), None);
    must(&server, "PUT", &format!("/{mended}"), Some(&shipped()));
    copy(&server, &index, &mended);
    let swap = json!({"actions": [
        {"remove_index": {"index": &index}},
        {"add": {"index": &mended, "alias": &index, "is_write_index": true}},
    ]});
    must(&server, "POST", "/_aliases", Some(&swap));

    lab::eventually("every letter resent", LIMIT, || {
        let resent = text_of(&config.ask(&["letters", "resend"]));
        lab::claim(resent.contains(" 0 refused again, 0 left"), resent)
    });
    // The sink may still hold because of the block.
    wait_for_documents(&server, &config, config.records().len() + 2);
    lab::eventually("a healthy status", LIMIT, || {
        let status = config.ask(&["status"]);
        lab::claim(status.status.success(), text_of(&status))
    });
    assert_eq!(collector.terminate(END_LIMIT).code(), Some(0));
    let listed = config.ask(&["letters", "list"]);
    assert_eq!(text_of(&listed), "");
    assert_index_equals_journal(&config, &server);
    assert_no_tick_is_missing(&config, 1000);
}

fn shipped() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/consumer_lag.json");
    serde_json::from_str(&fs::read_to_string(path).expect("the mapping")).expect("JSON")
}

/// What `_reindex` does; the lab's distribution is without that module.
fn copy(server: &Elasticsearch, from: &str, to: &str) {
    must(server, "POST", &format!("/{from}/_refresh"), None);
    let all = json!({"size": 10_000});
    let (_, found) = server.request("POST", &format!("/{from}/_search"), Some(&all));
    let hits = found["hits"]["hits"].as_array().expect("hits");
    assert!(hits.len() >= 5, "{found}");
    for hit in hits {
        let path = format!("/{to}/_create/{}", hit["_id"].as_str().expect("an id"));
        let (status, answer) = server.request("PUT", &path, Some(&hit["_source"]));
        assert_eq!(status, 201, "{answer}");
    }
}

#[track_caller]
fn must(server: &Elasticsearch, method: &str, path: &str, body: Option<&Value>) {
    let (status, answer) = server.request(method, path, body);
    assert_eq!(status, 200, "{method} {path}: {answer}");
}
