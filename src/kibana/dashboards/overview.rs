//! In: the limit of a lag. Out: the dashboard that answers: is anything wrong?
//! Never: hides what nobody measured.

use super::{by_outcome, controls, links, outcomes_over_time, panel};
use crate::kibana::Description;
use crate::kibana::dashboard::Dashboard;
use crate::kibana::panel::{
    Chart, Filter, Measure, Order, Panel, ROWS_MAX, SERIES_MAX, Shape, Split, Steps, TERMS_MAX,
    Unit,
};

pub(super) fn overview(description: &Description) -> Dashboard {
    let mut panels = vec![links()];
    panels.extend(numbers());
    panels.extend(lag(description));
    panels.extend(trouble());
    panels.extend(freshness());
    Dashboard {
        id: "mirrorlag-overview",
        title: "mirrorlag: overview",
        about: "Is anything wrong? A click on a topic opens its dashboard.",
        since: "now-1h",
        controls: controls(false),
        panels,
    }
}

fn lag_total(description: &Description) -> Measure {
    Measure::max("lag_total", "Lag (records)", "lag_total", Unit::Records)
        .by_value(Steps::lag(description.lag_limit))
}

/// Each counts what the last two minutes brought.
fn numbers() -> Vec<Panel> {
    let number = |measure| Chart::new(Shape::Number, Vec::new(), vec![measure]).now();
    let with = Measure::unique("topics", "Topics with numbers", "topic")
        .only(Filter::with_numbers())
        .by_value(Steps::some_is_fine());
    let without = Measure::unique("topics", "Topics without numbers", "topic")
        .only(Filter::without_numbers())
        .by_value(Steps::none_is_fine());
    let empty = Measure::unique("topics", "Topics nobody mirrors", "topic")
        .only(Filter::is("group_state", "empty"))
        .by_value(Steps::none_is_fine());
    let hosts = Measure::unique("hosts", "Hosts reached", "mirror_host")
        .only(Filter::reached())
        .by_value(Steps::some_is_fine());
    let topics = Split::terms("topic", "Topic", TERMS_MAX, Order::Largest("lag_total"));
    // Without a colour: the limit is that of one topic.
    let lag = Measure::max("lag_total", "Lag (records)", "lag_total", Unit::Records);
    let sum = Chart::new(Shape::Sum, vec![topics], vec![lag]).now();
    vec![
        panel(
            "with-numbers",
            "Topics with numbers now",
            "Topics of which a round of the last two minutes brought numbers. None: the collector is down, or nothing answers.",
            (0, 3, 10, 6),
            number(with),
        ),
        panel(
            "without-numbers",
            "Topics without numbers now",
            "Topics of which a round of the last two minutes brought no numbers; one that recovered meanwhile is counted too. The table below has the reasons.",
            (10, 3, 10, 6),
            number(without),
        ),
        panel(
            "nobody-mirrors",
            "Topics nobody mirrors now",
            "Topics whose consumer group had no active members in the last two minutes: nobody is mirroring, however small the lag.",
            (20, 3, 10, 6),
            number(empty),
        ),
        panel(
            "hosts-reached",
            "MirrorMaker hosts reached now",
            "Hosts that answered over SSH in the last two minutes, whatever their CLI said.",
            (30, 3, 8, 6),
            number(hosts),
        ),
        panel(
            "lag-now",
            "Lag of all topics now",
            "The sum over the topics of the largest lag of the last two minutes, in records. A topic that several hosts or groups mirror counts once, with its largest lag. Unknown partitions count nothing.",
            (38, 3, 10, 6),
            sum,
        ),
    ]
}

