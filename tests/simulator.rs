//! The simulated fleet behind its SSH server, driven by the `ssh` program: another implementation than the collector's.

#![allow(clippy::unwrap_used)] // helper functions of tests, which clippy does not know as tests
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mirrorlag::kafka::{self, Describe, Jvm, RoundText};
use mirrorlag::sample::partitions_of;
use mirrorlag::simulator::table::{self, CliVersion, TableRow};
use mirrorlag::simulator::{Access, CONSUMER_GROUPS, Fleet, FleetSettings};

/// Longer than anything here takes on a loaded machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn fleet(folder: &Path) -> Fleet {
    let mut settings = FleetSettings::demonstration(11, folder.to_owned());
    for host in &mut settings.hosts {
        host.outages = None; // a test cuts when it wants to
    }
    Fleet::start(settings).await.unwrap()
}

fn ssh(access: &Access, port: u16) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-T", "-p", &port.to_string()])
        .arg("-i")
        .arg(&access.private_key)
        .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
        .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
        .args(["-o", "GlobalKnownHostsFile=none", "-o"])
        .arg(format!(
            "UserKnownHostsFile={}",
            access.known_hosts.display()
        ))
        .arg(format!("{}@127.0.0.1", access.user));
    ssh
}

/// The collector's own command line: the contract between it and the simulator.
fn loop_command(lease: u64, group: &str) -> String {
    let settings = kafka::Settings {
        consumer_groups: CONSUMER_GROUPS.to_owned(),
        java_home: None,
        jvm: Jvm::Light,
        timeout: None,
    };
    let describe = Describe {
        group: group.to_owned(),
        bootstrap_servers: vec!["b1:9092".to_owned()],
        command_config: Some("/etc/kafka/client.properties".to_owned()),
        limit: Duration::from_secs(30),
    };
    kafka::loop_command(&settings, &describe, Duration::from_secs(lease), "m4rk").unwrap()
}

