//! In: panels with their places. Out: one dashboard as a saved object.
//! Never: refers to an object that `objects` does not make.

use serde_json::{Value, json};

use super::panel::{Chart, Content, Panel};
use super::{CORE_MIGRATION_VERSION, Description, data_view, lens, vega};

/// Dashboards changed their shape in 8.9 for the last time before versions of their own began (`10.x`).
const TYPE_MIGRATION_VERSION: &str = "8.9.0";

/// Written into each panel, as Kibana 8.9 does.
const PANEL_VERSION: &str = "8.9.0";

/// The dashboard that a click on a topic opens.
const TOPIC_DASHBOARD: &str = "mirrorlag-topic";

const DRILLDOWN: &str = "DASHBOARD_TO_DASHBOARD_DRILLDOWN";

/// One dashboard, before it is written in the words of a tool.
#[derive(Debug, Clone)]
pub struct Dashboard {
    pub id: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// The start of its time range, which ends now.
    pub since: &'static str,
    pub controls: Vec<Control>,
    pub panels: Vec<Panel>,
}

/// A list to choose values of a field from.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    pub field: &'static str,
    pub title: &'static str,
    /// One value at a time.
    pub is_single: bool,
}

impl Dashboard {
    pub(super) fn saved_object(&self, description: &Description) -> Value {
        let panels: Vec<Value> = self
            .panels
            .iter()
            .map(|panel| panel_json(panel, description))
            .collect();
        let options = json!({
            "useMargins": true, "syncColors": false, "syncCursor": true, "syncTooltips": false, "hidePanelTitles": false,
        });
        let source = json!({"query": {"query": "", "language": "kuery"}, "filter": []});
        json!({
            "id": self.id,
            "type": "dashboard",
            "coreMigrationVersion": CORE_MIGRATION_VERSION,
            "typeMigrationVersion": TYPE_MIGRATION_VERSION,
            "attributes": {
                "title": self.title,
                "description": self.about,
                "version": 1,
                "timeRestore": true,
                "timeFrom": self.since,
                "timeTo": "now",
                "refreshInterval": {"pause": false, "value": 30_000},
                "optionsJSON": options.to_string(),
                "panelsJSON": Value::from(panels).to_string(),
                "controlGroupInput": self.control_group(),
                "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
            },
            "references": self.references(description),
        })
    }

    fn control_group(&self) -> Value {
        let control = |(order, control): (usize, &Control)| {
            let input = json!({
                "id": control.field, "fieldName": control.field, "title": control.title,
                "singleSelect": control.is_single, "sort": {"by": "_key", "direction": "asc"}, "enhancements": {},
            });
            let control_json = json!({
                "order": order, "width": "medium", "grow": true, "type": "optionsListControl", "explicitInput": input,
            });
            (control.field.to_owned(), control_json)
        };
        let panels: serde_json::Map<String, Value> =
            self.controls.iter().enumerate().map(control).collect();
        let parent = json!({
            "ignoreFilters": false, "ignoreQuery": false, "ignoreTimerange": false, "ignoreValidations": false,
        });
        json!({
            "controlStyle": "oneLine",
            "chainingSystem": "HIERARCHICAL",
            "panelsJSON": Value::Object(panels).to_string(),
            "ignoreParentSettingsJSON": parent.to_string(),
        })
    }

