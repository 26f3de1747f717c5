//! The two commands of a check on real login shells, as sshd would hand them over: `<shell> -c <command>`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::*;
use crate::kafka::{Describe, Jvm, Settings};

const SHELLS: [&str; 6] = ["dash", "bash", "zsh", "ksh", "fish", "tcsh"];
const MARKER: &str = "mirrorlag-test";

/// Prints a version, or the group it was asked for between brackets.
const CLI: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo 3.9.1; exit; }
while [ $# -gt 0 ]; do [ "$1" = --group ] && printf "<%s>" "$2"; shift; done
"#;

fn is_installed(shell: &str) -> bool {
    let found = Command::new(shell)
        .args(["-c", "true"])
        .stdin(Stdio::null())
        .status()
        .is_ok();
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found || !is_ci, "{shell} is not installed");
    if !found {
        println!("{shell} is not installed: skipped");
    }
    found
}

/// A home folder whose start-up files speak, and a CLI in a folder of it.
fn host(home: &Path) -> Settings {
    for file in [".bashrc", ".zshenv", ".cshrc", ".config/fish/config.fish"] {
        let file = home.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "echo Welcome to this host\n").unwrap();
    }
    let cli = home.join("kafka-consumer-groups.sh");
    fs::write(&cli, CLI).unwrap();
    fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
    Settings {
        consumer_groups: cli.to_str().unwrap().to_owned(),
        java_home: None,
        jvm: Jvm::Light,
        timeout: None,
    }
}

fn output(shell: &str, home: &Path, command: &str) -> Output {
    Command::new(shell)
        .args(["-c", command])
        .env("HOME", home)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_login_shell_runs_the_probe() {
    let home = tempfile::tempdir().unwrap();
    let settings = host(home.path());
    let file = "/none/mm consumer.properties";
    let command = probe::command(&settings, &[file], MARKER).unwrap();
    for shell in SHELLS.into_iter().filter(|shell| is_installed(shell)) {
        let output = output(shell, home.path(), &command);
        let seen = probe::read(&text(&output.stdout), MARKER);
        assert!(seen.is_whole, "{shell}: {output:?}");
        assert_eq!(seen.version(), Some("3.9.1"), "{shell}");
        assert_eq!(seen.files, [(file.to_owned(), Entry::Missing)], "{shell}");
    }
}

#[test]
fn every_login_shell_runs_one_round_of_the_loop_and_ends() {
    let home = tempfile::tempdir().unwrap();
    let settings = host(home.path());
    let describe = Describe {
        group: "it's $HOME; \"my\" group".to_owned(),
        bootstrap_servers: vec!["b1:9092".to_owned()],
        command_config: None,
        limit: Duration::from_secs(30),
    };
    let command = kafka::loop_command(&settings, &describe, LEASE, MARKER).unwrap();
    for shell in SHELLS.into_iter().filter(|shell| is_installed(shell)) {
        let output = output(shell, home.path(), &with_one_tick(&command));
        let round = round_in(MARKER, &text(&output.stdout), &text(&output.stderr));
        let round = round.unwrap_or_else(|| panic!("{shell}: {output:?}"));
        assert_eq!((round.tick.as_str(), round.exit_code), ("1", 0), "{shell}");
        let asked = format!("<{}>", describe.group);
        assert_eq!(round.stdout.trim(), asked, "{shell}");
    }
}

#[test]
fn an_output_without_a_round_is_none() {
    assert_eq!(round_in(MARKER, "Welcome\n", "rbash: restricted\n"), None);
}

#[test]
fn what_a_shell_complains_with_comes_after_its_greeting() {
    let said = ["rbash: /bin/sh: restricted\n\n", "Welcome\n"];
    assert_eq!(
        last_words(&said),
        ", it said \"rbash: /bin/sh: restricted\""
    );
    assert_eq!(
        last_words(&["", "Welcome\nfor backups only\n"]),
        ", it said \"for backups only\""
    );
    assert_eq!(last_words(&["", "\n"]), "");
}
