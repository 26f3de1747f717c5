//! In: a port behind which a mirror host is about to suffer. Out: a collector of it and of a healthy one, and what it must keep.
//! Never: forgives the healthy host a tick because of the other.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::collector::{Config, END_LIMIT, Record};
use crate::elasticsearch::{Document, Elasticsearch};
use crate::lab;
use crate::process::Process;
use crate::sshd::{Sshd, known_hosts_line};

/// The name of the host that suffers.
pub const SUFFERING: &str = "mm-1";
/// The name of the one that must not notice.
pub const HEALTHY: &str = "mm-2";

/// How long a breaker may keep a host waiting after it is back, and some rounds.
const BACK_LIMIT: Duration = Duration::from_secs(150);

/// One source's start, its loss, its failed attempt, its return and two changes of its outcome are six lines, and there are two sources
/// on the host. A fault that moves through several reasons on its way has some more. A line per attempt or tick would be forty.
const LOG_LINES_MAX: usize = 20;

/// So many ticks are waited for while a fault is on, so that a line per tick would show.
pub const TICKS_OF_A_FAULT: usize = 20;

/// Of a hundred ticks of the healthy host so many may be missing: a machine that is busy skips some by itself.
const MISSING_PERCENT_MAX: i64 = 20;

/// Far above what two hosts need (a debug build has some 40 MiB), far below what a host can print.
const MEMORY_MAX_KIB: u64 = 160 * 1024;

pub struct TwoHosts {
    pub config: Config,
    healthy: Sshd,
}

impl TwoHosts {
    /// The one that suffers is behind `port` of this machine, and has the lab's host key.
    pub fn new(stem: &str, port: u16) -> Self {
        let healthy = Sshd::start(&format!("{stem}-healthy"));
        let mut config = Config::new(stem, &healthy);
        config.port = port;
        config.second = Some((healthy.address.clone(), healthy.port));
        let lines =
            [port, healthy.port].map(|port| known_hosts_line("127.0.0.1", port, "host_ed25519"));
        config.known_hosts = config.folder.join("known_hosts");
        fs::write(&config.known_hosts, lines.concat()).expect("known_hosts");
        Self { config, healthy }
    }

    /// Waits until the documents of the suffering host, oldest first, are as wanted, and gives them.
    #[track_caller]
    pub fn until(&self, what: &str, is_wanted: impl Fn(&[Document]) -> bool) -> Vec<Document> {
        lab::eventually(what, BACK_LIMIT, || {
            let documents = self.documents(SUFFERING)?;
            let last = documents.iter().rev().take(2).collect::<Vec<_>>();
            lab::claim(is_wanted(&documents), last)?;
            Ok(documents)
        })
    }

    /// Waits until the latest document of the suffering host has that outcome and, if given, those words in its reason.
    #[track_caller]
    pub fn until_latest(&self, outcome: &str, words: &str) -> Document {
        let what = format!("{outcome} {words}");
        let documents = self.until(&what, |documents| {
            documents.last().is_some_and(|document| {
                document.text("outcome") == outcome && document.text("reason").contains(words)
            })
        });
        self.until_status_names_it();
        documents[documents.len() - 1].clone()
    }

    /// Waits until `status` calls the suffering host unhealthy, with a mend.
    #[track_caller]
    fn until_status_names_it(&self) {
        lab::eventually("status names the host that suffers", BACK_LIMIT, || {
            let (code, said) = self.config.status();
            let problems = said["problems"].as_array().cloned().unwrap_or_default();
            let of_it = problems.iter().filter(|problem| {
                let subject = problem["subject"].as_str().unwrap_or_default();
                subject.starts_with(SUFFERING) && problem["mend"].is_string()
            });
            lab::claim(code == Some(1) && of_it.count() > 0, (code, problems))
        });
    }

    /// Waits until some document of the suffering host has that outcome and those words in its reason.
    #[track_caller]
    pub fn until_some(&self, outcome: &str, words: &str) {
        self.until(&format!("{outcome} {words}"), |documents| {
            documents.iter().any(|document| {
                document.text("outcome") == outcome && document.text("reason").contains(words)
            })
        });
    }

    /// Waits until every series of both hosts has brought numbers last.
    #[track_caller]
    pub fn until_all_are_ok(&self) {
        lab::eventually("numbers of both hosts", BACK_LIMIT, || {
            let mut latest = BTreeMap::new();
            for host in [SUFFERING, HEALTHY] {
                for document in self.documents(host)? {
                    latest.insert(document.series_and_instant().0, document);
                }
            }
            let ok = latest.values().filter(|d| d.text("outcome") == "ok");
            let ok = ok.count();
            lab::claim(ok == 2 * self.config.topics.len(), &latest)
        });
    }

