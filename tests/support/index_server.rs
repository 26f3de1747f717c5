//! An Elasticsearch of one process with the modules that the lab's build lacks: `_reindex` and `_delete_by_query` as tasks, as their
//! documentation has them. It stops answering where a test wants a process to die.
// Each test binary uses its own part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::response::Response;
use chrono::DateTime;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Default)]
pub struct Index {
    pub uuid: String,
    pub mappings: Value,
    /// Flat names.
    pub settings: BTreeMap<String, Value>,
    pub aliases: BTreeMap<String, Value>,
    pub documents: BTreeMap<String, Value>,
}

impl Index {
    pub fn is_blocked(&self) -> bool {
        self.settings.get("index.blocks.write") == Some(&json!("true"))
    }
}

#[derive(Debug, Clone)]
struct Task {
    source: String,
    /// `None`: the documents are deleted.
    target: Option<String>,
    ids: Vec<String>,
    done: usize,
    failures: Vec<Value>,
    is_completed: bool,
    is_cancelled: bool,
}

/// Where it stops answering.
#[derive(Debug, Clone)]
pub struct Stall {
    /// Beginning of `METHOD /path`.
    pub at: String,
    /// Does what it was asked, before it is silent.
    pub is_done: bool,
}

#[derive(Debug, Default)]
pub struct Server {
    pub indices: BTreeMap<String, Index>,
    tasks: BTreeMap<String, Task>,
    /// Documents that a task does with each request that anybody makes.
    pub task_step: usize,
    pub requests: Vec<String>,
    pub stall: Option<Stall>,
    pub has_stalled: bool,
    /// This document does not fit a new mapping.
    pub refused: Option<String>,
    /// A task passes this document over, and says nothing.
    pub lost: Option<String>,
    /// A task gives this document another topic.
    pub mangled: Option<String>,
    /// Disk of its one node.
    pub free_bytes: u64,
    /// What must never happen: an index that nobody created, documents under a name twice.
    pub violations: Vec<String>,
    created: usize,
}

#[derive(Clone)]
pub struct Fake {
    pub url: String,
    server: Arc<Mutex<Server>>,
}

impl Fake {
    /// Serves on a free port of the loopback until the runtime of the test ends.
    pub async fn start() -> Self {
        let server = Arc::new(Mutex::new(Server {
            task_step: 200,
            free_bytes: 1 << 40,
            ..Server::default()
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, server }
    }

    pub fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    pub fn stall(&self, at: &str, is_done: bool) {
        let mut server = self.lock();
        server.has_stalled = false;
        server.stall = Some(Stall {
            at: at.to_owned(),
            is_done,
        });
    }
}

async fn answer(State(server): State<Arc<Mutex<Server>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut bytes = to_bytes(body, 64 << 20).await.unwrap().to_vec();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        let mut plain = Vec::new();
        let mut packed = flate2::read::GzDecoder::new(bytes.as_slice());
        packed.read_to_end(&mut plain).unwrap();
        bytes = plain;
    }
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let line = format!("{} {}", parts.method, parts.uri.path());
    let said = {
        let mut server = server.lock().unwrap();
        server.requests.push(line.clone());
        server.work();
        let stall = server
            .stall
            .clone()
            .filter(|stall| line.starts_with(&stall.at));
        let is_done = stall.as_ref().is_none_or(|stall| stall.is_done);
        let said = is_done.then(|| server.serve(&line, &body));
        if stall.is_some() {
            server.stall = None;
            server.has_stalled = true;
        }
        said.filter(|_| stall.is_none())
    };
    let Some((status, value)) = said else {
        return std::future::pending().await;
    };
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(value.to_string()))
        .unwrap()
}

fn error(status: u16, kind: &str, reason: &str) -> (u16, Value) {
    (
        status,
        json!({"error": {"type": kind, "reason": reason}, "status": status}),
    )
}

/// Whether a name fits a pattern, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, behind)) => name
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| fits(behind, &rest[at..]))),
    }
}

fn acknowledged() -> (u16, Value) {
    (200, json!({"acknowledged": true}))
}

impl Server {
    /// An index with the older mapping and `count` documents of three topics, one each minute from the first of January.
    pub fn seed(&mut self, name: &str, count: usize) {
        let mappings = json!({"properties": {"@timestamp": {"type": "date"}, "topic": {"type": "text"}, "p0": {"type": "integer"}}});
        let documents = (0..count)
            .map(|n| (format!("id-{n}"), document(n)))
            .collect();
        self.add(name, mappings, documents);
    }

