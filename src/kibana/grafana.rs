//! In: the panels of the overview and the topic dashboard. Out: the same for Grafana and its Elasticsearch data source.
//! Never: asks another question than the panel's description, but for what Grafana cannot ask, which it leaves out.

use serde_json::{Value, json};

use super::color::{Steps, hex};
use super::dashboard::Dashboard;
use super::grafana_targets::{lucene, of_table, source, target, targets, variables};
use super::panel::{Chart, Color, Content, Measure, Operation, Panel, Place, Shape, Unit};
use super::{Description, dashboards};

/// Grafana 9.1 and later read it, and migrate it themselves.
const SCHEMA_VERSION: u16 = 36;

/// Documents that a table of the latest ones shows.
const DOCUMENTS_MAX: u16 = 200;

/// The name of the file and its content.
pub fn grafana_dashboards(description: &Description) -> Vec<(&'static str, Value)> {
    let files = [
        ("mirrorlag-overview", "overview"),
        ("mirrorlag-topic", "topic"),
    ];
    let dashboards = dashboards(description).into_iter();
    dashboards
        .filter_map(|dashboard| {
            let (_, file) = files.iter().find(|(id, _)| *id == dashboard.id)?;
            Some((*file, dashboard_json(&dashboard, description)))
        })
        .collect()
}

fn dashboard_json(dashboard: &Dashboard, description: &Description) -> Value {
    let panels = dashboard
        .panels
        .iter()
        .filter(|panel| !matches!(panel.content, Content::Links));
    let panels: Vec<Value> = panels
        .enumerate()
        .map(|(at, panel)| panel_json(at + 1, panel, description))
        .collect();
    let link = |title: &str, uid: &str| {
        json!({
            "title": title, "type": "link", "icon": "dashboard", "tooltip": "", "url": format!("/d/{uid}"), "tags": [],
            "asDropdown": false, "targetBlank": false, "includeVars": true, "keepTime": true,
        })
    };
    json!({
        "uid": dashboard.id,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["mirrorlag", "kafka"],
        "editable": true,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": dashboard.since, "to": "now"},
        "refresh": "30s",
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [link("Overview", "mirrorlag-overview"), link("Topic", "mirrorlag-topic")],
        "templating": {"list": variables()},
        "panels": panels,
    })
}

/// Kibana's 48 columns are 24 here, and three of its rows are two.
fn grid(place: Place) -> Value {
    let y = place.y * 2 / 3;
    let end = (place.y + place.h) * 2 / 3;
    json!({"x": place.x / 2, "y": y, "w": place.w / 2, "h": end - y})
}

fn panel_json(id: usize, panel: &Panel, description: &Description) -> Value {
    let (kind, targets, mut defaults, overrides, options) = match &panel.content {
        Content::Chart(chart) => drawn(chart, description),
        Content::Search(_) | Content::Links => latest_documents(description),
    };
    defaults["mappings"] = json!([]);
    let mut json = json!({
        "id": id, "type": kind, "title": panel.title, "description": panel.about,
        "gridPos": grid(panel.place), "datasource": source(), "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": overrides}, "options": options,
        "transformations": [],
    });
    if let Content::Chart(Chart {
        since: Some(since), ..
    }) = &panel.content
    {
        json["timeFrom"] = json!(since.trim_start_matches("now-"));
    }
    json
}

type Drawn = (&'static str, Vec<Value>, Value, Vec<Value>, Value);

fn latest_documents(description: &Description) -> Drawn {
    let metrics =
        json!([{"id": "1", "type": "raw_data", "settings": {"size": DOCUMENTS_MAX.to_string()}}]);
    let target = target("A", &lucene(&[]), metrics, json!([]), "", description);
    (
        "table",
        vec![target],
        json!({}),
        Vec::new(),
        json!({"showHeader": true}),
    )
}

fn drawn(chart: &Chart, description: &Description) -> Drawn {
    let unit = chart.measures.first().map(|measure| unit(measure.unit));
    let mut defaults = json!({"unit": unit});
    if let Some(thresholds) = chart.measures.first().and_then(thresholds) {
        defaults["thresholds"] = thresholds;
        defaults["color"] = json!({"mode": "thresholds"});
    }
    let reduce = |calculation: &str| {
        json!({
            "reduceOptions": {"calcs": [calculation], "fields": "", "values": false},
            "orientation": "auto", "colorMode": "value", "graphMode": "none", "textMode": "value", "justifyMode": "auto",
        })
    };
    let targets = targets(chart, description);
    match chart.shape {
        Shape::Number => ("stat", targets, defaults, Vec::new(), reduce("lastNotNull")),
        Shape::Sum => ("stat", targets, defaults, Vec::new(), reduce("sum")),
        Shape::FieldBars => {
            let options = json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "orientation": "horizontal", "displayMode": "basic", "showUnfilled": true,
            });
            ("bargauge", targets, defaults, Vec::new(), options)
        }
        Shape::HeatMap => {
            let options = json!({
                "rowHeight": 0.9, "colWidth": 1.0, "showValue": "never",
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "single", "sort": "none"},
            });
            ("status-history", targets, defaults, Vec::new(), options)
        }
        Shape::Lines | Shape::StackedBars => over_time(chart, targets, defaults),
        Shape::Table => table(chart, targets, &description.time_field),
    }
}

