//! In: what went wrong between us and one mirror host. Out: one line for people, a short reason for documents, the mend to type.
//! Never: holds a secret, decides whether to try again.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Settings, Step};

/// Who was to be reached, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or IP address.
    pub address: String,
    pub port: u16,
    /// Login name on the mirror host.
    pub user: String,
    /// The bastion that it is reached through; `None`: directly.
    pub through: Option<Arc<Endpoint>>,
    /// Whether it is a bastion itself.
    pub is_bastion: bool,
}

impl Endpoint {
    /// The mirror host of these settings.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            address: settings.address.clone(),
            port: settings.port,
            user: settings.user.clone(),
            through: settings
                .jump
                .as_ref()
                .map(|jump| Arc::new(Self::of_bastion(jump))),
            is_bastion: false,
        }
    }

    pub(super) fn of_bastion(settings: &Settings) -> Self {
        Self {
            is_bastion: true,
            ..Self::of(settings)
        }
    }

    /// `user@address:port`, as `ssh -J` takes it.
    pub fn login(&self) -> String {
        format!("{}@{self}", self.user)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address.contains(':') {
            write!(f, "[{}]:{}", self.address, self.port)
        } else {
            write!(f, "{}:{}", self.address, self.port)
        }
    }
}

/// A host key as the peer offered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedKey {
    /// `ssh-ed25519`, `ssh-rsa`, ...
    pub key_type: String,
    /// `SHA256:...`, as `ssh-keygen -lf` prints it.
    pub fingerprint: String,
}

impl fmt::Display for OfferedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key_type, self.fingerprint)
    }
}

/// Why TCP brought no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpFailure {
    Refused,
    Unreachable,
    TimedOut,
    Other,
}

/// Why a bastion opened no way to a host behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardFailure {
    /// It may not: `AllowTcpForwarding`, `PermitOpen`, or the key's own restrictions.
    Prohibited,
    /// The name does not resolve there, nobody listens, or no packet comes back.
    CannotConnect,
    /// Too many at once.
    Full,
    /// In the words of the protocol.
    Other(String),
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProblem {
    Missing,
    /// The system's words.
    Unreadable(String),
    /// What it is instead.
    NotAKey(&'static str),
    PassphraseMissing,
    PassphraseWrong,
    /// It looks like a key, but the library cannot read it.
    Damaged,
}

/// Everything that can come between us and the output of a command on a mirror host.
///
/// `Display` is one complete line: what, where, why, and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The name has no address.
    NameNotResolved { at: Arc<Endpoint>, why: String },
    /// No TCP connection; `target` is the last address tried.
    Tcp {
        at: Arc<Endpoint>,
        target: SocketAddr,
        failure: TcpFailure,
        why: String,
    },
    /// The bastion before it opened no way to it.
    Forward {
        at: Arc<Endpoint>,
        failure: ForwardFailure,
    },
    /// The server hung up before its banner: `MaxStartups`, penalties, TCP wrappers. `said`: its last words.
    Refused {
        at: Arc<Endpoint>,
        said: Option<String>,
    },
    /// Something else listens there; its first bytes.
    NotSsh {
        at: Arc<Endpoint>,
        first_bytes: String,
    },
    /// Nothing came before the banner was due.
    NoBanner { at: Arc<Endpoint>, waited: Duration },
    /// No encrypted connection came about, mostly for lack of a common algorithm.
    KeyExchange { at: Arc<Endpoint>, why: String },
    /// known_hosts has no key of this host.
    HostKeyUnknown {
        at: Arc<Endpoint>,
        offered: OfferedKey,
        known_hosts: PathBuf,
    },
    /// known_hosts has another key of this host; `line` counts from 1.
    HostKeyChanged {
        at: Arc<Endpoint>,
        offered: OfferedKey,
        known_hosts: PathBuf,
        line: usize,
    },
    /// The key is not the pinned one.
    HostKeyNotPinned {
        at: Arc<Endpoint>,
        offered: OfferedKey,
        pinned: String,
    },
    /// known_hosts says that this key must not be used.
    HostKeyRevoked {
        at: Arc<Endpoint>,
        offered: OfferedKey,
        known_hosts: PathBuf,
        line: usize,
    },
    /// known_hosts vouches for this host by a certificate authority only.
    HostKeyAuthority {
        at: Arc<Endpoint>,
        offered: OfferedKey,
        known_hosts: PathBuf,
        line: usize,
    },
    /// known_hosts cannot be read, or cannot be written under `accept_new`.
    KnownHosts {
        at: Arc<Endpoint>,
        path: PathBuf,
        why: String,
    },
    /// The private key cannot be used.
    PrivateKey {
        at: Arc<Endpoint>,
        path: PathBuf,
        problem: KeyProblem,
    },
    /// Neither a key file nor the agent is configured.
    NoKey { at: Arc<Endpoint> },
    /// No key was accepted; `accepts`: what the server would take, as far as it told.
    LoginRefused {
        at: Arc<Endpoint>,
        tried: Vec<String>,
        accepts: Option<String>,
    },
    /// The key was accepted, but the server wants another proof after it.
    FurtherMethod { at: Arc<Endpoint>, key: String },
    /// The SSH agent did not help.
    Agent { at: Arc<Endpoint>, why: String },
    /// The server opened no channel.
    ChannelRefused { at: Arc<Endpoint>, why: String },
    /// The server opened a channel but did not start the command.
    CommandRefused { at: Arc<Endpoint>, why: String },
    /// A step of the connection took longer than `connect_timeout`.
    Deadline {
        at: Arc<Endpoint>,
        step: Step,
        limit: Duration,
    },
    /// An established connection ended without being asked to.
    Lost { at: Arc<Endpoint>, why: String },
    /// The peer acknowledged nothing for `dead_after`.
    Silent { at: Arc<Endpoint>, waited: Duration },
    /// A command outlived its limit.
    CommandTimeout { at: Arc<Endpoint>, limit: Duration },
    /// The remote command ended. `exit_code` `None`: ended by `signal`, or the server did not tell.
    CommandEnded {
        at: Arc<Endpoint>,
        exit_code: Option<i32>,
        /// Without `SIG`: `KILL`, `TERM`, ...
        signal: Option<String>,
    },
    /// Lines for the command's standard input are not taken off.
    QueueFull { at: Arc<Endpoint>, lines: usize },
    /// The stream had ended before.
    Ended { at: Arc<Endpoint> },
}

