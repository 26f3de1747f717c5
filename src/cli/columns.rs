//! In: columns and cells. Out: lines of text that fit a width.
//! Never: knows what the cells mean, lets a value reach the terminal as a control sequence.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Blanks between two columns.
const GAP: &str = "  ";

/// Stands where a value was cut.
const CUT: char = '…';

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    /// The title where the full one does not fit.
    pub short_title: &'static str,
    /// Whether cells are aligned to the right, as numbers are.
    pub right: bool,
    /// Terminal cells below which the values are not cut; `None`: they are never cut.
    pub narrowest: Option<usize>,
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub mood: Mood,
}

impl Cell {
    /// A value without colour.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Mood::Plain)
    }

    /// A value with the colour of its meaning.
    pub fn new(text: impl Into<String>, mood: Mood) -> Self {
        Self {
            text: printable(&text.into()),
            mood,
        }
    }
}

/// What a colour says; where colour is off, the text alone must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Plain,
    Good,
    Notice,
    Bad,
    /// Beside the point: units, reasons, footers.
    Dim,
}

impl Mood {
    /// `text` between the control sequences of this meaning, or as it is where `color` is off.
    pub fn paint(self, text: &str, color: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => "32",
            Self::Notice => "33",
            Self::Bad => "31",
            Self::Dim => "2",
        };
        if color && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The title line and one line per row, without line ends; no line is wider than `width` terminal cells.
pub fn lines(columns: &[Column], rows: &[Vec<Cell>], width: usize, color: bool) -> Vec<String> {
    let natural = |short: bool| -> Vec<usize> {
        let title = |c: &Column| if short { c.short_title } else { c.title };
        columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                let widest = cells.map(|cell| cell.text.width()).max().unwrap_or(0);
                widest.max(title(column).width())
            })
            .collect()
    };
    let mut widths = natural(false);
    let short = total(&widths) > width;
    if short {
        widths = natural(true);
        shrink(columns, &mut widths, width);
    }
    let titles: Vec<Cell> = columns
        .iter()
        .map(|c| Cell::new(if short { c.short_title } else { c.title }, Mood::Dim))
        .collect();
    std::iter::once(&titles)
        .chain(rows)
        .map(|row| {
            if total(&widths) <= width {
                return line(columns, &widths, row, color);
            }
            // Not even the columns that are never cut fit: the line loses its right end, and its colour, which a cut would tear.
            cut(&line(columns, &widths, row, false), width)
        })
        .collect()
}

/// `text` cut to `width` terminal cells, the last of them `…` where something was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut short: String = text
        .chars()
        .take_while(|c| {
            let wide = c.width().unwrap_or(0);
            let fits = wide <= left;
            left = left.saturating_sub(wide);
            fits
        })
        .collect();
    if width > 0 {
        short.push(CUT);
    }
    short
}

/// `text` without control characters: what a remote host printed must not move the cursor.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn total(widths: &[usize]) -> usize {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    widths.iter().sum::<usize>() + gaps
}

/// Takes one terminal cell at a time from the widest column that may still be cut.
fn shrink(columns: &[Column], widths: &mut [usize], width: usize) {
    while total(widths) > width {
        let widest = columns
            .iter()
            .zip(widths.iter_mut())
            .filter(|(column, wide)| column.narrowest.is_some_and(|least| **wide > least))
            .max_by_key(|(_, wide)| **wide);
        let Some((_, wide)) = widest else {
            return;
        };
        *wide -= 1;
    }
}

fn line(columns: &[Column], widths: &[usize], row: &[Cell], color: bool) -> String {
    let last = columns.len().saturating_sub(1);
    let mut line = String::new();
    for (at, ((column, wide), cell)) in columns.iter().zip(widths).zip(row).enumerate() {
        let text = cut(&cell.text, *wide);
        let padding = " ".repeat(wide.saturating_sub(text.width()));
        let painted = cell.mood.paint(&text, color);
        if column.right {
            line.push_str(&padding);
            line.push_str(&painted);
        } else {
            line.push_str(&painted);
            if at != last {
                line.push_str(&padding);
            }
        }
        if at != last {
            line.push_str(GAP);
        }
    }
    line
}
