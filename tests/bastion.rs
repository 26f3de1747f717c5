//! Hosts behind a bastion, on real OpenSSH servers: each test has its own two or three.
#![allow(clippy::expect_used)] // In a test it is the assertion.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mirrorlag::ssh::{
    Bastions, Error, Event, ForwardFailure, Gate, Session, Settings, Step, Stream,
};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

#[path = "support/sshd.rs"]
mod sshd;

use sshd::{ED25519, Sshd, keygen};

/// Nothing here takes a second on an idle machine; a loaded one gets time.
const SOON: Duration = Duration::from_secs(40);
/// In tests of silence.
const DEAD_AFTER: Duration = Duration::from_secs(3);

fn behind(server: &Sshd, bastion: &Settings) -> Settings {
    Settings {
        jump: Some(Arc::new(bastion.clone())),
        ..server.settings()
    }
}

/// Both are given up after `DEAD_AFTER`.
fn quick_behind(server: &Sshd, bastion: &Sshd) -> Settings {
    let quick = |settings: Settings| Settings {
        dead_after: DEAD_AFTER,
        ..settings
    };
    quick(behind(server, &quick(bastion.settings())))
}

async fn connect(bastions: &Bastions, settings: &Settings) -> Result<Session, Error> {
    let gate = bastions.gate(settings, 8);
    bastions.connect(settings, &gate, &mut |_, _, _| {}).await
}

async fn stream(bastions: &Bastions, settings: &Settings, command: &str) -> Stream {
    let session = connect(bastions, settings).await.expect("connect");
    session.stream(command).await.expect("stream")
}

async fn next_line(stream: &mut Stream) -> String {
    match tokio::time::timeout(SOON, stream.next()).await {
        Ok(Event::Stdout(line)) => line.text,
        other => panic!("no line: {other:?}"),
    }
}

/// A host that never answered a question is not judged. The first one is asked before anything is read, and SSH keeps the order: behind
/// an echo of `cat` its answer is here.
async fn answer_first_question(stream: &mut Stream) {
    stream.send("an echo".into()).expect("send");
    assert_eq!(next_line(stream).await, "an echo");
}

async fn end_of(stream: &mut Stream) -> Error {
    let end = async {
        loop {
            if let Event::Ended(error) = stream.next().await {
                return error;
            }
        }
    };
    tokio::time::timeout(SOON, end).await.expect("an end")
}

async fn refused(bastions: &Bastions, settings: &Settings) -> Error {
    let error = connect(bastions, settings).await.expect_err("no session");
    let text = error.to_string();
    assert!(!text.contains('\n') && text.contains("; "), "{text}");
    error
}

/// Asks until it is so; panics at the deadline.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// --- the way -----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_command_runs_on_a_host_behind_a_bastion_and_each_step_is_told() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    let settings = behind(&server, &bastion.settings());
    let bastions = Bastions::impatient();
    let mut hop_steps = Vec::new();
    let jump = settings.jump.clone().expect("a bastion");
    bastions
        .log_in_to(&jump, &mut |step, _, detail| {
            hop_steps.push((step, detail.to_owned()));
        })
        .await
        .expect("bastion");
    let names: Vec<Step> = hop_steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(
        names,
        [Step::Resolve, Step::Tcp, Step::HostKey, Step::Login]
    );

    let mut steps = Vec::new();
    let gate = Gate::impatient(1);
    let mut session = bastions
        .connect(&settings, &gate, &mut |step, _, detail| {
            steps.push((step, detail.to_owned()));
        })
        .await
        .expect("connect");
    let output = session.run("echo out; echo err >&2; exit 3", SOON).await;
    let output = output.expect("run");
    assert_eq!(
        (output.stdout.as_str(), output.exit_code),
        ("out\n", Some(3))
    );

    // The name is the bastion's to resolve, so there is no such step of ours.
    let names: Vec<Step> = steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(names, [Step::Tcp, Step::HostKey, Step::Login, Step::Shell]);
    let way = format!(
        "127.0.0.1:{} through root@127.0.0.1:{}",
        server.port, bastion.port
    );
    assert_eq!(steps[0].1, way);
    let key = format!("ssh-ed25519 {}", server.fingerprint("host_ed25519"));
    assert_eq!(steps[1].1, key);
    assert_eq!(bastion.count_in_log("Accepted publickey"), 1);
    assert_eq!(server.count_in_log("Accepted publickey"), 1);
}

