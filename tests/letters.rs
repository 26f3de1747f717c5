//! `mirrorlag letters` beside the real `run` and without it: nothing is stored twice, nothing is forgotten that no sink has.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "support/bulk_server.rs"]
mod bulk_server;
#[path = "support/running.rs"]
mod running;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bulk_server::{Fake, Fault, error_body};
use chrono::{DateTime, TimeDelta, Utc};
use mirrorlag::delivery;
use mirrorlag::journal::{self, Journal, Letter, StoredLetter};
use mirrorlag::kafka::{GroupState, Outcome};
use mirrorlag::sample::{Partition, Sample};
use mirrorlag::sinks::{Fate, NotReady, Reply, Sink, document};
use running::{DEADLINE, Place};
use rustix::process::Signal;

const INDEX: &str = "consumer_lag";
const LIST: [&str; 3] = ["letters", "list", "--json"];
const REFUSED: &str = "document_parsing_exception: failed to parse field [p0] of type [integer]";

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_763_632_800_000).unwrap() + TimeDelta::seconds(seconds)
}

fn sample(tick: i64) -> Sample {
    Sample {
        sampled_at: instant(tick),
        clock_generation: 0,
        topic: "orders".into(),
        group: "oasis-group".into(),
        mirror_host: "mm-1".into(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: vec![Partition {
            partition: 0,
            lag: Some(tick),
            current_offset: None,
            log_end_offset: None,
            consumer_id: None,
            consumer_host: None,
            client_id: None,
        }],
        round_ms: Some(700),
    }
}

fn letter(reader: &str, position: u64, body: Vec<u8>) -> Letter {
    Letter {
        reader: reader.to_owned(),
        position,
        reason: REFUSED.to_owned(),
        body,
        first_attempt: instant(5000),
        last_attempt: instant(5000),
        attempts: 1,
    }
}

/// A journal with the letters 1..=count of `elasticsearch`, of ticks 1..=count, and `more` of whom they say.
async fn with_letters(place: &Place, count: i64, more: Vec<Letter>) {
    let settings = journal::Settings {
        path: place.journal(),
        retain_for: Duration::from_secs(86_400),
        bytes_max: 1 << 30,
    };
    let journal = Journal::open(&settings).unwrap();
    let body = |tick: i64| serde_json::to_vec(&sample(tick)).unwrap();
    let mut letters: Vec<Letter> = (1..=count)
        .map(|tick| letter("elasticsearch", tick.unsigned_abs(), body(tick)))
        .collect();
    letters.extend(more);
    let records = letters.iter().map(|letter| letter.body.clone()).collect();
    let head = journal.append(records, None).await.unwrap();
    journal.keep_readers(&["elasticsearch"]).await.unwrap();
    journal
        .commit("elasticsearch", head, letters)
        .await
        .unwrap();
    journal.close().await;
}

/// A place with `count` letters and a fake that takes them; no `run`.
async fn without_run(count: i64) -> (Place, Fake) {
    let place = Place::new();
    let fake = Fake::start().await;
    let fleet = place.fleet().await;
    place.configure(&fleet, &format!("urls: ['{}']", fake.url));
    with_letters(&place, count, Vec::new()).await;
    (place, fake)
}

fn ids(ticks: impl IntoIterator<Item = i64>) -> Vec<String> {
    ticks.into_iter().map(|tick| sample(tick).id()).collect()
}

fn stored(fake: &Fake) -> Vec<String> {
    fake.documents(INDEX).into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_was_mended_takes_its_letters_while_run_goes_on_and_each_document_is_there_once()
 {
    let place = Place::new();
    let fleet = place.fleet().await;
    let fake = Fake::start().await;
    fake.lock().refused_topics.insert("topic-1".to_owned());
    place.configure(&fleet, &format!("urls: ['{}']", fake.url));
    let mut run = place.run();
    let listed = place.until(&LIST, |said| said.json().len() >= 3);
    let first = &listed.json()[0];
    assert_eq!(
        (&first["sink"], &first["topic"]),
        (&"elasticsearch".into(), &"topic-1".into())
    );
    assert_eq!(first["attempts"], 1);

    // Not mended yet: refused again, and kept with what is said now.
    let refused = place.output(&["letters", "resend", "1"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.out.starts_with("0 stored, 1 refused again, "),
        "{refused:?}"
    );
    let again = place.output(&LIST).json()[0].clone();
    assert_eq!(
        (&again["number"], &again["attempts"]),
        (&1.into(), &2.into())
    );
    assert_eq!(again["first_attempt"], first["first_attempt"]);
    assert!(again["last_attempt"].as_str() > first["last_attempt"].as_str());

    fake.lock().refused_topics.clear();
    // A batch that was refused just before may still become letters.
    let resent = place.until(&["letters", "resend"], |said| {
        said.out.ends_with(" 0 left\n")
    });
    assert_eq!(resent.code, Some(0), "{resent:?}");
    place.until(&["status"], |said| said.code == Some(0));
    assert_eq!(run.end(Signal::TERM), Some(0));
    assert_eq!(place.output(&LIST).out, "");
    let journal = rusqlite::Connection::open(place.journal()).unwrap();
    let mut select = journal.prepare("SELECT body FROM records").unwrap();
    let records = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let of_record = |body: String| serde_json::from_str::<Sample>(&body).unwrap().id();
    let expected: BTreeSet<String> = records.map(|body| of_record(body.unwrap())).collect();
    assert_eq!(stored(&fake).into_iter().collect::<BTreeSet<_>>(), expected);
    fake.assert_strict();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_killed_after_the_documents_were_stored_is_harmless_to_repeat() {
    let (place, fake) = without_run(3).await;
    fake.fail([Fault::StoredAndHang]);
    let mut resend = place
        .command(&["letters", "resend"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let from = Instant::now();
    while stored(&fake).len() < 3 {
        assert!(from.elapsed() < DEADLINE, "nothing is stored");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    resend.kill().unwrap();
    resend.wait().unwrap();
    assert_eq!(place.output(&LIST).json().len(), 3);
    let again = place.output(&["letters", "resend"]);
    assert_eq!(again.out, "3 stored, 0 refused again, 0 left\n");
    assert_eq!(again.code, Some(0));
    assert_eq!(stored(&fake), ids(1..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_resend_at_once_store_each_document_once() {
    let (place, fake) = without_run(700).await;
    let start = || {
        place
            .command(&["letters", "resend", "--all"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut both = [start(), start()];
    for one in &mut both {
        assert_eq!(one.wait().unwrap().code(), Some(0));
    }
    assert_eq!(stored(&fake).len(), 700);
    assert_eq!(place.output(&LIST).out, "");
    fake.assert_strict();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_holds_or_is_down_ends_a_resend_with_the_reason_and_nothing_is_lost() {
    let (place, fake) = without_run(3).await;
    fake.lock().login = Some(("elastic".to_owned(), "secret".to_owned()));
    let held = place.output(&["letters", "resend"]);
    assert_eq!(held.code, Some(1));
    assert_eq!(held.out, "0 stored, 0 refused again, 3 left\n");
    assert!(
        held.err.starts_with("mirrorlag: elasticsearch: "),
        "{}",
        held.err
    );
    assert!(
        held.err.contains("401") && held.err.lines().count() == 1,
        "{}",
        held.err
    );
    fake.lock().login = None;
    let busy = error_body(429, "es_rejected_execution_exception", "queue full");
    fake.fail([Fault::Status(429, vec![], busy)]);
    let busy = place.output(&["letters", "resend"]);
    assert_eq!(busy.code, Some(1));
    assert_eq!(busy.out, "0 stored, 0 refused again, 3 left\n");
    assert!(busy.err.contains("queue full"), "{}", busy.err);
    // A reply that proves nothing is no success either, whatever was stored.
    fake.fail([Fault::Truncated]);
    assert_eq!(
        place.output(&["letters", "resend"]).out,
        "0 stored, 0 refused again, 3 left\n"
    );
    let listed = place.output(&LIST).json();
    assert!(listed.iter().all(|letter| letter["attempts"] == 1));
    assert_eq!(
        place.output(&["letters", "resend"]).out,
        "3 stored, 0 refused again, 0 left\n"
    );
    assert_eq!(stored(&fake), ids(1..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_first_url_dead_a_resend_goes_to_the_next() {
    let (dead, _) = bulk_server::raw_port(Some(b"")).await;
    let place = Place::new();
    let fake = Fake::start().await;
    let fleet = place.fleet().await;
    place.configure(&fleet, &format!("urls: ['http://{dead}', '{}']", fake.url));
    with_letters(&place, 3, Vec::new()).await;
    let sent = place.output(&["letters", "resend"]);
    assert_eq!(
        sent.out, "3 stored, 0 refused again, 0 left\n",
        "{}",
        sent.err
    );
    assert_eq!(stored(&fake), ids(1..=3));
}

/// A sink whose first nodes fail in the middle of a request.
struct Failing {
    nodes: usize,
    requests: usize,
}

impl Sink for Failing {
    fn name(&self) -> &'static str {
        "elasticsearch"
    }

    async fn prepare(&mut self) -> Result<(), NotReady> {
        Ok(())
    }

    async fn deliver(&mut self, batch: &[Sample]) -> Reply {
        self.requests += 1;
        let fate = match self.requests > self.nodes {
            true => Fate::Stored,
            false => Fate::Retry("connection reset".to_owned()),
        };
        Reply {
            another_node: true,
            ..Reply::all(fate, batch.len())
        }
    }
}

#[tokio::test]
async fn nodes_that_fail_in_the_middle_are_left_for_the_next_but_not_for_ever() {
    let letters = |count: u64| -> Vec<StoredLetter> {
        let body = serde_json::to_vec(&sample(1)).unwrap();
        let stored = |number| StoredLetter {
            number,
            letter: letter("elasticsearch", number, body.clone()),
        };
        (1..=count).map(stored).collect()
    };
    let mut sink = Failing {
        nodes: 2,
        requests: 0,
    };
    let resent = delivery::resend(&mut sink, letters(2)).await;
    assert_eq!((resent.stored, resent.ended), (vec![1, 2], None));
    let mut sink = Failing {
        nodes: usize::MAX,
        requests: 0,
    };
    let resent = delivery::resend(&mut sink, letters(2)).await;
    assert_eq!(resent.ended.as_deref(), Some("connection reset"));
    assert_eq!((resent.stored, resent.refused), (vec![], vec![]));
    assert_eq!(sink.requests, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_sent_in_parts_where_the_server_takes_no_more() {
    let (place, fake) = without_run(100).await;
    fake.lock().content_bytes_max = 2000;
    fake.lock()
        .indices
        .insert(INDEX.to_owned(), bulk_server::Index::default());
    let sent = place.output(&["letters", "resend"]);
    assert_eq!(
        sent.out, "100 stored, 0 refused again, 0 left\n",
        "{}",
        sent.err
    );
    assert_eq!(stored(&fake), ids(1..=100));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_letters_that_are_named_are_sent_and_one_that_is_not_there_is_said() {
    let (place, fake) = without_run(5).await;
    let sent = place.output(&["letters", "resend", "2", "4", "77"]);
    assert_eq!(sent.code, Some(1));
    assert_eq!(sent.out, "2 stored, 0 refused again, 3 left\n");
    assert_eq!(
        sent.err,
        "mirrorlag: there is no dead letter 77; `mirrorlag letters list` shows those that are\n"
    );
    assert_eq!(stored(&fake), ids([2, 4]));
    let numbers: Vec<_> = place.output(&LIST).json();
    let numbers: Vec<_> = numbers
        .iter()
        .map(|it| it["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 3, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_sink_that_left_and_records_that_are_no_sample_are_kept() {
    let place = Place::new();
    let fake = Fake::start().await;
    let fleet = place.fleet().await;
    place.configure(&fleet, &format!("urls: ['{}']", fake.url));
    let body = serde_json::to_vec(&sample(9)).unwrap();
    let mut no_sample = letter("elasticsearch", 3, b"{\"torn".to_vec());
    no_sample.attempts = 0;
    let more = vec![letter("kafka", 2, body), no_sample];
    with_letters(&place, 1, more).await;
    let sent = place.output(&["letters", "resend"]);
    assert_eq!(sent.code, Some(1));
    assert_eq!(sent.out, "1 stored, 1 refused again, 2 left\n");
    assert_eq!(
        sent.err,
        "mirrorlag: kafka: this sink is not in the configuration; they are kept\n"
    );
    assert_eq!(stored(&fake), ids([1]));
    let left = place.output(&LIST).json();
    assert_eq!(
        (&left[0]["sink"], &left[0]["attempts"]),
        (&"kafka".into(), &1.into())
    );
    // It was never sent, so it was not tried again either.
    assert_eq!(
        (&left[1]["number"], &left[1]["attempts"]),
        (&3.into(), &0.into())
    );
    assert_eq!(
        (&left[1]["topic"], &left[1]["tick"]),
        (&().into(), &().into())
    );
    let shown = place.output(&["letters", "show", "3"]);
    assert_eq!(shown.code, Some(0));
    assert!(shown.out.contains("{\\\"torn"), "{}", shown.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_with_the_document_and_the_id_that_would_be_sent() {
    let (place, fake) = without_run(2).await;
    let shown = place.output(&["letters", "show", "2"]);
    assert_eq!(shown.code, Some(0));
    let id = sample(2).id();
    let expected = format!(
        "NUMBER         2
SINK           elasticsearch
TOPIC          orders
TICK           2025-11-20T10:00:02.000Z
ATTEMPTS       1
FIRST ATTEMPT  2025-11-20T11:23:20.000Z
LAST ATTEMPT   2025-11-20T11:23:20.000Z
REASON         {REFUSED}
POSITION       2
_id            {id}
DOCUMENT
"
    );
    let (head, document_shown) = shown.out.split_at(expected.len());
    assert_eq!(head, expected);
    let parsed: serde_json::Value = serde_json::from_str(document_shown).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&document(&sample(2))).unwrap();
    assert_eq!(parsed, sent);
    assert!(
        document_shown.lines().count() > 5,
        "pretty: {document_shown}"
    );
    let json = place.output(&["letters", "show", "2", "--json"]).json();
    assert_eq!(
        (&json[0]["_id"], &json[0]["document"]),
        (&id.as_str().into(), &sent)
    );
    place.output(&["letters", "resend", "2"]);
    assert_eq!(fake.documents(INDEX)[&id], sent);
    let gone = place.output(&["letters", "show", "2"]);
    assert_eq!((gone.code, gone.out.as_str()), (Some(1), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_letters_are_listed_one_line_each() {
    let (place, _fake) = without_run(10_000).await;
    let listed = place.output(&["letters", "list"]);
    assert_eq!(listed.code, Some(0));
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines.len(), 10_001);
    assert_eq!(
        lines[0],
        "NUMBER  SINK           TOPIC                 TICK                      ATTEMPTS  FIRST ATTEMPT             LAST ATTEMPT              REASON"
    );
    assert_eq!(
        lines[1],
        format!(
            "     1  elasticsearch  orders                2025-11-20T10:00:01.000Z         1  2025-11-20T11:23:20.000Z  2025-11-20T11:23:20.000Z  {REFUSED}"
        )
    );
    assert_eq!(place.output(&LIST).json().len(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_named_and_nothing_else_is() {
    let (place, fake) = without_run(5).await;
    for arguments in [
        vec!["letters", "drop"],
        vec!["letters", "drop", "1", "--all"],
    ] {
        let said = place.output(&arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
    assert_eq!(place.output(&LIST).json().len(), 5);
    let some = Command::new(env!("CARGO_BIN_EXE_mirrorlag"))
        .args(["letters", "drop", "2", "9", "--journal"])
        .arg(place.journal())
        .output()
        .unwrap();
    assert_eq!(some.status.code(), Some(1));
    let said = String::from_utf8(some.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "1 dropped"));
    assert!(
        lines[0].starts_with("     2  elasticsearch  orders"),
        "{said}"
    );
    assert!(
        String::from_utf8(some.stderr)
            .unwrap()
            .contains("no dead letter 9")
    );
    let all = place.output(&["letters", "drop", "--all"]);
    assert_eq!((all.code, all.out.lines().count()), (Some(0), 5));
    assert!(all.out.ends_with("4 dropped\n"));
    assert_eq!(place.output(&LIST).out, "");
    assert_eq!(stored(&fake), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_one_layout_is_resent_in_the_layout_of_today() {
    let (place, fake) = without_run(2).await;
    let before = std::fs::read_to_string(place.config()).unwrap();
    let urls = format!("urls: ['{}']", fake.url);
    let keys = format!("{urls}, layout: both, index: 'consumer_lag-%Y.%m'");
    std::fs::write(place.config(), before.replace(&urls, &keys)).unwrap();
    // What a letter holds is the sample; `show` prints its wide document.
    let shown = place.output(&["letters", "show", "1", "--json"]).json()[0].clone();
    assert_eq!(shown["_id"], sample(1).id());
    assert_eq!(shown["document"]["p0"], 1);
    let sent = place.output(&["letters", "resend"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.out.starts_with("2 stored"), "{sent:?}");
    let stored = |index: &str| fake.documents(index).into_keys().collect::<Vec<_>>();
    assert_eq!(stored("consumer_lag-2025.11"), ids([1, 2]));
    let of_partitions: Vec<String> = ids([1, 2]).iter().map(|id| format!("{id}-p0")).collect();
    assert_eq!(stored("consumer_lag_partitions-2025.11"), of_partitions);
    assert!(stored(INDEX).is_empty());
    // Once more is harmless: there is none left.
    let again = place.output(&["letters", "resend"]);
    assert!(again.out.starts_with("0 stored"), "{again:?}");
    fake.assert_strict();
}
