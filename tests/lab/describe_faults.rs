//! What a CLI can do on a host: hang, flood, print what is no text, leave children behind, meet a full disk. It costs its own numbers
//! and nothing else: not the other host's ticks, not memory, not the log, and no process is left.

use std::time::Duration;

use crate::collector::text_of;
use crate::elasticsearch::Document;
use crate::kafka;
use crate::sshd::Sshd;
use crate::two_hosts::{SUFFERING, TICKS_OF_A_FAULT, TwoHosts};

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
    a_flood_is_an_error_and_costs_no_memory(
        "flood",
        &format!(
            "cat $recorded; yes '{row}' | head -c 100000000; yes '{row}' | head -c 100000000 >&2"
        ),
    );
}

#[test]
fn a_describe_that_prints_one_line_without_end_is_an_error_and_costs_no_memory() {
    a_flood_is_an_error_and_costs_no_memory(
        "one-line",
        "head -c 100000000 /dev/zero; head -c 100000000 /dev/zero >&2",
    );
}

fn a_flood_is_an_error_and_costs_no_memory(name: &str, cli: &str) {
    let (sshd, mut hosts) = with_cli(name, cli);
    hosts.config.describe_timeout = "120s";
    let collector = hosts.config.run();
    hosts.until("two rounds of too much", |documents| {
        documents.iter().filter(too_much).count() >= 2
    });
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
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
        "printf '\\377\\376\\000 WARN \\200\\n'; cat $recorded; echo; head -c 100000 /dev/zero; printf '\\n\\377\\n' >&2; echo",
    );
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    hosts.healthy_ticks(5);
    hosts.end(collector);
}

fn too_much(document: &&Document) -> bool {
    document.text("outcome") == "cli_error" && document.text("reason").contains("more than fits")
}

/// What the test's CLI left or runs on the host.
fn sleeps_on(sshd: &Sshd) -> Vec<String> {
    let mut processes = sshd.processes_of_logins();
    processes.retain(|line| line.contains(" sleep 600"));
    processes
}
