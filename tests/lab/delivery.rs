//! Promise 2: nothing lost, nothing doubled, with a real Elasticsearch that is new, refuses, is down, is old.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::collector::{Config, END_LIMIT, text_of};
use crate::elasticsearch::{Elasticsearch, same_numbers};
use crate::sshd::Sshd;
use crate::{kafka, lab};

const ROUNDS_LIMIT: Duration = Duration::from_secs(60);
/// The longest back-off (60 s) may have begun just before a sink was mended.
pub const MENDED_LIMIT: Duration = Duration::from_secs(150);

#[test]
fn the_first_start_creates_the_index_with_the_shipped_mapping() {
    let sshd = Sshd::start("first-start");
    let config = Config::new("first-start", &sshd);
    let server = Elasticsearch::main();
    assert_eq!(
        server.request("GET", &format!("/{}", config.index), None).0,
        404
    );
    let mut collector = config.run();
    wait_for_documents(&server, &config, 4);
    collector.terminate(END_LIMIT);

    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/consumer_lag.json");
    let shipped = fs::read_to_string(shipped).expect("the shipped mapping");
    let shipped: Value = serde_json::from_str(&shipped).expect("JSON");
    let (_, answer) = server.request("GET", &format!("/{}/_mapping", config.index), None);
    let made = &answer[&config.index]["mappings"];
    assert_eq!(
        made["dynamic_templates"],
        shipped["mappings"]["dynamic_templates"]
    );
    for (name, property) in shipped["mappings"]["properties"]
        .as_object()
        .expect("properties")
    {
        assert_eq!(&made["properties"][name], property, "property {name}");
    }
    assert_eq!(
        made["properties"]["p11"]["type"], "long",
        "a partition that was written"
    );
    assert_eq!(made["properties"]["topic"]["type"], "keyword");
}

#[test]
fn a_wrong_password_holds_and_everything_arrives_once_when_it_is_mended() {
    let sshd = Sshd::start("wrong-password");
    let server = Elasticsearch::main();
    let mut config = Config::new("wrong-password", &sshd);
    config.username = "rotated".to_owned();
    config.password = "tomorrows-password".to_owned();
    server.set_password("rotated", "yesterdays-password");
    let mut collector = config.run();
    wait_for_records(&config, 10);
    assert!(
        server.documents(&config.index).is_err(),
        "nothing may be stored yet"
    );

    server.set_password("rotated", "tomorrows-password");
    wait_for_documents(&server, &config, 20);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(&config, &server);
    assert_no_tick_is_missing(&config, 1000);
    assert_eq!(letters(&config), 0, "nothing was dropped on the way");
}

#[test]
fn a_server_that_was_stopped_and_started_has_every_tick_once() {
    let sshd = Sshd::start("outage");
    let server = Elasticsearch::own("outage", "8.17.4", lab::port("ELASTICSEARCH_OUTAGE"));
    let mut config = Config::new("outage", &sshd);
    config.elasticsearch_url = server.url();
    let mut collector = config.run();
    wait_for_documents(&server, &config, 6);
    server.stop();
    let records_at_stop = config.records().len();
    // Half a minute of two topics, beside the time that the server needs to start.
    wait_for_records(&config, records_at_stop + 60);
    server.start();
    wait_for_documents(&server, &config, records_at_stop + 70);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(&config, &server);
    assert_no_tick_is_missing(&config, 1000);
}

#[test]
fn a_collector_killed_in_the_middle_loses_no_tick_and_doubles_none() {
    let sshd = Sshd::start("killed");
    let server = Elasticsearch::main();
    let config = Config::new("killed", &sshd);
    for life in 1..=3 {
        let mut collector = config.run();
        wait_for_documents(&server, &config, life * 8);
        // Not in step with the ticks: each life ends at another point of a round.
        std::thread::sleep(Duration::from_millis(150 * life as u64));
        let killed_at_ms = now_ms();
        collector.kill();
        // What was asked some seconds ago must be on disk.
        let latest = config
            .records()
            .iter()
            .map(|record| record.instant_ms)
            .max();
        let latest = latest.expect("a record");
        assert!(
            latest >= killed_at_ms - 4000,
            "life {life}: {latest} against {killed_at_ms}"
        );
    }
    let mut collector = config.run();
    wait_for_documents(&server, &config, 30);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(&config, &server);
    assert_gaps_are_only_between_lives(&config, 4);
}

#[test]
fn two_collectors_with_one_configuration_bring_one_document_per_topic_and_tick() {
    let sshd = Sshd::start("two-collectors");
    let server = Elasticsearch::main();
    let one = Config::new("two-collectors", &sshd);
    let mut other = Config::new("two-collectors", &sshd);
    other.index.clone_from(&one.index);
    let mut collectors = [one.run(), other.run()];
    wait_for_records(&one, 20);
    wait_for_records(&other, 20);
    for collector in &mut collectors {
        collector.terminate(END_LIMIT);
    }
    let (ours, theirs) = (ticks(&one), ticks(&other));
    assert!(
        ours.intersection(&theirs).count() >= 10,
        "they did not ask at the same instants"
    );
    let documents = server.documents(&one.index).expect("documents");
    let stored: BTreeSet<_> = documents
        .iter()
        .map(|document| document.series_and_instant())
        .collect();
    assert_eq!(documents.len(), stored.len(), "a tick has two documents");
    assert_eq!(stored, ours.union(&theirs).cloned().collect());
}

