//! Wide documents, documents of partitions and both, in indices with and without a date: each sample has one fate, nothing is doubled.

use std::collections::BTreeMap;

use mirrorlag::delivery::{self, Phase};

use super::pipeline::Pipeline;
use super::*;

const OCTOBER: &str = "consumer_lag_partitions-2026.10";
const NOVEMBER: &str = "consumer_lag_partitions-2026.11";

fn with(fake: &Fake, layout: Layout) -> Settings {
    Settings {
        layout,
        ..settings(&[&fake.url])
    }
}

/// One index a month, of both kinds.
fn by_month(fake: &Fake, layout: Layout) -> Settings {
    Settings {
        index: "consumer_lag-%Y.%m".parse().unwrap(),
        partitions_index: "consumer_lag_partitions-%Y.%m".parse().unwrap(),
        ..with(fake, layout)
    }
}

fn at(instant: &str, lags: &[i64]) -> Sample {
    Sample {
        sampled_at: instant.parse().unwrap(),
        ..sample(0, lags)
    }
}

/// The last second of October and the first of November.
fn turn_of_the_month() -> [Sample; 2] {
    [
        at("2026-10-31T23:59:59.999Z", &[1, 2]),
        at("2026-11-01T00:00:00Z", &[3, 4]),
    ]
}

fn many(partitions: i64) -> Sample {
    sample(0, &(0..partitions).collect::<Vec<_>>())
}

fn silent(tick: i64) -> Sample {
    Sample {
        outcome: Outcome::SshError,
        group_state: GroupState::Unknown,
        reason: Some("no key accepted".to_owned()),
        ..sample(tick, &[])
    }
}

/// Number of documents of each index.
fn counts(fake: &Fake) -> BTreeMap<String, usize> {
    let server = fake.lock();
    let indices = server.indices.iter();
    indices
        .map(|(name, index)| (name.clone(), index.documents.len()))
        .collect()
}

fn counted<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    let counts = counts.into_iter();
    counts
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

#[tokio::test]
async fn each_layout_brings_its_documents_and_no_others() {
    for (layout, expected) in [
        (Layout::Wide, counted([(INDEX, 2)])),
        (Layout::Partitions, counted([(PARTITIONS_INDEX, 4)])),
        (Layout::Both, counted([(INDEX, 2), (PARTITIONS_INDEX, 4)])),
    ] {
        let fake = Fake::start().await;
        let mut sink = Elasticsearch::new(&with(&fake, layout)).unwrap();
        sink.prepare().await.unwrap();
        let batch = [sample(0, &[7, -70, 0]), silent(1)];
        for _ in 0..2 {
            let reply = sink.deliver(&batch).await;
            assert_eq!(words(&reply.fates), ["stored"; 2], "{layout}");
        }
        assert_eq!(counts(&fake), expected, "{layout}");
        fake.assert_strict();
        if layout.has_partitions() {
            let documents = fake.documents(PARTITIONS_INDEX);
            let second = &documents[&format!("{}-p1", batch[0].id())];
            assert_eq!(
                (&second["partition"], &second["lag"]),
                (&1.into(), &(-70).into())
            );
            // Silence never looks like health.
            let said = &documents[&batch[1].id()];
            assert_eq!(said["outcome"], "ssh_error");
            assert_eq!(said["reason"], "no key accepted");
            assert!(said.get("partition").is_none() && said.get("lag").is_none());
        }
    }
}

#[tokio::test]
async fn each_document_goes_to_the_month_of_its_instant_and_each_month_has_our_mapping() {
    let fake = Fake::start().await;
    let mut sink = Elasticsearch::new(&by_month(&fake, Layout::Both)).unwrap();
    assert_eq!(sink.prepare().await, Ok(()));
    assert!(
        counts(&fake).is_empty(),
        "nobody knows which month is needed"
    );
    let reply = sink.deliver(&turn_of_the_month()).await;
    assert_eq!(words(&reply.fates), ["stored"; 2]);
    let expected = [
        ("consumer_lag-2026.10", 1),
        ("consumer_lag-2026.11", 1),
        (OCTOBER, 2),
        (NOVEMBER, 2),
    ];
    assert_eq!(counts(&fake), counted(expected));
    let server = fake.lock();
    for (name, index) in &server.indices {
        assert_eq!(index.mapping.get("made_by"), None, "{name} was guessed");
        let has_partition = index.mapping["properties"].get("partition").is_some();
        assert_eq!(has_partition, name.starts_with(PARTITIONS_INDEX), "{name}");
    }
}

