//! In: a method, a path and a body. Out: one request to one server, as it is sent and as it is printed.
//! Never: holds a credential, an address, or the name of a space.

use std::fmt;

use serde_json::Value;

use crate::sinks::elasticsearch::Method;

/// Whom a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Server {
    Elasticsearch,
    Kibana,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Nothing,
    Json(Value),
    /// A file with one object per line, as the part `file` of a form.
    File(Vec<Value>),
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub server: Server,
    pub method: Method,
    /// With its query, without address, space and leading slash: `_index_template/consumer_lag`.
    pub path: String,
    pub body: Body,
}

/// Why there is no answer: one line, with the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// No request to this server would fare better.
    Server(String),
    /// This request is not for this user; another may be.
    Thing(String),
}

impl Request {
    pub(super) fn elasticsearch(method: Method, path: impl Into<String>, body: Body) -> Self {
        Self {
            server: Server::Elasticsearch,
            method,
            path: path.into(),
            body,
        }
    }

    pub(super) fn kibana(method: Method, path: impl Into<String>, body: Body) -> Self {
        Self {
            server: Server::Kibana,
            method,
            path: path.into(),
            body,
        }
    }

    /// The method as HTTP writes it.
    pub fn verb(&self) -> &'static str {
        match self.method {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Head => "HEAD",
        }
    }
}

impl fmt::Display for Body {
    /// Indented JSON; a file as it is, without the last line's end; nothing for nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Json(value) => write!(f, "{value:#}"),
            Self::File(objects) => {
                for (number, object) in objects.iter().enumerate() {
                    let end = if number == 0 { "" } else { "\n" };
                    write!(f, "{end}{object}")?;
                }
                Ok(())
            }
        }
    }
}
