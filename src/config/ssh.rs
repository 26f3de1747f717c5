//! In: the `ssh:` keys of a mirror host and of `defaults`. Out: `ssh::Settings`.
//! Never: connects, asks an agent, changes a known_hosts file.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use secrecy::SecretString;

use super::expand::Fault;
use super::names;
use super::problem::{Place, Reported};
use super::section::{At, Reader, Section, Written, optional, value_or};
use crate::ssh::{HostKeyPolicy, Settings};

pub(super) const KEYS: &[&str] = &[
    "user",
    "private_key",
    "passphrase_env",
    "passphrase_file",
    "agent",
    "known_hosts",
    "host_key",
    "connect_timeout",
    "dead_after",
    "jump",
];

pub(super) const PORT: u16 = 22;
pub(super) const KNOWN_HOSTS: &str = "~/.ssh/known_hosts";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEAD_AFTER: Duration = Duration::from_secs(20);

/// A step that needs longer than two minutes is LoginGraceTime's to end, not ours.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// Below this a host that swaps for a moment is taken for dead.
const DEAD_AFTER_MIN: Duration = Duration::from_secs(3);
const DEAD_AFTER_MAX: Duration = Duration::from_secs(600);

/// A private key file is 0.4 to 13 kB.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// The machine that keys are for.
pub(super) struct Whose {
    /// Where it stands in the file.
    pub place: Place,
    /// Its keys stand beside its address; a mirror host has them in `ssh:`.
    pub is_bastion: bool,
}

impl Whose {
    fn missing(&self, key: &str) -> Place {
        let section = if self.is_bastion { "" } else { "ssh." };
        Place {
            key: format!("{}.{section}{key}", self.place.key),
            ..self.place.clone()
        }
    }

    fn here(&self) -> &'static str {
        match self.is_bastion {
            true => "here or under ssh: of defaults:",
            false => "under ssh: of this host or of defaults:",
        }
    }
}

/// The `ssh:` keys of one section, as written.
#[derive(Default, Clone)]
pub(super) struct Keys {
    user: Written<String>,
    private_key: Written<PathBuf>,
    passphrase: Written<SecretString>,
    agent: Written<bool>,
    known_hosts: Written<PathBuf>,
    host_key: Written<HostKeyPolicy>,
    connect_timeout: Written<Duration>,
    dead_after: Written<Duration>,
}

impl Keys {
    pub fn read(section: &Section<'_>) -> Self {
        let reader = section.reader;
        Self {
            user: reader.refine(section.text("user"), |user| names::user(user)),
            private_key: section.local_file("private_key"),
            passphrase: section.secret("passphrase"),
            agent: section.flag("agent"),
            known_hosts: section.local_path("known_hosts"),
            host_key: reader.refine(section.text("host_key"), |text| host_key_policy(text)),
            connect_timeout: section.duration(
                "connect_timeout",
                Duration::from_secs(1)..=CONNECT_TIMEOUT_MAX,
            ),
            dead_after: section.duration("dead_after", DEAD_AFTER_MIN..=DEAD_AFTER_MAX),
        }
    }

    /// The keys of a section that could not be read: none of them is missing.
    pub fn reported() -> Self {
        Self {
            user: Some(Err(Reported)),
            private_key: Some(Err(Reported)),
            known_hosts: Some(Err(Reported)),
            ..Self::default()
        }
    }

    /// What of `defaults` holds for a bastion as well: all but a fingerprint, which is of one machine.
    pub fn for_bastion(&self) -> Self {
        let host_key = self.host_key.clone();
        let of_one = |written: &Result<At<HostKeyPolicy>, Reported>| matches!(written, Ok(at) if matches!(at.value, HostKeyPolicy::Pinned(_)));
        Self {
            host_key: host_key.filter(|written| !of_one(written)),
            ..self.clone()
        }
    }

