//! In: a batch of samples and the settings of one cluster. Out: the fate of each sample.
//! Never: retries, sleeps, reads the journal.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// The mapping with which the index is created where the configuration names no other.
pub const SHIPPED_MAPPING: &str = "{}";

/// One Elasticsearch cluster and the index written to.
#[derive(Debug, Clone)]
pub struct Settings {
    pub urls: Vec<String>,
    pub index: String,
    pub mapping: String,
    pub credentials: Credentials,
    pub ca_file: Option<PathBuf>,
    pub accept_any_certificate: bool,
    pub proxy: Option<String>,
    pub request_timeout: Duration,
}

/// How a request proves who sends it.
#[derive(Debug, Clone)]
pub enum Credentials {
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    ApiKey(SecretString),
}
