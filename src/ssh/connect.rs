//! In: settings and a place in the gate. Out: a session with a channel open, or the step that failed and why.
//! Never: sends a credential before the host key was judged, outlives a step's limit.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ssh2::MethodType;
use tokio::time::{Instant, timeout, timeout_at};

use super::banner::read_banner;
use super::bastion::Carrier;
use super::bastions::{Bastions, Want, Way};
use super::connection::{Connection, code};
use super::error::{Endpoint, Error, OfferedKey};
use super::gate::Gate;
use super::host_key::Trust;
use super::login::{Credentials, login};
use super::session::Session;
use super::socket::Socket;
use super::tcp::{listed, resolve, tcp, within};
use super::{HostKeyPolicy, Settings, Step};

/// How long a server may stay silent before we speak first. OpenSSH speaks at once; a web server waits for us.
const SPEAK_AFTER: Duration = Duration::from_secs(2);
/// Connections made to find the pinned one among the keys of a host: one per key type.
const PINNED_ATTEMPTS_MAX: usize = 3;

/// What is told of each step passed: the step, its duration, a detail (`10.0.0.11:22`, `ssh-ed25519 SHA256:...`).
pub type OnStep<'a> = dyn FnMut(Step, Duration, &str) + Send + 'a;

/// Connects, judges the host key, logs in and opens a channel, as soon as the gate lets it. A bastion's session is this one's alone.
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
    Bastions::new(false).connect(settings, gate, on_step).await
}

/// The logins at a bastion that are worth another one.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// There is no session.
    Any,
    /// All that there are may be busy.
    Further(Want),
}

impl Bastions {
    /// As the function of this name, through the session with the bastion that all share.
    ///
    /// # Errors
    /// The step that failed; `Error::endpoint` says whether of the host or of a bastion before it.
    pub async fn connect(
        &self,
        settings: &Settings,
        gate: &Gate,
        on_step: &mut (dyn FnMut(Step, Duration, &str) + Send),
    ) -> Result<Session, Error> {
        if let Some(jump) = &settings.jump {
            // Outside the host's own gate: while the bastion is away, nobody is to be counted as failing at the host.
            self.log_in_to(jump, &mut |_, _, _| {}).await?;
        }
        let at = Arc::new(Endpoint::of(settings));
        let permit = gate.enter().await?;
        match self.attempt(settings, &at, on_step).await {
            Ok(session) => {
                permit.succeeded();
                Ok(session)
            }
            Err(error) => {
                // What a bastion did says nothing about the host: then the place is given back without a word.
                if error.endpoint() == &*at {
                    permit.failed(&error);
                }
                Err(error)
            }
        }
    }

    /// Logs in to a bastion and to those before it, unless there is a session with it already; then no step is told.
    ///
    /// # Errors
    /// The step that failed, of this bastion or of one before it.
    pub async fn log_in_to(
        &self,
        bastion: &Arc<Settings>,
        on_step: &mut (dyn FnMut(Step, Duration, &str) + Send),
    ) -> Result<(), Error> {
        self.carrier(bastion, Wanted::Any, on_step).await
    }

