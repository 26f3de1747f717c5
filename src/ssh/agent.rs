//! In: the socket at `SSH_AUTH_SOCK`. Out: its identities, and logins with them.
//! Never: lets an agent that hangs block the runtime, or hold more than a few threads.

use std::time::Duration;

use ssh2::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, oneshot};

use super::connection::{Connection, code};
use super::error::words_of;

/// Calls of libssh2 to an agent block their thread. A hung agent may hold this many threads of the process, no more.
static AGENT_CALLS: Semaphore = Semaphore::const_new(4);

/// An agent answers the question for its identities at once; one that does not is hung.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Request 11 (`SSH_AGENTC_REQUEST_IDENTITIES`), with its length before it.
const REQUEST_IDENTITIES: [u8; 5] = [0, 0, 0, 1, 11];

/// A connection of one session to the agent.
pub(super) struct Agent {
    /// `None` while a thread has it, and after that thread was given up.
    inner: Option<Inner>,
    names: Vec<String>,
}

struct Inner {
    agent: ssh2::Agent,
    identities: Vec<ssh2::PublicKey>,
}

impl Agent {
    /// Connects and asks for the identities.
    ///
    /// # Errors
    /// Why the agent cannot be used, in a few words.
    pub async fn open(session: &ssh2::Session) -> Result<Self, String> {
        probe().await?;
        let session = session.clone();
        let inner = on_thread(move || {
            let mut agent = session.agent()?;
            agent.connect()?;
            agent.list_identities()?;
            let identities = agent.identities()?;
            Ok::<_, ssh2::Error>(Inner { agent, identities })
        })
        .await
        .and_then(|opened| opened.map_err(|error| error.message().to_owned()))?;
        if inner.identities.is_empty() {
            return Err("it has no identities".into());
        }
        let names = inner
            .identities
            .iter()
            .enumerate()
            .map(|(number, identity)| match identity.comment() {
                "" => format!("identity {}", number + 1),
                comment => comment.escape_default().to_string(),
            })
            .collect();
        Ok(Self {
            inner: Some(inner),
            names,
        })
    }

    /// Names of the identities: their comments.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Logs in with one identity.
    ///
    /// The session does not block, so only the agent's own answer holds the thread; the server's is awaited here.
    pub async fn log_in(
        &mut self,
        connection: &Connection,
        user: &str,
        identity: usize,
    ) -> Result<(), ssh2::Error> {
        let lost = || ssh2::Error::new(ErrorCode::Session(-19), "Callback: the agent is gone");
        loop {
            let inner = self.inner.take().ok_or_else(lost)?;
            let user = user.to_owned();
            let (inner, outcome) = on_thread(move || {
                let outcome = match inner.identities.get(identity) {
                    Some(key) => inner.agent.userauth(&user, key),
                    None => Err(ssh2::Error::unknown()),
                };
                (inner, outcome)
            })
            .await
            .map_err(|_| lost())?;
            self.inner = Some(inner);
            match outcome {
                Err(error) if code(&error) == -37 => connection.unblocked().await?,
                outcome => return outcome,
            }
        }
    }
}

/// Asks for the identities without libssh2, so that a missing or hung agent is told apart before a thread is given to it.
async fn probe() -> Result<(), String> {
    let path = std::env::var_os("SSH_AUTH_SOCK").ok_or("SSH_AUTH_SOCK is not set")?;
    let ask = async {
        let mut stream = UnixStream::connect(&path).await?;
        stream.write_all(&REQUEST_IDENTITIES).await?;
        stream.read_u32().await
    };
    let shown = path.to_string_lossy();
    match tokio::time::timeout(ANSWER_WITHIN, ask).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("not reachable at {shown}: {}", words_of(&error))),
        Err(_) => Err(format!("no answer at {shown}")),
    }
}

/// Runs a call that blocks on a thread of its own: unlike the runtime's, it does not hold up the end of the process.
async fn on_thread<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let permit = AGENT_CALLS
        .acquire()
        .await
        .map_err(|error| error.to_string())?;
    let (answer, answered) = oneshot::channel();
    std::thread::Builder::new()
        .name("ssh-agent".into())
        .spawn(move || {
            let _held = permit;
            // Nobody waits any more when the login was given up; the call's result is then dropped here.
            let _given_up = answer.send(call());
        })
        .map_err(|error| error.to_string())?;
    answered.await.map_err(|error| error.to_string())
}
