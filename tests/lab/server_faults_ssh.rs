//! What a server and its owner can do to a login: a real sshd that stays silent, refuses, was made strange, or changes. The other host
//! notices nothing, the log stays short, the reason is in the documents, and the numbers come again by themselves.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use crate::collector::{Config, END_LIMIT, text_of};
use crate::elasticsearch::{Document, Elasticsearch};
use crate::login::Login;
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
fn an_authentication_that_never_answers_is_given_up_at_its_limit() {
    // sshd asks a command for the keys of the login, and that takes its time.
    let lines = "AuthorizedKeysCommand /bin/sleep 20\nAuthorizedKeysCommandUser root\nAuthorizedKeysFile none";
    let mut sshd = Sshd::start_with("silent-login", lines);
    let mut hosts = TwoHosts::new("silent-login", sshd.port);
    let limit = "ssh: {connect_timeout: 3s}";
    hosts.config.edit_host(SUFFERING, limit);
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "login took longer than 3s");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    sshd.stop();
    sshd.configure("", "host_ed25519");
    sshd.start_again();
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn a_server_of_long_ago_is_named_and_used_when_it_was_renewed() {
    no_common_key_exchange(
        "old-server",
        "KexAlgorithms diffie-hellman-group14-sha1\nHostKeyAlgorithms ssh-rsa",
    );
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
fn a_locked_account_is_tried_like_a_wrong_key_and_used_when_it_is_unlocked() {
    let login = Login::new("/bin/bash");
    let sshd = Sshd::start("locked");
    let mut hosts = TwoHosts::new("locked", sshd.port);
    let user = format!("ssh: {{user: {}}}", login.name);
    hosts.config.edit_host(SUFFERING, &user);
    login.modify(&["--lock"]);
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "login refused");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    let attempts = sshd.log().matches("account is locked").count();
    assert_eq!(attempts, 1, "one login a minute at most:\n{}", sshd.log());
    let log = collector.log();
    assert!(log.contains("locked or expired"), "{log}");
    login.modify(&["--password", "*"]);
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn an_expired_account_and_one_without_a_shell_are_named_by_check() {
    let login = Login::new("/bin/bash");
    let sshd = Sshd::start("expired");
    let mut config = Config::new("expired", &sshd);
    config.user.clone_from(&login.name);
    login.modify(&["--expiredate", "1"]);
    let check = config.check();
    assert_eq!(check.status.code(), Some(1));
    let text = text_of(&check);
    assert!(text.contains("locked or expired"), "{text}");
    login.modify(&["--expiredate", "", "--shell", "/usr/sbin/nologin"]);
    let once = config.once();
    let text = text_of(&once);
    assert_eq!(once.status.code(), Some(1), "{text}");
    assert!(text.contains("not available"), "{text}");
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
    assert_eq!(lines.count(), 2, "one line for each source:\n{said}");
    sshd.stop();
    sshd.configure("", "host_ed25519");
    sshd.start_again();
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn login_shell_bash_whose_files_print_and_ask_brings_the_numbers() {
    let login = Login::new("/bin/bash");
    let noise = "echo 'GROUP TOPIC PARTITION'; echo 'Last login: today' >&2; read -r -p 'continue? ' answer; cat /dev/zero | head -c 300000\n";
    for file in [".bashrc", ".profile", ".bash_profile", ".bash_login"] {
        login.write(file, noise);
    }
    login.write(".bash_logout", "echo bye; sleep 1\n");
    numbers_come_in_spite_of(&login);
}

#[test]
fn login_shell_tcsh_whose_files_print_and_ask_brings_the_numbers() {
    let login = Login::new("/usr/bin/tcsh");
    for file in [".cshrc", ".tcshrc", ".login"] {
        login.write(file, "echo 'GROUP TOPIC PARTITION'\nset answer = $<\n");
    }
    numbers_come_in_spite_of(&login);
}

fn numbers_come_in_spite_of(login: &Login) {
    let banner = login.home.join("banner");
    std::fs::write(&banner, "Authorised use only\n".repeat(50)).expect("a banner");
    let lines = format!(
        "PrintMotd yes\nPrintLastLog yes\nBanner {}",
        banner.display()
    );
    let sshd = Sshd::start_with("noisy", &lines);
    let hosts = user_on("noisy", &sshd, login);
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    hosts.healthy_ticks(5);
    hosts.end(collector);
    sshd.no_process_left_within(Duration::from_secs(15));
}

#[test]
fn start_up_files_that_end_the_shell_are_named_and_paced() {
    let login = Login::new("/bin/bash");
    login.write(".bashrc", "echo 'host is in maintenance'; exit 0\n");
    let sshd = Sshd::start("exits");
    let hosts = user_on("exits", &sshd, &login);
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "host is in maintenance");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    login.write(".bashrc", "");
    hosts.until_all_are_ok();
    hosts.end(collector);
}

fn user_on(stem: &str, sshd: &Sshd, login: &Login) -> TwoHosts {
    let mut hosts = TwoHosts::new(stem, sshd.port);
    let user = format!("ssh: {{user: {}}}", login.name);
    hosts.config.edit_host(SUFFERING, &user);
    hosts
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
    hosts.end_with_lines(collector, 40);
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
