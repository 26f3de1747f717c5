//! In: bytes in any pieces. Out: lines of text, the same whatever the pieces.
//! Never: holds more than one line, fails on any bytes.

use std::borrow::Cow;

/// A longer line is cut to this many bytes. No row of a describe comes near it (topic and group names end at 249 bytes, a
/// client id at a few hundred); it bounds what a host that prints no line end can make us keep.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Without LF or CR LF; invalid UTF-8 is replaced.
    pub text: String,
    /// Whether the line was longer than the limit and its rest is gone.
    pub is_cut: bool,
}

/// Splits a stream of bytes into lines.
#[derive(Debug, Clone)]
pub struct Lines {
    limit: usize,
    /// The line so far: at most `limit` bytes and one more, which may turn out to be the CR of the line's end.
    begun: Vec<u8>,
    /// Whether bytes beyond `begun` were dropped.
    is_over: bool,
}

impl Lines {
    /// `limit`: bytes of a line, without its end, that are kept.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            begun: Vec::new(),
            is_over: false,
        }
    }

    /// Takes more bytes and hands on each line they complete.
    pub fn push(&mut self, mut bytes: &[u8], on_line: &mut impl FnMut(Line)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            if !self.is_over && self.begun.last() == Some(&b'\r') {
                self.begun.pop();
            }
            on_line(self.take());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// The last line when the stream ended without a line end; `None` when nothing is left over.
    pub fn finish(&mut self) -> Option<Line> {
        (!self.begun.is_empty()).then(|| self.take())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (self.limit + 1).saturating_sub(self.begun.len());
        self.is_over |= bytes.len() > room;
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self) -> Line {
        let mut bytes = std::mem::take(&mut self.begun);
        let is_cut = bytes.len() > self.limit;
        bytes.truncate(self.limit);
        self.is_over = false;
        Line {
            text: text_of(bytes),
            is_cut,
        }
    }
}

/// The bytes as text, copied only where some of them are not UTF-8.
pub(super) fn text_of(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => match String::from_utf8_lossy(error.as_bytes()) {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(limit: usize, pieces: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::new(limit);
        let mut seen = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut |line| seen.push(line));
        }
        seen.extend(lines.finish());
        seen
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lf_and_cr_lf_both_end_a_line_and_neither_is_part_of_it() {
        let lines = split(10, &[b"a\nb\r\n\r\n\nc\rd\n"]);
        assert_eq!(texts(&lines), ["a", "b", "", "", "c\rd"]);
    }

    #[test]
    fn a_last_line_without_its_end_is_a_line() {
        assert_eq!(texts(&split(10, &[b"a\nb"])), ["a", "b"]);
        assert!(split(10, &[b""]).is_empty());
        assert_eq!(split(10, &[b"a\n"]).len(), 1);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole_and_one_byte_more_is_cut() {
        for end in [&b"\n"[..], b"\r\n"] {
            let whole = split(4, &[b"abcd", end]);
            assert_eq!(
                whole,
                [Line {
                    text: "abcd".into(),
                    is_cut: false
                }]
            );
            let cut = split(4, &[b"abcde", end, b"x", end]);
            assert_eq!(texts(&cut), ["abcd", "x"]);
            assert_eq!([cut[0].is_cut, cut[1].is_cut], [true, false]);
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced_and_the_rest_of_the_line_stays() {
        assert_eq!(texts(&split(10, &[b"a\xffb\n"])), ["a\u{fffd}b"]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_lines(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..20),
            limit in 1_usize..20,
        ) {
            let whole = split(limit, &[&bytes]);
            let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            places.sort_unstable();
            places.push(bytes.len());
            let mut pieces = Vec::new();
            let mut begin = 0;
            for place in places {
                pieces.push(&bytes[begin..place]);
                begin = place;
            }
            prop_assert_eq!(&whole, &split(limit, &pieces));
            let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
            let has_rest = bytes.last().is_some_and(|byte| *byte != b'\n');
            prop_assert_eq!(whole.len(), ends + usize::from(has_rest));
        }
    }
}
