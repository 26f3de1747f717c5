//! In: topics, groups. Out: real Kafka with them: records, MirrorMakers, consumers, and what the CLI prints.
//! Never: reads the CLI's table the way the collector does: here awk goes by the words of the header.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab;
use crate::process::{self, Process};

/// The version that the broker and the MirrorMakers have.
pub const VERSION: &str = "3.9.1";
/// Kafka's own tools need a second each; several at once on two cores a multiple.
pub const TOOL_LIMIT: Duration = Duration::from_secs(90);

/// Per topic and partition what the LAG column says; `None` is a dash.
pub type Table = BTreeMap<String, BTreeMap<i32, Option<i64>>>;

/// `kafka-consumer-groups.sh` of that version, as a mirror host has it.
pub fn cli(version: &str) -> PathBuf {
    lab::run_folder().join(format!("kafka-{version}/bin/kafka-consumer-groups.sh"))
}

/// Client properties of that version, for `command_config`.
pub fn command_config(version: &str) -> PathBuf {
    lab::run_folder().join(format!("kafka-{version}/config/mm_consumer.properties"))
}

/// Prints at once what the real CLI printed of the group that never changes.
pub fn recorded_cli() -> PathBuf {
    lab::run_folder().join("recorded/kafka-consumer-groups.sh")
}

/// The same, but each describe takes that long; a copy of its own.
pub fn slow_recorded_cli(seconds: u32) -> PathBuf {
    let folder = lab::folder("slow-cli");
    for name in ["kafka-consumer-groups.sh", "stdout", "stderr"] {
        let original = lab::run_folder().join("recorded").join(name);
        std::fs::copy(original, folder.join(name)).expect("a copy of the recorded CLI");
    }
    std::fs::write(folder.join("seconds"), seconds.to_string()).expect("its slowness");
    folder.join("kafka-consumer-groups.sh")
}

/// A CLI of the test's own: a shell script, which finds the recorded table in `$recorded` and its own folder in `$folder`.
pub fn script_as_cli(stem: &str, text: &str) -> PathBuf {
    let folder = lab::folder(stem);
    // Logins write there what they have to tell the test.
    set_mode(&folder, 0o777);
    let path = folder.join("kafka-consumer-groups.sh");
    let recorded = lab::run_folder().join("recorded/stdout");
    let script = format!(
        "#!/bin/sh\nfolder={}; recorded={}\n{text}\n",
        folder.display(),
        recorded.display()
    );
    std::fs::write(&path, script).expect("a CLI");
    set_mode(&path, 0o755);
    path
}

fn set_mode(path: &Path, mode: u32) {
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("its mode");
}

