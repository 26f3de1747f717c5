//! In: a node and one index, dated index or data stream of the settings. Out: what is there, and whether our documents fit into it.
//! Never: creates an index, reads a document.

use chrono::Utc;
use elasticsearch::http::Method;
use elasticsearch::indices::{IndicesExistsParts, IndicesGetMappingParts};
use serde_json::Value;
use tokio::time::Instant;

use super::privileges::Privileges;
use super::{Widest, ask, failed, finding, unreachable, value};
use crate::finding::{Finding, Verdict};
use crate::sinks::elasticsearch::fields::{self, Room};
use crate::sinks::elasticsearch::nodes::{NoAnswer, Node};
use crate::sinks::elasticsearch::request::Kind;
use crate::sinks::elasticsearch::response::refusal;
use crate::sinks::elasticsearch::{IndexName, Settings, mapping};

const AUTO_CREATE: &str = "recommended: action.auto_create_index: \"-consumer_lag*,+*\", so that an index deleted by hand never comes back with a guessed mapping";

/// One thing that documents are written to.
pub(super) struct Looked<'a> {
    kind: Kind,
    name: &'a IndexName,
    /// Body with which an index is created.
    body: &'a str,
    is_stream: bool,
    /// The advice for the whole cluster is given with the first of them.
    is_first: bool,
}

/// What the layout writes to.
pub(super) fn all(settings: &Settings) -> Vec<Looked<'_>> {
    let mut all = Vec::new();
    if settings.layout.has_wide() {
        all.push(Looked {
            kind: Kind::Wide,
            name: &settings.index,
            body: &settings.mapping,
            is_stream: false,
            is_first: true,
        });
    }
    if settings.layout.has_partitions() {
        all.push(Looked {
            kind: Kind::Partitions,
            name: &settings.partitions_index,
            body: &settings.partitions_mapping,
            is_stream: settings.data_stream,
            is_first: !settings.layout.has_wide(),
        });
    }
    all
}

impl Looked<'_> {
    pub(super) fn subject(&self) -> String {
        match self.is_stream {
            true => format!("elasticsearch data stream {}", self.name),
            false => format!("elasticsearch index {}", self.name),
        }
    }

    /// What holds for the whole cluster, asked of one node.
    pub(super) async fn check(&self, node: &Node, widest: Option<&Widest>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut say = |link, started, verdict| {
            findings.push(finding(self.subject(), link, started, verdict));
        };
        let started = Instant::now();
        let pattern = self.name.pattern();
        let privileges = Privileges::ask(node, &pattern).await;
        say("privileges", started, privileges.judge(&pattern));
        let started = Instant::now();
        let (there, verdict) = match self.name.period() {
            Some(_) => self.dated(node, &privileges).await,
            None => self.undated(node, &privileges).await,
        };
        let is_told = !matches!(verdict, Verdict::Failed { .. });
        say("index", started, verdict);
        let started = Instant::now();
        let mappings = match &there {
            Some(index) => mappings(node, index).await,
            None => Err(Verdict::Skipped("there is no index to look at".to_owned())),
        };
        let verdict = match &mappings {
            Ok(answer) => mapping::judge(answer, self.kind),
            Err(verdict) => verdict.clone(),
        };
        say("mapping", started, verdict);
        if self.kind == Kind::Wide {
            let started = Instant::now();
            let rooms = match (&there, &mappings) {
                (Some(index), Ok(answer)) => rooms(node, index, answer).await,
                // It will be made of this.
                (None, _) if is_told => Room::of_body(self.body).into_iter().collect(),
                _ => Vec::new(),
            };
            let verdict =
                fields::judge(&rooms, widest.map(|it| (it.topic.as_str(), it.partitions)));
            say("fields", started, verdict);
        }
        findings
    }

    /// Whether the index or data stream is there, and its name where it is.
    async fn undated(&self, node: &Node, privileges: &Privileges) -> (Option<String>, Verdict) {
        let name = self.name.to_string();
        let is_there = exists(node, &name).await;
        let verdict = match &is_there {
            Ok(true) if self.is_stream => stream(node, &name, true).await,
            Ok(false) if self.is_stream => stream(node, &name, false).await,
            Ok(true) => self.advised(format!("exists, for {}", self.kind)),
            Ok(false) if privileges.has("create_index") => self.advised(format!(
                "does not exist yet; `run` creates it with its mapping, for {}",
                self.kind
            )),
            Ok(false) => self.may_not_create("does not exist, and this user may not create it"),
            Err(verdict) => verdict.clone(),
        };
        ((is_there == Ok(true)).then_some(name), verdict)
    }

    /// The index of now, or the newest where that is not there yet.
    async fn dated(&self, node: &Node, privileges: &Privileges) -> (Option<String>, Verdict) {
        let now = self.name.at(Utc::now());
        match exists(node, &now).await {
            Ok(true) if privileges.has("create_index") => {
                let verdict = self.advised(format!("{now:?} exists, for {}", self.kind));
                (Some(now), verdict)
            }
            Ok(true) => {
                let verdict = Verdict::Warned {
                    what: format!("{now:?} exists, and this user may not create the next one"),
                    mend: format!("grant create_index on {:?}", self.name.pattern()),
                };
                (Some(now), verdict)
            }
            Ok(false) if privileges.has("create_index") => {
                let newest = newest(node, self.name).await;
                let newest_in_words = match &newest {
                    Some(newest) => format!("the newest is {newest:?}"),
                    None => "there is none so far".to_owned(),
                };
                let verdict = self.advised(format!(
                    "{now:?} does not exist yet ({newest_in_words}); `run` creates it with its mapping, for {}",
                    self.kind
                ));
                (newest, verdict)
            }
            Ok(false) => {
                let why = format!("{now:?} does not exist, and this user may not create it");
                (newest(node, self.name).await, self.may_not_create(why))
            }
            Err(verdict) => (None, verdict),
        }
    }

    fn advised(&self, text: String) -> Verdict {
        Verdict::Passed(match self.is_first {
            true => format!("{text}; {AUTO_CREATE}"),
            false => text,
        })
    }

    fn may_not_create(&self, why: impl ToString) -> Verdict {
        let file = self.kind.mapping().1;
        let mend = match self.name.period() {
            Some(_) => format!("grant create_index on {:?}", self.name.pattern()),
            None => format!("grant create_index on it, or let another user create it from {file}"),
        };
        failed(why, &mend)
    }
}

