//! In: a line and a place in it. Out: where the blanks, or the word, at that place end.
//! Never: allocates, looks at a byte twice.

/// Bytes looked at in one step.
const STEP: usize = 8;

/// A blank in each byte.
const BLANKS: u64 = u64::from_ne_bytes([b' '; STEP]);
/// The lowest and the highest bit of each byte.
const LOW_BITS: u64 = u64::from_ne_bytes([0x01; STEP]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; STEP]);

/// The first byte from `at` on that is not blank, or the end of the line.
pub(super) fn blanks_end(line: &[u8], mut at: usize) -> usize {
    while let Some(step) = step(line, at) {
        let others = step ^ BLANKS;
        if others != 0 {
            return at + others.trailing_zeros() as usize / STEP;
        }
        at += STEP;
    }
    let rest = line.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| **byte == b' ').count()
}

/// The first blank from `at` on; `None` where the line ends without one.
pub(super) fn word_end(line: &[u8], mut at: usize) -> Option<usize> {
    while let Some(step) = step(line, at) {
        let others = step ^ BLANKS;
        // The lowest byte that is zero has its high bit here; above it there may be false ones.
        let zeros = others.wrapping_sub(LOW_BITS) & !others & HIGH_BITS;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / STEP);
        }
        at += STEP;
    }
    let rest = line.get(at..)?;
    Some(at + rest.iter().position(|byte| *byte == b' ')?)
}

/// Eight bytes, the first of them lowest; `None` where fewer are left.
fn step(line: &[u8], at: usize) -> Option<u64> {
    let bytes = line.get(at..at.checked_add(STEP)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ends_are_those_of_a_search_byte_by_byte(
            line in "[ ]{0,20}([!a\u{a0}\u{120}]{0,20}[ ]{0,20}){0,4}",
            at in 0_usize..90,
        ) {
            let bytes = line.as_bytes();
            let rest = bytes.get(at..).unwrap_or_default();
            let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
            prop_assert_eq!(blanks_end(bytes, at), at + blanks);
            let word = rest.iter().position(|byte| *byte == b' ').map(|end| at + end);
            prop_assert_eq!(word_end(bytes, at), word);
        }
    }
}
