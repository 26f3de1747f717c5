//! In: nothing. Out: the dashboard of the MirrorMaker hosts and their groups.
//! Never: counts what no document says: a skipped tick and a reconnect are seen by what they leave behind.

use super::{by_outcome, controls, group_states_over_time, links, outcomes_over_time, panel};
use crate::kibana::dashboard::Dashboard;
use crate::kibana::panel::{
    Chart, Color, Filter, Meaning, Measure, Order, Panel, ROWS_MAX, SERIES_MAX, Shape, Split,
    Steps, Unit,
};

pub(super) fn mirrormaker() -> Dashboard {
    let mut panels = vec![links()];
    panels.extend(numbers());
    panels.extend(round_times());
    panels.push(outcomes_over_time((0, 23, 24, 12)));
    panels.push(group_states_over_time((24, 23, 24, 12)));
    panels.extend(left_behind());
    panels.push(table());
    Dashboard {
        id: "mirrorlag-mirrormaker",
        title: "mirrorlag: MirrorMaker",
        about: "How the hosts and the groups answer: round time, outcomes, ticks that were skipped and connections that were lost, by what they left behind.",
        since: "now-1h",
        controls: controls(false),
        panels,
    }
}

fn numbers() -> Vec<Panel> {
    let number = |measure| Chart::new(Shape::Number, Vec::new(), vec![measure]).now();
    let hosts = Measure::unique("hosts", "Hosts reached", "mirror_host")
        .only(Filter::reached())
        .by_value(Steps::some_is_fine());
    let groups = Measure::unique("groups", "Groups with numbers", "group")
        .only(Filter::with_numbers())
        .by_value(Steps::some_is_fine());
    let lost = Measure::count("rounds", "Rounds lost to SSH")
        .only(Filter::is("outcome", "ssh_error"))
        .by_value(Steps::none_is_fine());
    let slowest = Measure::max(
        "round_ms",
        "Slowest round (ms)",
        "round_ms",
        Unit::Milliseconds,
    );
    vec![
        panel(
            "hosts-reached",
            "Hosts reached now",
            "Hosts that answered over SSH in the last two minutes.",
            (0, 3, 12, 6),
            number(hosts),
        ),
        panel(
            "groups",
            "Groups with numbers now",
            "Consumer groups of which a round of the last two minutes brought numbers.",
            (12, 3, 12, 6),
            number(groups),
        ),
        panel(
            "lost",
            "Rounds lost to SSH now",
            "Rounds of the last two minutes for which there was no connection, one per topic.",
            (24, 3, 12, 6),
            number(lost),
        ),
        panel(
            "slowest",
            "Slowest round now",
            "From the tick to the last row, in the last two minutes.",
            (36, 3, 12, 6),
            number(slowest),
        ),
    ]
}

fn round_times() -> Vec<Panel> {
    let by = |field, label| {
        let split = Split::terms(field, label, SERIES_MAX, Order::Largest("round_ms"));
        let slowest = Measure::max(
            "round_ms",
            "Round time (ms)",
            "round_ms",
            Unit::Milliseconds,
        );
        Chart::new(Shape::Lines, vec![split, Split::Time], vec![slowest])
    };
    let about = "The slowest round in the bucket, from the tick to its last row. A round that is longer than the interval costs the next tick; a gap: no describe was run.";
    vec![
        panel(
            "round-time-host",
            "Round time by host",
            about,
            (0, 9, 24, 14),
            by("mirror_host", "Host"),
        ),
        panel(
            "round-time-group",
            "Round time by group",
            about,
            (24, 9, 24, 14),
            by("group", "Group"),
        ),
    ]
}

fn left_behind() -> Vec<Panel> {
    let hosts = || Split::terms("mirror_host", "Host", SERIES_MAX, Order::ByName);
    let rounds = Chart::new(
        Shape::Lines,
        vec![hosts(), Split::Time],
        vec![Measure::count("rounds", "Rounds")],
    );
    let lost = Chart::new(
        Shape::StackedBars,
        vec![hosts(), Split::Time],
        vec![Measure::count("rounds", "Rounds lost to SSH")],
    )
    .only(Filter::is("outcome", "ssh_error"));
    vec![
        panel(
            "rounds",
            "Rounds by host (dips: skipped ticks)",
            "Documents per bucket, one per topic and tick. The documents do not count skipped ticks: a skipped tick has none, so it is a dip here, and the round that was too long stands in round time.",
            (0, 35, 24, 12),
            rounds,
        ),
        panel(
            "lost-by-host",
            "Rounds lost to SSH by host (reconnects)",
            "The documents do not count reconnects: a connection that was lost and made again between two ticks leaves no trace; one that cost a round stands here, with its reason in the table.",
            (24, 35, 24, 12),
            lost,
        ),
    ]
}

fn table() -> Panel {
    let mut measures = vec![
        Measure::newest("reached", "Last contact").only(Filter::reached()),
        Measure::count("rounds", "Rounds"),
    ];
    let colored = by_outcome(Measure::count).into_iter().map(|mut measure| {
        // In a table the colour is that of the number: any at all is worth a look, but for `ok`.
        measure.color = match measure.color {
            Color::Always(Meaning::Fine) => Color::Plain,
            _ => Color::ByValue(Steps::some_is_wrong()),
        };
        measure
    });
    measures.extend(colored);
    measures.extend([
        Measure::average(
            "average",
            "Average round (ms)",
            "round_ms",
            Unit::Milliseconds,
        ),
        Measure::max(
            "slowest",
            "Slowest round (ms)",
            "round_ms",
            Unit::Milliseconds,
        ),
        Measure::last("reason", "Last reason", "reason"),
    ]);
    let splits = vec![
        Split::terms("mirror_host", "Host", ROWS_MAX, Order::ByName),
        Split::terms("group", "Group", ROWS_MAX, Order::ByName),
    ];
    let about = "Rounds of the time range by outcome, round times, and the last reason, per host and group.";
    panel(
        "hosts-and-groups",
        "Hosts and groups",
        about,
        (0, 47, 48, 14),
        Chart::new(Shape::Table, splits, measures),
    )
}
