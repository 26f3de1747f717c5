//! In: bastions by their settings. Out: for each its gate, and the sessions that hosts behind it share.
//! Never: connects, gives a session that is over, lets two log in to one bastion at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Settings;
use super::bastion::Carrier;
use super::gate::Gate;
use super::socket::locked;

/// Logins at one bastion at once. Its session is shared, so there is rarely more than one to make.
const HANDSHAKES: usize = 4;
/// Sessions with one bastion. One is enough, but libssh2 opens one way at a time, and a host that answers nothing keeps the
/// others from being reached through that session for up to a minute.
const CARRIERS_MAX: usize = 4;
/// How long a session may be busy reaching one host before the next host gets another session.
const DOOR_PATIENCE: Duration = Duration::from_secs(1);

/// One server, by what leads to it: see `Settings::server`.
type Server = Vec<(String, u16)>;

/// The gates of all servers, and the sessions with bastions. All who share it share those.
#[derive(Debug)]
pub struct Bastions {
    is_patient: bool,
    gates: Mutex<HashMap<Server, Arc<Gate>>>,
    by_login: Mutex<Vec<Arc<Bastion>>>,
}

/// One login at one bastion.
#[derive(Debug)]
pub(super) struct Bastion {
    pub settings: Arc<Settings>,
    pub gate: Arc<Gate>,
    /// Held by the one who logs in.
    pub login: tokio::sync::Mutex<()>,
    carriers: Mutex<Vec<Arc<Carrier>>>,
    /// Hosts that did not answer the last attempt to reach them.
    slow: Mutex<HashSet<(String, u16)>>,
    /// Such hosts are tried one at a time.
    slow_lane: Arc<Semaphore>,
}

/// What to do to reach a host.
pub(super) enum Way {
    /// Through this session, whose door is open.
    Through(Arc<Carrier>, OwnedSemaphorePermit),
    /// A further session is to be made.
    Login(Want),
}

/// What the sessions that there are lack.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want {
    /// One that can reach a host now.
    Door,
    /// One that does, and carries nothing.
    Empty,
}

impl Bastions {
    /// Waits as long as it takes for a bastion that is away (the daemon).
    pub fn patient() -> Arc<Self> {
        Arc::new(Self::new(true))
    }

    /// After a failure everyone who waits for the bastion gets that failure at once (`once`, `check`).
    pub fn impatient() -> Arc<Self> {
        Arc::new(Self::new(false))
    }

    pub(super) fn new(is_patient: bool) -> Self {
        Self {
            is_patient,
            gates: Mutex::default(),
            by_login: Mutex::default(),
        }
    }

    /// The gate of a server; its first user decides about `handshakes_at_once`.
    pub fn gate(&self, settings: &Settings, handshakes_at_once: usize) -> Arc<Gate> {
        let make = || match self.is_patient {
            true => Gate::patient(handshakes_at_once),
            false => Gate::impatient(handshakes_at_once),
        };
        locked(&self.gates)
            .entry(settings.server())
            .or_insert_with(make)
            .clone()
    }

    /// Why the last attempt at a bastion on the way to this server failed, while nobody has succeeded since.
    pub fn last_failure(&self, settings: &Settings) -> Option<String> {
        let hops = settings.hops();
        hops.iter()
            .find_map(|hop| self.gate(hop, HANDSHAKES).last_failure())
    }

    pub(super) fn of(&self, settings: &Arc<Settings>) -> Arc<Bastion> {
        let gate = self.gate(settings, HANDSHAKES);
        let mut all = locked(&self.by_login);
        if let Some(known) = all.iter().find(|bastion| *bastion.settings == **settings) {
            return known.clone();
        }
        let bastion = Arc::new(Bastion {
            settings: settings.clone(),
            gate,
            login: tokio::sync::Mutex::new(()),
            carriers: Mutex::default(),
            slow: Mutex::default(),
            slow_lane: Arc::new(Semaphore::new(1)),
        });
        all.push(bastion.clone());
        bastion
    }
}

impl Bastion {
    /// Whether there is a session.
    pub fn is_up(&self) -> bool {
        !self.carriers().is_empty()
    }

    /// Whether a further session is still to be made.
    pub fn wants(&self, want: Want) -> bool {
        let carriers = self.carriers();
        let serves = |carrier: &Arc<Carrier>| match want {
            Want::Door => carrier.try_door().is_some(),
            Want::Empty => carrier.load() == 0 && carrier.try_door().is_some(),
        };
        carriers.len() < CARRIERS_MAX && !carriers.iter().any(serves)
    }

    pub fn add(&self, carrier: Arc<Carrier>) {
        locked(&self.carriers).push(carrier);
    }

    /// A session for a host, waiting for a door where there must be no further session.
    pub async fn way(&self, is_slow: bool) -> Way {
        loop {
            // The one that carries most comes first, so that the others fall idle and end.
            let mut carriers = self.carriers();
            carriers.sort_by_key(|carrier| std::cmp::Reverse(carrier.load()));
            if is_slow {
                // It may keep the door shut for long: then a session that carries nothing can be thrown away.
                carriers.retain(|carrier| carrier.load() == 0);
            }
            for carrier in &carriers {
                if let Some(door) = carrier.try_door() {
                    return Way::Through(carrier.clone(), door);
                }
            }
            let any = self.carriers();
            let has_room = any.len() < CARRIERS_MAX;
            let Some(first) = carriers.first().or(any.first()).cloned() else {
                return Way::Login(Want::Door);
            };
            if is_slow && has_room {
                return Way::Login(Want::Empty);
            }
            match timeout(DOOR_PATIENCE, first.door()).await {
                Ok(Some(door)) => return Way::Through(first, door),
                Err(_) if has_room => return Way::Login(Want::Door),
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Whether the host did not answer last time; then a place in the lane of such hosts.
    pub async fn slow_lane(&self, target: &(String, u16)) -> Option<OwnedSemaphorePermit> {
        let is_slow = locked(&self.slow).contains(target);
        match is_slow {
            true => self.slow_lane.clone().acquire_owned().await.ok(),
            false => None,
        }
    }

    pub fn note(&self, target: (String, u16), is_slow: bool) {
        let mut slow = locked(&self.slow);
        if is_slow {
            slow.insert(target);
        } else {
            slow.remove(&target);
        }
    }

    fn carriers(&self) -> Vec<Arc<Carrier>> {
        let mut carriers = locked(&self.carriers);
        carriers.retain(|carrier| !carrier.is_over());
        carriers.clone()
    }
}
