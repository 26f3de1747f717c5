use super::*;

const OUT: Stream = Stream::Stdout;
const ERR: Stream = Stream::Stderr;

/// A transcript that has seen the hello.
fn greeted(round_bytes_max: usize) -> Transcript {
    let mut transcript = Transcript::new("m", round_bytes_max);
    assert_eq!(transcript.push(ERR, "m hello timeout", false), None);
    assert_eq!(
        transcript.push(OUT, "m hello timeout", false),
        Some(Progress::Hello { has_timeout: true })
    );
    transcript
}

fn round(progress: Option<Progress>) -> RoundText {
    match progress {
        Some(Progress::Round(round)) => round,
        other => panic!("no round: {other:?}"),
    }
}

#[test]
fn what_a_login_shell_prints_before_the_hello_is_dropped_from_both_streams() {
    let mut transcript = Transcript::new("m", 1000);
    transcript.push(OUT, "Welcome, do not panic", false);
    transcript.push(OUT, "m", false);
    let hello = transcript.push(OUT, "m hello no-timeout", false);
    assert_eq!(hello, Some(Progress::Hello { has_timeout: false }));
    // The streams have no common order: this comes late.
    transcript.push(ERR, "stty: standard input", false);
    transcript.push(ERR, "m hello no-timeout", false);
    transcript.push(ERR, "state", false);
    transcript.push(OUT, "row", false);
    transcript.push(ERR, "m 1 0", false);
    let round = round(transcript.push(OUT, "m 1 0", false));
    assert_eq!(
        (round.stdout.as_str(), round.stderr.as_str()),
        ("row\n", "state\n")
    );
}

#[test]
fn a_round_is_whole_only_when_both_streams_showed_its_marker() {
    for first in [OUT, ERR] {
        let second = if first == OUT { ERR } else { OUT };
        let mut transcript = greeted(1000);
        transcript.push(OUT, "row", false);
        assert_eq!(transcript.push(first, "m 17 124", false), None);
        transcript.push(second, "late", false);
        let round = round(transcript.push(second, "m 17 124", false));
        assert_eq!((round.tick.as_str(), round.exit_code), ("17", 124));
        let late = if first == OUT {
            &round.stderr
        } else {
            &round.stdout
        };
        assert!(late.ends_with("late\n"));
    }
}

#[test]
fn a_stream_that_runs_ahead_keeps_its_rounds_apart() {
    let mut transcript = greeted(1000);
    for line in ["a", "m 1 0", "b", "m 2 1", "c"] {
        assert_eq!(transcript.push(OUT, line, false), None);
    }
    let first = round(transcript.push(ERR, "m 1 0", false));
    assert_eq!((first.tick.as_str(), first.stdout.as_str()), ("1", "a\n"));
    let second = round(transcript.push(ERR, "m 2 1", false));
    assert_eq!((second.exit_code, second.stdout.as_str()), (1, "b\n"));
}

#[test]
fn a_lost_marker_costs_its_round_and_not_the_next() {
    let mut transcript = greeted(1000);
    transcript.push(OUT, "m 1 0", false);
    transcript.push(OUT, "b", false);
    transcript.push(OUT, "m 2 0", false);
    let round = round(transcript.push(ERR, "m 2 0", false));
    assert_eq!((round.tick.as_str(), round.stdout.as_str()), ("2", "b\n"));
}

#[test]
fn one_stream_without_the_other_keeps_a_bounded_number_of_rounds() {
    let mut transcript = greeted(1000);
    for tick in 0..100 {
        transcript.push(OUT, &format!("m {tick} 0"), false);
    }
    assert_eq!(transcript.stdout.ended.len(), ROUNDS_AHEAD_MAX);
    assert_eq!(transcript.push(ERR, "m 3 0", false), None);
    assert_eq!(round(transcript.push(ERR, "m 99 0", false)).tick, "99");
}

#[test]
fn a_cut_line_is_counted_and_not_kept() {
    let mut transcript = greeted(1000);
    transcript.push(OUT, "g t 0 1 2 12", true);
    transcript.push(ERR, "long", true);
    transcript.push(ERR, "m 1 0", false);
    let round = round(transcript.push(OUT, "m 1 0", false));
    assert_eq!((round.cut_lines, round.stdout.as_str()), (2, ""));
}

#[test]
fn stdout_beyond_its_limit_is_told_and_the_next_round_starts_anew() {
    let mut transcript = greeted(10);
    for line in ["12345", "123", "x", "y"] {
        transcript.push(OUT, line, false);
    }
    transcript.push(ERR, "m 1 0", false);
    let first = round(transcript.push(OUT, "m 1 0", false));
    assert!(first.is_too_much);
    assert_eq!(first.stdout, "12345\n123\n", "whole lines, then nothing");
    transcript.push(OUT, "12345", false);
    transcript.push(ERR, "m 2 0", false);
    assert!(!round(transcript.push(OUT, "m 2 0", false)).is_too_much);
}

#[test]
fn a_flood_of_stderr_does_not_spoil_the_table() {
    let mut transcript = greeted(1 << 20);
    for _ in 0..10_000 {
        transcript.push(ERR, "a line of a stack trace", false);
    }
    transcript.push(ERR, "m 1 0", false);
    let round = round(transcript.push(OUT, "m 1 0", false));
    assert!(!round.is_too_much && round.stderr.len() <= STDERR_BYTES_MAX);
}

#[test]
fn a_line_that_only_resembles_the_marker_is_text() {
    let mut transcript = greeted(1000);
    for line in [
        "m",
        "m ",
        "m 1",
        "m 1 x",
        "mm 1 0",
        " m 1 0",
        "m 1 99999999999",
    ] {
        assert_eq!(transcript.push(OUT, line, false), None, "{line:?}");
    }
    transcript.push(ERR, "m 1 0", false);
    let round = round(transcript.push(OUT, "m 1 0\r", false));
    assert_eq!(round.stdout.lines().count(), 7);
}

#[test]
fn the_lines_of_the_loop_are_what_the_transcript_understands() {
    let mut transcript = Transcript::new("m", 10);
    for has_timeout in [true, false] {
        let hello = hello_line("m", has_timeout);
        let mut transcript = Transcript::new("m", 10);
        assert_eq!(
            transcript.push(OUT, &hello, false),
            Some(Progress::Hello { has_timeout })
        );
    }
    transcript.push(ERR, &marker_line("m", "5", -1), false);
    let round = round(transcript.push(OUT, &marker_line("m", "5", -1), false));
    assert_eq!(round.exit_code, -1);
}
