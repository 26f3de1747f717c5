//! Whatever configurations follow each other: in the end what is configured runs, and every tick is used once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mirrorlag::app::Pipeline;
use mirrorlag::config;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

use crate::bulk_server::Fake;
use crate::journal::{assert_no_tick_missing, assert_no_tick_twice, records};
use crate::run::DEADLINE;
use crate::site::{Entry, Site};

const HOSTS: usize = 3;
const STEPS: usize = 14;

/// In every configuration, always the same.
const ALWAYS: Entry = (0, 9, 1);

/// Some topics of some hosts with some intervals, the limits and the sink of the moment.
fn random(rng: &mut StdRng, site: &mut Site, url: &str) -> Vec<Entry> {
    let mut entries = vec![ALWAYS];
    for host in 0..HOSTS {
        for topic in 0..3 {
            if rng.random_bool(0.5) {
                entries.push((host, topic, rng.random_range(1..=2)));
            }
        }
    }
    let (describes, handshakes) = (rng.random_range(1..=4), rng.random_range(1..=4));
    site.host_keys =
        format!(", describes_per_host: {describes}, handshakes_per_host: {handshakes}");
    let timeout = rng.random_range(20..=22);
    site.sinks = format!("elasticsearch: {{urls: ['{url}'], request_timeout: {timeout}s}}");
    entries
}

fn read(site: &Site, entries: &[Entry]) -> config::Config {
    site.write(entries);
    config::load(&site.file(), &|_| None).unwrap().config
}

async fn until(what: &str, seed: u64, mut holds: impl FnMut() -> Result<(), String>) {
    let started = Instant::now();
    while let Err(state) = holds() {
        assert!(started.elapsed() < DEADLINE, "seed {seed}: {what}: {state}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn sequence(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut site = Site::new(HOSTS).await;
    let fake = Fake::start().await;
    let mut entries = random(&mut rng, &mut site, &fake.url);
    let mut pipeline = Pipeline::start(read(&site, &entries)).await.unwrap();
    for _ in 0..STEPS {
        // From "at once" to "behind a tick or two of everybody".
        let pause = rng.random_range(0..=1200_u64).saturating_sub(300);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let before: BTreeSet<Entry> = entries.iter().copied().collect();
        entries = random(&mut rng, &mut site, &fake.url);
        let changes = pipeline.apply(read(&site, &entries)).await.unwrap();
        let now: BTreeSet<Entry> = entries.iter().copied().collect();
        let kept = before.intersection(&now).count();
        assert_eq!(changes.sources.kept.len(), kept, "seed {seed}: {changes:?}");
        let all = kept + changes.sources.added.len() + changes.sources.changed.len();
        assert_eq!(all, now.len(), "seed {seed}: {changes:?}");
    }
    // What is configured runs, and nothing else: a loop for each source, and new ticks of those and only those.
    until("the loops on the hosts", seed, || {
        let wanted = |host| entries.iter().filter(|it| it.0 == host).count() as u64;
        let wanted: Vec<u64> = (0..HOSTS).map(wanted).collect();
        let loops: Vec<u64> = (0..HOSTS).map(|h| site.loops(&format!("mm-{h}"))).collect();
        if loops == wanted {
            Ok(())
        } else {
            Err(format!("{loops:?}, not {wanted:?}"))
        }
    })
    .await;
    let mut settled = records(&site.journal()).len();
    let wanted: BTreeSet<String> = entries
        .iter()
        .map(|(host, topic, _)| format!("mm-{host}/topic-{topic}"))
        .collect();
    until("ticks of every source", seed, || {
        let all = records(&site.journal());
        // A source that leaves ends its loop first and stores its last round then; one that goes on for ever never settles.
        if let Some(late) = all.iter().rposition(|it| !wanted.contains(&it.series)) {
            settled = settled.max(late + 1);
        }
        let series: BTreeSet<String> = all[settled..].iter().map(|it| it.series.clone()).collect();
        if series == wanted {
            Ok(())
        } else {
            Err(format!("{series:?}, not {wanted:?}"))
        }
    })
    .await;
    let stop = CancellationToken::new();
    stop.cancel();
    pipeline.run_until(stop, None).await;

    let all = records(&site.journal());
    assert_no_tick_twice(&all);
    assert_no_tick_missing(&all, "mm-0/topic-9", 1000);
    // What the end cut off is delivered by the next start.
    let last = Pipeline::start(read(&site, &entries)).await.unwrap();
    until("every record in the index", seed, || {
        let documents = fake.documents("consumer_lag").len();
        if documents >= all.len() {
            Ok(())
        } else {
            Err(format!("{documents} of {}", all.len()))
        }
    })
    .await;
    let stop = CancellationToken::new();
    stop.cancel();
    last.run_until(stop, None).await;
    // As many documents as records at the most: their `_id` is made of the tick, and no tick was used twice.
    let documents = fake.documents("consumer_lag").len();
    let all = records(&site.journal());
    assert_no_tick_twice(&all);
    assert!(
        documents <= all.len(),
        "seed {seed}: {documents} of {}",
        all.len()
    );
    fake.assert_strict();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_sequence_of_configurations_what_is_configured_runs_and_every_tick_is_used_once()
{
    let first: u64 = rand::rng().random();
    for seed in first..first + 3 {
        eprintln!("seed {seed}");
        sequence(seed).await;
    }
}
