//! In: a name. Out: a data stream as a thing.
//! Never: deletes one: its documents go with it.

use super::request::{Body, Request};
use super::thing::{Found, Thing};
use crate::sinks::elasticsearch::{Answer, Method};

/// A data stream; its template comes before it.
#[derive(Debug, Clone)]
pub(super) struct DataStream {
    pub name: String,
}

impl DataStream {
    fn path(&self) -> String {
        format!("_data_stream/{}", self.name)
    }
}

impl Thing for DataStream {
    fn name(&self) -> String {
        format!("data stream {}", self.name)
    }

    fn look(&self) -> Request {
        Request::elasticsearch(Method::Get, self.path(), Body::Nothing)
    }

    fn judge(&self, answer: &Answer) -> Found {
        let streams = answer.body.get("data_streams").and_then(|it| it.as_array());
        match (answer.status, streams) {
            (404, _) => Found::Missing,
            (_, Some(streams)) if streams.is_empty() => Found::Missing,
            (_, Some(_)) => Found::Same,
            _ => Found::Unclear(answer.to_string()),
        }
    }

    fn make(&self) -> Request {
        Request::elasticsearch(Method::Put, self.path(), Body::Nothing)
    }

    fn take_back(&self) -> Result<Request, String> {
        Err(format!(
            "documents are never deleted here; DELETE /{} deletes them",
            self.path()
        ))
    }
}
