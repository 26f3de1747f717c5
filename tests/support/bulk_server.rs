//! A strict Elasticsearch of one process: it refuses what a real one refuses, notes what a real one would let pass, and fails on demand.
// Each test binary uses its own part of it; a refusal is a whole response.
#![allow(dead_code, clippy::result_large_err)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use base64::Engine;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What a bulk must ask for, or stored items vanish from the reply.
const FILTER_PATH: &str = "errors,items.*._id,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";

/// Status, headers and body.
pub type Page = (u16, Vec<(&'static str, String)>, String);

/// What the next bulk meets instead of an honest answer.
#[derive(Clone)]
pub enum Fault {
    /// Everything is stored, the reply is cut in half.
    Truncated,
    /// Everything is stored, a proxy answers 200 with its own page.
    Html,
    /// Everything is stored, the last item is missing from the reply.
    OneItemShort,
    /// Nothing is stored; status, headers and body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// `Some` is the refusal (status, type, reason) of the item at that place, which is not stored.
    Items(Vec<Option<(u16, &'static str, &'static str)>>),
    /// Nothing is stored, nothing is answered.
    Hang,
    /// Everything is stored, nothing is answered.
    StoredAndHang,
}

#[derive(Clone, Default)]
pub struct Index {
    pub mapping: Value,
    pub documents: BTreeMap<String, Value>,
}

/// What the server is, knows and saw.
pub struct Server {
    pub indices: BTreeMap<String, Index>,
    /// For the next bulks, in order.
    pub faults: VecDeque<Fault>,
    /// For every bulk behind those.
    pub lasting: Option<Fault>,
    /// What every request is answered with, as by a proxy.
    pub proxy: Option<Page>,
    /// A bulk with this document is refused whole.
    pub poison: Option<String>,
    /// A bulk of more documents finds no memory.
    pub documents_room: usize,
    /// How often a document was answered with 201, by index and `_id`.
    pub creates: BTreeMap<(String, String), usize>,
    /// Requests that came with a login.
    pub logins: usize,
    /// User and password; `None`: security is off.
    pub login: Option<(String, String)>,
    /// What the user may do with the index.
    pub privileges: Vec<&'static str>,
    pub auto_create: bool,
    /// Names of data streams; `None`: a server without the module.
    pub streams: Option<BTreeSet<String>>,
    /// Indices that somebody closed.
    pub closed: BTreeSet<String>,
    /// Limit of a body, unpacked.
    pub content_bytes_max: usize,
    pub fields_max: usize,
    /// Documents of these topics do not fit the mapping.
    pub refused_topics: BTreeSet<String>,
    /// `METHOD /path` of each request, in order.
    pub requests: Vec<String>,
    /// Documents of each bulk that was looked at.
    pub bulks: Vec<usize>,
    /// What a real server forgives or misunderstands, and a client should not do.
    pub violations: Vec<String>,
}

#[derive(Clone)]
pub struct Fake {
    pub url: String,
    server: Arc<Mutex<Server>>,
}

impl Fake {
    /// Serves on a free port of the loopback until the runtime of the test ends.
    pub async fn start() -> Fake {
        let server = Arc::new(Mutex::new(Server {
            indices: BTreeMap::new(),
            faults: VecDeque::new(),
            lasting: None,
            proxy: None,
            poison: None,
            documents_room: usize::MAX,
            creates: BTreeMap::new(),
            logins: 0,
            login: None,
            privileges: vec![
                "create_doc",
                "auto_configure",
                "view_index_metadata",
                "create_index",
            ],
            auto_create: true,
            streams: None,
            closed: BTreeSet::new(),
            content_bytes_max: 100 << 20,
            fields_max: 1000,
            refused_topics: BTreeSet::new(),
            requests: Vec::new(),
            bulks: Vec::new(),
            violations: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Fake { url, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    pub fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    /// The next bulks meet these, in order.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// Documents of an index, by `_id`; empty where there is none.
    pub fn documents(&self, index: &str) -> BTreeMap<String, Value> {
        let server = self.lock();
        let index = server.indices.get(index);
        index.map(|it| it.documents.clone()).unwrap_or_default()
    }

    /// Nothing was asked for that a real server forgives or misunderstands, and no document was made twice.
    pub fn assert_strict(&self) {
        assert_eq!(self.lock().violations, Vec::<String>::new());
        let server = self.lock();
        let twice = server.creates.iter().find(|(_, count)| **count != 1);
        assert_eq!(twice, None, "made more than once");
    }
}

/// A port that accepts, reads what comes and says `reply`, then closes. `None`: never answers, never closes.
pub async fn raw_port(reply: Option<&'static [u8]>) -> (SocketAddr, Arc<Mutex<usize>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(Mutex::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            *counted.lock().unwrap() += 1;
            let mut request = vec![0; 64 << 10];
            let _read = socket.read(&mut request).await;
            match reply {
                Some(reply) => {
                    let _written = socket.write_all(reply).await;
                    let _closed = socket.shutdown().await;
                }
                None => open.push(socket),
            }
        }
    });
    (address, connections)
}

/// A port that has an index, and answers everything else with chunks that never end; how many bytes went out.
pub async fn endless_port() -> (SocketAddr, Arc<Mutex<usize>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(Mutex::new(0));
    let counted = sent.clone();
    let serve = async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let read = socket.read(&mut request).await.unwrap_or(0);
                if request[..read].starts_with(b"HEAD") {
                    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n";
                    let _written = socket.write_all(head).await;
                    return;
                }
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
                let _written = socket.write_all(head).await;
                let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
                while socket.write_all(&chunk).await.is_ok() {
                    *counted.lock().unwrap() += chunk.len();
                }
            });
        }
    };
    tokio::spawn(serve);
    (address, sent)
}

