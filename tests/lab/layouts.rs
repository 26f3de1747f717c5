//! Documents of partitions, dated indices and data streams, written by the real pipeline into each Elasticsearch that users have.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};

use crate::collector::{Config, END_LIMIT, text_of};
use crate::delivery::{
    MENDED_LIMIT, assert_index_equals_journal, letters, wait_for_documents, wait_for_records,
};
use crate::elasticsearch::{Document, Elasticsearch, same_numbers};
use crate::sshd::Sshd;
use crate::{kafka, lab};

const LIMIT: Duration = Duration::from_secs(90);
const WIDE_PARTITIONS: usize = 5000;

#[test]
fn layouts_on_elasticsearch_8_17() {
    layouts_on(&Elasticsearch::main(), "layouts-eight");
}

#[test]
fn layouts_on_elasticsearch_7_17() {
    let server = Elasticsearch::own("layouts7", "7.17.28", lab::port("ELASTICSEARCH_7_LAYOUTS"));
    layouts_on(&server, "layouts-seven");
    a_server_without_data_streams_is_told(&server);
}

#[test]
fn layouts_on_elasticsearch_9_2() {
    let server = Elasticsearch::own("layouts9", "9.2.0", lab::port("ELASTICSEARCH_9_LAYOUTS"));
    layouts_on(&server, "layouts-nine");
    a_data_stream_takes_what_waited_for_it(&server);
}

#[test]
fn a_data_stream_on_elasticsearch_8_17() {
    a_data_stream_takes_what_waited_for_it(&Elasticsearch::main());
}

fn layouts_on(server: &Elasticsearch, stem: &str) {
    the_documents_of_partitions_say_what_the_wide_ones_say(server, stem);
    a_topic_of_five_thousand_partitions_is_told_its_layout_and_arrives_in_it(server, stem);
    check_counts_the_fields_as_the_server_does(server, stem);
}

/// More lines of `elasticsearch:`, in place of those of the last call.
fn set(config: &mut Config, lines: &[&str]) {
    let index = format!("    index: {}\n", config.index);
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    config.edits.retain(|(written, _)| *written != index);
    config.edits.push((index.clone(), index + &lines));
}

fn of(server: &Elasticsearch, stem: &str, sshd: &Sshd) -> Config {
    let mut config = Config::new(stem, sshd);
    config.elasticsearch_url = server.url();
    config
}

fn partitions_index(config: &Config) -> String {
    format!("{}_partitions", config.index)
}

/// Refreshed before it is counted; `Err` while there is no such index.
fn count(server: &Elasticsearch, index: &str) -> Result<usize, String> {
    server.request("POST", &format!("/{index}/_refresh"), None);
    let (status, answer) = server.request("GET", &format!("/{index}/_count"), None);
    let count = answer["count"].as_u64();
    let count = count.ok_or_else(|| format!("{index}: {status} {answer}"))?;
    Ok(usize::try_from(count).expect("a count"))
}

fn until_status_says(config: &Config, words: &[&str]) {
    lab::eventually("a status with the mend", LIMIT, || {
        let (_, said) = config.status();
        let sinks = said["sinks"].to_string();
        lab::claim(words.iter().all(|word| sinks.contains(word)), sinks)
    });
}

fn the_documents_of_partitions_say_what_the_wide_ones_say(server: &Elasticsearch, stem: &str) {
    let sshd = Sshd::start(stem);
    let mut config = of(server, stem, &sshd);
    set(&mut config, &["layout: both"]);
    let check = config.check();
    assert_eq!(check.status.code(), Some(0), "{}", text_of(&check));
    let mut collector = config.run();
    wait_for_documents(server, &config, 8);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(&config, server);

    let wide = server.documents(&config.index).expect("documents");
    let table = kafka::describe(lab::STILL_GROUP);
    same_numbers(&wide, &table, &config.topics).expect("the numbers of the CLI");
    let partitions = server.documents(&partitions_index(&config));
    let partitions = partitions.expect("documents of partitions");
    let mut by_sample: BTreeMap<_, Vec<&Document>> = BTreeMap::new();
    for document in &partitions {
        let of_sample = by_sample.entry(document.series_and_instant());
        of_sample.or_default().push(document);
    }
    assert_eq!(by_sample.len(), wide.len(), "a sample for each");
    for document in &wide {
        let of_sample = &by_sample[&document.series_and_instant()];
        let lags: BTreeMap<i32, Option<i64>> =
            of_sample.iter().filter_map(|it| lag_of(it)).collect();
        assert_eq!(lags, document.partitions(), "{}", document.source);
        assert_eq!(of_sample.len(), lags.len().max(1));
        for field in ["outcome", "group_state", "group", "cluster", "round_ms"] {
            assert!(
                of_sample
                    .iter()
                    .all(|it| it.source[field] == document.source[field])
            );
        }
    }
    let path = format!("/{}/_mapping", partitions_index(&config));
    let (_, answer) = server.request("GET", &path, None);
    let made = &answer[&partitions_index(&config)]["mappings"];
    let shipped: Value =
        serde_json::from_str(include_str!("../../mappings/consumer_lag_partitions.json"))
            .expect("JSON");
    assert_eq!(made["properties"], shipped["mappings"]["properties"]);
}

