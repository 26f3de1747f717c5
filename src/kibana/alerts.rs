//! In: limits and topics. Out: rules for Kibana's `POST /api/alerting/rule/<id>`, one body each.
//! Never: adds an action: whom to tell is the operator's.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Description;
use super::panel::{Documents, Filter};

/// The most groups that Kibana lets a rule watch.
const GROUPS_MAX: u16 = 1000;

/// Rounds that may fail in the window before somebody is told: a single one comes and goes.
const ROUNDS_MAX: u16 = 2;

/// One rule: where it is created and with what.
#[derive(Debug, Clone)]
pub struct Alert {
    /// The stem of its file.
    pub name: String,
    /// A UUID, fixed by the name: a second creation is refused as a conflict, and changes nothing.
    pub id: String,
    pub body: Value,
}

/// Lag, rounds without numbers, nobody mirroring, silence of all, and silence of each topic that is named.
pub fn alerts(description: &Description) -> Vec<Alert> {
    let minutes = description.minutes.max(1);
    let limit = description.lag_limit;
    let grouped =
        |fields: &[&str]| json!({"groupBy": "top", "termField": fields, "termSize": GROUPS_MAX});
    let per_topic = || grouped(&["topic", "mirror_host"]);
    let all = json!({"groupBy": "all"});
    let (of_what, field, groups) = match description.every_round() {
        Documents::Topics => ("topic", "lag_total", per_topic()),
        // The smallest lag of a topic's partitions says nothing of the topic.
        Documents::Partitions => (
            "partition",
            "lag",
            grouped(&["topic", "mirror_host", "partition"]),
        ),
    };
    let mut alerts = vec![
        alert(
            description,
            "lag",
            &format!("lag of a {of_what} over {limit} records for {minutes} minutes"),
            json!({"exists": {"field": field}}),
            // The smallest lag of the window: a sawtooth that comes down between two commits is no alarm.
            &json!({"aggType": "min", "aggField": field, "thresholdComparator": ">", "threshold": [limit]}),
            &groups,
        ),
        alert(
            description,
            "outcome",
            &format!("a topic without numbers more than {ROUNDS_MAX} times in {minutes} minutes"),
            query(&Filter::without_numbers()),
            &more_than_rounds(),
            &per_topic(),
        ),
        alert(
            description,
            "nobody-mirrors",
            &format!(
                "a group without active members more than {ROUNDS_MAX} times in {minutes} minutes"
            ),
            once_per_round(description, &Filter::is("group_state", "empty")),
            &more_than_rounds(),
            &grouped(&["group", "mirror_host"]),
        ),
        alert(
            description,
            "silence",
            &format!("no document at all for {minutes} minutes"),
            json!({"match_all": {}}),
            &none(),
            &all,
        ),
    ];
    alerts.extend(
        description
            .topics
            .iter()
            .map(|topic| silence(description, topic)),
    );
    alerts
}

/// A rule that groups by topic sees the topics that are there: that one is missing takes a rule which knows its name.
fn silence(description: &Description, topic: &str) -> Alert {
    let minutes = description.minutes.max(1);
    alert(
        description,
        &format!("silence-{topic}"),
        &format!("no document of {topic} for {minutes} minutes"),
        query(&Filter::is("topic", topic)),
        &none(),
        &json!({"groupBy": "all"}),
    )
}

fn more_than_rounds() -> Value {
    json!({"aggType": "count", "thresholdComparator": ">", "threshold": [ROUNDS_MAX]})
}

fn none() -> Value {
    json!({"aggType": "count", "thresholdComparator": "<", "threshold": [1]})
}

/// A round with numbers leaves a document per partition; the first partition, which every topic has, stands for all.
fn once_per_round(description: &Description, filter: &Filter) -> Value {
    match description.every_round() {
        Documents::Topics => query(filter),
        Documents::Partitions => {
            json!({"bool": {"filter": [query(filter), {"term": {"partition": 0}}]}})
        }
    }
}

fn query(filter: &Filter) -> Value {
    match filter {
        Filter::Is(field, value) => json!({"term": {*field: value}}),
        Filter::IsNot(field, value) => json!({"bool": {"must_not": {"term": {*field: value}}}}),
    }
}

fn alert(
    description: &Description,
    name: &str,
    title: &str,
    query: Value,
    condition: &Value,
    groups: &Value,
) -> Alert {
    let pattern = description.index_pattern(description.every_round());
    let indices: Vec<&str> = pattern.split(',').collect();
    let mut params = json!({
        "searchType": "esQuery",
        "esQuery": json!({"query": query}).to_string(),
        "index": indices,
        "timeField": description.time_field,
        "timeWindowSize": description.minutes.max(1),
        "timeWindowUnit": "m",
        "size": 10,
        // The window is judged whole each time.
        "excludeHitsFromPreviousRun": false,
    });
    for part in [condition, groups] {
        if let (Value::Object(params), Value::Object(part)) = (&mut params, part) {
            params.extend(part.clone());
        }
    }
    Alert {
        name: name.to_owned(),
        id: uuid(name, description.space.as_deref()),
        body: json!({
            "name": format!("mirrorlag: {title}"),
            "tags": ["mirrorlag"],
            "consumer": "stackAlerts",
            "rule_type_id": ".es-query",
            "schedule": {"interval": "1m"},
            "enabled": true,
            "params": params,
            "actions": [],
        }),
    }
}

/// Kibana wants a UUID of version 4, unique over all spaces; this one is made of the name and the space.
fn uuid(name: &str, space: Option<&str>) -> String {
    let digest = match space {
        None => Sha256::digest(format!("mirrorlag alert {name}")),
        // A topic cannot have a blank in its name, so that no other rule has this text.
        Some(space) => Sha256::digest(format!("mirrorlag alert {name} of {space}")),
    };
    let mut hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.replace_range(12..13, "4");
    hex.replace_range(16..17, "8");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts: Vec<&str> = parts.into_iter().filter_map(|part| hex.get(part)).collect();
    parts.join("-")
}
