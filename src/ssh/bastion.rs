//! In: a connection that is logged in to a bastion, hosts to be reached through it. Out: a socket to each of them.
//! Never: lets two tasks touch the session, lets one host's bytes wait for another host to take its own.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::bridge::Bridge;
use super::channel::PIECE_BYTES;
use super::connection::{Connection, code};
use super::error::{Endpoint, Error, ForwardFailure, words_of};
use super::pulse::{Answer, Pulse};
use super::socket::{Bridged, Via};

/// A session that carries nothing for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Connections that one session carries, also those that wait for the bastion to confirm their end. Twice the largest fleet that
/// was measured; each may have 2 MiB (its window) waiting for a slow reader.
const BRIDGES_MAX: usize = 1024;

/// A session with a bastion; one task owns it. Without this handle it goes on until what it carries has ended.
#[derive(Debug)]
pub(super) struct Carrier {
    requests: mpsc::Sender<Opening>,
    /// libssh2 opens one channel at a time.
    door: Arc<Semaphore>,
    via: Arc<Via>,
    load: Arc<AtomicUsize>,
    stop: CancellationToken,
}

/// A host to be reached, and who asks.
struct Opening {
    at: Arc<Endpoint>,
    answer: oneshot::Sender<Result<Bridged, Error>>,
    /// Held until libssh2 is done with it, also when nobody waits for it any more.
    _door: OwnedSemaphorePermit,
}

impl Carrier {
    pub fn spawn(connection: Connection) -> Arc<Self> {
        // The door lets one request in at a time.
        let (requests, asked) = mpsc::channel(1);
        let via = Arc::new(Via::new(connection.at.clone()));
        let carrier = Self {
            requests,
            door: Arc::new(Semaphore::new(1)),
            via: via.clone(),
            load: Arc::default(),
            stop: CancellationToken::new(),
        };
        let owner = Owner {
            pulse: Pulse::of_bastion(connection.dead_after),
            connection,
            bridges: Vec::new(),
            opening: None,
            requests: asked,
            is_orphan: false,
            idle_since: Instant::now(),
            piece: vec![0; PIECE_BYTES],
            via,
            load: carrier.load.clone(),
            door: carrier.door.clone(),
        };
        let stop = carrier.stop.clone();
        tokio::spawn(async move {
            // Dropped half-way, the owner ends the connection, which is all that is left to do.
            let _end = stop.run_until_cancelled(owner.run_to_the_end()).await;
        });
        Arc::new(carrier)
    }

    pub fn is_over(&self) -> bool {
        self.via.ended().is_some() || self.requests.is_closed()
    }

    /// Why it is over.
    pub fn end(&self) -> Error {
        self.via.ended().cloned().unwrap_or_else(|| Error::Ended {
            at: self.via.at.clone(),
        })
    }

    /// Whose session it is: `user@address:port`.
    pub fn login(&self) -> String {
        self.via.at.login()
    }

    /// Connections that it carries.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Acquire)
    }

    /// `None` while another host is being reached.
    pub fn try_door(&self) -> Option<OwnedSemaphorePermit> {
        self.door.clone().try_acquire_owned().ok()
    }

    /// Waits for the door; `None` when the session is over.
    pub async fn door(&self) -> Option<OwnedSemaphorePermit> {
        self.door.clone().acquire_owned().await.ok()
    }

    /// Opens a way to a host.
    ///
    /// Dropping the future gives the way up, but the door stays shut until the bastion has answered.
    ///
    /// # Errors
    /// `Forward`, or the end of the session.
    pub async fn open(
        &self,
        at: Arc<Endpoint>,
        door: OwnedSemaphorePermit,
    ) -> Result<Bridged, Error> {
        let (answer, answered) = oneshot::channel();
        let opening = Opening {
            at,
            answer,
            _door: door,
        };
        if self.requests.send(opening).await.is_err() {
            return Err(self.end());
        }
        answered.await.unwrap_or_else(|_| Err(self.end()))
    }

    /// Ends the session and what it carries.
    pub fn close(&self) {
        self.stop.cancel();
    }
}

