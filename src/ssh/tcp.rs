//! In: address and port of a server that is reached directly. Out: its addresses, a TCP connection to one of them.
//! Never: outlives a step's limit.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::error::{Endpoint, Error, TcpFailure, words_of};
use super::socket::Socket;
use super::{Settings, Step};

pub(super) async fn resolve(
    settings: &Settings,
    at: &Arc<Endpoint>,
) -> Result<Vec<SocketAddr>, Error> {
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
pub(super) async fn tcp(
    settings: &Settings,
    at: &Arc<Endpoint>,
    addresses: &[SocketAddr],
) -> Result<(Socket, String), Error> {
    let end = Instant::now() + settings.connect_timeout;
    let mut last = None;
    for (index, target) in addresses.iter().enumerate() {
        // What is left is shared, so that one dead address does not use up the time of those after it.
        let left = end.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index) as u32;
        let failure = match timeout(share, TcpStream::connect(target)).await {
            Ok(Ok(socket)) => return Ok((Socket::Tcp(socket), target.to_string())),
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

pub(super) async fn within<T>(
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

pub(super) fn listed(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    texts.join(", ")
}
