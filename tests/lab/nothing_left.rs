//! Promise 3: no process stays behind on a mirror host, however the collector ends, idle or with a describe in flight.

use std::time::Duration;

use crate::cable::Cable;
use crate::collector::{Config, END_LIMIT};
use crate::elasticsearch::Elasticsearch;
use crate::process::Process;
use crate::sshd::Sshd;
use crate::{kafka, lab};

const START_LIMIT: Duration = Duration::from_secs(60);
/// `describe_timeout` of these tests, in seconds; a describe in flight takes as long.
const DESCRIBE_SECONDS: u32 = 20;
/// After an end that the host sees, a describe in flight may still run to its limit.
const SEEN_LIMIT: Duration = Duration::from_secs(DESCRIBE_SECONDS as u64 + 15);
/// After a cable cut nothing tells the host: the lease (90 s) must run out too.
const LEASE_LIMIT: Duration = Duration::from_secs(DESCRIBE_SECONDS as u64 + 90 + 20);

#[test]
fn idle_and_ended_by_sigterm() {
    let (sshd, config) = idle("idle-sigterm");
    let mut collector = start(&config, &sshd);
    assert_eq!(collector.terminate(END_LIMIT).code(), Some(0));
    sshd.no_process_left_within(Duration::from_secs(5));
}

#[test]
fn idle_and_ended_by_kill_9() {
    let (sshd, config) = idle("idle-kill");
    start(&config, &sshd).kill();
    sshd.no_process_left_within(Duration::from_secs(5));
}

#[test]
fn idle_and_the_cable_cut() {
    cable_cut("idle-cut", kafka::recorded_cli());
}

#[test]
fn idle_and_a_silent_drop() {
    let sshd = Sshd::start_behind_cable("idle-drop");
    let config = Config::new("idle-drop", &sshd);
    let collector = start(&config, &sshd);
    sshd.cable().cut();
    sshd.no_process_left_within(LEASE_LIMIT);
    drop(collector);
}

#[test]
fn in_flight_and_ended_by_sigterm() {
    let (sshd, config) = in_flight("flight-sigterm");
    let mut collector = start(&config, &sshd);
    describe_is_in_flight(&sshd);
    assert_eq!(collector.terminate(END_LIMIT).code(), Some(0));
    sshd.no_process_left_within(SEEN_LIMIT);
}

#[test]
fn in_flight_and_ended_by_kill_9() {
    let (sshd, config) = in_flight("flight-kill");
    let mut collector = start(&config, &sshd);
    describe_is_in_flight(&sshd);
    collector.kill();
    sshd.no_process_left_within(SEEN_LIMIT);
}

#[test]
fn in_flight_and_the_cable_cut() {
    cable_cut("flight-cut", kafka::slow_recorded_cli(DESCRIBE_SECONDS * 2));
}

#[test]
fn a_real_jvm_in_flight_and_ended_by_kill_9() {
    let (sshd, mut config) = idle("jvm-kill");
    config = config.with_cli(kafka::VERSION);
    // Nobody answers there, so the JVM waits for its own time-out.
    config.bootstrap_server = format!("127.0.0.1:{}", lab::port("NOBODY"));
    let mut collector = start(&config, &sshd);
    lab::eventually("a JVM on the host", START_LIMIT, || {
        let processes = sshd.processes_of_logins();
        lab::claim(
            processes.iter().any(|line| line.contains("java")),
            processes,
        )
    });
    collector.kill();
    sshd.no_process_left_within(SEEN_LIMIT);
}

#[test]
fn a_describe_that_outlives_its_limit_is_killed_on_the_host_and_is_timeout() {
    let (sshd, mut config) = in_flight("outlives");
    config.describe_timeout = "3s";
    let mut collector = start(&config, &sshd);
    lab::eventually("a document with outcome timeout", START_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        let timeout = documents
            .iter()
            .any(|document| document.text("outcome") == "timeout");
        lab::claim(timeout, documents.last())
    });
    let sleeps = sshd
        .processes_of_logins()
        .iter()
        .filter(|line| line.contains("sleep"))
        .count();
    assert!(
        sleeps <= config.topics.len(),
        "describes pile up: {:?}",
        sshd.processes_of_logins()
    );
    collector.terminate(END_LIMIT);
    sshd.no_process_left_within(Duration::from_secs(15));
}

fn cable_cut(stem: &str, cli: std::path::PathBuf) {
    let (sshd, mut config) = idle(stem);
    let cable = Cable::to(sshd.port);
    config.port = cable.port;
    config.consumer_groups = cli;
    // The file must know the host by the port that the collector sees.
    let known = std::fs::read_to_string(&config.known_hosts).expect("known_hosts");
    let known = known.replace(&sshd.port.to_string(), &cable.port.to_string());
    std::fs::write(&config.known_hosts, known).expect("known_hosts");
    let collector = start(&config, &sshd);
    if stem.starts_with("flight") {
        describe_is_in_flight(&sshd);
    }
    cable.cut();
    sshd.no_process_left_within(LEASE_LIMIT);
    drop(collector);
}

/// A collector between two rounds most of the time.
fn idle(stem: &str) -> (Sshd, Config) {
    let sshd = Sshd::start(stem);
    let mut config = Config::new(stem, &sshd);
    config.describe_timeout = "20s";
    (sshd, config)
}

/// A collector whose describe never ends by itself.
fn in_flight(stem: &str) -> (Sshd, Config) {
    let (sshd, mut config) = idle(stem);
    config.consumer_groups = kafka::slow_recorded_cli(DESCRIBE_SECONDS * 2);
    (sshd, config)
}

/// Runs until its loops are on the host.
#[track_caller]
fn start(config: &Config, sshd: &Sshd) -> Process {
    let collector = config.run();
    lab::eventually("the loops on the host", START_LIMIT, || {
        let processes = sshd.processes_of_logins();
        lab::claim(processes.len() >= config.topics.len(), processes)
    });
    collector
}

#[track_caller]
fn describe_is_in_flight(sshd: &Sshd) {
    lab::eventually("a describe in flight", START_LIMIT, || {
        let processes = sshd.processes_of_logins();
        lab::claim(
            processes.iter().any(|line| line.contains("sleep")),
            processes,
        )
    });
}
