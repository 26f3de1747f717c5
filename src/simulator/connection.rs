//! In: a TCP connection to a simulated host. Out: an SSH session whose commands are answered as that host would.
//! Never: runs a shell, accepts another key than the fleet's.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::keys::PublicKey;
use russh::server::{
    self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::access::USER;
use super::command::{self, Command};
use super::host::Host;
use super::line_loop;
use super::remote_loop::{self, Output};

/// Packets of standard input that wait for a command; a client that sends more without being read is cut off.
/// A loop is sent one line at a time, so that a handful would do.
const INPUT_QUEUE: usize = 64;

/// Time a refused login takes; short, because nobody guesses keys here.
const REJECTION: Duration = Duration::from_millis(50);

/// As OpenSSH's `MaxAuthTries`.
const AUTH_ATTEMPTS_MAX: usize = 6;

/// The configuration of the SSH server with this host key.
pub(super) fn server_config(host_key: russh::keys::PrivateKey) -> server::Config {
    server::Config {
        keys: vec![host_key],
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: REJECTION,
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: AUTH_ATTEMPTS_MAX,
        // Sessions stay until the client goes, as with OpenSSH's defaults.
        inactivity_timeout: None,
        nodelay: true,
        ..server::Config::default()
    }
}

/// Serves one connection until it ends or `cut` is cancelled.
pub(super) async fn serve(
    config: Arc<server::Config>,
    stream: TcpStream,
    host: Arc<Host>,
    user_key: Arc<PublicKey>,
    cut: CancellationToken,
) {
    // Without it a marker line waits for the acknowledgement of the row before; a socket that refuses is dead anyway.
    let _ = stream.set_nodelay(true);
    let connection = Connection {
        host,
        user_key,
        inputs: HashMap::new(),
    };
    let stream = CuttableStream {
        stream,
        cut: Box::pin(cut.clone().cancelled_owned()),
    };
    let session = tokio::select! {
        session = server::run_stream(config, stream, connection) => session,
        () = cut.cancelled() => return,
    };
    // How a session ended is the client's affair: its tests and the collector see it.
    match session {
        Ok(session) => drop(session.await),
        Err(error) => tracing::debug!(%error, "simulated host: no session"),
    }
}

/// One session; dropped when it ends, which is the end of file of its commands.
struct Connection {
    host: Arc<Host>,
    user_key: Arc<PublicKey>,
    inputs: HashMap<ChannelId, mpsc::Sender<Vec<u8>>>,
}

impl Connection {
    fn judge(&self, user: &str, key: &PublicKey) -> Auth {
        if user == USER && key.key_data() == self.user_key.key_data() {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, key.public_key))
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), Self::Error> {
        self.host.count_login();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let (input, lines) = mpsc::channel(INPUT_QUEUE);
        self.inputs.insert(channel, input);
        let output = Output::new(session.handle(), channel);
        let host = self.host.clone();
        let command = command::parse(&String::from_utf8_lossy(data));
        tokio::spawn(async move {
            match command {
                Command::Loop(arguments) => {
                    remote_loop::run(&host, &arguments, lines, output).await
                }
                Command::LineLoop(arguments) => line_loop::run(&host, &arguments, &output).await,
                Command::Other(answer) => output.finish(&answer).await,
            }
        });
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(input) = self.inputs.get(&channel) else {
            return Ok(());
        };
        match input.try_send(data.to_vec()) {
            // A command that ended does not read: its input is lost, as in a pipe.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(russh::Error::Disconnect),
        }
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        Ok(())
    }

    /// As sshd once a command runs; a client behind a bastion asks so for a sign of life.
    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}

/// A TCP stream that fails when it is cut, as when the host's network goes away and its kernel resets what was open.
struct CuttableStream {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CuttableStream {
    fn poll_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match Future::poll(self.cut.as_mut(), context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