    /// These keys, and those of `defaults` where there is none.
    pub fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        // A passphrase opens one key: where a section names its own key, that of `defaults` does not fit.
        let inherited = match &self.private_key {
            None => defaults.passphrase,
            Some(_) => None,
        };
        Self {
            user: self.user.or(defaults.user),
            private_key: self.private_key.or(defaults.private_key),
            passphrase: self.passphrase.or(inherited),
            agent: self.agent.or(defaults.agent),
            known_hosts: self.known_hosts.or(defaults.known_hosts),
            host_key: self.host_key.or(defaults.host_key),
            connect_timeout: self.connect_timeout.or(defaults.connect_timeout),
            dead_after: self.dead_after.or(defaults.dead_after),
        }
    }

    /// Applies the defaults and the rules between keys.
    pub fn resolve(
        self,
        reader: &Reader<'_>,
        whose: &Whose,
        address: String,
        port: u16,
        jump: Result<Option<Arc<Settings>>, Reported>,
    ) -> Result<Settings, Reported> {
        let login = self.login(reader, whose);
        let user = self.user_or_local(reader, whose);
        let known_hosts_place = self
            .known_hosts
            .as_ref()
            .and_then(|read| read.as_ref().ok());
        let known_hosts_place = known_hosts_place
            .map_or(&whose.place, |at| &at.place)
            .clone();
        let known_hosts = match self.known_hosts {
            Some(read) => read.map(|at| at.value),
            None => reader
                .local(KNOWN_HOSTS)
                .map_err(|(what, mend)| reader.report.error(&whose.place, what, mend)),
        };
        let host_key = value_or(self.host_key, HostKeyPolicy::Strict);
        let connect_timeout = value_or(self.connect_timeout, CONNECT_TIMEOUT);
        let dead_after = value_or(self.dead_after, DEAD_AFTER);
        let (private_key, passphrase, agent) = login?;
        let settings = Settings {
            address,
            port,
            user: user?,
            private_key,
            passphrase,
            agent,
            known_hosts: known_hosts?,
            host_key: host_key?,
            connect_timeout: connect_timeout?,
            dead_after: dead_after?,
            jump: jump?,
        };
        if settings.host_key == HostKeyPolicy::Strict && !settings.known_hosts.exists() {
            warn_of_missing_known_hosts(reader, &known_hosts_place, &settings);
        }
        Ok(settings)
    }

    fn user_or_local(&self, reader: &Reader<'_>, whose: &Whose) -> Result<String, Reported> {
        if let Some(read) = &self.user {
            return read.clone().map(|at| at.value);
        }
        let local = (reader.env)("USER").filter(|user| names::user(user).is_ok());
        local.filter(|user| !user.is_empty()).ok_or_else(|| {
            reader.report.error(
                &whose.missing("user"),
                "is missing, and USER is not set",
                format!("write the login name on it {}", whose.here()),
            )
        })
    }

    /// How to log in: the key, its passphrase, whether to ask the agent.
    fn login(
        &self,
        reader: &Reader<'_>,
        whose: &Whose,
    ) -> Result<(Option<PathBuf>, Option<SecretString>, bool), Reported> {
        let passphrase = optional(self.passphrase.clone());
        let agent = optional(self.agent.clone());
        let key = self.private_key.clone().transpose();
        let (passphrase, agent, key) = (passphrase?, agent?, key?);
        let has_agent = (reader.env)("SSH_AUTH_SOCK").is_some_and(|socket| !socket.is_empty());
        if agent == Some(true) && !has_agent {
            let place = self.agent.as_ref().and_then(|read| read.as_ref().ok());
            return Err(reader.report.error(
                place.map_or(&whose.place, |at| &at.place),
                "there is no agent: SSH_AUTH_SOCK is not set",
                "start mirrorlag where ssh-add -l works, or name a private_key",
            ));
        }
        let Some(key) = key else {
            if agent.unwrap_or(has_agent) {
                return Ok((None, None, true));
            }
            return Err(reader.report.error(
                &whose.missing("private_key"),
                "is missing, and there is no agent (SSH_AUTH_SOCK) to ask",
                format!("write private_key: ~/.ssh/... {}", whose.here()),
            ));
        };
        judge_key(reader, &key, passphrase.is_some())?;
        Ok((Some(key.value), passphrase, agent.unwrap_or(false)))
    }
}

