//! A round without numbers still brings a document that says why: each outcome, on real parts.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::collector::{Config, END_LIMIT};
use crate::elasticsearch::{Document, Elasticsearch};
use crate::sshd::Sshd;
use crate::{kafka, lab};

/// A round of the CLI that runs into its own time-outs, on two busy cores, and its delivery.
const FIRST_DOCUMENT_LIMIT: Duration = Duration::from_secs(90);

#[test]
fn an_unknown_group_is_group_missing() {
    let sshd = Sshd::start("unknown-group");
    let mut config = Config::new("unknown-group", &sshd).with_cli(kafka::VERSION);
    config.group = "nobody-made-this-group".to_owned();
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "group_missing", "{document:?}");
    assert_eq!(document.text("group_state"), "unknown");
    assert_no_numbers(&document);
}

#[test]
fn a_group_whose_name_looks_like_an_option_is_asked_for_as_a_group() {
    let sshd = Sshd::start("option-group");
    let mut config = Config::new("option-group", &sshd).with_cli(kafka::VERSION);
    config.group = "--delete".to_owned();
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "group_missing", "{document:?}");
    assert_reason(&document, "'--delete' does not exist");
}

#[test]
fn a_topic_that_is_not_in_the_table_is_no_rows_and_its_neighbour_is_ok() {
    let sshd = Sshd::start("absent-topic");
    let mut config = Config::new("absent-topic", &sshd).with_cli(kafka::VERSION);
    // A prefix of a topic that is there: `grep` would have taken it.
    config.topics = vec!["still".to_owned()];
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "no_rows", "{document:?}");
    assert_eq!(document.text("group_state"), "empty");
    assert_no_numbers(&document);
}

#[test]
fn brokers_that_do_not_answer_are_cli_error_in_the_words_of_kafka() {
    let sshd = Sshd::start("wrong-bootstrap");
    let mut config = Config::new("wrong-bootstrap", &sshd).with_cli(kafka::VERSION);
    config.bootstrap_server = format!("127.0.0.1:{}", lab::port("NOBODY"));
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "cli_error", "{document:?}");
    assert_reason(&document, "TimeoutException");
    assert_no_numbers(&document);
}

#[test]
fn a_cli_that_is_not_there_is_cli_error_with_its_path() {
    let sshd = Sshd::start("wrong-path");
    let mut config = Config::new("wrong-path", &sshd);
    config.consumer_groups = PathBuf::from("/opt/no-kafka-here/bin/kafka-consumer-groups.sh");
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "cli_error", "{document:?}");
    assert_reason(&document, "/opt/no-kafka-here/bin/kafka-consumer-groups.sh");
    assert_no_numbers(&document);
}

#[test]
fn a_missing_command_config_is_cli_error_with_its_path() {
    let sshd = Sshd::start("missing-config");
    let mut config = Config::new("missing-config", &sshd).with_cli(kafka::VERSION);
    config.command_config = Some(PathBuf::from("/etc/no-such-client.properties"));
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "cli_error", "{document:?}");
    assert_reason(&document, "/etc/no-such-client.properties");
    assert_no_numbers(&document);
}

#[test]
fn a_group_without_members_is_ok_with_its_numbers_and_state_empty() {
    let sshd = Sshd::start("without-members");
    let config = Config::new("without-members", &sshd).with_cli(kafka::VERSION);
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "ok", "{document:?}");
    assert_eq!(document.text("group_state"), "empty");
    let table = kafka::describe(lab::STILL_GROUP);
    assert_eq!(document.partitions(), table[document.text("topic")]);
}

#[test]
fn a_group_that_never_committed_is_ok_with_every_partition_unknown() {
    let sshd = Sshd::start("never-committed");
    let (group, topic) = (lab::unique("never-committed"), lab::unique("silent"));
    kafka::create_topic(&topic, 3);
    let topics = [topic.clone()];
    let _mirror_maker = kafka::mirror_maker(&group, &topics, Duration::from_secs(3600));
    lab::eventually("rows with dashes", kafka::TOOL_LIMIT, || {
        let table = kafka::describe(&group);
        let rows = table.get(&topic);
        lab::claim(rows.is_some_and(|rows| rows.len() == 3), &table)
    });
    let mut config = Config::new("never-committed", &sshd).with_cli(kafka::VERSION);
    config.group = group;
    config.topics = vec![topic];
    let document = first_document(&config);
    assert_eq!(document.text("outcome"), "ok", "{document:?}");
    assert_eq!(document.text("group_state"), "stable");
    assert_eq!(document.partitions().len(), 3, "{document:?}");
    assert_eq!(
        document.source["partitions_unknown"],
        serde_json::json!([0, 1, 2])
    );
    assert_no_numbers(&document);
}

#[test]
fn a_group_that_is_rebalancing_says_so() {
    let sshd = Sshd::start("rebalancing");
    let (group, topic) = (lab::unique("rebalancing"), lab::unique("contested"));
    kafka::create_topic(&topic, 2);
    kafka::produce(&topic, 100);
    let first = kafka::consumer(&group, &topic);
    lab::eventually("the first member reads", kafka::TOOL_LIMIT, || {
        let table = kafka::describe(&group);
        lab::claim(
            table.get(&topic).is_some_and(|rows| rows.len() == 2),
            &table,
        )
    });
    // A member that does not move cannot join again, so the second keeps the group waiting until its session ends.
    first.signal(Signal::STOP);
    let _second = kafka::consumer(&group, &topic);
    lab::eventually("the CLI says rebalancing", kafka::TOOL_LIMIT, || {
        let text = kafka::describe_text(&group);
        lab::claim(text.contains("is rebalancing"), text)
    });
    let mut config = Config::new("rebalancing", &sshd).with_cli(kafka::VERSION);
    config.group = group.clone();
    config.topics = vec![topic];
    let document = first_document(&config);
    let text = kafka::describe_text(&group);
    assert!(
        text.contains("is rebalancing"),
        "the group did not stay so: {text}"
    );
    assert_eq!(document.text("group_state"), "rebalancing", "{document:?}");
    first.signal(Signal::CONT);
}

/// Runs the collector until its first document is in Elasticsearch.
#[track_caller]
fn first_document(config: &Config) -> Document {
    let mut collector = config.run();
    let document = lab::eventually("the first document", FIRST_DOCUMENT_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        documents
            .first()
            .cloned()
            .ok_or("an empty index".to_owned())
    });
    collector.terminate(END_LIMIT);
    document
}

/// Unknown is absent, never 0.
#[track_caller]
fn assert_no_numbers(document: &Document) {
    let numbers = document.partitions().into_values().flatten().count();
    assert_eq!(numbers, 0, "{document:?}");
    assert!(
        document
            .source
            .get("lag_total")
            .is_none_or(serde_json::Value::is_null),
        "{document:?}"
    );
    assert!(
        document
            .source
            .get("lag_max")
            .is_none_or(serde_json::Value::is_null),
        "{document:?}"
    );
}

#[track_caller]
fn assert_reason(document: &Document, words: &str) {
    assert!(document.text("reason").contains(words), "{document:?}");
}