/// The task that the session belongs to.
struct Owner {
    connection: Connection,
    bridges: Vec<Bridge>,
    opening: Option<Opening>,
    requests: mpsc::Receiver<Opening>,
    /// Nobody will ask for a further way.
    is_orphan: bool,
    idle_since: Instant,
    pulse: Pulse,
    piece: Vec<u8>,
    via: Arc<Via>,
    load: Arc<AtomicUsize>,
    door: Arc<Semaphore>,
}

impl Owner {
    async fn run_to_the_end(mut self) {
        let end = match self.run().await {
            Ok(end) => end,
            Err(error) => self.connection.lost(&error),
        };
        self.end(end);
    }

    /// Tells those who are carried why, before their bridges fall.
    fn end(&mut self, why: Error) {
        self.via.end(why.clone());
        self.door.close();
        if let Some(opening) = self.opening.take() {
            // Whoever asked may have gone.
            let _told = opening.answer.send(Err(why));
        }
    }

    async fn run(&mut self) -> Result<Error, ssh2::Error> {
        loop {
            // A bastion that sends faster than we read must not keep the runtime's thread.
            consume_budget().await;
            if self.work().await? {
                continue;
            }
            if self.is_done() {
                return Ok(self.ended());
            }
            let wants_session = self.opening.is_some() || self.bridges.iter().any(Bridge::listens);
            if !wants_session {
                self.pulse.pause();
            } else if self.pulse.is_dead() {
                return Ok(self.dead());
            }
            let look_at = self.next_look();
            let bridges = &self.bridges;
            tokio::select! {
                readable = self.connection.readable(), if wants_session => {
                    readable?;
                    self.via.hear();
                    self.pulse.hear();
                }
                opening = self.requests.recv(), if self.opening.is_none() && !self.is_orphan => {
                    self.is_orphan = opening.is_none();
                    self.opening = opening;
                }
                () = near_ends(bridges) => {}
                () = sleep_until(look_at) => {}
            }
        }
    }

    /// One turn for everybody. Returns whether anything was moved: then there may be more.
    ///
    /// Whatever may read the session's socket comes before the look at what was read, so that nothing stays unseen.
    async fn work(&mut self) -> Result<bool, ssh2::Error> {
        let mut has_moved = self.open().await?;
        self.ask().await?;
        has_moved |= self.close_bridges().await?;
        for bridge in &mut self.bridges {
            has_moved |= bridge.send(&self.connection, &mut self.piece).await?;
        }
        if let Some(bridge) = self.bridges.iter_mut().find(|bridge| bridge.has_room()) {
            has_moved |= bridge.drain(&self.connection, &mut self.piece).await?;
        }
        for bridge in &mut self.bridges {
            has_moved |= bridge.receive(&self.connection, &mut self.piece).await?;
        }
        Ok(has_moved)
    }

    /// Goes on with the way that is being opened: the same call until the bastion has answered, whether anybody waits or not.
    async fn open(&mut self) -> Result<bool, ssh2::Error> {
        let Some(opening) = &self.opening else {
            return Ok(false);
        };
        if self.bridges.len() >= BRIDGES_MAX {
            self.answer(Err(ForwardFailure::Full));
            return Ok(true);
        }
        let session = &self.connection.session;
        let (address, port) = (&opening.at.address, opening.at.port);
        let opened = self
            .connection
            .unless_inbound(|| session.channel_direct_tcpip(address, port, None))
            .await;
        let answer = match opened {
            Ok(None) => return Ok(false),
            Ok(Some(channel)) => match Bridge::over(channel, self.via.clone()) {
                Ok((bridge, bridged)) => {
                    self.bridges.push(bridge);
                    Ok(bridged)
                }
                Err(error) => Err(ForwardFailure::Other(words_of(&error))),
            },
            Err(error) => Err(failure_of(&error).ok_or(error)?),
        };
        self.answer(answer);
        Ok(true)
    }

    fn answer(&mut self, answer: Result<Bridged, ForwardFailure>) {
        self.count();
        let Some(opening) = self.opening.take() else {
            return;
        };
        let at = opening.at;
        let answer = answer.map_err(|failure| Error::Forward { at, failure });
        // Whoever has given up drops the near end with this, which closes the bridge.
        let _given_up = opening.answer.send(answer);
    }

