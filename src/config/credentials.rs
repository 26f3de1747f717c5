//! In: the keys of the Elasticsearch sink that prove who sends. Out: its credentials.
//! Never: puts a secret into a message.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::expand::Fault;
use super::problem::{Place, Reported};
use super::section::{At, Reader, Section};
use super::url::url;
use crate::sinks::elasticsearch::Credentials;

/// Which of the servers' credentials are read; a command asks for no secret that it does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    All,
    OfSinks,
    None,
}

/// User name with password, API key, or nothing.
pub(super) fn read(section: &Section<'_>) -> Result<Credentials, Reported> {
    let report = section.reader.report;
    let username = section.text("username");
    let password = section.secret("password");
    let written = section.secret("api_key");
    let api_key = section.reader.refine(written, api_key);
    match (username, password, api_key) {
        (None, None, None) => Ok(Credentials::None),
        (Some(username), Some(password), None) => {
            let (username, password) = (username?.value, password?.value);
            if username.contains(':') {
                let place = place_below(&section.place, "username");
                let what = "has a colon in it, which HTTP forbids";
                return Err(report.error(&place, what, "use an API key"));
            }
            Ok(Credentials::Basic { username, password })
        }
        (None, None, Some(api_key)) => Ok(Credentials::ApiKey(api_key?.value)),
        (Some(username), None, None) => {
            let mend = "write password_env: and the name of a variable, or password_file:";
            Err(report.error(&username?.place, "there is no password for it", mend))
        }
        (None, Some(password), None) => {
            let mend = "write username:";
            Err(report.error(&password?.place, "there is no username for it", mend))
        }
        (_, _, Some(api_key)) => {
            let mend = "keep the API key, or username and password";
            let what = "username or password is given as well";
            Err(report.error(&api_key?.place, what, mend))
        }
    }
}

/// Warns where a password or key would cross a network unencrypted.
pub(super) fn warn_if_in_the_clear(
    reader: &Reader<'_>,
    urls: &At<Vec<At<String>>>,
    credentials: &Credentials,
) {
    if matches!(credentials, Credentials::None) {
        return;
    }
    for at in &urls.value {
        if let Ok(url) = url(&at.value)
            && url.scheme() == "http"
            && !is_loopback(&url)
        {
            let what = "the credentials cross the network unencrypted";
            let mend = "write https:// where the cluster has TLS, with ca_file for its own CA";
            reader.report.warn(&at.place, what, mend);
        }
    }
}

fn is_loopback(url: &elasticsearch::http::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || ip
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The place of a key, for a message about what it lacks.
fn place_below(section: &Place, key: &str) -> Place {
    Place {
        key: format!("{}.{key}", section.key),
        ..section.clone()
    }
}

/// The encoded form, as Kibana and the API return it: base64 of `id:key`. Anything else makes the client panic or is refused.
fn api_key(secret: &SecretString) -> Result<SecretString, Fault> {
    let text = secret.expose_secret().trim();
    let mend = "use the field \"encoded\" that Elasticsearch returned with the key".to_owned();
    if text.contains(':') {
        let mend = "encode it, without a line end: printf %s 'ID:KEY' | base64 -w0".to_owned();
        return Err(("is an API key in the form id:key".to_owned(), mend));
    }
    match BASE64_STANDARD.decode(text) {
        Ok(bytes) if bytes.contains(&b':') => Ok(text.to_owned().into()),
        _ => Err(("does not hold an encoded API key".to_owned(), mend)),
    }
}
