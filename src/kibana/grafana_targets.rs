//! In: a chart. Out: the queries that Grafana's Elasticsearch data source asks for it, and the variables that filter them.
//! Never: decides how the answer is drawn.

use serde_json::{Value, json};

use super::Description;
use super::panel::{Chart, Filter, Measure, Operation, Order, Shape, Split};

/// Variables of both dashboards, in the order in which they stand above them.
const VARIABLES: [(&str, &str); 4] = [
    ("topic", "Topic"),
    ("group", "Consumer group"),
    ("cluster", "Cluster"),
    ("mirror_host", "MirrorMaker host"),
];

pub(super) fn source() -> Value {
    json!({"type": "elasticsearch", "uid": "${datasource}"})
}

pub(super) fn variables() -> Vec<Value> {
    let mut list = vec![json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "elasticsearch",
        "hide": 0, "refresh": 1, "skipUrlSync": false, "multi": false, "includeAll": false,
    })];
    for (field, label) in VARIABLES {
        // Documents without the field stay in: a host need not have a cluster.
        let every = format!("* OR (NOT _exists_:{field})");
        list.push(json!({
            "name": field, "label": label, "type": "query", "datasource": source(),
            "query": json!({"find": "terms", "field": field}).to_string(),
            "hide": 0, "refresh": 2, "sort": 1, "skipUrlSync": false,
            "multi": true, "includeAll": true, "allValue": every,
            "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        }));
    }
    list
}

/// What the variables leave, and what the panel and the measure want of it.
pub(super) fn lucene(filters: &[Option<&Filter>]) -> String {
    let variables = VARIABLES.map(|(field, _)| format!("({field}:${field})"));
    let own = filters
        .iter()
        .flatten()
        .map(|filter| format!("({})", filter.lucene()));
    let all: Vec<String> = variables.into_iter().chain(own).collect();
    all.join(" AND ")
}

/// A table asks once, so all its columns have one filter: that of the last measure that has one. It has no last words: they take a licence.
pub(super) fn of_table(chart: &Chart) -> Vec<&Measure> {
    let filter = chart.measures.iter().rev().find_map(|m| match m.operation {
        Operation::Newest => m.filter.as_ref(),
        _ => None,
    });
    let numbers = chart
        .measures
        .iter()
        .filter(|m| !matches!(m.operation, Operation::Last(_)));
    numbers.filter(|m| m.filter.as_ref() == filter).collect()
}

/// One target per filter: Grafana filters a whole query.
pub(super) fn targets(chart: &Chart, description: &Description) -> Vec<Value> {
    let measures: Vec<&Measure> = match chart.shape {
        Shape::Table => of_table(chart),
        _ => chart.measures.iter().collect(),
    };
    let mut groups: Vec<(Option<&Filter>, Vec<&Measure>)> = Vec::new();
    for measure in measures {
        let filter = measure.filter.as_ref();
        match groups.iter_mut().find(|(of_group, _)| *of_group == filter) {
            Some((_, group)) => group.push(measure),
            None => groups.push((filter, vec![measure])),
        }
    }
    let letters = ('A'..='Z').map(String::from);
    letters
        .zip(groups)
        .map(|(letter, (filter, group))| {
            let query = lucene(&[chart.filter.as_ref(), filter]);
            let metrics: Vec<Value> = (1..)
                .zip(&group)
                .map(|(id, measure)| metric(id, measure, description))
                .collect();
            let buckets = buckets(chart, &group, description);
            let alias = alias(chart, &group);
            target(
                &letter,
                &query,
                Value::from(metrics),
                buckets,
                &alias,
                description,
            )
        })
        .collect()
}

fn alias(chart: &Chart, group: &[&Measure]) -> String {
    let terms = chart.splits.iter().find_map(|split| match split {
        Split::Terms { field, .. } => Some(format!("{{{{{field}}}}}")),
        Split::Time => None,
    });
    match (terms, group) {
        (Some(terms), _) => terms,
        (None, [one]) => one.label.clone(),
        (None, _) => "{{field}}".to_owned(),
    }
}

pub(super) fn target(
    letter: &str,
    query: &str,
    metrics: Value,
    buckets: Value,
    alias: &str,
    description: &Description,
) -> Value {
    json!({
        "refId": letter, "datasource": source(), "query": query, "alias": alias,
        "metrics": metrics, "bucketAggs": buckets, "timeField": description.time_field,
    })
}

fn metric(id: usize, measure: &Measure, description: &Description) -> Value {
    let field = measure.operation.field().unwrap_or(&description.time_field);
    let kind = match measure.operation {
        Operation::Count => return json!({"id": id.to_string(), "type": "count"}),
        Operation::Newest | Operation::Max(_) | Operation::Last(_) => "max",
        Operation::Average(_) => "avg",
        Operation::Unique(_) => "cardinality",
    };
    json!({"id": id.to_string(), "type": kind, "field": field})
}

fn buckets(chart: &Chart, group: &[&Measure], description: &Description) -> Value {
    let mut buckets: Vec<Value> = Vec::new();
    let first_id = group.len() + 1;
    for split in &chart.splits {
        let id = (first_id + buckets.len()).to_string();
        buckets.push(match split {
            Split::Time => json!({
                "id": id, "type": "date_histogram", "field": description.time_field,
                "settings": {"interval": "auto", "min_doc_count": "0", "trimEdges": "0"},
            }),
            Split::Terms { field, size, order, .. } => {
                let place = |id: &str| group.iter().position(|measure| measure.id == id);
                let (by, direction) = match order {
                    Order::ByName => ("_term".to_owned(), "asc"),
                    Order::Largest(id) | Order::Smallest(id) => {
                        let is_count = |at: &usize| group.get(*at).is_some_and(|m| m.operation == Operation::Count);
                        let by = match place(id) {
                            Some(at) if is_count(&at) => "_count".to_owned(),
                            Some(at) => (at + 1).to_string(),
                            None => "_term".to_owned(),
                        };
                        (by, if matches!(order, Order::Largest(_)) { "desc" } else { "asc" })
                    }
                };
                json!({
                    "id": id, "type": "terms", "field": field,
                    "settings": {"size": size.to_string(), "min_doc_count": "1", "orderBy": by, "order": direction},
                })
            }
        });
    }
    // Grafana wants a bucket around a number; one that holds everything is the whole time range.
    if buckets.is_empty() {
        let everything = json!({"filters": [{"query": "*", "label": "all"}]});
        buckets
            .push(json!({"id": first_id.to_string(), "type": "filters", "settings": everything}));
    }
    Value::from(buckets)
}