    async fn close_bridges(&mut self) -> Result<bool, ssh2::Error> {
        let before = self.bridges.len();
        let mut index = 0;
        while let Some(bridge) = self.bridges.get_mut(index) {
            if bridge.is_closing() && bridge.close(&self.connection).await? {
                if bridge.is_asked {
                    self.pulse.forget();
                }
                self.bridges.swap_remove(index);
            } else {
                index += 1;
            }
        }
        let has_closed = self.bridges.len() < before;
        if has_closed {
            self.count();
        }
        Ok(has_closed)
    }

    /// Asks the bastion for a sign of life when it is time; the question needs one of the channels.
    async fn ask(&mut self) -> Result<(), ssh2::Error> {
        let is_due = self.pulse.next().is_some_and(|at| at <= Instant::now());
        if !self.pulse.is_asking()
            && is_due
            && let Some(bridge) = self.bridges.iter_mut().find(|bridge| bridge.has_room())
        {
            bridge.is_asked = true;
            self.pulse.ask();
        }
        let Some(bridge) = self.bridges.iter_mut().find(|bridge| bridge.is_asked) else {
            // Where all are being closed, the bastion has that to answer, and any word of it will do.
            if self.pulse.is_asking() && self.pulse.has_heard_since() {
                self.pulse.forget();
            } else if is_due && !self.bridges.is_empty() {
                self.pulse.ask();
            }
            return Ok(());
        };
        match bridge.ask(&self.connection).await? {
            Answer::Waits => return Ok(()),
            Answer::Came => {
                // It may have come within this call, unseen by those who wait for the socket.
                self.via.hear();
                self.pulse.answered();
            }
            Answer::Never => self.pulse.give_up(),
        }
        bridge.is_asked = false;
        Ok(())
    }

    fn count(&mut self) {
        self.load.store(self.bridges.len(), Ordering::Release);
        self.idle_since = Instant::now();
    }

    fn is_idle(&self) -> bool {
        self.bridges.is_empty() && self.opening.is_none()
    }

    fn is_done(&self) -> bool {
        self.is_idle() && (self.is_orphan || self.idle_since.elapsed() >= IDLE_MAX)
    }

    fn next_look(&self) -> Instant {
        let idle_end = self.idle_since + IDLE_MAX;
        if self.is_idle() {
            return idle_end;
        }
        let can_ask = self.bridges.iter().any(|bridge| bridge.has_room());
        let pulse = self
            .pulse
            .next()
            .filter(|_| can_ask || self.pulse.is_asking());
        // Nothing to wait for but the others; looked at again now and then.
        pulse.unwrap_or_else(|| Instant::now() + IDLE_MAX)
    }

    fn ended(&self) -> Error {
        Error::Ended {
            at: self.connection.at.clone(),
        }
    }

    fn dead(&self) -> Error {
        let asked = self.pulse.asked().unwrap_or_else(Instant::now);
        self.connection.unanswered(asked)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let why = self.ended();
        self.end(why);
        // Only after the end of the connection can a channel be freed without waiting for the bastion, and without a leak.
        let channel = self.bridges.first().map(Bridge::channel);
        self.connection.end(channel);
        self.bridges.clear();
    }
}

/// Waits until one of the near ends gives or takes something.
async fn near_ends(bridges: &[Bridge]) {
    poll_fn(|context| {
        // All are asked, so that each of them wakes us.
        let ready = bridges
            .iter()
            .filter(|bridge| bridge.poll_near(context))
            .count();
        if ready > 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// What a refusal to open a way means; `None`: it is the session that failed.
fn failure_of(error: &ssh2::Error) -> Option<ForwardFailure> {
    match code(error) {
        -21 if error.message().contains("prohibited") => Some(ForwardFailure::Prohibited),
        -21 if error.message().contains("connect failed") => Some(ForwardFailure::CannotConnect),
        -21 => Some(ForwardFailure::Other(error.message().to_lowercase())),
        -9 => Some(ForwardFailure::CannotConnect),
        _ => None,
    }
}