async fn answer(State(server): State<Arc<Mutex<Server>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 256 << 20).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let fault = {
        let mut server = server.lock().unwrap();
        server.requests.push(format!("{} {path}", parts.method));
        server.logins += usize::from(parts.headers.contains_key("authorization"));
        if let Some((status, headers, body)) = &server.proxy {
            return foreign(*status, headers, body);
        }
        if let Err(refused) = server.authenticate(&parts.headers) {
            return refused;
        }
        match path.ends_with("/_bulk") {
            true => server.faults.pop_front().or_else(|| server.lasting.clone()),
            false => None,
        }
    };
    if matches!(fault, Some(Fault::Hang)) {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    let hangs_afterwards = matches!(fault, Some(Fault::StoredAndHang));
    let response = serve(&server, &parts, &path, &query, &body, fault);
    if hangs_afterwards {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    response
}

fn serve(
    server: &Mutex<Server>,
    parts: &axum::http::request::Parts,
    path: &str,
    query: &str,
    body: &[u8],
    fault: Option<Fault>,
) -> Response {
    let mut server = server.lock().unwrap();
    let body = match server.unpack(&parts.headers, body, path.ends_with("/_bulk")) {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    match (
        &parts.method,
        path.trim_matches('/')
            .split('/')
            .collect::<Vec<_>>()
            .as_slice(),
    ) {
        (&Method::POST | &Method::PUT, [index, "_bulk"]) => {
            server.bulk(index, query, &parts.headers, &body, fault)
        }
        (&Method::GET, ["_security", "_authenticate"]) => server.who(),
        (&Method::POST, ["_security", "user", "_has_privileges"]) => server.rights(&body),
        (&Method::GET, ["_nodes", "_local", "http"]) => {
            reply(200, &json!({"nodes": {"a1": {"version": "8.17.4"}}}))
        }
        (&Method::GET, [index, "_mapping"]) => server.mapping(index),
        (&Method::GET, [index, "_settings", "index.mapping.total_fields.limit"]) => {
            let setting =
                json!({"index.mapping.total_fields.limit": server.fields_max.to_string()});
            reply(200, &json!({*index: {"settings": {}, "defaults": setting}}))
        }
        (&Method::GET, [pattern, "_settings", "index.uuid"]) => server.named_like(pattern),
        (&Method::GET, ["_data_stream", name]) => server.stream(name),
        (&Method::HEAD, [index]) if !index.is_empty() => server.exists(index),
        (&Method::PUT, [index]) => server.create(index, &body),
        // As the restricted distribution answers `GET /`.
        _ => refuse(405, "", "Incorrect HTTP method for uri"),
    }
}

impl Server {
    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Response> {
        let Some((user, password)) = &self.login else {
            return Ok(());
        };
        let encoder = base64::engine::general_purpose::STANDARD;
        let expected = format!("Basic {}", encoder.encode(format!("{user}:{password}")));
        match headers.get("authorization").and_then(|it| it.to_str().ok()) {
            Some(given) if given == expected => Ok(()),
            _ => Err(refuse(
                401,
                "security_exception",
                "unable to authenticate user",
            )),
        }
    }

    fn unpack(
        &mut self,
        headers: &HeaderMap,
        body: &[u8],
        is_bulk: bool,
    ) -> Result<Vec<u8>, Response> {
        let is_packed = headers
            .get("content-encoding")
            .is_some_and(|it| it == "gzip");
        let mut unpacked = Vec::new();
        if is_packed {
            flate2::read::GzDecoder::new(body)
                .read_to_end(&mut unpacked)
                .unwrap();
        } else {
            if is_bulk {
                self.violations.push("a bulk without gzip".to_owned());
            }
            unpacked = body.to_vec();
        }
        if unpacked.len() > self.content_bytes_max {
            // Measured: no body, no content type.
            let response = Response::builder().status(413);
            return Err(response.body(Body::empty()).unwrap());
        }
        Ok(unpacked)
    }

    fn bulk(
        &mut self,
        index: &str,
        query: &str,
        headers: &HeaderMap,
        body: &[u8],
        fault: Option<Fault>,
    ) -> Response {
        if let Err(refused) = self.judge_query(query) {
            return refused;
        }
        if headers
            .get("content-type")
            .is_none_or(|it| it != "application/json")
        {
            return refuse(
                406,
                "media_type_header_exception",
                "Invalid media-type value on headers",
            );
        }
        if !body.ends_with(b"\n") {
            return refuse(
                400,
                "illegal_argument_exception",
                "The bulk request must be terminated by a newline [\\n]",
            );
        }
        let documents = match documents(body) {
            Ok(documents) => documents,
            Err(reason) => return refuse(400, "illegal_argument_exception", &reason),
        };
        self.bulks.push(documents.len());
        if let Some(Fault::Status(status, headers, body)) = fault {
            return foreign(status, &headers, &body);
        }
        if documents.len() > self.documents_room {
            let reason =
                "rejected execution of coordinating operation [coordinating_and_primary_bytes=0]";
            return refuse(429, "es_rejected_execution_exception", reason);
        }
        let is_poison = |(id, _): &(String, Value)| Some(id) == self.poison.as_ref();
        if documents.iter().any(is_poison) {
            return refuse(
                400,
                "illegal_argument_exception",
                "this one document spoils all",
            );
        }
        let refusals = match &fault {
            Some(Fault::Items(refusals)) => refusals.clone(),
            _ => Vec::new(),
        };
        let mut items = Vec::new();
        for (place, (id, document)) in documents.into_iter().enumerate() {
            let refusal = refusals.get(place).copied().flatten();
            let stored = match refusal {
                Some((status, kind, reason)) => Err((status, kind, reason.to_owned())),
                None => self.store(index, &id, document),
            };
            items.push(match stored {
                Ok(status) => json!({"create": {"_id": id, "status": status}}),
                Err((status, kind, reason)) => {
                    json!({"create": {"_id": id, "status": status, "error": {"type": kind, "reason": reason}}})
                }
            });
        }
        if matches!(fault, Some(Fault::OneItemShort)) {
            items.pop();
        }
        let has_errors = items
            .iter()
            .any(|item| item["create"].get("error").is_some());
        let whole = json!({"errors": has_errors, "items": items}).to_string();
        let text = match fault {
            Some(Fault::Truncated) => whole[..whole.len() / 2].to_owned(),
            Some(Fault::Html) => "<html><body>Welcome to nginx!</body></html>".to_owned(),
            _ => whole,
        };
        let response = Response::builder()
            .status(200)
            .header("content-type", "application/json");
        response.body(Body::from(text)).unwrap()
    }

    fn judge_query(&mut self, query: &str) -> Result<(), Response> {
        let mut filter_path = None;
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "filter_path" => filter_path = Some(value.replace("%2C", ",").replace("%2A", "*")),
                "timeout" if value.ends_with("ms") || value.ends_with('s') => {}
                _ => {
                    let reason = format!("request contains unrecognized parameter: [{name}]");
                    return Err(refuse(400, "illegal_argument_exception", &reason));
                }
            }
        }
        if filter_path.as_deref() != Some(FILTER_PATH) {
            self.violations
                .push(format!("filter_path is {filter_path:?}"));
        }
        Ok(())
    }

    fn store(
        &mut self,
        name: &str,
        id: &str,
        document: Value,
    ) -> Result<u16, (u16, &'static str, String)> {
        if !self.indices.contains_key(name) {
            if !self.auto_create {
                return Err((
                    404,
                    "index_not_found_exception",
                    format!("no such index [{name}]"),
                ));
            }
            let foreign =
                json!({"properties": {"topic": {"type": "text"}}, "made_by": "auto_create"});
            let made = Index {
                mapping: foreign,
                ..Index::default()
            };
            self.indices.insert(name.to_owned(), made);
        }
        if self.closed.contains(name) {
            return Err((400, "index_closed_exception", "closed".to_owned()));
        }
        let fields_max = self.fields_max;
        let index = self.indices.get_mut(name).unwrap();
        if index.documents.contains_key(id) {
            let reason =
                format!("[{id}]: version conflict, document already exists (current version [1])");
            return Err((409, "version_conflict_engine_exception", reason));
        }
        let kind = |field: &str| {
            index
                .mapping
                .pointer(&format!("/properties/{field}/type"))
                .and_then(Value::as_str)
        };
        let topic = document["topic"].as_str().unwrap_or_default();
        if self.refused_topics.contains(topic) {
            let reason = format!(
                "[1:60] failed to parse field [topic] of type [integer] in document with id '{id}'. Preview of field's value: '{topic}'"
            );
            return Err((400, "document_parsing_exception", reason));
        }
        for (field, value) in document.as_object().unwrap() {
            let is_too_large = value.as_i64().is_some_and(|it| it > i64::from(i32::MAX));
            if kind(field) == Some("integer") && is_too_large {
                let reason = format!(
                    "[1:27] failed to parse field [{field}] of type [integer] in document with id '{id}'. Preview of field's value: '{value}'"
                );
                return Err((400, "document_parsing_exception", reason));
            }
        }
        let new = document
            .as_object()
            .unwrap()
            .keys()
            .filter(|it| kind(it).is_none())
            .count();
        let known = index.mapping["properties"]
            .as_object()
            .map_or(0, serde_json::Map::len);
        if known + new > fields_max {
            let reason = format!(
                "[1:9] failed to parse: Limit of total fields [{fields_max}] has been exceeded while adding new fields [{new}]"
            );
            return Err((400, "document_parsing_exception", reason));
        }
        index.documents.insert(id.to_owned(), document);
        let made = (name.to_owned(), id.to_owned());
        *self.creates.entry(made).or_default() += 1;
        Ok(201)
    }

    fn who(&self) -> Response {
        match &self.login {
            Some((user, _)) => reply(200, &json!({"username": user})),
            None => refuse(
                400,
                "",
                "no handler found for uri [/_security/_authenticate] and method [GET]",
            ),
        }
    }

    fn rights(&self, body: &[u8]) -> Response {
        let asked: Value = serde_json::from_slice(body).unwrap();
        let name = asked["index"][0]["names"][0].as_str().unwrap();
        let mut granted = serde_json::Map::new();
        for privilege in asked["index"][0]["privileges"].as_array().unwrap() {
            let privilege = privilege.as_str().unwrap();
            granted.insert(
                privilege.to_owned(),
                self.privileges.contains(&privilege).into(),
            );
        }
        match self.login {
            Some(_) => reply(200, &json!({"index": {name: granted}})),
            None => refuse(400, "", "no handler found for uri"),
        }
    }

    fn mapping(&self, name: &str) -> Response {
        match self.indices.get(name) {
            Some(index) => reply(200, &json!({name: {"mappings": index.mapping}})),
            None => refuse(404, "index_not_found_exception", "no such index"),
        }
    }

    /// As far as a wildcard goes: what stands before its first star.
    fn named_like(&self, pattern: &str) -> Response {
        let start = pattern.split('*').next().unwrap_or_default();
        let names = self.indices.keys().filter(|name| name.starts_with(start));
        let settings = names.map(|name| (name.clone(), json!({"settings": {}})));
        reply(200, &settings.collect::<serde_json::Map<_, _>>().into())
    }

    fn stream(&self, name: &str) -> Response {
        match &self.streams {
            // As the restricted distribution answers.
            None => refuse(400, "", "no handler found for uri"),
            Some(streams) if streams.contains(name) => {
                reply(200, &json!({"data_streams": [{"name": name}]}))
            }
            Some(_) => refuse(404, "index_not_found_exception", "no such index"),
        }
    }

    fn exists(&self, name: &str) -> Response {
        let status = match self.indices.contains_key(name) {
            _ if !self.privileges.contains(&"view_index_metadata") => 403,
            true => 200,
            false => 404,
        };
        Response::builder()
            .status(status)
            .body(Body::empty())
            .unwrap()
    }

    fn create(&mut self, name: &str, body: &[u8]) -> Response {
        let body: Value = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return refuse(400, "parse_exception", &error.to_string()),
        };
        if !self.privileges.contains(&"create_index") {
            return refuse(
                403,
                "security_exception",
                "action [indices:admin/create] is unauthorized",
            );
        }
        if self.indices.contains_key(name) {
            return refuse(
                400,
                "resource_already_exists_exception",
                "index already exists",
            );
        }
        let made = Index {
            mapping: body["mappings"].clone(),
            ..Index::default()
        };
        self.indices.insert(name.to_owned(), made);
        reply(200, &json!({"acknowledged": true}))
    }
}

