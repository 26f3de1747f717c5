//! In: a description: index, time field, partitions, layout, limits. Out: what Kibana and Grafana import, as JSON.
//! Never: does I/O, asks a server, makes up an id at random.
//!
//! A panel is described once (`panel`). From that description `lens` and `vega` make what Kibana draws, `grafana` what Grafana draws, and
//! `aggregation` the search that the panel sends, so that a test can send it too.

pub mod aggregation;
mod alerts;
mod color;
mod columns;
mod dashboard;
mod dashboards;
mod data_view;
mod grafana;
mod grafana_alerts;
mod grafana_targets;
mod lens;
pub mod panel;
mod searches;
mod space;
mod vega;

use serde_json::Value;

pub use alerts::{Alert, alerts};
pub use dashboard::Dashboard;
pub use dashboards::dashboards;
pub use grafana::grafana_dashboards;
pub use grafana_alerts::grafana_alerts;
pub use panel::Panel;

/// The core shape of every object: the oldest that Kibana 8.9 writes, which each later one up to 9.x migrates.
const CORE_MIGRATION_VERSION: &str = "8.8.0";

/// Which documents there are to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One document per topic and tick, with `p0`..`pN`.
    Wide,
    /// One document per partition and tick, with offsets, and one for a round that brought no numbers.
    Partitions,
    /// Both kinds: totals from the first, partitions beyond any number of fields from the second.
    Both,
}

/// What the dashboards are made for.
#[derive(Debug, Clone)]
pub struct Description {
    /// `index` of the configuration; `%` begins the date of a name that has one.
    pub index: String,
    /// The index of the documents per partition; not used by `Layout::Wide`.
    pub partitions_index: String,
    pub time_field: String,
    /// How many `p<N>` the topic dashboard draws; where there are documents per partition it draws whatever is there.
    pub partitions: u16,
    pub layout: Layout,
    /// Records from which on a lag is coloured as one to look at, and an alert is raised.
    pub lag_limit: u64,
    /// Minutes for which a lag has to stay above the limit, and a topic silent, until an alert is raised.
    pub minutes: u16,
    /// Topics that get a rule of their own for silence: a grouped rule cannot see a group that is not there.
    pub topics: Vec<String>,
    /// Id of the space of Kibana, which is part of every id there; `None`: the default one.
    pub space: Option<String>,
}

impl Default for Description {
    /// What the shipped files are made from.
    fn default() -> Self {
        Self {
            index: "consumer_lag".to_owned(),
            partitions_index: "consumer_lag_partitions".to_owned(),
            time_field: "@timestamp".to_owned(),
            partitions: 18,
            layout: Layout::Wide,
            lag_limit: 10_000,
            minutes: 5,
            topics: Vec::new(),
            space: None,
        }
    }
}

impl Description {
    /// Which documents there are for every round, whatever it brought.
    pub fn every_round(&self) -> panel::Documents {
        match self.layout {
            Layout::Wide | Layout::Both => panel::Documents::Topics,
            Layout::Partitions => panel::Documents::Partitions,
        }
    }

    /// The index of a source of documents and its dated successors, but not what merely begins alike (`consumer_lag_old`).
    pub fn index_pattern(&self, documents: panel::Documents) -> String {
        let name = match documents {
            panel::Documents::Topics => &self.index,
            panel::Documents::Partitions => &self.partitions_index,
        };
        if !name.contains('%') {
            return format!("{name},{name}-*");
        }
        // `%Y` and its like are two characters each.
        let mut pattern = String::new();
        let mut rest = name.chars();
        while let Some(c) = rest.next() {
            if c == '%' {
                rest.next();
                pattern.push('*');
            } else {
                pattern.push(c);
            }
        }
        pattern
    }
}

/// Every saved object: data views, saved searches, dashboards. What is referred to stands before what refers to it.
pub fn objects(description: &Description) -> Vec<Value> {
    let mut objects = data_view::data_views(description);
    objects.extend(searches::searches(description));
    let dashboards = dashboards(description);
    objects.extend(
        dashboards
            .iter()
            .map(|dashboard| dashboard.saved_object(description)),
    );
    match &description.space {
        None => objects,
        Some(space) => objects
            .into_iter()
            .map(|object| space::in_space(object, space))
            .collect(),
    }
}

/// `objects` as Kibana imports them: one object per line.
pub fn ndjson(description: &Description) -> String {
    let lines = objects(description).into_iter();
    lines.map(|object| format!("{object}\n")).collect()
}
