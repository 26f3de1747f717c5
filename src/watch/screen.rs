//! In: updates, keys, the instant. Out: what is shown: which page, which rows, which order; a frame of it.
//! Never: forgets while it is paused what it is told.

mod draw;

use chrono::{DateTime, Utc};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::frame::{self, HEIGHT_MIN, WIDTH_MIN};
use super::grid::Cursor;
use super::history::{Topic, TopicKey, Topics};
use super::keys::{self, Action, Edit, Step};
use super::look::Look;
use super::topics_page::{self, Sort};
use super::{Standing, Update};

/// Characters of a filter: more than any name needs.
const FILTER_CHARS_MAX: usize = 100;

/// What the caller does after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    GoOn,
    /// Give the terminal back to the shell until it says to go on.
    Suspend,
    Quit,
}

/// A live view: what is known, and what of it is shown.
#[derive(Debug)]
pub struct Watch {
    title: String,
    look: Look,
    known: Known,
    /// What was known when it was paused, and when that was.
    paused: Option<Box<(Known, DateTime<Utc>)>>,
    /// Also while `paused` is lent out for a drawing.
    is_paused: bool,
    page: usize,
    is_helping: bool,
    sort: Sort,
    is_reversed: bool,
    filter: String,
    is_filtering: bool,
    /// `None`: the first one, whichever that is.
    chosen: Option<TopicKey>,
    topics: Cursor,
    /// The topic whose partitions are shown.
    open: Option<TopicKey>,
    partitions: Cursor,
    are_partitions_by_lag: bool,
    are_partitions_reversed: bool,
    sources: Cursor,
    /// The first line that is shown below the sinks.
    sinks: Cursor,
    /// Lines there when they were drawn last.
    sink_lines: usize,
}

#[derive(Debug, Clone, Default)]
struct Known {
    topics: Topics,
    standing: Option<Standing>,
    /// What is in the way, and since when.
    trouble: Option<(String, DateTime<Utc>)>,
}

impl Watch {
    /// An empty view; `title` begins its first line.
    pub fn new(title: &str, look: Look) -> Self {
        Self {
            title: title.to_owned(),
            look,
            known: Known::default(),
            paused: None,
            is_paused: false,
            page: 0,
            is_helping: false,
            sort: Sort::default(),
            is_reversed: false,
            filter: String::new(),
            is_filtering: false,
            chosen: None,
            topics: Cursor::default(),
            open: None,
            partitions: Cursor::default(),
            are_partitions_by_lag: false,
            are_partitions_reversed: false,
            sources: Cursor::default(),
            sinks: Cursor::default(),
            sink_lines: 0,
        }
    }

    /// Takes what came; `now` is when.
    pub fn take(&mut self, update: Update, now: DateTime<Utc>) {
        let known = &mut self.known;
        if update.is_another {
            known.topics = Topics::default();
            known.standing = None;
        }
        if let Some(standing) = update.standing {
            known.topics.know(&standing);
            known.standing = Some(standing);
        }
        for sample in update.samples {
            known.topics.push(sample);
        }
        known.topics.drop_gone();
        let since = known.trouble.take().map_or(now, |(_, since)| since);
        known.trouble = update.trouble.map(|what| (what, since));
    }

    /// Everything that is known of the topics.
    pub fn topics(&self) -> &Topics {
        &self.known.topics
    }

    /// Does what a key asks for; `now` is when it was pressed.
    pub fn press(&mut self, key: KeyEvent, now: DateTime<Utc>) -> Flow {
        let action = keys::action(key);
        match action {
            Some(Action::Suspend) => return Flow::Suspend,
            Some(Action::Quit) if !self.is_filtering || is_control(key) => return Flow::Quit,
            _ => {}
        }
        if self.is_filtering {
            match keys::edit(key) {
                Some(Edit::Leave) => self.is_filtering = false,
                Some(edit) => {
                    self.edit(edit);
                    return Flow::GoOn;
                }
                None => return Flow::GoOn,
            }
        }
        match action {
            // Whatever it is, it closes the help, and what is asked for is done behind it.
            Some(Action::Help | Action::Back) if self.is_helping => self.is_helping = false,
            Some(action) => {
                self.is_helping = action == Action::Help;
                self.act(action, now);
            }
            None => {}
        }
        Flow::GoOn
    }