#[tokio::test]
async fn a_closed_month_holds_its_own_samples_by_its_name_and_no_others() {
    let fake = Fake::start().await;
    let mut sink = Elasticsearch::new(&by_month(&fake, Layout::Partitions)).unwrap();
    sink.deliver(&turn_of_the_month()).await;
    fake.lock().closed.insert(OCTOBER.to_owned());
    let mut batch = turn_of_the_month();
    for sample in &mut batch {
        sample.topic = "payments".into();
    }
    let reply = sink.deliver(&batch).await;
    assert_eq!(words(&reply.fates), ["hold", "stored"]);
    let why = reason(&reply.fates);
    assert!(why.contains(OCTOBER) && why.contains("closed"), "{why}");
}

#[tokio::test]
async fn a_sample_is_stored_only_when_all_its_documents_are() {
    let fake = Fake::start().await;
    let mut sink = Elasticsearch::new(&with(&fake, Layout::Partitions)).unwrap();
    let busy = (429, "es_rejected_execution_exception", "queue full");
    let bad = (400, "document_parsing_exception", "failed to parse");
    for (items, expected) in [
        (vec![None, Some(busy), None, None], ["retry", "stored"]),
        // As long as one of them may be stored, the sample is no letter.
        (vec![Some(bad), Some(busy), None, None], ["retry", "stored"]),
        (vec![None, Some(bad), None, None], ["reject", "stored"]),
    ] {
        fake.fail([Fault::Items(items)]);
        let reply = sink
            .deliver(&[sample(0, &[1, 2]), sample(1, &[3, 4])])
            .await;
        assert_eq!(words(&reply.fates), expected);
        let why = reason(&reply.fates);
        let named = "partition 1 in index \"consumer_lag_partitions\": ";
        assert!(why.starts_with(named), "{why}");
    }
    let reply = sink.deliver(&[sample(0, &[1, 2])]).await;
    assert_eq!(words(&reply.fates), ["stored"]);
    fake.assert_strict();
}

#[tokio::test]
async fn of_both_kinds_one_that_is_refused_makes_the_sample_refused_and_says_which() {
    let fake = Fake::start().await;
    let settings = with(&fake, Layout::Both);
    let mut sink = Elasticsearch::new(&settings).unwrap();
    fake.lock().fields_max = 100;
    let batch = [sample(0, &[1; 200]), sample(1, &[1])];
    let reply = sink.deliver(&batch).await;
    assert_eq!(words(&reply.fates), ["reject", "stored"]);
    let why = reason(&reply.fates);
    assert!(why.contains("Limit of total fields [100]"), "{why}");
    assert!(why.contains("write layout: partitions, or raise index.mapping.total_fields.limit of \"consumer_lag\""), "{why}");
    // What fits is there meanwhile.
    assert_eq!(
        counts(&fake),
        counted([(INDEX, 1), (PARTITIONS_INDEX, 201)])
    );
}

#[tokio::test]
async fn a_topic_of_five_thousand_partitions_arrives_in_requests_of_bounded_size() {
    let fake = Fake::start().await;
    let mut sink = Elasticsearch::new(&with(&fake, Layout::Partitions)).unwrap();
    let reply = sink.deliver(&[many(12_000), sample(1, &[1])]).await;
    assert_eq!(words(&reply.fates), ["stored"; 2]);
    assert_eq!(counts(&fake), counted([(PARTITIONS_INDEX, 12_001)]));
    let bulks = fake.lock().bulks.clone();
    assert_eq!(bulks, [5000, 5000, 2001]);
    fake.assert_strict();
}

