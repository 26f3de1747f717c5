//! SIGKILL at random moments: each record that was in the journal is in the index once.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};

use crate::run::{Place, TopicTick, records};

/// The latest moment of a kill: start, connecting, several ticks and their delivery lie before it.
const KILL_AFTER_MS_MAX: u64 = 3_000;

/// Kills the program `cycles` times and lets it run once more; asserts and prints what came of it.
pub async fn kill_again_and_again(cycles: u32) {
    let seed = match std::env::var("MIRRORLAG_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    println!("MIRRORLAG_TEST_SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let place = Place::new().await;
    let mut acknowledged: BTreeSet<TopicTick> = BTreeSet::new();
    let mut cycles_with_records = 0;
    for cycle in 1..=cycles {
        let mut run = place.run();
        let wait = random.random_range(10..=KILL_AFTER_MS_MAX);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        run.kill();
        let kept = records(&place.journal());
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "cycle {cycle} lost {lost:?}");
        cycles_with_records += u32::from(kept.len() > acknowledged.len());
        acknowledged = kept;
    }
    assert!(!acknowledged.is_empty(), "no cycle came as far as a record");
    let starts = place.lines("collecting");
    let mut run = place.run();
    // Before it listens for signals, SIGTERM simply ends it.
    place
        .until("a last start", |it| it.lines("collecting") > starts)
        .await;
    place
        .until("all that the journal had", |it| {
            acknowledged.is_subset(&it.documents())
        })
        .await;
    run.end_in_order();
    let stored = place.documents();
    let kept = records(&place.journal());
    assert!(stored.is_subset(&kept), "a document without a record");
    place.fake.assert_strict();
    println!(
        "{cycles} kills, {cycles_with_records} of them after a new record; {} records acknowledged, {} documents, none twice",
        acknowledged.len(),
        stored.len()
    );
}
