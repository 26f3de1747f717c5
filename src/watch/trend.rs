//! In: lags of a topic over time. Out: whether it rises, falls or stays, and how fast.
//! Never: takes the sawtooth of commits for a trend.

use chrono::{DateTime, TimeDelta, Utc};

/// The trend is the change over this long, or over some intervals: long enough to see through the sawtooth of commits every few seconds.
pub(super) const WINDOW: TimeDelta = TimeDelta::seconds(10);

/// Intervals that the window has at least.
pub(super) const WINDOW_INTERVALS: i32 = 6;

/// Below so many samples in the window nothing is said of a trend.
const SAMPLES_MIN: usize = 4;

/// A change over the window is a trend when it is this many times as large as the scatter around it: the sawtooth of commits is
/// scatter, whatever its height.
const OVER_SCATTER: f64 = 3.0;

/// A change over the window of less than this share of the lag is called steady.
const STEADY_SHARE: f64 = 0.02;

/// How a total lag changed over the window, in records per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trend {
    Unknown,
    Steady,
    Rising(f64),
    Falling(f64),
}

impl Trend {
    /// Of known lags, oldest first.
    pub(super) fn of(lags: &[(DateTime<Utc>, i64)]) -> Self {
        if lags.len() < SAMPLES_MIN {
            return Self::Unknown;
        }
        let line = Line::through(lags);
        let change = line.change.abs();
        let is_steady = change < 1.0
            || change < line.mean * STEADY_SHARE
            || change < line.scatter * OVER_SCATTER;
        match line.slope {
            _ if is_steady => Self::Steady,
            slope if slope > 0.0 => Self::Rising(slope),
            slope => Self::Falling(-slope),
        }
    }

    /// `+12/s`, `-3/s`, `steady`, or `-` where too little is known.
    pub fn word(self) -> String {
        match self {
            Self::Unknown => "-".to_owned(),
            Self::Steady => "steady".to_owned(),
            Self::Rising(rate) => format!("+{rate:.0}/s"),
            Self::Falling(rate) => format!("-{rate:.0}/s"),
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
    fn through(lags: &[(DateTime<Utc>, i64)]) -> Self {
        let start = lags.first().map(|(at, _)| *at).unwrap_or_default();
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
