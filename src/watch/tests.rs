use std::num::NonZeroU16;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use ratatui::backend::{CrosstermBackend, TestBackend};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::history::Topics;
use super::look::{Look, cells, wrap};
use super::*;
use crate::kafka::GroupState;
use crate::sample::{Partition, Sample};

mod history;
mod keys;
mod look;
mod pages;

const FULL: Look = Look {
    has_color: true,
    has_unicode: true,
};
const ASCII: Look = Look {
    has_color: false,
    has_unicode: false,
};

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

fn at(second: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(second)
}

fn partition(partition: i32, lag: Option<i64>) -> Partition {
    Partition {
        partition,
        lag,
        current_offset: lag.map(|_| 1000),
        log_end_offset: lag.map(|lag| 1000 + lag),
        consumer_id: lag.map(|_| "mirror-0-a1b2".to_owned()),
        consumer_host: lag.map(|_| "/10.0.0.5".to_owned()),
        client_id: lag.map(|_| "mirror-0".to_owned()),
    }
}

fn sample(topic: &str, second: i64, lags: &[Option<i64>]) -> Sample {
    let partitions = (0..).zip(lags).map(|(n, lag)| partition(n, *lag));
    Sample {
        sampled_at: at(second),
        clock_generation: 0,
        topic: topic.to_owned(),
        group: "oasis".to_owned(),
        mirror_host: "east-1".to_owned(),
        cluster: Some("source-a".to_owned()),
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: partitions.collect(),
        round_ms: Some(100),
    }
}

fn failed(topic: &str, second: i64) -> Sample {
    Sample {
        outcome: Outcome::SshError,
        group_state: GroupState::Unknown,
        reason: Some("connection refused by 10.0.0.11:22".to_owned()),
        partitions: Vec::new(),
        mirror_host: "west-2".to_owned(),
        ..sample(topic, second, &[])
    }
}

fn source(name: &str, host: &str, group: &str) -> Source {
    Source {
        name: name.to_owned(),
        mirror_host: host.to_owned(),
        group: group.to_owned(),
        interval: TimeDelta::seconds(1),
        is_healthy: true,
        connected_since: Some(start()),
        last: Some((Outcome::Ok, at(8))),
        reason: None,
        topics: 3,
        rounds: 120,
        skipped: 1,
        timeouts: 2,
        reconnects: 4,
    }
}

fn standing() -> Standing {
    let down = Source {
        is_healthy: false,
        connected_since: None,
        last: Some((Outcome::SshError, at(8))),
        reason: Some("connection refused by 10.0.0.11:22".to_owned()),
        ..source("west-2/oasis", "west-2", "oasis")
    };
    let sink = Sink {
        name: "elasticsearch".to_owned(),
        is_healthy: false,
        position: 900,
        behind: 42,
        behind_for: TimeDelta::seconds(70),
        stored: Some(858),
        phase: Some(Phase::Holding),
        since: Some(start()),
        reason: Some("401: no such user".to_owned()),
    };
    Standing {
        is_alive: true,
        run: "running since 2026-09-21T14:13:20Z, pid 4242".to_owned(),
        journal: "journal /var/lib/mirrorlag/journal.db: 1.5 MiB, 942 records".to_owned(),
        letters: 3,
        sources: vec![source("east-1/oasis", "east-1", "oasis"), down],
        sinks: vec![sink],
        problems: vec![
            "elasticsearch: holds since 70 s: 401; next: mirrorlag check -c a.yaml".to_owned(),
        ],
    }
}

fn watch(look: Look) -> Watch {
    let mut samples = Vec::new();
    for second in 0..9 {
        samples.push(sample("orders", second, &[Some(100 * second), Some(-7)]));
        samples.push(sample("payments", second, &[Some(500), None, Some(150)]));
        samples.push(sample("returns", second, &[Some(0)]));
        samples.push(failed("audit", second));
    }
    let mut watch = Watch::new("mirrorlag watch", look);
    let update = Update {
        samples,
        standing: Some(standing()),
        ..Update::default()
    };
    watch.take(update, at(9));
    watch
}

/// The screen as lines without their blanks at the end.
fn screen(watch: &mut Watch, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let frame = terminal
        .draw(|frame| watch.draw(frame.area(), frame.buffer_mut(), at(9)))
        .unwrap();
    let line = |y: u16| -> String {
        let mut text = String::new();
        let mut x = 0;
        while x < width {
            let symbol = frame.buffer[(x, y)].symbol();
            text.push_str(symbol);
            // The cell behind a wide character is part of it.
            x += u16::try_from(cells(symbol).max(1)).unwrap();
        }
        text.trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

/// The same as a terminal shows it that was sent the bytes of one frame.
fn through_a_terminal(watch: &mut Watch, width: u16, height: u16) -> Vec<String> {
    let mut bytes = Vec::new();
    let options = TerminalOptions {
        viewport: Viewport::Fixed(Rect::new(0, 0, width, height)),
    };
    let backend = CrosstermBackend::new(&mut bytes);
    let mut terminal = Terminal::with_options(backend, options).unwrap();
    terminal
        .draw(|frame| watch.draw(frame.area(), frame.buffer_mut(), at(9)))
        .unwrap();
    drop(terminal);
    let cells = |count| NonZeroU16::new(count).unwrap();
    let mut parser = vt100::Parser::new(cells(height), cells(width), 0);
    parser.process(&bytes);
    let rows = parser.screen().rows(0, width);
    rows.map(|row| row.trim_end().to_owned()).collect()
}

fn press(watch: &mut Watch, keys: &str) {
    for c in keys.chars() {
        let flow = watch.press(KeyEvent::from(code(c)), at(9));
        assert_eq!(flow, Flow::GoOn, "{c}");
    }
}

fn code(c: char) -> KeyCode {
    match c {
        '\n' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        '\t' => KeyCode::Tab,
        '\x08' => KeyCode::Backspace,
        c => KeyCode::Char(c),
    }
}

/// The first words of the rows of a table.
fn names(lines: &[String]) -> Vec<String> {
    let notes = if lines.len() < 16 { 1 } else { 2 };
    let body = &lines[3..lines.len() - 1 - notes];
    let first = |line: &String| line.split_whitespace().next().map(str::to_owned);
    body.iter().filter_map(first).collect()
}
