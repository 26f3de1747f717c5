//! In: an `Error`. Out: its short reason, its whole line, its mend.
//! Never: more than one line, a secret.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::Step;
use super::error::{Endpoint, Error, ForwardFailure, KeyProblem, TcpFailure};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.endpoint();
        let whom = whom(at);
        match self.step() {
            Some(Step::Resolve | Step::Tcp) => write!(f, "cannot connect to {whom}")?,
            Some(Step::HostKey) => write!(f, "cannot set up ssh with {whom}")?,
            Some(Step::Login) => write!(f, "cannot log in to {whom}")?,
            Some(Step::Shell) => write!(f, "cannot run a command on {whom}")?,
            None => write!(f, "session with {whom}")?,
        }
        let user = &at.user;
        write!(f, " as {user:?}: {}; {}", self.detail(), self.mend())
    }
}

/// `mirror host "10.0.0.11:22" through ops@bastion:22`, or `bastion "..."`.
fn whom(at: &Endpoint) -> String {
    let kind = if at.is_bastion {
        "bastion"
    } else {
        "mirror host"
    };
    format!("{kind} \"{at}\"{}", through(at))
}

/// ` through ops@bastion:22`, the nearest one first; empty where there is none.
fn through(at: &Endpoint) -> String {
    let mut text = String::new();
    let mut hop = at.through.as_deref();
    while let Some(bastion) = hop {
        text.push_str(" through ");
        text.push_str(&bastion.login());
        hop = bastion.through.as_deref();
    }
    text
}

impl Error {
    /// Short, without place and mend: for the `reason` of a document, where all that fail alike should read alike. A bastion is
    /// named: `bastion ops@bastion:22: connection refused`, or `through ops@bastion:22: connection refused` for what is behind it.
    pub fn reason(&self) -> String {
        let at = self.endpoint();
        let bare = self.bare_reason();
        match at.through.as_ref().filter(|_| !at.is_bastion) {
            _ if at.is_bastion => format!("bastion {}{}: {bare}", at.login(), through(at)),
            Some(_) => format!("{}: {bare}", through(at).trim_start()),
            None => bare,
        }
    }

    fn bare_reason(&self) -> String {
        match self {
            Self::NameNotResolved { .. } => "name does not resolve".into(),
            Self::Tcp { failure, why, .. } => match failure {
                TcpFailure::Refused => "connection refused".into(),
                TcpFailure::Unreachable => format!("unreachable: {why}"),
                TcpFailure::TimedOut => "connection timed out".into(),
                TcpFailure::Other => format!("cannot connect: {why}"),
            },
            Self::Forward { failure, .. } => match failure {
                ForwardFailure::Prohibited => "the bastion may not forward to it".into(),
                ForwardFailure::CannotConnect => "the bastion cannot connect to it".into(),
                ForwardFailure::Full => "the bastion carries too many connections".into(),
                ForwardFailure::Other(why) => format!("the bastion does not forward: {why}"),
            },
            Self::Refused { said: None, .. } => "refused before the ssh banner".into(),
            Self::Refused {
                said: Some(said), ..
            } => format!("refused before the ssh banner: {said}"),
            Self::NotSsh { .. } => "not an ssh server".into(),
            Self::NoBanner { .. } => "no ssh banner".into(),
            Self::KeyExchange { why, .. } => format!("key exchange failed: {why}"),
            Self::HostKeyUnknown { .. } => "host key unknown".into(),
            Self::HostKeyChanged { .. } => "host key changed".into(),
            Self::HostKeyNotPinned { .. } => "host key is not the pinned one".into(),
            Self::HostKeyRevoked { .. } => "host key revoked".into(),
            Self::HostKeyAuthority { .. } => "host certificates are not supported".into(),
            Self::KnownHosts { .. } => "known_hosts cannot be used".into(),
            Self::PrivateKey { problem, .. } => format!("private key {}", problem.words()),
            Self::NoKey { .. } => "no private key configured".into(),
            Self::LoginRefused { .. } => format!("login refused: {}", self.detail()),
            Self::FurtherMethod { .. } => "login refused: the server wants a further proof".into(),
            Self::Agent { why, .. } => format!("ssh agent: {why}"),
            Self::ChannelRefused { why, .. } => format!("channel refused: {why}"),
            Self::CommandRefused { why, .. } => format!("command refused: {why}"),
            Self::Deadline { step, limit, .. } => {
                format!("{} took longer than {}", step.name(), seconds(*limit))
            }
            Self::Lost { why, .. } => format!("connection lost: {why}"),
            Self::Silent { waited, .. } => {
                format!("connection lost: no answer for {}", seconds(*waited))
            }
            Self::CommandTimeout { limit, .. } => {
                format!("command ran longer than {}", seconds(*limit))
            }
            Self::CommandEnded {
                exit_code, signal, ..
            } => match (signal, exit_code) {
                (Some(signal), _) => format!("remote command ended by signal {signal}"),
                (None, Some(code)) => format!("remote command ended with exit code {code}"),
                (None, None) => "remote command ended".into(),
            },
            Self::QueueFull { lines, .. } => {
                format!("{lines} lines wait for the remote command to read them")
            }
            Self::Ended { .. } => "the session had ended before".into(),
        }
    }

