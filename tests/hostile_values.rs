//! No value of the configuration becomes a command on a mirror host: hostile text in every key that reaches one, run by the real
//! shells that logins have. The CLI is a script that writes down what it was given.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helper functions of tests, which clippy does not know as tests

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mirrorlag::config;
use mirrorlag::kafka::{Describe, Jvm, Settings, loop_command};
use proptest::prelude::*;
use proptest::sample::select;

const LEASE: Duration = Duration::from_secs(60);
const MARKER: &str = "mirrorlag-0123456789abcdef";

/// Each key of the configuration, after `yes` where its value reaches a mirror host. A unit test of `config` holds that none is missing.
const KEYS: &str = include_str!("config/keys_on_a_host.txt");

/// Writes its own path, its arguments and JAVA_HOME down, a NUL after each.
const WRITES_DOWN: &str = "#!/bin/sh\nfor word in \"$0\" \"$@\" \"${JAVA_HOME-unset}\"; do printf '%s\\0' \"$word\"; done >\"$GIVEN\"\n";

/// Each would leave a file behind if any shell on the way read it as a command, or end an argument, or be an option.
const PIECES: &[&str] = &[
    "$(touch canary)",
    "`touch canary`",
    "${IFS}touch${IFS}canary",
    "; touch canary;",
    "&& touch canary &&",
    "|| touch canary ||",
    "| touch canary |",
    "& touch canary &",
    "> canary ",
    ">>canary",
    "2>&1 >canary",
    "<(touch canary)",
    ">! canary",
    "'; touch canary; '",
    "\"; touch canary; \"",
    "'$(touch canary)'",
    "\"$(touch canary)\"",
    "'\"'\"'",
    "'\\''",
    "\\'",
    "\\\\",
    "\\",
    "'",
    "\"",
    "`",
    "$",
    "$$",
    "$0 $1 $@ $*",
    "$'\\n touch canary'",
    "$?status$status$argv",
    "(touch canary)",
    "{ touch canary; }",
    "{a,b}{1..9}",
    "*",
    "?",
    "[a-z]*",
    "~",
    "~root",
    "#",
    " # ",
    " ",
    "  ",
    "\t",
    "\r",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "%s%n%d",
    "^a^b^",
    "=ls",
    "--help",
    "--delete",
    "-k 5",
    "-c 'touch canary'",
    "--",
    "-",
    "sh",
    "exec",
    "end; touch canary",
    "fi; done; esac; touch canary",
    "größe",
    "日本語",
    "\u{1d11e}",
    "\u{202e}",
    "orders",
    "/",
    "..",
    ":",
    ",",
    "=",
    "@",
    "/opt/kafka/bin",
    "b1:9092",
];

/// One hostile text, at most as long as a configuration takes a path.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => select(PIECES).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => "[ -~]{1,8}",
    ];
    let pieces = proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![
        9 => pieces.clone(),
        1 => pieces.prop_map(|text| format!("{text}{}", "x$(touch canary)'".repeat(200))),
    ]
}

/// Without the three characters that are refused.
fn quotable() -> impl Strategy<Value = String> {
    hostile().prop_map(|text| text.replace(['!', '\n', '\0'], "."))
}

