//! In: the settings of one Kibana and a request. Out: its answer, or one line that says why there is none.
//! Never: follows a redirect, logs a credential, keeps an answer that is longer than one to us.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Proxy, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::request::{Body, Request, Unanswered};
use crate::sinks::elasticsearch::{Answer, Credentials, Method};

/// The largest dashboard has some hundred kilobytes; what is longer is not an answer to us.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Kibana refuses a writing request without this header, so that no web page can send one.
const XSRF: HeaderName = HeaderName::from_static("kbn-xsrf");

/// Words of an answer that is no JSON, for a line.
const EXCERPT_CHARS_MAX: usize = 80;

/// One Kibana, and the space to set up there.
#[derive(Debug, Clone, PartialEq)]
pub struct KibanaSettings {
    /// `http://` or `https://` with host and port, a path where a proxy or `server.basePath` needs one.
    pub url: String,
    /// Id of the space; `None`: the default one.
    pub space: Option<String>,
    pub credentials: Credentials,
    /// PEM file of certificate authorities trusted beside the public ones; `None`: only those.
    pub ca_file: Option<PathBuf>,
    /// Anybody between us and Kibana may read and change everything; for a trial only.
    pub accept_any_certificate: bool,
    /// URL of an HTTP proxy; `None`: none, whatever the environment says.
    pub proxy: Option<String>,
    /// Limit of one request, from connecting to the last byte of the reply.
    pub request_timeout: Duration,
}

impl KibanaSettings {
    /// Where requests go: with the space.
    pub fn base(&self) -> String {
        let url = self.url.trim_end_matches('/');
        match &self.space {
            Some(space) => format!("{url}/s/{space}"),
            None => url.to_owned(),
        }
    }
}

/// A client of one Kibana.
pub(super) struct Kibana {
    client: Client,
    base: String,
    url: String,
}

impl fmt::Debug for Kibana {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl Kibana {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// A certificate file, proxy or key that cannot be used; one line with the mend.
    pub fn new(settings: &KibanaSettings) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(XSRF, HeaderValue::from_static("true"));
        if let Some(value) = authorization(&settings.credentials)? {
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = Client::builder()
            .default_headers(headers)
            .redirect(Policy::none())
            .timeout(settings.request_timeout)
            .danger_accept_invalid_certs(settings.accept_any_certificate);
        builder = match &settings.proxy {
            Some(proxy) => {
                let proxy = Proxy::all(proxy).map_err(|error| {
                    let why = innermost(&error);
                    format!("kibana cannot use its proxy: {why}; mend kibana.proxy")
                })?;
                builder.proxy(proxy)
            }
            None => builder.no_proxy(),
        };
        if let Some(path) = settings
            .ca_file
            .as_ref()
            .filter(|_| !settings.accept_any_certificate)
        {
            let pem = std::fs::read(path).map_err(|error| unusable_authority(path, &error))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|error| unusable_authority(path, &error))?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        // Certificates are taken apart only here.
        let client = builder.build().map_err(|error| match &settings.ca_file {
            Some(path) => unusable_authority(path, &error),
            None => format!("kibana cannot make its HTTP client: {}", innermost(&error)),
        })?;
        Ok(Self {
            client,
            base: settings.base(),
            url: settings.url.clone(),
        })
    }

    /// Sends one request to the space; every status is an answer but those that say that this is not Kibana, or not for us.
    pub async fn ask(&self, request: &Request) -> Result<Answer, Unanswered> {
        self.send(&self.base, request).await
    }

    /// `ask` without the space, for what is of the whole Kibana.
    pub async fn ask_outside_the_space(&self, request: &Request) -> Result<Answer, Unanswered> {
        self.send(self.url.trim_end_matches('/'), request).await
    }