/// Partition and lag; the offsets must agree with it.
fn lag_of(document: &Document) -> Option<(i32, Option<i64>)> {
    let number = |field: &str| {
        document
            .source
            .get(field)
            .map(|it| it.as_i64().expect(field))
    };
    let partition = i32::try_from(number("partition")?).expect("a partition");
    if let (Some(current), Some(end)) = (number("current_offset"), number("log_end_offset")) {
        assert_eq!(number("lag"), Some(end - current), "{}", document.source);
    }
    Some((partition, number("lag")))
}

fn a_topic_of_five_thousand_partitions_is_told_its_layout_and_arrives_in_it(
    server: &Elasticsearch,
    stem: &str,
) {
    let stem = format!("{stem}-wide");
    let sshd = Sshd::start(&stem);
    let mut config = of(server, &stem, &sshd);
    let topic = config.topics[0].clone();
    let table = format!(
        "awk 'BEGIN {{ print \"GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\"; \
         for (p = 0; p < {WIDE_PARTITIONS}; p++) \
         print \"{} {topic}\", p, 1000, 1000 + p, p, \"mm-0-6c0b9a30-2f61\", \"/10.0.0.11\", \"mm-0\" }}'",
        config.group
    );
    config.topics.truncate(1);
    config.interval = "5s";
    config.consumer_groups = kafka::script_as_cli(&format!("{stem}-cli"), &table);
    let check = text_of(&config.check());
    let warned = format!("\"{topic}\" has {WIDE_PARTITIONS}: none of its documents is stored");
    assert!(check.contains(&warned), "{check}");

    let mut collector = config.run();
    until_status_says(
        &config,
        &["Limit of total fields", "write layout: partitions"],
    );
    collector.terminate(END_LIMIT);
    assert_eq!(count(server, &config.index), Ok(0));
    assert_eq!(letters(&config), 0, "held, for all documents are refused");

    set(&mut config, &["layout: partitions"]);
    let mut collector = config.run();
    let waited = config.records().len();
    lab::eventually("all partitions of what waited", LIMIT, || {
        let stored = count(server, &partitions_index(&config))?;
        lab::claim(stored >= waited * WIDE_PARTITIONS, stored)
    });
    wait_for_records(&config, waited + 2);
    let memory_kib = collector.memory_peak_kib();
    collector.terminate(END_LIMIT);
    assert!(memory_kib < 200 * 1024, "{memory_kib} KiB");
    assert_every_partition_is_there_once(server, &config);
}

fn assert_every_partition_is_there_once(server: &Elasticsearch, config: &Config) {
    let records = config.records();
    let with_numbers = records
        .iter()
        .filter(|it| it.body["outcome"] == "ok")
        .count();
    let silent = records.len() - with_numbers;
    let stored = count(server, &partitions_index(config));
    assert_eq!(stored, Ok(with_numbers * WIDE_PARTITIONS + silent));
    let question = json!({"size": 0, "aggs": {
        "sum": {"sum": {"field": "lag"}}, "max": {"max": {"field": "partition"}}}});
    let path = format!("/{}/_search", partitions_index(config));
    let (_, answer) = server.request("POST", &path, Some(&question));
    let value = |name: &str| answer["aggregations"][name]["value"].as_f64().expect(name);
    let sum = with_numbers * WIDE_PARTITIONS * (WIDE_PARTITIONS - 1) / 2;
    assert_eq!(value("sum"), sum as f64, "each lag once");
    assert_eq!(value("max"), (WIDE_PARTITIONS - 1) as f64);
}

/// A document with as many partitions as `check` sees room for is stored; with one more it is refused.
fn check_counts_the_fields_as_the_server_does(server: &Elasticsearch, stem: &str) {
    let stem = format!("{stem}-fields");
    let sshd = Sshd::start(&stem);
    let config = of(server, &stem, &sshd);
    let shipped: Value =
        serde_json::from_str(include_str!("../../mappings/consumer_lag.json")).expect("JSON");
    let path = format!("/{}", config.index);
    assert_eq!(server.request("PUT", &path, Some(&shipped)).0, 200);
    let check = text_of(&config.check());
    let room = check.split("room for ").nth(1).unwrap_or_default();
    let room: String = room.chars().take_while(char::is_ascii_digit).collect();
    let room: usize = room.parse().unwrap_or_else(|_| panic!("{check}"));
    let with = |partitions: usize| {
        let mut document = json!({"@timestamp": "2026-11-20T10:00:00Z"});
        for partition in 0..partitions {
            document[format!("p{partition}")] = partition.into();
        }
        server.request("POST", &format!("/{}/_doc", config.index), Some(&document))
    };
    let (status, answer) = with(room + 1);
    assert_eq!(status, 400, "{answer}");
    assert_eq!(with(room).0, 201, "{room}");
    // Now it is full, and says so.
    let check = text_of(&config.check());
    assert!(check.contains("1000 of 1000 fields are mapped"), "{check}");
}

