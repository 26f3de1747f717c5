//! The remote loop on real shells: each login shell gets the command line as sshd would hand it over, `<shell> -c <command>`.
//!
//! The CLI is a small script. A shell that is not installed is named and skipped, but under `CI=true` it fails.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helper functions of tests, which clippy does not know as tests

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mirrorlag::kafka::{
    Describe, Jvm, Progress, RoundText, Settings, Stream, Transcript, loop_command,
};

/// A step of a loop on a loaded machine with two cores.
const DEADLINE: Duration = Duration::from_secs(30);
const SHELLS: [&str; 6] = ["dash", "bash", "zsh", "ksh", "fish", "tcsh"];
const LONG: Duration = Duration::from_secs(60);

/// Prints its arguments, one per line between angle brackets, and then JAVA_HOME.
const PRINTS_ARGUMENTS: &str =
    r#"for a in "$@"; do printf '<%s>\n' "$a"; done; printf 'home=<%s>\n' "$JAVA_HOME""#;

/// A mirror host: a home folder with a CLI in it.
struct Host {
    folder: tempfile::TempDir,
    settings: Settings,
    describe: Describe,
    lease: Duration,
    path: Option<PathBuf>,
}

/// A running loop. Every process of it has `tag` in its environment.
struct Loop {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<(Stream, String)>,
    transcript: Transcript,
    tag: String,
}

impl Host {
    fn new(cli: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("kafka consumer's groups.sh");
        executable(&script, &format!("#!/bin/sh\n{cli}\n"));
        // What login shells read before the command of an SSH session.
        for file in [".bashrc", ".zshenv", ".cshrc", ".config/fish/config.fish"] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "echo Welcome to this host\n").unwrap();
        }
        Self {
            settings: Settings {
                consumer_groups: script.to_str().unwrap().to_owned(),
                java_home: None,
                jvm: Jvm::Light,
                timeout: None,
            },
            describe: Describe {
                group: "oasis-group".to_owned(),
                bootstrap_servers: vec!["b1:9092".to_owned(), "b2:9092".to_owned()],
                command_config: None,
                limit: LONG,
            },
            lease: LONG,
            folder,
            path: None,
        }
    }

    fn start(&self, shell: &str) -> Loop {
        let tag = format!("MIRRORLAG_TEST={:016x}", rand::random::<u64>());
        let marker = format!("mirrorlag-{:016x}", rand::random::<u64>());
        let command = loop_command(&self.settings, &self.describe, self.lease, &marker).unwrap();
        let (name, value) = tag.split_once('=').unwrap();
        let mut shell = Command::new(shell);
        shell
            .args(["-c", &command])
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path().join(".config"))
            .env(name, value)
            .env("JMX_PORT", "5555")
            .env("KAFKA_JMX_OPTS", "-Dcom.sun.management.jmxremote")
            .env("KAFKA_LOG4J_OPTS", "-Dlog4j.configuration=file:broker")
            .env("KAFKA_HEAP_OPTS", "-Xms4G")
            .env_remove("JAVA_HOME")
            .env_remove("KAFKA_JVM_PERFORMANCE_OPTS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(path) = &self.path {
            shell.env("PATH", path);
        }
        let mut child = shell.spawn().unwrap();
        let (sender, lines) = channel();
        read_lines(child.stdout.take().unwrap(), Stream::Stdout, sender.clone());
        read_lines(child.stderr.take().unwrap(), Stream::Stderr, sender);
        Loop {
            stdin: child.stdin.take(),
            child,
            lines,
            transcript: Transcript::new(&marker, 1 << 20),
            tag,
        }
    }

    /// A started loop that has said hello.
    fn greeted(&self, shell: &str) -> Loop {
        let mut running = self.start(shell);
        assert!(
            matches!(
                running.progress(),
                Some(Progress::Hello { has_timeout: true })
            ),
            "{shell}, group {:?}",
            self.describe.group
        );
        running
    }
}

