//! In: one saved object as `kibana` makes it. Out: the object as a thing: a data view, a saved search, a dashboard.
//! Never: touches an object that has not our fixed id: copies are their owners'.

use serde_json::{Value, json};

use super::difference::{in_words, missing};
use super::request::{Body, Request};
use super::thing::{Found, Thing};
use crate::sinks::elasticsearch::{Answer, Method};

/// One object of Kibana, by its fixed id.
#[derive(Debug, Clone)]
pub(super) struct SavedObject {
    pub object: Value,
}

impl SavedObject {
    fn text(&self, pointer: &str) -> &str {
        let text = self.object.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default()
    }

    fn kind(&self) -> &'static str {
        match self.text("/type") {
            "index-pattern" => "data view",
            "search" => "saved search",
            _ => "dashboard",
        }
    }

    fn import(&self) -> Request {
        let path = "api/saved_objects/_import?overwrite=true";
        Request::kibana(Method::Post, path, Body::File(vec![self.object.clone()]))
    }
}

impl Thing for SavedObject {
    fn name(&self) -> String {
        let title = match self.text("/attributes/name") {
            "" => self.text("/attributes/title"),
            name => name,
        };
        format!("{} {title}", self.kind())
    }

    /// The export: of the ways to read an object the one that every version has and none is about to drop.
    fn look(&self) -> Request {
        let object = json!({"type": self.text("/type"), "id": self.text("/id")});
        let body = json!({"objects": [object], "excludeExportDetails": true, "includeReferencesDeep": false});
        let path = "api/saved_objects/_export";
        Request::kibana(Method::Post, path, Body::Json(body))
    }

    fn judge(&self, answer: &Answer) -> Found {
        // "Cannot export": the one object that was asked for is not there.
        let is_missing = answer
            .body
            .pointer("/attributes/objects/0/error/statusCode");
        if answer.status == 404 || is_missing == Some(&json!(404)) {
            return Found::Missing;
        }
        if !answer.is_success() || answer.body.get("attributes").is_none() {
            return Found::Unclear(format!(
                "{answer}; compare the versions: this needs Kibana 8.9 or later"
            ));
        }
        let pick = |object: &Value| {
            let part = |key: &str| object.get(key).cloned().unwrap_or_default();
            json!({"attributes": part("attributes"), "references": sorted(part("references"))})
        };
        match missing(&pick(&self.object), &pick(&answer.body)) {
            paths if paths.is_empty() => Found::Same,
            paths => {
                let paths: Vec<String> = paths
                    .iter()
                    .map(|path| path.trim_start_matches("attributes.").to_owned())
                    .collect();
                Found::Differs {
                    what: format!("replaced: {}", in_words(&paths)),
                    change: self.import(),
                }
            }
        }
    }

    fn make(&self) -> Request {
        self.import()
    }

    /// HTTP 200 says nothing: `success` does.
    fn is_done(&self, answer: &Answer) -> Result<(), String> {
        if !answer.is_success() {
            return Err(answer.to_string());
        }
        if answer.body.get("success") != Some(&json!(true)) {
            return Err(import_errors(&answer.body));
        }
        let elsewhere = answer.body.pointer("/successResults/0/destinationId");
        match elsewhere.and_then(Value::as_str) {
            None => Ok(()),
            Some(id) => Err(format!(
                "imported under another id, {id}: an object of another space has ours; delete both, then type the command again"
            )),
        }
    }

    fn take_back(&self) -> Result<Request, String> {
        let (kind, id) = (self.text("/type"), self.text("/id"));
        // Also where it is shared into other spaces: ours is ours there too.
        let path = format!("api/saved_objects/{kind}/{id}?force=true");
        Ok(Request::kibana(Method::Delete, path, Body::Nothing))
    }
}

/// References are a set: Kibana gives them back in an order of its own.
fn sorted(references: Value) -> Value {
    match references {
        Value::Array(mut references) => {
            references.sort_by_key(|reference| {
                let name = reference.get("name").and_then(Value::as_str);
                name.unwrap_or_default().to_owned()
            });
            Value::Array(references)
        }
        other => other,
    }
}

/// `errors[]` of an import, in words.
fn import_errors(body: &Value) -> String {
    let errors = body.get("errors").and_then(Value::as_array);
    let lines = errors.into_iter().flatten().map(|error| {
        let text = |pointer: &str| error.pointer(pointer).and_then(Value::as_str);
        let kind = text("/error/type").unwrap_or("unknown");
        let about = match text("/error/message").or_else(|| text("/error/reason")) {
            Some(message) => format!("{kind}: {message}"),
            None => kind.to_owned(),
        };
        let references = error
            .pointer("/error/references")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|it| it.get("id")?.as_str());
        let references: Vec<&str> = references.collect();
        match references.is_empty() {
            true => about,
            false => format!("{about} ({})", references.join(", ")),
        }
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => "Kibana reports no success and no error; look into its log".to_owned(),
        false => format!(
            "Kibana refuses the import: {}; mend it there, then type the command again",
            lines.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: Value) -> Answer {
        Answer {
            status,
            body,
            kind: None,
            reason: String::new(),
        }
    }

    fn dashboard() -> SavedObject {
        SavedObject {
            object: json!({"type": "dashboard", "id": "mirrorlag-overview",
                "attributes": {"title": "mirrorlag: overview", "panelsJSON": "[{\"a\":1}]"},
                "references": [{"name": "b", "type": "x", "id": "1"}, {"name": "a", "type": "x", "id": "2"}]}),
        }
    }

    #[test]
    fn an_import_that_answers_200_without_success_has_failed_and_says_why() {
        let body = json!({"success": false, "successCount": 0, "errors": [{"id": "mirrorlag-overview", "type": "dashboard",
            "error": {"type": "missing_references", "references": [{"type": "index-pattern", "id": "mirrorlag-consumer-lag"}]}}]});
        let said = dashboard().is_done(&answer(200, body)).unwrap_err();
        assert_eq!(
            said,
            "Kibana refuses the import: missing_references (mirrorlag-consumer-lag); mend it there, then type the command again"
        );
        assert!(
            dashboard()
                .is_done(&answer(200, json!({"success": true})))
                .is_ok()
        );
    }

    #[test]
    fn what_kibana_adds_or_sorts_anew_is_no_difference_and_an_edit_is() {
        let mut theirs = dashboard().object;
        theirs["updated_at"] = json!("2026-11-20T10:00:00Z");
        theirs["attributes"]["panelsJSON"] = json!("[{\"b\":2,\"a\":1}]");
        theirs["references"].as_array_mut().unwrap().reverse();
        assert_eq!(dashboard().judge(&answer(200, theirs.clone())), Found::Same);
        theirs["attributes"]["panelsJSON"] = json!("[{\"a\":7}]");
        let Found::Differs { what, .. } = dashboard().judge(&answer(200, theirs)) else {
            panic!("an edit");
        };
        assert_eq!(what, "replaced: panelsJSON.0.a");
    }
}
