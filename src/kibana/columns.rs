//! In: splits and measures of a chart. Out: the columns of a Lens layer that ask for them.
//! Never: decides how they are drawn.

use serde_json::{Map, Value, json};

use super::aggregation::split_name;
use super::panel::{Chart, Measure, Operation, Order, Split, Unit};

/// `columns` and `columnOrder` of the layer: buckets first, outermost first, as Lens nests them.
pub(super) fn columns(chart: &Chart, time_field: &str) -> (Map<String, Value>, Vec<String>) {
    let mut columns = Map::new();
    let mut order = Vec::new();
    for (depth, split) in chart.splits.iter().enumerate() {
        let id = split_name(depth);
        columns.insert(id.clone(), split_column(split, time_field));
        order.push(id);
    }
    for measure in &chart.measures {
        columns.insert(measure.id.clone(), measure_column(measure, time_field));
        order.push(measure.id.clone());
    }
    (columns, order)
}

fn split_column(split: &Split, time_field: &str) -> Value {
    match split {
        Split::Time => json!({
            "label": time_field, "dataType": "date", "operationType": "date_histogram",
            "sourceField": time_field, "isBucketed": true, "scale": "interval",
            // An empty bucket is drawn as a gap: a line through it would be a number that nobody printed.
            "params": {"interval": "auto", "includeEmptyRows": true, "dropPartials": false},
        }),
        Split::Terms {
            field,
            label,
            size,
            order,
        } => {
            let (by, direction) = match order {
                Order::ByName => (json!({"type": "alphabetical", "fallback": false}), "asc"),
                Order::Largest(id) => (json!({"type": "column", "columnId": id}), "desc"),
                Order::Smallest(id) => (json!({"type": "column", "columnId": id}), "asc"),
            };
            let (kind, scale) = match *field {
                "partition" => ("number", "interval"),
                _ => ("string", "ordinal"),
            };
            json!({
                "label": label, "customLabel": true, "dataType": kind, "operationType": "terms",
                "sourceField": field, "isBucketed": true, "scale": scale,
                "params": {
                    "size": size, "orderBy": by, "orderDirection": direction,
                    "otherBucket": false, "missingBucket": false, "parentFormat": {"id": "terms"},
                },
            })
        }
    }
}

fn measure_column(measure: &Measure, time_field: &str) -> Value {
    let (operation, field, mut params) = match &measure.operation {
        Operation::Count => ("count", "___records___", json!({"emptyAsNull": false})),
        Operation::Newest => ("max", time_field, json!({})),
        Operation::Max(field) => ("max", field.as_str(), json!({})),
        Operation::Average(field) => ("average", *field, json!({})),
        Operation::Unique(field) => ("unique_count", *field, json!({"emptyAsNull": false})),
        // As an array, so that Elasticsearch is asked for the document itself, which every licence has.
        Operation::Last(field) => (
            "last_value",
            *field,
            json!({"sortField": time_field, "showArrayValues": true}),
        ),
    };
    let (kind, scale) = match measure.unit {
        Unit::Instant => ("date", "ratio"),
        Unit::Text => ("string", "ordinal"),
        Unit::Records | Unit::Milliseconds | Unit::Count => ("number", "ratio"),
    };
    if let (Some(format), Value::Object(params)) = (format(measure.unit), &mut params) {
        params.insert("format".to_owned(), format);
    }
    let mut column = json!({
        "label": measure.label, "customLabel": true, "dataType": kind, "operationType": operation,
        "sourceField": field, "isBucketed": false, "scale": scale, "params": params,
    });
    let filter = match (&measure.filter, &measure.operation) {
        (Some(filter), _) => Some(filter.kuery()),
        (None, Operation::Last(field)) => Some(format!("{field}: *")),
        (None, _) => None,
    };
    if let (Some(text), Value::Object(column)) = (filter, &mut column) {
        let query = json!({"query": text, "language": "kuery"});
        column.insert("filter".to_owned(), query);
    }
    column
}

fn format(unit: Unit) -> Option<Value> {
    match unit {
        Unit::Records => Some(json!({"id": "number", "params": {"decimals": 1, "compact": true}})),
        Unit::Milliseconds => {
            Some(json!({"id": "number", "params": {"decimals": 0, "suffix": " ms"}}))
        }
        Unit::Count => Some(json!({"id": "number", "params": {"decimals": 0}})),
        Unit::Instant | Unit::Text => None,
    }
}