fn java_tool(class: &str) -> Command {
    let script = lab::run_folder().join(format!("kafka-{VERSION}/bin/kafka-run-class.sh"));
    let mut command = Command::new(script);
    command.arg(class).envs([
        ("KAFKA_HEAP_OPTS", "-Xmx256M"),
        (
            "KAFKA_JVM_PERFORMANCE_OPTS",
            "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        ),
        ("KAFKA_JMX_OPTS", " "),
    ]);
    command
}

pub fn create_topic(topic: &str, partitions: u32) {
    process::stdout_of(
        java_tool("org.apache.kafka.tools.TopicCommand")
            .args(["--bootstrap-server", &lab::source_broker(), "--create"])
            .args(["--topic", topic, "--partitions", &partitions.to_string()]),
    );
}

/// Records in small batches, so that every partition gets some.
pub fn produce(topic: &str, records: u32) {
    process::stdout_of(
        java_tool("org.apache.kafka.tools.ProducerPerformance")
            .args(["--topic", topic, "--num-records", &records.to_string()])
            .args([
                "--record-size",
                "100",
                "--throughput",
                "-1",
                "--producer-props",
            ])
            .arg(format!("bootstrap.servers={}", lab::source_broker()))
            .arg("batch.size=1000"),
    );
}

/// MirrorMaker 1 from the source to the target cluster, in that consumer group.
pub fn mirror_maker(group: &str, topics: &[String], commit_every: Duration) -> Process {
    let folder = lab::folder("mirror-maker");
    let consumer = format!(
        "bootstrap.servers={}\ngroup.id={group}\nauto.offset.reset=earliest\n",
        lab::source_broker()
    );
    let producer = format!(
        "bootstrap.servers=127.0.0.1:{}\n",
        lab::port("KAFKA_TARGET")
    );
    std::fs::write(folder.join("consumer.properties"), consumer).expect("consumer.properties");
    std::fs::write(folder.join("producer.properties"), producer).expect("producer.properties");
    let mut command = java_tool("kafka.tools.MirrorMaker");
    command
        .arg("--consumer.config")
        .arg(folder.join("consumer.properties"))
        .arg("--producer.config")
        .arg(folder.join("producer.properties"))
        .args(["--include", &topics.join("|"), "--num.streams", "2"])
        .args([
            "--offset.commit.interval.ms",
            &commit_every.as_millis().to_string(),
        ]);
    Process::start("MirrorMaker", &mut command, folder.join("mirror-maker.log"))
}

/// A consumer that reads on and on; its session outlives any test when it is stopped with SIGSTOP.
pub fn consumer(group: &str, topic: &str) -> Process {
    let folder = lab::folder("consumer");
    let mut command = java_tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    command
        .args([
            "--bootstrap-server",
            &lab::source_broker(),
            "--topic",
            topic,
        ])
        .args([
            "--group",
            group,
            "--consumer-property",
            "session.timeout.ms=300000",
        ])
        .args(["--consumer-property", "auto.commit.interval.ms=500"]);
    Process::start("consumer", &mut command, folder.join("consumer.log"))
}

/// What the CLI of the brokers' version prints of a group, here and not through SSH.
#[track_caller]
pub fn describe(group: &str) -> Table {
    describe_with(VERSION, group)
}

/// A group that has no table at all is asked for so often in vain: some seconds.
const DESCRIBE_ATTEMPTS: usize = 4;

#[track_caller]
pub fn describe_with(version: &str, group: &str) -> Table {
    let by_header = r#"$1 == "GROUP" { for (i = 1; i <= NF; i++) at[$i] = i; next }
        NF > 3 && ("LAG" in at) { print $at["TOPIC"], $at["PARTITION"], $at["LAG"] }"#;
    let command = format!(
        "{} --bootstrap-server {} --group {group} --describe | awk '{by_header}'",
        cli(version).display(),
        lab::source_broker()
    );
    // On a busy machine the CLI's own calls time out, and it prints `Error:` instead of a table: then it is asked again.
    let rows = (0..DESCRIBE_ATTEMPTS)
        .map(|_| process::stdout_of(Command::new("sh").args(["-c", &command])))
        .find(|rows| !rows.is_empty())
        .unwrap_or_default();
    let mut table = Table::new();
    for line in rows.lines() {
        let [topic, partition, lag] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not a row: {line:?}");
        };
        let partition = partition.parse().expect("a partition");
        // A dash is no number; anything else that is none would be seen as a difference.
        let row = (partition, lag.parse().ok());
        table.entry(topic.to_owned()).or_default().extend([row]);
    }
    table
}

/// The words of the CLI about a group, both streams.
pub fn describe_text(group: &str) -> String {
    let mut command = Command::new(cli(VERSION));
    command.args([
        "--bootstrap-server",
        &lab::source_broker(),
        "--group",
        group,
        "--describe",
    ]);
    let output = process::output_of(&mut command);
    let (stdout, stderr) = (output.stdout, output.stderr);
    String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
}

/// Commits that offset for every partition of the topics, in a group without members.
pub fn commit(group: &str, topics: &[String], offset: i64) {
    let mut command = Command::new(cli(VERSION));
    command
        .args([
            "--bootstrap-server",
            &lab::source_broker(),
            "--group",
            group,
        ])
        .args([
            "--reset-offsets",
            "--execute",
            "--to-offset",
            &offset.to_string(),
        ]);
    for topic in topics {
        command.args(["--topic", topic]);
    }
    process::stdout_of(&mut command);
}
