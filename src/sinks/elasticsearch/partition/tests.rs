use chrono::DateTime;
use serde_json::Value;

use super::super::SHIPPED_PARTITIONS_MAPPING;
use super::*;
use crate::kafka::{GroupState, Outcome};

fn partition(number: i32) -> Partition {
    Partition {
        partition: number,
        lag: Some(12),
        current_offset: Some(30),
        log_end_offset: Some(42),
        consumer_id: Some("mm-1-0-6c0b".into()),
        consumer_host: Some("/10.0.0.11".into()),
        client_id: Some("mm-1-0".into()),
    }
}

fn sample(partitions: Vec<Partition>) -> Sample {
    Sample {
        sampled_at: DateTime::from_timestamp_millis(1_763_632_800_000).unwrap(),
        clock_generation: 0,
        topic: "orders".into(),
        group: "oasis-group".into(),
        mirror_host: "mm-1".into(),
        cluster: Some("source-a".into()),
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions,
        round_ms: Some(1534),
    }
}

fn text(sample: &Sample, place: usize) -> String {
    let mut line = Vec::new();
    write(&mut line, sample, place);
    String::from_utf8(line).unwrap()
}

#[test]
fn a_partition_has_all_that_the_table_printed_of_it() {
    assert_eq!(
        text(&sample(vec![partition(0), partition(7)]), 1),
        r#"{"@timestamp":"2025-11-20T10:00:00.000Z","topic":"orders","partition":7,"lag":12,"current_offset":30,"log_end_offset":42,"group":"oasis-group","mirror_host":"mm-1","cluster":"source-a","consumer_id":"mm-1-0-6c0b","client_id":"mm-1-0","consumer_host":"/10.0.0.11","outcome":"ok","group_state":"stable","round_ms":1534}"#
    );
}

#[test]
fn what_a_table_does_not_say_of_a_partition_is_absent_and_never_0() {
    let unknown = Partition {
        partition: 3,
        lag: None,
        current_offset: None,
        log_end_offset: None,
        consumer_id: None,
        consumer_host: None,
        client_id: None,
    };
    let mut sample = sample(vec![unknown]);
    sample.cluster = None;
    sample.round_ms = None;
    assert_eq!(
        text(&sample, 0),
        r#"{"@timestamp":"2025-11-20T10:00:00.000Z","topic":"orders","partition":3,"group":"oasis-group","mirror_host":"mm-1","outcome":"ok","group_state":"stable"}"#
    );
}

#[test]
fn a_negative_lag_stays_as_printed() {
    let mut negative = partition(0);
    negative.lag = Some(-70);
    assert!(text(&sample(vec![negative]), 0).contains(r#""lag":-70,"#));
}

#[test]
fn a_sample_without_numbers_is_one_document_that_says_why() {
    let mut sample = sample(Vec::new());
    sample.outcome = Outcome::Timeout;
    sample.group_state = GroupState::Unknown;
    sample.reason = Some("describe outlived 30s".into());
    assert_eq!(documents(&sample), 1);
    assert_eq!(
        text(&sample, 0),
        r#"{"@timestamp":"2025-11-20T10:00:00.000Z","topic":"orders","group":"oasis-group","mirror_host":"mm-1","cluster":"source-a","outcome":"timeout","group_state":"unknown","reason":"describe outlived 30s","round_ms":1534}"#
    );
}

#[test]
fn the_ids_of_a_known_sample_never_change_between_versions() {
    // An id that changed would double what a collector of the version before has written.
    let with = sample(vec![partition(0), partition(4999)]);
    let ids = [0, 1].map(|place| id(&with.id(), &with, place));
    assert_eq!(
        ids,
        [
            "1763632800000-7d7238c19e43ec14ec94e0909afe800b-p0",
            "1763632800000-7d7238c19e43ec14ec94e0909afe800b-p4999",
        ]
    );
    let without = sample(Vec::new());
    assert_eq!(id(&without.id(), &without, 0), without.id());
}

/// Every field that a document can have is mapped, and nothing is mapped that no document has.
#[test]
fn the_mapping_has_the_fields_of_the_document_and_no_others() {
    let mut all = sample(vec![partition(0)]);
    all.reason = Some("why".into());
    let document: Value = serde_json::from_str(&text(&all, 0)).unwrap();
    let body: Value = serde_json::from_str(SHIPPED_PARTITIONS_MAPPING).unwrap();
    let properties = body["mappings"]["properties"].as_object().unwrap();
    let mut mapped: Vec<&String> = properties.keys().collect();
    let mut written: Vec<&String> = document.as_object().unwrap().keys().collect();
    mapped.sort_unstable();
    written.sort_unstable();
    assert_eq!(mapped, written);
    for (field, value) in document.as_object().unwrap() {
        let kind = properties[field]["type"].as_str().unwrap();
        let fits = match field.as_str() {
            "@timestamp" => kind == "date",
            "partition" => kind == "integer",
            _ if value.is_number() => kind == "long",
            _ => kind == "keyword",
        };
        assert!(fits, "{field} is mapped as {kind}, its value is {value}");
    }
}