    fn carrier<'a>(
        &'a self,
        jump: &'a Arc<Settings>,
        wanted: Wanted,
        on_step: &'a mut OnStep<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        // A bastion may be behind a bastion: a future of no known size.
        Box::pin(async move {
            let bastion = self.of(jump);
            let _turn = bastion.login.lock().await;
            // Somebody else may have done it meanwhile.
            let is_wanted = match wanted {
                Wanted::Any => !bastion.is_up(),
                Wanted::Further(want) => bastion.wants(want),
            };
            if !is_wanted {
                return Ok(());
            }
            if let Some(outer) = &jump.jump {
                self.log_in_to(outer, &mut |_, _, _| {}).await?;
            }
            let at = Arc::new(Endpoint::of_bastion(jump));
            let permit = bastion.gate.enter().await?;
            match self.logged_in(jump, &at, on_step).await {
                Ok(connection) => {
                    permit.succeeded();
                    tracing::info!(bastion = at.login(), "logged in to the bastion");
                    bastion.add(Carrier::spawn(connection));
                    Ok(())
                }
                Err(error) => {
                    if error.endpoint() == &*at {
                        permit.failed(&error);
                    }
                    Err(error)
                }
            }
        })
    }

    async fn attempt(
        &self,
        settings: &Settings,
        at: &Arc<Endpoint>,
        on_step: &mut OnStep<'_>,
    ) -> Result<Session, Error> {
        let connection = self.logged_in(settings, at, on_step).await?;
        let started = Instant::now();
        let mut session = Session::new(connection);
        within(Step::Shell, settings, at, session.open_channel()).await?;
        on_step(Step::Shell, started.elapsed(), &session.server_version());
        Ok(session)
    }

    async fn logged_in(
        &self,
        settings: &Settings,
        at: &Arc<Endpoint>,
        on_step: &mut OnStep<'_>,
    ) -> Result<Connection, Error> {
        // What is wrong on our side is found before the host is bothered.
        let credentials = Credentials::read(settings, at).await?;
        let trust = Trust::read(settings, at).await?;

        // Behind a bastion the name is the bastion's to resolve.
        let addresses = match settings.jump {
            Some(_) => Vec::new(),
            None => {
                let started = Instant::now();
                let addresses = resolve(settings, at).await?;
                on_step(Step::Resolve, started.elapsed(), &listed(&addresses));
                addresses
            }
        };

        let mut connection = self
            .trusted(settings, at, &trust, &addresses, on_step)
            .await?;

        let started = Instant::now();
        let how = within(Step::Login, settings, at, async {
            login(&mut connection, settings, &credentials).await
        })
        .await?;
        on_step(Step::Login, started.elapsed(), &how);
        Ok(connection)
    }

    /// A connection to a host whose key is trusted.
    async fn trusted(
        &self,
        settings: &Settings,
        at: &Arc<Endpoint>,
        trust: &Trust,
        addresses: &[SocketAddr],
        on_step: &mut OnStep<'_>,
    ) -> Result<Connection, Error> {
        let mut tried = BTreeSet::new();
        loop {
            let started = Instant::now();
            let (socket, peer) = match &settings.jump {
                Some(jump) => self.through(jump, settings, at).await?,
                None => tcp(settings, at, addresses).await?,
            };
            if tried.is_empty() {
                on_step(Step::Tcp, started.elapsed(), &peer);
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
                    if tried.len() + 1 < PINNED_ATTEMPTS_MAX
                        && !tried.contains(&offered.key_type) =>
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

    /// A way to a host through its bastion, and where it leads in words.
    async fn through(
        &self,
        jump: &Arc<Settings>,
        settings: &Settings,
        at: &Arc<Endpoint>,
    ) -> Result<(Socket, String), Error> {
        let bastion = self.of(jump);
        let target = (settings.address.clone(), settings.port);
        let lane = bastion.slow_lane(&target).await;
        let limit = settings.connect_timeout;
        let mut is_second = false;
        loop {
            let (carrier, door) = match bastion.way(lane.is_some()).await {
                Way::Through(carrier, door) => (carrier, door),
                Way::Login(want) => {
                    let wanted = Wanted::Further(want);
                    self.carrier(jump, wanted, &mut |_, _, _| {}).await?;
                    continue;
                }
            };
            match timeout(limit, carrier.open(at.clone(), door)).await {
                Ok(Ok(bridged)) => {
                    bastion.note(target, false);
                    let peer = format!("{at} through {}", carrier.login());
                    return Ok((Socket::Bridged(bridged), peer));
                }
                // A session that carried nothing is not read: that it is over shows when it is used again.
                Ok(Err(_)) if carrier.is_over() && !is_second => is_second = true,
                Ok(Err(error)) => {
                    bastion.note(target, false);
                    return Err(error);
                }
                Err(_) => {
                    bastion.note(target, true);
                    if carrier.load() == 0 {
                        // Its door stays shut for as long as libssh2 waits, and nobody else needs it.
                        carrier.close();
                    }
                    let step = Step::Tcp;
                    let at = at.clone();
                    return Err(Error::Deadline { at, step, limit });
                }
            }
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
