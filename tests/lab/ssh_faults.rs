//! What SSH can do to a collector, with a real sshd: keys, host keys, a server that goes, that freezes, strange login shells.

use std::fs;
use std::time::{Duration, Instant};

use crate::collector::{Config, END_LIMIT};
use crate::elasticsearch::{Document, Elasticsearch, same_numbers};
use crate::lab;
use crate::sshd::Sshd;

const ROUNDS_LIMIT: Duration = Duration::from_secs(60);
/// How long a breaker may keep a host that refused us waiting after it is back, and some rounds.
const BACK_LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_key_that_the_host_does_not_know_is_ssh_error_and_one_login_attempt() {
    let sshd = Sshd::start("wrong-key");
    let mut config = Config::new("wrong-key", &sshd);
    config.private_key = lab::key("stranger");
    let mut collector = config.run();
    let documents = documents_with(&config, "several ticks", |documents| documents.len() >= 10);
    assert_all_ssh_errors(&documents);
    let reason = documents[0].text("reason");
    assert!(reason.contains("key"), "{reason}");
    collector.terminate(END_LIMIT);
    let log = sshd.log();
    let attempts = log.matches("Failed publickey").count();
    assert_eq!(
        attempts, 1,
        "a wrong key is offered once, not at every tick:\n{log}"
    );
}

#[test]
fn a_host_that_known_hosts_does_not_have_is_refused_before_any_login() {
    let sshd = Sshd::start("unknown-host-key");
    let mut config = Config::new("unknown-host-key", &sshd);
    config.known_hosts = config.folder.join("empty_known_hosts");
    fs::write(&config.known_hosts, "").expect("an empty file");
    assert_refused_by_host_key(&config, &sshd);
    assert_eq!(
        fs::read_to_string(&config.known_hosts).expect("the file"),
        ""
    );
}

#[test]
fn a_host_key_that_changed_is_refused_before_any_login() {
    let sshd = Sshd::start("changed-host-key");
    let mut config = Config::new("changed-host-key", &sshd);
    config.known_hosts = sshd.known_hosts("other_host_ed25519");
    assert_refused_by_host_key(&config, &sshd);
}

#[test]
fn accept_new_writes_the_key_down_and_still_refuses_a_changed_one() {
    let sshd = Sshd::start("accept-new");
    let mut config = Config::new("accept-new", &sshd);
    config.known_hosts = config.folder.join("known_hosts");
    config.ssh_lines = vec!["host_key: accept_new".to_owned()];
    let mut collector = config.run();
    documents_with(&config, "an ok round", has_ok);
    collector.terminate(END_LIMIT);
    let known = fs::read_to_string(&config.known_hosts).expect("the file that was written");
    assert!(
        known.contains(&format!("[127.0.0.1]:{} ", sshd.port)),
        "{known}"
    );

    let sshd = Sshd::start("accept-new-changed");
    let mut changed = Config::new("accept-new-changed", &sshd);
    changed.known_hosts = sshd.known_hosts("other_host_ed25519");
    changed.ssh_lines = config.ssh_lines.clone();
    assert_refused_by_host_key(&changed, &sshd);
}

#[test]
fn an_sshd_that_is_stopped_and_started_again_costs_numbers_but_no_tick() {
    let mut sshd = Sshd::start("stopped");
    let config = Config::new("stopped", &sshd);
    let mut collector = config.run();
    documents_with(&config, "an ok round", has_ok);
    sshd.stop();
    let down = documents_with(&config, "ticks without a host", |documents| {
        is_latest(documents, "ssh_error")
    });
    assert_no_numbers_of_errors(&down);
    sshd.start_again();
    documents_with(&config, "numbers again", |documents| {
        is_latest(documents, "ok")
    });
    collector.terminate(END_LIMIT);
    assert_every_second_is_there_once(&config);
}

#[test]
fn a_frozen_sshd_is_noticed_and_used_again_when_it_thaws() {
    let sshd = Sshd::start("frozen");
    let mut config = Config::new("frozen", &sshd);
    config.describe_timeout = "3s";
    config.ssh_lines = vec![
        "dead_after: 3s".to_owned(),
        "connect_timeout: 2s".to_owned(),
    ];
    let mut collector = config.run();
    documents_with(&config, "an ok round", has_ok);
    sshd.freeze();
    let frozen = documents_with(&config, "ticks of a frozen host", |documents| {
        is_latest(documents, "ssh_error") || is_latest(documents, "timeout")
    });
    assert_no_numbers_of_errors(&frozen);
    sshd.thaw();
    documents_with(&config, "numbers again", |documents| {
        is_latest(documents, "ok")
    });
    collector.terminate(END_LIMIT);
    assert_every_second_is_there_once(&config);
}