#[test]
fn another_layout_and_a_dated_name_send_nothing_again_and_a_closed_month_is_named() {
    let sshd = Sshd::start("layouts-switch");
    let server = Elasticsearch::main();
    let mut config = Config::new("layouts-switch", &sshd);
    let undated = config.index.clone();
    let mut collector = config.run();
    wait_for_documents(&server, &config, 6);
    collector.terminate(END_LIMIT);
    let before = config.records().len();
    assert_eq!(count(&server, &undated), Ok(before));

    config.index = format!("{undated}-%Y.%m");
    set(&mut config, &["layout: both"]);
    let (wide, partitions) = {
        let month = Utc::now().format("%Y.%m");
        (
            format!("{undated}-{month}"),
            format!("{undated}_partitions-{month}"),
        )
    };
    let check = text_of(&config.check());
    assert!(
        check.contains("does not exist yet (there is none so far)"),
        "{check}"
    );
    let mut collector = config.run();
    wait_for_records(&config, before + 6);
    let so_far = config.records().len();
    lab::eventually("what came since, by month", LIMIT, || {
        let stored = count(&server, &wide)?;
        lab::claim(stored >= so_far - before, stored)
    });
    assert_eq!(
        count(&server, &undated),
        Ok(before),
        "nothing is sent again"
    );
    let check = text_of(&config.check());
    assert!(
        check.contains(&format!("{wide:?} exists, for wide documents")),
        "{check}"
    );

    server.request("POST", &format!("/{partitions}/_close"), None);
    until_status_says(&config, &["index_closed_exception", &partitions]);
    server.request("POST", &format!("/{partitions}/_open"), None);
    let waited = config.records().len();
    lab::eventually("what waited for the month", MENDED_LIMIT, || {
        let stored = count(&server, &wide)?;
        lab::claim(stored >= waited - before, stored)
    });
    collector.terminate(END_LIMIT);
    let records = config.records();
    let of_partitions: usize = records[before..].iter().map(documents_of).sum();
    assert_eq!(count(&server, &wide), Ok(records.len() - before));
    assert_eq!(count(&server, &partitions), Ok(of_partitions));
    assert_eq!(letters(&config), 0);
}

/// How many documents of partitions a record becomes.
fn documents_of(record: &crate::collector::Record) -> usize {
    let partitions = record.body["partitions"].as_array();
    partitions.map_or(1, Vec::len)
}

fn a_data_stream_takes_what_waited_for_it(server: &Elasticsearch) {
    let sshd = Sshd::start("data-stream");
    let mut config = of(server, "data-stream", &sshd);
    set(&mut config, &["layout: partitions", "data_stream: true"]);
    let stream = partitions_index(&config);
    let mut collector = config.run();
    until_status_says(&config, &[&stream, "run `mirrorlag setup`"]);
    let missing = server.request("GET", &format!("/{stream}"), None).0;
    assert_eq!(missing, 404, "the sink made an index of that name");

    let shipped: Value =
        serde_json::from_str(include_str!("../../mappings/consumer_lag_partitions.json"))
            .expect("JSON");
    let template = json!({"index_patterns": [stream], "data_stream": {}, "priority": 900,
        "allow_auto_create": true, "template": shipped});
    let path = format!("/_index_template/{stream}");
    let (status, answer) = server.request("PUT", &path, Some(&template));
    assert_eq!(status, 200, "{answer}");
    let first = json!({"@timestamp": "2020-01-01T00:00:00Z", "topic": "made by hand"});
    let (status, answer) = server.request("PUT", &format!("/{stream}/_create/first"), Some(&first));
    assert_eq!(status, 201, "{answer}");
    assert!(
        answer["_index"]
            .as_str()
            .is_some_and(|it| it.starts_with(".ds-")),
        "{answer}"
    );

    let waited = config.records().len();
    lab::eventually("what waited for the stream", MENDED_LIMIT, || {
        let stored = count(server, &stream)?;
        lab::claim(stored > waited, stored)
    });
    collector.terminate(END_LIMIT);
    let documents: usize = config.records().iter().map(documents_of).sum();
    assert_eq!(
        count(server, &stream),
        Ok(documents + 1),
        "and the one by hand"
    );
    // The one by hand is some years old.
    config.username = "prune".to_owned();
    let pruned = config.ask(&["prune", "--older-than", "30d"]);
    let text = text_of(&pruned);
    assert_eq!(pruned.status.code(), Some(0), "{text}");
    let left = format!("{stream} is a data stream: its lifecycle deletes by itself");
    assert!(text.contains(&left), "{text}");
    assert_eq!(count(server, &stream), Ok(documents + 1));
    server.request("DELETE", &format!("/_data_stream/{stream}"), None);
}

fn a_server_without_data_streams_is_told(server: &Elasticsearch) {
    let sshd = Sshd::start("no-data-stream");
    let mut config = of(server, "no-data-stream", &sshd);
    set(&mut config, &["layout: partitions", "data_stream: true"]);
    let check = text_of(&config.check());
    let said = "does not exist, and the server does not answer questions about data streams";
    assert!(check.contains(said), "{check}");
}
