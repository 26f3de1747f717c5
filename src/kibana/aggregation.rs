//! In: a chart and a time range. Out: the body of the search that it sends to Elasticsearch.
//! Never: sends it.

use serde_json::{Map, Value, json};

use super::panel::{Chart, Filter, Measure, Operation, Order, Split};

/// The time range of a dashboard, as Kibana resolves it.
#[derive(Debug, Clone)]
pub struct Range {
    /// Any instant that Elasticsearch reads, also `now-1h`.
    pub from: String,
    pub to: String,
    /// The length of a bucket, such as `10s`.
    pub interval: String,
}

/// The whole search: filter, splits from the outside to the inside, measures.
pub fn search(chart: &Chart, time_field: &str, range: &Range) -> Value {
    let from = chart.since.unwrap_or(&range.from);
    let to = if chart.since.is_some() {
        "now"
    } else {
        &range.to
    };
    let time = json!({"range": {time_field: {"gte": from, "lte": to, "format": "strict_date_optional_time"}}});
    let filters: Vec<Value> = [time]
        .into_iter()
        .chain(chart.filter.as_ref().map(query))
        .collect();
    json!({
        "size": 0,
        "track_total_hits": true,
        "query": {"bool": {"filter": filters}},
        "aggs": aggregations(chart, time_field, &range.interval),
    })
}

/// The splits around the measures.
fn aggregations(chart: &Chart, time_field: &str, interval: &str) -> Value {
    let mut inner = measures(&chart.measures, time_field);
    for (depth, split) in chart.splits.iter().enumerate().rev() {
        let mut bucket = Map::new();
        match split {
            Split::Time => {
                let histogram =
                    json!({"field": time_field, "fixed_interval": interval, "min_doc_count": 0});
                bucket.insert("date_histogram".to_owned(), histogram);
            }
            Split::Terms {
                field, size, order, ..
            } => {
                let order = match order {
                    Order::ByName => json!({"_key": "asc"}),
                    Order::Largest(id) => json!({order_key(chart, id): "desc"}),
                    Order::Smallest(id) => json!({order_key(chart, id): "asc"}),
                };
                // An order is by a measure of the bucket itself, also where a split lies between.
                let sorting = sorting_measures(chart, split);
                if let (Value::Object(inner), Value::Object(sorting)) =
                    (&mut inner, measures(&sorting, time_field))
                {
                    inner.extend(sorting);
                }
                let terms = json!({"field": field, "size": size, "order": order});
                bucket.insert("terms".to_owned(), terms);
            }
        }
        if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
            bucket.insert("aggs".to_owned(), inner);
        }
        inner = json!({split_name(depth): bucket});
    }
    inner
}

/// The name of the split at that depth in the answer.
pub fn split_name(depth: usize) -> String {
    format!("split{depth}")
}

/// Where the order reads: a count is the bucket's own.
fn order_key(chart: &Chart, id: &str) -> String {
    match chart.measures.iter().find(|measure| measure.id == id) {
        Some(measure) if measure.operation == Operation::Count && measure.filter.is_none() => {
            "_count".to_owned()
        }
        _ => id.to_owned(),
    }
}

fn sorting_measures(chart: &Chart, split: &Split) -> Vec<Measure> {
    let Split::Terms {
        order: Order::Largest(id) | Order::Smallest(id),
        ..
    } = split
    else {
        return Vec::new();
    };
    let of_order = chart.measures.iter().filter(|measure| measure.id == *id);
    of_order.cloned().collect()
}

/// A count without a filter needs none: it is the bucket's own.
fn measures(measures: &[Measure], time_field: &str) -> Value {
    let mut aggs = Map::new();
    for measure in measures {
        let metric = metric(&measure.operation, time_field);
        let agg = match (&measure.filter, metric) {
            (None, None) => continue,
            (None, Some(metric)) => metric,
            (Some(filter), None) => json!({"filter": query(filter)}),
            (Some(filter), Some(metric)) => {
                json!({"filter": query(filter), "aggs": {"value": metric}})
            }
        };
        aggs.insert(measure.id.clone(), agg);
    }
    Value::Object(aggs)
}

/// `None` counts, which every bucket does.
fn metric(operation: &Operation, time_field: &str) -> Option<Value> {
    Some(match operation {
        Operation::Count => return None,
        Operation::Newest => json!({"max": {"field": time_field}}),
        Operation::Max(field) => json!({"max": {"field": field}}),
        Operation::Average(field) => json!({"avg": {"field": field}}),
        Operation::Unique(field) => json!({"cardinality": {"field": field}}),
        // Lens adds the filter to a last value by itself.
        Operation::Last(field) => json!({
            "filter": {"exists": {"field": field}},
            "aggs": {"hit": {"top_hits": {
                "size": 1, "_source": false, "fields": [field],
                "sort": [{time_field: {"order": "desc"}}],
            }}},
        }),
    })
}

/// As Kibana translates the filter's text.
fn query(filter: &Filter) -> Value {
    let (field, value) = match filter {
        Filter::Is(field, value) => (field, value.as_str()),
        Filter::IsNot(field, value) => (field, *value),
    };
    let is =
        json!({"bool": {"should": [{"match_phrase": {*field: value}}], "minimum_should_match": 1}});
    match filter {
        Filter::Is(..) => is,
        Filter::IsNot(..) => json!({"bool": {"must_not": is}}),
    }
}
