//! In: the settings of one cluster; one question at a time that no bulk asks. Out: its status and JSON, or one line that says why not.
//! Never: repeats a request that may have changed something, keeps an answer that is longer than one to us.

use elasticsearch::http::headers::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use super::nodes::{self, NoAnswer, Nodes};
use super::response::{is_wrong_server, refusal};
use super::{Settings, SettingsError};

pub use elasticsearch::http::Method;

/// Asks one cluster what an operator asks: indices, templates, aliases. Made of the sink's settings, so that it logs in as the sink does.
pub struct Admin {
    nodes: Nodes,
    /// The node that `nodes` gives has answered since it was chosen.
    is_proven: bool,
}

/// What the cluster answered, whatever the status says.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Null where the answer has no body or is no JSON.
    pub body: Value,
    /// Type of the error: `index_not_found_exception`; `None`: no error, or not one in Elasticsearch's form.
    pub kind: Option<String>,
    /// Reason of the error, one line; empty when the answer is none.
    pub reason: String,
}

#[cfg(test)]
impl Answer {
    /// A success with this body.
    pub(crate) fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body,
            kind: None,
            reason: String::new(),
        }
    }
}

/// Why a question has no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Refused, reset, timed out: a request that changes something may or may not have done so.
    #[error("{0}; check urls and that Elasticsearch runs there, then type the command again")]
    NoAnswer(String),
    #[error("{why}; {mend}")]
    Untrusted { why: String, mend: &'static str },
    #[error("{0}")]
    Redirected(String),
    #[error("{url} does not answer as Elasticsearch (HTTP {status} {reason}); mend urls")]
    WrongServer {
        url: String,
        status: u16,
        reason: String,
    },
    #[error("{url} refuses the login ({reason}); mend username and password or api_key")]
    Login { url: String, reason: String },
    #[error("this user may not {what} ({reason}); {}", grant(missing.as_deref()))]
    Privilege {
        /// Method and path.
        what: String,
        reason: String,
        /// `index privilege create_index`; `None`: the answer does not say which.
        missing: Option<String>,
    },
    /// What `Answer::expect` makes of a status that is no success.
    #[error("cannot {what}: {reason}")]
    Refused { what: String, reason: String },
}

impl Admin {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// A URL, certificate file or key that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, AdminError> {
        Ok(Self {
            nodes: Nodes::new(settings)?,
            is_proven: false,
        })
    }

    /// One request with a JSON body. A reading one (GET, HEAD) is tried on each URL once; a writing one goes once, to a node that answers.
    /// Every status is an answer, but 401 and a 403 about privileges.
    ///
    /// # Errors
    /// No node answered, it is not Elasticsearch, or the login or a privilege is missing.
    pub async fn ask(
        &mut self,
        method: Method,
        path_and_query: &str,
        body: Option<&Value>,
    ) -> Result<Answer, AdminError> {
        let body = body.map(|body| body.to_string().into_bytes());
        self.ask_with_bytes(method, path_and_query, body).await
    }

    /// As `ask`, with a body that is ready, such as the lines of a bulk.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn ask_with_bytes(
        &mut self,
        method: Method,
        path_and_query: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, AdminError> {
        let is_reading = matches!(method, Method::Get | Method::Head);
        if !is_reading && !self.is_proven {
            // Whatever it answers: a node that is dead is found out by a question that changes nothing.
            self.send(Method::Get, "_security/_authenticate", None, true)
                .await?;
        }
        let (at, answer) = self.send(method, path_and_query, body, is_reading).await?;
        self.judge(at, method, path_and_query, &answer)
    }

    /// Sends to the node that answered last; `may_repeat`: then to each of the others.
    async fn send(
        &mut self,
        method: Method,
        path_and_query: &str,
        body: Option<Vec<u8>>,
        may_repeat: bool,
    ) -> Result<(usize, nodes::Answer), AdminError> {
        let path_and_query = path_and_query.trim_start_matches('/');
        let path = path_and_query.split('?').next().unwrap_or(path_and_query);
        let mut last = AdminError::NoAnswer("no node to ask".to_owned());
        for _ in 0..self.nodes.list.len() {
            let at = self.nodes.pick(Instant::now());
            let Some(node) = self.nodes.list.get(at) else {
                break;
            };
            let headers = HeaderMap::new();
            let sent = node
                .client
                .send(
                    method,
                    path_and_query,
                    headers,
                    None::<&()>,
                    body.clone(),
                    None,
                )
                .await;
            let why = match node.answer(sent, path).await {
                Ok(answer) => {
                    self.nodes.worked(at);
                    self.is_proven = true;
                    return Ok((at, answer));
                }
                Err(no_answer) => no_answer,
            };
            self.is_proven = false;
            let (NoAnswer::Broken(text) | NoAnswer::Redirected(text)) = &why else {
                return Err(why.into());
            };
            self.nodes.failed(at, text, Instant::now());
            last = why.into();
            if !may_repeat || !self.nodes.another(Instant::now()) {
                break;
            }
        }
        Err(last)
    }

    fn judge(
        &self,
        at: usize,
        method: Method,
        path_and_query: &str,
        answer: &nodes::Answer,
    ) -> Result<Answer, AdminError> {
        let status = answer.status;
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let is_error = !(200..300).contains(&status);
        let said = refusal(&answer.body);
        let url = || {
            let node = self.nodes.list.get(at);
            node.map(|node| node.url.to_string()).unwrap_or_default()
        };
        // A module that is not there answers 405 or 400 too, but in Elasticsearch's form; a HEAD has no body to tell by.
        let is_elasticsearch = body.get("error").is_some() || method == Method::Head;
        if is_error && !is_elasticsearch && status != 404 && is_wrong_server(status, &said) {
            return Err(AdminError::WrongServer {
                url: url(),
                status,
                reason: said.reason,
            });
        }
        let is_of_privileges = said.kind.as_deref() != Some("cluster_block_exception");
        match status {
            401 => Err(AdminError::Login {
                url: url(),
                reason: said.reason,
            }),
            403 if is_of_privileges => Err(AdminError::Privilege {
                what: request_line(method, path_and_query),
                missing: missing_privilege(&said.reason),
                reason: said.reason,
            }),
            _ => Ok(Answer {
                status,
                body,
                kind: said.kind.filter(|_| is_error),
                reason: if is_error { said.reason } else { String::new() },
            }),
        }
    }
}