/// A machine to be logged in to: a CLI, an empty home, an empty working folder.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A CLI at that path; `false` where no file can have it.
    fn has_cli(&self, path: &Path) -> bool {
        let folder = path.parent().filter(|it| it.starts_with(&self.folder));
        let is_made = folder.is_some_and(|folder| fs::create_dir_all(folder).is_ok());
        is_made
            && fs::write(path, WRITES_DOWN).is_ok()
            && fs::set_permissions(path, fs::Permissions::from_mode(0o755)).is_ok()
    }

    /// One round by that login shell, as sshd starts it; what the CLI was given.
    fn given(&self, shell: &str, command: &str) -> Vec<String> {
        let _from_before = fs::remove_file(self.path("given"));
        let mut child = Command::new(shell)
            .args(["-c", command])
            .current_dir(self.path("work"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("GIVEN", self.path("given"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        // A shell that did not take the command is gone already: seen below.
        let _sent = stdin.map(|mut stdin| stdin.write_all(b"1\n"));
        let output = child.wait_with_output().unwrap();
        let given = fs::read(self.path("given"))
            .unwrap_or_else(|_| panic!("{shell} did not run the CLI\n{command}\n{output:?}"));
        let text = String::from_utf8(given).unwrap();
        let mut words: Vec<String> = text.split('\0').map(str::to_owned).collect();
        words.pop();
        words
    }

    /// Nothing was made but what the test made.
    fn assert_untouched(&self, shell: &str) {
        let names = |folder: &str| {
            let entries = fs::read_dir(self.path(folder)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name());
            names.collect::<BTreeSet<_>>()
        };
        assert!(names("work").is_empty(), "{shell}: {:?}", names("work"));
        // A shell may keep its own files in its home, but knows nothing of a canary.
        assert!(
            !names("home").contains(std::ffi::OsStr::new("canary")),
            "{shell}"
        );
        assert!(
            !names("").contains(std::ffi::OsStr::new("canary")),
            "{shell}"
        );
    }
}

/// What the CLI must be given. A new field stops the compiler here: does it reach the host?
fn expected(settings: &Settings, describe: &Describe) -> Vec<String> {
    let Settings {
        consumer_groups,
        java_home,
        jvm: Jvm::Light | Jvm::AsIs,
        timeout,
    } = settings;
    let Describe {
        group,
        bootstrap_servers,
        command_config,
        limit: _,
    } = describe;
    let mut words = vec![consumer_groups.clone(), "--bootstrap-server".to_owned()];
    words.push(bootstrap_servers.join(","));
    words.extend(["--describe", "--group", group].map(str::to_owned));
    if let Some(file) = command_config {
        words.extend(["--command-config", file].map(str::to_owned));
    }
    if let Some(timeout) = timeout {
        words.extend(["--timeout".to_owned(), timeout.as_millis().to_string()]);
    }
    let java_home = java_home.clone().filter(|path| !path.is_empty());
    words.push(java_home.unwrap_or_else(|| "unset".to_owned()));
    words
}

/// The installed ones of the shells that a login may have.
fn shells() -> Vec<&'static str> {
    let mut shells = vec!["sh", "bash", "fish", "tcsh", "zsh", "ksh", "mksh"];
    shells.retain(|shell| Command::new(shell).args(["-c", "true"]).output().is_ok());
    for needed in ["fish", "tcsh"] {
        let is_there = shells.contains(&needed) || std::env::var_os("CI").is_none();
        assert!(is_there, "{needed} is not installed");
    }
    shells
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        // Each case is some shells and their processes.
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn whatever_the_values_are_the_cli_gets_them_as_they_are_and_no_shell_reads_them(
        folder in quotable(),
        group in quotable(),
        servers in proptest::collection::vec(quotable(), 1..3),
        command_config in proptest::option::of(quotable()),
        java_home in proptest::option::of(quotable()),
        seconds in 1_u64..600,
    ) {
        let host = Host::new();
        // A file name has at most 255 bytes and no slash.
        let name: String = folder.replace('/', "_").chars().take(60).collect();
        let cli = host.path(&format!("kafka{name}")).join("cli");
        prop_assume!(host.has_cli(&cli));
        let settings = Settings {
            consumer_groups: cli.to_str().unwrap().to_owned(),
            java_home,
            jvm: Jvm::Light,
            timeout: Some(Duration::from_secs(seconds)),
        };
        let describe = Describe { group, bootstrap_servers: servers, command_config, limit: LEASE };
        let command = loop_command(&settings, &describe, LEASE, MARKER).unwrap();
        for shell in shells() {
            prop_assert_eq!(host.given(shell, &command), expected(&settings, &describe), "{}", shell);
            host.assert_untouched(shell);
        }
    }

    #[test]
    fn a_value_with_a_character_that_a_shell_may_change_is_refused_and_no_other(value in hostile()) {
        let is_bad = value.contains(['!', '\n', '\0']);
        let settings = |text: &str| Settings {
            consumer_groups: text.to_owned(),
            java_home: Some(text.to_owned()),
            jvm: Jvm::AsIs,
            timeout: None,
        };
        let describe = |text: &str| Describe {
            group: text.to_owned(),
            bootstrap_servers: vec![text.to_owned()],
            command_config: Some(text.to_owned()),
            limit: LEASE,
        };
        let good = "good";
        let mut variants = vec![(settings(&value), describe(good))];
        variants.push((Settings { java_home: None, ..settings(&value) }, describe(good)));
        variants.push((Settings { consumer_groups: good.to_owned(), ..settings(&value) }, describe(good)));
        variants.push((settings(good), describe(&value)));
        variants.push((settings(good), Describe { group: value.clone(), ..describe(good) }));
        variants.push((settings(good), Describe { bootstrap_servers: vec![value.clone()], ..describe(good) }));
        variants.push((settings(good), Describe { command_config: Some(value.clone()), ..describe(good) }));
        for (settings, describe) in variants {
            prop_assert_eq!(loop_command(&settings, &describe, LEASE, MARKER).is_err(), is_bad);
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_the_configuration_lets_in_reaches_the_cli_as_it_is(
        key in select(keys_on_a_host()),
        value in hostile(),
        prefix in select(vec!["", "FOLDER/", "b1:9092,", "/"]),
    ) {
        let host = Host::new();
        let folder = host.folder.path().to_str().unwrap().to_owned();
        let value = format!("{}{value}", prefix.replace("FOLDER", &folder));
        let Some(loaded) = load(&host, key, &value) else {
            return Ok(());
        };
        for source in &loaded.sources {
            let (settings, describe) = (&source.mirror_host.kafka, &source.describe);
            let command = loop_command(settings, describe, LEASE, MARKER);
            let command = command.expect("what the configuration takes can be sent");
            if !host.has_cli(Path::new(&settings.consumer_groups)) {
                // A path that no file of this test can have; the words around it are the same.
                continue;
            }
            for shell in shells() {
                prop_assert_eq!(host.given(shell, &command), expected(settings, describe), "{}: {}", shell, key);
                host.assert_untouched(shell);
            }
        }
    }
}

fn keys_on_a_host() -> Vec<&'static str> {
    let keys = KEYS.lines().filter_map(|line| line.strip_prefix("yes "));
    keys.collect()
}

/// A configuration that is good but for that key; `None` where it is refused.
fn load(host: &Host, key: &str, value: &str) -> Option<config::Config> {
    // Text in double quotes is written in YAML as in JSON.
    let value = serde_json::to_string(value).unwrap();
    let of = |name: &str, good: &str| match name == key {
        true => format!("{name}: {value}"),
        false => format!("{name}: {good}"),
    };
    let cli = host.path("cli");
    fs::write(host.path("key"), "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n").unwrap();
    fs::set_permissions(host.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "defaults:\n  {}\n  kafka:\n    {}\n    {}\n    {}\n    {}\n  ssh:\n    {}\n    private_key: {}\n    known_hosts: {}\n\
         mirror_hosts: {{mm-1: {{address: 10.0.0.1}}}}\n\
         groups:\n  - mirror_host: mm-1\n    {}\n    {}\n    {}\n\
         journal: {{path: {}}}\nsinks: {{stdout: {{}}}}\n",
        of("describe_timeout", "30s"),
        of("consumer_groups", cli.to_str().unwrap()),
        of("java_home", "/opt/java"),
        of("jvm", "light"),
        of("timeout", "5s"),
        of("user", "somebody"),
        host.path("key").display(),
        host.path("known_hosts").display(),
        of("group", "oasis-group"),
        of("bootstrap_servers", "[b1:9092]"),
        of("command_config", "/etc/client.properties"),
        host.path("journal.db").display(),
    );
    let path = host.path("mirrorlag.yaml");
    fs::write(&path, &text).unwrap();
    let env = |name: &str| (name == "HOME").then(|| "/home/$(touch canary)".to_owned());
    let loaded = config::load(&path, &env).ok()?;
    Some(loaded.config)
}

#[test]
fn the_configuration_that_the_property_starts_from_is_good() {
    let host = Host::new();
    assert!(load(&host, "none of them", "").is_some());
    for key in keys_on_a_host() {
        let text = fs::read_to_string(host.path("mirrorlag.yaml")).unwrap();
        assert!(text.contains(&format!("{key}: ")), "{key} is not tried");
    }
}
