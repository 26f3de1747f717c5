//! In: samples in the order of the journal. Out: of every topic the latest one, and its lags of the last minutes.
//! Never: reads a clock, fills a gap with a number.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::Standing;
use super::trend::{self, Trend};
use crate::kafka::Outcome;
use crate::sample::{ANY_TOPIC, Sample};

/// The past that a sparkline shows: the shortest of these that has all that is known.
const PASTS: [TimeDelta; 3] = [
    TimeDelta::minutes(1),
    TimeDelta::minutes(2),
    TimeDelta::minutes(5),
];

/// The longest of them.
const PAST: TimeDelta = TimeDelta::minutes(5);

/// Lags kept per topic: at one sample a second, the shortest interval there is, the past has so many.
const POINTS_MAX: usize = 320;

/// A sample is stale when it is older than so many intervals, and the time that its round took.
const STALE_INTERVALS: i32 = 3;

/// The interval of a source that has not said its own: the default of the configuration.
const INTERVAL: TimeDelta = TimeDelta::seconds(10);

/// A topic that brought nothing for this long, while others did, is gone.
const GONE_AFTER: TimeDelta = TimeDelta::minutes(15);

/// ... or for so many intervals, where that is longer.
const GONE_INTERVALS: i32 = 10;

/// Which topic of which group, read on which mirror host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicKey {
    pub topic: String,
    pub group: String,
    pub mirror_host: String,
}

/// The latest sample of every topic, and a little of its past.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    by_key: BTreeMap<TopicKey, Topic>,
    /// The newest instant of all.
    newest: Option<DateTime<Utc>>,
    /// By mirror host and group, as the sources have said.
    intervals: HashMap<String, HashMap<String, TimeDelta>>,
    /// Whether the run that is alive has said its sources.
    are_sources_known: bool,
}

/// One topic of one group on one mirror host.
#[derive(Debug, Clone)]
pub struct Topic {
    latest: Sample,
    /// Instants and total lags, oldest first; `None` is unknown.
    points: VecDeque<(DateTime<Utc>, Option<i64>)>,
    interval: TimeDelta,
}

impl TopicKey {
    fn of(sample: &Sample) -> Self {
        Self {
            topic: sample.topic.clone(),
            group: sample.group.clone(),
            mirror_host: sample.mirror_host.clone(),
        }
    }
}

impl Topics {
    /// Takes one sample, later in the journal than those before.
    pub fn push(&mut self, sample: Sample) {
        let key = TopicKey::of(&sample);
        if key.topic != ANY_TOPIC {
            // The source knows its topics by now.
            let topic = ANY_TOPIC.to_owned();
            self.by_key.remove(&TopicKey {
                topic,
                ..key.clone()
            });
        }
        let said = self.said_interval(&key);
        self.newest = self.newest.max(Some(sample.sampled_at));
        match self.by_key.get_mut(&key) {
            Some(topic) => topic.push(sample, said),
            None => {
                self.by_key.insert(key, Topic::new(sample, said));
            }
        }
    }

    /// What the sources say of themselves: their intervals, and which there are.
    pub(super) fn know(&mut self, standing: &Standing) {
        self.are_sources_known = standing.is_alive && !standing.sources.is_empty();
        self.intervals.clear();
        for source in &standing.sources {
            let of_host = self.intervals.entry(source.mirror_host.clone());
            let interval = of_host
                .or_default()
                .entry(source.group.clone())
                .or_insert(source.interval);
            *interval = source.interval.max(*interval);
        }
        let intervals = &self.intervals;
        for (key, topic) in &mut self.by_key {
            if let Some(said) = said(intervals, key) {
                topic.interval = said;
            }
        }
    }

    /// Forgets topics that brought nothing for long while others did, and stale ones of groups that nobody asks for any more.
    pub(super) fn drop_gone(&mut self) {
        let Some(newest) = self.newest else { return };
        let (intervals, are_known) = (&self.intervals, self.are_sources_known);
        self.by_key.retain(|key, topic| {
            let silent = newest - topic.latest.sampled_at;
            let is_left = are_known && said(intervals, key).is_none();
            let is_gone = silent > GONE_AFTER.max(topic.interval * GONE_INTERVALS);
            !(is_gone || is_left && topic.is_stale(newest))
        });
    }

