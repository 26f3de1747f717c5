//! In: how many sessions. Out: how long it takes until all of them are logged in at one server, with several clients.
//! Never: counts a session that is not held.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mirrorlag::simulator::{Fleet, FleetSettings};
use tokio::time::sleep;

use crate::accepting::Accepting;
use crate::child::{Measured, python};
use crate::configuration::{Asked, Shape};

/// Beyond this something is broken, and not slow.
const DEADLINE: Duration = Duration::from_secs(300);

pub async fn connect(sessions: usize) {
    let folder = tempfile::tempdir().unwrap();
    let settings = FleetSettings::uniform(7, folder.path().to_owned(), 1, sessions, 1);
    let fleet = Fleet::start(settings).await.unwrap();
    let server = Accepting::start().await;
    let (access, port) = (fleet.access(), fleet.port("mm-0").unwrap().to_string());
    println!("{sessions} sessions to one server without limits, until the last is logged in");
    for handshakes_per_host in [4, 64] {
        let asked = Asked {
            fleet: &fleet,
            topics_per_host: sessions,
            sources: sessions,
            shape: Shape::PerTopic,
            // Nothing but connecting happens while it is measured.
            interval: "1d",
            handshakes_per_host,
            elasticsearch: &server.url,
            folder: folder.path(),
        };
        let yaml = asked.yaml();
        let name = format!("mirrorlag, {handshakes_per_host} at once");
        until_logged_in(&fleet, sessions, &name, || vec![Measured::mirrorlag(&yaml)]).await;
    }
    if let Some(mut command) = python("connect.py") {
        command
            .args([&port, &access.user])
            .arg(&access.private_key)
            .arg(sessions.to_string());
        until_logged_in(&fleet, sessions, "parallel-ssh", || {
            vec![Measured::start(&mut command)]
        })
        .await;
    }
    let openssh = || {
        let one = || {
            let mut command = Command::new("ssh");
            command.args([
                "-N",
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=yes",
            ]);
            command.args([
                "-o",
                &format!("UserKnownHostsFile={}", access.known_hosts.display()),
                "-p",
                &port,
                "-i",
            ]);
            command
                .arg(&access.private_key)
                .arg(format!("{}@127.0.0.1", access.user));
            Measured::start(command.stderr(Stdio::null()))
        };
        (0..sessions).map(|_| one()).collect()
    };
    until_logged_in(&fleet, sessions, "OpenSSH clients", openssh).await;
    fleet.stop().await;
}

async fn until_logged_in(
    fleet: &Fleet,
    sessions: usize,
    name: &str,
    start: impl FnOnce() -> Vec<Measured>,
) {
    let before = fleet.counts("mm-0").logins;
    let started = Instant::now();
    let clients = start();
    let mut done = 0;
    while done < sessions as u64 && started.elapsed() < DEADLINE {
        sleep(Duration::from_millis(2)).await;
        done = fleet.counts("mm-0").logins - before;
    }
    let took = started.elapsed();
    let cpu: f64 = clients.iter().map(Measured::cpu_seconds).sum();
    println!(
        "{name:24} {:.2} s, {done} logins, {cpu:.2} s of CPU in the client",
        took.as_secs_f64()
    );
    drop(clients);
    // The server has to see them all gone before the next.
    fleet.hold_down("mm-0", true);
    sleep(Duration::from_millis(500)).await;
    fleet.hold_down("mm-0", false);
    sleep(Duration::from_millis(500)).await;
}

/// From the start of the process to the first accepted document: 100 sessions, and 10 sessions of 10 topics.
pub async fn first() {
    for (name, shape) in [
        ("100 sessions", Shape::PerTopic),
        ("10 groups of 10", Shape::PerGroup),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = FleetSettings::uniform(7, folder.path().to_owned(), 10, 10, 12);
        let fleet = Fleet::start(settings).await.unwrap();
        let server = Accepting::start().await;
        let asked = Asked {
            fleet: &fleet,
            topics_per_host: 10,
            sources: 100,
            shape,
            interval: "1s",
            handshakes_per_host: 4,
            elasticsearch: &server.url,
            folder: folder.path(),
        };
        let yaml = asked.yaml();
        let started = Instant::now();
        let mirrorlag = Measured::mirrorlag(&yaml);
        server.wait(0, 1).await;
        println!(
            "{name:24} first document after {:.3} s",
            started.elapsed().as_secs_f64()
        );
        drop(mirrorlag);
        fleet.stop().await;
    }
}