impl Answer {
    /// Whether the status is a success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the server has no such endpoint: a build without the module, or too old or new for it.
    pub fn is_unknown_to_the_server(&self) -> bool {
        let has_no_handler = ["no handler found", "Incorrect HTTP method", "not supported"]
            .iter()
            .any(|part| self.reason.contains(part));
        self.status == 405 || (self.status == 400 && has_no_handler)
    }

    /// The body of a success.
    ///
    /// # Errors
    /// The status is none; `what` says what was tried: `create index "a"`.
    pub fn expect(self, what: &str) -> Result<Value, AdminError> {
        match self.is_success() {
            true => Ok(self.body),
            false => Err(AdminError::Refused {
                what: what.to_owned(),
                reason: self.to_string(),
            }),
        }
    }
}

/// Status, type and reason in one line.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(kind) = &self.kind {
            write!(f, " {kind}")?;
        }
        match self.reason.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.reason),
        }
    }
}

impl From<NoAnswer> for AdminError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Broken(why) => Self::NoAnswer(why),
            NoAnswer::Untrusted { why, mend } => Self::Untrusted { why, mend },
            NoAnswer::Redirected(why) => Self::Redirected(why),
        }
    }
}

/// `PUT consumer_lag`: without the query, which is nothing to the reader.
fn request_line(method: Method, path_and_query: &str) -> String {
    let path = path_and_query.split('?').next().unwrap_or_default();
    let method = match method {
        Method::Get => "GET",
        Method::Put => "PUT",
        Method::Post => "POST",
        Method::Delete => "DELETE",
        Method::Head => "HEAD",
    };
    format!("{method} {path}")
}

fn grant(missing: Option<&str>) -> String {
    match missing {
        Some(missing) => format!("grant the {missing} to a role of this user"),
        None => "give this user a role of the README".to_owned(),
    }
}

/// `index privilege create_index` of `... is granted by the index privileges [create_index,manage,all]`: the first is the smallest.
fn missing_privilege(reason: &str) -> Option<String> {
    let (_, granted_by) = reason.split_once("is granted by the ")?;
    let (kind, list) = granted_by.split_once(" privileges [")?;
    let smallest = list.split([',', ']']).next()?.trim();
    Some(format!("{kind} privilege {smallest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_privilege_that_is_missing_is_named() {
        let reason = "action [indices:admin/create] is unauthorized for user [setup] with effective roles [setup] on indices [consumer_lag], \
            this action is granted by the index privileges [create_index,manage,all]";
        let missing = missing_privilege(reason);
        assert_eq!(missing.as_deref(), Some("index privilege create_index"));
        assert_eq!(missing_privilege("no permission"), None);
    }

    #[test]
    fn a_server_without_a_module_is_told_from_one_that_refuses() {
        let answer = |status, reason: &str| Answer {
            status,
            body: Value::Null,
            kind: None,
            reason: reason.to_owned(),
        };
        assert!(answer(405, "").is_unknown_to_the_server());
        let no_handler = "no handler found for uri [/_ilm/policy/a] and method [PUT]";
        assert!(answer(400, no_handler).is_unknown_to_the_server());
        assert!(!answer(400, "unknown setting [a]").is_unknown_to_the_server());
        assert!(!answer(404, "no such index").is_unknown_to_the_server());
    }
}
