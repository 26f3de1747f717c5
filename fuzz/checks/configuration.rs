//! In: the text of a configuration. Out: nothing, or a panic.
//!
//! Claims: reading it twice gives the same; a refusal names at least one problem, each on one line, inside the file; what is accepted is
//! within its limits, reaches a host as the very words it has, and makes an HTTP client; no secret is printed by anything.
//!
//! Files that the text may name lie in a folder of their own; what names the devices and the processes of this machine is not read.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::time::Duration;

use mirrorlag::config::{self, Config, Loaded, Problem, Problems};
use mirrorlag::kafka;
use mirrorlag::sinks::elasticsearch::{Credentials, Elasticsearch};

/// In a file and in a variable that a configuration may name; printed by nothing.
const SECRETS: [&str; 2] = ["s3cret-of-a-file", "s3cret-of-a-variable"];

const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n";
const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB\n-----END OPENSSH PRIVATE KEY-----\n";

/// A home folder with the files that the seeds name.
struct Machine {
    home: tempfile::TempDir,
    env: HashMap<&'static str, String>,
    /// Sinks that made a client before: that is slow, and the same again.
    sinks: RefCell<BTreeSet<String>>,
}

thread_local! {
    static MACHINE: Machine = Machine::new();
}

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if leaves_the_folder(text) {
        return;
    }
    MACHINE.with(|machine| {
        let path = machine.home.path().join("mirrorlag.yaml");
        fs::write(&path, text).expect("a file in a folder of our own");
        let env = |name: &str| machine.env.get(name).cloned();
        let first = config::load(&path, &env);
        let second = config::load(&path, &env);
        assert_eq!(
            format!("{first:?}"),
            format!("{second:?}"),
            "the same file, read twice"
        );
        match first {
            Ok(loaded) => check_loaded(machine, &loaded),
            Err(problems) => check_problems(&problems, text),
        }
    });
}

/// Devices block or never end, and what the system says of itself is not the same twice. Escapes could hide such a path.
fn leaves_the_folder(text: &str) -> bool {
    [
        "/dev", "/proc", "/sys", "/run", "..", "\\x", "\\u", "\\U", "\\/",
    ]
    .iter()
    .any(|part| text.contains(part))
}

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let files = [
            ("ec2_keypair.pem", PEM),
            (".ssh/ec2_keypair.pem", PEM),
            (".ssh/id_ed25519", OPENSSH),
            (".ssh/known_hosts", ""),
            ("es_password", "s3cret-of-a-file\n"),
            ("ssh_passphrase", "s3cret-of-a-file\n"),
            ("es_api_key", "aWQ6a2V5\n"),
            ("consumer_lag.json", "{\"mappings\": {}}"),
            ("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
            ("empty", "\n"),
            ("two_lines", "a\nb\n"),
        ];
        for (name, text) in files {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(&path)).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let env = [
            ("HOME", home.path().display().to_string()),
            ("USER", "local-user".to_owned()),
            ("ES_PASSWORD", "s3cret-of-a-variable".to_owned()),
            ("SSH_PASSPHRASE", "s3cret-of-a-variable".to_owned()),
            ("ES_API_KEY", "aWQ6a2V5".to_owned()),
            ("MM_ADDRESS", "10.0.0.11".to_owned()),
            ("EMPTY", String::new()),
            ("SSH_AUTH_SOCK", "/nowhere/agent".to_owned()),
        ];
        Self {
            home,
            env: env.into(),
            sinks: RefCell::default(),
        }
    }
}

fn check_problems(problems: &Problems, text: &str) {
    assert!(!problems.errors.is_empty(), "refused for nothing");
    // YAML ends a line at these; the place of an end of file is one further.
    let ends = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = text.matches(ends).count() + 2;
    for problem in problems.errors.iter().chain(&problems.warnings) {
        check_problem(problem, lines);
    }
    let shown = problems.to_string();
    let count = problems.errors.len() + problems.warnings.len();
    assert_eq!(
        shown.lines().count(),
        count,
        "a line for each problem:\n{shown}"
    );
}

fn check_problem(problem: &Problem, lines: usize) {
    assert!(
        !problem.what.is_empty() && !problem.mend.is_empty(),
        "{problem:?}"
    );
    assert!(
        problem.place.line <= lines,
        "line {} of {lines}: {problem}",
        problem.place.line
    );
    let shown = problem.to_string();
    assert!(
        !shown.contains(|c: char| c.is_control()),
        "no line for a terminal: {shown:?}"
    );
    has_no_secret(&shown);
}

