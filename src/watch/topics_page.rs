//! In: the topics, an order, a filter. Out: which are shown in which order, and a row for each.
//! Never: shows an unknown lag as a number.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use super::grid::{Column, Kind};
use super::history::{Topic, TopicKey, Topics};
use super::look::{Cell, Look, Mood, age, cells};
use super::trend::Trend;
use crate::kafka::{GroupState, Outcome};
use crate::sample::Sample;

/// From this width on there is room for a longer bar and sparkline.
const WIDE: u16 = 120;

/// In the order in which `s` goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// The largest first.
    #[default]
    Lag,
    Name,
    /// The oldest first.
    Age,
    /// The worst first.
    Outcome,
    Host,
}

impl Sort {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Lag => Self::Name,
            Self::Name => Self::Age,
            Self::Age => Self::Outcome,
            Self::Outcome => Self::Host,
            Self::Host => Self::Lag,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Name => "name",
            Self::Age => "age",
            Self::Outcome => "outcome",
            Self::Host => "host",
        }
    }
}

/// The topics that `filter` leaves, in order; an unknown lag is last, also in the reverse order.
pub(super) fn ordered<'a>(
    topics: &'a Topics,
    filter: &str,
    sort: Sort,
    is_reversed: bool,
) -> Vec<(&'a TopicKey, &'a Topic)> {
    let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    let mut shown: Vec<_> = topics
        .iter()
        .filter(|(_, topic)| words.iter().all(|word| has(topic.latest(), word)))
        .map(|(key, topic)| (topic.latest().lag_total(), key, topic))
        .collect();
    let turned = |order: Ordering| if is_reversed { order.reverse() } else { order };
    // A stable sort: equal ones stay by name.
    shown.sort_by(|(a_lag, a_key, a), (b_lag, b_key, b)| match sort {
        Sort::Lag => match (a_lag, b_lag) {
            (Some(a), Some(b)) => turned(b.cmp(a)),
            _ => b_lag.is_some().cmp(&a_lag.is_some()),
        },
        Sort::Name => turned(a_key.cmp(b_key)),
        Sort::Age => turned(a.latest().sampled_at.cmp(&b.latest().sampled_at)),
        Sort::Outcome => turned(severity(b.latest()).cmp(&severity(a.latest()))),
        Sort::Host => turned(a_key.mirror_host.cmp(&b_key.mirror_host)),
    });
    shown.into_iter().map(|(_, key, it)| (key, it)).collect()
}

/// Whether one of the names contains `word`, which is in lower case.
fn has(sample: &Sample, word: &str) -> bool {
    let names = [&sample.topic, &sample.group, &sample.mirror_host];
    names
        .into_iter()
        .chain(&sample.cluster)
        .any(|name| name.to_lowercase().contains(word))
}

fn severity(sample: &Sample) -> (Outcome, bool) {
    (sample.outcome, unusual_state(sample).is_some())
}

const HEAD: [Column; 4] = [
    column("TOPIC", Kind::Words(10), 0),
    column("GROUP", Kind::Words(8), 6),
    column("HOST", Kind::Words(6), 4),
    column("LAG", Kind::Number, 0),
];

/// Columns for so many cells, with sparklines of this past.
pub(super) fn columns(width: u16, past: TimeDelta) -> [Column; 10] {
    let minutes = match past.num_minutes() {
        ..=1 => "1 MINUTE",
        2 => "2 MINUTES",
        _ => "5 MINUTES",
    };
    let (bar, cells) = bar_and_past(width);
    let [topic, group, host, lag] = HEAD;
    [
        topic,
        group,
        host,
        lag,
        column("", Kind::Fixed(bar), 5),
        column("MAX", Kind::Number, 7),
        column(minutes, Kind::Fixed(cells), 3),
        column("TREND", Kind::Number, 8),
        column("AGE", Kind::Number, 2),
        column("OUTCOME", Kind::Words(14), 1),
    ]
}

const fn column(title: &'static str, kind: Kind, rank: u8) -> Column {
    Column { title, kind, rank }
}

fn bar_and_past(width: u16) -> (usize, usize) {
    if width < WIDE { (6, 9) } else { (12, 24) }
}

