//! One record per topic and tick, whatever the host does: against a simulated fleet behind a real SSH server.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "support/collecting.rs"]
mod collecting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use mirrorlag::collector::{Topics, once};
use mirrorlag::kafka::{GroupState, Outcome};
use mirrorlag::sample::{ANY_TOPIC, Sample};
use mirrorlag::simulator::{Fleet, FleetSettings};

use collecting::{
    all_topics, collect, mirror_host, open_journal, samples, samples_until, small_fleet, source,
};

fn by_topic(samples: &[Sample]) -> BTreeMap<&str, Vec<&Sample>> {
    let mut topics: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        topics.entry(&sample.topic).or_default().push(sample);
    }
    topics
}

fn ticks(samples: &[&Sample]) -> Vec<DateTime<Utc>> {
    samples.iter().map(|s| s.sampled_at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_prints_is_what_the_journal_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 3).await;
    let at = Duration::from_secs(31);
    fleet.hold_time(at);
    let expected = fleet.expected("mm-0", "mirror", at).unwrap();
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let running = collect(vec![source(&host, "mirror", all_topics())], &journal).await;
    let samples = samples_until(&journal, "three topics", |s| by_topic(s).len() == 3).await;
    running.finish().await;

    for (topic, samples) in by_topic(&samples) {
        let mut rows: Vec<_> = expected.rows.iter().filter(|r| r.topic == topic).collect();
        rows.sort_by_key(|row| row.partition);
        let printed: Vec<_> = rows
            .iter()
            .map(|r| (r.partition, r.lag, r.current_offset, r.log_end_offset))
            .collect();
        for sample in samples {
            let kept: Vec<_> = sample
                .partitions
                .iter()
                .map(|p| (p.partition, p.lag, p.current_offset, p.log_end_offset))
                .collect();
            assert_eq!(kept, printed, "{topic}");
            assert_eq!(sample.outcome, Outcome::Ok);
            assert_eq!(sample.group_state, GroupState::Stable);
            assert_eq!(sample.cluster.as_deref(), Some("source-a"));
            assert!(sample.round_ms.is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tick_of_every_topic_ends_in_exactly_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 4).await;
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let wanted = Topics::Listed(vec!["topic-0".into(), "topic-1".into(), "absent".into()]);
    let sources = vec![
        source(&host, "mirror", wanted),
        source(&host, "mirror", Topics::One("topic-3".into())),
    ];
    let running = collect(sources, &journal).await;
    let enough =
        |s: &[Sample]| by_topic(s).values().all(|v| v.len() >= 5) && by_topic(s).len() == 4;
    samples_until(&journal, "five ticks of four topics", enough).await;
    running.finish().await;

    let samples = samples(&journal).await;
    for (topic, samples) in by_topic(&samples) {
        let ticks = ticks(&samples);
        let unique: BTreeSet<_> = ticks.iter().collect();
        assert_eq!(unique.len(), ticks.len(), "{topic}: a tick twice");
        for pair in ticks.windows(2) {
            let gap = (pair[1] - pair[0]).num_milliseconds();
            assert_eq!(gap % 1000, 0, "{topic}: off the grid by {gap} ms");
        }
        let outcome = match topic {
            "absent" => Outcome::NoRows,
            _ => Outcome::Ok,
        };
        assert!(samples.iter().all(|s| s.outcome == outcome), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_down_brings_a_record_that_says_why_and_numbers_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 1).await;
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let running = collect(vec![source(&host, "mirror", all_topics())], &journal).await;
    let outcome_of_last = |s: &[Sample]| s.last().map(|s| s.outcome);
    samples_until(&journal, "numbers", |s| {
        outcome_of_last(s) == Some(Outcome::Ok)
    })
    .await;

    fleet.hold_down("mm-0", true);
    let failed = |s: &[Sample]| outcome_of_last(s) == Some(Outcome::SshError);
    let samples = samples_until(&journal, "an ssh_error", failed).await;
    let last = samples.last().unwrap();
    assert_eq!(last.topic, "topic-0", "remembered from before");
    assert!(last.partitions.is_empty());
    assert!(
        last.reason
            .as_ref()
            .is_some_and(|reason| !reason.is_empty())
    );

    fleet.hold_down("mm-0", false);
    samples_until(&journal, "numbers again", |s| {
        outcome_of_last(s) == Some(Outcome::Ok)
    })
    .await;
    running.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_does_not_delay_another() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 1).await;
    let journal = open_journal(folder.path());
    let alive = mirror_host(&fleet, "mm-0");
    // A port that takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut dead = alive.clone();
    dead.name = "dead".into();
    dead.ssh.port = silent.local_addr().unwrap().port();
    let sources = vec![
        source(&Arc::new(dead), "mirror", Topics::One("topic-0".into())),
        source(&Arc::new(alive), "mirror", Topics::One("topic-0".into())),
    ];
    let running = collect(sources, &journal).await;
    let of = |s: &[Sample], host: &str| s.iter().filter(|s| s.mirror_host == host).count();
    let samples = samples_until(&journal, "five ticks of the one alive", |s| {
        of(s, "mm-0") >= 5
    })
    .await;
    running.finish().await;
    let alive: Vec<_> = samples.iter().filter(|s| s.mirror_host == "mm-0").collect();
    let first_to_last = ticks(&alive)[4] - ticks(&alive)[0];
    assert_eq!(first_to_last.num_seconds(), 4, "no tick was skipped");
    assert!(alive.iter().all(|s| s.outcome == Outcome::Ok));
    let dead: Vec<_> = samples.iter().filter(|s| s.mirror_host == "dead").collect();
    assert!(dead.iter().all(|s| s.outcome == Outcome::SshError));
    assert!(
        dead.len() >= 3,
        "the dead host's ticks are accounted for too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_describes_run_on_a_host_than_it_was_promised() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 12).await;
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let sources = (0..12)
        .map(|n| source(&host, "mirror", Topics::One(format!("topic-{n}"))))
        .collect();
    let running = collect(sources, &journal).await;
    let all_twice = |s: &[Sample]| {
        by_topic(s).len() == 12 && by_topic(s).values().all(|samples| samples.len() >= 2)
    };
    samples_until(&journal, "two ticks of twelve topics", all_twice).await;
    running.finish().await;
    let most = fleet.counts("mm-0").describes_at_once_max;
    assert!((1..=2).contains(&most), "{most} at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_costs_one_describe_per_tick_however_many_topics_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 50).await;
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let running = collect(vec![source(&host, "mirror", all_topics())], &journal).await;
    let thrice = |s: &[Sample]| by_topic(s).get("topic-49").is_some_and(|v| v.len() >= 3);
    samples_until(&journal, "three ticks", thrice).await;
    running.finish().await;
    let samples = samples(&journal).await;
    let ticks: BTreeSet<_> = samples.iter().map(|s| s.sampled_at).collect();
    let counts = fleet.counts("mm-0");
    assert_eq!(samples.len(), ticks.len() * 50);
    assert!(counts.describes as usize <= ticks.len() + 1, "{counts:?}");
    assert_eq!(counts.logins, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_does_not_exist_is_reported_for_the_topic_that_no_kafka_has() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 1).await;
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let running = collect(vec![source(&host, "nobody", all_topics())], &journal).await;
    let samples = samples_until(&journal, "a record", |s| !s.is_empty()).await;
    running.finish().await;
    assert_eq!(samples[0].topic, ANY_TOPIC);
    assert_eq!(samples[0].outcome, Outcome::GroupMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_seen_before_a_restart_are_accounted_for_after_it_also_while_the_host_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 2).await;
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let sources = || vec![source(&host, "mirror", all_topics())];
    let running = collect(sources(), &journal).await;
    samples_until(&journal, "both topics", |s| by_topic(s).len() == 2).await;
    running.finish().await;
    fleet.hold_down("mm-0", true);
    let before = samples(&journal).await.len();
    let running = collect(sources(), &journal).await;
    let failed = |s: &[Sample]| s.len() >= before + 2;
    let samples = samples_until(&journal, "two failures", failed).await;
    running.finish().await;
    let after = by_topic(&samples[before..]);
    assert_eq!(
        after.keys().copied().collect::<Vec<_>>(),
        ["topic-0", "topic-1"]
    );
    let ids: BTreeSet<_> = samples.iter().map(Sample::id).collect();
    assert_eq!(ids.len(), samples.len(), "a tick was used twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_answers_for_the_living_and_names_the_dead() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 2).await;
    let alive = mirror_host(&fleet, "mm-0");
    let mut dead = alive.clone();
    dead.name = "dead".into();
    // Bound and dropped: nobody listens there.
    dead.ssh.port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let dead = Arc::new(dead);
    let sources = vec![
        source(&Arc::new(alive), "mirror", all_topics()),
        source(&dead, "mirror", Topics::One("topic-0".into())),
        source(&dead, "mirror", Topics::One("topic-1".into())),
    ];
    let mut answers = Vec::new();
    once(sources, |answer| answers.push(answer)).await;
    let samples: Vec<_> = answers.iter().flat_map(|a| &a.samples).collect();
    let ok = samples.iter().filter(|s| s.outcome == Outcome::Ok).count();
    assert_eq!((samples.len(), ok), (4, 2));
    let errors: BTreeSet<_> = answers.iter().filter_map(|a| a.error.as_ref()).collect();
    assert!(!errors.is_empty());
    for error in errors {
        assert!(error.contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_source_agrees_with_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = small_fleet(folder.path(), 1).await;
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let listed = Topics::Listed(vec!["topic-0".to_owned(), "absent".to_owned()]);
    let sources = vec![
        source(&host, "mirror", listed),
        source(&host, "mirror", Topics::One("topic-0".to_owned())),
    ];
    let running = collect(sources, &journal).await;
    let states = running.collector.states();
    let outcomes = |s: &[Sample], outcome| s.iter().filter(|s| s.outcome == outcome).count();
    samples_until(&journal, "numbers", |s| outcomes(s, Outcome::Ok) >= 4).await;
    let connected = states.all();
    assert!(connected.iter().all(|it| it.connected_since.is_some()));
    assert!(
        connected
            .iter()
            .all(|it| it.last_error.is_none() && it.reconnects == 0)
    );
    fleet.hold_down("mm-0", true);
    let failed = |s: &[Sample]| outcomes(s, Outcome::SshError) >= 4;
    samples_until(&journal, "ssh_error", failed).await;
    let down = states.all();
    assert!(down.iter().all(|it| it.connected_since.is_none()));
    assert!(
        down.iter()
            .all(|it| it.last_error.is_some() && it.reconnects >= 1)
    );
    fleet.hold_down("mm-0", false);
    let so_far = outcomes(&samples(&journal).await, Outcome::Ok);
    samples_until(&journal, "numbers again", |s| {
        outcomes(s, Outcome::Ok) >= so_far + 4
    })
    .await;
    running.finish().await;

    let samples = samples(&journal).await;
    let by_outcome = |of_list: bool| {
        let mut counts: BTreeMap<Outcome, u64> = BTreeMap::new();
        // Both sources have the same ticks of `topic-0`, but for their phase.
        let phase = |s: &Sample| s.sampled_at.timestamp_subsec_millis();
        let of_absent = samples.iter().find(|s| s.topic == "absent").map(phase);
        for sample in samples
            .iter()
            .filter(|s| (Some(phase(s)) == of_absent) == of_list)
        {
            *counts.entry(sample.outcome).or_default() += 1;
        }
        counts
    };
    let [of_list, of_topic] = <[_; 2]>::try_from(states.all()).unwrap();
    assert_eq!(of_list.name, "mm-0/mirror");
    assert_eq!(of_topic.name, "mm-0/mirror/topic-0");
    assert_eq!(of_list.outcomes, by_outcome(true));
    assert_eq!(of_topic.outcomes, by_outcome(false));
    assert_eq!((of_list.topics, of_topic.topics), (2, 1));
    // The worst of its topics stands for a source.
    let last = of_list.last.unwrap();
    assert_eq!(last.outcome, Outcome::NoRows);
    assert!(last.reason.unwrap().contains("absent"));
    assert_eq!(of_topic.last.unwrap().outcome, Outcome::Ok);
    assert!(of_topic.rounds >= of_topic.outcomes[&Outcome::Ok]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_describe_that_outlives_its_limit_is_counted_as_timeout_and_the_ticks_it_covered_as_skipped()
 {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = FleetSettings::uniform(7, folder.path().to_owned(), 1, 1, 4);
    let slow = Duration::from_secs(60);
    settings.hosts[0].start_up = slow..=slow;
    let fleet = Fleet::start(settings).await.unwrap();
    let journal = open_journal(folder.path());
    let host = Arc::new(mirror_host(&fleet, "mm-0"));
    let mut source = source(&host, "mirror", Topics::One("topic-0".to_owned()));
    source.describe.limit = Duration::from_secs(2);
    let running = collect(vec![source], &journal).await;
    let states = running.collector.states();
    let timeouts = |s: &[Sample]| s.iter().filter(|s| s.outcome == Outcome::Timeout).count() >= 2;
    samples_until(&journal, "timeouts", timeouts).await;
    running.finish().await;
    let state = states.all().pop().unwrap();
    assert!(state.timeouts >= 2, "{state:#?}");
    assert_eq!(state.outcomes[&Outcome::Timeout], state.timeouts);
    // Each took two seconds at a tick per second.
    assert!(state.skipped >= 2 * 2, "{state:#?}");
    // The session of such a describe is not trusted with another one.
    assert_eq!(state.reconnects, state.timeouts);
}
