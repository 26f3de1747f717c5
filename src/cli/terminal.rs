//! In: the terminal of this process. Out: a full screen to draw on, and the keys that are pressed.
//! Never: leaves the terminal other than it found it, also not when this process panics.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::{cursor, execute, queue, terminal};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use tokio::sync::mpsc;

use crate::shutdown;
use crate::watch::Look;

/// Size of a terminal that does not say its own.
const SIZE: (u16, u16) = (80, 24);

/// How soon the reader of keys notices that nobody wants any more.
const KEY_WAIT: Duration = Duration::from_millis(250);

/// Keys that wait to be handled: more than anybody types during one drawing.
const KEYS_MAX: usize = 256;

/// Whether the terminal shows our screen.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Whether any thread panicked since the screen was first shown.
static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

/// A full screen on the terminal, left when this is dropped: what was on the terminal is there again.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Frames>>,
    size: (u16, u16),
}

/// What is drawn, on its way to the terminal: a frame at once, and nothing that comes after the end of the screen.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        // Locked first: what gives the terminal back writes either before this frame or behind it.
        let mut out = io::stdout().lock();
        if !IS_OURS.load(Ordering::SeqCst) {
            return Ok(());
        }
        out.write_all(&bytes)?;
        out.flush()
    }
}

/// Why there can be no full screen here; `None`: there can.
pub(super) fn why_not() -> Option<&'static str> {
    let name = env::var_os("TERM").unwrap_or_default();
    if !io::stdout().is_terminal() {
        Some("standard output is no terminal")
    } else if !io::stdin().is_terminal() {
        Some("standard input is no terminal, so no key can be pressed")
    } else if name.is_empty() || name == "dumb" {
        Some("TERM names a terminal that cannot place its cursor")
    } else {
        None
    }
}

/// What this terminal can show, from the environment.
///
/// Source: no-color.org; locale(7): `LC_ALL`, then `LC_CTYPE`, then `LANG`.
pub(super) fn look() -> Look {
    let set = |name: &&str| env::var(name).is_ok_and(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(set);
    let locale = locale.and_then(|name| env::var(name).ok());
    Look {
        has_color: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        has_unicode: locale.is_some_and(|it| is_utf8(&it)),
    }
}

/// Whether a thread panicked: the terminal was given back then, for its message.
pub(super) fn has_panicked() -> bool {
    HAS_PANICKED.load(Ordering::Relaxed)
}

/// Keys and changes of the size, until the receiver is dropped; it ends when the terminal is gone.
pub(super) fn keys() -> mpsc::Receiver<Event> {
    let (send, keys) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || {
        while !send.is_closed() {
            let event = match event::poll(KEY_WAIT) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let Ok(event) = event else { return };
            if send.blocking_send(event).is_err() {
                return;
            }
        }
    });
    keys
}

impl Screen {
    /// Takes the terminal: no echo, keys at once, an empty screen.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn enter() -> io::Result<Self> {
        give_back_on_panic();
        shutdown::before_cut_short(give_back);
        IS_OURS.store(true, Ordering::SeqCst);
        let size = size();
        let terminal = take().and_then(|()| blank(size));
        if terminal.is_err() {
            give_back();
        }
        Ok(Self {
            terminal: terminal?,
            size,
        })
    }

    /// Draws a frame, of which only what changed is sent.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, frame: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        let now = size();
        if now != self.size {
            // What a terminal leaves of a picture when its size changes is its own affair.
            self.terminal = blank(now)?;
            self.size = now;
        }
        queue!(
            self.terminal.backend_mut(),
            terminal::BeginSynchronizedUpdate
        )?;
        self.terminal.draw(|it| frame(it.area(), it.buffer_mut()))?;
        execute!(self.terminal.backend_mut(), terminal::EndSynchronizedUpdate)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// A screen of which nothing is known yet.
fn blank(size: (u16, u16)) -> io::Result<Terminal<CrosstermBackend<Frames>>> {
    let mut out = Frames::default();
    queue!(out, terminal::Clear(terminal::ClearType::All))?;
    let options = TerminalOptions {
        viewport: Viewport::Fixed(Rect::new(0, 0, size.0, size.1)),
    };
    Terminal::with_options(CrosstermBackend::new(out), options)
}

fn take() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)
}

/// Does so once; whoever asks meanwhile waits until it is done, because the process may end behind it.
fn give_back() {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if IS_OURS.swap(false, Ordering::SeqCst) {
        // A terminal that is gone needs no mending.
        let _gone = execute!(
            io::stdout(),
            terminal::EndSynchronizedUpdate,
            cursor::Show,
            terminal::LeaveAlternateScreen
        );
        let _gone = terminal::disable_raw_mode();
    }
}

/// The message of a panic is for a terminal as it was before.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            HAS_PANICKED.store(true, Ordering::Relaxed);
            give_back();
            before(panic);
        }));
    });
}

/// Columns and rows; a terminal that says it has none (a fresh pseudo-terminal) is taken for one of `SIZE`.
fn size() -> (u16, u16) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
        _ => SIZE,
    }
}

/// Columns of the terminal.
pub(super) fn width() -> usize {
    usize::from(size().0)
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests;
