//! No secret comes out: not in a log at its most talkative, not on a command line, not in a process on the host, not in the journal, not
//! in what `check`, `once` and `status` print, when all is well and when the secrets are wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::collector::{Config, END_LIMIT};
use crate::elasticsearch::Elasticsearch;
use crate::process::{self, Process};
use crate::sshd::Sshd;
use crate::{kafka, lab};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A new password is in force within five seconds; then some rounds on a busy machine.
const ROUNDS_LIMIT: Duration = Duration::from_secs(90);

/// Looks at the processes while they run.
const LOOKS: usize = 15;

/// A host with two logins, each with an encrypted key of its own, and every secret that the program is given.
struct Scene {
    config: Config,
    sshd: Sshd,
    /// What it is, and the text that must not be found.
    secrets: Vec<(String, String)>,
    passphrase: String,
}

impl Scene {
    fn new(stem: &str) -> Self {
        let folder = lab::folder(&format!("{stem}-secrets"));
        let authorized = folder.join("authorized_keys");
        let lines = format!("AuthorizedKeysFile {}", authorized.display());
        let sshd = Sshd::start_with(stem, &lines);
        let mut config = Config::new(stem, &sshd);
        config.second = Some((sshd.address.clone(), sshd.port));
        // Long enough for some looks at the processes of a round.
        config.consumer_groups = kafka::script_as_cli("secrets-cli", "sleep 0.3; cat $recorded");
        let mut scene = Self {
            config,
            sshd,
            secrets: Vec::new(),
            passphrase: String::new(),
        };
        scene.passphrase = scene.secret("passphrase from a variable");
        let in_file = scene.secret("passphrase from a file");
        let passphrase_file = folder.join("passphrase");
        write_private(&passphrase_file, &in_file);
        let keys = [("rsa", scene.passphrase.clone()), ("ed25519", in_file)];
        let keys = keys.map(|(kind, passphrase)| scene.key(&folder, kind, &passphrase));
        let publics = keys
            .clone()
            .map(|key| fs::read_to_string(key.with_extension("pub")).expect("a public key"));
        fs::write(&authorized, publics.concat()).expect("authorized_keys");
        let from_env = format!(
            "ssh: {{private_key: {}, passphrase_env: LAB_PASSPHRASE}}",
            keys[0].display()
        );
        let from_file = format!(
            "ssh: {{private_key: {}, passphrase_file: {}}}",
            keys[1].display(),
            passphrase_file.display()
        );
        scene.config.edit_host("mm-1", &from_env);
        scene.config.edit_host("mm-2", &from_file);
        scene
    }

    /// A text that nobody else has.
    fn secret(&mut self, what: &str) -> String {
        let text = format!("Sx{:032x}", rand::random::<u128>());
        self.hide(what, text.clone());
        text
    }

    fn hide(&mut self, what: &str, text: String) {
        self.secrets.push((what.to_owned(), text));
    }

    fn key(&mut self, folder: &Path, kind: &str, passphrase: &str) -> PathBuf {
        let path = folder.join(format!("id_{kind}"));
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", kind, "-C", "secrets", "-N", passphrase, "-f"]);
        process::stdout_of(command.arg(&path));
        let text = fs::read_to_string(&path).expect("a key");
        // The first line of the body says the same of every key.
        for line in text.lines().skip(3).filter(|line| line.len() > 60) {
            self.hide("a line of a private key", line.to_owned());
        }
        path
    }

    /// A user of Elasticsearch whose password is a secret.
    fn user(&mut self) {
        self.config.username = lab::unique("secrets");
        self.config.password = self.secret("password of Elasticsearch");
        Elasticsearch::main().set_password(&self.config.username, &self.config.password);
        let login = format!("{}:{}", self.config.username, self.config.password);
        self.hide(
            "login of Elasticsearch as it is sent",
            BASE64_STANDARD.encode(login),
        );
    }

    /// An API key in a file, in place of the user. The lab's Elasticsearch lacks the module to make one, so it refuses this one.
    fn api_key(&mut self) {
        let key = self.secret("API key");
        let encoded = BASE64_STANDARD.encode(format!("lab:{key}"));
        self.hide("API key as it is sent", encoded.clone());
        let file = self.config.folder.with_extension("api_key");
        write_private(&file, &encoded);
        let written = format!(
            "    username: {}\n    password_env: LAB_PASSWORD\n",
            self.config.username
        );
        let instead = format!("    api_key_file: {}\n", file.display());
        self.config.edits.push((written, instead));
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.config.command(name, &self.config.write());
        command
            .args(arguments)
            .env("LAB_PASSPHRASE", &self.passphrase);
        command
    }