    pub fn add(&mut self, name: &str, mappings: Value, documents: BTreeMap<String, Value>) {
        self.created += 1;
        let index = Index {
            uuid: format!("uuid-{}", self.created),
            mappings,
            documents,
            ..Index::default()
        };
        self.indices.insert(name.to_owned(), index);
    }

    /// The indices that a name or pattern leads to.
    pub fn behind(&self, name: &str) -> BTreeSet<String> {
        let matches = |index: &str| fits(name, index);
        self.indices
            .iter()
            .filter(|(index, it)| matches(index) || it.aliases.contains_key(name))
            .map(|(index, _)| index.clone())
            .collect()
    }

    /// All documents that a name leads to, with how often each is found.
    pub fn found(&self, name: &str) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for index in self.behind(name) {
            for id in self.indices[&index].documents.keys() {
                *found.entry(id.clone()).or_default() += 1;
            }
        }
        found
    }

    pub fn has_running_task(&self) -> bool {
        self.tasks.values().any(|task| !task.is_completed)
    }

    /// What the tasks do meanwhile.
    fn work(&mut self) {
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in tasks.values_mut().filter(|task| !task.is_completed) {
            for _ in 0..self.task_step {
                let Some(id) = task.ids.get(task.done).cloned() else {
                    break;
                };
                if let Some(reason) = self.work_on(task, &id) {
                    task.failures.push(reason);
                    task.is_completed = true;
                    break;
                }
                task.done += 1;
            }
            task.is_completed |= task.done == task.ids.len() || task.is_cancelled;
        }
        self.tasks = tasks;
    }

    fn work_on(&mut self, task: &Task, id: &str) -> Option<Value> {
        let Some(target) = &task.target else {
            for index in self.behind(&task.source) {
                self.indices.get_mut(&index)?.documents.remove(id);
            }
            return None;
        };
        if self.refused.as_deref() == Some(id) {
            let cause = json!({"type": "document_parsing_exception", "reason": "failed to parse field [p0] of type [long]"});
            return Some(json!({"index": target, "id": id, "status": 400, "cause": cause}));
        }
        if !self.indices.contains_key(target) {
            self.violations
                .push(format!("{target} came into being by a task"));
            self.add(target, json!({}), BTreeMap::new());
        }
        if self.lost.as_deref() == Some(id) {
            return None;
        }
        let mut source = self.indices.get(&task.source)?.documents.get(id)?.clone();
        if self.mangled.as_deref() == Some(id) {
            source["topic"] = json!("another");
        }
        let target = self.indices.get_mut(target)?;
        target.documents.entry(id.to_owned()).or_insert(source);
        None
    }

    fn serve(&mut self, line: &str, body: &Value) -> (u16, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.trim_start_matches('/');
        let words: Vec<&str> = path.split('/').collect();
        match (method, words.as_slice()) {
            ("GET", ["_tasks"]) => self.list_tasks(),
            ("GET", ["_tasks", id]) => self.task(id),
            ("POST", ["_tasks", id, "_cancel"]) => {
                if let Some(task) = self.tasks.get_mut(*id) {
                    task.is_cancelled = true;
                }
                (200, json!({"nodes": {}}))
            }
            ("POST", ["_reindex"]) => self.reindex(body),
            ("POST", ["_aliases"]) => self.change_aliases(body),
            ("GET", ["_nodes", ..]) => (
                200,
                json!({"nodes": {"n1": {"fs": {"total": {"available_in_bytes": self.free_bytes}}}}}),
            ),
            ("GET", ["_cluster", ..]) => (200, json!({"status": "green", "timed_out": false})),
            (_, [first, ..]) if first.starts_with('_') => {
                error(400, "illegal_argument_exception", "security is off")
            }
            ("GET", [name]) => self.describe(name),
            ("PUT", [name]) => self.create(name, body),
            ("DELETE", [name]) => match self.indices.remove(*name) {
                Some(_) => acknowledged(),
                None => error(404, "index_not_found_exception", "no such index"),
            },
            (_, [name, rest @ ..]) if !self.behind(name).is_empty() => {
                self.serve_index(method, name, rest, body)
            }
            _ => error(404, "index_not_found_exception", "no such index"),
        }
    }

    fn serve_index(
        &mut self,
        method: &str,
        name: &str,
        rest: &[&str],
        body: &Value,
    ) -> (u16, Value) {
        match (method, rest) {
            (_, ["_count"]) => (
                200,
                json!({"count": self.matching(name, body).len(), "_shards": {"failed": 0}}),
            ),
            ("GET", ["_stats", ..]) => {
                let count = self.found(name).len();
                (
                    200,
                    json!({"_all": {"primaries": {"docs": {"count": count}}, "total": {"store": {"size_in_bytes": count * 100}}}}),
                )
            }
            ("POST", ["_refresh"]) => (200, json!({"_shards": {"failed": 0}})),
            ("POST", ["_search"]) => self.topics(name, body),
            ("POST", ["_delete_by_query"]) => {
                let ids = self.matching(name, body);
                (200, json!({"task": self.begin(name, None, ids)}))
            }
            ("GET", ["_settings", "index.uuid"]) => {
                let names = self.behind(name).into_iter();
                let settings = names.map(|name| (name, json!({"settings": {}})));
                (200, Value::Object(settings.collect()))
            }
            ("PUT", ["_block", "write"]) => {
                self.set(name, "index.blocks.write", &json!("true"));
                (
                    200,
                    json!({"acknowledged": true, "shards_acknowledged": true}),
                )
            }
            ("PUT", ["_settings"]) => {
                let value = body.get("index.blocks.write").cloned().unwrap_or_default();
                self.set(name, "index.blocks.write", &value)
            }
            ("PUT", ["_mapping"]) => {
                let Some(index) = self.indices.get_mut(name) else {
                    return error(404, "index_not_found_exception", "no such index");
                };
                index.mappings["_meta"] = body["_meta"].clone();
                acknowledged()
            }
            ("PUT", ["_clone", target]) => self.clone_index(name, target),
            _ => error(400, "illegal_argument_exception", "not served here"),
        }
    }

    fn describe(&self, name: &str) -> (u16, Value) {
        let names = self.behind(name);
        if names.is_empty() && !name.contains('*') {
            return error(404, "index_not_found_exception", "no such index");
        }
        let described = names.into_iter().map(|name| {
            let index = &self.indices[&name];
            let mut settings = index.settings.clone();
            settings.insert("index.uuid".to_owned(), json!(index.uuid));
            let value =
                json!({"aliases": index.aliases, "mappings": index.mappings, "settings": settings});
            (name, value)
        });
        (200, Value::Object(described.collect()))
    }

    fn create(&mut self, name: &str, body: &Value) -> (u16, Value) {
        if !self.behind(name).is_empty() {
            return error(400, "resource_already_exists_exception", "it exists");
        }
        self.add(name, body["mappings"].clone(), BTreeMap::new());
        acknowledged()
    }

    fn set(&mut self, name: &str, setting: &str, value: &Value) -> (u16, Value) {
        let Some(index) = self.indices.get_mut(name) else {
            return error(404, "index_not_found_exception", "no such index");
        };
        match value {
            Value::Null => index.settings.remove(setting),
            value => index.settings.insert(setting.to_owned(), value.clone()),
        };
        acknowledged()
    }

    fn clone_index(&mut self, name: &str, target: &str) -> (u16, Value) {
        let Some(index) = self.indices.get(name).cloned() else {
            return error(404, "index_not_found_exception", "no such index");
        };
        if !index.is_blocked() {
            return error(
                400,
                "illegal_state_exception",
                "index must be read-only to resize index",
            );
        }
        if !self.behind(target).is_empty() {
            return error(400, "resource_already_exists_exception", "it exists");
        }
        self.created += 1;
        let uuid = format!("uuid-{}", self.created);
        let clone = Index {
            uuid,
            aliases: BTreeMap::new(),
            ..index
        };
        self.indices.insert(target.to_owned(), clone);
        acknowledged()
    }

    /// All of them, or none.
    fn change_aliases(&mut self, body: &Value) -> (u16, Value) {
        let mut indices = self.indices.clone();
        for action in body["actions"].as_array().unwrap() {
            if let Some(add) = action.get("add") {
                let (index, alias) = (
                    add["index"].as_str().unwrap(),
                    add["alias"].as_str().unwrap(),
                );
                let Some(index) = indices.get_mut(index) else {
                    return error(404, "index_not_found_exception", "no such index");
                };
                index.aliases.insert(
                    alias.to_owned(),
                    json!({"is_write_index": add["is_write_index"]}),
                );
            }
            if let Some(remove) = action.get("remove_index")
                && indices.remove(remove["index"].as_str().unwrap()).is_none()
            {
                let reason = "the provided expression matches an alias";
                return error(400, "illegal_argument_exception", reason);
            }
        }
        let is_double = |alias: &String| indices.contains_key(alias);
        if indices
            .values()
            .any(|index| index.aliases.keys().any(is_double))
        {
            return error(
                400,
                "invalid_alias_name_exception",
                "an index exists with the same name",
            );
        }
        self.indices = indices;
        acknowledged()
    }

    fn reindex(&mut self, body: &Value) -> (u16, Value) {
        let dest = &body["dest"];
        if dest["op_type"] != "create" || body["conflicts"] != "proceed" {
            self.violations
                .push(format!("a copy that could change documents: {body}"));
        }
        let source = body["source"]["index"].as_str().unwrap().to_owned();
        let ids = self.matching(&source, &Value::Null);
        let target = dest["index"].as_str().unwrap().to_owned();
        (200, json!({"task": self.begin(&source, Some(target), ids)}))
    }

    fn begin(&mut self, source: &str, target: Option<String>, ids: Vec<String>) -> String {
        let id = format!("n1:{}", self.tasks.len() + 1);
        let task = Task {
            source: source.to_owned(),
            target,
            ids,
            done: 0,
            failures: Vec::new(),
            is_completed: false,
            is_cancelled: false,
        };
        self.tasks.insert(id.clone(), task);
        id
    }

    fn list_tasks(&self) -> (u16, Value) {
        let running = self.tasks.iter().filter(|(_, task)| !task.is_completed);
        let tasks = running.map(|(id, task)| {
            let target = task.target.as_deref().unwrap_or_default();
            let description = format!("reindex from [{}] to [{target}]", task.source);
            (id.clone(), json!({"description": description}))
        });
        let tasks: serde_json::Map<String, Value> = tasks.collect();
        (200, json!({"nodes": {"n1": {"tasks": tasks}}}))
    }

    fn task(&self, id: &str) -> (u16, Value) {
        let Some(task) = self.tasks.get(id) else {
            return error(
                404,
                "resource_not_found_exception",
                "task isn't running and hasn't stored its results",
            );
        };
        let total = task.ids.len();
        let mut said = json!({"completed": task.is_completed, "task": {"status": {"total": total, "created": task.done}}});
        if task.is_completed {
            let key = if task.target.is_some() {
                "created"
            } else {
                "deleted"
            };
            said["response"] = json!({"total": total, key: task.done, "version_conflicts": 0, "failures": task.failures});
            if task.is_cancelled {
                said["response"]["canceled"] = json!("by user request");
            }
        }
        (200, said)
    }

    /// The documents that a query for what was before an instant finds, or all.
    fn matching(&self, name: &str, body: &Value) -> Vec<String> {
        let before = body
            .pointer("/query/range/@timestamp/lt")
            .and_then(Value::as_i64);
        let documents = self
            .behind(name)
            .into_iter()
            .flat_map(|index| self.indices[&index].documents.clone());
        documents
            .filter(|(_, document)| before.is_none_or(|before| instant(document) < before))
            .map(|(id, _)| id)
            .collect()
    }

    fn topics(&self, name: &str, body: &Value) -> (u16, Value) {
        let mut topics: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for index in self.behind(name) {
            for document in self.indices[&index].documents.values() {
                let topic = document["topic"].as_str().unwrap().to_owned();
                topics.entry(topic).or_default().push(instant(document));
            }
        }
        // One page has them all; the next is empty.
        if body.pointer("/aggs/topics/composite/after").is_some() {
            topics.clear();
        }
        let bucket = |(topic, instants): (&String, &Vec<i64>)| {
            json!({"key": {"topic": topic}, "doc_count": instants.len(),
                "first": {"value": instants.iter().min()}, "last": {"value": instants.iter().max()}})
        };
        let buckets: Vec<Value> = topics.iter().map(bucket).collect();
        let mut aggregation = json!({ "buckets": buckets });
        if let Some(last) = topics.keys().last() {
            aggregation["after_key"] = json!({ "topic": last });
        }
        (
            200,
            json!({"_shards": {"failed": 0}, "aggregations": {"topics": aggregation}}),
        )
    }
}

fn instant(document: &Value) -> i64 {
    let text = document["@timestamp"].as_str().unwrap();
    DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_millis()
}

/// The nth document of a seeded index.
pub fn document(n: usize) -> Value {
    let instant = DateTime::from_timestamp(1_767_225_600 + 60 * n as i64, 0).unwrap();
    json!({"@timestamp": instant.to_rfc3339(), "topic": format!("topic-{}", n % 3), "p0": n.to_string(), "p18": 3_000_000_000_u64 + n as u64})
}