/// The documents of a bulk by `_id`, or why the whole request is refused.
fn documents(body: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = text.lines().collect();
    let mut documents = Vec::new();
    for two in lines.chunks(2) {
        let [action, document] = two else {
            return Err("an action line without a document".to_owned());
        };
        let action: Value = serde_json::from_str(action).map_err(|error| error.to_string())?;
        let Some(id) = action.pointer("/create/_id").and_then(Value::as_str) else {
            return Err(format!("Malformed action/metadata line: {action}"));
        };
        if action != json!({"create": {"_id": id}}) {
            return Err(format!("Malformed action/metadata line: {action}"));
        }
        if id.is_empty() || id.len() > 512 {
            return Err(format!(
                "id [{id}] is too long, must be no longer than 512 bytes"
            ));
        }
        let document: Value = serde_json::from_str(document).map_err(|error| error.to_string())?;
        let instant = document["@timestamp"].as_str().unwrap_or_default();
        chrono::DateTime::parse_from_rfc3339(instant).map_err(|error| error.to_string())?;
        documents.push((id.to_owned(), document));
    }
    Ok(documents)
}

/// An error as Elasticsearch words it; without a type, the bare text of a request that reached no handler.
pub fn error_body(status: u16, kind: &str, reason: &str) -> String {
    match kind.is_empty() {
        true => json!({"error": reason}).to_string(),
        false => json!({"error": {"type": kind, "reason": reason}, "status": status}).to_string(),
    }
}

fn foreign(status: u16, headers: &[(&'static str, String)], body: &str) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

fn refuse(status: u16, kind: &str, reason: &str) -> Response {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response
        .body(Body::from(error_body(status, kind, reason)))
        .unwrap()
}

fn reply(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response.body(Body::from(value.to_string())).unwrap()
}
