//! In: the indices of a name and the body that each should be made with. Out: a composable index template as a thing.
//! Never: overwrites a template that lacks our mark.

use serde_json::{Value, json};

use super::difference::{either, flat_settings, in_words, missing};
use super::request::{Body, Request};
use super::thing::{Found, MANAGED_BY, Thing};
use crate::sinks::elasticsearch::{Answer, Method};

/// Above the templates that come with the server (up to 200), so that ours decides for our names.
const PRIORITY: u16 = 500;

/// A composable template: whoever makes an index of these names makes it with our mapping.
#[derive(Debug, Clone)]
pub(super) struct IndexTemplate {
    pub name: String,
    /// Wildcards of the names.
    pub patterns: Vec<String>,
    /// Body of an index: mappings, settings, aliases.
    pub index: Value,
    /// The names are of data streams.
    pub is_data_stream: bool,
    /// What only a template has beside an index: `{"data_retention": "30d"}`.
    pub lifecycle: Option<Value>,
    /// Name of the lifecycle policy of each index.
    pub policy: Option<String>,
}

impl IndexTemplate {
    /// The body of the request.
    pub fn body(&self) -> Value {
        let mut template = self.index.clone();
        if let Some(policy) = &self.policy {
            let mut settings = flat_settings(template.get("settings").unwrap_or(&Value::Null));
            settings["index.lifecycle.name"] = json!(policy);
            template["settings"] = settings;
        }
        if let Some(lifecycle) = &self.lifecycle {
            template["lifecycle"] = lifecycle.clone();
        }
        let mut body = json!({
            "index_patterns": self.patterns,
            "priority": PRIORITY,
            "template": template,
            "_meta": {"managed_by": MANAGED_BY},
        });
        if self.is_data_stream {
            body["data_stream"] = json!({});
        }
        body
    }

    fn path(&self) -> String {
        format!("_index_template/{}", self.name)
    }

    fn differences(&self, theirs: &Value) -> Vec<String> {
        let (mut ours, mut theirs) = (self.body(), theirs.clone());
        let mut paths = Vec::new();
        // A template is ours as a whole: what is in it beyond ours, an older version put there.
        let part = |body: &mut Value, key: &str| {
            let template = body.get_mut("template").and_then(Value::as_object_mut);
            template
                .and_then(|template| template.remove(key))
                .unwrap_or(Value::Null)
        };
        let settings = [&mut ours, &mut theirs].map(|body| flat_settings(&part(body, "settings")));
        let named = |key: &str, paths: Vec<String>| -> Vec<String> {
            let named = paths.into_iter().map(|path| match path.as_str() {
                "" => key.to_owned(),
                path => format!("{key}.{path}"),
            });
            named.collect()
        };
        let [our, their] = &settings;
        paths.extend(named("settings", either(our, their)));
        let [our, their] = [&mut ours, &mut theirs].map(|body| match part(body, "mappings") {
            Value::Null => json!({}),
            mappings => mappings,
        });
        paths.extend(named("mappings", either(&our, &their)));
        for (pointer, key) in [
            ("/data_stream", "data_stream"),
            ("/template/lifecycle", "lifecycle"),
        ] {
            let has = |body: &Value| body.pointer(pointer).is_some_and(|it| !it.is_null());
            if has(&theirs) && !has(&ours) {
                paths.push(key.to_owned());
            }
        }
        paths.extend(missing(&ours, &theirs));
        paths
    }
}

impl Thing for IndexTemplate {
    fn name(&self) -> String {
        format!("index template {}", self.name)
    }

    fn look(&self) -> Request {
        Request::elasticsearch(Method::Get, self.path(), Body::Nothing)
    }

    fn judge(&self, answer: &Answer) -> Found {
        if answer.status == 404 {
            return Found::Missing;
        }
        let Some(theirs) = answer.body.pointer("/index_templates/0/index_template") else {
            return Found::Unclear(answer.to_string());
        };
        if theirs.pointer("/_meta/managed_by") != Some(&json!(MANAGED_BY)) {
            return Found::Foreign(format!(
                "it belongs to somebody else (no \"managed_by\": \"{MANAGED_BY}\" in its _meta); ask who made it, then DELETE /{} or write another index",
                self.path()
            ));
        }
        match self.differences(theirs) {
            paths if paths.is_empty() => Found::Same,
            paths => Found::Differs {
                what: in_words(&paths),
                change: self.make(),
            },
        }
    }

    fn make(&self) -> Request {
        Request::elasticsearch(Method::Put, self.path(), Body::Json(self.body()))
    }

    fn is_done(&self, answer: &Answer) -> Result<(), String> {
        if answer.is_success() {
            return Ok(());
        }
        let mend = match answer.reason.contains("same priority") {
            true => "; ask who made that template, then give it another priority or delete it",
            false => "",
        };
        Err(format!("{answer}{mend}"))
    }

    fn take_back(&self) -> Result<Request, String> {
        let path = self.path();
        Ok(Request::elasticsearch(Method::Delete, path, Body::Nothing))
    }
}
