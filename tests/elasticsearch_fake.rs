//! The sink `elasticsearch` against a strict fake: what each answer makes of each document, alone and behind a journal.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/bulk_server.rs"]
mod bulk_server;
#[path = "elasticsearch_fake/check.rs"]
mod check;
#[path = "elasticsearch_fake/faults.rs"]
mod faults;
#[path = "elasticsearch_fake/layouts.rs"]
mod layouts;
#[path = "elasticsearch_fake/pipeline.rs"]
mod pipeline;
#[path = "support/relay.rs"]
mod relay;
#[path = "elasticsearch_fake/tls.rs"]
mod tls;

use std::time::{Duration, Instant};

use bulk_server::{Fake, Fault, endless_port, error_body, raw_port};
use chrono::{DateTime, TimeDelta};
use mirrorlag::kafka::{GroupState, Outcome};
use mirrorlag::sample::{Partition, Sample};
use mirrorlag::sinks::elasticsearch::{
    Credentials, Elasticsearch, Layout, SHIPPED_MAPPING, SHIPPED_PARTITIONS_MAPPING, Settings,
};
use mirrorlag::sinks::{Fate, NotReady, Sink};
use secrecy::SecretString;

const INDEX: &str = "consumer_lag";
const PARTITIONS_INDEX: &str = "consumer_lag_partitions";

fn settings(urls: &[&str]) -> Settings {
    Settings {
        urls: urls.iter().map(|&url| url.to_owned()).collect(),
        index: INDEX.parse().unwrap(),
        mapping: SHIPPED_MAPPING.to_owned(),
        layout: Layout::Wide,
        partitions_index: PARTITIONS_INDEX.parse().unwrap(),
        partitions_mapping: SHIPPED_PARTITIONS_MAPPING.to_owned(),
        data_stream: false,
        retain_for: None,
        credentials: Credentials::None,
        ca_file: None,
        accept_any_certificate: false,
        proxy: None,
        request_timeout: Duration::from_secs(5),
    }
}

fn sink(urls: &[&str]) -> Elasticsearch {
    Elasticsearch::new(&settings(urls)).unwrap()
}

/// The sample of second `tick`, with these lags of partitions 0, 1, ...
fn sample(tick: i64, lags: &[i64]) -> Sample {
    let partition = |(partition, &lag): (usize, &i64)| Partition {
        partition: partition.try_into().unwrap(),
        lag: Some(lag),
        current_offset: None,
        log_end_offset: None,
        consumer_id: None,
        consumer_host: None,
        client_id: None,
    };
    let start = DateTime::from_timestamp_millis(1_763_632_800_000).unwrap();
    Sample {
        sampled_at: start + TimeDelta::seconds(tick),
        clock_generation: 0,
        topic: "orders".into(),
        group: "oasis-group".into(),
        mirror_host: "mm-1".into(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: lags.iter().enumerate().map(partition).collect(),
        round_ms: Some(700),
    }
}

fn samples(count: i64) -> Vec<Sample> {
    (0..count).map(|tick| sample(tick, &[tick, 0])).collect()
}

fn words(fates: &[Fate]) -> Vec<&'static str> {
    let word = |fate: &Fate| match fate {
        Fate::Stored => "stored",
        Fate::Retry(_) => "retry",
        Fate::Hold(_) => "hold",
        Fate::Reject(_) => "reject",
        Fate::Divide(_) => "divide",
    };
    fates.iter().map(word).collect()
}

/// The reason of the first fate that has one.
fn reason(fates: &[Fate]) -> &str {
    let reason = fates.iter().find_map(|fate| match fate {
        Fate::Stored => None,
        Fate::Retry(why) | Fate::Hold(why) | Fate::Reject(why) | Fate::Divide(why) => Some(why),
    });
    reason.map_or("", String::as_str)
}

#[tokio::test]
async fn the_same_bulk_twice_is_one_document_each_and_stored_both_times() {
    let fake = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    let batch = samples(3);
    for _ in 0..2 {
        let reply = sink.deliver(&batch).await;
        assert_eq!(words(&reply.fates), ["stored"; 3]);
    }
    let documents = fake.documents(INDEX);
    let ids: Vec<String> = batch.iter().map(Sample::id).collect();
    assert_eq!(documents.keys().cloned().collect::<Vec<_>>(), ids);
    assert_eq!(documents[&ids[2]]["p0"], 2);
    fake.assert_strict();
}

