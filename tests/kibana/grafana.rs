//! The files for Grafana: shape, queries that are whole, panels that fit.

use std::collections::BTreeSet;

use mirrorlag::kibana;
use serde_json::Value;

use crate::{descriptions, fields, shapes};

#[test]
fn every_grafana_dashboard_and_rule_has_the_published_shape() {
    let shapes = shapes("grafana.json");
    for description in descriptions() {
        let mut wrong = Vec::new();
        let dashboards = kibana::grafana_dashboards(&description);
        assert_eq!(
            dashboards.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["overview", "topic"]
        );
        for (_, dashboard) in dashboards {
            wrong.extend(shapes.wrong("dashboard", &dashboard));
        }
        let alerts: Value = serde_yaml::from_str(&kibana::grafana_alerts(&description)).unwrap();
        wrong.extend(shapes.wrong("alerts", &alerts));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn every_query_is_whole_and_asks_for_fields_that_are_there() {
    let known = fields();
    let description = &descriptions()[0];
    let dashboards = kibana::grafana_dashboards(description);
    let panels = dashboards
        .iter()
        .flat_map(|(_, dashboard)| dashboard["panels"].as_array().unwrap());
    let mut named = BTreeSet::new();
    for target in panels.flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let ids = |list: &Value| -> Vec<String> {
            list.as_array()
                .unwrap()
                .iter()
                .map(|agg| agg["id"].as_str().unwrap().to_owned())
                .collect()
        };
        let (metrics, buckets) = (ids(&target["metrics"]), ids(&target["bucketAggs"]));
        assert!(!metrics.is_empty());
        let all: BTreeSet<&String> = metrics.iter().chain(&buckets).collect();
        assert_eq!(
            all.len(),
            metrics.len() + buckets.len(),
            "an id twice: {target}"
        );
        let is_raw = target["metrics"][0]["type"] == "raw_data";
        assert_eq!(
            buckets.is_empty(),
            is_raw,
            "Grafana wants a bucket around a number: {target}"
        );
        for bucket in target["bucketAggs"].as_array().unwrap() {
            if let Some(by) = bucket["settings"]["orderBy"].as_str() {
                assert!(
                    by.starts_with('_') || metrics.iter().any(|id| id == by),
                    "{target}"
                );
            }
        }
        let both = [&target["metrics"], &target["bucketAggs"]];
        let aggs = both.into_iter().flat_map(|list| list.as_array().unwrap());
        named.extend(
            aggs.filter_map(|agg| agg["field"].as_str())
                .map(str::to_owned),
        );
        for variable in ["topic", "group", "cluster", "mirror_host"] {
            let query = target["query"].as_str().unwrap();
            assert!(
                query.contains(&format!("({variable}:${variable})")),
                "{query}"
            );
        }
    }
    assert!(
        named.contains("p17") && named.contains("lag_total"),
        "{named:?}"
    );
    for name in named {
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn grafana_panels_fit_24_columns_and_none_lies_on_another() {
    for description in descriptions() {
        for (name, dashboard) in kibana::grafana_dashboards(&description) {
            let mut taken = BTreeSet::new();
            let mut ids = BTreeSet::new();
            for panel in dashboard["panels"].as_array().unwrap() {
                assert!(ids.insert(panel["id"].as_u64().unwrap()));
                let grid = |key: &str| panel["gridPos"][key].as_u64().unwrap();
                assert!(
                    grid("w") >= 3 && grid("h") >= 3 && grid("x") + grid("w") <= 24,
                    "{name}: {}",
                    panel["title"]
                );
                for x in grid("x")..grid("x") + grid("w") {
                    for y in grid("y")..grid("y") + grid("h") {
                        assert!(taken.insert((x, y)), "{name}: {}", panel["title"]);
                    }
                }
            }
        }
    }
}
