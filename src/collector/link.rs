//! In: a mirror host and what to describe there. Out: a loop on that host that answers one tick at a time.
//! Never: plans ticks, says what a round means for a topic.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::round::Round;
use super::turns::Turns;
use super::{MirrorHost, SourceSettings};
use crate::kafka::{self, Progress, RoundText, Transcript};
use crate::ssh::{self, Event};

/// The loop on the host ends when it hears nothing for this long, so a cut cable leaves nothing behind.
const LEASE: Duration = Duration::from_secs(90);

/// A blank line goes out this often: three chances within a lease, and something for TCP to miss an answer to.
const RENEW_EVERY: Duration = Duration::from_secs(15);

/// A login shell that takes longer to start the loop is not going to.
const HELLO_LIMIT: Duration = Duration::from_secs(20);

/// Beyond the describe's own limit: 5 s until `timeout -k 5` kills for good, and 5 s for the marker to arrive.
const ROUND_GRACE: Duration = Duration::from_secs(10);

/// A start-up file of the login's shell that asks something gets an empty line as its answer, after so long and then again.
const ANSWER_AFTER: Duration = Duration::from_secs(1);
const ANSWER_EVERY: Duration = Duration::from_secs(4);

/// Output of one round that is kept: 100,000 rows. What a CLI prints beyond it is no table.
const ROUND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Output of one round, on both streams, that is read at all: a host that prints on and on costs this much and its session.
const ROUND_BYTES_READ_MAX: u64 = 2 * ROUND_BYTES_MAX as u64;
/// How often that is looked at: a line without an end brings no event to look at it.
const READ_LOOK: Duration = Duration::from_millis(250);

/// Why a source has no loop to ask.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Ssh(#[from] ssh::Error),
    #[error("{0}")]
    Unquotable(#[from] kafka::Unquotable),
    #[error(
        "the login shell of {user}@{address}:{port} did not start the loop within {}s{}; \
         a ForceCommand or a restricted shell there must allow `/bin/sh -c`",
        HELLO_LIMIT.as_secs(), it_said(.said)
    )]
    NoHello {
        user: String,
        address: String,
        port: u16,
        said: String,
    },
}

impl Error {
    /// Whether the server's gate has seen it: a failure on the way up to the login.
    pub(super) fn is_before_login(&self) -> bool {
        let step = match self {
            Self::Ssh(error) => error.step(),
            Self::Unquotable(_) | Self::NoHello { .. } => None,
        };
        step.is_some_and(|step| step != ssh::Step::Shell)
    }

    /// One line for a document's `reason`.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Ssh(error) => error.reason(),
            Self::Unquotable(error) => error.to_string(),
            Self::NoHello { said, .. } => {
                format!("the login shell did not start the loop{}", it_said(said))
            }
        }
    }
}

fn it_said(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(", it said {text:?}")
    }
}

/// How a round ended without its text.
#[derive(Debug)]
pub(super) enum RoundEnd {
    /// The describe outlived its limit and what the host needs to kill it.
    Silent,
    /// The describe printed more than is read of one.
    TooMuch,
    /// The connection ended.
    Lost(Error),
}

impl RoundEnd {
    /// The round that ended so, and the error to show for it.
    pub(super) fn into_round(self, limit: Duration) -> (Round, Option<Error>) {
        match self {
            Self::Silent => (Round::silent(limit), None),
            Self::TooMuch => (Round::too_much(ROUND_BYTES_READ_MAX), None),
            Self::Lost(error) => (Round::lost(error.reason()), Some(error)),
        }
    }
}

/// What all sources of one SSH server share: its gate, the describes that may run on it, the way to it.
#[derive(Debug, Clone)]
pub(super) struct HostShare {
    pub gate: Arc<ssh::Gate>,
    bastions: Arc<ssh::Bastions>,
    pub describes: Arc<Turns>,
}

impl HostShare {
    /// Why the last attempt at the server, or at a bastion before it, failed.
    pub(super) fn last_failure(&self, settings: &ssh::Settings) -> Option<String> {
        let of_gate = self.gate.last_failure();
        of_gate.or_else(|| self.bastions.last_failure(settings))
    }
}

/// Shares by what leads to a server: two names for one server are one server, one private address behind two bastions is two.
pub(super) struct HostShares {
    bastions: Arc<ssh::Bastions>,
    by_server: HashMap<Vec<(String, u16)>, HostShare>,
}

impl HostShares {
    pub(super) fn new(bastions: Arc<ssh::Bastions>) -> Self {
        Self {
            bastions,
            by_server: HashMap::new(),
        }
    }

    /// The share of `host`'s server, made at its first use.
    pub(super) fn of(&mut self, host: &MirrorHost) -> HostShare {
        let bastions = &self.bastions;
        self.by_server
            .entry(host.ssh.server())
            .or_insert_with(|| HostShare {
                gate: bastions.gate(&host.ssh, host.handshakes_per_host),
                bastions: bastions.clone(),
                describes: Arc::new(Turns::new(host.describes_per_host)),
            })
            .clone()
    }

    /// From now on the limits are those of `hosts`; where two are one server, the first decides, as at its first use.
    ///
    /// Whoever waits after a failure tries at once. A server that is none of `hosts` is forgotten when nobody uses it.
    pub(super) fn follow<'a>(&mut self, hosts: impl Iterator<Item = &'a MirrorHost>) {
        let mut decided = HashSet::new();
        for host in hosts {
            let server = host.ssh.server();
            let share = self.by_server.get(&server);
            if decided.insert(server)
                && let Some(share) = share
            {
                share.gate.limit_to(host.handshakes_per_host);
                share.describes.limit_to(host.describes_per_host);
                share.gate.try_now();
            }
        }
        self.by_server.retain(|server, share| {
            decided.contains(server) || Arc::strong_count(&share.describes) > 1
        });
    }
}