#[tokio::test]
async fn three_megabytes_each_way_arrive_whole_through_a_bastion() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    let bastions = Bastions::impatient();
    let settings = behind(&server, &bastion.settings());
    let mut stream = stream(&bastions, &settings, "while read l; do echo \"$l\"; done").await;
    // Lines of 60,000 bytes: more in flight than any buffer on the way has.
    let line = "x".repeat(60_000);
    for round in 0..50 {
        stream.send(format!("{round}{line}")).expect("send");
        let back = next_line(&mut stream).await;
        assert_eq!(back, format!("{round}{line}"));
    }
}

#[tokio::test]
async fn two_hops_are_gone_one_through_the_other() {
    let (first, second, server) = (Sshd::start(), Sshd::start(), Sshd::start());
    let inner = behind(&second, &first.settings());
    let settings = behind(&server, &inner);
    let bastions = Bastions::impatient();
    let mut session = connect(&bastions, &settings).await.expect("connect");
    let output = session.run("echo there", SOON).await.expect("run");
    assert_eq!(output.stdout, "there\n");
    let logins = [&first, &second, &server].map(|sshd| sshd.count_in_log("Accepted publickey"));
    assert_eq!(logins, [1, 1, 1]);
}

#[tokio::test]
async fn forty_sessions_through_one_bastion_share_one_login_even_with_max_sessions_1() {
    let bastion = Sshd::with("MaxSessions 1");
    let server = Sshd::with("MaxStartups 100:30:200");
    let bastions = Bastions::patient();
    let settings = behind(&server, &bastion.settings());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (bastions, settings) = (bastions.clone(), settings.clone());
        tasks.spawn(async move {
            let mut stream = stream(&bastions, &settings, "cat").await;
            stream.send(format!("line {number}")).expect("send");
            assert_eq!(next_line(&mut stream).await, format!("line {number}"));
            stream
        });
    }
    let streams = tasks.join_all().await;
    assert_eq!(bastion.count_in_log("Accepted publickey"), 1);
    assert_eq!(bastion.count_in_log("Connection from"), 1);
    assert_eq!(server.count_in_log("Accepted publickey"), 40);

    // When all are gone, so is the session, and with it everything on both machines.
    drop(streams);
    drop(bastions);
    until("the session's end", || {
        bastion.descendants().is_empty() && server.descendants().is_empty()
    })
    .await;
}

#[tokio::test]
async fn the_name_of_a_host_is_resolved_by_its_bastion() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    let mut settings = behind(&server, &bastion.settings());
    settings.address = "no-such-host.invalid".into();
    let error = refused(&Bastions::impatient(), &settings).await;
    let failure = ForwardFailure::CannotConnect;
    assert!(matches!(&error, Error::Forward { failure: f, .. } if *f == failure));
    let port = bastion.port;
    let reason = format!("through root@127.0.0.1:{port}: the bastion cannot connect to it");
    assert_eq!(error.reason(), reason);
}

// --- each hop has its own key and login -----------------------------------------------------------------------------------

#[tokio::test]
async fn a_bastion_with_a_changed_host_key_is_refused_before_any_credential() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    keygen(ED25519, "", &bastion.path("other"));
    bastion.know(&["other"]);
    let error = refused(
        &Bastions::impatient(),
        &behind(&server, &bastion.settings()),
    )
    .await;
    let Error::HostKeyChanged { at, .. } = &error else {
        panic!("{error}");
    };
    assert!(at.is_bastion);
    let place = format!("bastion \"127.0.0.1:{}\"", bastion.port);
    assert!(error.to_string().contains(&place), "{error}");
    let reason = format!("bastion root@127.0.0.1:{}: host key changed", bastion.port);
    assert_eq!(error.reason(), reason);
    until("the bastion's log", || {
        bastion.count_in_log("Connection closed by") + bastion.count_in_log("Connection reset by")
            > 0
    })
    .await;
    assert_eq!(bastion.count_in_log("publickey"), 0);
    assert_eq!(server.count_in_log("Connection from"), 0);
}

#[tokio::test]
async fn the_host_behind_a_bastion_is_judged_by_its_own_key_and_name() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    keygen(ED25519, "", &server.path("other"));
    server.know(&["other"]);
    let error = refused(
        &Bastions::impatient(),
        &behind(&server, &bastion.settings()),
    )
    .await;
    let Error::HostKeyChanged { at, .. } = &error else {
        panic!("{error}");
    };
    assert!(!at.is_bastion && at.port == server.port);
    let text = error.to_string();
    let place = format!(
        "mirror host \"127.0.0.1:{}\" through root@127.0.0.1:{}",
        server.port, bastion.port
    );
    assert!(text.contains(&place), "{text}");
    // It is the bastion that can look for the host's key.
    let scan = format!(
        "ssh -p {} root@127.0.0.1 ssh-keyscan -p {} 127.0.0.1 >>",
        bastion.port, server.port
    );
    assert!(text.contains(&scan), "{text}");
    assert_eq!(server.count_in_log("publickey"), 0);
}