#[tokio::test]
async fn a_reply_that_proves_nothing_is_sent_again_and_nothing_is_doubled() {
    let fake = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    for (fault, part) in [
        (Fault::Truncated, "not one of Elasticsearch"),
        (Fault::Html, "not one of Elasticsearch"),
        (Fault::OneItemShort, "has 2 items"),
    ] {
        fake.fail([fault]);
        let reply = sink.deliver(&samples(3)).await;
        assert_eq!(words(&reply.fates), ["retry"; 3]);
        assert!(reason(&reply.fates).contains(part), "{:?}", reply.fates);
        let reply = sink.deliver(&samples(3)).await;
        assert_eq!(words(&reply.fates), ["stored"; 3]);
        assert_eq!(fake.documents(INDEX).len(), 3);
    }
    fake.assert_strict();
}

#[tokio::test]
async fn each_item_of_a_mixed_reply_has_its_own_fate() {
    let fake = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    fake.fail([Fault::Items(vec![
        None,
        Some((409, "version_conflict_engine_exception", "exists")),
        Some((429, "es_rejected_execution_exception", "queue full")),
        Some((
            400,
            "document_parsing_exception",
            "failed to parse field [@timestamp]",
        )),
        Some((
            403,
            "cluster_block_exception",
            "index blocked: [FORBIDDEN/8/index write (api)]",
        )),
        Some((
            503,
            "unavailable_shards_exception",
            "primary shard is not active",
        )),
    ])]);
    let reply = sink.deliver(&samples(6)).await;
    assert_eq!(
        words(&reply.fates),
        ["stored", "stored", "retry", "reject", "hold", "retry"]
    );
    let expected = "document_parsing_exception: failed to parse field [@timestamp]";
    assert_eq!(reply.fates[3], Fate::Reject(expected.to_owned()));
}

#[tokio::test]
async fn a_413_without_body_and_content_type_divides() {
    let fake = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    sink.prepare().await.unwrap();
    // The limit counts unpacked bytes: packed, this batch would be far below it.
    fake.lock().content_bytes_max = 2000;
    let reply = sink.deliver(&samples(20)).await;
    assert_eq!(words(&reply.fates), ["divide"; 20]);
    let reply = sink.deliver(&samples(3)).await;
    assert_eq!(words(&reply.fates), ["stored"; 3]);
}

#[tokio::test]
async fn whole_refusals_are_judged_and_retry_after_is_passed_on() {
    let fake = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    let es = |status, kind| error_body(status, kind, "because");
    let retry_after = |value: &str| vec![("retry-after", value.to_owned())];
    let table = [
        (
            429,
            retry_after("7"),
            es(429, "es_rejected_execution_exception"),
            "retry",
            Some(7),
        ),
        (
            429,
            retry_after("soon"),
            es(429, "circuit_breaking_exception"),
            "retry",
            None,
        ),
        (429, vec![], String::new(), "retry", None),
        (
            503,
            retry_after("1000000000"),
            "<html>".to_owned(),
            "retry",
            Some(1_000_000_000),
        ),
        (504, vec![], String::new(), "retry", None),
        (
            400,
            vec![],
            es(400, "illegal_argument_exception"),
            "divide",
            None,
        ),
        (
            400,
            vec![],
            "<html>plain HTTP to HTTPS port".to_owned(),
            "hold",
            None,
        ),
        (
            403,
            vec![],
            es(403, "cluster_block_exception"),
            "hold",
            None,
        ),
        (404, vec![], "nginx".to_owned(), "hold", None),
        (413, vec![], String::new(), "divide", None),
    ];
    for (status, headers, body, expected, seconds) in table {
        fake.fail([Fault::Status(status, headers, body.clone())]);
        let reply = sink.deliver(&samples(2)).await;
        assert_eq!(words(&reply.fates), [expected; 2], "{status} {body}");
        assert_eq!(
            reply.retry_after.map(|it| it.as_secs()),
            seconds,
            "{status} {body}"
        );
        assert!(!reply.another_node);
    }
    assert!(fake.documents(INDEX).is_empty());
}

