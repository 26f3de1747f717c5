//! In: an index name of the configuration, with or without a date in it. Out: the names of its indices, the wildcard of them all, the time that one holds.
//! Never: reads a clock, asks whether an index exists, judges what characters Elasticsearch takes.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};

/// The name of one index, or the pattern of one index per year, month or day: `consumer_lag`, `consumer_lag-%Y.%m`.
///
/// A date is the UTC date of a document's `@timestamp`. Behind a date's `-` there is nothing but digits and what the pattern says, so that
/// the names of two patterns are told apart, and every name that is ours is read back to the same date.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IndexName {
    /// What stands before the date, its `-` included; the whole name where there is none.
    before: String,
    /// Each part of the date and the text behind it, `%Y` first; empty without a date.
    date: Vec<(Period, String)>,
}

/// How long one index of a dated name is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    Year,
    Month,
    Day,
}

/// A name whose date cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {mend}")]
pub struct BadIndexName {
    /// What is wrong with it.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl IndexName {
    /// The name of the index that holds documents of this instant.
    pub fn at(&self, instant: DateTime<Utc>) -> String {
        let mut name = self.before.clone();
        for (part, text) in &self.date {
            name.push_str(&match part {
                Period::Year => format!("{:04}", instant.year()),
                Period::Month => format!("{:02}", instant.month()),
                Period::Day => format!("{:02}", instant.day()),
            });
            name.push_str(text);
        }
        name
    }

    /// The wildcard of all its indices, `consumer_lag-*.*`; the name itself where it has no date.
    pub fn pattern(&self) -> String {
        let mut pattern = self.before.clone();
        for (_, text) in &self.date {
            // `%Y%m` needs one star, not two.
            if !pattern.ends_with('*') {
                pattern.push('*');
            }
            pattern.push_str(text);
        }
        pattern
    }

    /// How long one index is written to; `None` without a date: for ever.
    pub fn period(&self) -> Option<Period> {
        self.date.last().map(|(period, _)| *period)
    }

    /// The first instant that index `name` holds and the first that it holds no more; `None` for a name that `at` never gives,
    /// and without a date.
    pub fn range_of(&self, name: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let period = self.period()?;
        let mut rest = name.strip_prefix(self.before.as_str())?;
        let (mut year, mut month, mut day) = (0, 1, 1);
        for (part, text) in &self.date {
            let number;
            (number, rest) = digits(rest, if *part == Period::Year { 4 } else { 2 })?;
            match part {
                Period::Year => year = i32::try_from(number).ok()?,
                Period::Month => month = number,
                Period::Day => day = number,
            }
            rest = rest.strip_prefix(text.as_str())?;
        }
        let first = NaiveDate::from_ymd_opt(year, month, day).filter(|_| rest.is_empty())?;
        let end = match period {
            Period::Year => first.checked_add_months(Months::new(12)),
            Period::Month => first.checked_add_months(Months::new(1)),
            Period::Day => first.checked_add_days(Days::new(1)),
        }?;
        let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
        Some((midnight(first), midnight(end)))
    }

    /// The name without its date and the `-` before it: `consumer_lag`.
    pub fn stem(&self) -> &str {
        match self.date.is_empty() {
            true => &self.before,
            false => self.before.trim_end_matches('-'),
        }
    }

    /// This name with `suffix` behind its stem: `consumer_lag-%Y.%m` and `_partitions` are `consumer_lag_partitions-%Y.%m`.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let (stem, dash) = self.before.split_at(self.stem().len());
        Self {
            before: format!("{stem}{suffix}{dash}"),
            date: self.date.clone(),
        }
    }

    /// The stem alone: one index, or a data stream, for all time.
    #[must_use]
    pub fn without_date(&self) -> Self {
        Self {
            before: self.stem().to_owned(),
            date: Vec::new(),
        }
    }

    /// Whether some index could belong to both.
    ///
    /// An undated name stands for its successors as well (`consumer_lag-000002`), as the data views have it.
    pub fn meets(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.claims(), other.claims());
        ours.iter()
            .any(|our| theirs.iter().any(|their| wildcards_meet(our, their)))
    }

    /// Wildcards of everything that is counted as this name's.
    fn claims(&self) -> Vec<String> {
        let pattern = self.pattern();
        match self.date.is_empty() {
            true => vec![format!("{pattern}-*"), pattern],
            false => vec![pattern],
        }
    }
}

/// Reads a number of exactly `count` digits; the rest follows.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?.map(|it| (it, rest))
}

/// Whether one text fits two patterns, in which `*` stands for any text.
fn wildcards_meet(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // Row by row, from the ends: whether what is left of `one` and what is left of `other` fit one text.
    let mut below: Vec<bool> = Vec::new();
    for at in (0..=one.len()).rev() {
        let mut row = vec![false; other.len() + 1];
        for to in (0..=other.len()).rev() {
            let next = |it: Option<&bool>| it.copied().unwrap_or_default();
            let (one_on, other_on) = (next(below.get(to)), next(row.get(to + 1)));
            let meets = match (one.get(at), other.get(to)) {
                (None, None) => true,
                // The star ends here, or takes one more of the other.
                (Some(b'*'), _) | (_, Some(b'*')) => one_on || other_on,
                (Some(ours), Some(theirs)) => ours == theirs && next(below.get(to + 1)),
                _ => false,
            };
            if let Some(cell) = row.get_mut(to) {
                *cell = meets;
            }
        }
        below = row;
    }
    below.first().copied().unwrap_or_default()
}

impl Default for IndexName {
    /// `consumer_lag`, the index of a configuration that names none.
    fn default() -> Self {
        Self {
            before: "consumer_lag".to_owned(),
            date: Vec::new(),
        }
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        for (part, text) in &self.date {
            write!(f, "{part}{text}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "%Y",
            Self::Month => "%m",
            Self::Day => "%d",
        })
    }
}

impl FromStr for IndexName {
    type Err = BadIndexName;

    fn from_str(text: &str) -> Result<Self, BadIndexName> {
        let bad = |what: String, mend: &str| {
            let mend = mend.to_owned();
            Err(BadIndexName { what, mend })
        };
        let mut pieces = text.split('%');
        let before = pieces.next().unwrap_or_default().to_owned();
        let mut date: Vec<(Period, String)> = Vec::new();
        for piece in pieces {
            let letter = piece.chars().next();
            let part = match letter {
                Some('Y') => Period::Year,
                Some('m') => Period::Month,
                Some('d') => Period::Day,
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return bad(
                        format!("{text:?} has %{other} in it"),
                        "use %Y, %m and %d alone: year, month and day of @timestamp in UTC",
                    );
                }
            };
            let follows = match date.last() {
                None => part == Period::Year,
                Some((Period::Year, _)) => part == Period::Month,
                Some((Period::Month, _)) => part == Period::Day,
                Some((Period::Day, _)) => false,
            };
            if !follows {
                return bad(
                    format!("{text:?} has {part} where it cannot stand"),
                    "write %Y, %Y.%m or %Y.%m.%d: the year first, each once",
                );
            }
            date.push((part, piece.chars().skip(1).collect()));
        }
        // Behind any other character the wildcard would take in what merely begins alike: consumer_lag_* is consumer_lag_old too.
        let is_apart = before.ends_with('-') && !before.trim_end_matches('-').is_empty();
        if !date.is_empty() && !is_apart {
            return bad(
                format!("{text:?} needs a name and '-' before its date"),
                "write it as in consumer_lag-%Y.%m",
            );
        }
        Ok(Self { before, date })
    }
}

#[cfg(test)]
mod tests;
