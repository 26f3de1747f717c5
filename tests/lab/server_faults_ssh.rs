//! What a server and its owner can do to a login: a real sshd that stays silent, refuses, was made strange, or changes. The other host
//! notices nothing, the log stays short, the reason is in the documents, and the numbers come again by themselves.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use crate::collector::{Config, END_LIMIT, text_of};
use crate::elasticsearch::{Document, Elasticsearch};
use crate::sshd::Sshd;
use crate::two_hosts::{SUFFERING, TICKS_OF_A_FAULT, TwoHosts};
use crate::{kafka, lab, process};

const ROUNDS_LIMIT: Duration = Duration::from_secs(150);

#[test]
fn a_banner_that_never_comes_costs_no_tick_and_no_line_per_attempt() {
    let mut sshd = Sshd::start("no-banner");
    let mut hosts = TwoHosts::new("no-banner", sshd.port);
    let limit = "ssh: {connect_timeout: 2s}";
    hosts.config.edit_host(SUFFERING, limit);
    sshd.stop();
    // The kernel takes the connections, nobody speaks.
    let silent = TcpListener::bind(("127.0.0.1", sshd.port)).expect("the port of sshd");
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "no ssh banner");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    drop(silent);
    sshd.start_again();
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn a_server_of_long_ago_is_named_and_used_when_it_was_renewed() {
    let key = lab::key("host_rsa");
    let lines = "KexAlgorithms diffie-hellman-group14-sha1\nHostKeyAlgorithms ssh-rsa\nHostKey";
    no_common_key_exchange("old-server", &format!("{lines} {}", key.display()));
}

#[test]
fn a_server_of_tomorrow_is_named_and_used_when_it_was_relaxed() {
    no_common_key_exchange(
        "new-server",
        "KexAlgorithms sntrup761x25519-sha512@openssh.com",
    );
}

fn no_common_key_exchange(stem: &str, lines: &str) {
    let mut sshd = Sshd::start_with(stem, lines);
    let hosts = TwoHosts::new(stem, sshd.port);
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "key exchange failed: no common algorithm");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    let log = collector.log();
    // What the server must allow, and how to see what it has.
    for words in ["KexAlgorithms curve25519-sha256", "ssh -vv", "SHA-1"] {
        assert!(log.contains(words), "{words} must be said:\n{log}");
    }
    // A server that does not know us counts each attempt against our address: 20 s and more lie between two.
    let attempts = sshd.log().matches("Unable to negotiate").count();
    assert!((1..=3).contains(&attempts), "{attempts}:\n{}", sshd.log());
    sshd.stop();
    sshd.configure("", "host_ed25519");
    sshd.start_again();
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn thirty_sources_get_in_where_hardly_two_may_log_in_at_once() {
    // From two logins in progress on most are turned away by chance, and all from six on.
    let sshd = Sshd::start_with("max-startups", "MaxStartups 2:70:6");
    let mut config = Config::new("max-startups", &sshd);
    config.interval = "5s";
    config.topics = (0..30).map(|number| format!("absent-{number}")).collect();
    let mut collector = config.run();
    lab::eventually("an answer for each topic", ROUNDS_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        let answered = documents.iter().filter(|d| d.text("outcome") == "no_rows");
        let mut topics: Vec<_> = answered.map(|document| document.text("topic")).collect();
        topics.sort_unstable();
        topics.dedup();
        lab::claim(topics.len() == 30, (topics.len(), documents.last()))
    });
    let refused = sshd.log().matches("drop connection").count();
    println!("{refused} connections were turned away");
    assert!(refused <= 10, "{}", sshd.log());
    collector.terminate(END_LIMIT);
}

#[test]
fn one_session_per_connection_is_enough_for_run_once_and_check() {
    let sshd = Sshd::start_with("max-sessions", "MaxSessions 1");
    let config = Config::new("max-sessions", &sshd);
    let once = config.once();
    assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
    let check = config.check();
    assert_eq!(check.status.code(), Some(0), "{}", text_of(&check));
    let mut collector = config.run();
    lab::eventually("numbers", ROUNDS_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        let ok = documents.iter().filter(|d| d.text("outcome") == "ok");
        lab::claim(ok.count() >= 6, documents.last())
    });
    collector.terminate(END_LIMIT);
}

#[test]
fn a_host_key_that_changes_while_we_run_is_refused_before_any_login() {
    let mut sshd = Sshd::start("key-changes");
    let hosts = TwoHosts::new("key-changes", sshd.port);
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    sshd.stop();
    let logins = sshd.log().matches("Accepted publickey").count();
    sshd.configure("", "other_host_ed25519");
    sshd.start_again();
    hosts.until_latest("ssh_error", "host key changed");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    let log = sshd.log();
    assert_eq!(log.matches("Accepted publickey").count(), logins, "{log}");
    assert_eq!(log.matches("Failed publickey").count(), 0, "{log}");
    let said = collector.log();
    let lines = said.lines().filter(|line| line.contains("ssh-keygen -R"));
    let lines = lines.count();
    assert!(
        (1..=2).contains(&lines),
        "at most one for each source:\n{said}"
    );
    sshd.stop();
    sshd.configure("", "host_ed25519");
    sshd.start_again();
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn a_shell_that_dies_in_a_round_costs_that_round_and_leaves_nothing() {
    let sshd = Sshd::start("shell-dies");
    let mut hosts = TwoHosts::new("shell-dies", sshd.port);
    let cli = kafka::script_as_cli("shell-dies-cli", "cat $recorded; sleep 0.5");
    let cli = format!("kafka: {{consumer_groups: {}}}", cli.display());
    hosts.config.edit_host(SUFFERING, &cli);
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    let is_lost = |document: &Document| document.text("reason").contains("signal KILL");
    for deaths in 1..=3 {
        lab::eventually("a describe in flight", ROUNDS_LIMIT, || {
            let processes = sshd.processes_of_logins();
            let in_flight = processes.iter().any(|line| line.contains("sleep"));
            lab::claim(in_flight, &processes)?;
            for line in processes.iter().filter(|line| is_loop(line)) {
                process::send(pid_of(line), Signal::KILL);
            }
            Ok(())
        });
        hosts.until("rounds that lost their shell", |documents| {
            documents.iter().filter(|d| is_lost(d)).count() >= deaths
        });
        hosts.until_all_are_ok();
    }
    hosts.end_after(3, collector);
    sshd.no_process_left_within(Duration::from_secs(15));
}

/// The loop itself, and not the `timeout` that waits for its next line.
fn is_loop(line: &str) -> bool {
    line.contains("/bin/sh -c m=$1")
}

fn pid_of(line: &str) -> i32 {
    let pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
    pid.expect("a process id")
}