fn over_time(chart: &Chart, targets: Vec<Value>, mut defaults: Value) -> Drawn {
    let is_bars = chart.shape == Shape::StackedBars;
    defaults["custom"] = json!({
        "drawStyle": if is_bars { "bars" } else { "line" },
        "fillOpacity": if is_bars { 80 } else { 0 },
        "lineWidth": 1, "showPoints": "never",
        // A gap is a number that was not known.
        "spanNulls": false,
        "stacking": {"group": "A", "mode": if is_bars { "normal" } else { "none" }},
    });
    defaults["color"] = json!({"mode": "palette-classic"});
    let colored = chart.measures.iter().filter_map(|measure| match measure.color {
        Color::Always(meaning) => Some(json!({
            "matcher": {"id": "byName", "options": measure.label},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": hex(meaning)}}],
        })),
        _ => None,
    });
    let options = json!({
        "legend": {"displayMode": "list", "placement": "right", "showLegend": true, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    });
    ("timeseries", targets, defaults, colored.collect(), options)
}

fn table(chart: &Chart, targets: Vec<Value>, time_field: &str) -> Drawn {
    let mut overrides = Vec::new();
    for measure in of_table(chart) {
        let mut properties = vec![
            json!({"id": "displayName", "value": measure.label}),
            json!({"id": "unit", "value": unit(measure.unit)}),
        ];
        if let Some(thresholds) = thresholds(measure) {
            properties.push(json!({"id": "thresholds", "value": thresholds}));
            properties.push(json!({"id": "custom.displayMode", "value": "color-background"}));
        }
        let name = column_name(&measure.operation, time_field);
        overrides
            .push(json!({"matcher": {"id": "byName", "options": name}, "properties": properties}));
    }
    if chart.opens_topic {
        let url = "/d/mirrorlag-topic?var-topic=${__value.text}&${__url_time_range}";
        let links = json!([{"title": "Open the topic", "url": url, "targetBlank": false}]);
        overrides.push(json!({
            "matcher": {"id": "byName", "options": "topic"},
            "properties": [{"id": "links", "value": links}],
        }));
    }
    (
        "table",
        targets,
        json!({}),
        overrides,
        json!({"showHeader": true}),
    )
}

/// As Grafana names the column of a metric.
fn column_name(operation: &Operation, time_field: &str) -> String {
    let field = operation.field().unwrap_or(time_field);
    match operation {
        Operation::Count => "Count".to_owned(),
        Operation::Newest | Operation::Max(_) => format!("Max {field}"),
        Operation::Average(_) => format!("Average {field}"),
        Operation::Unique(_) => format!("Unique Count {field}"),
        Operation::Last(_) => field.to_owned(),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Records | Unit::Count => "short",
        Unit::Milliseconds => "ms",
        Unit::Instant => "dateTimeAsIso",
        Unit::Text => "string",
    }
}

fn thresholds(measure: &Measure) -> Option<Value> {
    let Color::ByValue(Steps(steps)) = &measure.color else {
        return None;
    };
    // Grafana's first step has no beginning; what lies below the first of ours has no colour.
    let mut grafana_steps = Vec::new();
    if steps.first().is_some_and(|(from, _)| *from > 0) {
        grafana_steps.push(json!({"color": "transparent", "value": null}));
    }
    for (from, meaning) in steps {
        let value = (*from > 0).then_some(from);
        grafana_steps.push(json!({"color": hex(*meaning), "value": value}));
    }
    Some(json!({"mode": "absolute", "steps": grafana_steps}))
}
