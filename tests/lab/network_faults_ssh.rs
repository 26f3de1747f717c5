//! What a network can do between the collector and a real sshd: the host behind it brings no wrong number and costs no tick, the other
//! host notices nothing, the log stays short, and the numbers come again by themselves.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::sshd::Sshd;
use crate::toxiproxy::{Toxiproxy, Way};
use crate::two_hosts::{SUFFERING, TICKS_OF_A_FAULT, TwoHosts, of_host};
use crate::{kafka, lab};

/// A session that was given up ends its loop on the host as soon as sshd hears of it; a describe in flight runs to its limit.
const SEEN_LIMIT: Duration = Duration::from_secs(40);

fn behind_toxiproxy(stem: &str) -> (Sshd, Toxiproxy, TwoHosts) {
    let sshd = Sshd::start(stem);
    let proxy = Toxiproxy::to(sshd.port);
    let hosts = TwoHosts::new(stem, proxy.port);
    (sshd, proxy, hosts)
}

#[test]
fn a_host_that_refuses_connections_costs_its_numbers_and_no_tick() {
    let (_sshd, proxy, hosts) = behind_toxiproxy("refused");
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    proxy.switch_off();
    hosts.until_latest("ssh_error", "connection refused");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    proxy.switch_on();
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn a_reset_in_the_middle_of_a_row_costs_one_round_and_no_tick() {
    let (_sshd, proxy, mut hosts) = behind_toxiproxy("reset");
    // While there is a file `tear`, the table stops in the middle of its last row's numbers.
    let torn = kafka::script_as_cli(
        "reset-cli",
        "[ -e $folder/tear ] || exec cat $recorded; size=$(wc -c <$recorded); head -c $((size - 60)) $recorded; : >$folder/torn-$$; \
         sleep 20; tail -c 60 $recorded",
    );
    let tear = torn.with_file_name("tear");
    let folder = tear.parent().expect("its folder");
    let keys = format!("kafka: {{consumer_groups: {}}}", torn.display());
    hosts.config.edit_host(SUFFERING, &keys);
    proxy.close_by_reset();
    let collector = hosts.config.run();
    for resets in 1..=3 {
        hosts.until_all_are_ok();
        fs::write(&tear, "").expect("a file");
        lab::eventually("torn rows", SEEN_LIMIT, || {
            let files = fs::read_dir(folder).map_err(|error| error.to_string())?;
            let files: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
            let torn = files
                .iter()
                .filter(|name| name.to_string_lossy().starts_with("torn-"));
            lab::claim(torn.count() == 2 * resets, files)
        });
        fs::remove_file(&tear).expect("the file");
        proxy.switch_off();
        proxy.switch_on();
        hosts.until("the rounds that were cut", |documents| {
            let cut = documents.iter().filter(|document| {
                let reason = document.text("reason");
                reason == "connection lost: reset by the peer"
                    && document.source["round_ms"].is_u64()
            });
            cut.count() >= 2 * resets
        });
    }
    hosts.until_all_are_ok();
    hosts.healthy_ticks(5);
    let records = hosts.end_after(3, collector);
    let suffering = of_host(&records, SUFFERING);
    for topic in &hosts.config.topics {
        let outcomes = suffering.iter().filter(|r| r.body["topic"] == **topic);
        let outcomes: Vec<_> = outcomes
            .map(|r| r.body["outcome"].as_str().unwrap_or_default())
            .skip_while(|outcome| *outcome != "ok")
            .collect();
        let longest = outcomes.split(|outcome| *outcome == "ok").map(<[_]>::len);
        // One round is lost, and those until the proxy listens again and the gate's second jitter is over.
        assert!(longest.max() <= Some(5), "{topic}: {outcomes:?}");
    }
}

#[test]
fn a_black_hole_is_noticed_and_left_again_without_help() {
    let (sshd, proxy, mut hosts) = behind_toxiproxy("black-hole");
    hosts.config.describe_timeout = "5s";
    hosts
        .config
        .edit_host(SUFFERING, "ssh: {connect_timeout: 3s}");
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    for way in [Way::Upstream, Way::Downstream] {
        proxy.add("timeout", way, json!({"timeout": 0}));
    }
    hosts.until_some("timeout", "no answer from the mirror host");
    hosts.until_latest("ssh_error", "no ssh banner");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    proxy.heal();
    hosts.until_all_are_ok();
    hosts.end(collector);
    drop(proxy);
    sshd.no_process_left_within(SEEN_LIMIT);
}

#[test]
fn two_seconds_of_latency_cost_ticks_and_no_number() {
    let (_sshd, proxy, mut hosts) = behind_toxiproxy("latency");
    // Four round trips make a login: too near to the default of 10 s on a loaded machine.
    hosts
        .config
        .edit_host(SUFFERING, "ssh: {connect_timeout: 60s}");
    let latency = json!({"latency": 2000, "jitter": 0});
    proxy.add("latency", Way::Downstream, latency);
    let collector = hosts.config.run();
    let round_ms = |document: &crate::elasticsearch::Document| document.source["round_ms"].as_u64();
    let documents = hosts.until("ten rounds of two seconds", |documents| {
        let slow = |document: &&_| round_ms(document).is_some_and(|ms| ms >= 2000);
        documents.iter().filter(slow).count() >= 10
    });
    let asked = documents
        .iter()
        .filter(|document| round_ms(document).is_some());
    for document in asked {
        assert_eq!(document.text("outcome"), "ok", "{document:?}");
    }
    proxy.heal();
    hosts.until("a round as before", |documents| {
        documents
            .last()
            .and_then(round_ms)
            .is_some_and(|ms| ms < 1500)
    });
    hosts.end(collector);
}

#[test]
fn one_byte_per_second_ends_the_round_as_timeout_and_frees_the_host() {
    let (sshd, proxy, mut hosts) = behind_toxiproxy("trickle");
    hosts.config.describe_timeout = "5s";
    hosts
        .config
        .edit_host(SUFFERING, "ssh: {connect_timeout: 4s}");
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    let trickle = json!({"average_size": 1, "size_variation": 0, "delay": 1_000_000});
    proxy.add("slicer", Way::Downstream, trickle);
    hosts.until_some("timeout", "no answer from the mirror host");
    hosts.until_latest("ssh_error", "");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    lab::eventually("the loops given up are gone", SEEN_LIMIT, || {
        let processes = sshd.processes_of_logins();
        lab::claim(processes.is_empty(), processes)
    });
    proxy.heal();
    hosts.until_all_are_ok();
    hosts.end(collector);
}
