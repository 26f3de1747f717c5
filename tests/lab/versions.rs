//! Other versions that users have: CLIs against the same broker, Elasticsearch before and after ours.

use std::time::Duration;

use crate::collector::{Config, END_LIMIT, text_of};
use crate::delivery::{assert_index_equals_journal, wait_for_documents};
use crate::elasticsearch::{Elasticsearch, same_numbers};
use crate::sshd::Sshd;
use crate::{kafka, lab};

const ROUNDS_LIMIT: Duration = Duration::from_secs(90);

#[test]
fn cli_2_6_brings_its_own_numbers() {
    cli_brings_its_own_numbers("2.6.3");
}

#[test]
fn cli_3_4_brings_its_own_numbers() {
    cli_brings_its_own_numbers("3.4.1");
}

#[test]
fn cli_3_7_brings_its_own_numbers() {
    cli_brings_its_own_numbers("3.7.2");
}

#[test]
fn cli_4_1_brings_its_own_numbers() {
    cli_brings_its_own_numbers("4.1.0");
}

#[test]
fn elasticsearch_7_17_accepts_a_run() {
    accepts_a_run("seven", "7.17.28", lab::port("ELASTICSEARCH_7"));
}

#[test]
fn elasticsearch_9_2_accepts_a_run() {
    accepts_a_run("nine", "9.2.0", lab::port("ELASTICSEARCH_9"));
}

fn cli_brings_its_own_numbers(version: &str) {
    let sshd = Sshd::start("cli-version");
    let config = Config::new("cli-version", &sshd).with_cli(version);
    let table = kafka::describe_with(version, lab::STILL_GROUP);
    assert_eq!(
        table,
        kafka::describe(lab::STILL_GROUP),
        "CLIs of one broker agree"
    );
    let mut collector = config.run();
    let documents = lab::eventually("the numbers of the CLI", ROUNDS_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        same_numbers(&documents, &table, &config.topics)?;
        Ok(documents)
    });
    collector.terminate(END_LIMIT);
    assert_eq!(
        documents[0].text("group_state"),
        "empty",
        "{:?}",
        documents[0]
    );
    // `check` must find out which CLI it is.
    let check = config.check();
    let text = text_of(&check);
    assert_eq!(check.status.code(), Some(0), "{text}");
    assert!(text.contains(version), "the version must be named:\n{text}");
}

fn accepts_a_run(name: &str, version: &str, port: u16) {
    let sshd = Sshd::start(name);
    let server = Elasticsearch::own(name, version, port);
    let mut config = Config::new(name, &sshd);
    config.elasticsearch_url = server.url();
    let check = config.check();
    assert_eq!(check.status.code(), Some(0), "{}", text_of(&check));
    let mut collector = config.run();
    wait_for_documents(&server, &config, 8);
    collector.terminate(END_LIMIT);
    assert_index_equals_journal(&config, &server);
    let documents = server.documents(&config.index).expect("documents");
    let table = kafka::describe(lab::STILL_GROUP);
    same_numbers(&documents, &table, &config.topics).expect("the numbers of the CLI");
}
