//! In: nothing. Out: the words in which a panel is described, for every tool alike.
//! Never: knows how a tool writes them.

pub use super::color::{Meaning, Steps};

/// Rows that a table keeps; more than the topics of any group here.
pub const ROWS_MAX: u16 = 200;

/// Series that a chart keeps legible.
pub const SERIES_MAX: u16 = 12;

/// Topics that a sum is made over: the most that Lens asks for.
pub const TERMS_MAX: u16 = 1000;

/// What "now" means: long enough for one round of a source that is asked each minute, with its describe.
pub const NOW: &str = "now-2m";

/// One panel of a dashboard.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Stable and unique in its dashboard.
    pub id: &'static str,
    pub title: String,
    /// What is shown, and what it cannot show.
    pub about: String,
    pub place: Place,
    pub content: Content,
}

/// Columns and rows of the grid; 48 columns make the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub x: u16,
    pub y: u16,
    pub w: u16,
    pub h: u16,
}

#[derive(Debug, Clone)]
pub enum Content {
    /// Ways to the other dashboards.
    Links,
    /// A saved search, by its id.
    Search(&'static str),
    Chart(Chart),
}

/// What is asked, and how the answer is drawn.
#[derive(Debug, Clone)]
pub struct Chart {
    pub shape: Shape,
    pub documents: Documents,
    /// The start of the panel's own time range, which ends now; `None` is the dashboard's.
    pub since: Option<&'static str>,
    pub filter: Option<Filter>,
    /// Outermost first.
    pub splits: Vec<Split>,
    pub measures: Vec<Measure>,
    /// A click on a topic opens the topic dashboard with it.
    pub opens_topic: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One large number.
    Number,
    /// One large number: the sum over the split, which is not shown itself.
    Sum,
    Lines,
    StackedBars,
    Table,
    /// A cell per value of the second split and instant; with partition fields instead of a split, a row per field.
    HeatMap,
    /// A bar per partition field.
    FieldBars,
}

/// Which documents are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Documents {
    /// One per topic and tick.
    Topics,
    /// One per partition and tick.
    Partitions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// By the instant, in buckets that suit the time range.
    Time,
    /// By the values of a field.
    Terms {
        field: &'static str,
        label: &'static str,
        size: u16,
        order: Order,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    ByName,
    /// By a measure, by its id, the largest first.
    Largest(&'static str),
    Smallest(&'static str),
}

/// One number, or the last word, of each bucket.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Unique in its panel.
    pub id: String,
    pub label: String,
    pub operation: Operation,
    /// Only these documents of the bucket.
    pub filter: Option<Filter>,
    pub unit: Unit,
    pub color: Color,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Count,
    Max(String),
    /// The instant of the latest document.
    Newest,
    Average(&'static str),
    /// How many different values.
    Unique(&'static str),
    /// The value of the latest document that has one.
    Last(&'static str),
}

impl Operation {
    /// The field it reads, but for counts and instants, which every document has.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Count | Self::Newest => None,
            Self::Max(field) => Some(field),
            Self::Average(field) | Self::Unique(field) | Self::Last(field) => Some(field),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    Is(&'static str, String),
    IsNot(&'static str, &'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Records,
    Milliseconds,
    /// Topics, hosts, rounds: whole things.
    Count,
    Instant,
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Color {
    /// The tool's own: the series has no meaning beyond its name.
    Plain,
    Always(Meaning),
    ByValue(Steps),
}

impl Measure {
    pub fn new(id: &str, label: &str, operation: Operation, unit: Unit) -> Self {
        Self {
            id: id.to_owned(),
            label: label.to_owned(),
            operation,
            filter: None,
            unit,
            color: Color::Plain,
        }
    }

    pub fn count(id: &str, label: &str) -> Self {
        Self::new(id, label, Operation::Count, Unit::Count)
    }

    pub fn unique(id: &str, label: &str, field: &'static str) -> Self {
        Self::new(id, label, Operation::Unique(field), Unit::Count)
    }

    /// The largest value: a peak is never averaged away, and no value is no number.
    pub fn max(id: &str, label: &str, field: &str, unit: Unit) -> Self {
        Self::new(id, label, Operation::Max(field.to_owned()), unit)
    }

    pub fn average(id: &str, label: &str, field: &'static str, unit: Unit) -> Self {
        Self::new(id, label, Operation::Average(field), unit)
    }

    pub fn newest(id: &str, label: &str) -> Self {
        Self::new(id, label, Operation::Newest, Unit::Instant)
    }

    pub fn last(id: &str, label: &str, field: &'static str) -> Self {
        Self::new(id, label, Operation::Last(field), Unit::Text)
    }

    pub fn only(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    pub fn always(mut self, meaning: Meaning) -> Self {
        self.color = Color::Always(meaning);
        self
    }

    pub fn by_value(mut self, steps: Steps) -> Self {
        self.color = Color::ByValue(steps);
        self
    }
}

impl Filter {
    pub fn is(field: &'static str, value: &str) -> Self {
        Self::Is(field, value.to_owned())
    }

    /// Rounds that brought no numbers.
    pub fn without_numbers() -> Self {
        Self::IsNot("outcome", "ok")
    }

    pub fn with_numbers() -> Self {
        Self::is("outcome", "ok")
    }

    /// Rounds for which the host was reached.
    pub fn reached() -> Self {
        Self::IsNot("outcome", "ssh_error")
    }

    /// In the language of Kibana's search bar.
    pub fn kuery(&self) -> String {
        match self {
            Self::Is(field, value) => format!("{field}: \"{}\"", escaped(value)),
            Self::IsNot(field, value) => format!("not {field}: \"{}\"", escaped(value)),
        }
    }

    /// In the language of Lucene, which Grafana asks in.
    pub fn lucene(&self) -> String {
        match self {
            Self::Is(field, value) => format!("{field}:\"{}\"", escaped(value)),
            Self::IsNot(field, value) => format!("NOT {field}:\"{}\"", escaped(value)),
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

impl Split {
    pub fn terms(field: &'static str, label: &'static str, size: u16, order: Order) -> Self {
        Self::Terms {
            field,
            label,
            size,
            order,
        }
    }
}

impl Chart {
    pub fn new(shape: Shape, splits: Vec<Split>, measures: Vec<Measure>) -> Self {
        Self {
            shape,
            documents: Documents::Topics,
            since: None,
            filter: None,
            splits,
            measures,
            opens_topic: false,
        }
    }

    /// Only what is there now, whatever the dashboard's time range.
    pub fn now(mut self) -> Self {
        self.since = Some(NOW);
        self
    }

    pub fn only(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    pub fn of_partitions(mut self) -> Self {
        self.documents = Documents::Partitions;
        self
    }

    pub fn opening_topic(mut self) -> Self {
        self.opens_topic = true;
        self
    }

    /// Drawn from a field per partition, which Lens has no shape for.
    pub fn is_folded(&self) -> bool {
        match self.shape {
            Shape::FieldBars => true,
            Shape::HeatMap => self.splits.len() < 2,
            _ => false,
        }
    }
}
