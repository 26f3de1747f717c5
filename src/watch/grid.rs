//! In: columns and rows of cells. Out: the rows that fit into a part of the screen.
//! Never: cuts a number, knows what the cells mean.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::keys::Step;
use super::look::{Cell, Look, Mood, cells};

/// One column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub title: &'static str,
    pub kind: Kind,
    /// The column with the highest rank goes first where the width does not do for all; 0 always stays.
    pub rank: u8,
}

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Right-aligned and never cut.
    Number,
    /// Always so many cells.
    Fixed(usize),
    /// As many cells as its values have, but cut to this many where there is no room.
    Words(usize),
}

/// The row that is chosen, and the first that is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub chosen: usize,
    pub top: usize,
    /// Rows that were shown last: a page.
    shown: usize,
}

impl Cursor {
    /// Moves among `rows`.
    pub(super) fn step(&mut self, step: Step, rows: usize) {
        let page = self.shown.saturating_sub(1).max(1);
        let last = rows.saturating_sub(1);
        self.chosen = match step {
            Step::Up => self.chosen.saturating_sub(1),
            Step::Down => self.chosen + 1,
            Step::PageUp => self.chosen.saturating_sub(page),
            Step::PageDown => self.chosen + page,
            Step::First => 0,
            Step::Last => last,
        }
        .min(last);
    }

    /// Makes sure that the chosen one of `rows` is among the `shown` from the top on.
    pub(super) fn fit(&mut self, rows: usize, shown: usize) {
        self.shown = shown;
        self.chosen = self.chosen.min(rows.saturating_sub(1));
        let highest = (self.chosen + 1).saturating_sub(shown);
        self.top = self
            .top
            .clamp(highest.min(self.chosen), self.chosen)
            .min(rows.saturating_sub(shown));
    }
}

/// Draws titles and rows into `area`. `chosen` is the place among `rows` of the one to mark; `natural` are the cells that a column of words
/// would like, also for rows that are not shown.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    look: Look,
    columns: &[Column],
    natural: &[usize],
    rows: &[Vec<Cell>],
    chosen: Option<usize>,
) {
    let widths = widths(columns, natural, rows, usize::from(area.width));
    let titles: Vec<Cell> = columns
        .iter()
        .map(|column| Cell::new(look, column.title, Mood::Dim))
        .collect();
    for (line, row) in (0..area.height).zip(std::iter::once(&titles).chain(rows)) {
        let y = area.y + line;
        let is_chosen = line > 0 && chosen == Some(usize::from(line) - 1);
        let mut x = area.x;
        for ((column, width), cell) in columns.iter().zip(&widths).zip(row) {
            let Some(width) = *width else { continue };
            let text = look.cut(&cell.text, width);
            let blanks = match column.kind {
                Kind::Number => width.saturating_sub(cells(&text)),
                _ => 0,
            };
            // A colour on the mark of the chosen row would be a patch.
            let mood = match (is_chosen, cell.mood) {
                (false, mood) | (true, mood @ Mood::Dim) => mood,
                (true, _) => Mood::Plain,
            };
            let style = look.style(mood);
            let from = x.saturating_add(small(blanks));
            if from < area.right() {
                buffer.set_stringn(from, y, &text, usize::from(area.right() - from), style);
            }
            x = x.saturating_add(small(width + 1));
        }
        if is_chosen {
            let marked = Style::new().add_modifier(Modifier::REVERSED);
            buffer.set_style(Rect::new(area.x, y, area.width, 1), marked);
        }
    }
}

/// Cells of each column; `None`: it does not fit.
fn widths(
    columns: &[Column],
    natural: &[usize],
    rows: &[Vec<Cell>],
    width: usize,
) -> Vec<Option<usize>> {
    let wanted: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| match column.kind {
            Kind::Fixed(width) => width,
            Kind::Number | Kind::Words(_) => {
                let values = rows.iter().filter_map(|row| row.get(at));
                let widest = values.map(|cell| cells(&cell.text)).max().unwrap_or(0);
                let natural = natural.get(at).copied().unwrap_or(0);
                widest.max(natural).max(column.title.len())
            }
        })
        .collect();
    let least = |at: usize| match columns.get(at).map(|column| column.kind) {
        Some(Kind::Words(least)) => least.min(wanted[at]),
        _ => wanted[at],
    };
    let mut widths: Vec<Option<usize>> = (0..columns.len()).map(|at| Some(least(at))).collect();
    while total(&widths) > width {
        let shown = columns.iter().enumerate();
        let last = shown
            .filter(|(at, column)| widths[*at].is_some() && column.rank > 0)
            .max_by_key(|(_, column)| column.rank);
        let Some((at, _)) = last else { break };
        widths[at] = None;
    }
    // What is left goes to the columns in turn, so that no long name takes all.
    let mut left = width.saturating_sub(total(&widths));
    while left > 0 {
        let before = left;
        for (width, wanted) in widths.iter_mut().zip(&wanted) {
            if let Some(width) = width
                && *width < *wanted
                && left > 0
            {
                *width += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    widths
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + shown.count().saturating_sub(1)
}

fn small(cells: usize) -> u16 {
    u16::try_from(cells).unwrap_or(u16::MAX)
}