    /// Draws everything; `now` is what ages count to.
    pub fn draw(&mut self, area: Rect, buffer: &mut Buffer, now: DateTime<Utc>) {
        if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
            return frame::too_small(buffer, self.look, area);
        }
        // What is shown is lent out while the cursors move over it.
        match self.paused.take() {
            Some(paused) => {
                self.draw_known(area, buffer, &paused.0, paused.1);
                self.paused = Some(paused);
            }
            None => {
                let known = std::mem::take(&mut self.known);
                self.draw_known(area, buffer, &known, now);
                self.known = known;
            }
        }
    }

    fn shown(&self) -> &Known {
        self.paused.as_ref().map_or(&self.known, |it| &it.0)
    }

    fn ordered<'a>(&self, known: &'a Known) -> Vec<(&'a TopicKey, &'a Topic)> {
        topics_page::ordered(&known.topics, &self.filter, self.sort, self.is_reversed)
    }

    fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Add(c) if self.filter.chars().count() < FILTER_CHARS_MAX => self.filter.push(c),
            Edit::Add(_) => {}
            Edit::Remove => {
                self.filter.pop();
            }
            Edit::Clear => {
                self.filter.clear();
                self.is_filtering = false;
            }
            Edit::Keep | Edit::Leave => self.is_filtering = false,
        }
        self.chosen = None;
        self.topics = Cursor::default();
    }

    fn act(&mut self, action: Action, now: DateTime<Utc>) {
        let pages = frame::PAGES.len();
        match action {
            Action::Step(step) => self.step(step),
            Action::Page(page) => self.go(page),
            Action::PageAfter => self.go((self.page + 1) % pages),
            Action::PageBefore => self.go((self.page + pages - 1) % pages),
            Action::Sort if self.page == 0 && self.open.is_some() => {
                self.are_partitions_by_lag = !self.are_partitions_by_lag;
            }
            Action::Reverse if self.page == 0 && self.open.is_some() => {
                self.are_partitions_reversed = !self.are_partitions_reversed;
            }
            Action::Sort => self.sort = self.sort.next(),
            Action::Reverse => self.is_reversed = !self.is_reversed,
            Action::Filter => {
                self.go(0);
                self.is_filtering = true;
            }
            Action::Open if self.page == 0 && self.open.is_none() => {
                let ordered = self.ordered(self.shown());
                let at = place(&ordered, self.chosen.as_ref(), self.topics.chosen);
                self.open = ordered.get(at).map(|(key, _)| (*key).clone());
                self.chosen = self.open.clone();
                self.partitions = Cursor::default();
            }
            Action::Back if self.page == 0 && self.open.is_some() => self.open = None,
            Action::Back if self.page == 0 && !self.filter.is_empty() => self.edit(Edit::Clear),
            Action::Back => self.go(0),
            Action::Pause => {
                self.paused = match self.paused.take() {
                    Some(_) => None,
                    None => Some(Box::new((self.known.clone(), now))),
                };
                self.is_paused = self.paused.is_some();
            }
            Action::Open | Action::Help | Action::Suspend | Action::Quit => {}
        }
    }

    fn go(&mut self, page: usize) {
        self.page = page;
        self.open = None;
    }

    fn step(&mut self, step: Step) {
        let known = self.shown();
        let standing = known.standing.as_ref();
        match (self.page, &self.open) {
            (0, None) => {
                let ordered = self.ordered(known);
                let mut cursor = self.topics;
                cursor.chosen = place(&ordered, self.chosen.as_ref(), cursor.chosen);
                cursor.step(step, ordered.len());
                let chosen = ordered.get(cursor.chosen).map(|(key, _)| (*key).clone());
                // At the first row the largest lag is looked at, not the topic that had it.
                self.chosen = chosen.filter(|_| step != Step::First);
                self.topics = cursor;
            }
            (0, Some(key)) => {
                let topic = known.topics.get(key);
                let rows = topic.map_or(0, |it| it.latest().partitions.len());
                self.partitions.step(step, rows);
            }
            (1, _) => {
                let rows = standing.map_or(0, |it| it.sources.len());
                self.sources.step(step, rows);
            }
            _ => self.sinks.step(step, self.sink_lines),
        }
    }
}

fn is_control(key: KeyEvent) -> bool {
    let modifiers = key.modifiers;
    modifiers.contains(ratatui::crossterm::event::KeyModifiers::CONTROL)
}

/// Where the chosen topic is; where it is gone, the row that took its place.
fn place(ordered: &[(&TopicKey, &Topic)], chosen: Option<&TopicKey>, before: usize) -> usize {
    let Some(chosen) = chosen else { return 0 };
    let found = ordered.iter().position(|(key, _)| *key == chosen);
    found.unwrap_or(before.min(ordered.len().saturating_sub(1)))
}
