use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::ssh::error::{Endpoint, TcpFailure};

fn at() -> Arc<Endpoint> {
    Arc::new(Endpoint {
        address: "mm1".into(),
        port: 22,
        user: "kafka".into(),
        through: None,
        is_bastion: false,
    })
}

fn network_error() -> Error {
    Error::Tcp {
        at: at(),
        target: ([10, 0, 0, 11], 22).into(),
        failure: TcpFailure::Refused,
        why: "refused".into(),
    }
}

fn login_error() -> Error {
    Error::LoginRefused {
        at: at(),
        tried: vec!["id".into()],
        accepts: None,
    }
}

fn refusal() -> Error {
    Error::Refused {
        at: at(),
        said: Some("Exceeded MaxStartups".into()),
    }
}

/// Waits for a place and tells how long it took.
async fn timed(gate: &Gate) -> (Permit<'_>, Duration) {
    let started = Instant::now();
    let permit = gate.enter().await.expect("a place");
    (permit, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn at_the_start_one_tries_and_after_its_success_a_few_at_once() {
    let gate = Gate::patient(3);
    let most = Arc::new(AtomicUsize::new(0));
    let now = Arc::new(AtomicUsize::new(0));
    let (first_done, mut tasks) = (Arc::new(AtomicUsize::new(0)), Vec::new());
    for _ in 0..20 {
        let (gate, most, now, first_done) =
            (gate.clone(), most.clone(), now.clone(), first_done.clone());
        tasks.push(tokio::spawn(async move {
            let permit = gate.enter().await.expect("a place");
            let here = now.fetch_add(1, Ordering::SeqCst) + 1;
            if first_done.load(Ordering::SeqCst) == 0 {
                assert_eq!(here, 1, "nobody beside the first");
            }
            most.fetch_max(here, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            first_done.store(1, Ordering::SeqCst);
            permit.succeeded();
        }));
    }
    for task in tasks {
        task.await.expect("task");
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(gate.last_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn after_a_network_error_one_tries_again_within_the_jitter() {
    let gate = Gate::patient(4);
    timed(&gate).await.0.failed(&network_error());
    for ceiling in [1, 2, 4, 8, 16, 32, 60, 60] {
        let (permit, waited) = timed(&gate).await;
        // A timer of tokio fires up to a millisecond late.
        let longest = Duration::from_secs(ceiling) + Duration::from_millis(2);
        assert!(waited <= longest, "{waited:?} > {longest:?}");
        permit.failed(&network_error());
        assert_eq!(gate.last_failure().as_deref(), Some("connection refused"));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_before_the_banner_nobody_tries_for_twenty_seconds() {
    let gate = Gate::patient(4);
    timed(&gate).await.0.failed(&refusal());
    for longest in [25, 30, 40, 60] {
        let (permit, waited) = timed(&gate).await;
        assert!(waited >= REFUSAL_LEAST, "{waited:?}");
        assert!(waited <= Duration::from_secs(longest + 1), "{waited:?}");
        permit.failed(&refusal());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_tried_again_after_a_minute_growing_to_a_quarter_of_an_hour() {
    let gate = Gate::patient(4);
    timed(&gate).await.0.failed(&login_error());
    for expected in [60, 120, 240, 480, 900, 900] {
        let (permit, waited) = timed(&gate).await;
        assert_eq!(waited.as_secs(), expected);
        permit.failed(&login_error());
    }
    timed(&gate).await.0.succeeded();
    assert_eq!(gate.last_failure(), None);
    timed(&gate).await.0.failed(&login_error());
    assert_eq!(timed(&gate).await.1.as_secs(), 60, "a success forgets");
}

#[tokio::test(start_paused = true)]
async fn fifty_sources_with_a_wrong_key_make_one_attempt_a_minute() {
    let gate = Gate::patient(4);
    let attempts = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (gate, attempts) = (gate.clone(), attempts.clone());
            tokio::spawn(async move {
                loop {
                    let permit = gate.enter().await.expect("a place");
                    attempts.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    permit.failed(&login_error());
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    for task in tasks {
        task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_impatient_gate_hands_one_failure_to_everyone_who_waits_and_who_comes_later() {
    let gate = Gate::impatient(4);
    let first = gate.enter().await.expect("a place");
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.enter().await.map(drop).expect_err("the failure") })
        })
        .collect();
    tokio::task::yield_now().await;
    let started = Instant::now();
    first.failed(&login_error());
    for task in waiting {
        assert_eq!(task.await.expect("task"), login_error());
    }
    assert_eq!(gate.enter().await.map(drop), Err(login_error()));
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_dropped_without_a_word_goes_to_the_next() {
    let gate = Gate::patient(1);
    let first = gate.enter().await.expect("a place");
    let next = {
        let gate = gate.clone();
        tokio::spawn(async move { timed(&gate).await.1 })
    };
    tokio::task::yield_now().await;
    assert!(!next.is_finished());
    drop(first);
    assert_eq!(next.await.expect("task"), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn waiting_that_is_given_up_takes_no_place() {
    let gate = Gate::patient(1);
    let first = gate.enter().await.expect("a place");
    for _ in 0..5 {
        let waited = tokio::time::timeout(Duration::from_secs(1), gate.enter()).await;
        assert!(waited.is_err());
    }
    first.succeeded();
    assert_eq!(timed(&gate).await.1, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn several_failures_of_one_outage_count_once() {
    let gate = Gate::patient(4);
    timed(&gate).await.0.succeeded();
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(timed(&gate).await.0);
    }
    for permit in permits {
        permit.failed(&login_error());
    }
    assert_eq!(timed(&gate).await.1.as_secs(), 60, "not 8 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_turned_some_away_gets_fewer_at_once_and_one_more_after_many_successes() {
    let gate = Gate::patient(4);
    timed(&gate).await.0.succeeded();
    for places in [4, 2, 1, 1] {
        let mut permits = Vec::new();
        for _ in 0..places {
            permits.push(gate.enter().await.expect("a place"));
        }
        let one_more = tokio::time::timeout(Duration::from_secs(3600), gate.enter()).await;
        assert!(one_more.is_err(), "more than {places} at once");
        // Some of those who came together are turned away: one outage, whatever their number.
        for permit in permits {
            permit.failed(&refusal());
        }
        timed(&gate).await.0.succeeded();
    }
    for _ in 0..SUCCESSES_FOR_ONE_MORE {
        timed(&gate).await.0.succeeded();
    }
    let permits = [gate.enter().await, gate.enter().await];
    assert!(permits.iter().all(Result::is_ok));
    let third = tokio::time::timeout(Duration::from_secs(3600), gate.enter()).await;
    assert!(third.is_err(), "one more, and not all at once again");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_gets_as_many_at_once_as_before_when_it_is_back() {
    let gate = Gate::patient(3);
    for error in [network_error(), refusal(), login_error()] {
        timed(&gate).await.0.failed(&error);
    }
    timed(&gate).await.0.succeeded();
    let permits = [gate.enter().await, gate.enter().await, gate.enter().await];
    assert!(permits.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_holds_for_the_next_and_a_raised_one_lets_the_waiting_in() {
    let gate = Gate::patient(2);
    gate.enter().await.unwrap().succeeded();
    let first = gate.enter().await.unwrap();
    let second = gate.enter().await.unwrap();
    gate.limit_to(1);
    drop(first);
    let third = tokio::time::timeout(Duration::from_secs(3600), gate.enter()).await;
    assert!(third.is_err(), "one is inside, and one is the limit");
    let waiting = gate.enter();
    tokio::pin!(waiting);
    assert!(
        tokio::time::timeout(Duration::from_secs(1), &mut waiting)
            .await
            .is_err()
    );
    gate.limit_to(2);
    let third = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    third.expect("there is room again").unwrap();
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn who_waits_out_a_refused_login_tries_at_once_when_told_to_and_the_next_wait_is_the_longer_one()
 {
    let gate = Gate::patient(4);
    gate.enter().await.unwrap().failed(&login_error());
    let telling = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.try_now();
    };
    let ((permit, waited), ()) = tokio::join!(timed(&gate), telling);
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    permit.failed(&login_error());
    let (_permit, waited) = timed(&gate).await;
    assert!(waited > Duration::from_secs(100), "{waited:?}");
}