#[tokio::test]
async fn fifty_sources_behind_a_bastion_that_refuses_the_login_try_once() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    let jump = Settings {
        private_key: Some(bastion.new_stranger("stranger")),
        ..bastion.settings()
    };
    let settings = behind(&server, &jump);
    let bastions = Bastions::patient();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (bastions, settings) = (bastions.clone(), settings.clone());
        tasks.spawn(async move { connect(&bastions, &settings).await.map(|_| ()) });
    }
    let first = tasks.join_next().await.expect("one").expect("no panic");
    let error = first.expect_err("refused");
    assert!(matches!(error, Error::LoginRefused { .. }), "{error}");
    // The others wait for the bastion's gate, and their documents say why.
    let reason = bastions.last_failure(&settings).expect("a reason");
    let place = format!("bastion root@127.0.0.1:{}: login refused", bastion.port);
    assert!(reason.starts_with(&place), "{reason}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(tasks.try_join_next().map(|_| ()), None);
    assert_eq!(bastion.count_in_log("Connection from"), 1);
    assert_eq!(server.count_in_log("Connection from"), 0);
}

#[tokio::test]
async fn a_bastion_that_may_not_forward_is_named_with_the_mend() {
    let server = Sshd::start();
    for (lines, port) in [
        ("AllowTcpForwarding no", server.port),
        ("PermitOpen 127.0.0.1:1", server.port),
    ] {
        let bastion = Sshd::with(lines);
        let error = refused(
            &Bastions::impatient(),
            &behind(&server, &bastion.settings()),
        )
        .await;
        let failure = ForwardFailure::Prohibited;
        assert!(matches!(&error, Error::Forward { failure: f, .. } if *f == failure));
        let text = error.to_string();
        let mend =
            format!("AllowTcpForwarding local, and where PermitOpen is set 127.0.0.1:{port} in it");
        assert!(text.contains(&mend), "{text}");
    }
}

// --- what breaks ----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn when_the_bastions_session_is_killed_every_host_says_so_and_connects_again() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    let bastions = Bastions::patient();
    let settings = behind(&server, &bastion.settings());
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(stream(&bastions, &settings, "echo up; cat").await);
    }
    bastion.signal_sessions(Signal::KILL);
    for stream in &mut streams {
        let error = end_of(stream).await;
        assert!(error.endpoint().is_bastion, "{error}");
        let place = format!("bastion root@127.0.0.1:{}: connection lost", bastion.port);
        assert!(error.reason().starts_with(&place), "{}", error.reason());
    }
    // Nothing is left on the host: its sessions met the end of file.
    until("the host's sessions to end", || {
        server.descendants().is_empty()
    })
    .await;
    let mut again = stream(&bastions, &settings, "echo again").await;
    assert_eq!(next_line(&mut again).await, "again");
    assert_eq!(bastion.count_in_log("Accepted publickey"), 2);
}

#[tokio::test]
async fn a_frozen_bastion_is_noticed_and_blamed_by_every_host_behind_it() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    let bastions = Bastions::patient();
    let settings = quick_behind(&server, &bastion);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = stream(&bastions, &settings, "echo up; cat").await;
        assert_eq!(next_line(&mut stream).await, "up");
        streams.push(stream);
    }
    // They stand for longer than `dead_after` without a word of the hosts: the questions are answered.
    tokio::time::sleep(DEAD_AFTER * 2).await;
    streams[0].send("still here".into()).expect("send");
    assert_eq!(next_line(&mut streams[0]).await, "still here");

    bastion.signal_sessions(Signal::STOP);
    for stream in &mut streams {
        let error = end_of(stream).await;
        assert!(matches!(error, Error::Silent { .. }), "{error}");
        assert!(error.endpoint().is_bastion, "{error}");
    }
}