    async fn send(&self, base: &str, request: &Request) -> Result<Answer, Unanswered> {
        let sent = self
            .request(base, request)
            .send()
            .await
            .map_err(|e| self.lost(&e))?;
        let status = sent.status().as_u16();
        if let Some(place) = redirected(&sent) {
            return Err(Unanswered::Server(format!(
                "{} redirects to {place}; write the address of Kibana itself into kibana.url, with credentials that its API takes",
                self.url
            )));
        }
        let bytes = self.read(sent).await?;
        // An export is one object per line, and one object was asked for.
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        let has_body = !bytes.iter().all(u8::is_ascii_whitespace);
        let is_kibana = body.is_some() || !has_body;
        let body = body.unwrap_or(Value::Null);
        let reason = reason(&body);
        match status {
            401 => Err(Unanswered::Server(format!(
                "{} refuses the login (HTTP 401{}); mend username and password_env, or api_key_env, of kibana",
                self.url,
                behind(": ", &reason)
            ))),
            502..=504 => Err(Unanswered::Server(format!(
                "{} is not ready (HTTP {status}{}); wait until Kibana is up, then type the command again",
                self.url,
                behind(": ", &excerpt(&bytes))
            ))),
            _ if !is_kibana => Err(Unanswered::Server(format!(
                "{} does not answer as Kibana (HTTP {status}: {}); mend kibana.url: host, port, and path of a proxy",
                self.url,
                excerpt(&bytes)
            ))),
            403 => Err(Unanswered::Thing(format!(
                "this user may not {} {} (HTTP 403{}); give it the Kibana role of the README",
                request.verb(),
                request.path.split('?').next().unwrap_or_default(),
                behind(": ", &reason)
            ))),
            _ => Ok(Answer {
                status,
                kind: None,
                reason: if (200..300).contains(&status) {
                    String::new()
                } else {
                    reason
                },
                body,
            }),
        }
    }

    fn request(&self, base: &str, request: &Request) -> RequestBuilder {
        let url = format!("{base}/{}", request.path);
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
            Method::Head => reqwest::Method::HEAD,
        };
        let builder = self.client.request(method, url);
        match &request.body {
            Body::Nothing => builder,
            Body::Json(value) => builder.json(value),
            Body::File(_) => {
                // Kibana judges the file by the end of its name.
                let text = format!("{}\n", request.body);
                let part = Part::text(text).file_name("mirrorlag.ndjson");
                builder.multipart(Form::new().part("file", part))
            }
        }
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Unanswered> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.lost(&e))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(Unanswered::Server(format!(
                    "{} answers with more than {ANSWER_BYTES_MAX} bytes; mend kibana.url",
                    self.url
                )));
            }
        }
        Ok(bytes)
    }

    fn lost(&self, error: &reqwest::Error) -> Unanswered {
        let why = match error.is_timeout() {
            true => "no answer in time".to_owned(),
            false => innermost(error),
        };
        let mend = if why.contains("invalid peer certificate") {
            "set kibana.ca_file to the authority that signed its certificate"
        } else if why.contains("InvalidContentType") || why.contains("corrupt message") {
            "this port does not speak TLS: write http:// in kibana.url"
        } else if error.is_timeout() {
            "raise kibana.request_timeout if it is slow, then type the command again"
        } else {
            "check that Kibana runs there and that host and port in kibana.url are right, then type the command again"
        };
        Unanswered::Server(format!("{} does not answer: {why}; {mend}", self.url))
    }
}

fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, String> {
    let text = match credentials {
        Credentials::None => return Ok(None),
        Credentials::Basic { username, password } => {
            let password = password.expose_secret().trim_end_matches(['\r', '\n']);
            let pair = BASE64_STANDARD.encode(format!("{username}:{password}"));
            format!("Basic {pair}")
        }
        Credentials::ApiKey(key) => format!("ApiKey {}", key.expose_secret().trim()),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        "kibana cannot use its api key: it has characters that no header may have; take the one that Kibana calls encoded".to_owned()
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn unusable_authority(path: &Path, error: &(dyn std::error::Error + 'static)) -> String {
    let (path, why) = (path.display(), innermost(error));
    format!("kibana cannot use its ca_file {path}: {why}; it must hold PEM certificates")
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Where a redirect leads, without a query, which may hold a token.
fn redirected(response: &Response) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let place = response.headers().get(LOCATION)?.to_str().ok()?;
    let end = place.find(['?', '#']).unwrap_or(place.len());
    place.get(..end).map(str::to_owned)
}

/// What Kibana says of an error.
fn reason(body: &Value) -> String {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let text = text("message")
        .or_else(|| text("error"))
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn behind(separator: &str, text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("{separator}{text}"),
    }
}

/// The beginning of a page, on one line.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ").chars().take(EXCERPT_CHARS_MAX).collect()
}