/// A running loop on a mirror host.
pub(super) struct Link {
    stream: ssh::Stream,
    transcript: Transcript,
    limit: Duration,
    renew_at: Instant,
    pub has_timeout: bool,
}

impl Link {
    /// Connects, logs in, starts the loop and waits for its hello.
    ///
    /// # Errors
    /// The first step that failed; waiting for a place in the gate is no failure.
    pub(super) async fn open(source: &SourceSettings, share: &HostShare) -> Result<Self, Error> {
        let host = &source.mirror_host;
        let marker = format!("mirrorlag-{:032x}", rand::rng().random::<u128>());
        let command = kafka::loop_command(&host.kafka, &source.describe, LEASE, &marker)?;
        let mut log_step = |step: ssh::Step, took: Duration, detail: &str| {
            tracing::debug!(source = source.name, ?step, ?took, detail, "step passed");
        };
        let connecting = share
            .bastions
            .connect(&host.ssh, &share.gate, &mut log_step);
        let session = connecting.await?;
        let mut link = Self {
            stream: session.stream(&command).await?,
            transcript: Transcript::new(&marker, ROUND_BYTES_MAX),
            limit: source.describe.limit,
            renew_at: Instant::now() + RENEW_EVERY,
            has_timeout: false,
        };
        link.hello(&host.ssh).await?;
        Ok(link)
    }

    async fn hello(&mut self, settings: &ssh::Settings) -> Result<(), Error> {
        let deadline = Instant::now() + HELLO_LIMIT;
        // The last thing said on stderr, else on stdout: what a restricted shell complains with.
        let mut said = String::new();
        let mut answer_at = Instant::now() + ANSWER_AFTER;
        let ended = loop {
            let event = tokio::select! {
                event = timeout_at(deadline, self.stream.next()) => event,
                () = sleep_until(answer_at) => {
                    answer_at += ANSWER_EVERY;
                    // To the loop an empty line is nothing. One that cannot be sent is about to be explained by `Event::Ended`.
                    let _will_end = self.stream.send(String::new());
                    continue;
                }
            };
            match event {
                Err(_elapsed) => break None,
                Ok(Event::Ended(error)) => break Some(error),
                Ok(event) => {
                    if let Event::Stderr(line) | Event::Stdout(line) = &event
                        && !line.text.trim().is_empty()
                    {
                        said = line.text.chars().take(200).collect();
                    }
                    if let Some(Progress::Hello { has_timeout }) = self.push(event) {
                        self.has_timeout = has_timeout;
                        return Ok(());
                    }
                }
            }
        };
        match ended {
            // The connection itself broke: that is the news, not what was said before.
            Some(error) if said.is_empty() => Err(error.into()),
            _ => Err(Error::NoHello {
                user: settings.user.clone(),
                address: settings.address.clone(),
                port: settings.port,
                said,
            }),
        }
    }

    /// Keeps the lease until the connection ends; returns only then. Cancel-safe.
    pub(super) async fn idle(&mut self) -> Error {
        loop {
            tokio::select! {
                event = self.stream.next() => {
                    if let Event::Ended(error) = event {
                        return error.into();
                    }
                    // Nothing is due between rounds: late lines of an old round end here.
                    self.push(event);
                }
                () = sleep_until(self.renew_at) => self.renew(),
            }
        }
    }

    /// One describe: sends `tick` and collects what both streams say until its marker.
    ///
    /// # Errors
    /// Nothing came within the limit, far too much came, or the connection ended; the link must not be used again.
    pub(super) async fn round(&mut self, tick: &str) -> Result<RoundText, RoundEnd> {
        let deadline = Instant::now() + self.limit + ROUND_GRACE;
        let read_max = self.stream.bytes_read() + ROUND_BYTES_READ_MAX;
        let mut look_at = Instant::now() + READ_LOOK;
        self.stream
            .send(tick.to_owned())
            .map_err(|error| RoundEnd::Lost(error.into()))?;
        loop {
            if self.stream.bytes_read() > read_max {
                return Err(RoundEnd::TooMuch);
            }
            tokio::select! {
                event = self.stream.next() => {
                    if let Event::Ended(error) = event {
                        return Err(RoundEnd::Lost(error.into()));
                    }
                    match self.push(event) {
                        Some(Progress::Round(round)) if round.tick == tick => return Ok(round),
                        _ => {}
                    }
                }
                () = sleep_until(self.renew_at) => self.renew(),
                () = sleep_until(deadline) => return Err(RoundEnd::Silent),
                () = sleep_until(look_at) => look_at += READ_LOOK,
            }
        }
    }

    /// Ends the connection; the loop on the host meets end of file.
    pub(super) async fn close(self) {
        self.stream.close().await;
    }

    fn renew(&mut self) {
        self.renew_at = Instant::now() + RENEW_EVERY;
        // A stream that takes no line is about to say why by `Event::Ended`.
        let _will_end = self.stream.send(String::new());
    }

    fn push(&mut self, event: Event) -> Option<Progress> {
        match event {
            Event::Stdout(line) => {
                self.transcript
                    .push(kafka::Stream::Stdout, &line.text, line.is_cut)
            }
            Event::Stderr(line) => {
                self.transcript
                    .push(kafka::Stream::Stderr, &line.text, line.is_cut)
            }
            Event::Ended(_) => None,
        }
    }
}