    /// Waits for so many further ticks of the healthy host.
    #[track_caller]
    pub fn healthy_ticks(&self, count: usize) {
        let of_healthy = || self.documents(HEALTHY).map(|documents| documents.len());
        let before = of_healthy().expect("documents");
        lab::eventually("ticks of the healthy host", BACK_LIMIT, || {
            let now = of_healthy()?;
            lab::claim(
                now >= before + count * self.config.topics.len(),
                now - before,
            )
        });
    }

    /// Ends the collector in order and looks at all that it kept and said.
    #[track_caller]
    pub fn end(&self, collector: Process) -> Vec<Record> {
        self.end_after(1, collector)
    }

    /// The same after a fault that came and went so often.
    #[track_caller]
    pub fn end_after(&self, faults: usize, mut collector: Process) -> Vec<Record> {
        let peak = collector.memory_peak_kib();
        assert!(peak < MEMORY_MAX_KIB, "{peak} KiB of memory");
        let status = collector.terminate(END_LIMIT);
        assert_eq!(status.code(), Some(0), "{status}");
        assert_short(&collector.log(), faults);
        println!("peak {peak} KiB");
        crate::delivery::assert_index_equals_journal(&self.config, &Elasticsearch::main());
        crate::delivery::assert_no_tick_is_missing(&self.config, 1000);
        self.healthy.no_process_left_within(Duration::from_secs(60));
        let records = self.config.records();
        assert_undisturbed(&records);
        assert_only_true_numbers(&records);
        records
    }

    pub fn documents(&self, host: &str) -> Result<Vec<Document>, String> {
        let mut documents = Elasticsearch::main().documents(&self.config.index)?;
        documents.retain(|document| document.text("mirror_host") == host);
        Ok(documents)
    }
}

pub fn of_host<'a>(records: &'a [Record], host: &str) -> Vec<&'a Record> {
    let of_host = |record: &&Record| record.body["mirror_host"] == host;
    records.iter().filter(of_host).collect()
}

/// The log has no line per attempt, round or tick.
#[track_caller]
fn assert_short(log: &str, faults: usize) {
    let about = log.lines().filter(|line| line.contains(SUFFERING));
    let about: Vec<_> = about.collect();
    println!("{} lines about {SUFFERING}", about.len());
    assert!(
        about.len() <= LOG_LINES_MAX * faults,
        "{}",
        about.join("\n")
    );
    let mut times = BTreeMap::new();
    for line in about {
        // Without the time.
        let text = line.split_once(' ').map_or(line, |(_, text)| text);
        *times.entry(text).or_insert(0) += 1;
    }
    for (text, times) in times {
        // Once before the fault and once after it.
        assert!(times <= 2 * faults, "{times} times: {text}");
    }
}

/// The healthy host's ticks bring numbers, each at its time.
#[track_caller]
fn assert_undisturbed(records: &[Record]) {
    let mut series: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in of_host(records, HEALTHY) {
        series.entry(&record.series).or_default().push(record);
    }
    for (name, records) in series {
        // The first tick may come before the first connection.
        let connected = records.iter().skip_while(|r| r.body["outcome"] != "ok");
        let connected: Vec<_> = connected.collect();
        for record in &connected {
            assert_eq!(record.body["outcome"], "ok", "{:?}", record.body);
        }
        let (first, last) = (connected[0], connected[connected.len() - 1]);
        let due = (last.instant_ms - first.instant_ms) / 1000 + 1;
        let missing = due - i64::try_from(connected.len()).expect("a count");
        println!("{name}: {missing} of {due} ticks missing");
        assert!(
            missing * 100 <= due * MISSING_PERCENT_MAX,
            "{name}: {missing} of {due} ticks are missing"
        );
    }
}

/// A topic's numbers never change in the recorded table, so whatever is not the same everywhere is wrong; without a table there are none.
#[track_caller]
pub fn assert_only_true_numbers(records: &[Record]) {
    let healthy = of_host(records, HEALTHY);
    for record in of_host(records, SUFFERING) {
        let topic = &record.body["topic"];
        let truth = healthy
            .iter()
            .find(|r| r.body["topic"] == *topic && r.body["outcome"] == "ok");
        let truth = &truth.expect("a healthy round").body["partitions"];
        let numbers = &record.body["partitions"];
        match record.body["outcome"].as_str() {
            Some("ok") => assert_eq!(numbers, truth, "{:?}", record.body),
            _ => assert!(
                numbers.as_array().is_none_or(Vec::is_empty),
                "{:?}",
                record.body
            ),
        }
    }
}
