//! In: samples as they come. Out: a table that shows what moves: lag, its bar and its trend, outcome and age of every topic.
//! Never: reads a clock, writes to a terminal.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::columns::{self, Cell, Column, Mood};
use super::table;
use crate::sample::Sample;

/// The trend is the change over this long: long enough to see through the sawtooth of commits every few seconds.
const TREND_WINDOW: TimeDelta = TimeDelta::seconds(10);

/// Lags kept per topic: at one sample a second the window has a dozen, and a shorter interval does not exist.
const LAGS_MAX: usize = 32;

/// Below so many samples in the window nothing is said of a trend.
const TREND_SAMPLES_MIN: usize = 4;

/// A change over the window is a trend when it is this many times as large as the scatter around it: the sawtooth of commits is
/// scatter, whatever its height.
const TREND_OVER_SCATTER: f64 = 3.0;

/// A change over the window of less than this share of the lag is called steady.
const STEADY_SHARE: f64 = 0.02;

/// Terminal cells of the longest bar.
const BAR_WIDTH: usize = 10;

/// From this width on there is room for the bar, and for the trend as a number and not only as its sign.
const WIDE: usize = 104;

/// Lines around the table: heading, two blank ones, and the line of titles.
const LINES_AROUND: usize = 4;

/// The latest sample of every topic, and a little of its past.
#[derive(Debug, Default)]
pub struct Live {
    /// By mirror host, group and topic.
    topics: BTreeMap<(String, String, String), Topic>,
}

#[derive(Debug)]
struct Topic {
    latest: Sample,
    /// Instants and known total lags, oldest first.
    lags: VecDeque<(DateTime<Utc>, i64)>,
}

/// How a total lag changed over the window, in records per second.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trend {
    Unknown,
    Steady,
    Rising(f64),
    Falling(f64),
}

impl Live {
    /// Takes one sample; an older one than the latest of its topic is ignored.
    pub fn push(&mut self, sample: Sample) {
        let key = (
            sample.mirror_host.clone(),
            sample.group.clone(),
            sample.topic.clone(),
        );
        let lag = sample.lag_total().map(|lag| (sample.sampled_at, lag));
        match self.topics.get_mut(&key) {
            Some(topic) if sample.sampled_at < topic.latest.sampled_at => return,
            Some(topic) => topic.latest = sample,
            None => {
                let topic = Topic {
                    latest: sample,
                    lags: VecDeque::new(),
                };
                self.topics.insert(key.clone(), topic);
            }
        }
        if let (Some(topic), Some(lag)) = (self.topics.get_mut(&key), lag) {
            topic.lags.push_back(lag);
            let since = lag.0 - TREND_WINDOW;
            while topic.lags.len() > LAGS_MAX || topic.lags.front().is_some_and(|l| l.0 < since) {
                topic.lags.pop_front();
            }
        }
    }

    /// The latest sample of every topic.
    pub fn latest(&self) -> Vec<Sample> {
        self.topics
            .values()
            .map(|topic| topic.latest.clone())
            .collect()
    }

    /// A screen of at most `height` lines of at most `width` terminal cells: heading, table, reasons, footer.
    ///
    /// Where the height does not do, reasons go first, then the topics with the least lag; the number of those is said.
    pub fn screen(
        &self,
        heading: &str,
        footer: &[String],
        now: DateTime<Utc>,
        (width, height): (usize, usize),
        color: bool,
    ) -> Vec<String> {
        let mut topics: Vec<&Topic> = self.topics.values().collect();
        topics.sort_by_key(|topic| (std::cmp::Reverse(topic.latest.lag_total()), topic.name()));
        let room = height.saturating_sub(LINES_AROUND + footer.len());
        let (shown, left_out) = match topics.len() {
            all if all <= room => (all, 0),
            all => (room.saturating_sub(1), all - room.saturating_sub(1)),
        };
        topics.truncate(shown);
        let reasons = topics.iter().filter(|t| t.latest.reason.is_some()).count();
        let has_reasons = left_out == 0 && shown + reasons <= room;

        let mut lines = vec![
            columns::cut(&columns::printable(heading), width),
            String::new(),
        ];
        let rows = self.rows(&topics, now, width >= WIDE);
        let table = columns::lines(columns_of(width >= WIDE), &rows, width, color);
        for (at, line) in table.into_iter().enumerate() {
            lines.push(line.trim_end().to_owned());
            let topic = at.checked_sub(1).and_then(|at| topics.get(at));
            let topic = topic.filter(|_| has_reasons);
            lines.extend(topic.and_then(|t| table::reason(&t.latest, width, color)));
        }
        if left_out > 0 {
            let text = format!("… {left_out} more topics; a higher window shows them");
            lines.push(Mood::Dim.paint(&columns::cut(&text, width), color));
        }
        lines.push(String::new());
        let footer = footer.iter().map(|line| columns::cut(line, width));
        lines.extend(footer.map(|line| Mood::Dim.paint(&line, color)));
        lines.truncate(height);
        lines
    }

    /// One line per topic, for a pipe: an instant, then `key=value` words; ends with a line feed.
    pub fn plain(&self, now: DateTime<Utc>) -> String {
        let mut text = String::new();
        for topic in self.topics.values() {
            let sample = &topic.latest;
            let number = |n: Option<i64>| n.map_or("-".to_owned(), |n| n.to_string());
            let words = format!(
                "{} topic={} group={} mirror_host={} partitions={} lag_total={} lag_max={} trend={} outcome={} group_state={} age={}",
                sample.sampled_at.format("%H:%M:%S"),
                sample.topic,
                sample.group,
                sample.mirror_host,
                sample.partitions.len(),
                number(sample.lag_total()),
                number(sample.lag_max()),
                topic.trend().word(),
                sample.outcome.word(),
                sample.group_state.word(),
                table::age(now - sample.sampled_at),
            );
            text.push_str(&columns::printable(&words));
            text.push('\n');
        }
        text
    }

