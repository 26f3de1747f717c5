//! In: a request to a port of this machine. Out: status and JSON of the answer.
//! Never: uses the collector's client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Status and body; a body that is not JSON is null. Without a user, no credentials are sent.
#[track_caller]
pub fn request(
    port: u16,
    user: Option<(&str, &str)>,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let body = body.map(Value::to_string).unwrap_or_default();
    request_text(port, user, method, path, &body)
}

/// The same with a body that is not one JSON value: the lines of a bulk.
#[track_caller]
pub fn request_text(
    port: u16,
    user: Option<(&str, &str)>,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, Value) {
    let sent = send(port, user, method, path, body);
    let text = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{method} {path}: not HTTP: {head:?}"));
    let body = match head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        true => without_chunks(body),
        false => body.to_owned(),
    };
    // Not every answer is JSON; who needs one sees that it is missing.
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// HTTP/1.0, so that the end of the connection is the end of the answer.
fn send(
    port: u16,
    user: Option<(&str, &str)>,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<String> {
    let authorization = user.map(|(user, password)| {
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        format!("Authorization: Basic {credentials}\r\n")
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        authorization.unwrap_or_default(),
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Elasticsearch sends chunks also to a client that says HTTP/1.0: a size in hex, a line feed, so many bytes, a line feed.
fn without_chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