fn lag(description: &Description) -> Vec<Panel> {
    let topics = Split::terms("topic", "Topic", SERIES_MAX, Order::Largest("lag_total"));
    let lines = Chart::new(
        Shape::Lines,
        vec![topics, Split::Time],
        vec![Measure::max(
            "lag_total",
            "Lag (records)",
            "lag_total",
            Unit::Records,
        )],
    )
    .opening_topic();
    let topics = Split::terms("topic", "Topic", ROWS_MAX, Order::Largest("lag_total"));
    let newest = Measure::newest("newest", "Newest document");
    let table = Chart::new(
        Shape::Table,
        vec![topics],
        vec![
            lag_total(description),
            Measure::max("lag_max", "Largest partition", "lag_max", Unit::Records),
            newest,
        ],
    )
    .now()
    .opening_topic();
    vec![
        panel(
            "lag-by-topic",
            "Lag by topic",
            "The largest sum of the known lags in each bucket, for the topics with the most. A gap: no number was known. MirrorMaker commits once a minute, so a sawtooth is usual.",
            (0, 9, 30, 14),
            lines,
        ),
        panel(
            "top-topics",
            "Topics by lag now",
            "The largest lag of the last two minutes. A click on a topic opens its dashboard.",
            (30, 9, 18, 14),
            table,
        ),
    ]
}

fn trouble() -> Vec<Panel> {
    let by_topics = |id: &str, label: &str| Measure::unique(id, label, "topic");
    let outcomes = Chart::new(Shape::StackedBars, vec![Split::Time], by_outcome(by_topics));
    let table = Chart::new(
        Shape::Table,
        vec![
            Split::terms("topic", "Topic", ROWS_MAX, Order::Largest("rounds")),
            Split::terms("mirror_host", "Host", SERIES_MAX, Order::Largest("rounds")),
            Split::terms("outcome", "Outcome", SERIES_MAX, Order::Largest("rounds")),
        ],
        vec![
            Measure::count("rounds", "Rounds"),
            Measure::newest("newest", "Last time"),
            Measure::last("reason", "Last reason", "reason"),
        ],
    )
    .only(Filter::without_numbers())
    .opening_topic();
    vec![
        panel(
            "topics-by-outcome",
            "Topics by outcome",
            "How many topics had a round of each outcome in the bucket; the last bar is now. A topic with two outcomes in one bucket is counted in both.",
            (0, 23, 24, 12),
            outcomes,
        ),
        outcomes_over_time((24, 23, 24, 12)),
        panel(
            "reasons",
            "Topics without numbers, with the reason",
            "Rounds of the time range that brought no numbers, by topic, host and outcome, with the words of the CLI or of SSH. A lag nobody measured looks like no lag.",
            (0, 35, 48, 12),
            table,
        ),
    ]
}

fn freshness() -> Vec<Panel> {
    let hosts = Chart::new(
        Shape::Table,
        vec![Split::terms(
            "mirror_host",
            "Host",
            ROWS_MAX,
            Order::Smallest("contact"),
        )],
        vec![
            Measure::newest("contact", "Newest document"),
            Measure::newest("reached", "Last contact").only(Filter::reached()),
            Measure::count("lost", "Rounds lost to SSH").only(Filter::is("outcome", "ssh_error")),
        ],
    );
    let topics = Chart::new(
        Shape::Table,
        vec![Split::terms(
            "topic",
            "Topic",
            ROWS_MAX,
            Order::Smallest("newest"),
        )],
        vec![
            Measure::newest("newest", "Newest document"),
            Measure::newest("numbers", "Newest numbers").only(Filter::with_numbers()),
        ],
    )
    .opening_topic();
    vec![
        panel(
            "hosts",
            "Hosts and their last contact",
            "Last contact: the newest round for which SSH worked. The host that has been silent longest stands first.",
            (0, 47, 24, 12),
            hosts,
        ),
        panel(
            "freshness",
            "Freshness",
            "The newest document of each topic, the oldest first, and the newest that has numbers. A topic of which nothing came in the whole time range is not listed: choose a longer one.",
            (24, 47, 24, 12),
            topics,
        ),
    ]
}
