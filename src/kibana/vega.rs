//! In: a chart with a field per partition. Out: the Vega-Lite text that draws it: Lens wants a field to split by, these documents have none.
//! Never: draws a partition that has no number.

use serde_json::{Map, Value, json};

use super::color::{Steps, hex};
use super::panel::{Chart, Color, Operation, Shape};

/// Buckets that a heat map asks for; Kibana rounds the interval to a usual one.
const BUCKETS: u16 = 80;

const SCHEMA: &str = "https://vega.github.io/schema/vega-lite/v5.json";

/// The specification, with Kibana's own words for the time range and the filters of the dashboard.
pub(super) fn specification(chart: &Chart, index: &str, time_field: &str) -> Value {
    match chart.shape {
        Shape::FieldBars => bars(chart, index, time_field),
        _ => heat_map(chart, index, time_field),
    }
}

/// The measures' aggregations by the names of their fields.
fn fields(chart: &Chart) -> Map<String, Value> {
    let maxima = chart
        .measures
        .iter()
        .filter_map(|measure| match &measure.operation {
            Operation::Max(field) => Some((measure.id.clone(), json!({"max": {"field": field}}))),
            _ => None,
        });
    maxima.collect()
}

/// `p7.value` of an answer as partition 7; a partition without a value falls away.
fn folded(chart: &Chart) -> Vec<Value> {
    let ids = chart.measures.iter();
    let paths: Vec<String> = ids.map(|m| format!("{}.value", m.id)).collect();
    vec![
        json!({"fold": paths, "as": ["path", "lag"]}),
        json!({"filter": "isValid(datum.lag)"}),
        json!({"calculate": "toNumber(slice(split(datum.path, '.')[0], 1))", "as": "partition"}),
    ]
}

fn color(chart: &Chart) -> Value {
    let steps = chart.measures.first().map(|measure| &measure.color);
    let Some(Color::ByValue(Steps(steps))) = steps else {
        return json!({"value": "#6092C0"});
    };
    let colors: Vec<&str> = steps.iter().map(|(_, meaning)| hex(*meaning)).collect();
    let bounds: Vec<u64> = steps.iter().skip(1).map(|(from, _)| *from).collect();
    json!({
        "field": "lag", "type": "quantitative", "title": "Lag (records)",
        "scale": {"type": "threshold", "domain": bounds, "range": colors},
    })
}

fn heat_map(chart: &Chart, index: &str, time_field: &str) -> Value {
    let histogram = json!({
        "field": time_field,
        // Kibana knows its word for the interval under this name only, and writes `fixed_interval` in its place.
        "interval": {"%autointerval%": BUCKETS},
        "min_doc_count": 0,
    });
    // The width of a cell is the way to the next bucket, of the last one the way from the bucket before.
    let mut transform = vec![
        json!({"window": [
            {"op": "lead", "field": "key", "as": "next"}, {"op": "lag", "field": "key", "as": "before"},
        ], "sort": [{"field": "key", "order": "ascending"}]}),
        json!({"calculate": "isValid(datum.next) ? datum.next : isValid(datum.before) ? 2 * datum.key - datum.before : datum.key + 1000", "as": "end"}),
    ];
    transform.extend(folded(chart));
    json!({
        "$schema": SCHEMA,
        "data": {
            "url": {
                "%context%": true, "%timefield%": time_field, "index": index,
                "body": {"size": 0, "aggs": {"time": {"date_histogram": histogram, "aggs": fields(chart)}}},
            },
            "format": {"property": "aggregations.time.buckets"},
        },
        "transform": transform,
        "mark": {"type": "rect", "tooltip": true},
        "encoding": {
            "x": {"field": "key", "type": "temporal", "title": null},
            "x2": {"field": "end"},
            "y": {"field": "partition", "type": "ordinal", "title": "Partition", "sort": "ascending"},
            "color": color(chart),
            "tooltip": [
                {"field": "partition", "type": "ordinal", "title": "Partition"},
                {"field": "key", "type": "temporal", "title": "From", "format": "%Y-%m-%d %H:%M:%S"},
                {"field": "lag", "type": "quantitative", "title": "Largest lag (records)", "format": ","},
            ],
        },
    })
}

fn bars(chart: &Chart, index: &str, time_field: &str) -> Value {
    json!({
        "$schema": SCHEMA,
        "data": {
            "url": {
                "%context%": true, "%timefield%": time_field, "index": index,
                "body": {"size": 0, "aggs": fields(chart)},
            },
            // The aggregations as one row.
            "format": {"property": "aggregations"},
        },
        "transform": folded(chart),
        "mark": {"type": "bar", "tooltip": true},
        "encoding": {
            "y": {"field": "partition", "type": "ordinal", "title": "Partition", "sort": "ascending"},
            "x": {"field": "lag", "type": "quantitative", "title": "Largest lag (records)"},
            "color": color(chart),
            "tooltip": [
                {"field": "partition", "type": "ordinal", "title": "Partition"},
                {"field": "lag", "type": "quantitative", "title": "Largest lag (records)", "format": ","},
            ],
        },
    })
}
