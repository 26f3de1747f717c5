//! Promise 1: what the CLI prints on the mirror host is what stands in Elasticsearch, partition by partition.

use std::time::Duration;

use crate::collector::{Config, END_LIMIT, Shape};
use crate::elasticsearch::{Document, Elasticsearch, same_numbers};
use crate::kafka::{self, TOOL_LIMIT, Table};
use crate::lab;
use crate::sshd::Sshd;

/// A few rounds of a real CLI on two busy cores.
const ROUNDS_LIMIT: Duration = Duration::from_secs(90);

#[test]
fn topics_entries_bring_the_numbers_of_the_cli_and_zero_after_catching_up() {
    documents_equal_the_cli(Shape::Topics, "numbers-topics");
}

#[test]
fn a_groups_entry_brings_the_numbers_of_the_cli_and_zero_after_catching_up() {
    documents_equal_the_cli(Shape::Group, "numbers-group");
}

#[test]
fn a_groups_entry_without_a_list_brings_every_topic_of_the_table_and_those_that_come_later() {
    let group = lab::unique("whole-group");
    let topics = [lab::unique("whole-orders"), lab::unique("whole-payments")];
    let sshd = Sshd::start("whole-group");
    kafka::create_topic(&topics[0], 2);
    kafka::produce(&topics[0], 200);
    kafka::commit(&group, &topics[..1], 5);

    let mut config = Config::new("whole-group", &sshd).with_cli(kafka::VERSION);
    config.shape = Shape::WholeGroup;
    config.group = group.clone();
    let mut collector = config.run();
    equal_within_limit(&config, &kafka::describe(&group), &topics[..1]);

    kafka::create_topic(&topics[1], 3);
    kafka::produce(&topics[1], 300);
    kafka::commit(&group, &topics[1..], 5);
    equal_within_limit(&config, &kafka::describe(&group), &topics);
    collector.terminate(END_LIMIT);
}

#[test]
fn a_partition_without_a_commit_of_a_group_without_members_is_absent_as_in_the_table() {
    let sshd = Sshd::start("absent-partition");
    let config = Config::new("absent-partition", &sshd).with_cli(kafka::VERSION);
    let table = kafka::describe(lab::STILL_GROUP);
    assert!(
        !table["still-orders"].contains_key(&3),
        "the lab changed: {table:?}"
    );
    let mut collector = config.run();
    equal_within_limit(&config, &table, &config.topics);
    collector.terminate(END_LIMIT);
}

fn documents_equal_the_cli(shape: Shape, stem: &str) {
    // Longer than ten characters, so that consumer ids fill their column as they do for users.
    let group = lab::unique(&format!("oasis-{stem}"));
    let topics: Vec<String> = ["orders", "payments", "invoices"]
        .map(|topic| lab::unique(&format!("{stem}-{topic}")))
        .to_vec();
    let sshd = Sshd::start(stem);
    let mut config = Config::new(stem, &sshd).with_cli(kafka::VERSION);
    config.shape = shape;
    config.group = group.clone();
    config.topics = topics.clone();
    for (topic, partitions) in topics.iter().zip([4, 3, 2]) {
        kafka::create_topic(topic, partitions);
        kafka::produce(topic, 300);
    }
    let mut mirror_maker = kafka::mirror_maker(&group, &topics, Duration::from_secs(1));
    caught_up(&group, &topics);

    // While nobody mirrors, the lag only grows by what is produced, so both sides can be compared at leisure.
    mirror_maker.terminate(Duration::from_secs(60));
    for (topic, records) in topics.iter().zip([700, 1100, 50]) {
        kafka::produce(topic, records);
    }
    let table = kafka::describe(&group);
    let lag: i64 = table
        .values()
        .flat_map(|rows| rows.values().flatten())
        .sum();
    assert_eq!(lag, 700 + 1100 + 50, "the lab's own numbers: {table:?}");
    let mut collector = config.run();
    let documents = equal_within_limit(&config, &table, &topics);
    print_side_by_side(&table, &documents);

    // The CLI says again what it said, so the comparison was not of two moments.
    assert_eq!(kafka::describe(&group), table);
    let _mirror_maker = kafka::mirror_maker(&group, &topics, Duration::from_secs(1));
    let zeros = caught_up(&group, &topics);
    equal_within_limit(&config, &zeros, &topics);
    collector.terminate(END_LIMIT);
}

/// Waits until the CLI prints lag 0 for every partition of these topics, and gives that table.
#[track_caller]
fn caught_up(group: &str, topics: &[String]) -> Table {
    lab::eventually("the MirrorMaker catches up", TOOL_LIMIT * 2, || {
        let table = kafka::describe(group);
        let is_zero = |topic| {
            let rows = table.get(topic);
            rows.is_some_and(|rows| rows.values().all(|lag| *lag == Some(0)))
        };
        lab::claim(topics.iter().all(is_zero), &table)?;
        Ok(table)
    })
}

#[track_caller]
fn equal_within_limit(config: &Config, table: &Table, topics: &[String]) -> Vec<Document> {
    lab::eventually("documents equal the CLI", ROUNDS_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        same_numbers(&documents, table, topics)?;
        Ok(documents)
    })
}

/// For the reader of `tests/run --nocapture`: the two sides, one line per partition.
fn print_side_by_side(table: &Table, documents: &[Document]) {
    for (topic, rows) in table {
        let mut of_topic = documents
            .iter()
            .filter(|document| document.text("topic") == topic);
        let latest = of_topic.next_back().expect("a document").partitions();
        for (partition, lag) in rows {
            println!(
                "{topic:32} p{partition:<3} CLI {lag:?} document {:?}",
                latest.get(partition)
            );
        }
    }
}