#[tokio::test]
async fn a_redirect_holds_and_names_where_it_leads() {
    let fake = Fake::start().await;
    let elsewhere = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    for status in [301, 302, 307, 308] {
        let location = format!("{}/consumer_lag/_bulk", elsewhere.url);
        fake.fail([Fault::Status(
            status,
            vec![("location", location)],
            String::new(),
        )]);
        let reply = sink.deliver(&samples(2)).await;
        assert_eq!(words(&reply.fates), ["hold"; 2], "{status}");
        assert!(
            reason(&reply.fates).contains(&elsewhere.url),
            "{:?}",
            reply.fates
        );
    }
}

#[tokio::test]
async fn the_index_is_made_with_the_shipped_mapping_before_the_first_document() {
    let fake = Fake::start().await;
    let (mut one, mut other) = (sink(&[&fake.url]), sink(&[&fake.url]));
    // Two at once: one of them hears that it exists already.
    let (first, second) = tokio::join!(one.prepare(), other.prepare());
    assert_eq!((first, second), (Ok(()), Ok(())));
    one.prepare().await.unwrap();
    let shipped: serde_json::Value = serde_json::from_str(SHIPPED_MAPPING).unwrap();
    assert_eq!(fake.lock().indices[INDEX].mapping, shipped["mappings"]);
}

#[tokio::test]
async fn an_index_deleted_while_running_comes_back_with_our_mapping_only() {
    let fake = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    sink.deliver(&samples(2)).await;
    fake.lock().indices.clear();
    let reply = sink.deliver(&samples(3)).await;
    assert_eq!(words(&reply.fates), ["stored"; 3]);
    let server = fake.lock();
    let index = &server.indices[INDEX];
    assert_eq!(index.mapping.get("made_by"), None);
    assert_eq!(index.documents.len(), 3);
}

#[tokio::test]
async fn a_missing_index_that_we_may_not_make_holds_and_names_setup() {
    let fake = Fake::start().await;
    fake.lock().privileges.retain(|it| *it != "create_index");
    let mut sink = sink(&[&fake.url]);
    let Err(NotReady::Hold(why)) = sink.prepare().await else {
        panic!("it may not be ready");
    };
    assert!(why.contains("grant create_index"), "{why}");
    let reply = sink.deliver(&samples(1)).await;
    assert_eq!(words(&reply.fates), ["hold"]);
    assert!(
        fake.lock().bulks.is_empty(),
        "a bulk would have made the index"
    );
    // Somebody else makes it.
    fake.lock()
        .indices
        .insert(INDEX.to_owned(), bulk_server::Index::default());
    assert_eq!(words(&sink.deliver(&samples(1)).await.fates), ["stored"]);
}

#[tokio::test]
async fn a_wrong_password_holds_and_the_right_one_delivers() {
    let fake = Fake::start().await;
    fake.lock().login = Some(("elastic".to_owned(), "other".to_owned()));
    let mut settings = settings(&[&fake.url]);
    settings.credentials = Credentials::Basic {
        username: "elastic".to_owned(),
        // As read from a file that ends in a newline.
        password: SecretString::from("s3cret\n"),
    };
    let mut sink = Elasticsearch::new(&settings).unwrap();
    let Err(NotReady::Hold(why)) = sink.prepare().await else {
        panic!("it may not be ready");
    };
    assert!(why.contains("401") && !why.contains("s3cret"), "{why}");
    fake.lock().login = Some(("elastic".to_owned(), "s3cret".to_owned()));
    sink.prepare().await.unwrap();
    assert_eq!(words(&sink.deliver(&samples(1)).await.fates), ["stored"]);
}

