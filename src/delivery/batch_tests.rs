use chrono::TimeDelta;

use super::*;
use crate::kafka::{GroupState, Outcome};

fn sample(n: i64) -> Sample {
    Sample {
        sampled_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(n),
        clock_generation: 0,
        topic: "orders".into(),
        group: "g".into(),
        mirror_host: "mm-1".into(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: vec![],
        round_ms: None,
    }
}

fn batch(records: u64) -> Batch {
    let record = |position: u64| Record {
        position,
        appended_at: DateTime::UNIX_EPOCH,
        body: serde_json::to_vec(&sample(position as i64)).unwrap(),
    };
    Batch::new((1..=records).map(record).collect(), DateTime::UNIX_EPOCH)
}

fn reply(fates: Vec<Fate>) -> Reply {
    Reply {
        fates,
        retry_after: None,
        another_node: false,
        is_crowded: false,
    }
}

/// One pass in which the sink says `fates` of everything that is pending.
fn pass(batch: &mut Batch, fates: Vec<Fate>) -> Verdict {
    let mut verdict = Verdict::default();
    let pending = batch.pending();
    batch.apply(&pending, reply(fates), DateTime::UNIX_EPOCH, &mut verdict);
    batch.conclude(&mut verdict);
    verdict
}

fn reject(reason: &str) -> Fate {
    Fate::Reject(reason.to_owned())
}

#[test]
fn only_records_that_wait_are_sent_again() {
    let mut batch = batch(4);
    let fates = vec![
        Fate::Stored,
        Fate::Retry("busy".into()),
        reject("bad date"),
        Fate::Stored,
    ];
    let verdict = pass(&mut batch, fates);
    assert_eq!((verdict.stored, verdict.letters), (2, 1));
    assert_eq!(verdict.retry.as_deref(), Some("busy"));
    assert_eq!(batch.pending(), [1]);
}

#[test]
fn a_commit_never_passes_a_record_that_still_waits() {
    let mut batch = batch(4);
    let fates = vec![
        Fate::Stored,
        Fate::Retry("busy".into()),
        reject("bad date"),
        Fate::Stored,
    ];
    pass(&mut batch, fates);
    assert_eq!(batch.done("es"), Some((1, vec![])));
    pass(&mut batch, vec![Fate::Stored]);
    let (position, letters) = batch.done("es").unwrap();
    assert_eq!((position, letters.len()), (4, 1));
    assert_eq!(letters[0].position, 3);
    assert_eq!(letters[0].reason, "bad date");
    assert_eq!(letters[0].attempts, 1);
}

#[test]
fn a_batch_refused_whole_for_one_reason_is_a_hold_and_makes_no_dead_letter() {
    let mut batch = batch(3);
    let refusal = |id: u32, value: &str| {
        reject(&format!(
            "document_parsing_exception: failed to parse field [p{id}] of type [integer] in document with id '17-{id}ab'. Preview of field's value: '{value}'"
        ))
    };
    let fates = vec![
        refusal(0, "3000000000"),
        refusal(1, "4000000000"),
        refusal(2, "5"),
    ];
    let verdict = pass(&mut batch, fates);
    assert!(verdict.hold.is_some());
    assert_eq!(verdict.letters, 0);
    assert_eq!(batch.pending(), [0, 1, 2]);
    assert_eq!(batch.done("es"), None);
}

#[test]
fn different_reasons_are_dead_letters_even_when_nothing_was_stored() {
    let mut batch = batch(2);
    let verdict = pass(&mut batch, vec![reject("bad date"), reject("field limit")]);
    assert_eq!((verdict.hold, verdict.letters), (None, 2));
    assert_eq!(batch.done("es").map(|(position, _)| position), Some(2));
}

#[test]
fn one_bad_document_alone_is_a_hold_until_a_good_one_is_beside_it() {
    let mut alone = batch(1);
    assert!(pass(&mut alone, vec![reject("bad date")]).hold.is_some());
    // The probe reads the batch anew, and it has grown.
    let mut grown = batch(2);
    let verdict = pass(&mut grown, vec![reject("bad date"), Fate::Stored]);
    assert_eq!((verdict.hold, verdict.letters), (None, 1));
}

/// One pass in which the sink refuses each request that has one of `refused` in it; the sizes of the requests.
fn dividing_pass(batch: &mut Batch, refused: &[usize]) -> (Verdict, Vec<usize>) {
    let mut verdict = Verdict::default();
    let mut parts = batch.requests(500);
    let mut sizes = Vec::new();
    while let Some(part) = parts.pop() {
        sizes.push(part.len());
        let is_refused = part.iter().any(|place| refused.contains(place));
        let fate = match is_refused {
            true => Fate::Divide("413".into()),
            false => Fate::Stored,
        };
        let reply = reply(vec![fate; part.len()]);
        parts.extend(batch.apply(&part, reply, DateTime::UNIX_EPOCH, &mut verdict));
    }
    batch.conclude(&mut verdict);
    (verdict, sizes)
}

#[test]
fn a_request_that_is_too_large_is_halved_until_the_one_too_large_stands_alone() {
    let mut batch = batch(5);
    let (verdict, sizes) = dividing_pass(&mut batch, &[3]);
    assert_eq!(sizes, [5, 3, 2, 1, 1]);
    assert_eq!((verdict.stored, verdict.letters), (4, 0));
    // To be sure, it is sent once more.
    assert!(verdict.retry.is_some());
    let (verdict, sizes) = dividing_pass(&mut batch, &[3]);
    assert_eq!(sizes, [1]);
    assert_eq!((verdict.letters, verdict.retry), (1, None));
    assert_eq!(batch.done("es").unwrap().1[0].position, 4);
}

#[test]
fn a_limit_that_is_mended_between_two_parts_makes_no_letter_of_the_parts_before() {
    let mut batch = batch(4);
    let (verdict, _) = dividing_pass(&mut batch, &[0, 1]);
    assert_eq!((verdict.stored, verdict.letters), (2, 0));
    let (verdict, sizes) = dividing_pass(&mut batch, &[]);
    assert_eq!((verdict.stored, verdict.letters), (2, 0));
    assert_eq!(sizes, [2]);
    assert_eq!(batch.done("es"), Some((4, vec![])));
}

#[test]
fn a_record_that_is_no_sample_is_a_dead_letter_that_was_never_sent() {
    let record = |position, body: &[u8]| Record {
        position,
        appended_at: DateTime::UNIX_EPOCH,
        body: body.to_vec(),
    };
    let good = serde_json::to_vec(&sample(1)).unwrap();
    let records = vec![record(1, b"{\"not\":\"ours\"}"), record(2, &good)];
    let mut batch = Batch::new(records, DateTime::UNIX_EPOCH);
    assert_eq!(batch.pending(), [1]);
    pass(&mut batch, vec![Fate::Stored]);
    let (position, letters) = batch.done("es").unwrap();
    assert_eq!((position, letters.len(), letters[0].attempts), (2, 1, 0));
}

#[test]
fn a_reply_that_is_too_short_leaves_the_rest_to_be_sent_again() {
    let mut batch = batch(3);
    let verdict = pass(&mut batch, vec![Fate::Stored]);
    assert_eq!(batch.pending(), [1, 2]);
    assert!(verdict.retry.is_some());
}

#[test]
fn requests_of_a_smaller_size_hold_what_is_pending_with_the_oldest_on_top() {
    let mut batch = batch(6);
    let mut fates = vec![Fate::Retry("busy".into()); 6];
    fates[1] = Fate::Stored;
    pass(&mut batch, fates);
    assert_eq!(batch.requests(2), [vec![5], vec![3, 4], vec![0, 2]]);
    assert_eq!(batch.requests(500), [vec![0, 2, 3, 4, 5]]);
}
