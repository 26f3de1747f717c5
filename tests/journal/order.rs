//! Records come back in the order of their positions, whoever appends and however they are read.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mirrorlag::journal::{Mark, RECORD_BYTES_MAX};

use crate::{Place, bodies, body, numbers};

#[tokio::test]
async fn positions_begin_at_one_and_rise_by_one() {
    let place = Place::new();
    let journal = place.open();
    assert_eq!(*journal.head().borrow(), 0);
    assert_eq!(journal.append(bodies(1..=3), None).await.unwrap(), 3);
    assert_eq!(journal.append(bodies(4..=4), None).await.unwrap(), 4);
    assert_eq!(numbers(&journal).await, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_of_many_tasks_keep_their_own_order_and_none_is_lost_or_doubled() {
    let place = Place::new();
    let journal = place.open();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..20_u8 {
        let journal = journal.clone();
        tasks.spawn(async move {
            for step in 0..50_u8 {
                let pair = vec![vec![task, step, 0], vec![task, step, 1]];
                journal.append(pair, None).await.unwrap();
            }
        });
    }
    while let Some(end) = tasks.join_next().await {
        end.unwrap();
    }
    let records = journal.read(0, 10_000, usize::MAX).await.unwrap();
    assert_eq!(records.len(), 2000);
    let distinct: BTreeSet<_> = records.iter().map(|it| it.body.clone()).collect();
    assert_eq!(distinct.len(), 2000);
    for task in 0..20 {
        let own: Vec<_> = records.iter().filter(|it| it.body[0] == task).collect();
        assert!(own.windows(2).all(|two| two[0].body < two[1].body));
        let pairs = own.chunks(2);
        assert!(
            pairs
                .into_iter()
                .all(|two| two[0].position + 1 == two[1].position)
        );
    }
}

#[tokio::test]
async fn a_read_stops_at_either_limit_but_brings_one_record_at_least() {
    let place = Place::new();
    let journal = place.open();
    journal
        .append(vec![vec![b'a'; 100]; 10], None)
        .await
        .unwrap();
    let count =
        async |after, records, bytes| journal.read(after, records, bytes).await.unwrap().len();
    assert_eq!(count(0, 3, 10_000).await, 3);
    assert_eq!(count(0, 100, 350).await, 3);
    assert_eq!(count(0, 100, 300).await, 3);
    assert_eq!(count(0, 100, 1).await, 1);
    assert_eq!(count(0, 0, 0).await, 1);
    assert_eq!(count(9, 100, 10_000).await, 1);
    assert_eq!(count(10, 100, 10_000).await, 0);
    assert_eq!(count(u64::MAX, 100, 10_000).await, 0);
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_as_they_were() {
    let place = Place::new();
    let journal = place.open();
    let bodies = vec![vec![0xff, 0, 0xfe], b"a\0b".to_vec(), Vec::new()];
    journal.append(bodies.clone(), None).await.unwrap();
    let read = journal.read(0, 10, 100).await.unwrap();
    assert_eq!(
        read.into_iter().map(|it| it.body).collect::<Vec<_>>(),
        bodies
    );
}

#[tokio::test]
async fn the_head_is_announced_after_each_append_and_known_after_a_restart() {
    let place = Place::new();
    let journal = place.open();
    let mut head = journal.head();
    let (appended, announced) = tokio::join!(
        journal.append(bodies(1..=2), None),
        tokio::time::timeout(Duration::from_secs(10), head.wait_for(|head| *head == 2)),
    );
    appended.unwrap();
    announced.unwrap().unwrap();
    journal.close().await;
    assert_eq!(*place.open().head().borrow(), 2);
}

#[tokio::test]
async fn a_mark_is_replaced_with_the_records_it_goes_with() {
    let place = Place::new();
    let journal = place.open();
    assert_eq!(journal.mark("ticks").await.unwrap(), None);
    for value in [&b"one"[..], b"\xff\x00"] {
        let mark = Mark {
            name: "ticks".to_owned(),
            value: value.to_vec(),
        };
        journal.append(vec![body(1)], Some(mark)).await.unwrap();
        assert_eq!(journal.mark("ticks").await.unwrap().as_deref(), Some(value));
    }
    assert_eq!(journal.mark("other").await.unwrap(), None);
}

#[tokio::test]
async fn an_oversized_record_is_refused_and_nothing_beside_it_is_kept() {
    let place = Place::new();
    let journal = place.open();
    let records = vec![body(1), vec![b' '; RECORD_BYTES_MAX + 1]];
    let error = journal.append(records, None).await.unwrap_err();
    assert!(error.to_string().contains("over the limit"), "{error}");
    assert!(numbers(&journal).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_go_on_while_somebody_reads_for_a_long_time() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=10), None).await.unwrap();
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    // An operator's sqlite3 in the middle of a SELECT.
    let mut select = connection.prepare("SELECT position FROM records").unwrap();
    let mut rows = select.query([]).unwrap();
    rows.next().unwrap().unwrap();
    let started = Instant::now();
    for number in 11..=20 {
        journal.append(vec![body(number)], None).await.unwrap();
    }
    // A writer that waited for the reader would wait out its busy time, 5 s.
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    assert!(rows.next().unwrap().is_some());
}
