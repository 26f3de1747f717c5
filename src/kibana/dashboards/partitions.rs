//! In: a dashboard of documents per topic. Out: the same, asked of documents per partition alone.
//! Never: adds up lags of several instants: documents per partition have no total, so that a topic is shown by its largest partition.

use super::panel;
use crate::kibana::dashboard::Dashboard;
use crate::kibana::panel::{
    Chart, Content, Filter, Measure, Operation, Order, Panel, Shape, Split, TERMS_MAX, Unit,
};

/// The id of the measure that stands for lags.
const LAG: &str = "lag";

/// Every panel of a dashboard that has no documents per topic to ask.
pub(super) fn of_partitions(mut dashboard: Dashboard) -> Dashboard {
    let (id, panels) = (dashboard.id, std::mem::take(&mut dashboard.panels));
    dashboard.panels = panels
        .into_iter()
        .map(|panel| translated(id, panel))
        .collect();
    dashboard
}

fn translated(dashboard: &str, mut panel: Panel) -> Panel {
    let Content::Chart(chart) = panel.content else {
        return panel;
    };
    if let Some(instead) = instead(dashboard, panel.id) {
        return Panel {
            place: panel.place,
            ..instead
        };
    }
    if let Some((title, about)) = words(dashboard, panel.id) {
        (panel.title, panel.about) = (title.to_owned(), about.to_owned());
    }
    panel.content = Content::Chart(asked_of_partitions(chart));
    panel
}

/// Panels whose question makes no sense here, and what is shown in their place.
fn instead(dashboard: &str, id: &str) -> Option<Panel> {
    let number = |measure| Chart::new(Shape::Number, Vec::new(), vec![measure]).now();
    let lag = || Measure::max(LAG, "Lag (records)", LAG, Unit::Records);
    let nowhere = (0, 0, 1, 1);
    let panel = match (dashboard, id) {
        ("mirrorlag-overview", "lag-now") => panel(
            "lag-now",
            "Largest partition now",
            "The largest lag of one partition of any topic in the last two minutes, in records.",
            nowhere,
            number(lag()).of_partitions(),
        ),
        ("mirrorlag-topic", "lag-now") => {
            let split = Split::terms("partition", "Partition", TERMS_MAX, Order::Largest(LAG));
            panel(
                "lag-now",
                "Lag now",
                "The sum over the partitions of the largest lag of the last two minutes. Choose a topic: without one, partitions of the same number count once.",
                nowhere,
                Chart::new(Shape::Sum, vec![split], vec![lag()])
                    .now()
                    .of_partitions(),
            )
        }
        ("mirrorlag-topic", "unknown-now") => panel(
            "unknown-now",
            "Partitions now",
            "Partitions that a table of the last two minutes listed, with a lag or without. Choose a topic.",
            nowhere,
            number(Measure::unique("partitions", "Partitions", "partition")).of_partitions(),
        ),
        _ => return None,
    };
    Some(panel)
}

/// Titles and explanations that are others here.
fn words(dashboard: &str, id: &str) -> Option<(&'static str, &'static str)> {
    Some(match (dashboard, id) {
        (_, "outcomes") => (
            "Rounds without numbers by outcome",
            "Rounds of all topics that brought no numbers, by outcome: each leaves one document. While the collector itself was down, documents come in once it is back.",
        ),
        (_, "group-states") => (
            "Topics by group state",
            "Topics by what the CLI said of their consumer group. Empty: no active members, nobody is mirroring, however small the lag.",
        ),
        ("mirrorlag-overview", "lag-by-topic") => (
            "Largest partition by topic",
            "The largest lag of one partition in each bucket, for the topics with the most. A gap: no number was known. MirrorMaker commits once a minute, so a sawtooth is usual.",
        ),
        ("mirrorlag-overview", "top-topics") => (
            "Topics by largest partition now",
            "The largest lag of one partition in the last two minutes. A click on a topic opens its dashboard.",
        ),
        ("mirrorlag-topic", "lag-over-time") => (
            "Largest partition",
            "The largest lag of one partition in each bucket. A gap: no number was known.",
        ),
        ("mirrorlag-mirrormaker", "rounds") => (
            "Documents by host (dips: skipped ticks)",
            "Documents per bucket, one per partition and tick. A skipped tick has none, so it is a dip here, and the round that was too long stands in round time.",
        ),
        ("mirrorlag-mirrormaker", "hosts-and-groups") => (
            "Hosts and groups",
            "Documents and rounds without numbers of the time range by outcome, round times, and the last reason, per host and group.",
        ),
        _ => return None,
    })
}

/// The same question, of documents per partition.
fn asked_of_partitions(mut chart: Chart) -> Chart {
    let is_without_numbers = chart.filter == Some(Filter::without_numbers());
    let mut measures: Vec<Measure> = Vec::new();
    for measure in chart.measures {
        let measure = match is_without_numbers {
            // Such a round leaves one document here too.
            true => Some(measure),
            false => of_partition(measure),
        };
        if let Some(measure) = measure
            && measures.iter().all(|other| other.id != measure.id)
        {
            measures.push(measure);
        }
    }
    chart.measures = measures;
    for split in &mut chart.splits {
        if let Split::Terms {
            order: Order::Largest(id) | Order::Smallest(id),
            ..
        } = split
            && matches!(*id, "lag_total" | "lag_max")
        {
            *id = LAG;
        }
    }
    chart.of_partitions()
}

/// `None`: documents per partition cannot say it.
fn of_partition(mut measure: Measure) -> Option<Measure> {
    match &measure.operation {
        Operation::Max(field) if matches!(field.as_str(), "lag_total" | "lag_max") => {
            measure.operation = Operation::Max(LAG.to_owned());
            LAG.clone_into(&mut measure.id);
            "Largest partition (records)".clone_into(&mut measure.label);
        }
        Operation::Count => match &measure.filter {
            None => "Documents".clone_into(&mut measure.label),
            // A round with numbers leaves one document per partition, which is no number of rounds.
            Some(filter) if *filter == Filter::with_numbers() => return None,
            Some(Filter::Is("group_state", _)) => measure.operation = Operation::Unique("topic"),
            Some(_) => {}
        },
        _ => {}
    }
    Some(measure)
}
