//! In: the attributes of a Lens visualization, as Kibana would read them. Out: the aggregations that Lens sends for its columns.
//! Never: looks at the panel's description: this is the other way to the same question.

use serde_json::{Map, Value, json};

/// Aggregations named as `mirrorlag::kibana::aggregation` names them.
pub fn aggregations(attributes: &Value, interval: &str) -> Value {
    let layers = attributes["state"]["datasourceStates"]["formBased"]["layers"].as_object();
    let layers = layers.expect("layers");
    assert_eq!(layers.len(), 1, "one layer");
    let layer = layers.values().next().unwrap();
    let order = layer["columnOrder"].as_array().unwrap().iter();
    let columns = order.map(|id| {
        let id = id.as_str().unwrap();
        (id, &layer["columns"][id])
    });
    let (buckets, metrics): (Vec<_>, Vec<_>) =
        columns.partition(|(_, column)| column["isBucketed"] == true);
    let all: Map<String, Value> = metrics
        .iter()
        .filter_map(|(id, column)| Some(((*id).to_owned(), metric(column)?)))
        .collect();
    let mut inner = Value::Object(all.clone());
    for (id, column) in buckets.into_iter().rev() {
        let mut bucket = match column["operationType"].as_str().unwrap() {
            "date_histogram" => {
                assert_eq!(
                    column["params"]["includeEmptyRows"], true,
                    "a gap stays a gap"
                );
                json!({"date_histogram": {
                    "field": column["sourceField"], "fixed_interval": interval, "min_doc_count": 0,
                }})
            }
            "terms" => {
                let by = &column["params"]["orderBy"];
                let direction = &column["params"]["orderDirection"];
                let by = match by["columnId"].as_str() {
                    None => "_key",
                    // A count without a filter is the bucket's own.
                    Some(id) if !all.contains_key(id) => "_count",
                    Some(id) => {
                        inner[id] = all[id].clone();
                        id
                    }
                };
                json!({"terms": {
                    "field": column["sourceField"], "size": column["params"]["size"], "order": {by: direction},
                }})
            }
            other => panic!("{other} is not asked here"),
        };
        if !inner.as_object().unwrap().is_empty() {
            bucket["aggs"] = inner;
        }
        inner = json!({id: bucket});
    }
    inner
}

fn metric(column: &Value) -> Option<Value> {
    let field = &column["sourceField"];
    let metric = match column["operationType"].as_str().unwrap() {
        "count" => {
            assert_eq!(*field, "___records___");
            None
        }
        "max" => Some(json!({"max": {"field": field}})),
        "average" => Some(json!({"avg": {"field": field}})),
        "unique_count" => Some(json!({"cardinality": {"field": field}})),
        "last_value" => {
            let hit = json!({"top_hits": {
                "size": 1, "_source": false, "fields": [field],
                "sort": [{column["params"]["sortField"].as_str().unwrap(): {"order": "desc"}}],
            }});
            let text = column["filter"]["query"].as_str().unwrap();
            assert_eq!(text, format!("{}: *", field.as_str().unwrap()));
            return Some(json!({"filter": {"exists": {"field": field}}, "aggs": {"hit": hit}}));
        }
        other => panic!("{other} is not asked here"),
    };
    let Some(text) = column["filter"]["query"].as_str() else {
        return metric;
    };
    let filter = kuery(text);
    Some(match metric {
        None => json!({"filter": filter}),
        Some(metric) => json!({"filter": filter, "aggs": {"value": metric}}),
    })
}

/// `field: "value"` and `not field: "value"`, as Kibana's parser makes a query of them.
pub fn kuery(text: &str) -> Value {
    if let Some(rest) = text.strip_prefix("not ") {
        return json!({"bool": {"must_not": kuery(rest)}});
    }
    let (field, value) = text.split_once(": ").expect("field: value");
    let value: String = serde_json::from_str(value).expect("a value in quotes");
    json!({"bool": {"should": [{"match_phrase": {field: value}}], "minimum_should_match": 1}})
}
