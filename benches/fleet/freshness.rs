//! In: how many sources. Out: the time from the last byte of a table on the wire to the document accepted.
//! Never: guesses which round a document is of.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use mirrorlag::simulator::{AnsweredRound, Fleet, FleetSettings};
use tokio::time::sleep;

use crate::START;
use crate::accepting::{Accepted, Accepting};
use crate::child::{Measured, python};
use crate::configuration::{Asked, Shape};
use crate::cost::planned;

pub async fn freshness(sources: usize, seconds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let settings = FleetSettings::uniform(7, folder.path().to_owned(), 1, sources, 12);
    let fleet = Fleet::start(settings).await.unwrap();
    let server = Accepting::start().await;
    println!(
        "{sources} topics of one host, interval 1 s, {seconds} s: last byte of the table on the wire to document accepted"
    );
    for (name, shape) in [
        ("mirrorlag, sessions", Shape::PerTopic),
        ("mirrorlag, one group", Shape::PerGroup),
    ] {
        let journal = tempfile::tempdir().unwrap();
        let asked = asked(&fleet, &server, sources, shape, journal.path());
        let mirrorlag = Measured::mirrorlag(&asked.yaml());
        let (rounds, accepted) = watch(&fleet, &server, seconds).await;
        drop(mirrorlag);
        print(name, waits_of_mirrorlag(&rounds, &accepted));
    }
    if let Some(mut command) = python("today.py") {
        let asked = asked(&fleet, &server, sources, Shape::PerTopic, folder.path());
        let today = Measured::start(command.arg(asked.json()).stdout(Stdio::null()));
        let (rounds, accepted) = watch(&fleet, &server, seconds).await;
        drop(today);
        print("today's script", waits_of_today(&rounds, &accepted));
    }
    fleet.stop().await;
}

fn asked<'a>(
    fleet: &'a Fleet,
    server: &'a Accepting,
    sources: usize,
    shape: Shape,
    folder: &'a std::path::Path,
) -> Asked<'a> {
    Asked {
        fleet,
        topics_per_host: sources,
        sources,
        shape,
        interval: "1s",
        handshakes_per_host: 4,
        elasticsearch: &server.url,
        folder,
    }
}

async fn watch(
    fleet: &Fleet,
    server: &Accepting,
    seconds: u64,
) -> (Vec<AnsweredRound>, Vec<Accepted>) {
    server.note();
    drop(fleet.take_rounds("mm-0"));
    sleep(START + Duration::from_secs(seconds)).await;
    // What is under way has no document yet, and is left out below.
    (fleet.take_rounds("mm-0"), server.take_noted())
}

/// A document has the planned instant of its round, which names the round.
fn waits_of_mirrorlag(rounds: &[AnsweredRound], accepted: &[Accepted]) -> Vec<f64> {
    let answered: HashMap<SystemTime, SystemTime> = rounds
        .iter()
        .map(|round| (planned(round), round.answered_at))
        .collect();
    let wait = |document: &Accepted| {
        let instant = DateTime::parse_from_rfc3339(&document.timestamp).unwrap();
        let answered = answered.get(&SystemTime::from(instant))?;
        Some(ms_between(*answered, document.at))
    };
    accepted.iter().filter_map(wait).collect()
}

/// A topic's n-th line becomes its n-th document.
fn waits_of_today(rounds: &[AnsweredRound], accepted: &[Accepted]) -> Vec<f64> {
    let mut answered: HashMap<&str, Vec<SystemTime>> = HashMap::new();
    for round in rounds {
        answered
            .entry(&round.tick)
            .or_default()
            .push(round.answered_at);
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut waits = Vec::new();
    for document in accepted {
        let n = seen.entry(&document.topic).or_default();
        if let Some(at) = answered
            .get(document.topic.as_str())
            .and_then(|all| all.get(*n))
        {
            waits.push(ms_between(*at, document.at));
        }
        *n += 1;
    }
    waits
}

fn ms_between(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(wait) => wait.as_secs_f64() * 1000.0,
        Err(before) => -before.duration().as_secs_f64() * 1000.0,
    }
}

fn print(name: &str, mut waits: Vec<f64>) {
    assert!(!waits.is_empty(), "{name}: no document belongs to a round");
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "{name:24} {} documents, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        waits.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}