    /// `run`, and what every process has on its command line and, on the host, in its environment meanwhile.
    #[track_caller]
    fn run_and_look(&self, arguments: &[&str], log: Option<&str>, is_over: impl Fn(&str) -> bool) {
        let mut command = self.command("run", arguments);
        if let Some(filter) = log {
            command.env("RUST_LOG", filter);
        }
        let log = self.config.folder.join("run.log");
        let mut collector = Process::start("mirrorlag run", &mut command, log);
        let mut looks = 0;
        lab::eventually("what the test waits for", ROUNDS_LIMIT, || {
            looks += 1;
            self.look_at_process(collector.id(), &["cmdline"]);
            for line in self.sshd.processes_of_logins() {
                let pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
                self.look_at_process(pid.expect("a process id"), &["cmdline", "environ"]);
            }
            lab::claim(looks >= LOOKS && is_over(&collector.log()), looks)
        });
        self.assert_nothing_in_files();
        assert_eq!(collector.terminate(END_LIMIT).code(), Some(0));
        self.assert_nothing_in_files();
    }

    fn look_at_process(&self, pid: i32, files: &[&str]) {
        for file in files {
            // It may have ended meanwhile.
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            self.assert_nothing_in(&bytes, &format!("{file} of process {pid}"));
        }
    }

    /// Nothing in what was logged and written: the log, the journal with its WAL, the configuration; and sshd's log.
    #[track_caller]
    fn assert_nothing_in_files(&self) {
        let entries = fs::read_dir(&self.config.folder).expect("the test's folder");
        let mut seen = Vec::new();
        for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
            // A WAL goes when the journal is closed.
            let bytes = fs::read(entry.path()).unwrap_or_default();
            self.assert_nothing_in(&bytes, &entry.path().display().to_string());
            seen.push(entry.file_name().to_string_lossy().into_owned());
        }
        for name in ["run.log", "journal.db"] {
            assert!(
                seen.contains(&name.to_owned()),
                "{name} is not among {seen:?}"
            );
        }
        self.assert_nothing_in(self.sshd.log().as_bytes(), "sshd's log");
    }

    #[track_caller]
    fn assert_nothing_in(&self, bytes: &[u8], place: &str) {
        let text = String::from_utf8_lossy(bytes);
        for (what, secret) in &self.secrets {
            let at = text.find(secret.as_str());
            let around = at.map(|at| {
                text[at.saturating_sub(200)..]
                    .chars()
                    .take(200)
                    .collect::<String>()
            });
            assert!(at.is_none(), "{what} is in {place}, behind: {around:?}");
        }
    }

    /// What a command prints, in both forms of the log.
    #[track_caller]
    fn print_nothing(&self, name: &str) -> String {
        let mut all = String::new();
        for form in ["text", "json"] {
            let mut command = self.command(name, &["-vv", "--log-format", form]);
            let output = process::output_of(command.env("RUST_LOG", "trace"));
            for bytes in [output.stdout, output.stderr] {
                self.assert_nothing_in(&bytes, &format!("the output of {name}"));
                all += &String::from_utf8_lossy(&bytes);
            }
        }
        all
    }

    fn has_numbers(&self) -> bool {
        let documents = Elasticsearch::main().documents(&self.config.index);
        let documents = documents.unwrap_or_default();
        let ok = |host| {
            documents
                .iter()
                .any(|d| d.text("mirror_host") == host && d.text("outcome") == "ok")
        };
        ok("mm-1") && ok("mm-2")
    }
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("{text}\n")).expect("a secret file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

#[test]
fn a_password_and_passphrases_come_out_nowhere() {
    let mut scene = Scene::new("secrets");
    scene.user();
    scene.run_and_look(&["-vv"], None, |_| scene.has_numbers());
    for name in ["check", "once"] {
        let said = scene.print_nothing(name);
        assert!(
            said.contains("still-orders"),
            "{name} did its work:\n{said}"
        );
    }
    let help = process::output_of(Command::new(env!("CARGO_BIN_EXE_mirrorlag")).arg("--help"));
    if String::from_utf8_lossy(&help.stdout).contains("\n  status") {
        scene.print_nothing("status");
    }
    // The search finds what is there: the passphrase is in the environment of the collector itself.
    let found = std::panic::catch_unwind(|| {
        scene.assert_nothing_in(scene.passphrase.as_bytes(), "itself");
    });
    assert!(found.is_err());
}

#[test]
fn an_api_key_comes_out_nowhere_at_the_most_talkative() {
    let mut scene = Scene::new("secrets-api-key");
    scene.api_key();
    let arguments = ["-vv", "--log-format", "json"];
    scene.run_and_look(&arguments, Some("trace"), |log| log.contains("401"));
    scene.print_nothing("check");
}

#[test]
fn wrong_secrets_come_out_as_little_as_right_ones() {
    let mut scene = Scene::new("wrong-secrets");
    scene.config.username = lab::unique("nobody");
    scene.config.password = scene.secret("wrong password of Elasticsearch");
    let login = format!("{}:{}", scene.config.username, scene.config.password);
    scene.hide("login as it is sent", BASE64_STANDARD.encode(login));
    scene.passphrase = scene.secret("wrong passphrase");
    scene.run_and_look(&["-vv"], Some("trace"), |log| {
        log.contains("passphrase is wrong") && log.contains("401")
    });
    for name in ["check", "once"] {
        let said = scene.print_nothing(name);
        assert!(said.contains("passphrase is wrong"), "{said}");
    }
}
