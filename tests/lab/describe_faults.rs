//! What a CLI can do on a host: hang, flood, print what is no text, leave children behind, meet a full disk. It costs its own numbers
//! and nothing else: not the other host's ticks, not memory, not the log, and no process is left.

use std::path::Path;
use std::time::Duration;

use crate::collector::{END_LIMIT, text_of};
use crate::elasticsearch::{Elasticsearch, same_numbers};
use crate::sshd::Sshd;
use crate::two_hosts::{SUFFERING, TICKS_OF_A_FAULT, TwoHosts};
use crate::{kafka, lab};

/// After the collector's end: a describe's limit, the five seconds until it is killed, and a busy machine.
const GONE_LIMIT: Duration = Duration::from_secs(30);

fn with_cli(stem: &str, script: &str) -> (Sshd, TwoHosts) {
    let sshd = Sshd::start(stem);
    let mut hosts = TwoHosts::new(stem, sshd.port);
    let cli = kafka::script_as_cli(&format!("{stem}-cli"), script);
    let cli = format!("kafka: {{consumer_groups: {}}}", cli.display());
    hosts.config.edit_host(SUFFERING, &cli);
    (sshd, hosts)
}

#[test]
fn a_describe_that_never_ends_costs_no_line_per_round_and_no_tick_of_another_host() {
    let (sshd, mut hosts) = with_cli("endless", "cat $recorded; exec sleep 600");
    hosts.config.describe_timeout = "2s";
    let collector = hosts.config.run();
    hosts.until_latest("timeout", "outlived its limit");
    hosts.healthy_ticks(2 * TICKS_OF_A_FAULT);
    let sleeps = sleeps_on(&sshd);
    assert!(sleeps.len() <= hosts.config.topics.len(), "{sleeps:?}");
    hosts.end(collector);
    sshd.no_process_left_within(GONE_LIMIT);
}

#[test]
fn a_describe_that_ignores_sigterm_is_killed_with_all_its_children() {
    // The shell dies of the signal, its children do not hear it.
    let (sshd, mut hosts) = with_cli(
        "deaf",
        "(trap '' TERM; sleep 600; sleep 600) & (trap '' TERM; sleep 600) & cat $recorded; wait",
    );
    hosts.config.describe_timeout = "2s";
    let collector = hosts.config.run();
    hosts.until_latest("timeout", "");
    hosts.healthy_ticks(2 * TICKS_OF_A_FAULT);
    // Two sources; of each the two children of the round that runs.
    let sleeps = sleeps_on(&sshd);
    assert!(sleeps.len() <= 2 * hosts.config.topics.len(), "{sleeps:?}");
    hosts.end(collector);
    sshd.no_process_left_within(GONE_LIMIT);
}

#[test]
fn children_that_a_describe_leaves_behind_hold_nothing_up_and_do_not_pile_up() {
    let (sshd, hosts) = with_cli("children", "sleep 600 & cat $recorded");
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    hosts.until_all_are_ok();
    let sleeps = sleeps_on(&sshd);
    assert!(sleeps.len() <= hosts.config.topics.len(), "{sleeps:?}");
    hosts.end(collector);
    sshd.no_process_left_within(GONE_LIMIT);
}

#[test]
fn a_describe_that_prints_a_hundred_megabytes_is_an_error_and_costs_no_memory() {
    let row = "still-group still-orders 0 7 750 743 - - -";
    let (sshd, mut hosts) = with_cli(
        "flood",
        &format!(
            "cat $recorded; yes '{row}' | head -c 100000000; yes '{row}' | head -c 100000000 >&2"
        ),
    );
    hosts.config.describe_timeout = "120s";
    let collector = hosts.config.run();
    hosts.until("two rounds of too much", |documents| {
        let reason =
            |d: &&crate::elasticsearch::Document| d.text("reason").contains("more than fits");
        documents.iter().filter(reason).count() >= 2
    });
    let latest = hosts.until_latest("cli_error", "more than fits");
    assert!(latest.partitions().is_empty(), "{latest:?}");
    hosts.end(collector);
    sshd.no_process_left_within(Duration::from_secs(130));
}

