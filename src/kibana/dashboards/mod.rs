//! In: a description. Out: the three dashboards: is anything wrong, one topic, one MirrorMaker.
//! Never: names a field that no document has.

mod mirrormaker;
mod overview;
mod partitions;
mod topic;

use super::dashboard::{Control, Dashboard};
use super::panel::{Chart, Content, Filter, Meaning, Measure, Panel, Place, Shape, Split};
use super::{Description, Layout};

/// Every dashboard, in the order in which an operator opens them.
pub fn dashboards(description: &Description) -> Vec<Dashboard> {
    let dashboards = vec![
        overview::overview(description),
        topic::topic(description),
        mirrormaker::mirrormaker(),
    ];
    match description.layout {
        Layout::Wide | Layout::Both => dashboards,
        Layout::Partitions => dashboards
            .into_iter()
            .map(partitions::of_partitions)
            .collect(),
    }
}

/// Outcomes and what each means; the words are those of the documents.
pub(super) const OUTCOMES: [(&str, Meaning); 6] = [
    ("ok", Meaning::Fine),
    ("no_rows", Meaning::Look),
    ("group_missing", Meaning::Warning),
    ("timeout", Meaning::Slow),
    ("cli_error", Meaning::Failed),
    ("ssh_error", Meaning::Lost),
];

const GROUP_STATES: [(&str, Meaning); 4] = [
    ("stable", Meaning::Fine),
    ("rebalancing", Meaning::Look),
    ("empty", Meaning::Lost),
    ("unknown", Meaning::Unknown),
];

fn controls(is_single_topic: bool) -> Vec<Control> {
    let control = |field, title, is_single| Control {
        field,
        title,
        is_single,
    };
    vec![
        control("topic", "Topic", is_single_topic),
        control("group", "Consumer group", false),
        control("cluster", "Cluster", false),
        control("mirror_host", "MirrorMaker host", false),
    ]
}

fn panel(
    id: &'static str,
    title: &str,
    about: &str,
    place: (u16, u16, u16, u16),
    chart: Chart,
) -> Panel {
    Panel {
        id,
        title: title.to_owned(),
        about: about.to_owned(),
        place: at(place),
        content: Content::Chart(chart),
    }
}

fn at((x, y, w, h): (u16, u16, u16, u16)) -> Place {
    Place { x, y, w, h }
}

fn links() -> Panel {
    Panel {
        id: "links",
        title: String::new(),
        about: String::new(),
        place: at((0, 0, 48, 3)),
        content: Content::Links,
    }
}

/// One coloured series per outcome: the colours hold in every version, which colours by value do not.
fn by_outcome(count: fn(&str, &str) -> Measure) -> Vec<Measure> {
    let series = |(outcome, meaning): (&str, Meaning)| {
        count(&format!("outcome_{outcome}"), outcome)
            .only(Filter::is("outcome", outcome))
            .always(meaning)
    };
    OUTCOMES.map(series).to_vec()
}

fn outcomes_over_time(place: (u16, u16, u16, u16)) -> Panel {
    let about = "Rounds of all topics by outcome. A tick that was skipped has no round: the bars are lower there, and round time says why. \
                 While the collector itself was down, documents come in once it is back, unless nobody asked at all: then there is a gap.";
    let chart = Chart::new(
        Shape::StackedBars,
        vec![Split::Time],
        by_outcome(Measure::count),
    );
    panel("outcomes", "Rounds by outcome", about, place, chart)
}

fn group_states_over_time(place: (u16, u16, u16, u16)) -> Panel {
    let about = "Rounds by what the CLI said of the consumer group. Empty: no active members, nobody is mirroring, however small the lag.";
    let series = |(state, meaning): (&str, Meaning)| {
        Measure::count(&format!("state_{state}"), state)
            .only(Filter::is("group_state", state))
            .always(meaning)
    };
    let chart = Chart::new(
        Shape::StackedBars,
        vec![Split::Time],
        GROUP_STATES.map(series).to_vec(),
    );
    panel("group-states", "Group state", about, place, chart)
}