#[tokio::test]
async fn one_sample_too_large_for_a_proxy_is_divided_by_the_sink_and_the_next_one_fits_at_once() {
    let fake = Fake::start().await;
    fake.lock().content_bytes_max = 200_000;
    let mut sink = Elasticsearch::new(&with(&fake, Layout::Partitions)).unwrap();
    let reply = sink.deliver(&[many(5000)]).await;
    assert_eq!(words(&reply.fates), ["stored"]);
    assert_eq!(counts(&fake), counted([(PARTITIONS_INDEX, 5000)]));
    let taken = |fake: &Fake| fake.lock().bulks.len();
    let asked = |fake: &Fake| {
        let requests = fake.lock().requests.clone();
        requests.iter().filter(|it| it.ends_with("/_bulk")).count()
    };
    let (refused, before) = (asked(&fake) - taken(&fake), taken(&fake));
    assert!(refused <= 4, "{refused} requests were refused");
    let mut other = many(5000);
    other.topic = "payments".into();
    assert_eq!(words(&sink.deliver(&[other]).await.fates), ["stored"]);
    assert_eq!(asked(&fake) - taken(&fake), refused, "the limit is known");
    assert!(taken(&fake) - before < 20);
    fake.assert_strict();
}

#[tokio::test]
async fn a_server_that_refuses_every_size_is_not_asked_document_by_document() {
    let fake = Fake::start().await;
    let mut sink = Elasticsearch::new(&with(&fake, Layout::Partitions)).unwrap();
    sink.prepare().await.unwrap();
    fake.lock().content_bytes_max = 10;
    let reply = sink.deliver(&[many(5000)]).await;
    assert_eq!(words(&reply.fates), ["divide"]);
    let asked = fake.lock().requests.len();
    assert!(asked < 40, "{asked} requests");
}

#[tokio::test]
async fn one_sample_larger_than_the_servers_memory_arrives_in_smaller_requests() {
    let fake = Fake::start().await;
    fake.lock().documents_room = 300;
    let pipeline = Pipeline::start(&with(&fake, Layout::Partitions), &[many(2000)]).await;
    pipeline.commits(1).await;
    assert_eq!(counts(&fake), counted([(PARTITIONS_INDEX, 2000)]));
    fake.assert_strict();
    pipeline.end().await;
}

#[tokio::test]
async fn a_node_that_dies_between_two_requests_costs_one_timeout_and_doubles_nothing() {
    let fake = Fake::start().await;
    let mut settings = with(&fake, Layout::Both);
    settings.request_timeout = Duration::from_millis(400);
    let mut sink = Elasticsearch::new(&settings).unwrap();
    let batch = [sample(0, &[1, 2])];
    fake.fail([Fault::Items(vec![]), Fault::StoredAndHang]);
    let reply = sink.deliver(&batch).await;
    assert_eq!(words(&reply.fates), ["retry"], "half of it is no success");
    assert_eq!(words(&sink.deliver(&batch).await.fates), ["stored"]);
    assert_eq!(counts(&fake), counted([(INDEX, 1), (PARTITIONS_INDEX, 2)]));
    fake.assert_strict();
}

#[tokio::test]
async fn a_sample_whose_other_documents_were_not_reached_is_not_stored() {
    let fake = Fake::start().await;
    let mut sink = Elasticsearch::new(&with(&fake, Layout::Both)).unwrap();
    // Two requests of the first sample alone before it is the turn of the second.
    let batch = [many(12_000), sample(1, &[1])];
    fake.lock().fields_max = 20_000;
    let down = Fault::Status(503, vec![], String::new());
    fake.fail([Fault::Items(vec![]), down]);
    let reply = sink.deliver(&batch).await;
    assert_eq!(words(&reply.fates), ["retry"; 2]);
    assert_eq!(counts(&fake), counted([(INDEX, 2), (PARTITIONS_INDEX, 0)]));
    assert_eq!(words(&sink.deliver(&batch).await.fates), ["stored"; 2]);
    let all = [(INDEX, 2), (PARTITIONS_INDEX, 12_001)];
    assert_eq!(counts(&fake), counted(all));
    fake.assert_strict();
}

