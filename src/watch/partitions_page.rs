//! In: the latest sample of one topic. Out: a row per partition.
//! Never: shows an unknown number as 0.

use super::grid::{Column, Kind};
use super::look::{Cell, Look};
use crate::sample::{Partition, Sample};

/// Cells of a bar.
const BAR: usize = 12;

pub(super) const COLUMNS: [Column; 8] = [
    column("PARTITION", Kind::Number, 0),
    column("LAG", Kind::Number, 0),
    column("", Kind::Fixed(BAR), 1),
    column("CURRENT-OFFSET", Kind::Number, 2),
    column("LOG-END-OFFSET", Kind::Number, 3),
    column("CONSUMER-ID", Kind::Words(12), 4),
    column("HOST", Kind::Words(8), 5),
    column("CLIENT-ID", Kind::Words(8), 6),
];

const fn column(title: &'static str, kind: Kind, rank: u8) -> Column {
    Column { title, kind, rank }
}

/// Partitions in the order of their number, or the largest lag first and unknown lag last.
pub(super) fn ordered(sample: &Sample, by_lag: bool, is_reversed: bool) -> Vec<&Partition> {
    let mut partitions: Vec<&Partition> = sample.partitions.iter().collect();
    if by_lag {
        partitions.sort_by(|a, b| match (a.lag, b.lag) {
            (Some(a), Some(b)) if is_reversed => a.cmp(&b),
            (Some(a), Some(b)) => b.cmp(&a),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
    } else if is_reversed {
        partitions.reverse();
    }
    partitions
}

/// The row of one partition; `most` is the lag of a full bar.
pub(super) fn row(look: Look, partition: &Partition, most: i64) -> Vec<Cell> {
    let bar = partition.lag.map(|lag| look.bar(lag, most, BAR));
    let name = |name: &Option<String>| Cell::plain(look, name.as_deref().unwrap_or("-"));
    vec![
        Cell::number(Some(partition.partition)),
        Cell::number(partition.lag),
        Cell::plain(look, &bar.unwrap_or_default()),
        Cell::number(partition.current_offset),
        Cell::number(partition.log_end_offset),
        name(&partition.consumer_id),
        name(&partition.consumer_host),
        name(&partition.client_id),
    ]
}