#[test]
fn the_older_mapping_keeps_working_and_check_names_what_it_costs() {
    let sshd = Sshd::start("older-mapping");
    let server = Elasticsearch::main();
    let config = Config::new("older-mapping", &sshd);
    let mut properties = json!({"@timestamp": {"type": "date"}, "topic": {"type": "text"}});
    for partition in 0..18 {
        properties[format!("p{partition}")] = json!({"type": "integer"});
    }
    let body = json!({"mappings": {"properties": properties}});
    assert_eq!(
        server
            .request("PUT", &format!("/{}", config.index), Some(&body))
            .0,
        200
    );

    let mut collector = config.run();
    wait_for_documents(&server, &config, 6);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(&config, &server);
    let documents = server.documents(&config.index).expect("documents");
    let table = kafka::describe(lab::STILL_GROUP);
    same_numbers(&documents, &table, &config.topics).expect("the numbers of the CLI");

    let check = config.check();
    let text = text_of(&check);
    for said in ["mirrorlag migrate", "topic is text", "2147483647"] {
        assert!(text.contains(said), "{said} must be named:\n{text}");
    }
    assert_eq!(
        check.status.code(),
        Some(0),
        "it works, so it is no failure:\n{text}"
    );
}

#[track_caller]
pub fn wait_for_documents(server: &Elasticsearch, config: &Config, count: usize) {
    lab::eventually("documents in the index", MENDED_LIMIT, || {
        let documents = server.documents(&config.index)?;
        lab::claim(documents.len() >= count, documents.len())
    });
}

#[track_caller]
pub fn wait_for_records(config: &Config, count: usize) {
    lab::eventually(
        "records in the journal",
        ROUNDS_LIMIT + Duration::from_secs(60),
        || {
            if !config.journal().exists() {
                return Err("no journal yet".to_owned());
            }
            let records = config.records().len();
            lab::claim(records >= count, records)
        },
    );
}

/// After an orderly end: each record of the journal is one document, and nothing else is in the index.
#[track_caller]
pub fn assert_index_equals_journal(config: &Config, server: &Elasticsearch) {
    let documents = server.documents(&config.index).expect("documents");
    let stored: Vec<_> = documents
        .iter()
        .map(|document| document.series_and_instant())
        .collect();
    let stored_once: BTreeSet<_> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), stored_once.len(), "a tick has two documents");
    let journal = ticks(config);
    let lost: Vec<_> = journal.difference(&stored_once).collect();
    let foreign: Vec<_> = stored_once.difference(&journal).collect();
    assert!(
        lost.is_empty(),
        "in the journal, not in the index: {lost:?}"
    );
    assert!(
        foreign.is_empty(),
        "in the index, not in the journal: {foreign:?}"
    );
}

/// Every topic has a record at each tick from its first to its last, but for ticks that fell while a round still ran.
#[track_caller]
pub fn assert_no_tick_is_missing(config: &Config, interval_ms: i64) {
    let gaps = gaps(config, interval_ms);
    assert!(gaps.is_empty(), "ticks without a record: {gaps:?}");
}

/// Between two lives nobody asks; within one no tick may be missing.
#[track_caller]
fn assert_gaps_are_only_between_lives(config: &Config, lives: usize) {
    let gaps = gaps(config, 1000);
    for (series, ..) in &gaps {
        let of_series = gaps.iter().filter(|(name, ..)| name == series).count();
        assert!(of_series < lives, "more gaps than restarts: {gaps:?}");
    }
}

/// A tick may begin that late on a loaded machine, and its round ends as much later.
const LATE_MS: i64 = 500;

/// (series, last instant before, first instant after) wherever ticks between two neighbours have no record,
/// though no round was running at their instants: those are skipped, as documented.
fn gaps(config: &Config, interval_ms: i64) -> Vec<(String, i64, i64)> {
    let mut series: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for record in config.records() {
        let round_ms = record.body["round_ms"].as_i64().unwrap_or(0);
        let ticks = series.entry(record.series).or_default();
        ticks.push((record.instant_ms, record.instant_ms + round_ms));
    }
    let hosts = 1 + usize::from(config.second.is_some());
    assert_eq!(
        series.len(),
        config.topics.len() * hosts,
        "{:?}",
        series.keys()
    );
    let mut gaps = Vec::new();
    for (name, mut ticks) in series {
        ticks.sort_unstable();
        for pair in ticks.windows(2) {
            let ((instant, ended), (next, _)) = (pair[0], pair[1]);
            assert_ne!(instant, next, "{name}: one tick has two records");
            let last_without_record = next - interval_ms;
            if last_without_record > instant && last_without_record > ended + LATE_MS {
                gaps.push((name.clone(), instant, next));
            }
        }
    }
    gaps
}

pub fn ticks(config: &Config) -> BTreeSet<(String, i64)> {
    let records = config.records();
    records
        .iter()
        .map(|record| record.series_and_instant())
        .collect()
}

pub fn letters(config: &Config) -> i64 {
    let journal = rusqlite::Connection::open(config.journal()).expect("the journal");
    let count = journal.query_row("SELECT count(*) FROM letters", [], |row| row.get(0));
    count.expect("the table of letters")
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("a time")
}