#[test]
fn a_describe_that_prints_one_line_without_end_is_an_error_and_costs_no_memory() {
    let (sshd, mut hosts) = with_cli(
        "one-line",
        "head -c 100000000 /dev/zero; head -c 100000000 /dev/zero >&2",
    );
    hosts.config.describe_timeout = "120s";
    let collector = hosts.config.run();
    hosts.until("two rounds", |documents| {
        documents
            .iter()
            .filter(|d| d.source["round_ms"].is_u64())
            .count()
            >= 2
    });
    let latest = hosts.until("an outcome without numbers", |documents| {
        documents
            .last()
            .is_some_and(|d| ["no_rows", "cli_error"].contains(&d.text("outcome")))
    });
    assert!(latest.iter().all(|d| d.partitions().is_empty()));
    hosts.end(collector);
    sshd.no_process_left_within(Duration::from_secs(130));
}

#[test]
fn a_describe_that_prints_what_is_no_text_is_an_error_in_printable_words() {
    // A program in place of its script: NUL, escapes that a terminal obeys, bytes that are no UTF-8, no table.
    let (_sshd, hosts) = with_cli(
        "binary",
        "printf '\\033[2J\\007\\377\\376\\000garbage\\r\\033]0;title\\007\\n'; cat /bin/sh; cat /bin/sh >&2; exit 1",
    );
    let once = hosts.config.once();
    let text = text_of(&once);
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\0'),
        "{text:?}"
    );
    let collector = hosts.config.run();
    let latest = hosts.until_latest("cli_error", "");
    assert!(
        !latest.text("reason").contains(char::is_control),
        "{latest:?}"
    );
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    let log = collector.log();
    assert!(!log.contains('\u{1b}') && !log.contains('\0'), "{log}");
    hosts.end(collector);
}

#[test]
fn a_table_between_bytes_that_are_no_text_brings_its_numbers() {
    let (_sshd, hosts) = with_cli(
        "mixed",
        "printf '\\377\\376\\000 WARN \\200\\n'; cat $recorded; head -c 100000 /dev/zero; printf '\\n\\377\\n' >&2; echo",
    );
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    hosts.healthy_ticks(5);
    hosts.end(collector);
}

#[test]
fn a_full_disk_on_the_host_costs_no_number() {
    let run = lab::run_folder();
    let run = run.display();
    // The lab's folder lies in /tmp, so it is put back into the small /tmp of this sshd.
    let script = format!(
        "mount --make-rprivate /; mount --bind /tmp /mnt; mount -t tmpfs -o size=64k none /tmp; chmod 1777 /tmp; mkdir -p {run}; \
         mount --bind /mnt{rest} {run}; for full in {run}/home/mirrorlab-bash /var/tmp /dev/shm; do mount -t tmpfs -o size=16k none $full; \
         done; for full in /tmp {run}/home/mirrorlab-bash /var/tmp /dev/shm; do cat /dev/zero >$full/full 2>/dev/null || true; done",
        rest = run.to_string().trim_start_matches("/tmp"),
    );
    let sshd = Sshd::start_on_disk("full-disk", &script);
    let mut hosts = TwoHosts::new("full-disk", sshd.port);
    // The real CLI with its JVM, which likes to write into /tmp.
    let cli = kafka::cli(kafka::VERSION);
    assert!(Path::new(&cli).exists());
    let keys = format!("kafka: {{consumer_groups: {}}}", cli.display());
    hosts.config.edit_host(SUFFERING, &keys);
    hosts.config.interval = "5s";
    let table = kafka::describe(lab::STILL_GROUP);
    let mut collector = hosts.config.run();
    hosts.until("the numbers of the CLI", |documents| {
        same_numbers(documents, &table, &hosts.config.topics).is_ok()
    });
    collector.terminate(END_LIMIT);
    crate::delivery::assert_index_equals_journal(&hosts.config, &Elasticsearch::main());
    sshd.no_process_left_within(GONE_LIMIT);
}

/// What the test's CLI left or runs on the host.
fn sleeps_on(sshd: &Sshd) -> Vec<String> {
    let mut processes = sshd.processes_of_logins();
    processes.retain(|line| line.contains(" sleep 600"));
    processes
}
