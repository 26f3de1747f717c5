//! In: how long documents are kept, and how long one index is written to. Out: a lifecycle policy that deletes indices, as a thing.
//! Never: makes a policy for an index without a date, which it would delete with everything in it.

use std::time::Duration;

use serde_json::{Value, json};

use super::difference::{either, in_words};
use super::request::{Body, Request};
use super::thing::{Found, MANAGED_BY, Thing};
use crate::sinks::elasticsearch::{Answer, Method, Period};

const DAY_S: u64 = 24 * 60 * 60;

/// A lifecycle policy (ILM) with nothing but a phase that deletes.
#[derive(Debug, Clone)]
pub(super) struct LifecyclePolicy {
    pub name: String,
    pub retain_for: Duration,
    pub period: Period,
}

impl LifecyclePolicy {
    /// Days after its creation at which an index may go.
    ///
    /// Elasticsearch counts from the creation of the index, which is when its first document comes; its last one comes a whole period later,
    /// and must be kept for `retain_for` too.
    fn days(&self) -> u64 {
        let period = match self.period {
            Period::Year => 366,
            Period::Month => 31,
            Period::Day => 1,
        };
        self.retain_for.as_secs().div_ceil(DAY_S) + period
    }

    /// The body of the request.
    pub fn body(&self) -> Value {
        let age = format!("{}d", self.days());
        json!({"policy": {
            "phases": {"delete": {"min_age": age, "actions": {"delete": {}}}},
            "_meta": {"managed_by": MANAGED_BY},
        }})
    }

    fn path(&self) -> String {
        format!("_ilm/policy/{}", self.name)
    }
}

impl Thing for LifecyclePolicy {
    fn name(&self) -> String {
        format!("lifecycle policy {}", self.name)
    }

    fn look(&self) -> Request {
        Request::elasticsearch(Method::Get, self.path(), Body::Nothing)
    }

    fn judge(&self, answer: &Answer) -> Found {
        if answer.status == 404 {
            return Found::Missing;
        }
        let theirs = answer.body.get(&self.name).and_then(|it| it.get("policy"));
        let Some(theirs) = theirs else {
            return Found::Unclear(answer.to_string());
        };
        if theirs.pointer("/_meta/managed_by") != Some(&json!(MANAGED_BY)) {
            return Found::Foreign(format!(
                "it belongs to somebody else (no \"managed_by\": \"{MANAGED_BY}\" in its _meta); ask who made it, then DELETE /{}",
                self.path()
            ));
        }
        let phases = |policy: &Value| {
            let mut phases = policy.get("phases").cloned().unwrap_or_default();
            // A default that servers write out; without it, the same.
            if let Some(delete) = phases.pointer_mut("/delete/actions/delete") {
                *delete = json!({});
            }
            phases
        };
        let body = self.body();
        let ours = body.get("policy").map(phases).unwrap_or_default();
        match either(&ours, &phases(theirs)) {
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

    fn take_back(&self) -> Result<Request, String> {
        let path = self.path();
        Ok(Request::elasticsearch(Method::Delete, path, Body::Nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `min_age` is counted from the creation of an index, and its youngest document is a period younger: with `retain_for` alone, the index
    /// of November, made on the 1st, would go on December 1st after thirty days, with documents of yesterday.
    #[test]
    fn the_youngest_document_of_an_index_is_kept_for_the_whole_time() {
        let age = |retain_days: u64, period| {
            let policy = LifecyclePolicy {
                name: "mirrorlag-consumer_lag".to_owned(),
                retain_for: Duration::from_secs(retain_days * DAY_S),
                period,
            };
            let body = policy.body();
            body["policy"]["phases"]["delete"]["min_age"].clone()
        };
        assert_eq!(age(30, Period::Month), "61d");
        assert_eq!(age(30, Period::Day), "31d");
        assert_eq!(age(30, Period::Year), "396d");
    }

    #[test]
    fn part_of_a_day_is_a_day() {
        let policy = LifecyclePolicy {
            name: "a".to_owned(),
            retain_for: Duration::from_secs(DAY_S + 1),
            period: Period::Day,
        };
        assert_eq!(policy.days(), 3);
    }
}
