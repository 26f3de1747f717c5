use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::kafka::{GroupState, Outcome};
use crate::sample::Partition;

fn sample(sampled_at: DateTime<Utc>, partitions: i32) -> Sample {
    let partition = |partition| Partition {
        partition,
        lag: Some(1),
        current_offset: None,
        log_end_offset: None,
        consumer_id: None,
        consumer_host: None,
        client_id: None,
    };
    Sample {
        sampled_at,
        clock_generation: 0,
        topic: "orders".into(),
        group: "oasis-group".into(),
        mirror_host: "mm-1".into(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: (0..partitions).map(partition).collect(),
        round_ms: None,
    }
}

/// A sample per count of partitions, a second apart.
fn batch(partitions: &[i32]) -> Vec<Sample> {
    let start: DateTime<Utc> = "2026-10-31T23:59:58Z".parse().unwrap();
    let samples = partitions.iter().zip(0..);
    let sample = |(count, second): (&i32, i64)| sample(start + TimeDelta::seconds(second), *count);
    samples.map(sample).collect()
}

fn requests(target: &Target, batch: &[Sample], bytes: usize) -> Vec<Request> {
    let mut rest = target.rest();
    std::iter::from_fn(|| rest.next(batch, bytes, |_| false)).collect()
}

fn only(mut targets: Vec<Target>) -> Target {
    assert_eq!(targets.len(), 1);
    targets.remove(0)
}

#[test]
fn each_document_goes_to_the_index_of_its_instant() {
    let batch = batch(&[1, 1, 1, 1]);
    let name: IndexName = "lag-%Y.%m".parse().unwrap();
    let targets = targets(Kind::Wide, &name, &batch);
    let seen: Vec<_> = targets
        .iter()
        .map(|it| (it.index.as_str(), it.samples.as_slice()))
        .collect();
    assert_eq!(
        seen,
        [("lag-2026.10", &[0, 1][..]), ("lag-2026.11", &[2, 3])]
    );
}

#[test]
fn every_document_is_in_exactly_one_request_and_none_is_larger_than_it_may_be() {
    let batch = batch(&[3, 0, 700, 1, 12_000]);
    let target = only(targets(Kind::Partitions, &IndexName::default(), &batch));
    let requests = requests(&target, &batch, 100_000);
    let mut ids: Vec<&String> = requests.iter().flat_map(|it| &it.ids).collect();
    assert_eq!(ids.len(), 3 + 1 + 700 + 1 + 12_000);
    assert!(requests.iter().all(|it| it.body.len() <= 100_000));
    assert!(requests.iter().all(|it| it.ids.len() == it.slots.len()));
    let full = requests.iter().filter(|it| it.is_full).count();
    assert_eq!(full, requests.len() - 1, "all but the last");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12_705);
}

#[test]
fn a_request_has_no_more_documents_than_its_reply_may_have_items() {
    let batch = batch(&[12_000]);
    let target = only(targets(Kind::Partitions, &IndexName::default(), &batch));
    let requests = requests(&target, &batch, usize::MAX);
    let counts: Vec<usize> = requests.iter().map(|it| it.slots.len()).collect();
    assert_eq!(counts, [DOCUMENTS_MAX, DOCUMENTS_MAX, 2000]);
}

#[test]
fn a_document_larger_than_a_request_may_be_goes_out_alone() {
    let batch = batch(&[3]);
    let target = only(targets(Kind::Partitions, &IndexName::default(), &batch));
    let counts = requests(&target, &batch, 1).into_iter();
    assert_eq!(counts.map(|it| it.slots.len()).collect::<Vec<_>>(), [1; 3]);
}

#[test]
fn a_sample_that_is_out_is_left_out_from_then_on() {
    let batch = batch(&[4, 2]);
    let target = only(targets(Kind::Partitions, &IndexName::default(), &batch));
    let mut rest = target.rest();
    let first = rest.next(&batch, 300, |_| false).unwrap();
    assert!(first.is_of_one_sample() && first.is_full);
    let next = rest.next(&batch, usize::MAX, |sample| sample == 0).unwrap();
    assert!(next.slots.iter().all(|slot| slot.sample == 1));
    assert_eq!(next.slots.len(), 2);
    assert!(rest.next(&batch, usize::MAX, |_| false).is_none());
}

#[test]
fn a_request_in_parts_has_the_same_documents() {
    let batch = batch(&[5]);
    let target = only(targets(Kind::Partitions, &IndexName::default(), &batch));
    let whole = requests(&target, &batch, usize::MAX).remove(0);
    let mut left = whole.slots.as_slice();
    let mut parts = Vec::new();
    while !left.is_empty() {
        let part = target.request(left, &batch, whole.body.len() / 2);
        left = &left[part.slots.len()..];
        parts.push(part.body);
    }
    assert_eq!(parts.len(), 3);
    assert_eq!(parts.concat(), whole.body);
}

#[test]
fn a_reason_names_the_partition_and_any_index_that_the_configuration_does_not() {
    let batch = batch(&[2, 0]);
    let tell = |kind, name: &str, place: usize, document| {
        let name: IndexName = name.parse().unwrap();
        let target = only(targets(kind, &name, &batch));
        let slot = Slot {
            sample: place,
            document,
        };
        target.tell_of(slot, &batch, "why")
    };
    assert_eq!(tell(Kind::Wide, "lag", 0, 0), "why");
    assert_eq!(tell(Kind::Wide, "lag-%Y", 0, 0), "index \"lag-2026\": why");
    let partition = tell(Kind::Partitions, "lag_p", 0, 1);
    assert_eq!(partition, "partition 1 in index \"lag_p\": why");
    let silent = tell(Kind::Partitions, "lag_p", 1, 0);
    assert_eq!(silent, "index \"lag_p\": why");
}