    /// What follows the place in `Display`: the reason with everything that helps to judge it, such as the key offered.
    pub fn detail(&self) -> String {
        match self {
            Self::NameNotResolved { why, .. } => format!("name does not resolve: {why}"),
            Self::Tcp { target, .. } if !self.names_target(target) => {
                format!("{} at {target}", self.bare_reason())
            }
            Self::NotSsh { first_bytes, .. } => {
                format!("not an ssh server, its first bytes are {first_bytes:?}")
            }
            Self::NoBanner { waited, .. } => format!("no ssh banner within {}", seconds(*waited)),
            Self::HostKeyUnknown {
                offered,
                known_hosts,
                ..
            } => format!(
                "host key unknown: it offers {offered}, {} has no key of it",
                known_hosts.display()
            ),
            Self::HostKeyChanged {
                offered,
                known_hosts,
                line,
                ..
            } => format!(
                "host key changed: it offers {offered}, {}:{line} has another key",
                known_hosts.display()
            ),
            Self::HostKeyNotPinned {
                offered, pinned, ..
            } => {
                format!("host key is not the pinned one: it offers {offered}, pinned is {pinned}")
            }
            Self::HostKeyRevoked {
                offered,
                known_hosts,
                line,
                ..
            } => format!(
                "host key revoked: {offered} is @revoked at {}:{line}",
                known_hosts.display()
            ),
            Self::HostKeyAuthority {
                offered,
                known_hosts,
                line,
                ..
            } => format!(
                "host certificates are not supported: it offers {offered}, {}:{line} has only a @cert-authority",
                known_hosts.display()
            ),
            Self::KnownHosts { path, why, .. } => format!("cannot use {}: {why}", path.display()),
            Self::PrivateKey { path, problem, .. } => {
                format!("private key {} {}", path.display(), problem.words())
            }
            Self::LoginRefused { tried, .. } if tried.is_empty() => "no key to offer".into(),
            Self::LoginRefused { tried, .. } => {
                format!("no key accepted (tried {})", tried.join(", "))
            }
            Self::FurtherMethod { key, .. } => {
                format!("key {key} was accepted, but the server wants a further proof after it")
            }
            _ => self.bare_reason(),
        }
    }

    /// What to type or to ask for next.
    pub fn mend(&self) -> String {
        let at = self.endpoint();
        match self {
            Self::NameNotResolved { .. } => {
                format!("correct address, or try: getent hosts {}", at.address)
            }
            Self::Tcp { failure, .. } => match failure {
                TcpFailure::Refused => format!(
                    "start sshd there or correct port, then try: {}",
                    by_hand(at)
                ),
                _ => "check address, route, VPN and firewall".into(),
            },
            Self::Forward { failure, .. } => forward_mend(at, failure),
            Self::Refused { .. } => {
                "raise MaxStartups in sshd_config there or lower handshakes_per_host, or wait: PerSourcePenalties and fail2ban end by themselves"
                    .into()
            }
            Self::NotSsh { .. } => "correct port: something else listens there".into(),
            Self::NoBanner { .. } => {
                "check that sshd listens there and is not overloaded".into()
            }
            Self::KeyExchange { .. } => format!(
                "allow KexAlgorithms curve25519-sha256 and an ed25519, ecdsa or rsa-sha2 host key in sshd_config there \
                 (SHA-1 is not supported), compare what it has: {} exit",
                by_hand(at).replacen("ssh", "ssh -vv", 1)
            ),
            Self::HostKeyUnknown { known_hosts, .. } => format!(
                "compare the fingerprint with the host's owner, then: {}",
                keyscan(at, known_hosts)
            ),
            Self::HostKeyChanged { known_hosts, .. } => format!(
                "ask the host's owner why, compare the fingerprint, then: ssh-keygen -R '{}' -f {} && {}",
                host_name(at),
                quoted(known_hosts),
                keyscan(at, known_hosts)
            ),
            Self::HostKeyNotPinned { .. } => {
                "ask the host's owner why, then correct the pinned fingerprint".into()
            }
            Self::HostKeyRevoked { .. } => {
                "ask the host's owner: this key must not be used; the host needs a new one".into()
            }
            Self::HostKeyAuthority { known_hosts, .. } => format!(
                "add the host's own key after comparing it with the host's owner: {}",
                keyscan(at, known_hosts)
            ),
            Self::KnownHosts { path, .. } => format!(
                "correct known_hosts, or compare the fingerprint with the host's owner and make it: {}",
                keyscan(at, path)
            ),
            Self::PrivateKey { path, problem, .. } => problem.mend(path),
            Self::NoKey { .. } => "set private_key, or agent: true".into(),
            Self::LoginRefused {
                accepts: Some(accepts),
                ..
            } if !accepts.split(',').any(|method| method == "publickey") => {
                format!("allow PubkeyAuthentication in sshd_config there (it takes only {accepts})")
            }
            Self::LoginRefused { tried, .. } if tried.is_empty() => {
                "set private_key, or add a key to the agent: ssh-add FILE".into()
            }
            Self::LoginRefused { tried, .. } if tried.len() == 1 => {
                "add its public key to authorized_keys there, or correct user (a locked or expired one is refused alike)".into()
            }
            Self::LoginRefused { .. } => {
                "add one of their public keys to authorized_keys there, or correct user (a locked or expired one is refused alike)"
                    .into()
            }
            Self::FurtherMethod { .. } => {
                "exempt this user from AuthenticationMethods in sshd_config there".into()
            }
            Self::Agent { .. } => {
                "start it and add the key (eval $(ssh-agent); ssh-add FILE), or set private_key and agent: false".into()
            }
            Self::ChannelRefused { .. } => {
                "raise MaxSessions in sshd_config there (at least 1)".into()
            }
            Self::CommandRefused { .. } => format!(
                "allow commands for this user there, try: {} true",
                by_hand(at)
            ),
            Self::Deadline { .. } => {
                "raise connect_timeout, or look at the load of the host".into()
            }
            Self::Lost { .. } => "look at sshd's log there if it repeats".into(),
            Self::Silent { .. } => "check the network in between; raise dead_after if it is slow".into(),
            Self::CommandTimeout { .. } => "look at the load of the host".into(),
            Self::CommandEnded { .. } => format!("try it by hand: {}", by_hand(at)),
            Self::QueueFull { .. } => "the remote command hangs: end the session".into(),
            Self::Ended { .. } => "connect again".into(),
        }
    }

