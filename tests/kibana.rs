//! What Kibana and Grafana import, checked object by object against what is published of the formats: neither of them can be started here.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "kibana/grafana.rs"]
mod grafana;
#[path = "kibana/lens_question.rs"]
mod lens_question;
#[path = "kibana/schema.rs"]
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mirrorlag::kibana::aggregation::{self, Range};
use mirrorlag::kibana::panel::{Chart, Content};
use mirrorlag::kibana::{self, Description, Layout};
use schema::Shapes;
use serde_json::{Value, json};

/// What the shipped rules for silence are an example of.
const EXAMPLE_TOPIC: &str = "orders";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn shapes(file: &str) -> Shapes {
    let path = root().join("tests/kibana").join(file);
    Shapes::read(&fs::read_to_string(path).unwrap())
}

/// What is shipped, and what an operator may ask for.
pub fn descriptions() -> Vec<Description> {
    let shipped = Description {
        topics: vec![EXAMPLE_TOPIC.to_owned()],
        ..Description::default()
    };
    let with = |change: fn(&mut Description)| {
        let mut description = shipped.clone();
        change(&mut description);
        description
    };
    vec![
        shipped.clone(),
        with(|d| (d.partitions, d.minutes) = (0, 0)),
        with(|d| d.partitions = 48),
        with(|d| d.index = "kafka-lag-%Y.%m".to_owned()),
        with(|d| d.time_field = "sampled".to_owned()),
        with(|d| d.lag_limit = 0),
        with(|d| d.layout = Layout::Both),
        with(|d| d.topics = vec!["a\"b\\c".to_owned()]),
        with(|d| d.layout = Layout::Partitions),
        with(|d| d.space = Some("ops".to_owned())),
    ]
}

/// Every file and its content.
fn shipped() -> Vec<(PathBuf, String)> {
    let description = &descriptions()[0];
    let mut files = vec![(
        PathBuf::from("kibana/mirrorlag.ndjson"),
        kibana::ndjson(description),
    )];
    for alert in kibana::alerts(description) {
        let path = format!("kibana/alerts/{}.json", alert.name);
        files.push((path.into(), format!("{:#}\n", alert.body)));
    }
    for (name, dashboard) in kibana::grafana_dashboards(description) {
        files.push((
            format!("grafana/{name}.json").into(),
            format!("{dashboard:#}\n"),
        ));
    }
    files.push((
        "grafana/alerts.yaml".into(),
        kibana::grafana_alerts(description),
    ));
    files
}

#[test]
fn the_shipped_files_are_what_the_generator_makes() {
    let files = shipped();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        for (path, text) in &files {
            let path = root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    for (path, text) in &files {
        let found = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(
            found == *text,
            "{}: UPDATE_EXPECT=1 rewrites it",
            path.display()
        );
    }
    let made: BTreeSet<PathBuf> = files.into_iter().map(|(path, _)| path).collect();
    for folder in ["kibana", "kibana/alerts", "grafana"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_owned();
            assert!(
                path.is_dir() || made.contains(&name),
                "{}: nothing makes it",
                name.display()
            );
        }
    }
}

#[test]
fn each_line_of_the_file_is_one_object() {
    let description = Description::default();
    let lines: Vec<Value> = kibana::ndjson(&description)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, kibana::objects(&description));
    assert!(kibana::ndjson(&description).ends_with('\n'));
}