#[test]
fn a_frozen_sshd_does_not_delay_the_end_of_the_collector() {
    let sshd = Sshd::start("frozen-end");
    let config = Config::new("frozen-end", &sshd);
    let mut collector = config.run();
    documents_with(&config, "an ok round", has_ok);
    sshd.freeze();
    let status = collector.terminate(END_LIMIT);
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn a_silent_drop_is_noticed_within_dead_after_and_costs_no_tick() {
    let sshd = Sshd::start_behind_cable("silent-drop");
    let mut config = Config::new("silent-drop", &sshd);
    config.ssh_lines = vec![
        "dead_after: 4s".to_owned(),
        "connect_timeout: 2s".to_owned(),
    ];
    let mut collector = config.run();
    documents_with(&config, "an ok round", has_ok);
    sshd.cable().cut();
    let cut = Instant::now();
    documents_with(&config, "ticks of a lost host", |documents| {
        is_latest(documents, "ssh_error")
    });
    // Silence is counted from the next send, a tick; then the document has its own way to go.
    assert!(
        cut.elapsed() < Duration::from_secs(4 + 1 + 5),
        "noticed after {:?}",
        cut.elapsed()
    );
    sshd.cable().mend();
    documents_with(&config, "numbers again", |documents| {
        is_latest(documents, "ok")
    });
    collector.terminate(END_LIMIT);
    assert_every_second_is_there_once(&config);
}

#[test]
fn a_frozen_host_never_delays_another() {
    let (frozen, healthy) = (Sshd::start("frozen-neighbour"), Sshd::start("healthy"));
    let mut config = Config::new("two-hosts", &frozen);
    let known = config.folder.join("known_hosts");
    let lines = [&frozen, &healthy].map(|sshd| sshd.known_hosts("host_ed25519"));
    let lines = lines.map(|path| fs::read_to_string(path).expect("known_hosts"));
    fs::write(&known, lines.concat()).expect("known_hosts of both");
    config.known_hosts = known;
    config.second = Some((healthy.address.clone(), healthy.port));
    config.describe_timeout = "3s";
    let mut collector = config.run();
    let has_both = |documents: &[Document]| {
        let ok = |host| {
            documents
                .iter()
                .any(|d| d.text("mirror_host") == host && d.text("outcome") == "ok")
        };
        ok("mm-1") && ok("mm-2")
    };
    documents_with(&config, "both hosts ok", has_both);
    frozen.freeze();
    let before = Elasticsearch::main()
        .documents(&config.index)
        .expect("documents")
        .len();
    let documents = documents_with(&config, "fifteen ticks of the healthy host", |documents| {
        let later = documents.iter().skip(before);
        later
            .filter(|document| document.text("mirror_host") == "mm-2")
            .count()
            >= 30
    });
    assert!(is_seen_lost(&documents), "the frozen host was not noticed");
    collector.terminate(END_LIMIT);
    for document in documents
        .iter()
        .filter(|document| document.text("mirror_host") == "mm-2")
    {
        assert_eq!(
            document.text("outcome"),
            "ok",
            "the healthy host: {document:?}"
        );
    }
    assert_every_second_is_there_once(&config);
}

#[test]
fn login_shell_fish_brings_the_numbers() {
    numbers_come_through_login_shell("fish");
}

#[test]
fn login_shell_tcsh_brings_the_numbers() {
    numbers_come_through_login_shell("tcsh");
}

fn numbers_come_through_login_shell(shell: &str) {
    let sshd = Sshd::start(shell);
    let mut config = Config::new(shell, &sshd).with_cli(crate::kafka::VERSION);
    config.user = format!("mirrorlab-{shell}");
    let table = crate::kafka::describe(lab::STILL_GROUP);
    let mut collector = config.run();
    lab::eventually("the numbers of the CLI", ROUNDS_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        same_numbers(&documents, &table, &config.topics)
    });
    collector.terminate(END_LIMIT);
    sshd.no_process_left_within(Duration::from_secs(10));
}

#[track_caller]
fn assert_refused_by_host_key(config: &Config, sshd: &Sshd) {
    let mut collector = config.run();
    let documents = documents_with(config, "several ticks", |documents| documents.len() >= 4);
    assert_all_ssh_errors(&documents);
    let reason = documents[0].text("reason");
    assert!(reason.contains("host key"), "{reason}");
    collector.terminate(END_LIMIT);
    // The document is short, the log says what to compare and what to type.
    let said = collector.log();
    for words in ["SHA256:", "ssh-keyscan"] {
        assert!(said.contains(words), "{words} must be said:\n{said}");
    }
    let log = sshd.log();
    assert!(
        !log.contains("publickey"),
        "a login was tried on a host nobody vouched for:\n{log}"
    );
    assert!(!log.contains("Accepted"), "{log}");
}

/// The documents of the index as soon as they are as wanted.
#[track_caller]
fn documents_with(
    config: &Config,
    what: &str,
    is_wanted: impl Fn(&[Document]) -> bool,
) -> Vec<Document> {
    lab::eventually(what, BACK_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        lab::claim(
            is_wanted(&documents),
            documents.iter().rev().take(2).collect::<Vec<_>>(),
        )?;
        Ok(documents)
    })
}

fn has_ok(documents: &[Document]) -> bool {
    documents
        .iter()
        .any(|document| document.text("outcome") == "ok")
}

fn is_latest(documents: &[Document], outcome: &str) -> bool {
    documents
        .last()
        .is_some_and(|document| document.text("outcome") == outcome)
}

fn is_seen_lost(documents: &[Document]) -> bool {
    let mut of_frozen = documents
        .iter()
        .filter(|document| document.text("mirror_host") == "mm-1");
    of_frozen
        .next_back()
        .is_some_and(|document| document.text("outcome") != "ok")
}

#[track_caller]
fn assert_all_ssh_errors(documents: &[Document]) {
    for document in documents {
        assert_eq!(document.text("outcome"), "ssh_error", "{document:?}");
    }
    assert_no_numbers_of_errors(documents);
}

#[track_caller]
fn assert_no_numbers_of_errors(documents: &[Document]) {
    for document in documents
        .iter()
        .filter(|document| document.text("outcome") != "ok")
    {
        assert!(document.partitions().is_empty(), "{document:?}");
    }
}

/// One record per topic and second from the first to the last, in the journal and, delivered, in Elasticsearch.
#[track_caller]
fn assert_every_second_is_there_once(config: &Config) {
    crate::delivery::assert_index_equals_journal(config, &Elasticsearch::main());
    crate::delivery::assert_no_tick_is_missing(config, 1000);
}
