//! Journal to sink: everything once, in spite of the sink. A scripted sink stands for every way a real one can answer.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use mirrorlag::delivery::{self, Limits, Phase, Status};
use mirrorlag::journal::{self, Journal};
use mirrorlag::kafka::{GroupState, Outcome};
use mirrorlag::sample::Sample;
use mirrorlag::sinks::{Fate, NotReady, Reply, Sink};
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(30);

type Answer = Box<dyn Fn(&[Sample]) -> Vec<Fate> + Send>;

/// What a sink was told, and what it says next; when the script is at its end, everything is stored.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    preparations: VecDeque<NotReady>,
    stored: BTreeMap<String, usize>,
    requests: Vec<usize>,
    prepared: usize,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Sink for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn prepare(&mut self) -> Result<(), NotReady> {
        let mut script = self.0.lock().unwrap();
        script.prepared += 1;
        match script.preparations.pop_front() {
            Some(not_ready) => Err(not_ready),
            None => Ok(()),
        }
    }

    async fn deliver(&mut self, batch: &[Sample]) -> Reply {
        let mut script = self.0.lock().unwrap();
        script.requests.push(batch.len());
        let fates = match script.answers.pop_front() {
            Some(answer) => answer(batch),
            None => vec![Fate::Stored; batch.len()],
        };
        for (sample, fate) in batch.iter().zip(&fates) {
            if *fate == Fate::Stored {
                *script.stored.entry(sample.id()).or_default() += 1;
            }
        }
        Reply {
            fates,
            retry_after: None,
            another_node: false,
            is_crowded: false,
        }
    }
}

impl Scripted {
    fn answer(&self, answer: impl Fn(&[Sample]) -> Vec<Fate> + Send + 'static) {
        self.0.lock().unwrap().answers.push_back(Box::new(answer));
    }
}

fn limits() -> Limits {
    Limits {
        flush_after: Duration::from_millis(20),
        retry: (Duration::from_millis(5), Duration::from_millis(20)),
        hold_probe: Duration::from_millis(20),
        stop_grace: Duration::from_millis(200),
        ..Limits::default()
    }
}

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

async fn open(folder: &Path) -> Journal {
    let journal = Journal::open(&journal::Settings {
        path: folder.join("journal.db"),
        retain_for: Duration::from_secs(3600),
        bytes_max: 1 << 30,
    })
    .unwrap();
    journal.keep_readers(&["scripted"]).await.unwrap();
    journal
}

async fn append(journal: &Journal, numbers: std::ops::Range<i64>) {
    let bodies = numbers.map(|n| serde_json::to_vec(&sample(n)).unwrap());
    journal.append(bodies.collect(), None).await.unwrap();
}

struct Delivering {
    status: Arc<Status>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn deliver(sink: &Scripted, journal: &Journal) -> Delivering {
    let status = Arc::new(Status::new("scripted"));
    let stop = CancellationToken::new();
    let run = delivery::run(
        sink.clone(),
        journal.clone(),
        status.clone(),
        limits(),
        stop.clone(),
    );
    Delivering {
        status,
        stop,
        task: tokio::spawn(run),
    }
}

impl Delivering {
    async fn until_committed(&self, journal: &Journal, position: u64) {
        let started = Instant::now();
        loop {
            let at = journal.position("scripted").await.unwrap();
            if at == position {
                return;
            }
            let state = self.status.state();
            assert!(started.elapsed() < DEADLINE, "at {at}: {state:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_phase(&self, is_it: impl Fn(&Phase) -> bool) {
        let started = Instant::now();
        while !is_it(&self.status.state().phase) {
            let state = self.status.state();
            assert!(started.elapsed() < DEADLINE, "{state:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn finish(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.task).await;
        ended.expect("delivery ends when it is told to").unwrap();
    }
}

fn each_once(sink: &Scripted, numbers: std::ops::Range<i64>) {
    let script = sink.0.lock().unwrap();
    let expected: BTreeMap<_, _> = numbers.map(|n| (sample(n).id(), 1)).collect();
    assert_eq!(script.stored, expected);
}

#[tokio::test]
async fn every_record_reaches_the_sink_once_in_batches_of_five_hundred() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..1234).await;
    let sink = Scripted::default();
    let delivering = deliver(&sink, &journal);
    delivering.until_committed(&journal, 1234).await;
    delivering.finish().await;
    each_once(&sink, 0..1234);
    assert_eq!(sink.0.lock().unwrap().requests, [500, 500, 234]);
}

#[tokio::test]
async fn a_restart_goes_on_behind_the_commit_and_resends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    let sink = Scripted::default();
    append(&journal, 0..10).await;
    let delivering = deliver(&sink, &journal);
    delivering.until_committed(&journal, 10).await;
    delivering.finish().await;
    append(&journal, 10..20).await;
    let delivering = deliver(&sink, &journal);
    delivering.until_committed(&journal, 20).await;
    delivering.finish().await;
    each_once(&sink, 0..20);
}

#[tokio::test]
async fn only_what_was_not_stored_goes_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..6).await;
    let sink = Scripted::default();
    sink.answer(|batch| {
        let fate = |n| match n % 2 {
            0 => Fate::Stored,
            _ => Fate::Retry("429".into()),
        };
        (0..batch.len()).map(fate).collect()
    });
    let delivering = deliver(&sink, &journal);
    delivering.until_committed(&journal, 6).await;
    delivering.finish().await;
    each_once(&sink, 0..6);
    assert_eq!(sink.0.lock().unwrap().requests, [6, 3]);
}

