//! In: topic and partition of one row after the other. Out: whether the table had this partition before.
//! Never: takes longer for names that were chosen to be slow, more memory than its rows.

use std::collections::{HashMap, HashSet};

/// Partitions below are bits; one topic of Kafka's largest clusters has some thousand.
const BITS_MAX: usize = 4096;

/// Names found at once by a few of their bytes; two that share a place only cost a look into the map.
const PLACES: usize = 256;

/// The partitions that a table has listed so far.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// Number of each topic, in the order of their first rows.
    numbers: HashMap<&'a str, usize>,
    /// The topic that was last found at a place, and its number.
    places: Box<[(&'a str, usize)]>,
    /// Per topic a bit per partition.
    bits: Vec<Vec<u64>>,
    /// Partitions beyond the bits.
    others: HashSet<(usize, i32)>,
}

impl<'a> Seen<'a> {
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::new(),
            // No topic has an empty name.
            places: vec![("", 0); PLACES].into_boxed_slice(),
            bits: Vec::new(),
            others: HashSet::new(),
        }
    }

    /// Notes a partition; `false` where it was there already.
    pub(super) fn insert(&mut self, topic: &'a str, partition: i32) -> bool {
        let number = self.number(topic);
        let Some(at) = usize::try_from(partition).ok().filter(|at| *at < BITS_MAX) else {
            return self.others.insert((number, partition));
        };
        let Some(bits) = self.bits.get_mut(number) else {
            return self.others.insert((number, partition));
        };
        if bits.len() <= at / 64 {
            bits.resize(at / 64 + 1, 0);
        }
        let Some(word) = bits.get_mut(at / 64) else {
            return false;
        };
        let bit = 1 << (at % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn number(&mut self, topic: &'a str) -> usize {
        let place = place_of(topic);
        if let Some((name, number)) = self.places.get(place)
            && *name == topic
        {
            return *number;
        }
        let next = self.bits.len();
        let number = *self.numbers.entry(topic).or_insert(next);
        if number == next {
            self.bits.push(Vec::new());
        }
        if let Some(found) = self.places.get_mut(place) {
            *found = (topic, number);
        }
        number
    }
}

/// Names of one cluster differ at the end, or in length.
fn place_of(topic: &str) -> usize {
    let bytes = topic.as_bytes();
    let last = |back: usize| bytes.len().checked_sub(back).and_then(|at| bytes.get(at));
    let byte = |back: usize| last(back).map_or(0, |byte| usize::from(*byte));
    (byte(1) + byte(2) * 7 + byte(3) * 31 + bytes.len() * 13) % PLACES
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_partition_is_new_once_as_for_a_plain_set(
            rows in proptest::collection::vec(("[ab]{1,4}", prop_oneof![0..5_i32, 4090..4100_i32, any::<i32>()]), 0..200),
        ) {
            let (mut seen, mut plain) = (Seen::new(), HashSet::new());
            for (topic, partition) in &rows {
                prop_assert_eq!(seen.insert(topic, *partition), plain.insert((topic, partition)));
            }
        }
    }
}
