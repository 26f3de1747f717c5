//! In: a chart that Lens has a shape for. Out: the attributes of a Lens visualization, by value.
//! Never: asks for anything that the chart's description does not say.

use serde_json::{Value, json};

use super::aggregation::split_name;
use super::color::{Steps, hex};
use super::columns::columns;
use super::panel::{Chart, Color, Measure, Operation, Panel, Shape, Split, Unit};

const LAYER: &str = "layer";

/// The name under which a panel refers to its data view, in the panel and, behind the panel's id, in the dashboard.
pub(super) const LAYER_REFERENCE: &str = "indexpattern-datasource-layer-layer";

pub(super) fn attributes(panel: &Panel, chart: &Chart, data_view: &str, time_field: &str) -> Value {
    let (columns, order) = columns(chart, time_field);
    let query = chart.filter.as_ref().map(|filter| filter.kuery());
    let (kind, visualization) = visualization(chart);
    json!({
        "title": panel.title,
        "description": panel.about,
        "type": "lens",
        "visualizationType": kind,
        "references": [{"type": "index-pattern", "id": data_view, "name": LAYER_REFERENCE}],
        "state": {
            "visualization": visualization,
            "query": {"query": query.unwrap_or_default(), "language": "kuery"},
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {LAYER: {
                "columns": columns, "columnOrder": order, "incompleteColumns": {},
            }}}},
            "internalReferences": [],
            "adHocDataViews": {},
        },
    })
}

fn visualization(chart: &Chart) -> (&'static str, Value) {
    match chart.shape {
        Shape::Number | Shape::Sum => ("lnsMetric", number(chart)),
        Shape::Lines | Shape::StackedBars | Shape::FieldBars => ("lnsXY", axes(chart)),
        Shape::Table => ("lnsDatatable", table(chart)),
        Shape::HeatMap => ("lnsHeatmap", heat_map(chart)),
    }
}

fn first_id(chart: &Chart) -> Option<&str> {
    chart.measures.first().map(|measure| measure.id.as_str())
}

fn number(chart: &Chart) -> Value {
    let mut state =
        json!({"layerId": LAYER, "layerType": "data", "metricAccessor": first_id(chart)});
    if chart.shape == Shape::Sum {
        state["breakdownByAccessor"] = json!(split_name(0));
        state["collapseFn"] = json!("sum");
    }
    if let Some(palette) = chart.measures.first().and_then(palette) {
        state["palette"] = palette;
    }
    state
}

fn axes(chart: &Chart) -> Value {
    let series = match chart.shape {
        Shape::StackedBars => "bar_stacked",
        _ => "line",
    };
    let ids: Vec<&str> = chart.measures.iter().map(|m| m.id.as_str()).collect();
    let mut layer = json!({
        "layerId": LAYER, "layerType": "data", "seriesType": series, "accessors": ids,
        "showGridlines": false, "yConfig": colors(&chart.measures),
    });
    for (depth, split) in chart.splits.iter().enumerate() {
        let is_time = *split == Split::Time;
        let role = if is_time {
            "xAccessor"
        } else {
            "splitAccessor"
        };
        layer[role] = json!(split_name(depth));
    }
    let shown = json!({"x": true, "yLeft": true, "yRight": true});
    json!({
        "preferredSeriesType": series,
        "layers": [layer],
        // A single host is worth its name, a single measure has it on the axis.
        "legend": {"isVisible": true, "position": "right", "showSingleSeries": chart.splits.len() > 1},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": false, "yLeft": true, "yRight": true},
        "tickLabelsVisibilitySettings": shown,
        "gridlinesVisibilitySettings": shown,
        "yLeftExtent": {"mode": "full"},
        "yTitle": chart.measures.first().map(|m| axis_title(chart, m)),
    })
}

/// With several measures the legend names them, and the axis says what they have in common.
fn axis_title(chart: &Chart, measure: &Measure) -> String {
    match (chart.measures.len(), &measure.operation, measure.unit) {
        (1, ..) => measure.label.clone(),
        (_, Operation::Unique("topic"), _) => "Topics".to_owned(),
        (_, Operation::Unique(field), _) => format!("Different values of {field}"),
        (_, _, Unit::Records) => "Records".to_owned(),
        (_, _, Unit::Milliseconds) => "Milliseconds".to_owned(),
        (_, _, Unit::Count | Unit::Instant | Unit::Text) => "Rounds".to_owned(),
    }
}

fn colors(measures: &[Measure]) -> Vec<Value> {
    let color = |measure: &Measure| {
        let mut config = json!({"forAccessor": measure.id, "axisMode": "left"});
        if let Color::Always(meaning) = measure.color {
            config["color"] = json!(hex(meaning));
        }
        config
    };
    measures.iter().map(color).collect()
}

fn table(chart: &Chart) -> Value {
    let splits = (0..chart.splits.len())
        .map(|depth| json!({"columnId": split_name(depth), "oneClickFilter": chart.opens_topic && depth == 0}));
    let measures = chart.measures.iter().map(|measure| {
        let mut column = json!({"columnId": measure.id, "alignment": "right"});
        if measure.unit == Unit::Text {
            column["alignment"] = json!("left");
        }
        if let Some(palette) = palette(measure) {
            column["colorMode"] = json!("cell");
            column["palette"] = palette;
        }
        column
    });
    let columns: Vec<Value> = splits.chain(measures).collect();
    json!({
        "layerId": LAYER, "layerType": "data", "columns": columns,
        "rowHeight": "single", "rowHeightLines": 1,
        "paging": {"size": 20, "enabled": true},
    })
}

fn heat_map(chart: &Chart) -> Value {
    let mut state = json!({
        "layerId": LAYER, "layerType": "data", "shape": "heatmap",
        "valueAccessor": first_id(chart),
        "legend": {"type": "heatmap_legend", "isVisible": true, "position": "right"},
        "gridConfig": {
            "type": "heatmap_grid", "isCellLabelVisible": false,
            "isXAxisLabelVisible": true, "isXAxisTitleVisible": false,
            "isYAxisLabelVisible": true, "isYAxisTitleVisible": true,
        },
    });
    for (depth, split) in chart.splits.iter().enumerate() {
        let is_time = *split == Split::Time;
        let role = if is_time { "xAccessor" } else { "yAccessor" };
        state[role] = json!(split_name(depth));
    }
    if let Some(palette) = chart.measures.first().and_then(palette) {
        state["palette"] = palette;
    }
    state
}

/// Kibana keeps each step twice: where it begins (`colorStops`) and where it ends (`stops`).
fn palette(measure: &Measure) -> Option<Value> {
    let Color::ByValue(Steps(steps)) = &measure.color else {
        return None;
    };
    let begins = steps.iter().map(|(from, _)| *from);
    let last = begins.clone().next_back().unwrap_or_default();
    let ends = begins.clone().skip(1).chain([last.saturating_add(1)]);
    let stops = |values: Vec<u64>| -> Vec<Value> {
        let both = values.into_iter().zip(steps);
        both.map(|(stop, (_, meaning))| json!({"color": hex(*meaning), "stop": stop}))
            .collect()
    };
    Some(json!({
        "type": "palette", "name": "custom",
        "params": {
            "name": "custom", "reverse": false, "rangeType": "number", "progression": "fixed",
            "rangeMin": begins.clone().next(), "rangeMax": null, "continuity": "above",
            "steps": steps.len(), "maxSteps": 5,
            "colorStops": stops(begins.collect()), "stops": stops(ends.collect()),
        },
    }))
}
