//! In: the URLs of one cluster. Out: which to ask next, and what it answered, whole and bounded.
//! Never: asks a node again that just failed while another is thought alive, logs a credential.

use std::time::Duration;

use chrono::Utc;
use elasticsearch::Elasticsearch as Client;
use elasticsearch::http::Url;
use elasticsearch::http::response::Response;
use tokio::time::Instant;

use super::body::{self, Unread};
use super::{Settings, SettingsError, client, response};
use crate::backoff::Backoff;

/// A node that failed is left alone for this long first, then twice that, up to `PAUSE_LONGEST`.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// One URL, with a transport and a health of its own.
pub(super) struct Node {
    pub(super) url: Url,
    pub(super) client: Client,
    settings: Settings,
    /// Content of `ca_file` when `client` was made.
    authorities: Option<Vec<u8>>,
    paused_until: Option<Instant>,
    pauses: Backoff,
    /// The log says that it does not answer.
    is_said: bool,
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
    Untrusted { why: String, mend: &'static str },
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
            if others && !std::mem::replace(&mut node.is_said, true) {
                tracing::warn!(url = %node.url, why, "elasticsearch node does not answer, asking another");
            }
            node.pause(now);
            node.trust_anew();
        }
    }

    /// Notes that a node has too much to do: it answers, so that nothing is said, but another is asked first.
    pub(super) fn busy(&mut self, index: usize, now: Instant) {
        if let Some(node) = self.list.get_mut(index) {
            node.pause(now);
        }
    }

    /// Notes that a node answered.
    pub(super) fn worked(&mut self, index: usize) {
        if let Some(node) = self.list.get_mut(index)
            && node.paused_until.take().is_some()
        {
            node.pauses.reset();
            if std::mem::take(&mut node.is_said) {
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
        let authorities = client::authorities(settings)?;
        let client = client::build(&url, settings, authorities.as_deref())?;
        Ok(Node {
            url,
            client,
            settings: settings.clone(),
            authorities,
            paused_until: None,
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
            is_said: false,
        })
    }

    /// Takes what `ca_file` says now: an authority is replaced in place, and that must not need a restart.
    fn trust_anew(&mut self) {
        // A file that is just being written is looked at again with the next failure.
        let Ok(authorities) = client::authorities(&self.settings) else {
            return;
        };
        if authorities == self.authorities {
            return;
        }
        if let Ok(client) = client::build(&self.url, &self.settings, authorities.as_deref()) {
            tracing::info!(url = %self.url, "ca_file has changed and is in force now");
            self.client = client;
            self.authorities = authorities;
        }
    }

    /// Leaves it alone for some time, longer with each failure in a row.
    fn pause(&mut self, now: Instant) {
        let pause = self.pauses.ceiling();
        // Only counts the failure: the pause of one node needs no jitter.
        let _jittered = self.pauses.next_wait();
        self.paused_until = Some(now + pause);
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
            // A login page has a new token in its query each time: nothing for a log, and never twice the same.
            let mut place = answered.clone();
            place.set_query(None);
            place.set_fragment(None);
            return Err(NoAnswer::Redirected(format!(
                "{} redirects to {place}; put the address of Elasticsearch itself into urls",
                self.url
            )));
        }
        let status = response.status_code().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| response::retry_after(text, Utc::now()));
        let body = body::read(response).await.map_err(|unread| match unread {
            Unread::TooLong(what) => {
                NoAnswer::Broken(format!("{} answers with {what}, too many for us", self.url))
            }
            Unread::Broken(error) => self.broken(&error),
        })?;
        Ok(Answer {
            status,
            body,
            retry_after,
        })
    }

    fn broken(&self, error: &elasticsearch::Error) -> NoAnswer {
        let why = match error.is_timeout() {
            true => "no answer in time".to_owned(),
            false => client::innermost(error),
        };
        // The words of the TLS library for whatever is wrong with a certificate.
        if why.contains("invalid peer certificate") {
            return NoAnswer::Untrusted {
                mend: certificate_mend(&why),
                why: format!("{} is not trusted: {why}", self.url),
            };
        }
        NoAnswer::Broken(format!("{} does not answer: {why}", self.url))
    }
}

/// What to do about a certificate; the texts are those of the TLS library.
fn certificate_mend(why: &str) -> &'static str {
    let has = |part: &str| why.contains(part);
    if has("Expired") || has("NotValidYet") || has("expired") || has("not valid yet") {
        "renew the certificate of this node, or mend the clock here"
    } else if has("NotValidForName") || has("not valid for name") {
        "use a name in urls that the certificate has, or make a certificate with this one"
    } else {
        "set ca_file to the certificate authority of the cluster (config/certs/http_ca.crt on a node)"
    }
}

#[cfg(test)]
mod tests;
