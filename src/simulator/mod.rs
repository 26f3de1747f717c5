//! In: a description of a fleet. Out: MirrorMakers that fall behind and catch up, behind a real SSH server in this process.
//! Never: is used by a room that collects, starts a real process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::server;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::host::{Host, Time};

pub use self::access::Access;
pub use self::command::CONSUMER_GROUPS;
pub use self::fleet::{FleetSettings, GroupSettings, HostSettings, Recurring, TopicSettings};
pub use self::host::{AnsweredRound, HostCounts};
pub use self::load::{MemberState, Snapshot};

// The key and the known_hosts file of a client.
mod access;
// What a command line asks for.
mod command;
// One SSH session.
mod connection;
// What a fleet is made of, and the fleets that are ready-made.
mod fleet;
// One host: its CLI, its outages, its counts.
mod host;
// The shell loop of a script, for measurements beside it.
mod line_loop;
// Offsets of a group at an instant.
mod load;
// What the CLI prints of them, on both streams.
mod printed;
// The remote loop, as the host's shell would run it.
mod remote_loop;
// What `kafka-consumer-groups.sh --describe` prints, by version.
pub mod table;

/// How often outages are looked for: an outage begins and ends at most this much late.
const OUTAGE_LOOK: Duration = Duration::from_millis(50);

/// Connections that the system keeps for a listener that is busy: all sources of a host may come at one instant.
const BACKLOG: u32 = 1024;

/// Rest after a connection that could not be accepted (no file descriptor left), so that the loop does not spin.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Why a fleet did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make a key for the simulated fleet: {0}")]
    Key(#[from] russh::keys::ssh_key::Error),
    #[error("cannot write the simulated fleet's keys into {folder:?}: {source}")]
    Write { folder: PathBuf, source: io::Error },
    #[error("cannot open a port on 127.0.0.1 for simulated host {host:?}: {source}")]
    Listen { host: String, source: io::Error },
}

/// A running fleet: one SSH server on 127.0.0.1 per host. It ends when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    hosts: Vec<Arc<Host>>,
    access: Access,
    time: Arc<Time>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Fleet {
    /// Opens a port per host, chosen by the system, and writes the client's files into the settings' folder.
    ///
    /// # Errors
    /// A port cannot be opened, or a file not be written (also where it is there already).
    pub async fn start(settings: FleetSettings) -> Result<Self, Error> {
        let time = Arc::new(Time::start());
        let user_key = access::fresh_key()?;
        let user_public = Arc::new(user_key.public_key().clone());
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut hosts = Vec::with_capacity(settings.hosts.len());
        let mut host_keys = Vec::with_capacity(settings.hosts.len());
        for host in settings.hosts {
            let name = host.name.clone();
            let listen = |source| Error::Listen { host: name, source };
            let (port, listener) = Port::open().map_err(listen)?;
            let host_key = access::fresh_key()?;
            let number = port.address.port();
            host_keys.push((number, host_key.public_key().clone()));
            let host = Arc::new(Host::new(host, number, settings.seed, time.clone()));
            let serving = Serving {
                config: Arc::new(connection::server_config(host_key)),
                host: host.clone(),
                user_key: user_public.clone(),
                tasks: tasks.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(serving.accept(port, listener));
            hosts.push(host);
        }
        let folder = settings.folder;
        let access = access::write(&folder, &user_key, &host_keys)
            .map_err(|source| Error::Write { folder, source });
        if access.is_err() {
            stop.cancel();
        }
        Ok(Self {
            hosts,
            access: access?,
            time,
            stop,
            tasks,
        })
    }

    /// What a client needs to log in; the same for every host.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The hosts and the port of each on 127.0.0.1, in the order of the settings.
    pub fn hosts(&self) -> impl Iterator<Item = (&HostSettings, u16)> {
        self.hosts.iter().map(|host| (&host.settings, host.port))
    }

    /// The port of one host on 127.0.0.1; `None` for a name that the fleet does not have.
    pub fn port(&self, host: &str) -> Option<u16> {
        self.host(host).map(|host| host.port)
    }

    /// Time since the start: what decides every offset.
    pub fn elapsed(&self) -> Duration {
        self.time.elapsed()
    }

    /// Lets the fleet's time stand still at `at`, so that a describe prints exactly `expected(.., at)`.
    pub fn hold_time(&self, at: Duration) {
        self.time.hold(at);
    }

    /// What a describe of `group` that ends at `at` prints; `None` for a host or group that the fleet does not have.
    pub fn expected(&self, host: &str, group: &str, at: Duration) -> Option<Snapshot> {
        self.host(host)?.snapshot(group, at)
    }

    /// Cuts every connection of a host and refuses new ones, until it is called with `false`.
    pub fn hold_down(&self, host: &str, is_down: bool) {
        if let Some(host) = self.host(host) {
            host.hold_down(is_down);
        }
    }

    /// What a host saw; all zero for a name that the fleet does not have.
    pub fn counts(&self, host: &str) -> HostCounts {
        self.host(host).map(|h| h.counts()).unwrap_or_default()
    }

    /// The rounds that a host has answered since it was last asked; a bounded number of them.
    pub fn take_rounds(&self, host: &str) -> Vec<AnsweredRound> {
        self.host(host).map(|h| h.take_rounds()).unwrap_or_default()
    }

    /// Cuts all connections, closes all ports and waits until that is done.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn host(&self, name: &str) -> Option<&Arc<Host>> {
        self.hosts.iter().find(|host| host.settings.name == name)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A port of 127.0.0.1 that stays ours while nobody listens on it, as during an outage.
struct Port {
    address: SocketAddr,
    /// Bound and never listening: a connection is refused unless another socket listens.
    _reserved: TcpSocket,
}

impl Port {
    fn open() -> io::Result<(Self, TcpListener)> {
        let reserved = shared_socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reserved.local_addr()?;
        let port = Self {
            address,
            _reserved: reserved,
        };
        let listener = port.listen()?;
        Ok((port, listener))
    }

    fn listen(&self) -> io::Result<TcpListener> {
        shared_socket(self.address)?.listen(BACKLOG)
    }
}

fn shared_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What one host's listener needs.
struct Serving {
    config: Arc<server::Config>,
    host: Arc<Host>,
    user_key: Arc<PublicKey>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Serving {
    async fn accept(self, port: Port, listener: TcpListener) {
        let mut look = tokio::time::interval(OUTAGE_LOOK);
        let has_outages = self.host.settings.outages.is_some();
        let mut listener = Some(listener);
        loop {
            if self.host.is_down() {
                if listener.take().is_some() {
                    self.host.cut_connections();
                }
            } else if listener.is_none() {
                listener = port.listen().ok();
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                // Also where the port could not be opened again.
                _ = look.tick(), if has_outages || listener.is_none() => {}
                () = self.host.held.notified() => {}
                accepted = accept(listener.as_ref()) => match accepted {
                    Ok(_) if self.host.is_down() => {}
                    Ok(stream) => self.serve(stream),
                    Err(_) => tokio::time::sleep(ACCEPT_REST).await,
                },
            }
        }
        self.host.cut_connections();
    }

    fn serve(&self, stream: TcpStream) {
        let (config, host) = (self.config.clone(), self.host.clone());
        let cut = self.host.cut_token();
        let user_key = self.user_key.clone();
        self.tasks
            .spawn(connection::serve(config, stream, host, user_key, cut));
    }
}

/// The next connection; without a listener there is none.
async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}