/// A remote loop under the `ssh` program.
struct Loop {
    child: Child,
    input: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Loop {
    fn start(fleet: &Fleet, host: &str, lease: u64, group: &str) -> Self {
        let mut child = ssh(fleet.access(), fleet.port(host).unwrap())
            .arg(loop_command(lease, group))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    fn tick(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// What came on both streams before the line that starts with `marker`.
    fn until(&self, marker: &str) -> (String, String) {
        (until(&self.stdout, marker), until(&self.stderr, marker))
    }

    /// The exit code after end of file.
    fn finish(mut self) -> i32 {
        drop(self.input.take());
        self.wait()
    }

    /// The exit code of an end that was not ours: input stays open.
    fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(Instant::now() < deadline, "ssh does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn until(lines: &Receiver<String>, marker: &str) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.starts_with(marker) => return text,
            Ok(line) => {
                text.push_str(&line);
                text.push('\n');
            }
            Err(error) => panic!("no {marker:?}: {error}; before it came {text:?}"),
        }
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn run(mut ssh: Command, command: &str) -> Output {
    ssh.arg(command).stdin(Stdio::null()).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_prints_exactly_the_numbers_that_the_fleet_expects() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    for (host, group, version) in [
        ("east-1", "oasis", CliVersion::V2_3),
        ("east-2", "web", CliVersion::V3_8),
        ("west-1", "inventory-mirror", CliVersion::V0_10_2),
        ("west-2", "audit", CliVersion::V4_0),
    ] {
        let mut remote = Loop::start(&fleet, host, 90, group);
        remote.until("m4rk hello timeout");
        for second in [7, 8, 31] {
            let at = Duration::from_secs(second);
            fleet.hold_time(at);
            remote.tick(&format!("\n{second}\n"));
            let (stdout, _) = remote.until(&format!("m4rk {second} 0"));
            let rows = fleet.expected(host, group, at).unwrap().rows;
            assert!(!rows.is_empty());
            // The line feed before the marker ends an open row, or is one blank line more.
            let expected = table::render(version, group, &rows);
            assert_eq!(stdout.trim_matches('\n'), expected.trim_matches('\n'));
            assert_reads_as(&stdout, group, &rows);
        }
        assert_eq!(remote.finish(), 0, "end of file ends the loop");
    }
    fleet.stop().await;
}

/// What the collector reads from `stdout` is every row, with the offsets and the owner that the fleet expects.
fn assert_reads_as(stdout: &str, group: &str, expected: &[TableRow]) {
    let round = RoundText {
        stdout: stdout.to_owned(),
        ..RoundText::default()
    };
    let description = kafka::read(group, &round);
    assert_eq!(
        (&description.failure, &description.problems),
        (&None, &vec![])
    );
    assert_eq!(description.rows.len(), expected.len());
    for row in expected {
        let of_topic = description.rows.iter().filter(|r| r.topic == row.topic);
        let partitions = partitions_of(of_topic);
        let read = partitions
            .iter()
            .find(|p| p.partition == row.partition)
            .unwrap();
        assert_eq!(
            (read.current_offset, read.log_end_offset, read.lag),
            (row.current_offset, row.log_end_offset, row.lag)
        );
        assert_eq!(
            (&read.consumer_id, &read.consumer_host, &read.client_id),
            (&row.consumer_id, &row.consumer_host, &row.client_id)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_messages_come_on_stderr_in_their_round() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    fleet.hold_time(Duration::from_secs(11));
    for (host, group, message) in [
        (
            "east-2",
            "web",
            "Warning: Consumer group 'web' is rebalancing.",
        ),
        (
            "west-2",
            "legacy",
            "Consumer group 'legacy' has no active members.",
        ),
    ] {
        let mut remote = Loop::start(&fleet, host, 90, group);
        remote.until("m4rk hello");
        remote.tick("1\n");
        let (stdout, stderr) = remote.until("m4rk 1 0");
        assert!(stderr.contains(message), "{stderr}");
        assert!(stdout.contains("CURRENT-OFFSET"), "{stdout}");
    }
    let mut remote = Loop::start(&fleet, "west-2", 90, "nobody");
    remote.until("m4rk hello");
    remote.tick("1\n");
    let (stdout, _) = remote.until("m4rk 1 0");
    assert!(stdout.contains("Group nobody not found."), "{stdout}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_has_its_own_key_and_a_client_refuses_another() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    let known = std::fs::read_to_string(&fleet.access().known_hosts).unwrap();
    let keys: std::collections::BTreeSet<_> = known
        .lines()
        .map(|line| line.split(' ').nth(2).unwrap())
        .collect();
    assert_eq!(keys.len(), 4);

    let ports: Vec<u16> = fleet.hosts().map(|(_, port)| port).collect();
    let swapped = known.replace(&format!("]:{} ", ports[0]), "]:1 ");
    let swapped = swapped.replace(&format!("]:{} ", ports[1]), &format!("]:{} ", ports[0]));
    let mut access = fleet.access().clone();
    access.known_hosts = folder.path().join("swapped");
    std::fs::write(&access.known_hosts, swapped).unwrap();
    let refused = run(ssh(&access, ports[0]), "true");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(255));
    assert!(said.contains("HOST IDENTIFICATION HAS CHANGED"), "{said}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_fleets_own_key_and_user_log_in() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    let other = tempfile::tempdir().unwrap();
    let foreign = Fleet::start(FleetSettings::uniform(1, other.path().to_owned(), 1, 1, 1));
    let foreign = foreign.await.unwrap();
    let port = fleet.port("east-1").unwrap();
    let mut wrong_key = fleet.access().clone();
    wrong_key.private_key = foreign.access().private_key.clone();
    let mut wrong_user = fleet.access().clone();
    wrong_user.user = "root".to_owned();
    for access in [wrong_key, wrong_user] {
        let refused = run(ssh(&access, port), "true");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("Permission denied (publickey)"), "{said}");
    }
    assert_eq!(fleet.counts("east-1").logins, 0);
    // The right ones log in, and an unknown command is answered as a shell would.
    let answered = run(ssh(fleet.access(), port), "uname -a");
    assert_eq!(answered.status.code(), Some(127));
    assert_eq!(
        String::from_utf8_lossy(&answered.stderr),
        "sh: 1: uname: not found\n"
    );
    assert_eq!(fleet.counts("east-1").logins, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_goes_down_cuts_its_loops_and_takes_logins_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    let (host, group) = ("west-1", "inventory-mirror");
    let mut remote = Loop::start(&fleet, host, 90, group);
    remote.until("m4rk hello");
    assert_eq!(fleet.counts(host).loops, 1);
    fleet.hold_down(host, true);
    assert_eq!(remote.wait(), 255, "the connection was cut");
    wait_for("the loop ends with its connection", || {
        fleet.counts(host).loops == 0
    });
    let refused = run(ssh(fleet.access(), fleet.port(host).unwrap()), "true");
    assert_eq!(refused.status.code(), Some(255));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("Connection refused"), "{said}");
    fleet.hold_down(host, false);
    wait_for("the port is open again", || {
        TcpStream::connect(("127.0.0.1", fleet.port(host).unwrap())).is_ok()
    });
    let mut remote = Loop::start(&fleet, host, 90, group);
    remote.until("m4rk hello");
    remote.tick("2\n");
    remote.until("m4rk 2 0");
    assert_eq!(remote.finish(), 0);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_settings_comes_and_goes_with_the_fleets_time() {
    let folder = tempfile::tempdir().unwrap();
    let settings = FleetSettings::demonstration(11, folder.path().to_owned());
    let fleet = Fleet::start(settings).await.unwrap();
    fleet.hold_time(Duration::from_secs(1));
    let mut remote = Loop::start(&fleet, "west-1", 90, "inventory-mirror");
    remote.until("m4rk hello");
    fleet.hold_time(Duration::from_secs(13));
    assert_eq!(remote.wait(), 255);
    fleet.hold_time(Duration::from_secs(17));
    wait_for("the port is open again", || {
        TcpStream::connect(("127.0.0.1", fleet.port("west-1").unwrap())).is_ok()
    });
    let remote = Loop::start(&fleet, "west-1", 90, "inventory-mirror");
    remote.until("m4rk hello");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_ends_with_its_lease_though_its_input_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(folder.path()).await;
    let started = Instant::now();
    let mut remote = Loop::start(&fleet, "east-1", 1, "oasis");
    remote.until("m4rk hello");
    assert_eq!(remote.wait(), 0);
    assert!(started.elapsed() >= Duration::from_secs(1));
    wait_for("the loop is gone", || fleet.counts("east-1").loops == 0);
    fleet.stop().await;
}
