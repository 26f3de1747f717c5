//! In: what is known, and what of it is to be shown. Out: one frame.
//! Never: changes what is known.

use chrono::{DateTime, SecondsFormat, Utc};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::frame::{self, Parts};
use super::super::grid;
use super::super::history::{Topic, TopicKey};
use super::super::look::{Cell, Mood, age, wrap};
use super::super::topics_page::Drawing;
use super::super::{Standing, partitions_page, sinks_page, sources_page, topics_page};
use super::{Known, Watch, place};

/// What the keys do, the most important first: a narrow screen leaves the others to the help.
const KEYS: &[&str] = &[
    "q quit",
    "? help",
    "Tab page",
    "s sort",
    "/ filter",
    "Enter partitions",
    "p pause",
    "r reverse",
    "j k PgUp PgDn move",
];
const KEYS_OPEN: &[&str] = &[
    "q quit",
    "? help",
    "Esc back",
    "s sort",
    "r reverse",
    "p pause",
    "j k PgUp PgDn move",
];
const KEYS_OTHER: &[&str] = &[
    "q quit",
    "? help",
    "Tab page",
    "1 topics",
    "p pause",
    "j k PgUp PgDn move",
];
const KEYS_FILTER: &[&str] = &["Enter keep", "Esc clear", "Ctrl-C quit"];

impl Watch {
    pub(super) fn draw_known(
        &mut self,
        area: Rect,
        buffer: &mut Buffer,
        known: &Known,
        now: DateTime<Utc>,
    ) {
        let note = match &known.trouble {
            Some((what, since)) => format!("{what} (for {})", age(now - since)),
            None => self.sentence(known, now),
        };
        let mood = match known.trouble {
            Some(_) => Mood::Bad,
            None => Mood::Plain,
        };
        let notes = frame::notes(self.look, &note, known.trouble.is_some(), area);
        let parts = Parts::of(area, notes.len());
        self.draw_title(parts.title, buffer, known, now);
        let set = self.set(known);
        frame::tabs(buffer, self.look, parts.tabs, self.page, &set);
        match (self.is_helping, self.page, self.open.clone()) {
            (true, _, _) => frame::help(buffer, self.look, parts.body),
            (_, 0, None) => self.draw_topics(parts.body, buffer, known, now),
            (_, 0, Some(open)) => self.draw_partitions(parts.body, buffer, known, &open),
            (_, 1, _) => self.draw_sources(parts.body, buffer, known, now),
            _ => self.draw_sinks(parts.body, buffer, known, now),
        }
        let notes = notes.iter().map(|line| (line.as_str(), mood));
        frame::lines(buffer, self.look, parts.notes, notes);
        let keys = match (self.is_filtering, self.page, &self.open) {
            (true, _, _) => KEYS_FILTER,
            (_, 0, None) => KEYS,
            (_, 0, Some(_)) => KEYS_OPEN,
            _ => KEYS_OTHER,
        };
        let keys = frame::keys(keys, parts.keys.width);
        frame::lines(buffer, self.look, parts.keys, [(keys.as_str(), Mood::Dim)]);
    }

    fn draw_title(&self, area: Rect, buffer: &mut Buffer, known: &Known, now: DateTime<Utc>) {
        let topics = known.topics.iter().map(|(_, topic)| topic);
        let (mut all, mut silent, mut stale) = (0, 0, 0);
        for topic in topics {
            all += 1;
            silent += usize::from(!topic.is_ok());
            stale += usize::from(topic.is_stale(now));
        }
        let mut left = self.title.clone();
        // At the left, where a narrow screen cuts it last.
        if self.is_paused {
            left.push_str(" PAUSED");
        }
        if known.standing.as_ref().is_some_and(|it| !it.is_alive) {
            left.push_str(", no run is alive");
        }
        left.push_str(&format!("  {all} topics"));
        if silent > 0 {
            left.push_str(&format!(", {silent} without numbers"));
        }
        if stale > 0 {
            left.push_str(&format!(", {stale} stale"));
        }
        let right = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        frame::line(buffer, self.look, area, &left, &right);
    }

    /// What is set on the page, behind its name.
    fn set(&self, known: &Known) -> String {
        match (self.page, &self.open) {
            (0, None) => {
                let mut set = format!("by {}", self.sort.word());
                if self.is_reversed {
                    set.push_str(", reversed");
                }
                if self.is_filtering {
                    set.push_str(&format!("  filter: {}_", self.filter));
                } else if !self.filter.is_empty() {
                    set.push_str(&format!("  filter: {}", self.filter));
                }
                set
            }
            (0, Some(open)) => format!("partitions of {}", open.topic),
            _ => match &known.standing {
                Some(standing) => standing.run.clone(),
                None => "nothing is known of a run yet".to_owned(),
            },
        }
    }

    /// All about the chosen row.
    fn sentence(&self, known: &Known, now: DateTime<Utc>) -> String {
        let standing = known.standing.as_ref();
        match (self.page, &self.open) {
            (0, Some(key)) => match known.topics.get(key) {
                Some(topic) => topics_page::sentence(topic),
                None => format!("{}: it is gone; Esc goes back", key.topic),
            },
            (0, None) => {
                let ordered = self.ordered(known);
                let at = place(&ordered, self.chosen.as_ref(), self.topics.chosen);
                let chosen = ordered
                    .get(at)
                    .map(|(_, topic)| topics_page::sentence(topic));
                chosen.unwrap_or_default()
            }
            (1, _) => {
                let source = standing.and_then(|it| it.sources.get(self.sources.chosen));
                source.map_or_else(String::new, |it| sources_page::sentence(it, now))
            }
            _ => String::new(),
        }
    }