    /// Whether the configured address is the address that was tried, so that it need not be said twice.
    fn names_target(&self, target: &std::net::SocketAddr) -> bool {
        self.endpoint().address == target.ip().to_string()
    }
}

impl KeyProblem {
    fn words(&self) -> String {
        match self {
            Self::Missing => "does not exist".into(),
            Self::Unreadable(why) => format!("cannot be read: {why}"),
            Self::NotAKey(instead) => format!("is not a private key, it is {instead}"),
            Self::PassphraseMissing => "is encrypted and no passphrase is configured".into(),
            Self::PassphraseWrong => "is encrypted and the passphrase is wrong".into(),
            Self::Damaged => "is damaged or of an unsupported kind".into(),
        }
    }

    fn mend(&self, path: &Path) -> String {
        match self {
            Self::Missing => "correct private_key".into(),
            Self::Unreadable(_) => format!("ls -l {}", quoted(path)),
            Self::NotAKey(_) => "correct private_key: the file that ssh -i takes".into(),
            Self::PassphraseMissing => "set passphrase_env or passphrase_file".into(),
            Self::PassphraseWrong => format!(
                "correct the passphrase, try it: ssh-keygen -y -f {}",
                quoted(path)
            ),
            Self::Damaged => format!("try it: ssh-keygen -y -f {}", quoted(path)),
        }
    }
}

/// The name under which known_hosts keeps a host: bare for port 22, else `[name]:port`.
pub(super) fn host_name(at: &Endpoint) -> String {
    if at.port == 22 {
        at.address.to_lowercase()
    } else {
        format!("[{}]:{}", at.address.to_lowercase(), at.port)
    }
}

/// Behind a bastion it is the bastion that has to look.
fn keyscan(at: &Endpoint, known_hosts: &Path) -> String {
    let scan = format!("ssh-keyscan -p {} {}", at.port, at.address);
    let there = at.through.as_ref().map(|bastion| by_hand(bastion) + " ");
    format!(
        "{}{scan} >> {}",
        there.unwrap_or_default(),
        quoted(known_hosts)
    )
}

/// The same login with OpenSSH's client.
fn by_hand(at: &Endpoint) -> String {
    let mut hops = Vec::new();
    let mut hop = at.through.as_deref();
    while let Some(bastion) = hop {
        hops.insert(0, bastion.login());
        hop = bastion.through.as_deref();
    }
    let jump = match hops.is_empty() {
        true => String::new(),
        false => format!(" -J {}", hops.join(",")),
    };
    format!("ssh{jump} -p {} {}@{}", at.port, at.user, at.address)
}

fn forward_mend(at: &Endpoint, failure: &ForwardFailure) -> String {
    let bastion = at.through.as_deref().unwrap_or(at);
    match failure {
        ForwardFailure::Prohibited => format!(
            "allow it in sshd_config of {bastion}: AllowTcpForwarding local, and where PermitOpen is set {at} in it; and for a key with restrict: port-forwarding"
        ),
        ForwardFailure::Full => format!("look at the connections that {bastion} carries"),
        ForwardFailure::CannotConnect | ForwardFailure::Other(_) => format!(
            "check address, port and firewall from there: {} nc -zv {} {}",
            by_hand(bastion),
            at.address,
            at.port
        ),
    }
}

fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text)
        .map(|quoted| quoted.into_owned())
        .unwrap_or_else(|_| text.clone().into_owned())
}

fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_millis(duration.as_millis() as u64)).to_string()
}
