//! In: requests to Elasticsearch. Out: every document accepted at once, counted, and its topic and instant noted where that is asked for.
//! Never: keeps a document, checks anything.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;

/// More than any client sends at once.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A document and when its reply was ready.
pub struct Accepted {
    pub topic: String,
    /// As the document has it.
    pub timestamp: String,
    pub at: SystemTime,
}

#[derive(Default)]
struct Seen {
    documents: AtomicU64,
    requests: AtomicU64,
    is_noting: AtomicBool,
    noted: Mutex<Vec<Accepted>>,
}

/// A server that accepts every document.
#[derive(Clone)]
pub struct Accepting {
    pub url: String,
    seen: Arc<Seen>,
}

impl Accepting {
    /// Serves on a free port of the loopback until the process ends.
    pub async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen }
    }

    pub fn documents(&self) -> u64 {
        self.seen.documents.load(Ordering::Relaxed)
    }

    /// Requests that brought documents.
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// From now on, notes what comes.
    pub fn note(&self) {
        self.seen.is_noting.store(true, Ordering::Relaxed);
    }

    pub fn take_noted(&self) -> Vec<Accepted> {
        self.seen.is_noting.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.seen.noted.lock().unwrap())
    }

    /// Returns when `count` documents more than `before` have come.
    pub async fn wait(&self, before: u64, count: u64) {
        let started = Instant::now();
        while self.documents() < before + count {
            assert!(
                started.elapsed() < Duration::from_secs(300),
                "no documents come"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn answer(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let is_bulk = path.ends_with("/_bulk");
    if parts.method == Method::HEAD || !(is_bulk || path.contains("/_doc")) {
        return reply("{}".to_owned());
    }
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let is_packed = parts
        .headers
        .get("content-encoding")
        .is_some_and(|it| it == "gzip");
    let mut unpacked = Vec::new();
    let body: &[u8] = match is_packed {
        true => {
            flate2::read::GzDecoder::new(&body[..])
                .read_to_end(&mut unpacked)
                .unwrap();
            &unpacked
        }
        false => &body,
    };
    seen.requests.fetch_add(1, Ordering::Relaxed);
    let (text, documents) = match is_bulk {
        true => bulk(body),
        false => (r#"{"_id":"1","result":"created"}"#.to_owned(), vec![body]),
    };
    if seen.is_noting.load(Ordering::Relaxed) {
        note(&seen, &documents);
    }
    seen.documents
        .fetch_add(documents.len() as u64, Ordering::Relaxed);
    reply(text)
}

/// The reply, and the lines that are documents.
fn bulk(body: &[u8]) -> (String, Vec<&[u8]>) {
    let mut lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut text = r#"{"errors":false,"items":["#.to_owned();
    let mut documents = Vec::new();
    while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
        // {"create":{"_id":"..."}}
        let id = action
            .split(|byte| *byte == b'"')
            .nth(5)
            .unwrap_or_default();
        let comma = if documents.is_empty() { "" } else { "," };
        text += &format!(
            r#"{comma}{{"create":{{"_id":"{}","status":201}}}}"#,
            String::from_utf8_lossy(id)
        );
        documents.push(document);
    }
    (text + "]}", documents)
}

fn note(seen: &Seen, documents: &[&[u8]]) {
    let at = SystemTime::now();
    let mut noted = seen.noted.lock().unwrap();
    for document in documents {
        let document: Value = serde_json::from_slice(document).unwrap();
        let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        noted.push(Accepted {
            topic: text("topic"),
            timestamp: text("@timestamp"),
            at,
        });
    }
}

fn reply(text: String) -> Response {
    // The Python client asks for both.
    let headers = [
        ("content-type", "application/json"),
        ("x-elastic-product", "Elasticsearch"),
    ];
    (headers, text).into_response()
}