impl Loop {
    fn send(&mut self, text: &str) {
        self.stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// What the transcript makes of the next lines; `None` when both streams have ended.
    fn progress(&mut self) -> Option<Progress> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (stream, line) = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(error) => panic!("{error}; so far: {:?}", self.transcript),
            };
            if let Some(progress) = self.transcript.push(stream, &line, false) {
                return Some(progress);
            }
        }
    }

    fn round(&mut self) -> RoundText {
        match self.progress() {
            Some(Progress::Round(round)) => round,
            other => panic!("no round but {other:?}"),
        }
    }

    fn round_of(&mut self, tick: &str) -> RoundText {
        self.send(&format!("{tick}\n"));
        let round = self.round();
        assert_eq!(round.tick, tick);
        round
    }

    /// Ends the loop as a lost connection does, and waits until no process of it is left.
    fn end(mut self) {
        self.stdin = None;
        self.wait_until_gone();
    }

    fn wait_until_gone(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            // Reaped, or it would stay in /proc as a zombie.
            let is_reaped = self.child.try_wait().unwrap().is_some();
            let left = processes(&self.tag);
            if is_reaped && left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still there: {left:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // A failed test leaves nothing behind either.
        self.stdin = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
        for (id, _) in processes(&self.tag) {
            if let Some(id) = rustix::process::Pid::from_raw(id) {
                let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            }
        }
    }
}

