use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;

use super::*;
use crate::kafka::{Jvm, Settings};
use crate::ssh::{self, HostKeyPolicy};

fn host() -> Arc<MirrorHost> {
    Arc::new(MirrorHost {
        name: "mm-1".to_owned(),
        cluster: None,
        ssh: ssh::Settings {
            address: "10.0.0.11".to_owned(),
            port: 22,
            user: "ec2-user".to_owned(),
            private_key: Some(PathBuf::from("/keys/my key.pem")),
            passphrase: None,
            agent: false,
            known_hosts: PathBuf::from("/keys/known_hosts"),
            host_key: HostKeyPolicy::Strict,
            connect_timeout: Duration::from_secs(1),
            dead_after: Duration::from_secs(3),
            jump: None,
        },
        kafka: Settings {
            consumer_groups: "/opt/kafka/bin/kafka-consumer-groups.sh".to_owned(),
            java_home: None,
            jvm: Jvm::Light,
            timeout: None,
        },
        describes_per_host: 2,
        handshakes_per_host: 4,
    })
}

fn source(group: &str, topics: Topics) -> SourceSettings {
    SourceSettings {
        name: format!("mm-1/{group}"),
        mirror_host: host(),
        describe: Describe {
            group: group.to_owned(),
            bootstrap_servers: vec!["b1:9092".to_owned()],
            command_config: None,
            limit: Duration::from_secs(30),
        },
        interval: Duration::from_secs(10),
        topics,
    }
}

fn listed_topics(names: &[&str]) -> Topics {
    Topics::Listed(names.iter().map(|name| (*name).to_owned()).collect())
}

/// What a real CLI printed; see `tests/describe/SOURCES.md`.
fn captured(name: &str) -> RoundText {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/describe");
    let read = |end: &str| fs::read_to_string(folder.join(format!("{name}{end}")));
    RoundText {
        tick: "1".to_owned(),
        stdout: read(".txt").unwrap(),
        // A run that said nothing there has no such file.
        stderr: read(".stderr.txt").unwrap_or_default(),
        ..RoundText::default()
    }
}

/// Verdict, link and text of each finding, one per line, and whether the brokers answered.
fn judged(source: SourceSettings, round: &RoundText) -> (bool, String) {
    let question = Question::gather([source].into_iter()).remove(0);
    let (answered, findings) = findings(&host(), &question, round, Duration::from_secs(1));
    let lines = findings.iter().map(|finding| {
        let (word, text) = match &finding.verdict {
            Verdict::Passed(text) => ("ok", text.clone()),
            Verdict::Warned { what, mend } => ("warn", format!("{what} | {mend}")),
            Verdict::Failed { why, mend } => ("FAIL", format!("{why} | {mend}")),
            Verdict::Skipped(why) => ("skip", why.clone()),
        };
        format!("{word} {} {} {text}\n", finding.subject, finding.link)
    });
    (answered, lines.collect())
}

#[test]
fn a_group_at_work_shows_the_partitions_and_the_lag_of_each_topic() {
    let round = captured("3.9.1_mirrormaker");
    let topics = listed_topics(&["payments", "silent", "paymentz", "elsewhere"]);
    let (answered, text) = judged(source("oasis-group", topics), &round);
    assert!(answered);
    assert!(
        text.starts_with("ok mm-1/oasis-group brokers b1:9092\nok mm-1/oasis-group group stable, "),
        "{text}"
    );
    assert!(
        text.contains("ok mm-1/oasis-group/payments topic 3 partitions, lag 0\n"),
        "{text}"
    );
    assert!(
        text.contains("warn mm-1/oasis-group/silent topic 2 partitions, no lag known"),
        "{text}"
    );
    assert!(text.contains("| did you mean \"payments\"?\n"), "{text}");
    assert!(
        text.contains("FAIL mm-1/oasis-group/elsewhere topic"),
        "{text}"
    );
    assert!(
        text.contains("(in the table: orders, payments, silent)"),
        "{text}"
    );
}