#[test]
fn every_object_has_the_published_shape_and_no_key_beyond() {
    let shapes = shapes("saved_objects.json");
    for description in descriptions() {
        let mut wrong = Vec::new();
        for object in kibana::objects(&description) {
            let kind = object["type"].as_str().unwrap().to_owned();
            wrong.extend(shapes.wrong(&kind, &object));
        }
        for alert in kibana::alerts(&description) {
            wrong.extend(shapes.wrong("alert", &alert.body));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn the_ids_are_those_of_the_first_version() {
    // Another id would leave the old object beside the new one, with everybody's bookmarks on the old.
    let ids = |description: &Description| -> Vec<String> {
        let objects = kibana::objects(description);
        let id = |object: &Value| format!("{}/{}", object["type"], object["id"]).replace('"', "");
        objects.iter().map(id).collect()
    };
    let wide = [
        "index-pattern/mirrorlag-consumer-lag",
        "search/mirrorlag-documents",
        "search/mirrorlag-without-numbers",
        "dashboard/mirrorlag-overview",
        "dashboard/mirrorlag-topic",
        "dashboard/mirrorlag-mirrormaker",
    ];
    assert_eq!(ids(&descriptions()[0]), wide);
    assert_eq!(ids(&descriptions()[2]), wide);
    let both = ids(&descriptions()[6]);
    assert_eq!(both.len(), 8);
    assert!(both.contains(&"index-pattern/mirrorlag-consumer-lag-partitions".to_owned()));
    assert!(both.contains(&"search/mirrorlag-partitions".to_owned()));
    let partitions = [
        "index-pattern/mirrorlag-consumer-lag-partitions",
        "search/mirrorlag-without-numbers",
        "search/mirrorlag-partitions",
        "dashboard/mirrorlag-overview",
        "dashboard/mirrorlag-topic",
        "dashboard/mirrorlag-mirrormaker",
    ];
    assert_eq!(ids(&descriptions()[8]), partitions);
    assert_eq!(
        ids(&descriptions()[9]),
        wide.map(|id| format!("{id}-ops")),
        "an id is of one space"
    );
    let alerts = kibana::alerts(&descriptions()[0]);
    let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for id in ids {
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(
            parts.iter().map(|p| p.len()).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12],
            "{id}"
        );
        assert!(
            parts[2].starts_with('4') && parts[3].starts_with('8'),
            "{id}"
        );
    }
}

#[test]
fn the_readme_names_each_rule_with_its_id() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for alert in kibana::alerts(&descriptions()[0]) {
        let file = format!("| `kibana/alerts/{}.json` |", alert.name);
        let row = readme.lines().find(|line| line.starts_with(&file)).unwrap();
        assert!(row.ends_with(&format!("| `{}` |", alert.id)), "{row}");
    }
}

/// What an object's content refers to, by the name of the reference.
fn needed(object: &Value) -> BTreeMap<String, &'static str> {
    let mut needed = BTreeMap::new();
    let attributes = &object["attributes"];
    let source = parsed(&attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]);
    if let Some(name) = source["indexRefName"].as_str() {
        needed.insert(name.to_owned(), "index-pattern");
    }
    for panel in panels(object) {
        let id = panel["panelIndex"].as_str().unwrap();
        if let Some(name) = panel["panelRefName"].as_str() {
            needed.insert(format!("{id}:{name}"), "search");
        }
        let config = &panel["embeddableConfig"];
        let layers = &config["attributes"]["state"]["datasourceStates"]["formBased"]["layers"];
        for layer in layers
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            let name = format!("indexpattern-datasource-layer-{layer}");
            let own = config["attributes"]["references"].as_array().unwrap();
            assert_eq!(own.len(), 1, "{id}");
            assert_eq!(
                own[0]["name"],
                name.as_str(),
                "{id}: the panel's own reference"
            );
            needed.insert(format!("{id}:{name}"), "index-pattern");
        }
        let events = config["enhancements"]["dynamicActions"]["events"].as_array();
        for event in events.into_iter().flatten() {
            let (factory, event) = (&event["action"]["factoryId"], &event["eventId"]);
            let name = format!("{id}:drilldown:{factory}:{event}:dashboardId").replace('"', "");
            needed.insert(name, "dashboard");
        }
    }
    let controls = parsed(&attributes["controlGroupInput"]["panelsJSON"]);
    for (id, control) in controls.as_object().into_iter().flatten() {
        assert_eq!(control["explicitInput"]["id"], id.as_str());
        needed.insert(
            format!("controlGroup_{id}:optionsListDataView"),
            "index-pattern",
        );
    }
    needed
}

