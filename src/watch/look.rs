//! In: text of any origin, numbers. Out: the same as characters and colours that a terminal can show.
//! Never: lets a value move the cursor, gives a colour a meaning that no word has.

use chrono::TimeDelta;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthChar;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub has_color: bool,
    /// Whether its locale is UTF-8; otherwise everything is drawn in ASCII.
    pub has_unicode: bool,
}

/// What a colour says; the words beside it say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Plain,
    Good,
    Notice,
    Bad,
    /// Beside the point, or too old.
    Dim,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub text: String,
    pub mood: Mood,
}

/// Heights of a column of the sparkline.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_LEVELS: [char; 8] = ['_', '.', ',', '-', '=', '+', '*', '#'];

/// Parts of the last cell of a bar.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Skin tones: a terminal may draw them into the character before, or beside it.
const SKIN_TONES: std::ops::RangeInclusive<char> = '\u{1f3fb}'..='\u{1f3ff}';

impl Look {
    pub(super) fn style(self, mood: Mood) -> Style {
        let color = match mood {
            Mood::Plain => return Style::new(),
            Mood::Dim => return Style::new().add_modifier(Modifier::DIM),
            Mood::Good => Color::Green,
            Mood::Notice => Color::Yellow,
            Mood::Bad => Color::Red,
        };
        match self.has_color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    /// `text` as characters that each take the cells which everybody counts: no control characters, none without a width, and in ASCII
    /// a `?` per cell for what is not.
    pub(super) fn text(self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for c in text.chars() {
            match c.width() {
                _ if c.is_control() => shown.push(' '),
                None | Some(0) => {}
                Some(_) if SKIN_TONES.contains(&c) => {}
                Some(cells) if !self.has_unicode && !c.is_ascii() => {
                    shown.extend(std::iter::repeat_n('?', cells));
                }
                Some(_) => shown.push(c),
            }
        }
        shown
    }

    /// `text` of `Look::text` cut to `width` cells, with a mark in the last of them where something was cut.
    pub(super) fn cut(self, text: &str, width: usize) -> String {
        if cells(text) <= width {
            return text.to_owned();
        }
        let mut left = width.saturating_sub(1);
        let mut short = String::new();
        for c in text.chars() {
            let wide = c.width().unwrap_or(0);
            if wide > left {
                break;
            }
            left -= wide;
            short.push(c);
        }
        if width > 0 {
            short.push(if self.has_unicode { '…' } else { '~' });
        }
        short
    }

    /// A bar of `width` cells for `most`; never empty for a lag above zero.
    pub(super) fn bar(self, lag: i64, most: i64, width: usize) -> String {
        let share = (lag as f64 / most.max(1) as f64).clamp(0.0, 1.0);
        if !self.has_unicode {
            let whole = (share * width as f64).round() as usize;
            return "#".repeat(whole.max(usize::from(lag > 0)));
        }
        let eighths = (share * (width * 8) as f64).round() as usize;
        let eighths = eighths.max(usize::from(lag > 0));
        let tail = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
        format!("{}{tail}", "█".repeat(eighths / 8))
    }

    /// One character per value, from the lowest for 0 to the highest for the largest; a blank where nothing is known.
    pub(super) fn sparkline(self, values: &[Option<i64>]) -> String {
        let levels = if self.has_unicode {
            LEVELS
        } else {
            ASCII_LEVELS
        };
        let most = values.iter().flatten().copied().max().unwrap_or(0).max(1);
        let level = |value: i64| {
            let share = value.max(0) as f64 / most as f64;
            let at = (share * (levels.len() - 1) as f64).ceil() as usize;
            levels.get(at).copied().unwrap_or('?')
        };
        values.iter().map(|it| it.map_or(' ', level)).collect()
    }
}

impl Cell {
    pub(super) fn new(look: Look, text: &str, mood: Mood) -> Self {
        let text = look.text(text);
        Self { text, mood }
    }

    pub(super) fn plain(look: Look, text: &str) -> Self {
        Self::new(look, text, Mood::Plain)
    }

    /// A number, or `-` where it is unknown.
    pub(super) fn number<T: ToString>(number: Option<T>) -> Self {
        Self {
            text: number.map_or_else(|| "-".to_owned(), |it| it.to_string()),
            mood: Mood::Plain,
        }
    }
}

/// Terminal cells of a text of `Look::text`.
pub(super) fn cells(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// `text` in lines of at most `width` cells, broken at blanks where there are some; at most `lines_max`, the last of them cut.
pub(super) fn wrap(look: Look, text: &str, width: usize, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        let is_last = lines.len() + 1 >= lines_max;
        let fits = line.is_empty() || cells(&line) + 1 + cells(word) <= width;
        if !fits && !is_last {
            lines.push(look.cut(&line, width));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if words.peek().is_none() {
            lines.push(look.cut(&line, width));
        }
    }
    lines
}

/// An age in one unit or two, `0s` for an instant that is still to come.
pub fn age(age: TimeDelta) -> String {
    let seconds = age.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
