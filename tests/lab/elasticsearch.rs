//! In: requests. Out: what a real Elasticsearch of the lab answers.
//! Never: uses the collector's client.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::collector;
use crate::kafka::Table;
use crate::process;
use crate::{http, lab};

/// More documents than any test writes; also the most that one search gives.
const DOCUMENTS_MAX: usize = 10_000;

/// One server; a server of the test's own ends with it.
pub struct Elasticsearch {
    pub port: u16,
    name: String,
    version: String,
    is_own: bool,
}

impl Elasticsearch {
    /// The one that all tests share.
    pub fn main() -> Self {
        Self {
            port: lab::port("ELASTICSEARCH"),
            name: "main".to_owned(),
            version: "8.17.4".to_owned(),
            is_own: false,
        }
    }

    /// One of the test's own, which it may stop.
    pub fn own(name: &str, version: &str, port: u16) -> Self {
        let server = Self {
            port,
            name: name.to_owned(),
            version: version.to_owned(),
            is_own: true,
        };
        server.start();
        server
    }

    /// Returns when it answers.
    pub fn start(&self) {
        let port = self.port.to_string();
        self.script(&["start", &self.name, &self.version, &port]);
    }

    pub fn stop(&self) {
        self.script(&["stop", &self.name]);
    }

    /// Makes a user with the collector's rights, or gives it another password.
    pub fn set_password(&self, user: &str, password: &str) {
        self.script(&["passwd", &self.name, user, password]);
    }

    /// Gives a user the collector's rights.
    pub fn grant(&self, user: &str) {
        self.script(&["grant", &self.name, user]);
    }

    /// Takes them.
    pub fn revoke(&self, user: &str) {
        self.script(&["revoke", &self.name, user]);
    }

    fn script(&self, arguments: &[&str]) {
        process::stdout_of(Command::new(lab::script("elasticsearch")).args(arguments));
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Status and body as the user `elastic`.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.request_as("elastic", lab::PASSWORD, method, path, body)
    }

    pub fn request_as(
        &self,
        user: &str,
        password: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        http::request(self.port, Some((user, password)), method, path, body)
    }

    /// The lines of a bulk, findable at once; each must be stored.
    #[track_caller]
    pub fn bulk(&self, index: &str, lines: &str) {
        let user = Some(("elastic", lab::PASSWORD));
        let path = format!("/{index}/_bulk?refresh=true&filter_path=errors");
        let (status, answer) = http::request_text(self.port, user, "POST", &path, lines);
        assert_eq!((status, &answer), (200, &json!({"errors": false})));
    }

    /// Documents that a name leads to; `None`: it leads nowhere.
    pub fn count(&self, index: &str) -> Option<u64> {
        self.request("POST", &format!("/{index}/_refresh"), None);
        let (status, body) = self.request("GET", &format!("/{index}/_count"), None);
        (status == 200).then(|| body["count"].as_u64().expect("a count"))
    }

    /// Names of the indices behind a name or pattern.
    pub fn behind(&self, pattern: &str) -> Vec<String> {
        let (_, body) = self.request(
            "GET",
            &format!("/{pattern}?filter_path=*.settings.index.uuid"),
            None,
        );
        body.as_object()
            .into_iter()
            .flat_map(|indices| indices.keys().cloned())
            .collect()
    }

    /// Every document of an index, oldest first; `Err` while there is no such index.
    pub fn documents(&self, index: &str) -> Result<Vec<Document>, String> {
        let (status, _) = self.request("POST", &format!("/{index}/_refresh"), None);
        if status != 200 {
            return Err(format!("refresh of {index} answered {status}"));
        }
        let query =
            json!({"size": DOCUMENTS_MAX, "sort": ["@timestamp"], "track_total_hits": true});
        let (status, body) = self.request("POST", &format!("/{index}/_search"), Some(&query));
        let hits = body["hits"]["hits"].as_array();
        let hits = hits.ok_or_else(|| format!("search in {index} answered {status}: {body}"))?;
        assert!(
            hits.len() < DOCUMENTS_MAX,
            "more documents than a search gives"
        );
        let documents = hits.iter().map(|hit| Document {
            source: hit["_source"].clone(),
        });
        Ok(documents.collect())
    }
}

impl Drop for Elasticsearch {
    fn drop(&mut self) {
        if self.is_own {
            let script = lab::script("elasticsearch");
            process::output_of(Command::new(script).args(["stop", &self.name]));
        }
    }
}

/// One document as it is in the index.
#[derive(Debug, Clone)]
pub struct Document {
    pub source: Value,
}

impl Document {
    pub fn text(&self, field: &str) -> &str {
        self.source[field].as_str().unwrap_or_default()
    }

    /// `@timestamp` in milliseconds.
    pub fn instant_ms(&self) -> i64 {
        let text = self.text("@timestamp");
        let instant = chrono::DateTime::parse_from_rfc3339(text);
        instant
            .unwrap_or_else(|error| panic!("@timestamp {text:?}: {error}"))
            .timestamp_millis()
    }

    /// What there is one document of.
    pub fn series_and_instant(&self) -> (String, i64) {
        (collector::series(&self.source), self.instant_ms())
    }

    /// The numbers `p<N>`, and the partitions that are listed as unknown.
    pub fn partitions(&self) -> BTreeMap<i32, Option<i64>> {
        let fields = self.source.as_object().expect("an object");
        let numbers = fields.iter().filter_map(|(name, value)| {
            let partition = name.strip_prefix('p')?.parse().ok()?;
            let lag = value.as_i64();
            assert!(lag.is_some(), "{name} is not a whole number: {value}");
            Some((partition, lag))
        });
        let unknown = self.source["partitions_unknown"].as_array();
        let unknown = unknown.into_iter().flatten().map(|partition| {
            let partition = partition.as_i64().expect("a partition");
            (i32::try_from(partition).expect("a partition"), None)
        });
        numbers.chain(unknown).collect()
    }
}

/// `Ok` when the latest document of each topic says what the table says, partition by partition.
pub fn same_numbers(
    documents: &[Document],
    table: &Table,
    topics: &[String],
) -> Result<(), String> {
    for topic in topics {
        let mut of_topic = documents
            .iter()
            .filter(|document| document.text("topic") == topic);
        let latest = of_topic
            .next_back()
            .ok_or(format!("no document of {topic}"))?;
        let printed = table
            .get(topic)
            .ok_or(format!("the CLI has no row of {topic}"))?;
        if latest.partitions() != *printed {
            return Err(format!(
                "{topic}: the CLI says {printed:?}, the document {}",
                latest.source
            ));
        }
    }
    Ok(())
}