impl Error {
    /// The step of a connection that failed; `None` once it had been established.
    pub fn step(&self) -> Option<Step> {
        match self {
            Self::NameNotResolved { .. } => Some(Step::Resolve),
            Self::Tcp { .. } | Self::Forward { .. } => Some(Step::Tcp),
            Self::Refused { .. }
            | Self::NotSsh { .. }
            | Self::NoBanner { .. }
            | Self::KeyExchange { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyNotPinned { .. }
            | Self::HostKeyRevoked { .. }
            | Self::HostKeyAuthority { .. }
            | Self::KnownHosts { .. } => Some(Step::HostKey),
            Self::PrivateKey { .. }
            | Self::NoKey { .. }
            | Self::LoginRefused { .. }
            | Self::FurtherMethod { .. }
            | Self::Agent { .. } => Some(Step::Login),
            Self::ChannelRefused { .. } | Self::CommandRefused { .. } => Some(Step::Shell),
            Self::Deadline { step, .. } => Some(*step),
            Self::Lost { .. }
            | Self::Silent { .. }
            | Self::CommandTimeout { .. }
            | Self::CommandEnded { .. }
            | Self::QueueFull { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// Whether the server turned us away before its banner (`MaxStartups`, penalties): it wants to be left alone for a while.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Where it happened.
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Self::NameNotResolved { at, .. }
            | Self::Tcp { at, .. }
            | Self::Forward { at, .. }
            | Self::Refused { at, .. }
            | Self::NotSsh { at, .. }
            | Self::NoBanner { at, .. }
            | Self::KeyExchange { at, .. }
            | Self::HostKeyUnknown { at, .. }
            | Self::HostKeyChanged { at, .. }
            | Self::HostKeyNotPinned { at, .. }
            | Self::HostKeyRevoked { at, .. }
            | Self::HostKeyAuthority { at, .. }
            | Self::KnownHosts { at, .. }
            | Self::PrivateKey { at, .. }
            | Self::NoKey { at }
            | Self::LoginRefused { at, .. }
            | Self::FurtherMethod { at, .. }
            | Self::Agent { at, .. }
            | Self::ChannelRefused { at, .. }
            | Self::CommandRefused { at, .. }
            | Self::Deadline { at, .. }
            | Self::Lost { at, .. }
            | Self::Silent { at, .. }
            | Self::CommandTimeout { at, .. }
            | Self::CommandEnded { at, .. }
            | Self::QueueFull { at, .. }
            | Self::Ended { at } => at,
        }
    }
}

impl std::error::Error for Error {}

impl Step {
    /// The step in the words of a message.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "name resolution",
            Self::Tcp => "tcp connection",
            Self::HostKey => "key exchange",
            Self::Login => "login",
            Self::Shell => "opening a channel",
        }
    }
}

/// What a server said, as one line that no terminal and no log takes for more: a stranger may be hostile.
pub(super) fn in_one_line(said: &str) -> String {
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    said.trim().chars().map(printable).collect()
}

/// The system's words for an error, without its number.
pub(super) fn words_of(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