fn parsed(text: &Value) -> Value {
    text.as_str()
        .map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

fn panels(object: &Value) -> Vec<Value> {
    let panels = parsed(&object["attributes"]["panelsJSON"]);
    panels.as_array().cloned().unwrap_or_default()
}

#[test]
fn every_reference_resolves_and_every_one_is_needed() {
    for description in descriptions() {
        let objects = kibana::objects(&description);
        let mut known = BTreeSet::new();
        let all: BTreeSet<(&str, &str)> = objects.iter().map(kind_and_id).collect();
        assert_eq!(all.len(), objects.len(), "an id twice");
        for object in &objects {
            let (kind, id) = kind_and_id(object);
            let references = object["references"].as_array().unwrap();
            let mut found = BTreeMap::new();
            for reference in references {
                let target = kind_and_id(reference);
                assert!(all.contains(&target), "{id}: {target:?} is not in the file");
                // Kibana imports in any order, but a reader of the file meets a thing before what uses it.
                assert!(
                    known.contains(&target) || kind == "dashboard",
                    "{id}: {target:?} comes later"
                );
                let name = reference["name"].as_str().unwrap().to_owned();
                assert!(found.insert(name, target.0).is_none(), "{id}: a name twice");
            }
            assert_eq!(found, needed(object), "{id}");
            known.insert((kind, id));
        }
        for object in objects
            .iter()
            .filter(|object| object["type"] == "dashboard")
        {
            for panel in panels(object) {
                let own = &panel["embeddableConfig"]["attributes"]["references"];
                for reference in own.as_array().into_iter().flatten() {
                    let name =
                        format!("{}:{}", panel["panelIndex"], reference["name"]).replace('"', "");
                    let of_dashboard = object["references"].as_array().unwrap().iter();
                    let same = of_dashboard
                        .clone()
                        .find(|r| r["name"] == name.as_str())
                        .unwrap();
                    assert_eq!(same["id"], reference["id"], "{name}");
                }
            }
        }
    }
}

fn kind_and_id(object: &Value) -> (&str, &str) {
    (
        object["type"].as_str().unwrap(),
        object["id"].as_str().unwrap(),
    )
}

/// Every panel of every dashboard that Lens draws.
fn lens_panels(description: &Description) -> Vec<Value> {
    let objects = kibana::objects(description);
    let panels = objects.iter().flat_map(panels);
    panels.filter(|panel| panel["type"] == "lens").collect()
}

#[test]
fn every_column_that_is_asked_is_drawn_and_every_one_drawn_is_asked() {
    for panel in descriptions().iter().flat_map(lens_panels) {
        let title = &panel["title"];
        let state = &panel["embeddableConfig"]["attributes"]["state"];
        let layers = state["datasourceStates"]["formBased"]["layers"]
            .as_object()
            .unwrap();
        let (layer_id, layer) = layers.iter().next().unwrap();
        let columns: BTreeSet<&str> = layer["columns"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let order: Vec<&str> = layer["columnOrder"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        assert_eq!(
            order.iter().copied().collect::<BTreeSet<_>>(),
            columns,
            "{title}"
        );
        assert_eq!(order.len(), columns.len(), "{title}");
        let first_metric = order
            .iter()
            .position(|id| layer["columns"][id]["isBucketed"] == false);
        let buckets = order
            .iter()
            .rposition(|id| layer["columns"][id]["isBucketed"] == true);
        assert!(
            buckets < first_metric || buckets.is_none(),
            "{title}: buckets come first"
        );
        let mut drawn = BTreeSet::new();
        let mut layer_ids = BTreeSet::new();
        accessors(&state["visualization"], &mut drawn, &mut layer_ids);
        let drawn: BTreeSet<&str> = drawn.iter().map(String::as_str).collect();
        assert_eq!(drawn, columns, "{title}");
        assert_eq!(layer_ids, BTreeSet::from([layer_id.clone()]), "{title}");
        for (id, column) in layer["columns"].as_object().unwrap() {
            if let Some(by) = column["params"]["orderBy"]["columnId"].as_str() {
                let by = &layer["columns"][by];
                assert_eq!(by["isBucketed"], false, "{title}: {id}");
                // Elasticsearch cannot order by what is within a filter, nor by a document.
                assert!(by["filter"].is_null(), "{title}: {id}");
            }
        }
    }
}

/// Ids of columns and of layers that a visualization names.
fn accessors(value: &Value, columns: &mut BTreeSet<String>, layers: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => {
            for item in items {
                accessors(item, columns, layers);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                match (key.as_str(), item) {
                    ("layerId", Value::String(id)) => {
                        layers.insert(id.clone());
                    }
                    ("columnId" | "forAccessor", Value::String(id)) => {
                        columns.insert(id.clone());
                    }
                    ("accessors", Value::Array(ids)) => {
                        columns.extend(ids.iter().map(|id| id.as_str().unwrap().to_owned()));
                    }
                    (key, Value::String(id)) if key.ends_with("Accessor") => {
                        columns.insert(id.clone());
                    }
                    (_, item) => accessors(item, columns, layers),
                }
            }
        }
        _ => {}
    }
}

/// Charts by the id of their dashboard and their own.
fn charts(description: &Description) -> BTreeMap<(String, String), Chart> {
    let mut charts = BTreeMap::new();
    for dashboard in kibana::dashboards(description) {
        for panel in dashboard.panels {
            if let Content::Chart(chart) = panel.content {
                charts.insert((dashboard.id.to_owned(), panel.id.to_owned()), chart);
            }
        }
    }
    charts
}

fn range() -> Range {
    Range {
        from: "2026-11-20T10:00:00.000Z".to_owned(),
        to: "2026-11-20T11:00:00.000Z".to_owned(),
        interval: "30s".to_owned(),
    }
}

/// So a search that is proven on Elasticsearch is the one that Kibana sends.
#[test]
fn what_the_columns_ask_is_what_the_description_asks() {
    for description in descriptions() {
        let charts = charts(&description);
        let mut seen = 0;
        for object in kibana::objects(&description) {
            for panel in panels(&object) {
                // In a space, ids end in its name.
                let end = format!("-{}", description.space.as_deref().unwrap_or_default());
                let id = |of: &Value| of.as_str().unwrap().trim_end_matches(&end).to_owned();
                let Some(chart) = charts.get(&(id(&object["id"]), id(&panel["panelIndex"]))) else {
                    continue;
                };
                seen += 1;
                let search = aggregation::search(chart, &description.time_field, &range());
                let config = &panel["embeddableConfig"];
                let asked = match panel["type"].as_str().unwrap() {
                    "lens" => lens_question::aggregations(&config["attributes"], "30s"),
                    _ => vega_question(config),
                };
                assert_eq!(
                    renamed(&search["aggs"]),
                    renamed(&asked),
                    "{}",
                    panel["title"]
                );
                let query = config["attributes"]["state"]["query"]["query"]
                    .as_str()
                    .unwrap_or_default();
                let filters = search["query"]["bool"]["filter"].as_array().unwrap();
                match query {
                    "" => assert_eq!(filters.len(), 1),
                    text => assert_eq!(filters[1], lens_question::kuery(text)),
                }
                let since = chart.since.unwrap_or("2026-11-20T10:00:00.000Z");
                assert_eq!(filters[0]["range"][&description.time_field]["gte"], since);
                assert_eq!(
                    config["timeRange"]["from"].as_str(),
                    chart.since,
                    "{}",
                    panel["title"]
                );
            }
        }
        assert_eq!(seen, charts.len());
    }
}

/// The outermost name is free: Vega's own text names it as it likes.
fn renamed(aggs: &Value) -> Value {
    let mut aggs = aggs.clone();
    if let Some(time) = aggs.as_object_mut().and_then(|aggs| aggs.remove("time")) {
        aggs["split0"] = time;
    }
    aggs
}

/// What Kibana's Vega sends: its own word for the interval replaced.
fn vega_question(config: &Value) -> Value {
    let spec = parsed(&config["savedVis"]["params"]["spec"]);
    assert_eq!(
        spec["data"]["url"]["%context%"], true,
        "the dashboard's filters hold"
    );
    let mut aggs = spec["data"]["url"]["body"]["aggs"].clone();
    if let Some(histogram) = aggs
        .pointer_mut("/time/date_histogram")
        .and_then(Value::as_object_mut)
    {
        let word = histogram.remove("interval").unwrap();
        assert!(word["%autointerval%"].is_u64());
        histogram.insert("fixed_interval".to_owned(), json!("30s"));
    }
    aggs
}

#[test]
fn a_partition_chart_draws_each_partition_that_it_asks_for() {
    for partitions in [1, 18, 48, 200] {
        let description = Description {
            partitions,
            ..Description::default()
        };
        let objects = kibana::objects(&description);
        let topic = objects
            .iter()
            .find(|object| object["id"] == "mirrorlag-topic")
            .unwrap();
        let mut specs = 0;
        for panel in panels(topic) {
            let spec = parsed(&panel["embeddableConfig"]["savedVis"]["params"]["spec"]);
            if spec.is_null() {
                continue;
            }
            specs += 1;
            let body = &spec["data"]["url"]["body"]["aggs"];
            let asked = body
                .pointer("/time/aggs")
                .unwrap_or(body)
                .as_object()
                .unwrap();
            assert_eq!(asked.len(), usize::from(partitions));
            let fold = spec["transform"]
                .as_array()
                .unwrap()
                .iter()
                .find(|step| step["fold"].is_array())
                .unwrap();
            let folded: BTreeSet<String> = fold["fold"]
                .as_array()
                .unwrap()
                .iter()
                .map(|path| path.as_str().unwrap().to_owned())
                .collect();
            let paths: BTreeSet<String> =
                asked.keys().map(|name| format!("{name}.value")).collect();
            assert_eq!(folded, paths);
        }
        assert_eq!(specs, 2);
    }
}

/// Fields of the mapping, and those that the documents per partition have.
pub fn fields() -> BTreeSet<String> {
    let mapping = fs::read_to_string(root().join("mappings/consumer_lag.json")).unwrap();
    let mapping: Value = serde_json::from_str(&mapping).unwrap();
    let properties = mapping["mappings"]["properties"].as_object().unwrap();
    properties.keys().cloned().collect()
}

fn named_fields(value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| named_fields(item, fields)),
        Value::Object(map) => {
            for (key, item) in map {
                match (key.as_str(), item) {
                    (
                        "sourceField" | "fieldName" | "sortField" | "timeFieldName" | "%timefield%",
                        Value::String(name),
                    ) => {
                        fields.insert(name.clone());
                    }
                    // In the text of Vega, `field` within an encoding is a column of its own.
                    ("body", item) => fields.extend(asked_fields(item)),
                    (_, item) => named_fields(item, fields),
                }
            }
        }
        Value::String(text) if text.starts_with(['{', '[']) => {
            if let Ok(inner) = serde_json::from_str::<Value>(text) {
                named_fields(&inner, fields);
            }
        }
        _ => {}
    }
}

