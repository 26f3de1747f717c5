use std::process::Command;

use ratatui::style::Style;

use super::*;
use pseudo::Terminal as Pseudo;

#[path = "../../../tests/support/terminal.rs"]
mod pseudo;

/// Set in the process that a test starts in a pseudo terminal, where it panics in a full screen: `here` or `beside`.
const PANICS: &str = "MIRRORLAG_TEST_PANICS";

#[test]
fn a_locale_says_whether_the_terminal_understands_utf_8() {
    for locale in ["C.UTF-8", "en_US.utf8", "de_DE.UTF-8@euro"] {
        assert!(is_utf8(locale), "{locale}");
    }
    for locale in ["C", "POSIX", "en_US.ISO-8859-1", ""] {
        assert!(!is_utf8(locale), "{locale}");
    }
}

#[test]
fn a_panic_gives_the_terminal_back_before_its_message() {
    for (place, is_ended_by_it) in [("here", true), ("beside", false)] {
        let mut program = Command::new(env::current_exe().unwrap());
        program
            .args(["--exact", "cli::terminal::tests::panics_in_a_full_screen"])
            .arg("--nocapture")
            .env(PANICS, place)
            .env("RUST_BACKTRACE", "0");
        let mut terminal = Pseudo::start(&mut program, 80, 24);
        assert_eq!(terminal.end().success(), !is_ended_by_it, "{place}");
        terminal.assert_clean();
        let bytes = String::from_utf8(terminal.bytes()).unwrap();
        let (_, screen) = bytes.split_once("\x1b[?1049h").unwrap();
        let (screen, after) = screen.split_once("\x1b[?1049l").unwrap();
        assert!(
            screen.contains("drawn") && !screen.contains("it broke"),
            "{bytes:?}"
        );
        assert!(
            after.contains("it broke") && !after.contains('\x1b'),
            "{bytes:?}"
        );
    }
}

/// Not a test of its own: what the one above starts in a terminal.
#[test]
fn panics_in_a_full_screen() {
    let Ok(place) = env::var(PANICS) else { return };
    let mut screen = Screen::enter().unwrap();
    let draw = |area: Rect, buffer: &mut Buffer| {
        buffer.set_string(area.x, area.y, "drawn", Style::new());
    };
    screen.draw(draw).unwrap();
    if place == "here" {
        screen.draw(|_, _| panic!("it broke")).unwrap();
    }
    // A task that panics does not end the one whose screen it is.
    let task = std::thread::spawn(|| panic!("it broke"));
    assert!(task.join().is_err());
    assert!(has_panicked());
}
