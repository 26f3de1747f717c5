//! In: sources that want to connect to one address and port. Out: permission, one by one or a few at once, paced by what came of it.
//! Never: connects, lets fifty sources repeat one failure fifty times.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::error::{Error, KeyProblem};
use crate::backoff::Backoff;

/// Ceiling of the first wait after a network error; it doubles up to `NETWORK_LONGEST`, with full jitter.
const NETWORK_FIRST: Duration = Duration::from_secs(1);
/// A host that is back is seen within a minute.
const NETWORK_LONGEST: Duration = Duration::from_secs(60);
/// A server that refused before its banner is left alone at least this long: the penalty of OpenSSH 9.8 for a few failures is
/// some 20 s, and each attempt within it counts again.
const REFUSAL_LEAST: Duration = Duration::from_secs(20);
/// Jitter on top of it: the first ceiling, and the ceiling it doubles to (penalties end after 600 s at most).
const REFUSAL_JITTER_FIRST: Duration = Duration::from_secs(5);
const REFUSAL_JITTER_LONGEST: Duration = Duration::from_secs(120);
/// A server that turned some of those away who came at once gets half as many at once from then on, and one more after so many in a row
/// got in: its `MaxStartups` is not known, and each refusal costs everybody `REFUSAL_LEAST`.
const SUCCESSES_FOR_ONE_MORE: usize = 100;
/// A refused login or host key passes only when somebody acts, and fail2ban counts: 60 s, doubling to 15 min.
const LOGIN_FIRST: Duration = Duration::from_secs(60);
const LOGIN_LONGEST: Duration = Duration::from_secs(15 * 60);

/// Who may connect to one address and port, and when.
///
/// At the start and after a failure one source tries and the others wait for its success; after it, a few at once.
#[derive(Debug)]
pub struct Gate {
    is_patient: bool,
    state: Mutex<State>,
    /// Counts changes of `state`, so that those who wait look again.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    handshakes_at_once: usize,
    /// Whether the last that was heard of the server is a success.
    is_open: bool,
    /// Places there are, at most `handshakes_at_once`.
    at_once: usize,
    /// Of those that got in since `at_once` changed.
    successes: usize,
    /// Places taken.
    under_way: usize,
    /// Whether one of them is the one that tries for all.
    is_probing: bool,
    /// Nobody tries before.
    not_before: Option<Instant>,
    failure: Option<Error>,
    /// Counts openings and closings, so that several failures of one outage count once.
    epoch: u64,
    network: Backoff,
    refusal: Backoff,
    login: Backoff,
}

/// How long a failure keeps everybody away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Network,
    Refusal,
    Login,
}

/// A place in the gate; dropping it without a word gives it back.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    gate: &'a Gate,
    is_probe: bool,
    epoch: u64,
}

impl Gate {
    /// Waits as long as it takes (the daemon). `handshakes_at_once`: at least 1 is let in.
    pub fn patient(handshakes_at_once: usize) -> Arc<Self> {
        Self::new(handshakes_at_once, true)
    }

    /// After a failure everyone who waits gets that failure at once (`once`, `check`).
    pub fn impatient(handshakes_at_once: usize) -> Arc<Self> {
        Self::new(handshakes_at_once, false)
    }

    fn new(handshakes_at_once: usize, is_patient: bool) -> Arc<Self> {
        let handshakes_at_once = handshakes_at_once.max(1);
        Arc::new(Self {
            is_patient,
            state: Mutex::new(State {
                handshakes_at_once,
                is_open: false,
                at_once: handshakes_at_once,
                successes: 0,
                under_way: 0,
                is_probing: false,
                not_before: None,
                failure: None,
                epoch: 0,
                network: Backoff::new(NETWORK_FIRST, NETWORK_LONGEST),
                refusal: Backoff::new(REFUSAL_JITTER_FIRST, REFUSAL_JITTER_LONGEST),
                login: Backoff::new(LOGIN_FIRST, LOGIN_LONGEST),
            }),
            changes: watch::Sender::new(0),
        })
    }

    /// Why the last attempt failed, while nobody has succeeded since: one line for the `reason` of a document.
    pub fn last_failure(&self) -> Option<String> {
        self.lock().failure.as_ref().map(Error::reason)
    }

    /// From now on so many at once are let in, at least 1; those that are inside go on.
    pub fn limit_to(&self, handshakes_at_once: usize) {
        let mut state = self.lock();
        let was_whole = state.at_once == state.handshakes_at_once;
        state.handshakes_at_once = handshakes_at_once.max(1);
        // A gate that a server's refusals have narrowed stays so.
        state.at_once = match was_whole {
            true => state.handshakes_at_once,
            false => state.at_once.min(state.handshakes_at_once),
        };
        drop(state);
        self.announce();
    }