#[tokio::test]
async fn an_index_that_may_not_be_made_holds_all_its_samples_and_no_bulk_is_tried() {
    let fake = Fake::start().await;
    fake.lock().privileges.retain(|it| *it != "create_index");
    let mut sink = Elasticsearch::new(&by_month(&fake, Layout::Partitions)).unwrap();
    let november = "2026-11-01T00:00:00Z";
    let mut wide = many(12_000);
    wide.sampled_at = november.parse().unwrap();
    let reply = sink.deliver(&[wide, at(november, &[1])]).await;
    assert_eq!(words(&reply.fates), ["hold"; 2]);
    let why = reason(&reply.fates);
    assert!(
        why.contains(NOVEMBER) && why.contains("grant create_index"),
        "{why}"
    );
    assert!(
        why.contains("mappings/consumer_lag_partitions.json"),
        "{why}"
    );
    assert!(fake.lock().bulks.is_empty());
}

#[tokio::test]
async fn a_data_stream_is_never_made_by_the_sink() {
    let fake = Fake::start().await;
    let settings = Settings {
        data_stream: true,
        ..with(&fake, Layout::Partitions)
    };
    let mut sink = Elasticsearch::new(&settings).unwrap();
    let Err(NotReady::Hold(why)) = sink.prepare().await else {
        panic!("there is no stream");
    };
    let expected = "data stream \"consumer_lag_partitions\" does not exist; run `mirrorlag setup`, or set data_stream: false";
    assert_eq!(why, expected);
    let reply = sink.deliver(&[sample(0, &[1])]).await;
    assert_eq!(words(&reply.fates), ["hold"]);
    assert!(fake.lock().bulks.is_empty(), "a bulk would make an index");
    let stream = bulk_server::Index::default();
    let name = PARTITIONS_INDEX.to_owned();
    fake.lock().indices.insert(name, stream);
    let reply = sink.deliver(&[sample(0, &[1])]).await;
    assert_eq!(words(&reply.fates), ["stored"]);
    let requests = fake.lock().requests.clone();
    assert!(
        requests.iter().all(|it| !it.starts_with("PUT")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn another_layout_goes_on_where_the_last_one_ended_and_sends_nothing_again() {
    let fake = Fake::start().await;
    let mut pipeline = Pipeline::start(&settings(&[&fake.url]), &samples(10)).await;
    pipeline.commits(10).await;
    let sent = |fake: &Fake| fake.lock().bulks.iter().sum::<usize>();
    assert_eq!(sent(&fake), 10);
    let mut expected = counted([(INDEX, 10)]);
    let mut position = 10;
    let changes = [
        (with(&fake, Layout::Both), INDEX, PARTITIONS_INDEX),
        (
            by_month(&fake, Layout::Both),
            "consumer_lag-2025.11",
            "consumer_lag_partitions-2025.11",
        ),
        (with(&fake, Layout::Partitions), "", PARTITIONS_INDEX),
    ];
    for (settings, wide, partitions) in changes {
        pipeline = pipeline.again(&settings).await;
        let before = sent(&fake);
        let new = sample(i64::try_from(position).unwrap(), &[1, 2]);
        pipeline.append(&[new]).await;
        position += 1;
        pipeline.commits(position).await;
        *expected.entry(partitions.to_owned()).or_default() += 2;
        if settings.layout.has_wide() {
            *expected.entry(wide.to_owned()).or_default() += 1;
        }
        let new = 2 + usize::from(settings.layout.has_wide());
        assert_eq!(sent(&fake) - before, new, "the new sample alone");
        assert_eq!(counts(&fake), expected);
    }
    fake.assert_strict();
    pipeline.end().await;
}

#[tokio::test]
async fn a_topic_too_wide_for_the_index_is_stored_by_the_layout_that_its_reason_names() {
    let fake = Fake::start().await;
    let pipeline = Pipeline::start(&settings(&[&fake.url]), &[many(5000)]).await;
    let is_held = |state: &delivery::State| matches!(&state.phase, Phase::Holding { reason, .. } if reason.contains("layout: partitions"));
    pipeline.reaches("held with the mend", is_held).await;
    let pipeline = pipeline.again(&with(&fake, Layout::Partitions)).await;
    pipeline.commits(1).await;
    assert_eq!(
        counts(&fake),
        counted([(INDEX, 0), (PARTITIONS_INDEX, 5000)])
    );
    pipeline.end().await;
}
