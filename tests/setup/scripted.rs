//! A Kibana and an Elasticsearch with lifecycle management, of one process: they answer as the published API says, refuse what real ones refuse,
//! count what is written, and fail on demand. Neither a Kibana nor such an Elasticsearch can be had for the lab.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use base64::Engine;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const USER: &str = "setup";
pub const PASSWORD: &str = "s3cret-of-setup";

/// What a request meets instead of an honest answer.
#[derive(Clone)]
pub enum Fault {
    /// Nothing is done; status, headers, body.
    Page(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing is done, nothing is answered.
    Hang,
    /// Another client does the same before this request is looked at.
    Overtaken,
}

/// What a server has and saw.
#[derive(Default)]
pub struct Seen {
    pub version: String,
    pub spaces: BTreeSet<String>,
    /// By space, type and id.
    pub objects: BTreeMap<(String, String, String), Value>,
    /// By space and id.
    pub rules: BTreeMap<(String, String), Value>,
    pub templates: BTreeMap<String, Value>,
    pub policies: BTreeMap<String, Value>,
    pub streams: BTreeSet<String>,
    pub indices: BTreeMap<String, Value>,
    /// Method and path of every request that changes something.
    pub writes: Vec<String>,
    /// Every request.
    pub asked: usize,
    /// For the next requests that change something and have this in their path.
    pub faults: Vec<(&'static str, Fault)>,
    /// For every request.
    pub always: Option<Fault>,
}

type Shared = Arc<Mutex<Seen>>;

/// One running server.
pub struct Server {
    pub url: String,
    seen: Shared,
}

/// Status, headers, body.
type Reply = (u16, Value);

impl Server {
    pub async fn kibana() -> Self {
        Self::start(kibana).await
    }

    pub async fn elasticsearch() -> Self {
        Self::start(elasticsearch).await
    }

    async fn start(answer: fn(&mut Seen, &Asked) -> Reply) -> Self {
        let seen: Shared = Arc::default();
        "8.17.4".clone_into(&mut seen.lock().unwrap().version);
        let state = (seen.clone(), answer);
        let app = Router::new().fallback(handle).with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// What was written since the last time.
    pub fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().writes)
    }

    pub fn fail(&self, part: &'static str, fault: Fault) {
        self.seen().faults.push((part, fault));
    }
}

/// One request, as far as the servers look at it.
pub struct Asked {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    text: String,
    json: Value,
}

impl Asked {
    fn is_writing(&self) -> bool {
        // The export is a POST that changes nothing.
        self.method != Method::GET && self.method != Method::HEAD && !self.path.ends_with("_export")
    }
}

type Answering = (Shared, fn(&mut Seen, &Asked) -> Reply);

async fn handle(State((seen, answer)): State<Answering>, request: Request) -> Response {
    let asked = read(request).await;
    let fault = {
        let mut seen = seen.lock().unwrap();
        seen.asked += 1;
        let of_path = |(part, _): &(&str, Fault)| asked.is_writing() && asked.path.contains(part);
        match seen.faults.iter().position(of_path) {
            Some(place) => Some(seen.faults.remove(place).1),
            None => seen.always.clone(),
        }
    };
    match fault {
        Some(Fault::Page(status, headers, body)) => return page(status, &headers, body),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Overtaken) => {
            answer(&mut seen.lock().unwrap(), &asked);
        }
        None => {}
    }
    let authorization = asked.headers.get("authorization");
    let expected = base64::prelude::BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    if authorization.and_then(|it| it.to_str().ok()) != Some(&format!("Basic {expected}")) {
        let body = json!({"statusCode": 401, "error": {"type": "security_exception", "reason": "unable to authenticate"}, "message": "unable to authenticate"});
        return page(401, &[], body.to_string());
    }
    let (status, body) = {
        let mut seen = seen.lock().unwrap();
        if asked.is_writing() {
            let line = format!("{} {}", asked.method, asked.path);
            seen.writes.push(line);
        }
        answer(&mut seen, &asked)
    };
    let text = match &body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    page(status, &[("content-type", "application/json")], text)
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 64 << 20).await.unwrap();
    let is_packed = parts
        .headers
        .get("content-encoding")
        .is_some_and(|it| it == "gzip");
    let text = if is_packed {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_ref())
            .read_to_string(&mut text)
            .unwrap();
        text
    } else {
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        json: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

fn page(status: u16, headers: &[(&str, &str)], body: String) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body)).unwrap()
}

