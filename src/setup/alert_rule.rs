//! In: one alert rule as `kibana` makes it. Out: the rule as a thing.
//! Never: changes what an operator tunes: limits, windows, whom to tell, whether it is on.

use serde_json::{Map, Value, json};

use super::difference::{in_words, missing};
use super::request::{Body, Request};
use super::thing::{Found, Thing};
use crate::kibana::Alert;
use crate::sinks::elasticsearch::{Answer, Method};

/// Parameters that make the rule what it is; the others (limit, window, size) are the operator's once it is there.
const FIXED_PARAMS: [&str; 9] = [
    "searchType",
    "esQuery",
    "index",
    "timeField",
    "aggType",
    "aggField",
    "groupBy",
    "termField",
    "thresholdComparator",
];

/// Keys of an action that Kibana shows but does not take.
const ACTION_KEYS_SHOWN: [&str; 1] = ["connector_type_id"];

/// One rule of Kibana, by its fixed id.
#[derive(Debug, Clone)]
pub(super) struct AlertRule {
    pub alert: Alert,
}

impl AlertRule {
    fn path(&self) -> String {
        format!("api/alerting/rule/{}", self.alert.id)
    }

    fn fixed(&self, rule: &Value) -> Value {
        let params = rule.get("params").and_then(Value::as_object);
        let fixed = params.into_iter().flatten();
        let fixed = fixed.filter(|(key, _)| FIXED_PARAMS.contains(&key.as_str()));
        let fixed: Map<String, Value> = fixed
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Value::Object(fixed)
    }

    /// Ours where the rule is what it is, theirs in everything else. What is not sent would fall back to a default.
    fn change(&self, theirs: &Value) -> Request {
        let mut params = theirs.get("params").cloned().unwrap_or_else(|| json!({}));
        if let (Value::Object(params), Value::Object(fixed)) =
            (&mut params, self.fixed(&self.alert.body))
        {
            params.retain(|key, _| !FIXED_PARAMS.contains(&key.as_str()));
            params.extend(fixed);
        }
        let mut body = json!({ "params": params });
        for key in [
            "name",
            "tags",
            "schedule",
            "throttle",
            "notify_when",
            "alert_delay",
            "flapping",
            "artifacts",
        ] {
            if let Some(value) = theirs.get(key).filter(|value| !value.is_null()) {
                body[key] = value.clone();
            }
        }
        let mut actions = theirs.get("actions").cloned().unwrap_or_else(|| json!([]));
        for action in actions.as_array_mut().into_iter().flatten() {
            if let Value::Object(action) = action {
                action.retain(|key, _| !ACTION_KEYS_SHOWN.contains(&key.as_str()));
            }
        }
        body["actions"] = actions;
        Request::kibana(Method::Put, self.path(), Body::Json(body))
    }
}

impl Thing for AlertRule {
    fn name(&self) -> String {
        format!("alert rule {}", self.alert.name)
    }

    fn look(&self) -> Request {
        Request::kibana(Method::Get, self.path(), Body::Nothing)
    }

    fn judge(&self, answer: &Answer) -> Found {
        if answer.status == 404 {
            return Found::Missing;
        }
        let theirs = &answer.body;
        let Some(kind) = theirs.get("rule_type_id").filter(|_| answer.is_success()) else {
            return Found::Unclear(answer.to_string());
        };
        if Some(kind) != self.alert.body.get("rule_type_id") {
            return Found::Foreign(format!(
                "a rule of another type ({kind}) has its id, {}; delete that rule in Kibana",
                self.alert.id
            ));
        }
        match missing(&self.fixed(&self.alert.body), &self.fixed(theirs)) {
            paths if paths.is_empty() => Found::Same,
            paths => Found::Differs {
                what: in_words(&paths),
                change: self.change(theirs),
            },
        }
    }

    fn make(&self) -> Request {
        let body = Body::Json(self.alert.body.clone());
        Request::kibana(Method::Post, self.path(), body)
    }

    fn is_done(&self, answer: &Answer) -> Result<(), String> {
        match answer.status {
            200..=299 => Ok(()),
            400 => Err(format!(
                "{answer}; rules that group by topic and host need Kibana 8.11 or later"
            )),
            _ => Err(answer.to_string()),
        }
    }

    fn take_back(&self) -> Result<Request, String> {
        Ok(Request::kibana(Method::Delete, self.path(), Body::Nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kibana::{Description, alerts};

    fn rule() -> AlertRule {
        let alert = alerts(&Description::default()).remove(0);
        AlertRule { alert }
    }

    fn answer(body: Value) -> Answer {
        Answer {
            status: 200,
            body,
            kind: None,
            reason: String::new(),
        }
    }

    #[test]
    fn what_the_operator_tuned_is_no_difference_and_outlives_a_change() {
        let mut theirs = rule().alert.body;
        theirs["params"]["threshold"] = json!([500_000]);
        theirs["params"]["timeWindowSize"] = json!(30);
        theirs["enabled"] = json!(false);
        theirs["name"] = json!("lag, for the night shift");
        let action = json!({"group": "query matched", "id": "mail", "params": {"to": ["ops"]}, "connector_type_id": ".email"});
        theirs["actions"] = json!([action]);
        assert_eq!(rule().judge(&answer(theirs.clone())), Found::Same);

        theirs["params"]["index"] = json!(["other"]);
        let Found::Differs { what, change } = rule().judge(&answer(theirs)) else {
            panic!("another index");
        };
        assert_eq!(what, "index");
        let Body::Json(body) = change.body else {
            panic!("{:?}", change.body);
        };
        assert_eq!(body["params"]["threshold"], json!([500_000]));
        assert_eq!(
            body["params"]["index"],
            json!(["consumer_lag", "consumer_lag-*"])
        );
        assert_eq!(body["name"], "lag, for the night shift");
        assert_eq!(body["actions"][0]["id"], "mail");
        // Kibana refuses a body with a key that it only shows.
        assert!(body["actions"][0].get("connector_type_id").is_none());
        assert!(body.get("enabled").is_none() && body.get("rule_type_id").is_none());
    }
}