#[test]
fn a_group_without_list_names_what_it_found_and_counts_what_it_excludes() {
    let exclude = vec![Regex::new("^silent$").unwrap()];
    let all = source("oasis-group", Topics::All { exclude });
    let (_, text) = judged(all, &captured("3.9.1_mirrormaker"));
    assert!(
        text.contains("ok mm-1/oasis-group topics 2 topics: orders, payments, 1 excluded\n"),
        "{text}"
    );
    let exclude = vec![Regex::new(".").unwrap()];
    let none = source("oasis-group", Topics::All { exclude });
    let (_, text) = judged(none, &captured("3.9.1_mirrormaker"));
    assert!(
        text.contains("warn mm-1/oasis-group topics no topic in the table, 3 excluded"),
        "{text}"
    );
}

#[test]
fn a_group_that_nobody_works_for_is_a_warning_and_its_topics_are_judged() {
    let topics = listed_topics(&["payments"]);
    let (_, text) = judged(
        source("empty-group", topics),
        &captured("3.9.1_empty_group"),
    );
    assert!(
        text.contains("warn mm-1/empty-group group has no active members"),
        "{text}"
    );
    assert!(
        text.contains("ok mm-1/empty-group/payments topic"),
        "{text}"
    );
}

#[test]
fn a_topic_missing_in_a_rebalance_is_a_warning_else_a_failure() {
    let topics = || listed_topics(&["somewhere"]);
    let round = captured("3.9.1_rebalancing");
    let (_, text) = judged(source("stuck-group", topics()), &round);
    assert!(
        text.contains("warn mm-1/stuck-group group is rebalancing"),
        "{text}"
    );
    assert!(
        text.contains("warn mm-1/stuck-group/somewhere topic"),
        "{text}"
    );
    let (_, text) = judged(
        source("empty-group", topics()),
        &captured("3.9.1_empty_group"),
    );
    assert!(
        text.contains("FAIL mm-1/empty-group/somewhere topic"),
        "{text}"
    );
}

#[test]
fn a_group_that_does_not_exist_fails_with_the_command_that_lists_all() {
    for name in ["0.10.1.1", "2.6.3", "3.9.1"] {
        let round = captured(&format!("{name}_unknown_group"));
        let (answered, text) = judged(
            source("no-such-group", Topics::One("orders".to_owned())),
            &round,
        );
        assert!(answered, "the brokers said so");
        assert!(
            text.contains("FAIL mm-1/no-such-group group"),
            "{name}: {text}"
        );
        assert!(
            text.contains("--bootstrap-server b1:9092 --list'"),
            "{name}: {text}"
        );
        assert!(
            text.contains("skip mm-1/no-such-group topics 1 topic was not judged"),
            "{text}"
        );
    }
}