// Kibana

fn boom(status: u16, error: &str, message: &str) -> Reply {
    (
        status,
        json!({"statusCode": status, "error": error, "message": message}),
    )
}

fn kibana(seen: &mut Seen, asked: &Asked) -> Reply {
    if asked.method != Method::GET && !asked.headers.contains_key("kbn-xsrf") {
        return boom(
            400,
            "Bad Request",
            "Request must contain a kbn-xsrf header.",
        );
    }
    let (space, path) = match asked.path.strip_prefix("/s/") {
        Some(rest) => rest.split_once('/').unwrap(),
        None => ("default", asked.path.trim_start_matches('/')),
    };
    let parts: Vec<&str> = path.split('/').collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["api", "status"]) => (
            200,
            json!({"name": "kibana", "version": {"number": seen.version}, "status": {"overall": {"level": "available"}}}),
        ),
        ("GET", ["api", "spaces", "space", id]) => match seen.spaces.contains(*id) {
            true => (200, json!({"id": id, "name": id})),
            false => boom(404, "Not Found", "Not Found"),
        },
        ("POST", ["api", "saved_objects", "_export"]) => export(seen, space, asked),
        ("POST", ["api", "saved_objects", "_import"]) => import(seen, space, asked),
        ("DELETE", ["api", "saved_objects", kind, id]) => {
            let key = (space.to_owned(), (*kind).to_owned(), (*id).to_owned());
            match seen.objects.remove(&key) {
                Some(_) => (200, json!({})),
                None => boom(
                    404,
                    "Not Found",
                    &format!("Saved object [{kind}/{id}] not found"),
                ),
            }
        }
        (method, ["api", "alerting", "rule", id]) => rule(seen, space, id, method, asked),
        _ => boom(404, "Not Found", "Not Found"),
    }
}

fn export(seen: &Seen, space: &str, asked: &Asked) -> Reply {
    let object = &asked.json["objects"][0];
    let part = |key: &str| object[key].as_str().unwrap().to_owned();
    assert_eq!(
        asked.json["excludeExportDetails"], true,
        "else the answer has a second line"
    );
    let key = (space.to_owned(), part("type"), part("id"));
    match seen.objects.get(&key) {
        Some(object) => (200, object.clone()),
        None => {
            let error = json!({"statusCode": 404, "error": "Not Found", "message": "Saved object not found"});
            (
                400,
                json!({"statusCode": 400, "error": "Bad Request", "message": "Error fetching objects to export",
                "attributes": {"objects": [{"id": key.2, "type": key.1, "error": error}]}}),
            )
        }
    }
}

fn import(seen: &mut Seen, space: &str, asked: &Asked) -> Reply {
    let kind = asked.headers["content-type"].to_str().unwrap();
    let is_form = kind.starts_with("multipart/form-data; boundary=");
    let is_file = asked.text.contains("name=\"file\"") && asked.text.contains(".ndjson\"");
    if !is_form || !is_file {
        return boom(400, "Bad Request", "Invalid file extension");
    }
    assert_eq!(asked.query, "overwrite=true");
    let lines = asked.text.lines().filter(|line| line.starts_with('{'));
    let (mut errors, mut results) = (Vec::new(), Vec::new());
    for line in lines {
        let mut object: Value = serde_json::from_str(line).unwrap();
        let part = |key: &str| object[key].as_str().unwrap().to_owned();
        let (kind, id) = (part("type"), part("id"));
        let key = (space.to_owned(), kind.clone(), id.clone());
        let missing = missing_references(seen, space, &object);
        if !missing.is_empty() {
            errors.push(json!({"id": id, "type": kind, "error": {"type": "missing_references", "references": missing}}));
            continue;
        }
        let elsewhere = seen
            .objects
            .keys()
            .any(|(other, a, b)| other != space && *a == kind && *b == id);
        let mut result = json!({"id": id, "type": kind});
        if elsewhere {
            result["destinationId"] = json!("0f5b5a5e-0000-4000-8000-000000000000");
        }
        results.push(result);
        migrate(&mut object);
        seen.objects.insert(key, object);
    }
    let mut answer = json!({"success": errors.is_empty(), "successCount": results.len()});
    if !errors.is_empty() {
        answer["errors"] = json!(errors);
    }
    answer["successResults"] = json!(results);
    (200, answer)
}