fn asked_fields(aggs: &Value) -> Vec<String> {
    match aggs {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, item)| match (key.as_str(), item) {
                ("field", Value::String(name)) => vec![name.clone()],
                (_, item) => asked_fields(item),
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_field_that_is_named_is_in_the_shipped_mapping() {
    let known = fields();
    let objects = kibana::objects(&Description::default());
    let mut named = BTreeSet::new();
    for object in &objects {
        named_fields(object, &mut named);
        let columns = object["attributes"]["columns"].as_array();
        named.extend(
            columns
                .into_iter()
                .flatten()
                .map(|name| name.as_str().unwrap().to_owned()),
        );
    }
    named.remove("___records___");
    assert!(
        named.len() > 25 && named.contains("p17") && named.contains("reason"),
        "{named:?}"
    );
    for name in named {
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn dashboards_of_partitions_alone_name_only_fields_that_their_documents_have() {
    let mapping = fs::read_to_string(root().join("mappings/consumer_lag_partitions.json")).unwrap();
    let mapping: Value = serde_json::from_str(&mapping).unwrap();
    let known = mapping["mappings"]["properties"].as_object().unwrap();
    let description = &descriptions()[8];
    let mut named = BTreeSet::new();
    for object in &kibana::objects(description) {
        named_fields(object, &mut named);
        let columns = object["attributes"]["columns"].as_array();
        let columns = columns.into_iter().flatten();
        named.extend(columns.map(|name| name.as_str().unwrap().to_owned()));
    }
    named.remove("___records___");
    assert!(named.len() > 12, "{named:?}");
    for name in named {
        assert!(known.contains_key(&name), "{name}");
    }
    for alert in kibana::alerts(description) {
        assert_eq!(
            alert.body["params"]["index"],
            json!(["consumer_lag_partitions", "consumer_lag_partitions-*"])
        );
        let field = alert.body["params"]["aggField"].as_str();
        assert!(
            field.is_none_or(|field| known.contains_key(field)),
            "{field:?}"
        );
    }
}

#[test]
fn panels_fit_the_grid_and_none_lies_on_another() {
    for description in descriptions() {
        for object in kibana::objects(&description) {
            let mut taken = BTreeMap::new();
            let mut ids = BTreeSet::new();
            for panel in panels(&object) {
                let grid = |key: &str| panel["gridData"][key].as_u64().unwrap();
                let title = panel["title"].as_str().unwrap().to_owned();
                assert_eq!(panel["gridData"]["i"], panel["panelIndex"]);
                assert!(
                    ids.insert(panel["panelIndex"].to_string()),
                    "{title}: its id twice"
                );
                assert!(
                    grid("w") >= 1 && grid("h") >= 1 && grid("x") + grid("w") <= 48,
                    "{title}"
                );
                for x in grid("x")..grid("x") + grid("w") {
                    for y in grid("y")..grid("y") + grid("h") {
                        let other = taken.insert((x, y), title.clone());
                        assert!(
                            other.is_none(),
                            "{}: {title} lies on {other:?}",
                            object["id"]
                        );
                    }
                }
            }
            // Whole rows: no hole that looks like a panel that failed.
            let height = taken.keys().map(|(_, y)| y + 1).max().unwrap_or(0);
            assert_eq!(taken.len() as u64, height * 48, "{}", object["id"]);
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_numbers_have_a_unit() {
    let layouts = [&descriptions()[0], &descriptions()[6], &descriptions()[8]];
    for panel in layouts
        .into_iter()
        .flat_map(kibana::dashboards)
        .flat_map(|dashboard| dashboard.panels)
    {
        let Content::Chart(chart) = &panel.content else {
            continue;
        };
        assert!(
            panel.about.len() > 40 && panel.about.ends_with('.'),
            "{}: {}",
            panel.id,
            panel.about
        );
        assert!(!panel.title.is_empty(), "{}", panel.id);
        let ids: BTreeSet<&str> = chart.measures.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids.len(), chart.measures.len(), "{}: an id twice", panel.id);
    }
    for panel in lens_panels(layouts[0]) {
        let layers = &panel["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"]
            ["layers"];
        for (id, column) in layers["layer"]["columns"].as_object().unwrap() {
            if column["dataType"] == "number" && column["isBucketed"] == false {
                assert!(
                    column["params"]["format"].is_object(),
                    "{}: {id}",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn a_colour_is_used_for_its_meaning_only() {
    // One colour, one meaning: these, and the tool's own palette for series that are only named.
    let meanings = [
        "#54B399", "#98A2B3", "#D6BF57", "#DA8B45", "#9170B8", "#D36086", "#E7664C",
    ];
    for object in descriptions().iter().flat_map(kibana::objects) {
        let text = object.to_string();
        for (at, _) in text.match_indices('#') {
            let color = &text[at..text.len().min(at + 7)];
            let is_color = color.len() == 7 && color[1..].chars().all(|c| c.is_ascii_hexdigit());
            assert!(!is_color || meanings.contains(&color), "{color}");
        }
    }
    for color in meanings {
        for ground in [[255.0; 3], [29.0, 30.0, 36.0]] {
            assert!(
                contrast(color, ground) >= 1.75,
                "{color} on {ground:?}: {}",
                contrast(color, ground)
            );
        }
    }
}

/// As WCAG defines it, of a colour against a ground.
fn contrast(color: &str, ground: [f64; 3]) -> f64 {
    let channel = |at: usize| f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap());
    let light = |rgb: [f64; 3]| -> f64 {
        let linear = rgb.map(|c| {
            let c = c / 255.0;
            if c <= 0.03928 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055_f64).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (a, b) = (light([channel(1), channel(3), channel(5)]), light(ground));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn an_index_with_a_date_is_found_and_one_that_begins_alike_is_not() {
    let title = |index: &str| {
        let description = Description {
            index: index.to_owned(),
            ..Description::default()
        };
        let objects = kibana::objects(&description);
        objects[0]["attributes"]["title"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // `consumer_lag_old` and `consumer_lag_partitions` would double every number.
    assert_eq!(title("consumer_lag"), "consumer_lag,consumer_lag-*");
    assert_eq!(title("consumer_lag-%Y.%m"), "consumer_lag-*.*");
    assert_eq!(title("%Y-lag"), "*-lag");
}

#[test]
fn the_time_range_and_the_refresh_are_kept_and_the_controls_are_there() {
    for object in kibana::objects(&Description::default()) {
        if object["type"] != "dashboard" {
            continue;
        }
        let attributes = &object["attributes"];
        assert_eq!(attributes["timeRestore"], true);
        assert_eq!(attributes["timeFrom"], "now-1h");
        assert_eq!(attributes["refreshInterval"]["value"], 30_000);
        let controls = parsed(&attributes["controlGroupInput"]["panelsJSON"]);
        let fields: BTreeSet<&String> = controls.as_object().unwrap().keys().collect();
        assert_eq!(
            fields.into_iter().collect::<Vec<_>>(),
            ["cluster", "group", "mirror_host", "topic"]
        );
        let is_topic = object["id"] == "mirrorlag-topic";
        assert_eq!(controls["topic"]["explicitInput"]["singleSelect"], is_topic);
    }
}

#[test]
fn a_name_with_quotes_stays_one_name_in_a_rule() {
    let alerts = kibana::alerts(&descriptions()[7]);
    let silence = alerts.last().unwrap();
    let query = parsed(&silence.body["params"]["esQuery"]);
    assert_eq!(query["query"]["term"]["topic"], "a\"b\\c");
}
