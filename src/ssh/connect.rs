//! In: settings and a place in the gate. Out: a session with a channel open, or the step that failed and why.
//! Never: sends a credential before the host key was judged, outlives a step's limit.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ssh2::MethodType;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connection::{Connection, code};
use super::error::{Endpoint, Error, OfferedKey, TcpFailure, in_one_line, words_of};
use super::gate::Gate;
use super::host_key::Trust;
use super::login::{Credentials, login};
use super::session::Session;
use super::{HostKeyPolicy, Settings, Step};

/// How long a server may stay silent before we speak first. OpenSSH speaks at once; a web server waits for us.
const SPEAK_AFTER: Duration = Duration::from_secs(2);
/// Pause between two looks at a banner of which only a part has come: such a part stays readable, so nothing wakes us.
const PARTIAL_BANNER_PAUSE: Duration = Duration::from_millis(20);
/// RFC 4253 ends a banner line at 255 bytes; a few lines may come before it.
const BANNER_BYTES_MAX: usize = 2048;
/// First bytes of a stranger, as far as a message shows them.
const FIRST_BYTES_SHOWN: usize = 60;
/// Connections made to find the pinned one among the keys of a host: one per key type.
const PINNED_ATTEMPTS_MAX: usize = 3;

/// What is told of each step passed: the step, its duration, a detail (`10.0.0.11:22`, `ssh-ed25519 SHA256:...`).
pub type OnStep<'a> = dyn FnMut(Step, Duration, &str) + Send + 'a;

/// Connects, judges the host key, logs in and opens a channel, as soon as the gate lets it.
///
/// Dropping the future closes the socket and gives its place in the gate back.
///
/// # Errors
/// The step that failed; `Step` names it, `Display` has the mend.
pub async fn connect(
    settings: &Settings,
    gate: &Gate,
    on_step: &mut (dyn FnMut(Step, Duration, &str) + Send),
) -> Result<Session, Error> {
    let permit = gate.enter().await?;
    match attempt(settings, on_step).await {
        Ok(session) => {
            permit.succeeded();
            Ok(session)
        }
        Err(error) => {
            permit.failed(&error);
            Err(error)
        }
    }
}

async fn attempt(settings: &Settings, on_step: &mut OnStep<'_>) -> Result<Session, Error> {
    let at = Arc::new(Endpoint {
        address: settings.address.clone(),
        port: settings.port,
        user: settings.user.clone(),
    });
    // What is wrong on our side is found before the host is bothered.
    let credentials = Credentials::read(settings, &at).await?;
    let trust = Trust::read(settings, &at).await?;

    let started = Instant::now();
    let addresses = resolve(settings, &at).await?;
    on_step(Step::Resolve, started.elapsed(), &listed(&addresses));

    let mut connection = trusted(settings, &at, &trust, &addresses, on_step).await?;

    let started = Instant::now();
    let how = within(Step::Login, settings, &at, async {
        login(&mut connection, settings, &credentials).await
    })
    .await?;
    on_step(Step::Login, started.elapsed(), &how);

    let started = Instant::now();
    let mut session = Session::new(connection);
    within(Step::Shell, settings, &at, session.open_channel()).await?;
    on_step(Step::Shell, started.elapsed(), &session.server_version());
    Ok(session)
}

/// A connection to a host whose key is trusted.
async fn trusted(
    settings: &Settings,
    at: &Arc<Endpoint>,
    trust: &Trust,
    addresses: &[SocketAddr],
    on_step: &mut OnStep<'_>,
) -> Result<Connection, Error> {
    let mut tried = BTreeSet::new();
    loop {
        let started = Instant::now();
        let socket = tcp(settings, at, addresses).await?;
        let peer = socket.peer_addr().map(|peer| peer.to_string());
        if tried.is_empty() {
            on_step(Step::Tcp, started.elapsed(), &peer.unwrap_or_default());
        }

        let started = Instant::now();
        let mut connection = Connection::new(at.clone(), socket, settings.dead_after)?;
        let algorithms = trust.algorithms(&tried);
        let blob = exchange_keys(&mut connection, settings, &algorithms).await;
        let judged = blob.and_then(|blob| trust.judge(settings, &blob));
        match judged {
            Ok(offered) => {
                on_step(Step::HostKey, started.elapsed(), &offered.to_string());
                return Ok(connection);
            }
            // A fingerprint does not tell the key's type, and a server shows one key per connection.
            Err(Error::HostKeyNotPinned { offered, .. })
                if tried.len() + 1 < PINNED_ATTEMPTS_MAX && !tried.contains(&offered.key_type) =>
            {
                tried.insert(offered.key_type);
            }
            // No key of another type: it is the first one that was not the pinned one.
            Err(Error::KeyExchange { .. }) if !tried.is_empty() => {
                return Err(not_pinned(settings, at, tried));
            }
            Err(error) => return Err(error),
        }
    }
}

fn not_pinned(settings: &Settings, at: &Arc<Endpoint>, tried: BTreeSet<String>) -> Error {
    let pinned = match &settings.host_key {
        HostKeyPolicy::Pinned(pinned) => pinned.clone(),
        HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew => String::new(),
    };
    Error::HostKeyNotPinned {
        at: at.clone(),
        offered: OfferedKey {
            key_type: tried.into_iter().collect::<Vec<_>>().join(", "),
            fingerprint: "(each another one)".into(),
        },
        pinned,
    }
}

