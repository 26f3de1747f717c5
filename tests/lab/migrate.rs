//! An index with the older mapping becomes one with the new mapping, on every version that users have: nothing lost, nothing doubled, whatever ends it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::collector::{Config, END_LIMIT, text_of};
use crate::delivery::{assert_index_equals_journal, letters, wait_for_documents, wait_for_records};
use crate::elasticsearch::Elasticsearch;
use crate::sshd::Sshd;
use crate::{lab, process};

/// More than one page, and more than one search gives.
const DOCUMENTS: usize = 12_000;
/// So many that a copy page by page is still on its way when it is seen.
const MANY: usize = 30_000;
/// Documents of one request of the tests' own.
const BULK: usize = 5_000;
/// Beyond what the older mapping's integers hold.
const LARGE: i64 = 3_000_000_000;
const COPY_LIMIT: Duration = Duration::from_secs(60);

/// The mapping of the script that people run today.
fn older_mapping() -> Value {
    let mut properties = json!({"@timestamp": {"type": "date"}, "topic": {"type": "text"}});
    for partition in 0..18 {
        properties[format!("p{partition}")] = json!({"type": "integer"});
    }
    json!({"mappings": {"properties": properties}})
}

fn instant(n: usize) -> String {
    let seconds = 1_767_225_600 + i64::try_from(n).expect("small");
    let instant = chrono::DateTime::from_timestamp(seconds, 0).expect("an instant");
    instant.to_rfc3339()
}

/// An index as that script left it: lags are strings, topics are words that begin alike, partition 18 came later.
fn seed(server: &Elasticsearch, index: &str, count: usize) {
    let (status, answer) = server.request("PUT", &format!("/{index}"), Some(&older_mapping()));
    assert_eq!(status, 200, "{answer}");
    for first in (0..count).step_by(BULK) {
        let lines = (first..count.min(first + BULK)).map(|n| {
            let topic = ["orders", "orders-eu", "two words"][n % 3];
            let n64 = i64::try_from(n).expect("small");
            let document = json!({"@timestamp": instant(n), "topic": topic, "p0": n.to_string(), "p1": n, "p18": LARGE + n64});
            format!("{{\"create\":{{\"_id\":\"id-{n}\"}}}}\n{document}\n")
        });
        server.bulk(index, &lines.collect::<String>());
    }
}

/// A configuration for that server and index, with the role of the README for `migrate`.
fn mover(server: &Elasticsearch, sshd: &Sshd) -> Config {
    let mut config = Config::new("migrate", sshd);
    config.elasticsearch_url = server.url();
    config.username = "migrate".to_owned();
    config
}

fn start(config: &Config) -> Child {
    let mut command = config.command("migrate", &config.write());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().expect("mirrorlag")
}

#[track_caller]
fn assert_moved(server: &Elasticsearch, index: &str, documents: usize) {
    let (new, kept) = (format!("{index}_v2"), format!("{index}_before_migration"));
    let count = Some(documents as u64);
    assert_eq!(
        server.behind(index),
        [new.as_str()],
        "the name leads to one index"
    );
    assert_eq!((server.count(index), server.count(&kept)), (count, count));
    assert_eq!(
        server.behind(&format!("{index}*")),
        [kept.clone(), new.clone()],
        "nothing else is left"
    );
    let block = |name: &str| {
        let (_, body) = server.request(
            "GET",
            &format!("/{name}/_settings?flat_settings=true"),
            None,
        );
        body[name]["settings"]["index.blocks.write"].clone()
    };
    assert_eq!((block(&new), block(&kept)), (Value::Null, json!("true")));
    let (_, mapping) = server.request("GET", &format!("/{new}/_mapping"), None);
    let properties = &mapping[&new]["mappings"]["properties"];
    assert_eq!(properties["topic"]["type"], "keyword");
    assert_eq!(
        (&properties["p0"]["type"], &properties["p18"]["type"]),
        (&json!("long"), &json!("long"))
    );
}

/// What could not be asked of the older index: by topic, in sums, to the last digit.
#[track_caller]
fn assert_numbers(server: &Elasticsearch, index: &str, documents: usize) {
    let question = json!({"size": 0, "aggs": {"topics": {"terms": {"field": "topic", "order": {"_key": "asc"}},
        "aggs": {"p0": {"sum": {"field": "p0"}}, "p18": {"max": {"field": "p18"}}, "last": {"max": {"field": "@timestamp"}}}}}});
    let (status, answer) = server.request("POST", &format!("/{index}/_search"), Some(&question));
    assert_eq!(status, 200, "{answer}");
    let buckets = answer["aggregations"]["topics"]["buckets"]
        .as_array()
        .expect("buckets");
    assert_eq!(buckets.len(), 3);
    for (at, bucket) in buckets.iter().enumerate() {
        let of_topic: Vec<usize> = (0..documents).filter(|n| n % 3 == at).collect();
        let last = *of_topic.last().expect("some");
        assert_eq!(bucket["doc_count"], of_topic.len());
        assert_eq!(bucket["p0"]["value"], of_topic.iter().sum::<usize>() as f64);
        assert_eq!(bucket["p18"]["value"], (LARGE + last as i64) as f64);
        let instant_ms = (1_767_225_600 + last as i64) * 1000;
        assert_eq!(bucket["last"]["value"], instant_ms as f64);
    }
    for id in ["id-0", &format!("id-{}", documents - 1)] {
        let (_, new) = server.request("GET", &format!("/{index}_v2/_doc/{id}"), None);
        let (_, older) =
            server.request("GET", &format!("/{index}_before_migration/_doc/{id}"), None);
        assert_eq!(new["_source"], older["_source"]);
    }
}

