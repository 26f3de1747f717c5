//! In: the URLs of one cluster. Out: which to ask next, and what it answered, whole and bounded.
//! Never: asks a node again that just failed while another is thought alive, logs a credential.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use elasticsearch::Elasticsearch as Client;
use elasticsearch::auth::Credentials as ClientCredentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Url;
use elasticsearch::http::response::Response;
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::response;
use super::{Credentials, Settings, SettingsError};
use crate::backoff::Backoff;

/// A node that failed is left alone for this long first, then twice that, up to `PAUSE_LONGEST`.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// An answer of more bytes is not one to us: `filter_path` keeps a bulk reply of 500 documents below 1 MiB.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// One URL, with a transport and a health of its own.
pub(super) struct Node {
    pub(super) url: Url,
    pub(super) client: Client,
    paused_until: Option<Instant>,
    pauses: Backoff,
}

/// All URLs of the configuration.
pub(super) struct Nodes {
    pub(super) list: Vec<Node>,
    /// The one that answered last; asked until it fails.
    current: usize,
}

/// What a node answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// How long the node, or a proxy before it, asked to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// Why there is no answer of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Refused, reset, timed out, torn: the outcome is unknown.
    Broken(String),
    /// Its certificate is not one we may trust: nothing was sent, and waiting mends nothing.
    Untrusted(String),
    /// Something sent us elsewhere, which turns a bulk into a question.
    Redirected(String),
}

impl Nodes {
    pub(super) fn new(settings: &Settings) -> Result<Nodes, SettingsError> {
        let list: Vec<Node> = settings
            .urls
            .iter()
            .map(|url| Node::new(url, settings))
            .collect::<Result<_, _>>()?;
        match list.is_empty() {
            true => Err(SettingsError::NoUrl),
            false => Ok(Nodes { list, current: 0 }),
        }
    }

    /// The node to ask: the one that answered last, else the next that is not paused, else the one whose pause ends first.
    pub(super) fn pick(&mut self, now: Instant) -> usize {
        let count = self.list.len();
        let in_turn = (0..count).map(|step| (self.current + step) % count);
        let best = in_turn.min_by_key(|&index| {
            let until = self.list.get(index).and_then(|node| node.paused_until);
            until.filter(|&until| until > now)
        });
        self.current = best.unwrap_or(0);
        self.current
    }

    /// Notes that a node did not answer as one; says so once.
    pub(super) fn failed(&mut self, index: usize, why: &str, now: Instant) {
        let others = self.list.len() > 1;
        if let Some(node) = self.list.get_mut(index) {
            let pause = node.pauses.ceiling();
            // Only counts the failure: the pause of one node needs no jitter.
            let _jittered = node.pauses.next_wait();
            if node.paused_until.is_none() && others {
                tracing::warn!(url = %node.url, why, "elasticsearch node does not answer, asking another");
            }
            node.paused_until = Some(now + pause);
        }
    }

    /// Notes that a node answered.
    pub(super) fn worked(&mut self, index: usize) {
        let others = self.list.len() > 1;
        if let Some(node) = self.list.get_mut(index)
            && node.paused_until.take().is_some()
        {
            node.pauses.reset();
            if others {
                tracing::info!(url = %node.url, "elasticsearch node answers again");
            }
        }
    }

    /// Whether a node failed and has not answered since.
    pub(super) fn is_paused(&self, index: usize) -> bool {
        let node = self.list.get(index);
        node.is_some_and(|node| node.paused_until.is_some())
    }

    /// Whether a node that is not paused could be asked at once.
    pub(super) fn another(&self, now: Instant) -> bool {
        self.list
            .iter()
            .any(|node| node.paused_until.is_none_or(|until| until <= now))
    }
}