/// Whether an index, alias or data stream of this name is there.
async fn exists(node: &Node, name: &str) -> Result<bool, Verdict> {
    let names = [name];
    let indices = node.client.indices();
    let request = indices.exists(IndicesExistsParts::Index(&names));
    match node.answer(request.send().await, name).await {
        Ok(answer) => match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            403 => Err(failed(
                "this user may not see whether it exists",
                "grant view_index_metadata on it",
            )),
            status => Err(failed(
                format!("HTTP {status}"),
                "ask who runs this cluster",
            )),
        },
        Err(no_answer) => Err(unreachable(node, no_answer)),
    }
}

/// What is to be said of a name that is to be a data stream.
async fn stream(node: &Node, name: &str, is_there: bool) -> Verdict {
    let asked = ask(node, Method::Get, &format!("_data_stream/{name}"), None).await;
    let knows = match asked.map(|answer| answer.status) {
        Ok(200) => Some(true),
        Ok(404) => Some(false),
        // A server without the module, or a user who may not ask.
        _ => None,
    };
    match (is_there, knows) {
        (true, Some(true)) => {
            Verdict::Passed("exists, a data stream for documents of partitions".to_owned())
        }
        (true, Some(false)) => failed(
            "is an index or an alias, not a data stream",
            "name another partitions_index, or set data_stream: false",
        ),
        (true, None) => Verdict::Passed(
            "exists; the server does not tell whether it is a data stream".to_owned(),
        ),
        (false, Some(_)) => failed("does not exist", "run `mirrorlag setup`, which makes it"),
        (false, None) => failed(
            "does not exist, and the server does not answer questions about data streams",
            "run `mirrorlag setup`, or set data_stream: false where the server has none",
        ),
    }
}

/// The newest index of a dated name.
async fn newest(node: &Node, name: &IndexName) -> Option<String> {
    // Of each index one short line, however many there are.
    let path = format!(
        "{}/_settings/index.uuid?expand_wildcards=open&flat_settings=true",
        name.pattern()
    );
    let answer = ask(node, Method::Get, &path, None).await;
    let answer = answer.ok().filter(|it| it.status == 200)?;
    let answer = value(&answer);
    let ours = answer.as_object()?.keys().filter_map(|index| {
        let (start, _) = name.range_of(index)?;
        Some((start, index.clone()))
    });
    ours.max().map(|(_, index)| index)
}

async fn mappings(node: &Node, name: &str) -> Result<Value, Verdict> {
    let names = [name];
    let indices = node.client.indices();
    let request = indices.get_mapping(IndicesGetMappingParts::Index(&names));
    match node.answer(request.send().await, "/_mapping").await {
        Ok(answer) if answer.status == 200 => Ok(value(&answer)),
        Ok(answer) => Err(failed(
            format!("HTTP {}: {}", answer.status, refusal(&answer.body).reason),
            "grant view_index_metadata on the index",
        )),
        Err(no_answer) => Err(unreachable(node, no_answer)),
    }
}

/// How many fields each index behind `name` has and may have; empty where that is not told.
async fn rooms(node: &Node, name: &str, mappings: &Value) -> Vec<Room> {
    let path = format!(
        "{name}/_settings/{}?include_defaults=true&flat_settings=true",
        fields::LIMIT
    );
    let answered: Result<_, NoAnswer> = ask(node, Method::Get, &path, None).await;
    match answered {
        Ok(answer) if answer.status == 200 => Room::of_answers(mappings, &value(&answer)),
        _ => Vec::new(),
    }
}
