//! `check`, `once` and `run` as an operator types them, on real parts.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::collector::{Config, END_LIMIT, Shape, text_of};
use crate::delivery::wait_for_documents;
use crate::elasticsearch::{Document, Elasticsearch, same_numbers};
use crate::process::Process;
use crate::sshd::Sshd;
use crate::{kafka, lab};

#[test]
fn check_passes_on_the_lab_and_leaves_nothing_behind() {
    let sshd = Sshd::start("check");
    let config = Config::new("check", &sshd).with_cli(kafka::VERSION);
    let check = config.check();
    let text = text_of(&check);
    assert_eq!(check.status.code(), Some(0), "{text}");
    for word in [
        "mm-1",
        "still-orders",
        "still-payments",
        "elasticsearch",
        kafka::VERSION,
    ] {
        assert!(text.contains(word), "nothing about {word}:\n{text}");
    }
    sshd.no_process_left_within(Duration::from_secs(5));
    let (status, _) = Elasticsearch::main().request("GET", &format!("/{}", config.index), None);
    assert_eq!(status, 404, "check must not create the index");
    assert!(
        !config.journal().exists(),
        "check must not create the journal"
    );
}

#[test]
fn check_names_a_wrong_key_a_wrong_path_and_a_wrong_password() {
    let sshd = Sshd::start("check-wrong");
    let mut wrong_key = Config::new("check-wrong-key", &sshd);
    wrong_key.private_key = lab::key("stranger");
    assert_check_fails(&wrong_key, &["authorized_keys"]);

    let mut wrong_path = Config::new("check-wrong-path", &sshd);
    wrong_path.consumer_groups = PathBuf::from("/opt/no-kafka-here/bin/kafka-consumer-groups.sh");
    assert_check_fails(
        &wrong_path,
        &["/opt/no-kafka-here/bin/kafka-consumer-groups.sh"],
    );

    let mut wrong_host_key = Config::new("check-wrong-host-key", &sshd);
    wrong_host_key.known_hosts = sshd.known_hosts("other_host_ed25519");
    assert_check_fails(&wrong_host_key, &["SHA256:", "ssh-keygen -R"]);

    let mut wrong_password = Config::new("check-wrong-password", &sshd);
    wrong_password.password = "not-the-password".to_owned();
    assert_check_fails(&wrong_password, &["password"]);
}

#[test]
fn check_names_a_missing_group_a_missing_topic_and_brokers_that_are_down() {
    let sshd = Sshd::start("check-kafka");
    let mut missing_group = Config::new("check-group", &sshd).with_cli(kafka::VERSION);
    missing_group.group = "nobody-made-this-group".to_owned();
    assert_check_fails(&missing_group, &["nobody-made-this-group"]);

    let mut missing_topic = Config::new("check-topic", &sshd).with_cli(kafka::VERSION);
    missing_topic.topics = vec!["still-invoices".to_owned()];
    assert_check_fails(&missing_topic, &["still-invoices"]);

    let mut no_broker = Config::new("check-broker", &sshd).with_cli(kafka::VERSION);
    no_broker.bootstrap_server = format!("127.0.0.1:{}", lab::port("NOBODY"));
    assert_check_fails(&no_broker, &[&no_broker.bootstrap_server]);
}

#[test]
fn once_in_a_pipe_prints_a_json_line_per_topic_with_the_numbers_of_the_cli() {
    let sshd = Sshd::start("once");
    let mut config = Config::new("once", &sshd).with_cli(kafka::VERSION);
    config.shape = Shape::Group;
    let once = config.once();
    assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
    let stdout = String::from_utf8(once.stdout).expect("UTF-8");
    let documents: Vec<Document> = stdout
        .lines()
        .map(|line| Document {
            source: serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")),
        })
        .collect();
    assert_eq!(documents.len(), config.topics.len(), "{stdout}");
    let table = kafka::describe(lab::STILL_GROUP);
    same_numbers(&documents, &table, &config.topics).expect("the numbers of the CLI");
    assert!(!config.journal().exists(), "once writes nowhere");
    sshd.no_process_left_within(Duration::from_secs(5));
}

#[test]
fn once_with_a_topic_that_is_missing_is_partial() {
    let sshd = Sshd::start("once-partial");
    let mut config = Config::new("once-partial", &sshd).with_cli(kafka::VERSION);
    config.topics.push("still-invoices".to_owned());
    let once = config.once();
    assert_eq!(once.status.code(), Some(1), "{}", text_of(&once));
    let lines = String::from_utf8(once.stdout).expect("UTF-8");
    assert_eq!(lines.lines().count(), 3, "{lines}");
}

#[test]
fn a_second_process_on_the_same_journal_is_refused_and_the_first_goes_on() {
    let sshd = Sshd::start("same-journal");
    let server = Elasticsearch::main();
    let config = Config::new("same-journal", &sshd);
    let mut first = config.run();
    wait_for_documents(&server, &config, 4);
    let mut second: Process = config.run();
    let status = second.ended_within(Duration::from_secs(15));
    assert_eq!(status.code(), Some(3), "could not start: {}", second.log());
    assert!(second.log().contains("journal"), "{}", second.log());
    let so_far = server.documents(&config.index).expect("documents").len();
    wait_for_documents(&server, &config, so_far + 4);
    assert_eq!(first.terminate(END_LIMIT).code(), Some(0));
}

#[test]
fn no_secret_is_in_what_run_says_or_writes() {
    let sshd = Sshd::start("secret");
    let config = Config::new("secret", &sshd);
    let mut collector = config.run();
    wait_for_documents(&Elasticsearch::main(), &config, 4);
    collector.terminate(END_LIMIT);
    let log = collector.log();
    assert!(!log.contains(lab::PASSWORD), "{log}");
    let records: Vec<Value> = config
        .records()
        .into_iter()
        .map(|record| record.body)
        .collect();
    assert!(!format!("{records:?}").contains(lab::PASSWORD));
}

#[track_caller]
fn assert_check_fails(config: &Config, words: &[&str]) {
    let check = config.check();
    let text = text_of(&check);
    assert_eq!(check.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "nothing about {word:?}:\n{text}");
    }
}
