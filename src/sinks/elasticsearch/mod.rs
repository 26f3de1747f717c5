//! In: a batch of samples and the settings of one cluster. Out: the fate of each sample.
//! Never: retries, sleeps, reads the journal.

use serde_json::Value;
use tokio::time::Instant;

use super::{NotReady, Reply, Sink};
use crate::sample::Sample;

mod admin;
mod body;
mod bulk;
mod check;
mod client;
mod fields;
mod index;
mod index_name;
mod joined;
mod mapping;
mod nodes;
mod partition;
mod request;
mod request_bytes;
mod response;
mod settings;

pub use admin::{Admin, AdminError, Answer, Method};
pub use check::{Widest, check};
pub use fields::judge_fields;
pub use index_name::{BadIndexName, IndexName, Period};
pub use mapping::{is_partition_field, judge_mapping, judge_partitions_mapping};
pub use settings::{
    Credentials, Layout, SHIPPED_MAPPING, SHIPPED_PARTITIONS_MAPPING, Settings, SettingsError,
};
// For `fuzz/` alone: it reads replies that no server sends.
#[doc(hidden)]
pub use response::{bulk_fates, refused_fate};

use bulk::Bulk;
use index::Place;
use joined::Joined;
use nodes::Nodes;
use request::Kind;
use request_bytes::RequestBytes;

/// The sink's name in the configuration.
pub const NAME: &str = "elasticsearch";

/// The sink `elasticsearch`.
pub struct Elasticsearch {
    nodes: Nodes,
    /// One per kind of document that the layout has.
    homes: Vec<Home>,
    bytes: RequestBytes,
    /// How long a shard may be waited for by the server: less than we wait ourselves, so that it is the server who answers.
    shard_wait: String,
}

/// Where documents of one kind go.
struct Home {
    kind: Kind,
    name: IndexName,
    /// Body with which an index is created; `None` for a data stream, which is not ours to create.
    mapping: Option<Value>,
}

impl Elasticsearch {
    /// A sink that has asked nothing yet.
    ///
    /// # Errors
    /// A URL, certificate file, key or mapping that cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let mut homes = Vec::new();
        if settings.layout.has_wide() {
            homes.push(Home {
                kind: Kind::Wide,
                name: settings.index.clone(),
                mapping: Some(body_of_index(&settings.mapping)?),
            });
        }
        if settings.layout.has_partitions() {
            let body = body_of_index(&settings.partitions_mapping)?;
            homes.push(Home {
                kind: Kind::Partitions,
                name: settings.partitions_index.clone(),
                mapping: (!settings.data_stream).then_some(body),
            });
        }
        Ok(Self {
            nodes: Nodes::new(settings)?,
            homes,
            bytes: RequestBytes::new(),
            shard_wait: format!("{}ms", settings.request_timeout.as_millis() / 2),
        })
    }
}

impl Home {
    fn place<'a>(&'a self, index: &'a str) -> Place<'a> {
        let (key, file) = self.kind.mapping();
        Place {
            index,
            mapping: self.mapping.as_ref(),
            key,
            file,
        }
    }
}

impl Sink for Elasticsearch {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Looks for the indices that have no date; which of the others are needed only the samples say.
    async fn prepare(&mut self) -> Result<(), NotReady> {
        for home in self.homes.iter().filter(|it| it.name.period().is_none()) {
            let index = home.name.to_string();
            prepare(&mut self.nodes, &home.place(&index)).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, batch: &[Sample]) -> Reply {
        let documents = |sample: &Sample| {
            let of_each = self.homes.iter().map(|home| home.kind.documents(sample));
            of_each.sum()
        };
        let mut bulk = Bulk {
            nodes: &mut self.nodes,
            bytes: &mut self.bytes,
            shard_wait: &self.shard_wait,
            batch,
            joined: Joined::new(batch.iter().map(documents)),
            had_full: false,
        };
        for home in &self.homes {
            for target in request::targets(home.kind, &home.name, batch) {
                let place = home.place(&target.index);
                if let Err(halt) = bulk.send_all(&target, &place).await {
                    return bulk.into_reply(Some(halt));
                }
            }
        }
        bulk.into_reply(None)
    }
}

/// Looks for one index, through each URL once at most: the first that answers decides.
async fn prepare(nodes: &mut Nodes, place: &Place<'_>) -> Result<(), NotReady> {
    let mut last = Ok(());
    for _ in 0..nodes.list.len() {
        let at = nodes.pick(Instant::now());
        last = bulk::look(nodes, at, place).await.map_err(NotReady::from);
        let is_node_to_blame = last.is_err() && nodes.is_paused(at);
        if !is_node_to_blame || !nodes.another(Instant::now()) {
            break;
        }
    }
    last
}

fn body_of_index(text: &str) -> Result<Value, SettingsError> {
    let body: Value =
        serde_json::from_str(text).map_err(|error| SettingsError::Mapping(error.to_string()))?;
    match body.is_object() {
        true => Ok(body),
        false => Err(SettingsError::Mapping("it is no object".to_owned())),
    }
}
