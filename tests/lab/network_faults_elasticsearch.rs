//! The network between the collector and a real Elasticsearch fails in every way: the journal and another sink go on, the log and the memory
//! stay small, and afterwards every tick is there once, without help.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::collector::{Config, END_LIMIT};
use crate::delivery::{
    assert_index_equals_journal, assert_no_tick_is_missing, letters, wait_for_documents,
    wait_for_records,
};
use crate::elasticsearch::Elasticsearch;
use crate::lab;
use crate::process::Process;
use crate::sshd::Sshd;
use crate::toxiproxy::{Toxiproxy, Way};

/// Records (of two topics) that come into being while a fault lasts: 15 ticks.
const RECORDS: usize = 30;
/// Lines of one fault: that it retries, that it holds, and three summaries of each minute, of which there may be two.
const LINES_MAX: usize = 8;
/// A backlog of minutes has some kilobytes; the rest is what the allocator keeps.
const GROWTH_KIB_MAX: i64 = 32 << 10;
/// The other sink has a tick long before the next ones, also on a loaded machine.
const ON_TIME: Duration = Duration::from_secs(20);
const SAID_LIMIT: Duration = Duration::from_secs(90);

/// A collector with two sinks: Elasticsearch behind `urls`, and its standard output, which nothing stands in the way of.
pub struct Patient {
    pub config: Config,
    collector: Process,
    server: Elasticsearch,
    _sshd: Sshd,
    lines_before: usize,
    records_before: usize,
    memory_before: i64,
}

impl Patient {
    /// Healthy: some documents have arrived.
    pub fn start(stem: &str, urls: &[String], change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(Elasticsearch::main(), stem, urls, change)
    }

    pub fn start_on(
        server: Elasticsearch,
        stem: &str,
        urls: &[String],
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let sshd = Sshd::start(stem);
        let mut config = Config::new(stem, &sshd);
        config.elasticsearch_url = urls.join("', '");
        config.sink_lines = vec!["    request_timeout: 2s".into(), "  stdout: {}".into()];
        change(&mut config);
        let collector = config.run();
        wait_for_documents(&server, &config, 6);
        Self {
            config,
            collector,
            server,
            _sshd: sshd,
            lines_before: 0,
            records_before: 0,
            memory_before: 0,
        }
    }

    pub fn server(&self) -> &Elasticsearch {
        &self.server
    }

    /// Call it just before the fault.
    pub fn note(&mut self) {
        self.lines_before = self.log_lines().len();
        self.records_before = self.config.records().len();
        self.memory_before = self.memory_kib();
    }

    /// While the fault lasts: so many records more, the other sink has them on time, and the log says `said` (empty: nothing need be said)
    /// in few words.
    pub fn suffers(&self, records: usize, said: &str) {
        wait_for_records(&self.config, self.records_before + records);
        let records = self.config.records().len();
        lab::eventually("the other sink is on time", ON_TIME, || {
            let documents = self.documents_on_stdout();
            lab::claim(documents >= records, (documents, records))
        });
        lab::eventually("the log says what is wrong", SAID_LIMIT, || {
            let lines = self.log_lines().split_off(self.lines_before);
            let is_said = said.is_empty() || lines.iter().any(|line| line.contains(said));
            lab::claim(is_said, lines)
        });
        let lines = self.log_lines().split_off(self.lines_before);
        assert!(lines.len() <= LINES_MAX, "{}", lines.join("\n"));
        let growth = self.memory_kib() - self.memory_before;
        assert!(growth <= GROWTH_KIB_MAX, "{growth} KiB more");
    }

    /// While it lasts and no node takes documents: `status` says that the sink retries or holds, and why.
    pub fn status_shows_it(&self) {
        lab::eventually("status shows what the sink does", SAID_LIMIT, || {
            let (_, said) = self.config.status();
            let sinks = said["sinks"].as_array().cloned().unwrap_or_default();
            let is_shown = sinks.iter().any(|sink| {
                sink["name"] == "elasticsearch"
                    && (sink["phase"] == "retrying" || sink["phase"] == "holding")
                    && sink["reason"]
                        .as_str()
                        .is_some_and(|reason| !reason.is_empty())
            });
            lab::claim(is_shown, sinks)
        });
    }

    /// After the fault: all is there once.
    pub fn recovers(mut self) {
        let records = self.config.records().len();
        wait_for_documents(&self.server, &self.config, records);
        assert!(self.collector.terminate(END_LIMIT).success());
        assert_index_equals_journal(&self.config, &self.server);
        assert_no_tick_is_missing(&self.config, 1000);
        assert_eq!(letters(&self.config), 0);
    }

    fn documents_on_stdout(&self) -> usize {
        let log = self.collector.log();
        log.lines().filter(|line| line.starts_with('{')).count()
    }

    fn log_lines(&self) -> Vec<String> {
        let log = self.collector.log();
        let lines = log.lines().filter(|line| !line.starts_with('{'));
        lines.map(str::to_owned).collect()
    }