impl Node {
    fn new(text: &str, settings: &Settings) -> Result<Node, SettingsError> {
        let url = Url::parse(text).map_err(|error| SettingsError::Url {
            // A text that is no URL may still hold a password before an @.
            url: text.rsplit('@').next().unwrap_or_default().to_owned(),
            why: error.to_string(),
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SettingsError::Url {
                url: url.host_str().unwrap_or_default().to_owned(),
                why: "it has a user name or password in it; give those by their own keys"
                    .to_owned(),
            });
        }
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url.clone()))
            .timeout(settings.request_timeout)
            .request_body_compression(true);
        builder = match &settings.proxy {
            Some(proxy) => builder.proxy(parse_proxy(proxy)?, None, None),
            None => builder.disable_proxy(),
        };
        if let Some(credentials) = client_credentials(&settings.credentials)? {
            builder = builder.auth(credentials);
        }
        if let Some(validation) = validation(settings)? {
            builder = builder.cert_validation(validation);
        }
        let transport =
            builder
                .build()
                .map_err(|error| match (innermost(&error), &settings.ca_file) {
                    // Certificates are taken apart only here; nothing else in the settings can fail by now.
                    (why, Some(path)) => SettingsError::CaFile {
                        path: path.clone(),
                        why,
                    },
                    (why, None) => SettingsError::Client(why),
                })?;
        Ok(Node {
            url,
            client: Client::new(transport),
            paused_until: None,
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
        })
    }

    /// Reads what `sent` brought; `path_end` is the end of the path that was asked for.
    pub(super) async fn answer(
        &self,
        sent: Result<Response, elasticsearch::Error>,
        path_end: &str,
    ) -> Result<Answer, NoAnswer> {
        let response = sent.map_err(|error| self.broken(&error))?;
        let answered = response.url();
        if answered.origin() != self.url.origin() || !answered.path().ends_with(path_end) {
            return Err(NoAnswer::Redirected(format!(
                "{} redirects to {answered}; put the address of Elasticsearch itself into urls",
                self.url
            )));
        }
        let status = response.status_code().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| response::retry_after(text, Utc::now()));
        // The client has no limit of its own; where no length is announced, the request's timeout is one.
        let too_long = |bytes: u64| {
            NoAnswer::Broken(format!("{} answers with {bytes} bytes, too many", self.url))
        };
        if let Some(bytes) = response
            .content_length()
            .filter(|&it| it > ANSWER_BYTES_MAX)
        {
            return Err(too_long(bytes));
        }
        let body = response
            .bytes()
            .await
            .map_err(|error| self.broken(&error))?;
        if body.len() as u64 > ANSWER_BYTES_MAX {
            return Err(too_long(body.len() as u64));
        }
        Ok(Answer {
            status,
            body: body.to_vec(),
            retry_after,
        })
    }

    fn broken(&self, error: &elasticsearch::Error) -> NoAnswer {
        let why = match error.is_timeout() {
            true => "no answer in time".to_owned(),
            false => innermost(error),
        };
        // The words of the TLS library for whatever is wrong with a certificate.
        if why.contains("invalid peer certificate") {
            return NoAnswer::Untrusted(format!("{} is not trusted: {why}", self.url));
        }
        NoAnswer::Broken(format!("{} does not answer: {why}", self.url))
    }
}

fn parse_proxy(proxy: &str) -> Result<Url, SettingsError> {
    Url::parse(proxy).map_err(|error| SettingsError::Url {
        url: proxy.rsplit('@').next().unwrap_or_default().to_owned(),
        why: error.to_string(),
    })
}

/// Secrets without the newline that a file ends in; the client panics on characters that no header may have.
fn client_credentials(
    credentials: &Credentials,
) -> Result<Option<ClientCredentials>, SettingsError> {
    match credentials {
        Credentials::None => Ok(None),
        Credentials::Basic { username, password } => {
            let password = password.expose_secret().trim_end_matches(['\r', '\n']);
            Ok(Some(ClientCredentials::Basic(
                username.clone(),
                password.to_owned(),
            )))
        }
        Credentials::ApiKey(key) => {
            let key = key.expose_secret().trim();
            let decoded = STANDARD.decode(key).map_err(|_| SettingsError::ApiKey)?;
            match decoded.contains(&b':') {
                true => Ok(Some(ClientCredentials::EncodedApiKey(key.to_owned()))),
                false => Err(SettingsError::ApiKey),
            }
        }
    }
}

/// The outer errors only say that something was tried; the innermost is the operating system's or TLS's.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn validation(settings: &Settings) -> Result<Option<CertificateValidation>, SettingsError> {
    if settings.accept_any_certificate {
        return Ok(Some(CertificateValidation::None));
    }
    let Some(path) = &settings.ca_file else {
        return Ok(None);
    };
    let fault = |why: String| SettingsError::CaFile {
        path: path.clone(),
        why,
    };
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let certificate = Certificate::from_pem(&pem).map_err(|error| fault(error.to_string()))?;
    Ok(Some(CertificateValidation::Full(certificate)))
}

#[cfg(test)]
mod tests;