/// Kibana looks for data views and searches, not for dashboards.
fn missing_references(seen: &Seen, space: &str, object: &Value) -> Vec<Value> {
    let references = object["references"].as_array().unwrap().iter();
    let missing = references.filter(|reference| {
        let part = |key: &str| reference[key].as_str().unwrap().to_owned();
        let is_judged = ["index-pattern", "search"].contains(&part("type").as_str());
        let key = (space.to_owned(), part("type"), part("id"));
        is_judged && !seen.objects.contains_key(&key)
    });
    missing
        .map(|reference| json!({"type": reference["type"], "id": reference["id"]}))
        .collect()
}

/// What a newer Kibana makes of an older shape: keys beyond, another order of references.
fn migrate(object: &mut Value) {
    object["updated_at"] = json!("2026-11-20T10:00:00.000Z");
    object["managed"] = json!(false);
    object["typeMigrationVersion"] = json!("10.3.0");
    object["references"].as_array_mut().unwrap().reverse();
    if let Some(text) = object["attributes"]["panelsJSON"].as_str() {
        let mut panels: Value = serde_json::from_str(text).unwrap();
        for panel in panels.as_array_mut().unwrap() {
            panel["sectionId"] = Value::Null;
        }
        object["attributes"]["panelsJSON"] = json!(panels.to_string());
    }
}

fn rule(seen: &mut Seen, space: &str, id: &str, method: &str, asked: &Asked) -> Reply {
    let key = (space.to_owned(), id.to_owned());
    let unknown = |allowed: &[&str], body: &Value| -> Option<String> {
        let keys = body.as_object().unwrap().keys();
        keys.map(String::as_str)
            .find(|key| !allowed.contains(key))
            .map(|key| format!("[request body.{key}]: definition for this key is missing"))
    };
    let not_found = || {
        boom(
            404,
            "Not Found",
            &format!("Saved object [alert/{id}] not found"),
        )
    };
    match method {
        "GET" => seen
            .rules
            .get(&key)
            .map_or_else(not_found, |rule| (200, rule.clone())),
        "POST" => {
            let allowed = [
                "name",
                "tags",
                "consumer",
                "rule_type_id",
                "schedule",
                "enabled",
                "params",
                "actions",
            ];
            if let Some(message) = unknown(&allowed, &asked.json) {
                return boom(400, "Bad Request", &message);
            }
            // An id is of all spaces.
            if seen.rules.keys().any(|(_, other)| other == id) {
                return boom(
                    409,
                    "Conflict",
                    &format!("Saved object [alert/{id}] conflict"),
                );
            }
            let mut rule = asked.json.clone();
            rule["id"] = json!(id);
            rule["execution_status"] = json!({"status": "pending"});
            seen.rules.insert(key, rule.clone());
            (200, rule)
        }
        "PUT" => {
            let allowed = [
                "name",
                "tags",
                "schedule",
                "throttle",
                "notify_when",
                "params",
                "actions",
                "alert_delay",
                "flapping",
                "artifacts",
            ];
            if let Some(message) = unknown(&allowed, &asked.json) {
                return boom(400, "Bad Request", &message);
            }
            for action in asked.json["actions"].as_array().unwrap() {
                if let Some(message) = unknown(&["group", "id", "params", "frequency"], action) {
                    return boom(400, "Bad Request", &message);
                }
            }
            let Some(rule) = seen.rules.get_mut(&key) else {
                return not_found();
            };
            for (part, value) in asked.json.as_object().unwrap() {
                rule[part] = value.clone();
            }
            (200, rule.clone())
        }
        "DELETE" => match seen.rules.remove(&key) {
            Some(_) => (204, Value::Null),
            None => not_found(),
        },
        _ => not_found(),
    }
}

// Elasticsearch

fn refused(status: u16, kind: &str, reason: &str) -> Reply {
    (
        status,
        json!({"error": {"type": kind, "reason": reason}, "status": status}),
    )
}

