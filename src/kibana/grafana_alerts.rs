//! In: limits. Out: a provisioning file with Grafana's alert rules, as YAML.
//! Never: adds a contact point: whom to tell is the operator's.

use serde_json::{Value, json};

use super::Description;
use super::panel::{Documents, Filter};

/// The uid that the operator gives the data source, or writes here.
const DATA_SOURCE: &str = "mirrorlag-elasticsearch";

/// Seconds that one evaluation looks back: room for one round of a source that is asked each minute.
const WINDOW_SECONDS: u16 = 120;

const COMMENT: &str = "# Alert rules of mirrorlag for Grafana: put this file into provisioning/alerting.\n\
    # datasourceUid is the uid of the Elasticsearch data source: give it this one, or write yours here.\n";

/// The rules of `alerts`, but for silence, which Grafana knows of every rule: `noDataState`.
pub fn grafana_alerts(description: &Description) -> String {
    let limit = description.lag_limit;
    let minutes = description.minutes;
    let rule = Rule {
        description,
        minutes,
    };
    let (of_what, field, groups): (_, _, &[&str]) = match description.every_round() {
        Documents::Topics => ("topic", "lag_total", &["topic", "mirror_host"]),
        Documents::Partitions => ("partition", "lag", &["topic", "mirror_host", "partition"]),
    };
    let per_topic: &[&str] = &["topic", "mirror_host"];
    let rules = [
        rule.json(
            "mirrorlag-lag",
            &format!("Lag of a {of_what} over {limit} records for {minutes} minutes"),
            (&format!("{field}:*"), groups),
            // The smallest of the window: a sawtooth that comes down between two commits is no alarm.
            &json!({"id": "1", "type": "min", "field": field}),
            limit,
            "OK",
        ),
        rule.json(
            "mirrorlag-outcome",
            &format!("A topic without numbers for {minutes} minutes"),
            (&Filter::without_numbers().lucene(), per_topic),
            &json!({"id": "1", "type": "count"}),
            0,
            "OK",
        ),
        rule.json(
            "mirrorlag-nobody-mirrors",
            &format!("A group without active members for {minutes} minutes"),
            (&Filter::is("group_state", "empty").lucene(), per_topic),
            &json!({"id": "1", "type": "count"}),
            0,
            "OK",
        ),
        rule.silence(),
    ];
    let group = json!({
        "orgId": 1, "name": "mirrorlag", "folder": "mirrorlag", "interval": "1m", "rules": rules,
    });
    let file = json!({"apiVersion": 1, "groups": [group]});
    // JSON without a float or a key that is no text has no way to fail here.
    let yaml = serde_yaml::to_string(&file).unwrap_or_default();
    format!("{COMMENT}{yaml}")
}

struct Rule<'a> {
    description: &'a Description,
    minutes: u16,
}

impl Rule<'_> {
    /// Fires per group of the query's documents, such as a topic of a host, when the number stays above the limit.
    fn json(
        &self,
        uid: &str,
        title: &str,
        (query, groups): (&str, &[&str]),
        metric: &Value,
        above: u64,
        no_data: &str,
    ) -> Value {
        let terms = |id: &str, field: &str| {
            json!({"id": id, "type": "terms", "field": field,
                "settings": {"size": "0", "min_doc_count": "1", "orderBy": "_term", "order": "asc"}})
        };
        let ids = 2..;
        let mut buckets: Vec<Value> = ids
            .zip(groups)
            .map(|(id, field)| terms(&id.to_string(), field))
            .collect();
        buckets.push(self.by_time(&(groups.len() + 2).to_string()));
        let buckets = Value::from(buckets);
        let reducer = if metric["type"] == "min" {
            "min"
        } else {
            "sum"
        };
        let condition = json!({"type": "gt", "params": [above]});
        self.rule(
            uid,
            title,
            &self.question(query, metric, &buckets),
            reducer,
            &condition,
            no_data,
        )
    }

    /// Fires when nothing comes at all.
    fn silence(&self) -> Value {
        let buckets = json!([self.by_time("2")]);
        let question = self.question("*", &json!({"id": "1", "type": "count"}), &buckets);
        let title = format!("No document at all for {} minutes", self.minutes);
        let condition = json!({"type": "lt", "params": [1]});
        self.rule(
            "mirrorlag-silence",
            &title,
            &question,
            "sum",
            &condition,
            "Alerting",
        )
    }

    fn by_time(&self, id: &str) -> Value {
        json!({"id": id, "type": "date_histogram", "field": self.description.time_field,
            "settings": {"interval": "auto", "min_doc_count": "0"}})
    }

    fn question(&self, query: &str, metric: &Value, buckets: &Value) -> Value {
        json!({
            "refId": "A", "query": query, "metrics": [metric], "bucketAggs": buckets,
            "timeField": self.description.time_field, "intervalMs": 10_000, "maxDataPoints": 1000,
        })
    }

    fn rule(
        &self,
        uid: &str,
        title: &str,
        question: &Value,
        reducer: &str,
        condition: &Value,
        no_data: &str,
    ) -> Value {
        let step = |id: &str, source: &str, from: u16, model: &Value| json!({"refId": id, "datasourceUid": source, "relativeTimeRange": {"from": from, "to": 0}, "model": model});
        let reduce = json!({
            "refId": "B", "type": "reduce", "expression": "A", "reducer": reducer, "settings": {"mode": "dropNN"},
        });
        let compare = json!({
            "refId": "C", "type": "threshold", "expression": "B", "conditions": [{"evaluator": condition}],
        });
        json!({
            "uid": uid, "title": title, "condition": "C",
            "data": [
                step("A", DATA_SOURCE, WINDOW_SECONDS, question),
                step("B", "__expr__", 0, &reduce),
                step("C", "__expr__", 0, &compare),
            ],
            "for": format!("{}m", self.minutes), "noDataState": no_data, "execErrState": "Error",
            "annotations": {"summary": title}, "labels": {"source": "mirrorlag"},
        })
    }
}