    fn references(&self, description: &Description) -> Vec<Value> {
        let mut references = Vec::new();
        let mut refer = |kind: &str, id: &str, name: String| {
            references.push(json!({"type": kind, "id": id, "name": name}));
        };
        for panel in &self.panels {
            match &panel.content {
                Content::Links => {}
                Content::Search(id) => {
                    refer("search", id, format!("{0}:panel_{0}", panel.id));
                }
                // Vega names its index in its own text.
                Content::Chart(chart) if chart.is_folded() => {}
                Content::Chart(chart) => {
                    let data_view = data_view::id(chart.documents);
                    let name = format!("{}:{}", panel.id, lens::LAYER_REFERENCE);
                    refer("index-pattern", data_view, name);
                    if chart.opens_topic {
                        let event = event_id(panel);
                        let name =
                            format!("{}:drilldown:{DRILLDOWN}:{event}:dashboardId", panel.id);
                        refer("dashboard", TOPIC_DASHBOARD, name);
                    }
                }
            }
        }
        for control in &self.controls {
            let name = format!("controlGroup_{}:optionsListDataView", control.field);
            refer(
                "index-pattern",
                data_view::id(description.every_round()),
                name,
            );
        }
        references
    }
}

fn panel_json(panel: &Panel, description: &Description) -> Value {
    let place = panel.place;
    let grid = json!({"x": place.x, "y": place.y, "w": place.w, "h": place.h, "i": panel.id});
    let (kind, mut config) = match &panel.content {
        Content::Links => ("visualization", links()),
        Content::Search(_) => ("search", json!({"enhancements": {}})),
        Content::Chart(chart) if chart.is_folded() => {
            ("visualization", folded(panel, chart, description))
        }
        Content::Chart(chart) => ("lens", by_value(panel, chart, description)),
    };
    config["hidePanelTitles"] = json!(panel.title.is_empty());
    if !panel.about.is_empty() {
        config["description"] = json!(panel.about);
    }
    if let Content::Chart(Chart {
        since: Some(since), ..
    }) = &panel.content
    {
        config["timeRange"] = json!({"from": since, "to": "now"});
    }
    let mut json = json!({
        "version": PANEL_VERSION, "type": kind, "panelIndex": panel.id, "gridData": grid,
        "title": panel.title, "embeddableConfig": config,
    });
    if matches!(panel.content, Content::Search(_)) {
        json["panelRefName"] = json!(format!("panel_{}", panel.id));
    }
    json
}

fn by_value(panel: &Panel, chart: &Chart, description: &Description) -> Value {
    let data_view = data_view::id(chart.documents);
    let attributes = lens::attributes(panel, chart, data_view, &description.time_field);
    let mut enhancements = json!({});
    if chart.opens_topic {
        enhancements = json!({"dynamicActions": {"events": [{
            "eventId": event_id(panel),
            "triggers": ["FILTER_TRIGGER"],
            "action": {
                "factoryId": DRILLDOWN, "name": "Open the topic",
                "config": {"useCurrentFilters": true, "useCurrentDateRange": true, "openInNewTab": false},
            },
        }]}});
    }
    json!({"attributes": attributes, "enhancements": enhancements})
}

/// The drilldown's id: fixed, so that a second import changes nothing.
fn event_id(panel: &Panel) -> String {
    format!("open-topic-{}", panel.id)
}

fn folded(panel: &Panel, chart: &Chart, description: &Description) -> Value {
    let index = description.index_pattern(chart.documents);
    let specification = vega::specification(chart, &index, &description.time_field);
    let params = json!({"spec": format!("{specification:#}")});
    saved_vis("vega", &panel.title, &params)
}

/// Addresses within the page, so that they hold in every space and behind every path.
fn links() -> Value {
    let text = "[Overview](#/view/mirrorlag-overview) · [Topic](#/view/mirrorlag-topic) · \
                [MirrorMaker](#/view/mirrorlag-mirrormaker)";
    let params = json!({"markdown": text, "fontSize": 14, "openLinksInNewTab": false});
    saved_vis("markdown", "", &params)
}

fn saved_vis(kind: &str, title: &str, params: &Value) -> Value {
    json!({
        "enhancements": {},
        "savedVis": {
            "id": "", "title": title, "description": "", "type": kind, "params": params, "uiState": {},
            "data": {"aggs": [], "searchSource": {"query": {"query": "", "language": "kuery"}, "filter": []}},
        },
    })
}
