//! In: host settings and one command line. Out: lines of its stdout, lines of its stderr, an end.
//! Never: knows Kafka, lets two tasks touch one session, accepts a host key that nobody vouched for.

mod agent;
mod banner;
mod bastion;
mod bastions;
mod bridge;
mod channel;
mod connect;
mod connection;
mod error;
mod gate;
mod host_key;
mod known_hosts;
mod lines;
mod login;
mod message;
mod pulse;
mod session;
mod socket;
mod stream;
mod tcp;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use bastions::Bastions;
pub use connect::connect;
pub use error::{Endpoint, Error, ForwardFailure, KeyProblem, OfferedKey, TcpFailure};
pub use gate::Gate;
// Nothing here needs them outside; `fuzz/` reads files with them.
#[doc(hidden)]
pub use known_hosts::{Entry as KnownHostsEntry, KnownHosts, Marker as KnownHostsMarker};
pub use lines::{LINE_BYTES_MAX, Line, Lines};
pub use session::{Output, Session};
pub use stream::{Event, Stream};

/// How one mirror host is reached: fully resolved, no defaults left to apply.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host name or IP address, without a port.
    pub address: String,
    /// TCP port of the SSH server.
    pub port: u16,
    /// Login name on the mirror host.
    pub user: String,
    /// Private key file (PEM RSA, OpenSSH, PKCS#8, ...); `None`: only the agent is asked.
    pub private_key: Option<PathBuf>,
    /// Passphrase of `private_key`; `None` where the key is not encrypted.
    pub passphrase: Option<SecretString>,
    /// Whether the identities of the agent at `SSH_AUTH_SOCK` are offered, after `private_key`.
    pub agent: bool,
    /// The known_hosts file that host keys are compared with.
    pub known_hosts: PathBuf,
    /// What is done about a host key that `known_hosts` does not have.
    pub host_key: HostKeyPolicy,
    /// Limit of each step of a connection: name resolution, TCP, key exchange, login, opening a channel.
    pub connect_timeout: Duration,
    /// After this long without an answer to something we sent, the peer is dead (`TCP_USER_TIMEOUT`; behind a bastion we ask).
    pub dead_after: Duration,
    /// The bastion that this server is reached through, which may have one before it; `None`: directly.
    pub jump: Option<Arc<Settings>>,
}

impl Settings {
    /// What makes a server this server: address and port of every hop, the nearest to us first. Two hosts with one private
    /// address behind different bastions are different servers.
    pub fn server(&self) -> Vec<(String, u16)> {
        let before = self.jump.as_ref().map(|jump| jump.server());
        let mut server = before.unwrap_or_default();
        server.push((self.address.to_lowercase(), self.port));
        server
    }

    /// The bastions on the way, the nearest to us first.
    pub fn hops(&self) -> Vec<Arc<Settings>> {
        let mut hops = self.jump.as_ref().map_or_else(Vec::new, |jump| jump.hops());
        hops.extend(self.jump.clone());
        hops
    }
}

impl PartialEq for Settings {
    /// By value, the passphrase too: a session stays as it is only where nothing that made it has changed.
    fn eq(&self, other: &Self) -> bool {
        // Every field by its name, so that a new one cannot be forgotten here.
        let Self {
            address,
            port,
            user,
            private_key,
            passphrase,
            agent,
            known_hosts,
            host_key,
            connect_timeout,
            dead_after,
            jump,
        } = self;
        let passphrase = passphrase.as_ref().map(ExposeSecret::expose_secret);
        let other_passphrase = other.passphrase.as_ref().map(ExposeSecret::expose_secret);
        *address == other.address
            && *port == other.port
            && *user == other.user
            && *private_key == other.private_key
            && passphrase == other_passphrase
            && *agent == other.agent
            && *known_hosts == other.known_hosts
            && *host_key == other.host_key
            && *connect_timeout == other.connect_timeout
            && *dead_after == other.dead_after
            && *jump == other.jump
    }
}

/// What is done about host keys. Changed and revoked keys are refused by every policy; there is no "off".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Only keys that `known_hosts` has.
    Strict,
    /// A key of a host that `known_hosts` does not have yet is added to the file, and its fingerprint logged.
    AcceptNew,
    /// Only the key with this fingerprint, as `ssh-keygen -lf` prints it (`SHA256:...`).
    Pinned(String),
}

/// The steps of a connection, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Name to addresses.
    Resolve,
    /// A TCP connection to one of them.
    Tcp,
    /// Banner, key exchange, and the judgement of the host key.
    HostKey,
    /// Proof of who we are.
    Login,
    /// Opening the channel for a command.
    Shell,
}
