//! In: partitions and layout. Out: the dashboard of one topic.
//! Never: draws a number for a partition that has none.

use super::{at, controls, group_states_over_time, links, outcomes_over_time, panel};
use crate::kibana::dashboard::Dashboard;
use crate::kibana::panel::{
    Chart, Content, Filter, Measure, Order, Panel, Shape, Split, Steps, TERMS_MAX, Unit,
};
use crate::kibana::{Description, Layout, searches};

pub(super) fn topic(description: &Description) -> Dashboard {
    let mut panels = vec![links()];
    panels.extend(numbers(description));
    match description.layout {
        Layout::Wide => panels.extend(partition_fields(description)),
        Layout::Both | Layout::Partitions => panels.extend(partition_documents(description)),
    }
    panels.extend(over_time());
    panels.push(Panel {
        id: "documents",
        title: "Last values".to_owned(),
        about: "Documents, newest first. Offsets are in documents per partition only, which the other layout writes.".to_owned(),
        place: at((0, 63, 48, 18)),
        content: Content::Search(match description.layout {
            Layout::Wide => searches::DOCUMENTS,
            Layout::Both | Layout::Partitions => searches::PARTITIONS,
        }),
    });
    Dashboard {
        id: "mirrorlag-topic",
        title: "mirrorlag: topic",
        about: "One topic's partitions. Choose a topic above; without one, each number is the largest of all topics.",
        since: "now-1h",
        controls: controls(true),
        panels,
    }
}

fn numbers(description: &Description) -> Vec<Panel> {
    let steps = || Steps::lag(description.lag_limit);
    let number = |measure| Chart::new(Shape::Number, Vec::new(), vec![measure]).now();
    let total = Measure::max("lag_total", "Lag (records)", "lag_total", Unit::Records);
    let max = Measure::max(
        "lag_max",
        "Largest partition (records)",
        "lag_max",
        Unit::Records,
    );
    let unknown = Measure::unique(
        "unknown",
        "Partitions without a number",
        "partitions_unknown",
    )
    .by_value(Steps::none_is_fine());
    let failed = Measure::count("rounds", "Rounds without numbers")
        .only(Filter::without_numbers())
        .by_value(Steps::none_is_fine());
    vec![
        panel(
            "lag-now",
            "Lag now",
            "The largest sum of the known lags in the last two minutes.",
            (0, 3, 12, 6),
            number(total.by_value(steps())),
        ),
        panel(
            "max-now",
            "Largest partition now",
            "The largest lag of one partition in the last two minutes.",
            (12, 3, 12, 6),
            number(max.by_value(steps())),
        ),
        panel(
            "unknown-now",
            "Partitions without a number now",
            "Partitions that a table of the last two minutes listed without a lag: nothing is committed for them yet. 0 also when no table came at all.",
            (24, 3, 12, 6),
            number(unknown),
        ),
        panel(
            "failed-now",
            "Rounds without numbers now",
            "Rounds of the last two minutes that brought no numbers.",
            (36, 3, 12, 6),
            number(failed),
        ),
    ]
}

/// From `p0`..`pN`.
fn partition_fields(description: &Description) -> Vec<Panel> {
    let measures = || -> Vec<Measure> {
        let names = (0..description.partitions.max(1)).map(|n| format!("p{n}"));
        names
            .map(|name| Measure::max(&name, &name, &name, Unit::Records))
            .collect()
    };
    let colored = || -> Vec<Measure> {
        let steps = Steps::lag(description.lag_limit);
        let colored = measures().into_iter();
        colored
            .map(|measure| measure.by_value(steps.clone()))
            .collect()
    };
    let lines = Chart::new(Shape::Lines, vec![Split::Time], measures());
    let heat_map = Chart::new(Shape::HeatMap, vec![Split::Time], colored());
    let bars = Chart::new(Shape::FieldBars, Vec::new(), colored()).now();
    partition_panels(description, lines, heat_map, bars)
}

/// From one document per partition.
fn partition_documents(description: &Description) -> Vec<Panel> {
    let lag = Measure::max("lag", "Lag (records)", "lag", Unit::Records);
    let colored = lag.clone().by_value(Steps::lag(description.lag_limit));
    let partitions = |size, order| Split::terms("partition", "Partition", size, order);
    let lines = Chart::new(
        Shape::Lines,
        vec![partitions(64, Order::Largest("lag")), Split::Time],
        vec![lag],
    );
    let heat_map = Chart::new(
        Shape::HeatMap,
        vec![partitions(200, Order::Largest("lag")), Split::Time],
        vec![colored.clone()],
    );
    let last = |id, label| Measure::last(id, label, id);
    let table = Chart::new(
        Shape::Table,
        vec![partitions(TERMS_MAX, Order::Largest("lag"))],
        vec![
            colored,
            last("current_offset", "Current offset"),
            last("log_end_offset", "Log end offset"),
            last("client_id", "Client"),
            last("consumer_host", "Consumer host"),
        ],
    )
    .now();
    partition_panels(
        description,
        lines.of_partitions(),
        heat_map.of_partitions(),
        table.of_partitions(),
    )
}

fn partition_panels(
    description: &Description,
    lines: Chart,
    heat_map: Chart,
    last: Chart,
) -> Vec<Panel> {
    let drawn = match description.layout {
        Layout::Wide => format!(
            "partitions 0 to {}",
            description.partitions.saturating_sub(1)
        ),
        Layout::Both | Layout::Partitions => {
            "every partition, those with the largest lag first".to_owned()
        }
    };
    let about_lines = format!(
        "The largest lag of each partition in the bucket, for {drawn}. A gap: the number was not known. Negative: the committed offset is ahead of the log."
    );
    let about_heat = "Partition by time; the colour is the largest lag in the bucket. An empty cell: the number was not known.";
    let about_last = "The largest lag of each partition in the last two minutes. A partition that is missing had no number.";
    vec![
        panel(
            "lag-by-partition",
            "Lag per partition",
            &about_lines,
            (0, 9, 48, 15),
            lines,
        ),
        panel(
            "heat-map",
            "Partition by time",
            about_heat,
            (0, 24, 32, 15),
            heat_map,
        ),
        panel(
            "last-by-partition",
            "Partitions now",
            about_last,
            (32, 24, 16, 15),
            last,
        ),
    ]
}

fn over_time() -> Vec<Panel> {
    let lag = Chart::new(
        Shape::Lines,
        vec![Split::Time],
        vec![
            Measure::max("lag_total", "All partitions", "lag_total", Unit::Records),
            Measure::max("lag_max", "Largest partition", "lag_max", Unit::Records),
        ],
    );
    let time = Chart::new(
        Shape::Lines,
        vec![
            Split::terms("mirror_host", "Host", 12, Order::ByName),
            Split::Time,
        ],
        vec![Measure::max(
            "round_ms",
            "Round time (ms)",
            "round_ms",
            Unit::Milliseconds,
        )],
    );
    vec![
        panel(
            "lag-over-time",
            "Lag and largest partition",
            "One partition far above the others: a single consumer or a single key is slow. All alike: the whole group is.",
            (0, 39, 24, 12),
            lag,
        ),
        group_states_over_time((24, 39, 24, 12)),
        outcomes_over_time((0, 51, 24, 12)),
        panel(
            "round-time",
            "Round time by host",
            "The slowest round in the bucket, from the tick to its last row. A round that is longer than the interval costs the next tick.",
            (24, 51, 24, 12),
            time,
        ),
    ]
}
