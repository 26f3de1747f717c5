//! In: names, numbers and lines of any kind. Out: bars, marks and texts that no name can break.

use super::*;

#[test]
fn without_colour_no_cell_has_one_and_in_ascii_no_cell_is_anything_else() {
    let mut watch = watch(ASCII);
    for keys in ["", "\n", "\x1b2", "3", "?"] {
        press(&mut watch, keys);
        let mut terminal = Terminal::new(TestBackend::new(100, 24)).unwrap();
        let frame = terminal.draw(|frame| watch.draw(frame.area(), frame.buffer_mut(), at(9)));
        for cell in frame.unwrap().buffer.content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
            assert!(cell.symbol().is_ascii(), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn wide_characters_take_two_cells_and_no_name_can_break_the_screen() {
    let mut watch = Watch::new("mirrorlag watch", FULL);
    let names = [
        "注文",
        "a\u{200b}b\u{202e}c",
        "red\u{1b}[31m\u{7}\r\n",
        "e\u{301}te\u{301}",
        "👍\u{1f3fd}ok",
        "x",
    ];
    let lags = (0..).map(|n| 60 - 10 * n);
    let samples = names
        .iter()
        .zip(lags)
        .map(|(name, lag)| sample(name, 8, &[Some(lag)]));
    let update = Update {
        samples: samples.collect(),
        ..Update::default()
    };
    watch.take(update, at(9));
    let lines = screen(&mut watch, 80, 24);
    assert_eq!(through_a_terminal(&mut watch, 80, 24), lines);
    // Each host begins in the same column.
    let column = lines[2].find("HOST").unwrap();
    for line in &lines[3..9] {
        let before: usize = cells(line.split("east-1").next().unwrap());
        assert_eq!(before, column, "{lines:#?}");
    }
    let begin = ["注文 ", "abc ", "red [31m ", "ete ", "👍ok ", "x "];
    for (line, begin) in lines[3..].iter().zip(begin) {
        assert!(
            line.starts_with(begin),
            "{line:?} does not start with {begin:?}"
        );
    }
    let mut watch = Watch::new("mirrorlag watch", ASCII);
    let update = Update {
        samples: vec![sample("注文", 8, &[Some(5)])],
        ..Update::default()
    };
    watch.take(update, at(9));
    assert!(screen(&mut watch, 80, 24)[3].starts_with("???? "));
    // Half of a wide character is never shown.
    assert_eq!(FULL.cut("注文注文", 4), "注…");
    assert_eq!(FULL.cut("注文注文", 6), "注文…");
}

#[test]
fn a_bar_has_the_share_of_the_largest_lag_and_shows_also_one_record() {
    assert_eq!(FULL.bar(0, 100, 10), "");
    assert_eq!(FULL.bar(-5, 100, 10), "");
    assert_eq!(FULL.bar(1, 1_000_000, 10), "▏");
    assert_eq!(FULL.bar(50, 100, 10), "█████");
    assert_eq!(FULL.bar(100, 100, 10), "██████████");
    assert_eq!(ASCII.bar(1, 1_000_000, 10), "#");
    assert_eq!(ASCII.bar(50, 100, 10), "#####");
}

#[test]
fn a_sparkline_has_a_gap_for_the_unknown_and_its_lowest_mark_for_zero() {
    let values = [Some(0), None, Some(1), Some(50), Some(100)];
    assert_eq!(FULL.sparkline(&values), "▁ ▂▅█");
    assert_eq!(ASCII.sparkline(&values), "_ .=#");
}

#[test]
fn a_text_is_broken_at_blanks_and_its_last_line_is_cut() {
    let lines = wrap(FULL, "one two three four five", 9, 2);
    assert_eq!(lines, ["one two", "three fo…"]);
    assert_eq!(wrap(FULL, "", 9, 2), Vec::<String>::new());
    assert_eq!(
        wrap(FULL, "unbreakable-word then", 9, 3),
        ["unbreaka…", "then"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_name_reason_or_number_breaks_a_screen_of_any_size(
        names in proptest::collection::vec(".{0,30}", 1..6), reason in ".{0,80}", keys in "[1230sr/?jkGgpa\\n\\x1b\t ]{0,12}",
        lags in proptest::collection::vec(any::<Option<i64>>(), 0..6),
        width in 1_u16..160, height in 1_u16..50, has_unicode in any::<bool>(),
    ) {
        let mut watch = Watch::new("mirrorlag watch", Look { has_color: true, has_unicode });
        let samples = names.iter().map(|name| Sample {
            group: name.chars().rev().collect(),
            reason: Some(reason.clone()),
            ..sample(name, 8, &lags)
        });
        let update = Update { samples: samples.collect(), standing: Some(standing()), ..Update::default() };
        watch.take(update, at(9));
        for key in keys.chars() {
            watch.press(KeyEvent::from(code(key)), at(9));
            let lines = screen(&mut watch, width, height);
            prop_assert!(lines.iter().all(|line| !line.contains(char::is_control)));
            prop_assert!(has_unicode || lines.iter().all(|line| line.is_ascii()));
        }
    }
}