#[tokio::test]
async fn a_hold_drops_nothing_is_seen_in_the_state_and_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..3).await;
    let sink = Scripted::default();
    for _ in 0..20 {
        sink.answer(|batch| vec![Fate::Hold("security_exception".into()); batch.len()]);
    }
    let delivering = deliver(&sink, &journal);
    let is_hold = |phase: &Phase| matches!(phase, Phase::Holding { reason } if reason == "security_exception");
    delivering.until_phase(is_hold).await;
    append(&journal, 3..5).await;
    delivering.until_committed(&journal, 5).await;
    delivering
        .until_phase(|phase| *phase == Phase::Working)
        .await;
    delivering.finish().await;
    each_once(&sink, 0..5);
}

#[tokio::test]
async fn it_is_known_since_when_a_sink_takes_nothing_also_when_it_changes_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..3).await;
    let sink = Scripted::default();
    for _ in 0..200 {
        sink.answer(|batch| vec![Fate::Retry("429".into()); batch.len()]);
    }
    for _ in 0..50 {
        sink.answer(|batch| vec![Fate::Hold("security_exception".into()); batch.len()]);
    }
    let before = chrono::Utc::now();
    let delivering = deliver(&sink, &journal);
    delivering
        .until_phase(|phase| matches!(phase, Phase::Retrying { .. }))
        .await;
    let since = delivering.status.state().since;
    assert!(since >= Some(before));
    delivering
        .until_phase(|phase| matches!(phase, Phase::Holding { .. }))
        .await;
    assert_eq!(delivering.status.state().since, since);
    delivering.until_committed(&journal, 3).await;
    delivering
        .until_phase(|phase| *phase == Phase::Working)
        .await;
    assert_eq!(delivering.status.state().since, None);
    delivering.finish().await;
}

#[tokio::test]
async fn a_document_that_can_never_be_stored_becomes_a_dead_letter_and_its_neighbours_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..4).await;
    let sink = Scripted::default();
    sink.answer(|batch| {
        let mut fates = vec![Fate::Stored; batch.len()];
        fates[2] = Fate::Reject("document_parsing_exception: bad".into());
        fates
    });
    let delivering = deliver(&sink, &journal);
    delivering.until_committed(&journal, 4).await;
    delivering.finish().await;
    let letters = journal.letters(0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].letter.position, 3);
    assert_eq!(
        letters[0].letter.body,
        serde_json::to_vec(&sample(2)).unwrap()
    );
    assert_eq!(sink.0.lock().unwrap().stored.len(), 3);
}

#[tokio::test]
async fn one_bad_document_alone_waits_for_company_and_does_not_stop_the_sink_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..1).await;
    let sink = Scripted::default();
    let refuse_first = |batch: &[Sample]| {
        let fate = |s: &Sample| match s.sampled_at == sample(0).sampled_at {
            true => Fate::Reject("bad".into()),
            false => Fate::Stored,
        };
        batch.iter().map(fate).collect::<Vec<_>>()
    };
    for _ in 0..200 {
        sink.answer(refuse_first);
    }
    let delivering = deliver(&sink, &journal);
    delivering
        .until_phase(|phase| matches!(phase, Phase::Holding { .. }))
        .await;
    assert!(journal.letters(0, 10).await.unwrap().is_empty());
    append(&journal, 1..2).await;
    delivering.until_committed(&journal, 2).await;
    delivering.finish().await;
    assert_eq!(journal.letters(0, 10).await.unwrap().len(), 1);
    each_once(&sink, 1..2);
}

#[tokio::test]
async fn the_place_to_write_to_is_prepared_before_the_first_document_and_after_a_hold() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..2).await;
    let sink = Scripted::default();
    {
        let mut script = sink.0.lock().unwrap();
        script.preparations.push_back(NotReady::Retry {
            why: "connection refused".into(),
            after: None,
        });
        script
            .preparations
            .push_back(NotReady::Hold("no right to create the index".into()));
    }
    sink.answer(|batch| vec![Fate::Hold("index_not_found_exception".into()); batch.len()]);
    let delivering = deliver(&sink, &journal);
    delivering.until_committed(&journal, 2).await;
    delivering.finish().await;
    each_once(&sink, 0..2);
    assert_eq!(sink.0.lock().unwrap().prepared, 4);
}

#[tokio::test]
async fn a_sink_that_never_answers_does_not_keep_the_process_alive() {
    struct Hanging;
    impl Sink for Hanging {
        fn name(&self) -> &'static str {
            "scripted"
        }
        async fn prepare(&mut self) -> Result<(), NotReady> {
            Ok(())
        }
        async fn deliver(&mut self, _: &[Sample]) -> Reply {
            std::future::pending().await
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    append(&journal, 0..1).await;
    let status = Arc::new(Status::new("scripted"));
    let stop = CancellationToken::new();
    let run = delivery::run(Hanging, journal.clone(), status, limits(), stop.clone());
    let task = tokio::spawn(run);
    stop.cancel();
    tokio::time::timeout(DEADLINE, task).await.unwrap().unwrap();
    assert_eq!(journal.position("scripted").await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_in_the_journal_when_the_stop_comes_still_goes_out_to_a_healthy_sink() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).await;
    let sink = Scripted::default();
    let delivering = deliver(&sink, &journal);
    append(&journal, 0..3).await;
    delivering.finish().await;
    assert_eq!(journal.position("scripted").await.unwrap(), 3);
    each_once(&sink, 0..3);
}
