//! The ssh room on a real OpenSSH server: each test has its own.

use std::time::Duration;

use mirrorlag::ssh::{self, Error, Event, Gate, Settings, Step};

#[path = "support/sshd.rs"]
mod sshd;

use sshd::Sshd;

const SOON: Duration = Duration::from_secs(20);

async fn connect(settings: &Settings) -> Result<ssh::Session, Error> {
    ssh::connect(settings, &Gate::impatient(4), &mut |_, _, _| {}).await
}

#[tokio::test]
async fn a_command_runs_and_its_output_and_exit_code_come_back() {
    let sshd = Sshd::start();
    let gate = Gate::impatient(4);
    let mut steps = Vec::new();
    let mut session = ssh::connect(&sshd.settings(), &gate, &mut |step, _, detail| {
        steps.push((step, detail.to_owned()));
    })
    .await
    .expect("connect");
    let output = session
        .run("echo out; echo err >&2; cat; exit 3", SOON)
        .await
        .expect("run");
    assert_eq!(output.stdout, "out\n");
    assert_eq!(output.stderr, "err\n");
    assert_eq!(output.exit_code, Some(3));
    let again = session.run("echo $((6 * 7))", SOON).await.expect("again");
    assert_eq!(again.stdout, "42\n");
    session.close().await;

    let names: Vec<Step> = steps.iter().map(|(step, _)| *step).collect();
    let all = [
        Step::Resolve,
        Step::Tcp,
        Step::HostKey,
        Step::Login,
        Step::Shell,
    ];
    assert_eq!(names, all);
    assert_eq!(steps[1].1, format!("127.0.0.1:{}", sshd.port));
    let key = format!("ssh-ed25519 {}", sshd.fingerprint("host_ed25519"));
    assert_eq!(steps[2].1, key);
    assert_eq!(steps[3].1, "publickey id");
    assert!(steps[4].1.starts_with("OpenSSH_"), "{}", steps[4].1);
}

#[tokio::test]
async fn a_stream_takes_lines_and_gives_lines_until_the_command_ends() {
    let sshd = Sshd::start();
    let session = connect(&sshd.settings()).await.expect("connect");
    let command = "exec /bin/sh -c 'while read -r t; do echo \"got $t\"; echo \"err $t\" >&2; [ $t = 3 ] && exit 7; done'";
    let mut stream = session.stream(command).await.expect("stream");
    let mut seen = Vec::new();
    for tick in 1..=3 {
        stream.send(tick.to_string()).expect("send");
    }
    let end = loop {
        match stream.next().await {
            Event::Stdout(line) => seen.push(line.text),
            Event::Stderr(line) => seen.push(line.text),
            Event::Ended(error) => break error,
        }
    };
    seen.sort();
    assert_eq!(seen, ["err 1", "err 2", "err 3", "got 1", "got 2", "got 3"]);
    assert!(
        matches!(
            end,
            Error::CommandEnded {
                exit_code: Some(7),
                ..
            }
        ),
        "{end}"
    );
    assert_eq!(stream.next().await, Event::Ended(end));
    assert!(stream.send("more".into()).is_err());
    stream.close().await;
}