fn check_loaded(machine: &Machine, loaded: &Loaded) {
    for warning in &loaded.warnings {
        check_problem(warning, usize::MAX);
    }
    has_no_secret(&format!("{loaded:?}"));
    let config = &loaded.config;
    assert!(!config.sources.is_empty(), "nothing to ask");
    assert!(
        config.sinks.elasticsearch.is_some() || config.sinks.stdout,
        "nowhere to write to"
    );
    let names: BTreeSet<&str> = config
        .sources
        .iter()
        .map(|source| source.name.as_str())
        .collect();
    assert_eq!(names.len(), config.sources.len(), "two sources of one name");
    check_limits(config);
    check_words(config);
    check_sink(machine, config);
}

/// The limits that `config/mirrorlag.yaml` names.
fn check_limits(config: &Config) {
    let seconds = Duration::from_secs;
    for host in &config.mirror_hosts {
        assert!(host.ssh.port > 0 && !host.ssh.address.is_empty() && !host.ssh.user.is_empty());
        assert!((1..=64).contains(&host.describes_per_host));
        assert!((1..=64).contains(&host.handshakes_per_host));
        assert!((seconds(1)..=seconds(120)).contains(&host.ssh.connect_timeout));
        assert!((seconds(3)..=seconds(600)).contains(&host.ssh.dead_after));
        assert!(
            host.ssh.private_key.is_some() || host.ssh.agent,
            "no way to log in"
        );
    }
    for source in &config.sources {
        assert!((seconds(1)..=seconds(86_400)).contains(&source.interval));
        assert!((seconds(1)..=seconds(600)).contains(&source.describe.limit));
        assert!(!source.describe.bootstrap_servers.is_empty());
    }
    assert!(config.journal.retain_for >= seconds(60));
    assert!(config.journal.bytes_max >= 16 << 20);
}

/// A POSIX shell takes the command line apart into the words that were meant, and each value is one of them.
fn check_words(config: &Config) {
    for source in &config.sources {
        let (kafka, describe) = (&source.mirror_host.kafka, &source.describe);
        let command = kafka::loop_command(kafka, describe, Duration::from_secs(90), "m4rk");
        let command = command.expect("an accepted value can be quoted");
        let words = shlex::split(&command).expect("a command line");
        let mut expected = vec![
            "exec",
            "/bin/sh",
            "-c",
            kafka::LOOP_SCRIPT,
            "sh",
            "m4rk",
            "90",
        ];
        let limit = describe.limit.as_millis().div_ceil(1000).to_string();
        let servers = describe.bootstrap_servers.join(",");
        let timeout = kafka.timeout.map(|timeout| timeout.as_millis().to_string());
        expected.extend([
            limit.as_str(),
            kafka.java_home.as_deref().unwrap_or_default(),
        ]);
        expected.push(match kafka.jvm {
            kafka::Jvm::Light => "light",
            kafka::Jvm::AsIs => "as_is",
        });
        expected.extend([
            kafka.consumer_groups.as_str(),
            "--bootstrap-server",
            &servers,
        ]);
        expected.extend(["--describe", "--group", &describe.group]);
        if let Some(file) = &describe.command_config {
            expected.extend(["--command-config", file]);
        }
        if let Some(timeout) = &timeout {
            expected.extend(["--timeout", timeout]);
        }
        assert_eq!(words, expected);
    }
}

fn check_sink(machine: &Machine, config: &Config) {
    let Some(settings) = &config.sinks.elasticsearch else {
        return;
    };
    assert!(!settings.urls.is_empty() && !settings.index.stem().is_empty());
    assert!(!settings.index.meets(&settings.partitions_index));
    assert!(
        settings
            .urls
            .iter()
            .all(|url| url.starts_with("http") && !url.contains('@'))
    );
    if let Credentials::Basic { username, .. } = &settings.credentials {
        assert!(!username.contains(':'));
    }
    let key = format!("{settings:?}");
    if machine.sinks.borrow_mut().insert(key) {
        // The certificate of the folder is none, which only its user can find out; nothing else is left to be wrong.
        let made = Elasticsearch::new(settings).map(|_| ());
        assert!(made.is_ok() || settings.ca_file.is_some(), "{made:?}");
    }
}

fn has_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "a secret is printed");
    }
}
