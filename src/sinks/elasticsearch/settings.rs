//! In: what the configuration says of one cluster. Out: the settings that the sink, `check` and `setup` work with.
//! Never: reads a file, makes a client.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::index_name::IndexName;

/// The mapping with which the index is created where the configuration names no other.
pub const SHIPPED_MAPPING: &str = include_str!("../../../mappings/consumer_lag.json");

/// The mapping with which the index of partitions is created where the configuration names no other.
pub const SHIPPED_PARTITIONS_MAPPING: &str =
    include_str!("../../../mappings/consumer_lag_partitions.json");

/// Which documents a sample becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One document with a field per partition, `p0` to `pN`, in `index`.
    Wide,
    /// One document per partition in `partitions_index`.
    Partitions,
    /// Both.
    Both,
}

impl Layout {
    /// Every layout, in the order in which they are explained.
    pub const ALL: [Self; 3] = [Self::Wide, Self::Partitions, Self::Both];

    /// Whether documents go to `index`.
    pub fn has_wide(self) -> bool {
        self != Self::Partitions
    }

    /// Whether documents go to `partitions_index`.
    pub fn has_partitions(self) -> bool {
        self != Self::Wide
    }
}

impl fmt::Display for Layout {
    /// The word of the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wide => "wide",
            Self::Partitions => "partitions",
            Self::Both => "both",
        })
    }
}

/// One Elasticsearch cluster and the indices written to.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `http://` or `https://` with host and port, a path where a proxy needs one, never user or password.
    pub urls: Vec<String>,
    /// Name of the index of wide documents; an alias with a write index and a data stream work too.
    pub index: IndexName,
    /// JSON body with which the index is created.
    pub mapping: String,
    pub layout: Layout,
    /// Name of the index of partitions; of the data stream where `data_stream` is set, which then has no date. Never meets `index`.
    pub partitions_index: IndexName,
    /// JSON body with which the index of partitions is created.
    pub partitions_mapping: String,
    /// Documents of partitions go to a data stream, which is never created here.
    pub data_stream: bool,
    /// How long documents are kept, for a lifecycle or `prune`; the sink itself deletes nothing. `None`: for ever.
    pub retain_for: Option<Duration>,
    pub credentials: Credentials,
    /// PEM file of certificate authorities trusted beside the public ones; `None`: only those.
    pub ca_file: Option<PathBuf>,
    /// Anybody between us and the cluster may read and change everything; for a trial only.
    pub accept_any_certificate: bool,
    /// URL of an HTTP proxy; `None`: none, whatever the environment says.
    pub proxy: Option<String>,
    /// Limit of one request, from connecting to the last byte of the reply.
    pub request_timeout: Duration,
}

/// How a request proves who sends it.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Security is off.
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    /// The encoded form (base64 of `id:key`), as Kibana shows it.
    ApiKey(SecretString),
}

impl PartialEq for Credentials {
    /// By value: a changed password is a changed sink.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (
                Self::Basic { username, password },
                Self::Basic {
                    username: other_username,
                    password: other_password,
                },
            ) => {
                username == other_username
                    && password.expose_secret() == other_password.expose_secret()
            }
            (Self::ApiKey(key), Self::ApiKey(other)) => {
                key.expose_secret() == other.expose_secret()
            }
            (Self::None | Self::Basic { .. } | Self::ApiKey(_), _) => false,
        }
    }
}

/// Settings that no request can be made with.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("sink elasticsearch has no url; give one at least in urls")]
    NoUrl,
    #[error("sink elasticsearch cannot use the url {url:?}: {why}")]
    Url { url: String, why: String },
    #[error("sink elasticsearch cannot use its mapping: {0}; it must be a JSON object")]
    Mapping(String),
    #[error(
        "sink elasticsearch cannot use its api key: it is not the base64 of id:key; take the one that Kibana calls encoded"
    )]
    ApiKey,
    #[error("sink elasticsearch cannot use ca_file {}: {why}; it must hold PEM certificates", path.display())]
    CaFile { path: PathBuf, why: String },
    #[error("sink elasticsearch cannot make its HTTP client: {0}")]
    Client(String),
}