async fn resolve(settings: &Settings, at: &Arc<Endpoint>) -> Result<Vec<SocketAddr>, Error> {
    let failed = |why: String| Error::NameNotResolved {
        at: at.clone(),
        why,
    };
    let found = within(Step::Resolve, settings, at, async {
        tokio::net::lookup_host((settings.address.as_str(), settings.port))
            .await
            .map_err(|error| failed(error.to_string()))
    });
    let addresses: Vec<SocketAddr> = found.await?.collect();
    if addresses.is_empty() {
        return Err(failed("it has no address".into()));
    }
    Ok(addresses)
}

/// Tries the addresses in their order, all within one `connect_timeout`.
async fn tcp(
    settings: &Settings,
    at: &Arc<Endpoint>,
    addresses: &[SocketAddr],
) -> Result<TcpStream, Error> {
    let end = Instant::now() + settings.connect_timeout;
    let mut last = None;
    for (index, target) in addresses.iter().enumerate() {
        // What is left is shared, so that one dead address does not use up the time of those after it.
        let left = end.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index) as u32;
        let failure = match timeout(share, TcpStream::connect(target)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => (tcp_failure(&error), words_of(&error)),
            Err(_) => (TcpFailure::TimedOut, "no answer".into()),
        };
        last = Some((*target, failure));
    }
    // `addresses` is not empty, so there was a last one.
    let (target, (failure, why)) =
        last.unwrap_or((([0, 0, 0, 0], 0).into(), (TcpFailure::Other, String::new())));
    Err(Error::Tcp {
        at: at.clone(),
        target,
        failure,
        why,
    })
}

fn tcp_failure(error: &std::io::Error) -> TcpFailure {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => TcpFailure::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => TcpFailure::Unreachable,
        ErrorKind::TimedOut => TcpFailure::TimedOut,
        _ => TcpFailure::Other,
    }
}

/// Banner and key exchange; returns the host key that the peer proved to hold.
async fn exchange_keys(
    connection: &mut Connection,
    settings: &Settings,
    algorithms: &str,
) -> Result<Vec<u8>, Error> {
    let at = connection.at.clone();
    let failed = |why: String| Error::KeyExchange {
        at: at.clone(),
        why,
    };
    connection
        .session
        .method_pref(MethodType::HostKey, algorithms)
        .map_err(|error| failed(error.message().to_owned()))?;
    let mut session = connection.session.clone();
    let limit = settings.connect_timeout;
    let end = Instant::now() + limit;
    let seen = match timeout(SPEAK_AFTER.min(limit / 2), read_banner(connection)).await {
        Ok(seen) => seen,
        Err(_) => {
            // The first call sends our banner, and comes back for want of the other one.
            let _waits = session.handshake();
            if session.banner_bytes().is_some() {
                // It came at this very moment.
                Ok(())
            } else {
                let waited = || Error::NoBanner {
                    at: at.clone(),
                    waited: limit,
                };
                let late = timeout_at(end, read_banner(connection)).await;
                late.unwrap_or_else(|_| Err(waited()))
            }
        }
    };
    seen?;
    timeout_at(end, connection.drive(|| session.handshake()))
        .await
        .map_err(|_| Error::Deadline {
            at: at.clone(),
            step: Step::HostKey,
            limit,
        })?
        .map_err(|error| match code(&error) {
            -5 => failed("no common algorithm".into()),
            -13 | -43 => failed("the server hung up".into()),
            _ => failed(error.message().to_owned()),
        })?;
    let key = session.host_key().map(|(blob, _)| blob.to_vec());
    key.ok_or_else(|| failed("the server showed no host key".into()))
}

/// Waits until the peer's first bytes are seen to be an SSH banner, without taking them off the socket.
async fn read_banner(connection: &Connection) -> Result<(), Error> {
    let at = || connection.at.clone();
    let mut bytes = [0; BANNER_BYTES_MAX];
    let mut seen = 0;
    loop {
        let length = match connection.socket.peek(&mut bytes).await {
            Ok(length) => length,
            Err(_) if seen > 0 => return Err(first_words(at(), &bytes[..seen])),
            Err(_) => return Err(refused(at(), None)),
        };
        let text = &bytes[..length];
        let has_banner = text
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"SSH-2.") || line.starts_with(b"SSH-1.99"));
        if has_banner {
            return Ok(());
        }
        let is_whole = length == 0 || length == seen && connection.is_closed_by_peer().await;
        let is_strange = text.starts_with(b"HTTP/") || text.contains(&0) || length == bytes.len();
        if is_whole || is_strange || is_refusal(text) {
            return Err(first_words(at(), text));
        }
        seen = length;
        sleep(PARTIAL_BANNER_PAUSE).await;
    }
}

/// What OpenSSH says when it turns a connection away: to 9.7, and from 9.8.
fn is_refusal(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    ["Exceeded MaxStartups", "Not allowed at this time"]
        .iter()
        .any(|said| text.contains(said))
}

fn first_words(at: Arc<Endpoint>, bytes: &[u8]) -> Error {
    let text = String::from_utf8_lossy(bytes);
    let shown: String = in_one_line(&text).chars().take(FIRST_BYTES_SHOWN).collect();
    if shown.is_empty() {
        refused(at, None)
    } else if is_refusal(bytes) {
        refused(at, Some(shown))
    } else {
        Error::NotSsh {
            at,
            first_bytes: shown,
        }
    }
}

fn refused(at: Arc<Endpoint>, said: Option<String>) -> Error {
    Error::Refused { at, said }
}

async fn within<T>(
    step: Step,
    settings: &Settings,
    at: &Arc<Endpoint>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let limit = settings.connect_timeout;
    timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Error::Deadline {
            at: at.clone(),
            step,
            limit,
        })
    })
}

fn listed(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    texts.join(", ")
}