#[tokio::test]
async fn a_dead_node_costs_one_attempt_and_not_one_per_batch() {
    let fake = Fake::start().await;
    let (dead, attempts) = raw_port(Some(b"")).await;
    let mut sink = sink(&[&format!("http://{dead}"), &fake.url]);
    let reply = sink.deliver(&samples(1)).await;
    assert_eq!(words(&reply.fates), ["retry"]);
    assert!(reply.another_node);
    let tried = *attempts.lock().unwrap();
    for tick in 0..20 {
        let reply = sink.deliver(&[sample(tick, &[1])]).await;
        assert_eq!(words(&reply.fates), ["stored"]);
    }
    assert_eq!(*attempts.lock().unwrap(), tried);
    assert_eq!(fake.documents(INDEX).len(), 20);
}

#[tokio::test]
async fn a_hanging_node_costs_one_timeout_and_then_another_is_asked() {
    let fake = Fake::start().await;
    let (hanging, _) = raw_port(None).await;
    let mut settings = settings(&[&format!("http://{hanging}"), &fake.url]);
    settings.request_timeout = Duration::from_millis(300);
    let mut sink = Elasticsearch::new(&settings).unwrap();
    let started = Instant::now();
    let reply = sink.deliver(&samples(1)).await;
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(250) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert_eq!(words(&reply.fates), ["retry"]);
    assert!(reply.another_node && reason(&reply.fates).contains("no answer in time"));
    assert_eq!(words(&sink.deliver(&samples(1)).await.fates), ["stored"]);
}

#[tokio::test]
async fn a_bulk_that_hangs_ends_with_the_timeout_and_its_outcome_is_unknown() {
    let fake = Fake::start().await;
    let mut settings = settings(&[&fake.url]);
    settings.request_timeout = Duration::from_millis(300);
    let mut sink = Elasticsearch::new(&settings).unwrap();
    fake.fail([Fault::Hang]);
    let reply = sink.deliver(&samples(2)).await;
    assert_eq!(words(&reply.fates), ["retry"; 2]);
    assert!(!reply.another_node, "there is no other node");
    assert_eq!(words(&sink.deliver(&samples(2)).await.fates), ["stored"; 2]);
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_reply_is_a_retry() {
    let torn = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{\"errors\":fal";
    let (address, _) = raw_port(Some(torn)).await;
    let mut sink = sink(&[&format!("http://{address}")]);
    // The HEAD before it has no body to be torn, so the index is thought to be there.
    let reply = sink.deliver(&samples(2)).await;
    assert_eq!(words(&reply.fates), ["retry"; 2]);
}

#[tokio::test]
async fn a_wrong_server_among_the_urls_does_not_hold_while_another_is_right() {
    let fake = Fake::start().await;
    let page = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 5\r\nconnection: close\r\n\r\nnginx";
    let (wrong, _) = raw_port(Some(page)).await;
    let mut sink = sink(&[&format!("http://{wrong}"), &fake.url]);
    assert_eq!(sink.prepare().await, Ok(()));
    assert_eq!(words(&sink.deliver(&samples(1)).await.fates), ["stored"]);
}

#[tokio::test]
async fn a_reply_announced_as_huge_is_not_read() {
    let huge = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{";
    let (address, _) = raw_port(Some(huge)).await;
    let mut sink = sink(&[&format!("http://{address}")]);
    let reply = sink.deliver(&samples(1)).await;
    assert_eq!(words(&reply.fates), ["retry"]);
    assert!(
        reason(&reply.fates).contains("too many"),
        "{:?}",
        reply.fates
    );
}

#[tokio::test]
async fn with_the_older_mapping_only_a_lag_above_32_bits_is_rejected() {
    let fake = Fake::start().await;
    let older = serde_json::json!({"properties": {"topic": {"type": "text"}, "p0": {"type": "integer"}, "p1": {"type": "integer"}}});
    let index = bulk_server::Index {
        mapping: older,
        ..bulk_server::Index::default()
    };
    fake.lock().indices.insert(INDEX.to_owned(), index);
    let mut sink = sink(&[&fake.url]);
    let batch = [
        sample(0, &[5]),
        sample(1, &[2_147_483_648]),
        sample(2, &[2_147_483_647]),
    ];
    let reply = sink.deliver(&batch).await;
    assert_eq!(words(&reply.fates), ["stored", "reject", "stored"]);
    assert!(reason(&reply.fates).contains("[p0] of type [integer]"));
}
