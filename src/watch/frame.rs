//! In: lines of text. Out: the parts of the screen around the body: title, tabs, what is in the way, keys, help.
//! Never: knows a topic.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::look::{Look, Mood, cells, wrap};

/// The smallest screen that has room for a row.
pub(super) const WIDTH_MIN: u16 = 40;
pub(super) const HEIGHT_MIN: u16 = 10;

/// Lines that what is in the way may take from the body.
const NOTE_LINES_MAX: usize = 3;

/// From this height on a note may take more than a line, and has two also when it is short: the body must not jump with each row that is chosen.
const HIGH: u16 = 16;
const NOTE_LINES_HIGH: usize = 2;

pub(super) const PAGES: [&str; 3] = ["1 topics", "2 hosts", "3 sinks"];

pub(super) const HELP: [(&str, &str); 14] = [
    ("Tab  1 2 3", "topics, hosts, sinks"),
    ("up down  j k", "choose a row"),
    ("PgUp PgDn  Space", "a page up or down"),
    ("Home End  g G", "the first or the last row"),
    ("Enter", "the partitions of the chosen topic"),
    ("Esc", "back; clears the filter"),
    ("s", "sort by lag, name, age, outcome, host"),
    ("r", "reverse the order"),
    ("/", "filter by topic, group, host or cluster"),
    ("p", "pause: the picture stands, collecting does not"),
    ("Ctrl-Z", "back to the shell; fg comes here again"),
    ("q  Ctrl-C", "quit"),
    ("-", "a number that nobody knows"),
    ("stale", "nothing came for three intervals"),
];

/// The parts of a screen.
pub(super) struct Parts {
    pub title: Rect,
    pub tabs: Rect,
    pub body: Rect,
    pub notes: Rect,
    pub keys: Rect,
}

impl Parts {
    /// Of a screen that is at least `WIDTH_MIN` by `HEIGHT_MIN`, with so many lines of notes.
    pub(super) fn of(area: Rect, notes: usize) -> Self {
        let line = |y: u16, height: u16| Rect::new(area.x, area.y + y, area.width, height);
        let notes = u16::try_from(notes).unwrap_or(1);
        let height = area.height;
        Self {
            title: line(0, 1),
            tabs: line(1, 1),
            body: line(2, height.saturating_sub(3 + notes)),
            notes: line(height.saturating_sub(1 + notes), notes),
            keys: line(height.saturating_sub(1), 1),
        }
    }
}

/// A note as lines; only one that `is_urgent` may take a third.
pub(super) fn notes(look: Look, text: &str, is_urgent: bool, area: Rect) -> Vec<String> {
    let (least, most) = match (area.height < HIGH, is_urgent) {
        (true, _) => (1, 1),
        (false, true) => (NOTE_LINES_HIGH, NOTE_LINES_MAX),
        (false, false) => (NOTE_LINES_HIGH, NOTE_LINES_HIGH),
    };
    let mut lines = wrap(look, &look.text(text), usize::from(area.width), most);
    if lines.len() < least {
        lines.resize(least, String::new());
    }
    lines
}

/// One line at the left, another at the right where there is room for both.
pub(super) fn line(buffer: &mut Buffer, look: Look, area: Rect, left: &str, right: &str) {
    let width = usize::from(area.width);
    let (left, right) = (look.text(left), look.text(right));
    let has_room = cells(&left) + 2 + cells(&right) <= width;
    buffer.set_stringn(area.x, area.y, look.cut(&left, width), width, Style::new());
    if has_room && let Ok(from) = u16::try_from(width - cells(&right)) {
        buffer.set_stringn(area.x + from, area.y, &right, width, Style::new());
    }
}

/// The names of the pages, that of `page` marked, and what is set on it.
pub(super) fn tabs(buffer: &mut Buffer, look: Look, area: Rect, page: usize, set: &str) {
    let mut x = area.x;
    for (at, name) in PAGES.into_iter().enumerate() {
        let style = match at == page {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        let left = usize::from(area.right().saturating_sub(x));
        x = buffer
            .set_stringn(x, area.y, format!(" {name} "), left, style)
            .0;
    }
    let left = usize::from(area.right().saturating_sub(x + 1));
    let set = look.cut(&look.text(set), left);
    buffer.set_stringn(x + 1, area.y, set, left, Style::new());
}

/// As many of `keys` as fit, whole.
pub(super) fn keys(keys: &[&str], width: u16) -> String {
    let mut line = String::new();
    for key in keys {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.len() + gap.len() + key.len() > usize::from(width) {
            break;
        }
        line.push_str(gap);
        line.push_str(key);
    }
    line
}

/// Lines from the top of `area`, each with its mood.
pub(super) fn lines<'a>(
    buffer: &mut Buffer,
    look: Look,
    area: Rect,
    lines: impl IntoIterator<Item = (&'a str, Mood)>,
) {
    for (y, (text, mood)) in (area.y..area.bottom()).zip(lines) {
        let width = usize::from(area.width);
        buffer.set_stringn(area.x, y, look.cut(text, width), width, look.style(mood));
    }
}

/// What each key does.
pub(super) fn help(buffer: &mut Buffer, look: Look, area: Rect) {
    let text: Vec<String> = HELP
        .iter()
        .map(|(key, does)| format!("{key:<18}{does}"))
        .collect();
    let text = text.iter().map(|line| (line.as_str(), Mood::Plain));
    lines(buffer, look, area, text);
}

/// A screen without room says so.
pub(super) fn too_small(buffer: &mut Buffer, look: Look, area: Rect) {
    let text = format!(
        "{}x{} is too small: watch needs {WIDTH_MIN}x{HEIGHT_MIN}; q quits",
        area.width, area.height
    );
    let text = wrap(
        look,
        &text,
        usize::from(area.width),
        usize::from(area.height),
    );
    let text = text.iter().map(|line| (line.as_str(), Mood::Plain));
    lines(buffer, look, area, text);
}
