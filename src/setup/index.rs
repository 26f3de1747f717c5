//! In: the name of an index and the body it should be made with. Out: the index as a thing.
//! Never: deletes an index, changes the type of a field that exists.

use serde_json::{Map, Value, json};

use super::request::{Body, Request};
use super::thing::{Found, Thing};
use crate::finding::Verdict;
use crate::sinks::elasticsearch::{Answer, Method, is_partition_field};

/// Fields that a line names; the rest is counted.
const FIELDS_MAX: usize = 4;

/// One index, or an alias or data stream of that name that leads to some.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub name: String,
    pub body: Value,
    /// What its mapping is worth to the documents that it is for.
    pub judge_mapping: fn(&Value) -> Verdict,
    /// How much room its fields leave; `None` where documents bring no new ones.
    pub judge_fields: Option<fn(&Value) -> Verdict>,
}

impl Index {
    /// Fields of ours that an index lacks, but for those that its own dynamic template gives the same type.
    fn missing_fields(&self, theirs: &Value) -> Map<String, Value> {
        let templates = theirs.get("dynamic_templates").and_then(Value::as_array);
        let has_template = |name: &str| {
            let mut templates = templates.into_iter().flatten();
            templates.any(|template| template.get(name).is_some())
        };
        let is_dynamic = has_template("partitions");
        let ours = self.body.pointer("/mappings/properties");
        let ours = ours.and_then(Value::as_object).into_iter().flatten();
        let missing = ours.filter(|(field, _)| {
            let known = theirs.get("properties").and_then(|it| it.get(field));
            known.is_none() && !(is_dynamic && is_partition_field(field))
        });
        missing
            .map(|(field, property)| (field.clone(), property.clone()))
            .collect()
    }

    fn room(&self, answer: &Value) -> Found {
        match self.judge_fields.map(|judge| judge(answer)) {
            Some(Verdict::Warned { what, mend }) => Found::Kept(format!("{what}; {mend}")),
            _ => Found::Same,
        }
    }

    fn change(&self, index: &str, fields: Map<String, Value>) -> Found {
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        let named = names
            .iter()
            .take(FIELDS_MAX)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let what = match names.len().saturating_sub(FIELDS_MAX) {
            0 => format!("new fields {named}"),
            more => format!("new fields {named} and {more} more"),
        };
        let body = Body::Json(json!({"properties": fields}));
        let path = format!("{index}/_mapping");
        Found::Differs {
            what,
            change: Request::elasticsearch(Method::Put, path, body),
        }
    }
}

impl Thing for Index {
    fn name(&self) -> String {
        format!("index {}", self.name)
    }

    fn look(&self) -> Request {
        Request::elasticsearch(Method::Get, self.name.clone(), Body::Nothing)
    }

    fn judge(&self, answer: &Answer) -> Found {
        if answer.status == 404 {
            return Found::Missing;
        }
        let Some(indices) = answer.body.as_object().filter(|_| answer.is_success()) else {
            return Found::Unclear(answer.to_string());
        };
        match (self.judge_mapping)(&answer.body) {
            Verdict::Passed(_) | Verdict::Skipped(_) => {}
            Verdict::Warned { what, mend } => return Found::Kept(format!("{what}; {mend}")),
            Verdict::Failed { why, mend } => return Found::Unclear(format!("{why}; {mend}")),
        }
        // An alias of several indices is as its makers want it: which of them is written to is not ours to say.
        let mut indices = indices.iter();
        let (Some((name, index)), None) = (indices.next(), indices.next()) else {
            return Found::Same;
        };
        let mappings = index.get("mappings").unwrap_or(&Value::Null);
        match self.missing_fields(mappings) {
            fields if fields.is_empty() => self.room(&answer.body),
            fields => self.change(name, fields),
        }
    }

    fn make(&self) -> Request {
        let body = Body::Json(self.body.clone());
        Request::elasticsearch(Method::Put, self.name.clone(), body)
    }

    fn take_back(&self) -> Result<Request, String> {
        Err(format!(
            "documents are never deleted here; DELETE /{} deletes them",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        Index {
            name: "consumer_lag".to_owned(),
            body: json!({"mappings": {"properties": {
                "topic": {"type": "keyword"}, "cluster": {"type": "keyword"}, "p0": {"type": "long"}}}}),
            judge_mapping: crate::sinks::elasticsearch::judge_mapping,
            judge_fields: Some(crate::sinks::elasticsearch::judge_fields),
        }
    }

    #[test]
    fn an_index_that_has_hardly_room_for_more_partitions_is_left_with_the_mend() {
        let mut properties = json!({"topic": {"type": "keyword"}, "cluster": {"type": "keyword"}});
        for partition in 0..900 {
            properties[format!("p{partition}")] = json!({"type": "long"});
        }
        let with = |settings: Value| {
            let index = json!({"mappings": {"properties": properties}, "settings": settings});
            index_of(index)
        };
        let Found::Kept(why) = with(json!({})) else {
            panic!("902 of 1000 fields");
        };
        assert!(why.contains("902 of 1000 fields are mapped"), "{why}");
        assert!(why.contains("layout: partitions"), "{why}");
        let raised = json!({"index": {"mapping": {"total_fields": {"limit": "5000"}}}});
        assert_eq!(with(raised), Found::Same);
    }

    fn index_of(there: Value) -> Found {
        index().judge(&Answer::ok(json!({"consumer_lag": there})))
    }

    #[test]
    fn a_new_field_is_added_to_an_index_and_a_partition_that_its_template_maps_is_not() {
        let with = |mappings: Value| {
            index().judge(&Answer::ok(json!({"consumer_lag": {"mappings": mappings}})))
        };
        let topic = json!({"topic": {"type": "keyword"}});
        let found = with(
            json!({"dynamic_templates": [{"partitions": {"mapping": {"type": "long"}}}], "properties": topic}),
        );
        let Found::Differs { what, change } = found else {
            panic!("{found:?}");
        };
        assert_eq!(what, "new fields cluster");
        assert_eq!(change.path, "consumer_lag/_mapping");
        let found = with(json!({"properties": topic}));
        let Found::Differs { what, .. } = found else {
            panic!("{found:?}");
        };
        assert_eq!(what, "new fields cluster, p0");
    }

    #[test]
    fn an_older_mapping_is_left_and_an_alias_of_several_indices_too() {
        let older = json!({"properties": {"topic": {"type": "text"}, "p0": {"type": "integer"}}});
        let found = index().judge(&Answer::ok(json!({"consumer_lag": {"mappings": older}})));
        assert!(matches!(found, Found::Kept(_)), "{found:?}");
        let plain = json!({"mappings": {"properties": {"topic": {"type": "keyword"}}}});
        let found = index().judge(&Answer::ok(json!({"a": plain, "b": plain})));
        assert_eq!(found, Found::Same);
    }
}
