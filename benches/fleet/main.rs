//! What `mirrorlag run` costs on a simulated fleet: CPU, memory, ticks missed. Not criterion: a whole process over a minute.
//!
//!     cargo bench --bench fleet -- [SOURCES [SECONDS]]
//!
//! SOURCES (100) topics on SOURCES/10 hosts, one SSH session each, interval 1 s, for SECONDS (60) after a start of 10 s. The fleet runs in
//! this process, `mirrorlag run` in its own, with its output to a sink of JSON lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // in functions that tests call, which clippy does not know as tests

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mirrorlag::simulator::{CONSUMER_GROUPS, Fleet, FleetSettings};

const START: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sources = numbers.first().copied().unwrap_or(100) as usize;
    let seconds = numbers.get(1).copied().unwrap_or(60);
    let folder = tempfile::tempdir().unwrap();
    let hosts = sources.div_ceil(10);
    let settings = FleetSettings::uniform(7, folder.path().to_owned(), hosts, 10, 12);
    let fleet = Fleet::start(settings).await.unwrap();
    let config = folder.path().join("mirrorlag.yaml");
    fs::write(&config, configuration(&fleet, sources, folder.path())).unwrap();
    let mut child = start(&config, folder.path());
    tokio::time::sleep(START).await;
    let (cpu_before, lines_before) = (cpu_seconds(&child), lines(folder.path()));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (cpu, lines) = (
        cpu_seconds(&child) - cpu_before,
        lines(folder.path()) - lines_before,
    );
    println!("sources          {sources}, one session each, interval 1 s, {seconds} s");
    println!("documents        {lines} of {}", sources as u64 * seconds);
    println!(
        "cpu              {:.2} % of one core ({cpu:.2} s)",
        100.0 * cpu / seconds as f64
    );
    println!("resident memory  {} KiB", resident_kib(&child));
    child.kill().unwrap();
    child.wait().unwrap();
    fleet.stop().await;
}

fn configuration(fleet: &Fleet, sources: usize, folder: &Path) -> String {
    let access = fleet.access();
    let mut yaml = format!(
        "defaults:\n  interval: 1s\n  describes_per_host: 10\n  group: mirror\n  bootstrap_servers: ['b1:9092']\n  ssh: {{user: {}, private_key: {}, known_hosts: {}}}\n  kafka: {{consumer_groups: {CONSUMER_GROUPS}}}\n",
        access.user,
        access.private_key.display(),
        access.known_hosts.display(),
    );
    writeln!(
        yaml,
        "journal: {{path: {}}}",
        folder.join("journal.db").display()
    )
    .unwrap();
    yaml.push_str("sinks: {stdout: {}}\nmirror_hosts:\n");
    for (host, port) in fleet.hosts() {
        writeln!(
            yaml,
            "  {}: {{address: 127.0.0.1, port: {port}}}",
            host.name
        )
        .unwrap();
    }
    yaml.push_str("topics:\n");
    for n in 0..sources {
        let (host, topic) = (n / 10, n % 10);
        writeln!(yaml, "  - {{topic: topic-{topic}, mirror_host: mm-{host}}}").unwrap();
    }
    yaml
}

fn start(config: &Path, folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mirrorlag"))
        .args(["run", "-c"])
        .arg(config)
        .stdout(File::create(folder.join("documents")).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn lines(folder: &Path) -> u64 {
    let text = fs::read(folder.join("documents")).unwrap();
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// User and system time, from `/proc/<pid>/stat` (fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds(child: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<f64> = behind_name
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // The state letter does not parse: what is field 14 of the file is the eleventh number here.
    (fields[10] + fields[11]) / 100.0
}

fn resident_kib(child: &Child) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
}