fn moves_whole(server: &Elasticsearch, sshd: &Sshd) {
    let config = mover(server, sshd);
    seed(server, &config.index, DOCUMENTS);
    let dry = config.ask(&["migrate", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{}", text_of(&dry));
    assert_eq!(
        server.behind(&format!("{}*", config.index)),
        [config.index.as_str()]
    );
    let moved = config.ask(&["migrate"]);
    let text = text_of(&moved);
    assert_eq!(moved.status.code(), Some(0), "{text}");
    assert!(
        text.contains("page by page: this server has no _reindex"),
        "{text}"
    );
    assert!(
        text.contains("counted 12000 documents in both, of 3 topics"),
        "{text}"
    );
    assert_moved(server, &config.index, DOCUMENTS);
    assert_numbers(server, &config.index, DOCUMENTS);
    let again = config.ask(&["migrate"]);
    assert_eq!(again.status.code(), Some(0), "{}", text_of(&again));
    assert!(
        text_of(&again).starts_with("nothing to do: "),
        "{}",
        text_of(&again)
    );
    assert_moved(server, &config.index, DOCUMENTS);
}

/// Killed as soon as it has said its first line, its second, and so on; then typed again.
fn moves_once_when_killed_after_each_line(server: &Elasticsearch, sshd: &Sshd) {
    const FEW: usize = 1_200;
    for lines in 1.. {
        let config = mover(server, sshd);
        seed(server, &config.index, FEW);
        let mut migrate = start(&config);
        let said = BufReader::new(migrate.stdout.take().expect("a pipe")).lines();
        let said: Vec<String> = said.take(lines).map(|line| line.expect("a line")).collect();
        migrate.kill().expect("killed, or ended already");
        migrate.wait().expect("an end");
        let count = Some(FEW as u64);
        assert_eq!(server.count(&config.index), count, "after {said:?}");
        let again = config.ask(&["migrate"]);
        assert_eq!(
            again.status.code(),
            Some(0),
            "after {said:?}: {}",
            text_of(&again)
        );
        assert_moved(server, &config.index, FEW);
        if said.len() < lines {
            assert!(lines > 8, "all its steps were seen: {said:?}");
            return;
        }
    }
}

fn is_all_of_it(name: &str, version: &str, port: &str) {
    let sshd = Sshd::start(name);
    let server = Elasticsearch::own(name, version, lab::port(port));
    moves_whole(&server, &sshd);
    moves_once_when_killed_after_each_line(&server, &sshd);
}

#[test]
fn elasticsearch_7_17_has_every_document_once_whatever_line_it_is_killed_after() {
    is_all_of_it("moves-seven", "7.17.28", "ELASTICSEARCH_7_MIGRATE");
}

#[test]
fn elasticsearch_9_2_has_every_document_once_whatever_line_it_is_killed_after() {
    is_all_of_it("moves-nine", "9.2.0", "ELASTICSEARCH_9_MIGRATE");
}

#[test]
fn elasticsearch_8_17_has_every_document_once_whatever_line_it_is_killed_after() {
    let sshd = Sshd::start("moves-eight");
    moves_whole(&Elasticsearch::main(), &sshd);
    moves_once_when_killed_after_each_line(&Elasticsearch::main(), &sshd);
}

/// A copy page by page that has begun, and has not ended.
fn in_the_middle(server: &Elasticsearch, sshd: &Sshd) -> (Config, Child) {
    let config = mover(server, sshd);
    seed(server, &config.index, MANY);
    let migrate = start(&config);
    let path = format!("/{}_v2/_stats/indexing", config.index);
    let written = || {
        let (_, body) = server.request("GET", &path, None);
        body.pointer("/_all/primaries/indexing/index_total")
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    lab::eventually("a copy on its way", COPY_LIMIT, || {
        lab::claim(written() > 1000, written())
    });
    (config, migrate)
}

#[test]
fn killed_in_the_middle_of_the_copy_it_goes_on_with_what_is_there() {
    let (server, sshd) = (Elasticsearch::main(), Sshd::start("migrate-killed"));
    let (config, mut migrate) = in_the_middle(&server, &sshd);
    migrate.kill().expect("killed");
    migrate.wait().expect("an end");
    let copied = server
        .count(&format!("{}_v2", config.index))
        .expect("an index");
    assert!(copied > 0 && copied < MANY as u64, "{copied}");
    let again = config.ask(&["migrate"]);
    let text = text_of(&again);
    assert_eq!(again.status.code(), Some(0), "{text}");
    assert!(text.contains("going on with "), "{text}");
    assert_moved(&server, &config.index, MANY);
    assert_numbers(&server, &config.index, MANY);
}

#[test]
fn told_to_stop_in_the_middle_of_the_copy_it_leaves_the_index_as_it_was() {
    let (server, sshd) = (Elasticsearch::main(), Sshd::start("migrate-stopped"));
    let (config, migrate) = in_the_middle(&server, &sshd);
    process::send(
        i32::try_from(migrate.id()).expect("a process id"),
        Signal::INT,
    );
    let output = migrate.wait_with_output().expect("an end");
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("nothing has changed: "), "{text}");
    assert_eq!(
        server.behind(&format!("{}*", config.index)),
        [config.index.as_str()]
    );
    // It takes documents again.
    server.bulk(
        &config.index,
        "{\"create\":{\"_id\":\"later\"}}\n{\"topic\":\"orders\"}\n",
    );
    let again = config.ask(&["migrate"]);
    assert_eq!(again.status.code(), Some(0), "{}", text_of(&again));
    assert_moved(&server, &config.index, MANY + 1);
}

#[test]
fn a_document_that_the_new_mapping_refuses_is_named_and_nothing_is_moved() {
    let (server, sshd) = (Elasticsearch::main(), Sshd::start("migrate-refused"));
    let config = mover(&server, &sshd);
    seed(&server, &config.index, 1_200);
    // The older mapping has no partition 40, and so took its word for a text.
    server.bulk(
        &config.index,
        "{\"create\":{\"_id\":\"bad one\"}}\n{\"topic\":\"orders\",\"p40\":\"none\"}\n",
    );
    let refused = config.ask(&["migrate"]);
    let text = text_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("\"bad one\"") && text.contains("p40"),
        "{text}"
    );
    assert_eq!(
        server.behind(&format!("{}*", config.index)),
        [config.index.as_str()]
    );
    let path = format!("/{}/_doc/bad%20one?refresh=true", config.index);
    assert_eq!(
        server.request("DELETE", &path, None).0,
        200,
        "it takes changes again"
    );
    let moved = config.ask(&["migrate"]);
    assert_eq!(moved.status.code(), Some(0), "{}", text_of(&moved));
    assert_moved(&server, &config.index, 1_200);
}

#[test]
fn a_user_who_may_not_is_told_all_that_is_missing_before_anything_is_changed() {
    let (server, sshd) = (Elasticsearch::main(), Sshd::start("migrate-rights"));
    let mut config = mover(&server, &sshd);
    config.username = "collector".to_owned();
    seed(&server, &config.index, 10);
    let refused = config.ask(&["migrate"]);
    let text = text_of(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    for missing in ["manage on ", "read on ", "_v2", "_before_migration"] {
        assert!(text.contains(missing), "{missing}: {text}");
    }
    assert_eq!(server.behind(&format!("{}*", config.index)), [config.index]);
}

#[test]
fn a_run_keeps_its_samples_while_the_index_moves_and_goes_on_by_itself() {
    let (server, sshd) = (Elasticsearch::main(), Sshd::start("migrate-run"));
    let config = Config::new("migrate-run", &sshd);
    let mut mapping = older_mapping();
    // Names that the collector writes are found by the tests as they are.
    mapping["settings"] = json!({"number_of_replicas": 0});
    assert_eq!(
        server
            .request("PUT", &format!("/{}", config.index), Some(&mapping))
            .0,
        200
    );
    let mut collector = config.run();
    wait_for_documents(&server, &config, 8);

    let mut mover = mover(&server, &sshd);
    mover.index = config.index.clone();
    let mut migrate = start(&mover);
    let said = BufReader::new(migrate.stdout.take().expect("a pipe")).lines();
    let is_blocked = said
        .map_while(Result::ok)
        .any(|line| line.starts_with("blocked "));
    migrate.kill().expect("killed, or ended already");
    migrate.wait().expect("an end");
    assert!(is_blocked);
    // Killed there, it has left the index as it is during a long copy.
    let held = server.count(&config.index).expect("an index");
    wait_for_records(&config, usize::try_from(held).expect("few") + 10);
    let moved = mover.ask(&["migrate"]);
    assert_eq!(moved.status.code(), Some(0), "{}", text_of(&moved));
    let records = config.records().len();
    wait_for_documents(&server, &config, records + 4);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(&config, &server);
    assert_eq!(
        letters(&config),
        0,
        "nothing became a dead letter on the way"
    );
    assert_eq!(
        server.behind(&config.index),
        [format!("{}_v2", config.index)]
    );
}
