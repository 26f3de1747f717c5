//! `mirrorlag prune` against a server that deletes by itself (`_delete_by_query`) and one journal: what is old goes, what is not ours or can still come stays.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "support/index_server.rs"]
mod index_server;
#[path = "support/running.rs"]
mod running;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};
use index_server::{Fake, document};
use mirrorlag::journal::{self, Journal, Letter};
use mirrorlag::kafka::{GroupState, Outcome};
use mirrorlag::sample::Sample;
use running::{Place, Said};
use serde_json::json;

async fn with(sink: &str) -> (Place, Fake) {
    let (place, fake) = (Place::new(), Fake::start().await);
    let fleet = place.fleet().await;
    place.configure(&fleet, &format!("urls: ['{}']{sink}", fake.url));
    (place, fake)
}

fn sample(sampled_at: DateTime<Utc>) -> Sample {
    Sample {
        sampled_at,
        clock_generation: 0,
        topic: "orders".into(),
        group: "oasis-group".into(),
        mirror_host: "mm-1".into(),
        cluster: None,
        outcome: Outcome::NoRows,
        group_state: GroupState::Stable,
        reason: None,
        partitions: Vec::new(),
        round_ms: Some(700),
    }
}

/// A journal with samples of these instants, of which Elasticsearch has had the first `sent`; the first of those became a letter where wanted.
async fn journal(place: &Place, instants: &[DateTime<Utc>], sent: u64, has_letter: bool) {
    let settings = journal::Settings {
        path: place.journal(),
        retain_for: Duration::from_secs(400 * 86_400),
        bytes_max: 1 << 30,
    };
    let journal = Journal::open(&settings).unwrap();
    let body = |instant: &DateTime<Utc>| serde_json::to_vec(&sample(*instant)).unwrap();
    let bodies: Vec<Vec<u8>> = instants.iter().map(body).collect();
    let letter = Letter {
        reader: "elasticsearch".to_owned(),
        position: 1,
        reason: "refused".to_owned(),
        body: bodies[0].clone(),
        first_attempt: Utc::now(),
        last_attempt: Utc::now(),
        attempts: 1,
    };
    journal.append(bodies, None).await.unwrap();
    journal.keep_readers(&["elasticsearch"]).await.unwrap();
    let letters = if has_letter { vec![letter] } else { Vec::new() };
    journal
        .commit("elasticsearch", sent, letters)
        .await
        .unwrap();
    journal.close().await;
}

/// The first of the month so many months ago, and the name of its index.
fn month(ago: u32) -> (DateTime<Utc>, String) {
    let today = Utc::now().date_naive();
    let first = NaiveDate::from_ymd_opt(today.year(), today.month(), 1).unwrap();
    let first = first.checked_sub_months(Months::new(ago)).unwrap();
    let name = format!("{:04}.{:02}", first.year(), first.month());
    (first.and_time(chrono::NaiveTime::MIN).and_utc(), name)
}

const MONTHLY: &str = ", index: 'consumer_lag-%Y.%m', layout: both";

/// Indices of both layouts for the last five months, and some that only look like ours.
async fn monthly() -> (Place, Fake) {
    let (place, fake) = with(MONTHLY).await;
    {
        let mut server = fake.lock();
        for ago in 0..5 {
            for stem in ["consumer_lag", "consumer_lag_partitions"] {
                server.seed(&format!("{stem}-{}", month(ago).1), 3);
            }
        }
        for foreign in FOREIGN {
            server.seed(foreign, 3);
        }
    }
    (place, fake)
}

const FOREIGN: [&str; 4] = [
    "consumer_lag-2020.01-copy.2",
    "consumer_lag-2020.1",
    "consumer_lag-2020.13",
    "consumer_lag_old-2020.01",
];

fn ours(fake: &Fake) -> Vec<String> {
    let server = fake.lock();
    let is_ours = |name: &&String| !FOREIGN.contains(&name.as_str());
    server.indices.keys().filter(is_ours).cloned().collect()
}

fn expected(months: std::ops::Range<u32>) -> Vec<String> {
    let of = |stem: &'static str| {
        months
            .clone()
            .rev()
            .map(move |ago| format!("{stem}-{}", month(ago).1))
    };
    of("consumer_lag")
        .chain(of("consumer_lag_partitions"))
        .collect()
}