    /// Whoever waits after a failure may try now, one for all, as somebody may have mended it; the waits after it grow on.
    pub fn try_now(&self) {
        self.lock().not_before = None;
        self.announce();
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// Impatient: the failure of the one that tried.
    pub(super) async fn enter(&self) -> Result<Permit<'_>, Error> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let not_before = match self.try_enter() {
                Ok(permit) => return permit,
                Err(not_before) => not_before,
            };
            tokio::select! {
                // The sender lives in `self`, so this is always a change.
                _ = changes.changed() => {}
                () = sleep_until(not_before.unwrap_or_else(Instant::now)), if not_before.is_some() => {}
            }
        }
    }

    /// A place, the failure to hand on, or `Err`: when to look again unless something changes before (`None`: only then).
    fn try_enter(&self) -> Result<Result<Permit<'_>, Error>, Option<Instant>> {
        let mut state = self.lock();
        if !state.is_open {
            if let (false, Some(failure)) = (self.is_patient, &state.failure) {
                return Ok(Err(failure.clone()));
            }
            if state.is_probing {
                return Err(None);
            }
            if let Some(not_before) = state.not_before.filter(|at| *at > Instant::now()) {
                return Err(Some(not_before));
            }
        }
        if state.under_way >= state.at_once {
            return Err(None);
        }
        state.under_way += 1;
        state.is_probing = !state.is_open;
        Ok(Ok(Permit {
            gate: self,
            is_probe: !state.is_open,
            epoch: state.epoch,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Permit<'_> {
    /// The session stands: the gate is open.
    pub fn succeeded(self) {
        let mut state = self.gate.lock();
        if !state.is_open {
            state.epoch += 1;
        }
        state.is_open = true;
        state.successes += 1;
        if state.successes >= SUCCESSES_FOR_ONE_MORE && state.at_once < state.handshakes_at_once {
            state.at_once += 1;
            state.successes = 0;
        }
        state.not_before = None;
        state.failure = None;
        state.network.reset();
        state.refusal.reset();
        state.login.reset();
    }

    /// It failed: the gate is closed for as long as this kind of failure asks for.
    pub fn failed(self, error: &Error) {
        let mut state = self.gate.lock();
        let pace = pace_of(error);
        let wait = if self.epoch == state.epoch {
            state.epoch += 1;
            if error.is_refusal() && !self.is_probe {
                state.at_once = (state.at_once / 2).max(1);
                state.successes = 0;
            }
            state.next_wait(pace)
        } else {
            // Another one of the same outage: it may lengthen the wait, but is not a further failure in a row.
            first_wait(pace)
        };
        let until = Instant::now() + wait;
        state.is_open = false;
        state.not_before = Some(state.not_before.map_or(until, |at| at.max(until)));
        state.failure = Some(error.clone());
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.under_way -= 1;
        if self.is_probe {
            state.is_probing = false;
        }
        drop(state);
        self.gate.announce();
    }
}

impl State {
    fn next_wait(&mut self, pace: Pace) -> Duration {
        match pace {
            Pace::Network => self.network.next_wait(),
            Pace::Refusal => REFUSAL_LEAST + self.refusal.next_wait(),
            Pace::Login => {
                // No jitter: one source tries for all, and the limits are what is promised to the host.
                let wait = self.login.ceiling();
                self.login.next_wait();
                wait
            }
        }
    }
}

fn first_wait(pace: Pace) -> Duration {
    match pace {
        Pace::Network => Duration::ZERO,
        Pace::Refusal => REFUSAL_LEAST,
        Pace::Login => LOGIN_FIRST,
    }
}

fn pace_of(error: &Error) -> Pace {
    match error {
        Error::Refused { .. } | Error::KeyExchange { .. } => Pace::Refusal,
        Error::HostKeyUnknown { .. }
        | Error::HostKeyChanged { .. }
        | Error::HostKeyNotPinned { .. }
        | Error::HostKeyRevoked { .. }
        | Error::HostKeyAuthority { .. }
        | Error::LoginRefused { .. }
        | Error::FurtherMethod { .. }
        // Found out with the host on the line: it saw a connection without a login.
        | Error::PrivateKey {
            problem: KeyProblem::PassphraseWrong | KeyProblem::Damaged,
            ..
        } => Pace::Login,
        _ => Pace::Network,
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