#[test]
fn brokers_that_do_not_answer_fail_for_the_group_and_for_all_that_ask_them() {
    for name in ["1.0.2", "2.2.2", "2.6.3", "3.9.1"] {
        let round = captured(&format!("{name}_wrong_port"));
        let (answered, text) = judged(source("oasis-group", listed_topics(&["a", "b"])), &round);
        assert!(!answered, "{name}: {text}");
        assert!(
            text.starts_with("FAIL mm-1/oasis-group brokers b1:9092: "),
            "{name}: {text}"
        );
        assert!(text.contains("nc -zv b1 9092"), "{name}: {text}");
        assert!(
            text.contains("2 topics were not judged: brokers failed"),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_group_without_rights_does_not_keep_others_from_being_asked() {
    let round = RoundText {
        stdout: "\nError: Executing consumer group command failed due to org.apache.kafka.common.errors.GroupAuthorizationException: Not authorized to access group: it's mine\n".to_owned(),
        ..RoundText::default()
    };
    let (answered, text) = judged(source("it's mine", listed_topics(&["a"])), &round);
    assert!(answered);
    assert!(text.starts_with("FAIL mm-1/it's mine describe "), "{text}");
    assert!(
        text.contains("kafka-acls.sh --add") && text.contains("--group \"it's mine\""),
        "{text}"
    );
}

#[test]
fn the_command_by_hand_is_read_back_as_the_same_words_on_both_sides() {
    let mut describe = source("my group's", listed_topics(&["a"])).describe;
    describe.command_config = Some("/etc/mm consumer.properties".to_owned());
    let line = by_hand(&host(), &describe);
    let local = shlex::split(&line).unwrap();
    let (remote, ssh) = local.split_last().unwrap();
    assert_eq!(
        ssh,
        [
            "ssh",
            "-p",
            "22",
            "-i",
            "/keys/my key.pem",
            "ec2-user@10.0.0.11"
        ]
    );
    let remote = shlex::split(remote).unwrap();
    let config = ["--command-config", "/etc/mm consumer.properties"];
    assert_eq!(remote[3..5], config);
    assert_eq!(remote[5..], ["--describe", "--group", "my group's"]);
}

#[test]
fn sources_that_ask_the_same_share_one_describe_with_the_longest_limit() {
    let mut slow = source("a", Topics::One("orders".to_owned()));
    slow.describe.limit = Duration::from_secs(60);
    let other = source("b", Topics::One("orders".to_owned()));
    let first = source("a", Topics::One("payments".to_owned()));
    let questions = Question::gather([first, slow, other].into_iter());
    assert_eq!(questions.len(), 2);
    assert_eq!(questions[0].describe.limit, Duration::from_secs(60));
    assert_eq!(questions[0].topics(), ["payments", "orders"]);
}

fn cli(seen: Seen) -> String {
    match cli_verdict(&host(), &seen) {
        Verdict::Passed(text) => format!("ok {text}"),
        Verdict::Warned { what, mend } => format!("warn {what} | {mend}"),
        Verdict::Failed { why, mend } => format!("FAIL {why} | {mend}"),
        Verdict::Skipped(why) => format!("skip {why}"),
    }
}

#[test]
fn each_way_in_which_a_cli_does_not_run_has_its_mend() {
    let path = "/opt/kafka/bin/kafka-consumer-groups.sh";
    let seen = |entry, code: Option<i32>, said: &str| Seen {
        cli: Some(entry),
        exit_code: code,
        said: vec![said.to_owned()],
        ..Seen::default()
    };
    let usable = |code, said: &str| cli(seen(Entry::Usable, Some(code), said));
    assert_eq!(
        usable(0, "2.6.2 (Commit:da65)"),
        format!("ok version 2.6.2, {path}")
    );
    assert!(usable(1, "version is not a recognized option").starts_with("warn "));
    assert!(usable(127, "exec: java: not found").contains("java_home"));
    assert!(usable(124, "").starts_with("FAIL "));
    let missing = Seen {
        other_clis: vec!["/srv/kafka/bin/kafka-consumer-groups.sh".to_owned()],
        ..seen(Entry::Missing, None, "")
    };
    assert!(
        cli(missing)
            .ends_with("write kafka: {consumer_groups: /srv/kafka/bin/kafka-consumer-groups.sh}")
    );
    assert!(cli(seen(Entry::Folder, None, "")).contains("is a folder"));
    assert!(cli(seen(Entry::Closed, None, "")).contains("cannot be run by ec2-user"));
}

#[test]
fn the_widest_topic_is_one_that_is_recorded() {
    let table = |topic: &str, partitions: i32| -> String {
        let row = |partition| format!("g {topic} {partition} 1 2 1 - - -\n");
        (0..partitions).map(row).collect()
    };
    let head =
        "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n";
    let round = RoundText {
        tick: "1".to_owned(),
        stdout: format!(
            "{head}{}{}{}",
            table("orders", 3),
            table("refunds", 5),
            table("heartbeats", 9)
        ),
        ..RoundText::default()
    };
    let widest = |topics: Topics| {
        let question = Question::gather([source("g", topics)].into_iter()).remove(0);
        let seen = super::super::widest::WidestTopic::default();
        seen.note(&question, &round);
        seen.seen().map(|it| (it.topic, it.partitions))
    };
    let some = |topic: &str, partitions| Some((topic.to_owned(), partitions));
    assert_eq!(widest(listed_topics(&["orders"])), some("orders", 3));
    let exclude = vec![Regex::new("^heartbeats$").unwrap()];
    assert_eq!(widest(Topics::All { exclude }), some("refunds", 5));
    assert_eq!(widest(listed_topics(&["absent"])), None);
}