/// Cells that the columns would like: those of the names of all shown topics, and of usual numbers. So they stay where they are while one
/// scrolls and numbers change.
pub(super) fn natural(look: Look, shown: &[(&TopicKey, &Topic)]) -> Vec<usize> {
    let widest = |name: fn(&TopicKey) -> &str| {
        let names = shown.iter().map(|(key, _)| cells(&look.text(name(key))));
        names.max().unwrap_or(0)
    };
    vec![
        widest(|key| &key.topic),
        widest(|key| &key.group),
        widest(|key| &key.mirror_host),
        "1234567".len(),
        0,
        "123456 (p0)".len(),
        0,
        "-1234/s".len(),
        "1m23s".len(),
    ]
}

/// What all rows of one drawing share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    pub look: Look,
    /// The lag of a full bar.
    pub most: i64,
    pub now: DateTime<Utc>,
    /// What a sparkline shows.
    pub past: TimeDelta,
    /// Cells of a row.
    pub width: u16,
}

/// The row of one topic.
pub(super) fn row(drawing: &Drawing, topic: &Topic) -> Vec<Cell> {
    let &Drawing { look, now, .. } = drawing;
    let sample = topic.latest();
    let (bar, past) = bar_and_past(drawing.width);
    let lag = sample.lag_total();
    let is_stale = topic.is_stale(now);
    let trend = topic.trend();
    let mood = match trend {
        Trend::Rising(_) => Mood::Notice,
        Trend::Falling(_) => Mood::Good,
        Trend::Steady | Trend::Unknown => Mood::Plain,
    };
    let mut row = vec![
        Cell::plain(look, &sample.topic),
        Cell::plain(look, &sample.group),
        Cell::plain(look, &sample.mirror_host),
        Cell::number(lag),
        Cell::plain(
            look,
            &lag.map_or_else(String::new, |lag| look.bar(lag, drawing.most, bar)),
        ),
        Cell::number(lag_max(sample)),
        Cell::plain(look, &look.sparkline(&topic.lags(now, drawing.past, past))),
        Cell::new(look, &trend.word(), mood),
        Cell::plain(look, &age(now - sample.sampled_at)),
        outcome(look, sample, is_stale),
    ];
    if is_stale {
        for cell in &mut row {
            cell.mood = Mood::Dim;
        }
    }
    row
}

/// `1234 (p3)`: the largest lag and its partition.
pub(super) fn lag_max(sample: &Sample) -> Option<String> {
    let (lag, partition) = (sample.lag_max()?, sample.lag_max_partition()?);
    Some(format!("{lag} (p{partition})"))
}

/// The words of the documents: the outcome, beside `ok` the state of the group where it is not the usual one, and why there are no numbers.
pub(super) fn outcome(look: Look, sample: &Sample, is_stale: bool) -> Cell {
    let state = unusual_state(sample);
    let mood = match (sample.outcome, state) {
        (Outcome::Ok, None) => Mood::Good,
        (Outcome::Ok, Some(_)) | (Outcome::NoRows, _) => Mood::Notice,
        _ => Mood::Bad,
    };
    let mut text = String::new();
    if is_stale {
        text.push_str("stale, ");
    }
    text.push_str(sample.outcome.word());
    if let Some(state) = state {
        text.push_str(", ");
        text.push_str(state);
    }
    if let Some(reason) = &sample.reason {
        text.push_str(": ");
        text.push_str(reason.trim());
    }
    Cell::new(look, &text, mood)
}

fn unusual_state(sample: &Sample) -> Option<&'static str> {
    match sample.group_state {
        state @ (GroupState::Empty | GroupState::Rebalancing) => Some(state.word()),
        GroupState::Stable | GroupState::Unknown => None,
    }
}

/// All of one topic in a sentence, for the line below the table.
pub(super) fn sentence(topic: &Topic) -> String {
    let sample = topic.latest();
    let cluster = sample.cluster.as_deref();
    let cluster = cluster.map_or_else(String::new, |it| format!(" ({it})"));
    let mut text = format!(
        "{}: {} on {}{cluster}",
        sample.topic, sample.group, sample.mirror_host
    );
    if topic.is_ok() {
        let unknown = sample.partitions_unknown().len();
        text.push_str(&format!(", {} partitions", sample.partitions.len()));
        if unknown > 0 {
            text.push_str(&format!(" ({unknown} unknown)"));
        }
    }
    if let Some(max) = lag_max(sample) {
        text.push_str(&format!(", max {max}"));
    }
    text.push_str(&format!(", group {}", sample.group_state.word()));
    if let Some(round) = sample.round_ms {
        text.push_str(&format!(", round {round} ms"));
    }
    if let Some(reason) = &sample.reason {
        text.push_str(&format!(", {}: {}", sample.outcome.word(), reason.trim()));
    }
    text
}
