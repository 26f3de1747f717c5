//! In: a key of the terminal. Out: what it asks for.
//! Never: knows what is on the screen.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Step(Step),
    Page(usize),
    PageAfter,
    PageBefore,
    Sort,
    Reverse,
    Filter,
    Open,
    Back,
    Pause,
    Help,
    Suspend,
    Quit,
}

/// A move of the chosen row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

/// What a key does while the filter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    Add(char),
    Remove,
    Keep,
    Clear,
    /// Up or down: the filter is kept and the key does what it always does.
    Leave,
}

/// `None`: nothing.
pub(super) fn action(key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Action::Quit),
            KeyCode::Char('z') => Some(Action::Suspend),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => Action::Step(Step::Up),
        KeyCode::Down | KeyCode::Char('j') => Action::Step(Step::Down),
        KeyCode::PageUp => Action::Step(Step::PageUp),
        KeyCode::PageDown | KeyCode::Char(' ') => Action::Step(Step::PageDown),
        KeyCode::Home | KeyCode::Char('g') => Action::Step(Step::First),
        KeyCode::End | KeyCode::Char('G') => Action::Step(Step::Last),
        KeyCode::Tab => Action::PageAfter,
        KeyCode::BackTab => Action::PageBefore,
        KeyCode::Char('1') => Action::Page(0),
        KeyCode::Char('2') => Action::Page(1),
        KeyCode::Char('3') => Action::Page(2),
        KeyCode::Char('s') => Action::Sort,
        KeyCode::Char('r') => Action::Reverse,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Enter | KeyCode::Right => Action::Open,
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => Action::Back,
        KeyCode::Char('p') => Action::Pause,
        KeyCode::Char('?' | 'h') => Action::Help,
        KeyCode::Char('q') => Action::Quit,
        _ => return None,
    })
}

/// `None`: nothing. Ctrl-C and Ctrl-Z are asked for before.
pub(super) fn edit(key: KeyEvent) -> Option<Edit> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('u') if is_control => Some(Edit::Clear),
        KeyCode::Char(c) if !is_control && !c.is_control() => Some(Edit::Add(c)),
        KeyCode::Backspace => Some(Edit::Remove),
        KeyCode::Enter => Some(Edit::Keep),
        KeyCode::Esc => Some(Edit::Clear),
        KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown | KeyCode::Tab => {
            Some(Edit::Leave)
        }
        _ => None,
    }
}