    fn memory_kib(&self) -> i64 {
        let path = format!("/proc/{}/status", self.collector.id());
        let status = fs::read_to_string(path).expect("the collector runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse().ok())
            .expect("resident memory")
    }
}

fn url_of(proxy: &Toxiproxy) -> String {
    format!("http://127.0.0.1:{}", proxy.port)
}

/// One fault of the network, for 15 ticks.
fn fault(stem: &str, said: &str, wound: impl FnOnce(&Toxiproxy)) {
    let proxy = Toxiproxy::to(lab::port("ELASTICSEARCH"));
    let mut patient = Patient::start(stem, &[url_of(&proxy)], |_| {});
    patient.note();
    wound(&proxy);
    patient.suffers(RECORDS, said);
    if !said.is_empty() {
        patient.status_shows_it();
    }
    proxy.heal();
    patient.recovers();
}

#[test]
fn ten_minutes_worth_of_ticks_wait_while_connections_are_refused() {
    let proxy = Toxiproxy::to(lab::port("ELASTICSEARCH"));
    let mut patient = Patient::start("refused", &[url_of(&proxy)], |_| {});
    patient.note();
    proxy.switch_off();
    // At the default interval of 10 s, 60 ticks are ten minutes; here there is one each second.
    patient.suffers(2 * 60, "Connection refused");
    patient.status_shows_it();
    proxy.switch_on();
    patient.recovers();
}

#[test]
fn connections_that_are_reset_cost_nothing_but_time() {
    fault("reset", "reset", |proxy| {
        proxy.add("reset_peer", Way::Downstream, json!({"timeout": 0}));
    });
}

#[test]
fn a_network_that_swallows_every_reply_costs_nothing_but_time() {
    fault("black-hole-down", "no answer in time", |proxy| {
        proxy.add("timeout", Way::Downstream, json!({"timeout": 0}));
    });
}

#[test]
fn a_network_that_swallows_every_request_costs_nothing_but_time() {
    fault("black-hole-up", "no answer in time", |proxy| {
        proxy.add("timeout", Way::Upstream, json!({"timeout": 0}));
    });
}

#[test]
fn a_byte_per_second_costs_nothing_but_time() {
    fault("slow", "no answer in time", |proxy| {
        let one_byte = json!({"average_size": 1, "size_variation": 0, "delay": Duration::from_secs(1).as_micros() as u64});
        proxy.add("slicer", Way::Downstream, one_byte);
    });
}

#[test]
fn a_reply_cut_off_within_its_headers_costs_nothing_but_time() {
    fault("cut-head", "does not answer", |proxy| {
        proxy.add("limit_data", Way::Downstream, json!({"bytes": 40}));
    });
}

#[test]
fn a_bulk_reply_cut_off_within_its_body_costs_nothing_but_time() {
    // The answer to the question for the index passes; that to the bulk, on the same connection, is cut.
    fault("cut-body", "does not answer", |proxy| {
        proxy.add("limit_data", Way::Downstream, json!({"bytes": 360}));
    });
}

#[test]
fn a_request_cut_off_on_its_way_costs_nothing_but_time() {
    fault("cut-request", "does not answer", |proxy| {
        proxy.add("limit_data", Way::Upstream, json!({"bytes": 500}));
    });
}

#[test]
fn a_connection_that_is_half_closed_costs_nothing_but_time() {
    // The server's end is closed at once, ours is told long after the request has given up.
    fault("half-closed", "no answer in time", |proxy| {
        proxy.add("limit_data", Way::Downstream, json!({"bytes": 0}));
        proxy.add("slow_close", Way::Downstream, json!({"delay": 60_000}));
    });
}

#[test]
fn one_dead_and_one_silent_node_of_three_are_said_once_and_all_dead_and_back_loses_nothing() {
    let nodes = [(); 3].map(|()| Toxiproxy::to(lab::port("ELASTICSEARCH")));
    let urls = nodes.each_ref().map(url_of);
    let mut patient = Patient::start("three-nodes", &urls, |_| {});
    patient.note();
    nodes[0].switch_off();
    nodes[1].add("timeout", Way::Downstream, json!({"timeout": 0}));
    patient.suffers(RECORDS, &urls[1]);
    // The third takes everything.
    wait_for_documents(
        patient.server(),
        &patient.config,
        patient.config.records().len(),
    );
    patient.note();
    nodes[2].switch_off();
    patient.suffers(RECORDS, "the sink does not take documents");
    patient.status_shows_it();
    for node in &nodes {
        node.switch_on();
        node.heal();
    }
    patient.recovers();
}

#[test]
fn a_name_service_that_forgets_the_server_costs_nothing_but_time() {
    let proxy = Toxiproxy::to(lab::port("ELASTICSEARCH"));
    let folder = lab::folder("name-service-etc");
    let (hosts, resolver) = (folder.join("hosts"), folder.join("resolv.conf"));
    let without = "127.0.0.1 localhost\n";
    let with = format!("{without}127.0.0.1 search.lab.example\n");
    fs::write(&hosts, &with).expect("a hosts file");
    // Nobody answers there, at once.
    fs::write(
        &resolver,
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    )
    .expect("a resolver file");
    let url = format!("http://search.lab.example:{}", proxy.port);
    let mut patient = Patient::start("name-service", &[url], |config| {
        // Its own view of the two files; this machine's stay as they are.
        let mounts = format!(
            "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf && exec \"$@\"",
            hosts.display(),
            resolver.display()
        );
        config.within = ["unshare", "--mount", "sh", "-c", &mounts, "sh"]
            .map(str::to_owned)
            .to_vec();
    });
    patient.note();
    // In place: the mount is of this very file.
    fs::write(&hosts, without).expect("a hosts file");
    // Connections that stand need no name.
    proxy.switch_off();
    proxy.switch_on();
    patient.suffers(RECORDS, "failed to lookup address");
    patient.status_shows_it();
    fs::write(&hosts, &with).expect("a hosts file");
    patient.recovers();
}