fn elasticsearch(seen: &mut Seen, asked: &Asked) -> Reply {
    let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
    let acknowledged = (200, json!({"acknowledged": true}));
    let missing = |what: &str| {
        refused(
            404,
            "resource_not_found_exception",
            &format!("{what} not found"),
        )
    };
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["_security", "_authenticate"]) => (200, json!({"username": USER})),
        ("GET", ["_nodes", ..]) => (200, json!({"nodes": {"a": {"version": seen.version}}})),
        ("GET", ["_ilm", "status"]) => (200, json!({"operation_mode": "RUNNING"})),
        ("GET", ["_ilm", "policy", name]) => {
            seen.policies.get(*name).map_or_else(
                || missing("policy"),
                |policy| {
                    let mut policy = policy.clone();
                    // Defaults are written out.
                    policy["policy"]["phases"]["delete"]["actions"]["delete"] =
                        json!({"delete_searchable_snapshot": true});
                    policy["version"] = json!(1);
                    (200, json!({*name: policy}))
                },
            )
        }
        ("PUT", ["_ilm", "policy", name]) => {
            seen.policies.insert((*name).to_owned(), asked.json.clone());
            acknowledged
        }
        ("DELETE", ["_ilm", "policy", name]) => {
            let setting = json!(name);
            let is_used = seen
                .indices
                .values()
                .any(|index| index["settings"]["index"]["lifecycle"]["name"] == setting);
            if is_used {
                let reason = format!(
                    "Cannot delete policy [{name}]. It is in use by one or more indices: [...]"
                );
                return refused(400, "illegal_argument_exception", &reason);
            }
            seen.policies.remove(*name);
            acknowledged
        }
        ("GET", ["_index_template", name]) => seen.templates.get(*name).map_or_else(
            || missing("index template"),
            |template| {
                let template = json!({"name": name, "index_template": template});
                (200, json!({"index_templates": [template]}))
            },
        ),
        ("PUT", ["_index_template", name]) => {
            let mut template = asked.json.clone();
            let settings = template["template"]["settings"]["index.lifecycle.name"].take();
            if settings.is_string() {
                template["template"]["settings"] =
                    json!({"index": {"lifecycle": {"name": settings}}});
            } else {
                template["template"]
                    .as_object_mut()
                    .unwrap()
                    .remove("settings");
            }
            template["composed_of"] = json!([]);
            if template.get("data_stream").is_some() {
                template["data_stream"] = json!({"hidden": false, "allow_custom_routing": false});
            }
            if template["template"].get("lifecycle").is_some() {
                template["template"]["lifecycle"]["enabled"] = json!(true);
            }
            seen.templates.insert((*name).to_owned(), template);
            acknowledged
        }
        ("DELETE", ["_index_template", name]) => {
            if seen.streams.contains(*name) {
                let reason = format!(
                    "unable to remove composable templates [{name}] as they are in use by a data streams [{name}]"
                );
                return refused(400, "illegal_argument_exception", &reason);
            }
            seen.templates.remove(*name);
            acknowledged
        }
        ("GET", ["_data_stream", name]) => match seen.streams.contains(*name) {
            true => (200, json!({"data_streams": [{"name": name}]})),
            false => refused(404, "index_not_found_exception", "no such index"),
        },
        ("PUT", ["_data_stream", name]) => {
            let template = seen.templates.get(*name);
            if template.is_none_or(|template| template.get("data_stream").is_none()) {
                let reason = format!("no matching index template found for data stream [{name}]");
                return refused(400, "illegal_argument_exception", &reason);
            }
            match seen.streams.insert((*name).to_owned()) {
                true => acknowledged,
                false => refused(
                    400,
                    "resource_already_exists_exception",
                    "data_stream exists",
                ),
            }
        }
        ("GET", [index]) => seen.indices.get(*index).map_or_else(
            || refused(404, "index_not_found_exception", "no such index"),
            |body| (200, json!({*index: body})),
        ),
        ("PUT", [index]) => {
            if seen.indices.contains_key(*index) {
                return refused(400, "resource_already_exists_exception", "index exists");
            }
            let mut body = asked.json.clone();
            for template in seen.templates.values() {
                let pattern = template["index_patterns"][0].as_str().unwrap();
                if index.starts_with(pattern.split('*').next().unwrap()) {
                    body["settings"] = template["template"]["settings"].clone();
                }
            }
            seen.indices.insert((*index).to_owned(), body);
            acknowledged
        }
        ("PUT", [index, "_mapping"]) => {
            let fields = asked.json["properties"].as_object().unwrap().clone();
            let index = seen.indices.get_mut(*index).unwrap();
            index["mappings"]["properties"]
                .as_object_mut()
                .unwrap()
                .extend(fields);
            acknowledged
        }
        _ => refused(
            400,
            "illegal_argument_exception",
            "no handler found for uri",
        ),
    }
}

/// A proxy's page, or that of a login.
pub fn html(status: u16) -> Fault {
    let body = "<!doctype html>\n<html><title>Sign in</title></html>".to_owned();
    Fault::Page(status, vec![("content-type", "text/html")], body)
}
