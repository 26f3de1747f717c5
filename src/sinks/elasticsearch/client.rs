//! In: a URL and the settings of its cluster. Out: the official client for that one URL.
//! Never: sends a request, logs a credential.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elasticsearch::Elasticsearch as Client;
use elasticsearch::auth::Credentials as ClientCredentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Url;
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use secrecy::ExposeSecret;

use super::{Credentials, Settings, SettingsError};

/// A client that trusts `authorities`, the content of `ca_file`, beside the public ones.
pub(super) fn build(
    url: &Url,
    settings: &Settings,
    authorities: Option<&[u8]>,
) -> Result<Client, SettingsError> {
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
    if let Some(validation) = validation(settings, authorities)? {
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
    Ok(Client::new(transport))
}

/// The outer errors only say that something was tried; the innermost is the operating system's or TLS's.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// What `ca_file` says now; `None` where there is none, or nobody looks at it.
pub(super) fn authorities(settings: &Settings) -> Result<Option<Vec<u8>>, SettingsError> {
    let Some(path) = settings
        .ca_file
        .as_ref()
        .filter(|_| !settings.accept_any_certificate)
    else {
        return Ok(None);
    };
    let read = std::fs::read(path).map_err(|error| ca_fault(settings, &error))?;
    Ok(Some(read))
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

fn validation(
    settings: &Settings,
    authorities: Option<&[u8]>,
) -> Result<Option<CertificateValidation>, SettingsError> {
    if settings.accept_any_certificate {
        return Ok(Some(CertificateValidation::None));
    }
    let Some(pem) = authorities else {
        return Ok(None);
    };
    let certificate = Certificate::from_pem(pem).map_err(|error| ca_fault(settings, &error))?;
    Ok(Some(CertificateValidation::Full(certificate)))
}

fn ca_fault(settings: &Settings, why: &dyn std::fmt::Display) -> SettingsError {
    SettingsError::CaFile {
        path: settings.ca_file.clone().unwrap_or_default(),
        why: why.to_string(),
    }
}