    fn rows(&self, topics: &[&Topic], now: DateTime<Utc>, is_wide: bool) -> Vec<Vec<Cell>> {
        let most = topics.iter().filter_map(|t| t.latest.lag_total()).max();
        let most = most.unwrap_or(0).max(1);
        let rows = topics.iter().map(|topic| {
            let [name, group, host, partitions, total, max, outcome, age] =
                table::cells(&topic.latest, now);
            let trend = topic.trend();
            if is_wide {
                let bar = Cell::plain(bar(topic.latest.lag_total().unwrap_or(0), most));
                let trend = trend.cell();
                vec![
                    name, group, host, partitions, total, bar, trend, max, outcome, age,
                ]
            } else {
                let sign = Cell::new(trend.sign(), trend.mood());
                vec![
                    name, group, host, partitions, total, sign, max, outcome, age,
                ]
            }
        });
        rows.collect()
    }
}

impl Topic {
    fn name(&self) -> (&str, &str, &str) {
        let sample = &self.latest;
        (&sample.topic, &sample.group, &sample.mirror_host)
    }

    fn trend(&self) -> Trend {
        if self.latest.lag_total().is_none() {
            return Trend::Unknown;
        }
        if self.lags.len() < TREND_SAMPLES_MIN {
            return Trend::Unknown;
        }
        let line = Line::through(&self.lags);
        let change = line.change.abs();
        let is_steady = change < 1.0
            || change < line.mean * STEADY_SHARE
            || change < line.scatter * TREND_OVER_SCATTER;
        match line.slope {
            _ if is_steady => Trend::Steady,
            slope if slope > 0.0 => Trend::Rising(slope),
            slope => Trend::Falling(-slope),
        }
    }
}

/// The straight line nearest to lags over time, by least squares.
struct Line {
    /// Records per second.
    slope: f64,
    /// Change of the line from the first to the last instant, in records.
    change: f64,
    mean: f64,
    /// Standard deviation of the lags around the line, in records.
    scatter: f64,
}

impl Line {
    /// `lags` has two different instants at least, or the line is level.
    fn through(lags: &VecDeque<(DateTime<Utc>, i64)>) -> Self {
        let start = lags.front().map(|(at, _)| *at).unwrap_or_default();
        let seconds = |at: DateTime<Utc>| (at - start).num_milliseconds() as f64 / 1000.0;
        let points: Vec<(f64, f64)> = lags
            .iter()
            .map(|(at, lag)| (seconds(*at), *lag as f64))
            .collect();
        let count = points.len().max(1) as f64;
        let mean_of = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / count;
        let (middle, mean) = (mean_of(|point| point.0), mean_of(|point| point.1));
        let (mut together, mut square) = (0.0, 0.0);
        for (x, y) in &points {
            together += (x - middle) * (y - mean);
            square += (x - middle).powi(2);
        }
        let slope = if square > 0.0 { together / square } else { 0.0 };
        let off = |(x, y): &(f64, f64)| (y - mean - slope * (x - middle)).powi(2);
        let span = points.last().map_or(0.0, |point| point.0);
        Self {
            slope,
            change: slope * span,
            mean,
            scatter: (points.iter().map(off).sum::<f64>() / count).sqrt(),
        }
    }
}

impl Trend {
    fn word(self) -> String {
        match self {
            Self::Unknown => "-".to_owned(),
            Self::Steady => "steady".to_owned(),
            Self::Rising(rate) => format!("+{rate:.0}/s"),
            Self::Falling(rate) => format!("-{rate:.0}/s"),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Unknown | Self::Steady => "",
            Self::Rising(_) => "▲",
            Self::Falling(_) => "▼",
        }
    }

    fn mood(self) -> Mood {
        match self {
            Self::Unknown => Mood::Plain,
            Self::Steady => Mood::Dim,
            Self::Rising(_) => Mood::Notice,
            Self::Falling(_) => Mood::Good,
        }
    }

    fn cell(self) -> Cell {
        let text = format!("{} {}", self.sign(), self.word());
        Cell::new(text.trim_start(), self.mood())
    }
}

fn columns_of(is_wide: bool) -> &'static [Column] {
    const fn untitled() -> Column {
        table::text("", None)
    }
    const ALL: [Column; 8] = table::COLUMNS;
    const NARROW: [Column; 9] = [
        ALL[0],
        ALL[1],
        ALL[2],
        ALL[3],
        ALL[4],
        untitled(),
        ALL[5],
        ALL[6],
        ALL[7],
    ];
    const WIDE: [Column; 10] = [
        ALL[0],
        ALL[1],
        ALL[2],
        ALL[3],
        ALL[4],
        untitled(),
        table::text("TREND", None),
        ALL[5],
        ALL[6],
        ALL[7],
    ];
    if is_wide { &WIDE } else { &NARROW }
}

/// A bar of `BAR_WIDTH` cells for `most`, in eighths of a cell; never empty for a lag above zero.
fn bar(lag: i64, most: i64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = (lag as f64 / most as f64).clamp(0.0, 1.0);
    let eighths = (share * (BAR_WIDTH * 8) as f64).round() as usize;
    let eighths = eighths.max(usize::from(lag > 0));
    let tail = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    format!(
        "{:<BAR_WIDTH$}",
        format!("{}{tail}", "█".repeat(eighths / 8))
    )
}

#[cfg(test)]
mod tests;