    fn draw_topics(&mut self, area: Rect, buffer: &mut Buffer, known: &Known, now: DateTime<Utc>) {
        let ordered = self.ordered(known);
        if ordered.is_empty() {
            let text = match (self.filter.is_empty(), known.topics.iter().next()) {
                (false, Some(_)) => "no topic matches the filter; Esc clears it",
                _ => "no samples yet",
            };
            return frame::lines(buffer, self.look, area, [(text, Mood::Dim)]);
        }
        let rows = usize::from(area.height.saturating_sub(1));
        self.topics.chosen = place(&ordered, self.chosen.as_ref(), self.topics.chosen);
        self.topics.fit(ordered.len(), rows);
        let (look, top) = (self.look, self.topics.top);
        let drawing = Drawing {
            look,
            most: lag_max(&ordered),
            now,
            past: known.topics.past(now),
            width: area.width,
        };
        let cells: Vec<Vec<Cell>> = ordered
            .iter()
            .skip(top)
            .take(rows)
            .map(|(_, topic)| topics_page::row(&drawing, topic))
            .collect();
        let natural = topics_page::natural(look, &ordered);
        let columns = topics_page::columns(area.width, drawing.past);
        let chosen = Some(self.topics.chosen - top);
        grid::draw(buffer, area, look, &columns, &natural, &cells, chosen);
    }

    fn draw_partitions(&mut self, area: Rect, buffer: &mut Buffer, known: &Known, open: &TopicKey) {
        let Some(topic) = known.topics.get(open) else {
            return;
        };
        let look = self.look;
        let sample = topic.latest();
        let partitions = partitions_page::ordered(
            sample,
            self.are_partitions_by_lag,
            self.are_partitions_reversed,
        );
        if partitions.is_empty() {
            let reason = topics_page::outcome(look, sample, false);
            let text = [(reason.text.as_str(), reason.mood)];
            return frame::lines(buffer, look, area, text);
        }
        let rows = usize::from(area.height.saturating_sub(1));
        self.partitions.fit(partitions.len(), rows);
        let most = sample.lag_max().unwrap_or(0);
        let top = self.partitions.top;
        let shown = partitions.iter().skip(top).take(rows);
        let cells: Vec<Vec<Cell>> = shown
            .map(|partition| partitions_page::row(look, partition, most))
            .collect();
        let columns = &partitions_page::COLUMNS;
        let chosen = Some(self.partitions.chosen - top);
        grid::draw(buffer, area, look, columns, &[], &cells, chosen);
    }

    fn draw_sources(&mut self, area: Rect, buffer: &mut Buffer, known: &Known, now: DateTime<Utc>) {
        let sources = known.standing.as_ref().map(|it| it.sources.as_slice());
        let sources = sources.unwrap_or_default();
        let look = self.look;
        if sources.is_empty() {
            let text = [("no source has said anything yet", Mood::Dim)];
            return frame::lines(buffer, look, area, text);
        }
        let rows = usize::from(area.height.saturating_sub(1));
        self.sources.fit(sources.len(), rows);
        let top = self.sources.top;
        let shown = sources.iter().skip(top).take(rows);
        let cells: Vec<Vec<Cell>> = shown.map(|it| sources_page::row(look, it, now)).collect();
        let columns = &sources_page::COLUMNS;
        let chosen = Some(self.sources.chosen - top);
        grid::draw(buffer, area, look, columns, &[], &cells, chosen);
    }

    fn draw_sinks(&mut self, area: Rect, buffer: &mut Buffer, known: &Known, now: DateTime<Utc>) {
        let look = self.look;
        let Some(standing) = &known.standing else {
            let text = [("no sink has said anything yet", Mood::Dim)];
            return frame::lines(buffer, look, area, text);
        };
        let below = self.draw_sink_rows(area, buffer, standing, now);
        let width = usize::from(below.width);
        let mut text: Vec<(String, Mood)> = Vec::new();
        for (paragraph, mood) in sinks_page::paragraphs(standing) {
            let lines = wrap(
                look,
                &look.text(&paragraph),
                width,
                usize::from(area.height),
            );
            text.extend(lines.into_iter().map(|line| (line, mood)));
        }
        let height = usize::from(below.height);
        let top = self.sinks.chosen.min(text.len().saturating_sub(height));
        self.sinks.chosen = top;
        self.sink_lines = text.len();
        let shown = text.iter().skip(top);
        let shown = shown.map(|(line, mood)| (line.as_str(), *mood));
        frame::lines(buffer, look, below, shown);
    }

    /// Returns what is left of `area`.
    fn draw_sink_rows(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        standing: &Standing,
        now: DateTime<Utc>,
    ) -> Rect {
        if standing.sinks.is_empty() {
            return area;
        }
        let look = self.look;
        let sinks = standing.sinks.iter();
        let cells: Vec<Vec<Cell>> = sinks.map(|it| sinks_page::row(look, it, now)).collect();
        grid::draw(buffer, area, look, &sinks_page::COLUMNS, &[], &cells, None);
        let used = u16::try_from(cells.len() + 2).unwrap_or(u16::MAX);
        let used = used.min(area.height);
        Rect::new(area.x, area.y + used, area.width, area.height - used)
    }
}

/// The lag of a full bar: the largest of those shown.
fn lag_max(ordered: &[(&TopicKey, &Topic)]) -> i64 {
    let lags = ordered.iter().filter_map(|(_, it)| it.latest().lag_total());
    lags.max().unwrap_or(0)
}