/// An age in days that ends in the middle of the month so many months ago.
fn days_to_the_middle_of(ago: u32) -> String {
    let middle = month(ago)
        .0
        .date_naive()
        .checked_add_days(Days::new(14))
        .unwrap();
    format!("{}d", (Utc::now().date_naive() - middle).num_days())
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_months_go_and_the_one_that_the_age_falls_into_stays() {
    let (place, fake) = monthly().await;
    let age = days_to_the_middle_of(2);
    let dry = place.output(&["prune", "--older-than", &age, "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert_eq!(dry.out.matches("would delete ").count(), 4, "{dry:?}");
    assert_eq!(ours(&fake), expected(0..5));
    let said = place.output(&["prune", "--older-than", &age]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .contains(&format!("deleted consumer_lag-{}: 3 documents", month(3).1)),
        "{said:?}"
    );
    assert_eq!(ours(&fake), expected(0..3));
    let again = place.output(&["prune", "--older-than", &age]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(ours(&fake), expected(0..3));
    // What only looks like ours was never touched.
    let server = fake.lock();
    assert!(
        FOREIGN
            .iter()
            .all(|name| server.indices.contains_key(*name))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retain_for_is_the_age_where_none_is_given_and_without_both_nothing_is_deleted() {
    let age = days_to_the_middle_of(2);
    let (place, fake) = with(&format!("{MONTHLY}, retain_for: {age}")).await;
    for ago in 0..5 {
        fake.lock()
            .seed(&format!("consumer_lag-{}", month(ago).1), 3);
    }
    assert_eq!(place.output(&["prune"]).code, Some(0));
    assert_eq!(fake.lock().indices.len(), 3);
    let (place, fake) = monthly().await;
    let said = place.output(&["prune"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.err.contains("give --older-than 30d, or retain_for"),
        "{said:?}"
    );
    assert_eq!(fake.lock().requests, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_the_journal_still_has_samples_of_is_kept() {
    let (place, fake) = monthly().await;
    // Sent: five months ago; not sent: one of the middle of the month before the last three, and one of now.
    let unsent = month(3).0 + TimeDelta::days(10);
    journal(&place, &[month(5).0, unsent, Utc::now()], 1, false).await;
    let said = place.output(&["prune", "--older-than", &days_to_the_middle_of(1)]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains(&format!(
            "kept consumer_lag-{}: the journal still has",
            month(3).1
        )),
        "{said:?}"
    );
    assert_eq!(ours(&fake), expected(0..4), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_which_there_is_a_dead_letter_is_kept() {
    let (place, fake) = monthly().await;
    journal(
        &place,
        &[month(3).0 + TimeDelta::days(10), Utc::now()],
        2,
        true,
    )
    .await;
    let said = place.output(&["prune", "--older-than", &days_to_the_middle_of(1)]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(ours(&fake), expected(0..4), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_sent_whole_keeps_nothing() {
    let (place, fake) = monthly().await;
    journal(&place, &[month(3).0, Utc::now()], 2, false).await;
    let said = place.output(&["prune", "--older-than", &days_to_the_middle_of(1)]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(ours(&fake), expected(0..2), "{said:?}");
}

/// Documents of the last `count` hours, newest first; `id-0` is of now.
fn hourly(count: usize) -> BTreeMap<String, serde_json::Value> {
    let one = |hours: usize| {
        let mut document = document(hours);
        let instant = Utc::now() - TimeDelta::hours(hours as i64);
        document["@timestamp"] = json!(instant.to_rfc3339());
        (format!("id-{hours}"), document)
    };
    (0..count).map(one).collect()
}

fn date() -> serde_json::Value {
    json!({"properties": {"@timestamp": {"type": "date"}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_index_without_a_date_the_older_documents_are_deleted_by_a_task() {
    let (place, fake) = with(", layout: both").await;
    for name in ["consumer_lag", "consumer_lag_partitions"] {
        fake.lock().add(name, date(), hourly(1000));
    }
    let left = |fake: &Fake| {
        let server = fake.lock();
        ["consumer_lag", "consumer_lag_partitions"].map(|name| server.indices[name].documents.len())
    };
    let dry = place.output(&["prune", "--older-than", "10d", "--dry-run"]);
    assert!(
        dry.out.contains("consumer_lag would lose 760 documents"),
        "{dry:?}"
    );
    assert_eq!(left(&fake), [1000, 1000]);
    let said = place.output(&["prune", "--older-than", "10d"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("deleted 760 documents"), "{said:?}");
    assert_eq!(left(&fake), [240, 240]);
    let again = place.output(&["prune", "--older-than", "10d"]);
    assert!(
        again.out.contains("consumer_lag has 0 documents older"),
        "{again:?}"
    );
    assert_eq!(left(&fake), [240, 240]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_instant_is_a_text_nothing_is_deleted() {
    let (place, fake) = with("").await;
    let words = json!({"properties": {"@timestamp": {"type": "text"}}});
    fake.lock().add("consumer_lag", words, hourly(1000));
    let said = place.output(&["prune", "--older-than", "10d"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("@timestamp is not a date"), "{said:?}");
    assert_eq!(fake.lock().indices["consumer_lag"].documents.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_below_a_day_is_refused_before_anything_is_asked() {
    let (place, fake) = with("").await;
    for age in ["23h", "0d", "soon"] {
        let said: Said = place.output(&["prune", "--older-than", age]);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
    assert_eq!(fake.lock().requests, Vec::<String>::new());
}
