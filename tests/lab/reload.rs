//! SIGHUP on a real sshd: what did not change keeps its processes there, and what was removed leaves none.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::collector::{Config, END_LIMIT, Record};
use crate::elasticsearch::Elasticsearch;
use crate::process::Process;
use crate::sshd::Sshd;
use crate::{kafka, lab};

const START_LIMIT: Duration = Duration::from_secs(60);

/// Process ids of the loops on the host, one for each source; beside them are what reads the next tick, and describes.
fn loops(sshd: &Sshd) -> BTreeSet<i32> {
    let lines = sshd.processes_of_logins();
    let loops = lines
        .iter()
        .filter(|line| line.contains(" /bin/sh -c m=$1;"));
    loops
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[track_caller]
fn until_loops(sshd: &Sshd, count: usize) -> BTreeSet<i32> {
    // A describe forks a shell for a moment: the same answer twice is the loops alone.
    lab::eventually("the loops on the host", START_LIMIT, || {
        let (once, again) = (loops(sshd), loops(sshd));
        let is_steady = once == again && once.len() == count;
        lab::claim(is_steady, sshd.processes_of_logins()).map(|()| once)
    })
}

#[track_caller]
fn until_ticks(config: &Config, topic: &str, more: usize) {
    let count = || {
        let records = config.records();
        let of_topic = records.iter().filter(|it| it.series.ends_with(topic));
        of_topic.count()
    };
    let before = count();
    lab::eventually(
        &format!("{more} more ticks of {topic}"),
        START_LIMIT,
        || {
            let now = count();
            lab::claim(now >= before + more, now)
        },
    );
}

#[track_caller]
fn reload(config: &Config, collector: &Process) -> String {
    let taken = |log: &str| {
        let lines = log
            .lines()
            .filter(|line| line.contains("configuration taken"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = taken(&collector.log()).len();
    config.write();
    collector.signal(Signal::HUP);
    lab::eventually("the configuration is taken", START_LIMIT, || {
        let lines = taken(&collector.log());
        lines.get(before).cloned().ok_or(collector.log())
    })
}

fn assert_each_tick_once(records: &[Record]) {
    let ticks: BTreeSet<_> = records.iter().map(Record::series_and_instant).collect();
    assert_eq!(ticks.len(), records.len(), "a tick is there twice");
}

#[test]
fn an_added_topic_leaves_the_sessions_of_the_others_alone_and_a_removed_one_leaves_no_process() {
    let sshd = Sshd::start("reload-topic");
    let mut config = Config::new("reload-topic", &sshd);
    let mut collector = config.run();
    let before = until_loops(&sshd, 2);
    until_ticks(&config, "still-orders", 2);

    config.topics.push("absent".to_owned());
    let line = reload(&config, &collector);
    assert!(
        line.contains("kept=2 added=1 changed=0 removed=0"),
        "{line}"
    );
    let with_third = until_loops(&sshd, 3);
    assert!(before.is_subset(&with_third), "{before:?} {with_third:?}");
    until_ticks(&config, "absent", 2);

    config.topics = vec!["still-orders".to_owned(), "absent".to_owned()];
    let line = reload(&config, &collector);
    assert!(
        line.contains("kept=2 added=0 changed=0 removed=1"),
        "{line}"
    );
    let after = until_loops(&sshd, 2);
    assert!(after.is_subset(&with_third), "{with_third:?} {after:?}");
    until_ticks(&config, "still-orders", 2);

    config.topics.clear();
    config.topics.push("still-payments".to_owned());
    config.describe_timeout = "30s";
    let line = reload(&config, &collector);
    assert!(
        line.contains("kept=0 added=1 changed=0 removed=2"),
        "{line}"
    );
    let last = until_loops(&sshd, 1);
    assert!(last.is_disjoint(&with_third));
    until_ticks(&config, "still-payments", 2);

    assert_eq!(collector.terminate(END_LIMIT).code(), Some(0));
    sshd.no_process_left_within(Duration::from_secs(10));
    let records = config.records();
    assert_each_tick_once(&records);
    assert!(
        !collector.log().contains("connection lost"),
        "{}",
        collector.log()
    );
}

#[test]
fn a_topic_removed_with_its_describe_in_flight_leaves_no_process_and_no_other_waits_for_it() {
    let sshd = Sshd::start("reload-flight");
    let mut config = Config::new("reload-flight", &sshd);
    let good = config.consumer_groups.clone();
    config.consumer_groups = kafka::slow_recorded_cli(40);
    config.describe_timeout = "20s";
    let mut collector = config.run();
    lab::eventually("describes in flight", START_LIMIT, || {
        let processes = sshd.processes_of_logins();
        let sleeping = processes.iter().filter(|line| line.contains("sleep 40"));
        lab::claim(sleeping.count() >= 2, processes)
    });
    // Both sources are changed, one is removed: the rounds have 10 s, then their sessions end, then the host's `timeout` strikes.
    config.consumer_groups = good;
    config.topics = vec!["still-orders".to_owned()];
    let line = reload(&config, &collector);
    assert!(
        line.contains("kept=0 added=0 changed=1 removed=1"),
        "{line}"
    );
    lab::eventually("a good tick", START_LIMIT, || {
        let records = config.records();
        let good = records.iter().any(|it| it.body["outcome"] == "ok");
        lab::claim(good, records.len())
    });
    lab::eventually("the slow describes are gone", START_LIMIT, || {
        let processes = sshd.processes_of_logins();
        let sleeping = processes.iter().any(|line| line.contains("sleep 40"));
        lab::claim(!sleeping, processes)
    });
    until_loops(&sshd, 1);
    assert_eq!(collector.terminate(END_LIMIT).code(), Some(0));
    sshd.no_process_left_within(Duration::from_secs(10));
    assert_each_tick_once(&config.records());
}

#[test]
fn a_password_mended_by_a_reload_ends_the_hold_of_real_elasticsearch() {
    let sshd = Sshd::start("reload-password");
    let mut config = Config::new("reload-password", &sshd);
    let secret = config.folder.join("password");
    fs::write(&secret, "wrong\n").unwrap();
    config.password_file = Some(secret.clone());
    let mut collector = config.run();
    lab::eventually("the hold", START_LIMIT, || {
        lab::claim(collector.log().contains("the sink holds"), collector.log())
    });
    let before = until_loops(&sshd, 2);
    fs::write(&secret, format!("{}\n", config.password)).unwrap();
    let line = reload(&config, &collector);
    assert!(
        line.contains("kept=2") && line.contains("sinks_changed=1"),
        "{line}"
    );
    let waited = config.records().len();
    lab::eventually("what waited is in the index", START_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        lab::claim(documents.len() >= waited, documents.len())
    });
    assert_eq!(until_loops(&sshd, 2), before);
    assert_eq!(collector.terminate(END_LIMIT).code(), Some(0));
    assert_each_tick_once(&config.records());
}