#[tokio::test]
async fn a_frozen_host_is_noticed_while_another_one_behind_its_bastion_goes_on() {
    let (bastion, frozen, server) = (Sshd::start(), Sshd::start(), Sshd::start());
    let bastions = Bastions::patient();
    let quick = |server: &Sshd| Settings {
        dead_after: DEAD_AFTER,
        ..behind(server, &bastion.settings())
    };
    let mut dead = stream(&bastions, &quick(&frozen), "echo up; cat").await;
    assert_eq!(next_line(&mut dead).await, "up");
    let mut alive = stream(&bastions, &quick(&server), "cat").await;
    alive.send("ready".into()).expect("send");
    assert_eq!(next_line(&mut alive).await, "ready");
    answer_first_question(&mut dead).await;
    frozen.signal_sessions(Signal::STOP);
    let error = {
        let mut end = std::pin::pin!(end_of(&mut dead));
        let mut number = 0;
        loop {
            number += 1;
            alive.send(number.to_string()).expect("send");
            assert_eq!(next_line(&mut alive).await, number.to_string());
            tokio::select! {
                error = &mut end => break error,
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    };
    assert!(matches!(error, Error::Silent { .. }), "{error}");
    assert_eq!(error.endpoint().port, frozen.port);
    alive.send("after".into()).expect("send");
    assert_eq!(next_line(&mut alive).await, "after");
    assert_eq!(bastion.count_in_log("Accepted publickey"), 1);
}

#[tokio::test]
async fn a_host_that_freezes_alone_behind_a_living_bastion_is_blamed_itself() {
    let (bastion, frozen) = (Sshd::start(), Sshd::start());
    let bastions = Bastions::patient();
    let settings = quick_behind(&frozen, &bastion);
    let mut stream = stream(&bastions, &settings, "echo up; cat").await;
    assert_eq!(next_line(&mut stream).await, "up");
    answer_first_question(&mut stream).await;
    frozen.signal_sessions(Signal::STOP);
    let error = end_of(&mut stream).await;
    assert!(matches!(error, Error::Silent { .. }), "{error}");
    assert!(!error.endpoint().is_bastion, "{error}");
    assert_eq!(bastion.count_in_log("Accepted publickey"), 1);
}

#[tokio::test]
async fn a_host_that_prints_to_a_reader_who_does_not_read_stalls_no_other() {
    let (bastion, loud, server) = (Sshd::start(), Sshd::start(), Sshd::start());
    let bastions = Bastions::impatient();
    let mut unread = stream(
        &bastions,
        &behind(&loud, &bastion.settings()),
        "i=0; while [ $i -lt 400 ]; do head -c 60000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; echo $i",
    )
    .await;
    let mut echo = stream(&bastions, &behind(&server, &bastion.settings()), "cat").await;
    for number in 0..300 {
        echo.send(number.to_string()).expect("send");
        assert_eq!(next_line(&mut echo).await, number.to_string());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // And nothing of it is lost: 400 lines of 60,000 bytes, and the last one.
    for _ in 0..400 {
        assert_eq!(next_line(&mut unread).await.len(), 60_000);
    }
    assert_eq!(next_line(&mut unread).await, "400");
}

/// A port of 127.0.0.1 that answers no attempt to connect: its queue is full.
struct BlackHole {
    port: u16,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).expect("bind");
        listener.listen(0).expect("listen");
        let address = listener.local_addr().expect("address");
        let address = address.as_socket().expect("address");
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            queued.push(stream);
        }
        Self {
            port: address.port(),
            _listener: listener,
            _queued: queued,
        }
    }
}

#[tokio::test]
async fn a_host_that_swallows_every_attempt_keeps_no_other_from_being_reached() {
    let (bastion, server) = (Sshd::start(), Sshd::start());
    let hole = BlackHole::new();
    let bastions = Bastions::patient();
    let settings = behind(&server, &bastion.settings());
    let swallowed = Settings {
        port: hole.port,
        connect_timeout: Duration::from_secs(5),
        ..settings.clone()
    };
    let mut standing = stream(&bastions, &settings, "cat").await;
    let trying = {
        let (bastions, swallowed) = (bastions.clone(), swallowed.clone());
        tokio::spawn(async move { connect(&bastions, &swallowed).await.map(|_| ()) })
    };
    until("the bastion to try", || {
        bastion.count_in_log(&format!("port {}", hole.port)) > 0 || !trying.is_finished()
    })
    .await;
    // What stands goes on, and what is new gets through, by a second session with the bastion.
    for number in 0..20 {
        standing.send(number.to_string()).expect("send");
        assert_eq!(next_line(&mut standing).await, number.to_string());
    }
    let mut more = stream(&bastions, &settings, "echo new; cat").await;
    assert_eq!(next_line(&mut more).await, "new");

    let error = trying.await.expect("no panic").expect_err("swallowed");
    assert!(
        matches!(
            error,
            Error::Deadline {
                step: Step::Tcp,
                ..
            }
        ),
        "{error}"
    );
    // Now it is known: further attempts have a session of their own, which is thrown away, and nobody waits for it.
    let gate = Gate::impatient(1);
    let again = bastions.connect(&swallowed, &gate, &mut |_, _, _| {}).await;
    assert!(matches!(again, Err(Error::Deadline { .. })), "{again:?}");
    let mut last = stream(&bastions, &settings, "echo last").await;
    assert_eq!(next_line(&mut last).await, "last");
    assert!(bastion.count_in_log("Accepted publickey") <= 3);
}