    /// Every topic, by name, group and mirror host.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicKey, &Topic)> {
        self.by_key.iter()
    }

    /// The past that sparklines show now.
    pub(super) fn past(&self, now: DateTime<Utc>) -> TimeDelta {
        let firsts = self.by_key.values().filter_map(|it| it.points.front());
        let known = firsts.map(|point| now - point.0).max().unwrap_or_default();
        PASTS.into_iter().find(|past| known < *past).unwrap_or(PAST)
    }

    pub(super) fn get(&self, key: &TopicKey) -> Option<&Topic> {
        self.by_key.get(key)
    }

    fn said_interval(&self, key: &TopicKey) -> Option<TimeDelta> {
        said(&self.intervals, key)
    }
}

impl Topic {
    fn new(sample: Sample, interval: Option<TimeDelta>) -> Self {
        Self {
            points: VecDeque::from([(sample.sampled_at, sample.lag_total())]),
            latest: sample,
            interval: interval.unwrap_or(INTERVAL),
        }
    }

    fn push(&mut self, sample: Sample, said: Option<TimeDelta>) {
        let step = sample.sampled_at - self.latest.sampled_at;
        if step <= TimeDelta::zero() {
            // A clock that was set back: what is later than now is no past.
            let at = sample.sampled_at;
            self.points.retain(|point| point.0 < at);
        } else if let Some(interval) = said.or(Some(step)) {
            self.interval = interval;
        }
        self.points
            .push_back((sample.sampled_at, sample.lag_total()));
        let since = sample.sampled_at - PAST.max(self.trend_window());
        while self.points.len() > POINTS_MAX || self.points.front().is_some_and(|it| it.0 < since) {
            self.points.pop_front();
        }
        self.latest = sample;
    }

    /// The last sample that came.
    pub fn latest(&self) -> &Sample {
        &self.latest
    }

    /// How the total lag changes; unknown while the lag is.
    pub fn trend(&self) -> Trend {
        if self.latest.lag_total().is_none() {
            return Trend::Unknown;
        }
        let since = self.latest.sampled_at - self.trend_window();
        let lags = self.points.iter().filter(|point| point.0 >= since);
        let lags: Vec<_> = lags.filter_map(|point| Some((point.0, point.1?))).collect();
        Trend::of(&lags)
    }

    /// Whether another sample should have come long ago.
    pub(super) fn is_stale(&self, now: DateTime<Utc>) -> bool {
        let round = self.latest.round_ms.unwrap_or(0);
        let round = TimeDelta::milliseconds(i64::try_from(round).unwrap_or(0));
        now - self.latest.sampled_at > self.interval * STALE_INTERVALS + round
    }

    /// Whether there are numbers.
    pub(super) fn is_ok(&self) -> bool {
        self.latest.outcome == Outcome::Ok
    }

    /// The largest known lag in each of `columns` equal parts of `past` before `now`, oldest first; a part between two samples has the one
    /// before it, a part in which nothing was known has none.
    pub(super) fn lags(
        &self,
        now: DateTime<Utc>,
        past: TimeDelta,
        columns: usize,
    ) -> Vec<Option<i64>> {
        let from = now - past;
        let part = past / i32::try_from(columns.max(1)).unwrap_or(i32::MAX);
        let mut points = self.points.iter().peekable();
        let mut before: Option<&(DateTime<Utc>, Option<i64>)> = None;
        let mut values = Vec::with_capacity(columns);
        for column in 1..=columns {
            let end = from + part * i32::try_from(column).unwrap_or(i32::MAX);
            let start = end - part;
            let mut is_empty = true;
            let mut most = None;
            while let Some(point) = points.next_if(|point| point.0 <= end) {
                if point.0 > start {
                    is_empty = false;
                    most = most.max(point.1);
                }
                before = Some(point);
            }
            let held = before.filter(|it| start - it.0 < self.interval * STALE_INTERVALS);
            values.push(match is_empty {
                true => held.and_then(|it| it.1),
                false => most,
            });
        }
        values
    }

    fn trend_window(&self) -> TimeDelta {
        trend::WINDOW.max(self.interval * trend::WINDOW_INTERVALS)
    }
}

fn said(
    intervals: &HashMap<String, HashMap<String, TimeDelta>>,
    key: &TopicKey,
) -> Option<TimeDelta> {
    intervals.get(&key.mirror_host)?.get(&key.group).copied()
}