fn read_lines(from: impl Read + Send + 'static, stream: Stream, to: Sender<(Stream, String)>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            if to
                .send((stream, String::from_utf8_lossy(&line).into_owned()))
                .is_err()
            {
                return;
            }
        }
    });
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Id and command line of all processes that have `tag` in their environment.
fn processes(tag: &str) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        // Processes come and go while we look.
        let Ok(environment) = fs::read(entry.path().join("environ")) else {
            continue;
        };
        if environment.split(|b| *b == 0).any(|v| v == tag.as_bytes()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((id, String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    found
}

/// The installed ones of the six login shells.
fn shells() -> Vec<&'static str> {
    SHELLS
        .into_iter()
        .filter(|shell| {
            let is_there = Command::new(shell).args(["-c", "true"]).status().is_ok();
            if !is_there {
                assert!(std::env::var_os("CI").is_none(), "{shell} is not installed");
                eprintln!("skipped: login shell {shell} is not installed");
            }
            is_there
        })
        .collect()
}

#[test]
fn the_loop_runs_from_every_login_shell_whatever_its_start_up_files_print() {
    let host = Host::new(&format!("{PRINTS_ARGUMENTS}; echo state >&2; exit 3"));
    for shell in shells() {
        let mut running = host.greeted(shell);
        for tick in ["1795244443069", "1795244453069"] {
            let round = running.round_of(tick);
            assert_eq!(round.exit_code, 3, "{shell}");
            assert_eq!(
                round.stdout,
                "<--bootstrap-server>\n<b1:9092,b2:9092>\n<--describe>\n<--group>\n<oasis-group>\nhome=<>\n\n",
                "{shell}"
            );
            assert_eq!(round.stderr, "state\n\n", "{shell}");
        }
        running.end();
    }
}

#[test]
fn a_hostile_value_arrives_as_data_from_every_login_shell() {
    let printable: String = (' '..='~').filter(|c| *c != '!').collect();
    let backwards: String = printable.chars().rev().collect();
    let hostile = [
        printable.as_str(),
        backwards.as_str(),
        "it's \"quoted\" 'twice'",
        "$(touch pwned) `touch pwned` ${HOME} $HOME",
        "; touch pwned; | touch pwned & touch pwned > pwned",
        "-rf --help",
        "a  b\tc ",
        r"back\slash \\ two \' \n end\",
        "*.sh ?[a-z] {a,b} ~ ~root #no comment",
        "größe 日本 \u{1d11e} \u{7f}",
        "%d %s ^caret^ = (x) <y>",
        "",
        "'",
        "\\",
    ];
    for shell in shells() {
        for value in hostile {
            let mut host = Host::new(PRINTS_ARGUMENTS);
            host.describe.group = value.to_owned();
            host.describe.command_config = Some(value.to_owned());
            host.describe.bootstrap_servers = vec![value.to_owned()];
            host.settings.java_home = Some(value.to_owned());
            host.settings.timeout = Some(Duration::from_millis(7500));
            let mut running = host.greeted(shell);
            let round = running.round_of("1");
            assert_eq!(
                round.stdout,
                format!(
                    "<--bootstrap-server>\n<{value}>\n<--describe>\n<--group>\n<{value}>\n<--command-config>\n<{value}>\n\
                     <--timeout>\n<7500>\nhome=<{value}>\n\n"
                ),
                "{shell}"
            );
            assert!(
                !host.folder.path().join("pwned").exists(),
                "{shell}: {value}"
            );
            running.end();
        }
    }
}

#[test]
fn a_value_that_a_login_shell_would_change_is_refused_by_name() {
    for (bad, character) in [("a!b", '!'), ("a\nb", '\n'), ("a\0b", '\0')] {
        let host = Host::new("");
        let mut describe = host.describe.clone();
        describe.group = bad.to_owned();
        let error = loop_command(&host.settings, &describe, LONG, "m").unwrap_err();
        assert_eq!((error.what, error.character), ("group", character));
        let mut settings = host.settings.clone();
        settings.consumer_groups = format!("/{bad}");
        let error = loop_command(&settings, &host.describe, LONG, "m").unwrap_err();
        assert_eq!(error.what, "consumer_groups");
        assert!(!error.to_string().contains('\n'), "one line: {error}");
    }
}

#[test]
fn the_service_variables_of_the_host_do_not_reach_the_cli() {
    let prints = r#"printf '%s\n' "${JMX_PORT-unset}" "${KAFKA_JMX_OPTS-unset}" "${KAFKA_LOG4J_OPTS-unset}" \
        "$LC_ALL" "$KAFKA_HEAP_OPTS" "${KAFKA_JVM_PERFORMANCE_OPTS-unset}" "${JAVA_HOME-unset}""#;
    let mut host = Host::new(prints);
    let mut running = host.greeted("sh");
    let light = "unset\nunset\nunset\nC.UTF-8\n-Xmx256M\n-XX:+UseSerialGC -XX:TieredStopAtLevel=1\nunset\n\n";
    assert_eq!(running.round_of("1").stdout, light);
    running.end();
    host.settings.jvm = Jvm::AsIs;
    host.settings.java_home = Some("/usr/lib/jvm/temurin 21".to_owned());
    let mut running = host.greeted("sh");
    let as_is = "unset\nunset\nunset\nC.UTF-8\n-Xms4G\nunset\n/usr/lib/jvm/temurin 21\n\n";
    assert_eq!(running.round_of("1").stdout, as_is);
    running.end();
}

#[test]
fn a_describe_that_hangs_is_ended_at_its_limit_and_the_loop_goes_on() {
    let mut host =
        Host::new("if [ -e hung ]; then echo row; else touch hung; echo torn; sleep 600; fi");
    host.describe.limit = Duration::from_millis(900);
    let mut running = host.greeted("bash");
    let started = Instant::now();
    let round = running.round_of("1");
    assert_eq!((round.exit_code, round.stdout.as_str()), (124, "torn\n\n"));
    assert!(started.elapsed() >= Duration::from_millis(900));
    let round = running.round_of("2");
    assert_eq!((round.exit_code, round.stdout.as_str()), (0, "row\n\n"));
    running.end();
}

#[test]
fn a_describe_that_ignores_its_limit_is_killed_five_seconds_later() {
    let mut host = Host::new("trap '' TERM; while :; do sleep 1; done");
    host.describe.limit = Duration::from_secs(1);
    let mut running = host.greeted("sh");
    assert_eq!(running.round_of("1").exit_code, 137);
    running.end();
}

#[test]
fn what_a_describe_leaves_behind_is_killed_when_it_is_over() {
    // Children that hear no signal, of a describe that ends by itself and of one that is ended.
    let deaf = "(trap '' TERM HUP; sleep 600; sleep 600) & ";
    for (rest, exit_code) in [("echo row", 0), ("wait", 124)] {
        let mut host = Host::new(&format!("{deaf}{rest}"));
        host.describe.limit = Duration::from_secs(1);
        for shell in shells() {
            let mut running = host.greeted(shell);
            for tick in ["1", "2"] {
                let round = running.round_of(tick);
                assert_eq!(round.exit_code, exit_code, "{shell}: {round:?}");
                let deadline = Instant::now() + DEADLINE;
                while processes(&running.tag)
                    .iter()
                    .any(|(_, line)| line.contains("sleep 600"))
                {
                    assert!(
                        Instant::now() < deadline,
                        "{shell}: {:?}",
                        processes(&running.tag)
                    );
                    thread::sleep(Duration::from_millis(20));
                }
            }
            running.end();
        }
    }
}

#[test]
fn the_end_of_the_connection_ends_the_loop_and_a_describe_in_flight_ends_at_its_limit() {
    let mut host = Host::new("touch started; exec sleep 600");
    host.describe.limit = Duration::from_secs(2);
    let mut running = host.greeted("sh");
    running.send("1\n");
    let deadline = Instant::now() + DEADLINE;
    while !host.folder.path().join("started").exists() {
        assert!(Instant::now() < deadline, "the describe did not start");
        thread::sleep(Duration::from_millis(10));
    }
    running.end();
}

#[test]
fn a_lease_that_nobody_renews_ends_the_loop_though_the_connection_stands() {
    let mut host = Host::new("echo row");
    host.lease = Duration::from_secs(1);
    for shell in shells() {
        let mut running = host.greeted(shell);
        assert!(running.stdin.is_some(), "no end of file");
        assert_eq!(running.progress(), None, "{shell}");
        running.wait_until_gone();
    }
}

#[test]
fn an_empty_line_renews_the_lease_and_runs_nothing() {
    let mut host = Host::new("echo run >> runs");
    host.lease = Duration::from_secs(2);
    let mut running = host.greeted("sh");
    let renewed_for = Instant::now();
    // Three leases long, a line every quarter of one.
    while renewed_for.elapsed() < host.lease * 3 {
        running.send("\n");
        thread::sleep(host.lease / 4);
    }
    running.round_of("1");
    let runs = fs::read_to_string(host.folder.path().join("runs")).unwrap();
    assert_eq!(runs, "run\n");
    running.end();
}

#[test]
fn queued_ticks_run_one_after_the_other() {
    let host = Host::new("echo row");
    for shell in shells() {
        let mut running = host.greeted(shell);
        running.send("1\n\n2\n3\n");
        for tick in ["1", "2", "3"] {
            assert_eq!(running.round().tick, tick, "{shell}");
        }
        running.end();
    }
}

#[test]
fn a_tick_that_the_connection_tore_is_not_run() {
    let host = Host::new("echo run >> runs");
    let mut running = host.greeted("sh");
    running.send("1\n22");
    assert_eq!(running.round().tick, "1");
    running.stdin = None;
    assert_eq!(running.progress(), None);
    running.wait_until_gone();
    let runs = fs::read_to_string(host.folder.path().join("runs")).unwrap();
    assert_eq!(runs, "run\n");
}

#[test]
fn a_cli_that_reads_its_standard_input_eats_no_tick() {
    let host = Host::new("cat; echo read");
    let mut running = host.greeted("sh");
    running.send("1\n2\n");
    for tick in ["1", "2"] {
        let round = running.round();
        assert_eq!(
            (round.tick.as_str(), round.stdout.as_str()),
            (tick, "read\n\n")
        );
    }
    running.end();
}

#[test]
fn a_row_without_a_line_feed_does_not_swallow_the_marker() {
    let host = Host::new("printf '\\nGROUP\\nlast row'; printf 'half a message' >&2");
    let mut running = host.greeted("sh");
    let round = running.round_of("1");
    assert_eq!(round.stdout, "\nGROUP\nlast row\n");
    assert_eq!(round.stderr, "half a message\n");
    running.end();
}

#[test]
fn a_cli_that_is_not_there_or_may_not_run_is_named_on_stderr() {
    let mut host = Host::new("");
    host.settings.consumer_groups = "/opt/kafka/bin/not-there.sh".to_owned();
    let mut running = host.greeted("sh");
    let round = running.round_of("1");
    assert_eq!(round.exit_code, 127);
    assert!(
        round.stderr.contains("/opt/kafka/bin/not-there.sh"),
        "{}",
        round.stderr
    );
    running.end();
    host.settings.consumer_groups = host.folder.path().to_str().unwrap().to_owned();
    let mut running = host.greeted("sh");
    assert_eq!(running.round_of("1").exit_code, 126);
    running.end();
}

#[test]
fn a_host_without_timeout_says_so_and_still_describes() {
    let mut host = Host::new("echo row");
    host.path = Some(host.folder.path().join("bin"));
    fs::create_dir(host.folder.path().join("bin")).unwrap();
    let old_busybox = host.folder.path().join("bin/timeout");
    for has_old_timeout in [false, true] {
        if has_old_timeout {
            executable(
                &old_busybox,
                "#!/bin/sh\necho \"timeout: invalid option -- 'k'\" >&2; exit 1\n",
            );
        }
        let mut running = host.start("/bin/sh");
        let hello = running.progress();
        assert_eq!(hello, Some(Progress::Hello { has_timeout: false }));
        running.send("1\n\n2\n");
        for tick in ["1", "2"] {
            let round = running.round();
            assert_eq!(
                (round.tick.as_str(), round.stdout.as_str()),
                (tick, "row\n\n")
            );
        }
        running.end();
    }
}