fn host_key_policy(text: &str) -> Result<HostKeyPolicy, Fault> {
    let policies =
        "write strict, accept_new, or a fingerprint as ssh-keygen -lf prints it: SHA256:...";
    match text {
        "strict" => return Ok(HostKeyPolicy::Strict),
        "accept_new" | "accept-new" => return Ok(HostKeyPolicy::AcceptNew),
        "off" | "no" | "none" | "ignore" => {
            let what = format!("there is no policy {text:?}: a host key is always checked");
            return Err((what, policies.to_owned()));
        }
        _ => {}
    }
    let Some(hash) = text.strip_prefix("SHA256:") else {
        let what = format!("there is no policy {text:?}");
        return Err((what, policies.to_owned()));
    };
    match BASE64_STANDARD_NO_PAD.decode(hash.trim_end_matches('=')) {
        Ok(bytes) if bytes.len() == 32 => {
            Ok(HostKeyPolicy::Pinned(text.trim_end_matches('=').to_owned()))
        }
        _ => Err((
            format!("{text:?} is not a whole fingerprint"),
            "copy all 43 characters after SHA256: from ssh-keygen -lf".to_owned(),
        )),
    }
}

fn warn_of_missing_known_hosts(reader: &Reader<'_>, place: &Place, settings: &Settings) {
    let file = settings.known_hosts.display();
    let (port, address) = (settings.port, &settings.address);
    let place_to_look = match &settings.jump {
        None => String::new(),
        Some(bastion) => format!(
            "ssh -p {} {}@{} ",
            bastion.port, bastion.user, bastion.address
        ),
    };
    reader.report.warn(
        place,
        format!("{file} does not exist, so no host key is known and every login is refused"),
        format!(
            "for each mirror host: {place_to_look}ssh-keyscan -p {port} {address} >> {file}, then compare ssh-keygen -lf {file} with what its owner says"
        ),
    );
}

/// Whether libssh2 can do anything with the file.
fn judge_key(reader: &Reader<'_>, key: &At<PathBuf>, has_passphrase: bool) -> Result<(), Reported> {
    let judged = reader.judge(key, |path| {
        let file = path.display();
        match form_of_key(path) {
            KeyForm::Plain => Ok(()),
            KeyForm::Encrypted if has_passphrase => Ok(()),
            KeyForm::Encrypted => Err((
                format!("{file} is encrypted"),
                "name the passphrase in passphrase_env or passphrase_file, or ssh-add it and write agent: true without private_key".to_owned(),
            )),
            KeyForm::Public => Err((
                format!("{file} is a public key"),
                "name the private key, the file without .pub".to_owned(),
            )),
            KeyForm::Putty => Err((
                format!("{file} is a PuTTY key"),
                format!("convert it: puttygen {file} -O private-openssh -o KEY"),
            )),
            KeyForm::Other => Err((
                format!("{file} is not a private key"),
                "name a file that begins with -----BEGIN ... PRIVATE KEY-----".to_owned(),
            )),
        }
    });
    judged?;
    reader.warn_if_world_readable(key);
    Ok(())
}

enum KeyForm {
    Plain,
    Encrypted,
    Public,
    Putty,
    Other,
}

fn form_of_key(path: &Path) -> KeyForm {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(KEY_BYTES_MAX).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    if read.is_err() {
        return KeyForm::Other;
    }
    if text.starts_with("PuTTY-User-Key-File") {
        return KeyForm::Putty;
    }
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.contains("PUBLIC KEY-----") {
        return KeyForm::Public;
    }
    if !text.contains("PRIVATE KEY-----") {
        return KeyForm::Other;
    }
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return KeyForm::Encrypted;
    }
    if text.contains("BEGIN OPENSSH PRIVATE KEY") && has_openssh_cipher(&text) {
        return KeyForm::Encrypted;
    }
    KeyForm::Plain
}

/// Whether the container of an OpenSSH key names a cipher other than `none`.
///
/// Source: OpenSSH `PROTOCOL.key`: the magic, then the cipher's name with a 32-bit length before it.
fn has_openssh_cipher(text: &str) -> bool {
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .map(str::trim)
        .collect();
    let Ok(blob) = BASE64_STANDARD.decode(body) else {
        return false;
    };
    blob.strip_prefix(b"openssh-key-v1\0")
        .is_some_and(|rest| !rest.starts_with(b"\0\0\0\x04none"))
}
