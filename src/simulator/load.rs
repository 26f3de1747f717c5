//! In: a seed, a group, the time since the start. Out: the rows that Kafka knows of this group at that instant.
//! Never: reads a clock, draws a random number: the same question has the same answer.

use std::f64::consts::TAU;
use std::time::Duration;

use super::fleet::{GroupSettings, Recurring, TopicSettings};
use super::table::TableRow;

/// How much the rate of a producer swells and ebbs around its mean; below 1, so that offsets only grow.
const SWELL: f64 = 0.6;

/// What Kafka knows of one group at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub state: MemberState,
    /// In the order of `--describe`: by member, in hash order within each.
    pub rows: Vec<TableRow>,
}

/// State of a group, as the broker has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// Every partition has a member.
    Stable,
    /// There are no members.
    Empty,
    /// Partitions are being assigned anew: no owners, and only committed partitions are known.
    Rebalancing,
}

/// The state and the rows of `group` at `at` after the start of the fleet.
pub fn snapshot(seed: u64, group: &GroupSettings, at: Duration) -> Snapshot {
    let state = state(group, at);
    let generation = group.rebalances.and_then(|r| r.latest(at));
    let generation = generation.map_or(0, |(_, past)| u64::from(past) + 1);
    let mut rows = Vec::new();
    let mut ordinal = 0_usize;
    for topic in &group.topics {
        let topic_seed = draw(seed, &topic.name, 0);
        for partition in 0..topic.partitions {
            let member = ordinal % group.members.max(1);
            ordinal += 1;
            let row = row(topic_seed, group, topic, partition, at);
            // Neither assigned nor committed: nothing knows of this partition.
            if state != MemberState::Stable && row.current_offset.is_none() {
                continue;
            }
            let order = draw(seed, &topic.name, u64::from(partition.unsigned_abs()) + 1);
            rows.push((
                member,
                order,
                owned(row, state, group, member, seed, generation),
            ));
        }
    }
    rows.sort_by_key(|(member, order, _)| (*member, *order));
    Snapshot {
        state,
        rows: rows.into_iter().map(|(_, _, row)| row).collect(),
    }
}

/// A number that follows from a seed, a name and an index, spread evenly over all of `u64`.
pub(super) fn draw(seed: u64, name: &str, index: u64) -> u64 {
    // FNV-1a, then the finalizer of SplitMix64: no need for a good hash here, but for the same one on every machine.
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in name.bytes().chain(index.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// `draw` as a number in `0.0..=1.0`.
pub(super) fn fraction(seed: u64, name: &str, index: u64) -> f64 {
    draw(seed, name, index) as f64 / u64::MAX as f64
}

fn state(group: &GroupSettings, at: Duration) -> MemberState {
    if group.members == 0 {
        MemberState::Empty
    } else if group.rebalances.is_some_and(|r| r.is_on(at)) {
        MemberState::Rebalancing
    } else {
        MemberState::Stable
    }
}

/// The offsets of one partition, without an owner.
fn row(
    topic_seed: u64,
    group: &GroupSettings,
    topic: &TopicSettings,
    partition: i32,
    at: Duration,
) -> TableRow {
    let index = u64::from(partition.unsigned_abs());
    let is_silent = topic.last_is_silent && partition == topic.partitions - 1;
    let end = |at: Duration| match is_silent {
        true => 0.0,
        false => produced(topic_seed, topic.records_per_second, index, at),
    };
    let committed_at = last_commit(group, at).filter(|_| !is_silent);
    let current = committed_at.map(|at| consumed(end, group, topic.stalls, at).floor() as i64);
    let log_end = end(at).floor() as i64;
    TableRow {
        topic: topic.name.clone(),
        partition,
        current_offset: current,
        log_end_offset: Some(log_end),
        lag: current.map(|current| log_end - current),
        consumer_id: None,
        consumer_host: None,
        client_id: None,
    }
}

/// The instant of the last commit; `None` before the first one.
fn last_commit(group: &GroupSettings, at: Duration) -> Option<Duration> {
    if at < group.first_commit {
        return None;
    }
    let every = group.commit_every.as_millis().max(1);
    let since = at.as_millis() % every;
    let since = Duration::from_millis(u64::try_from(since).unwrap_or(0));
    let whole = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
    Some((whole - since).max(group.first_commit))
}

/// Records ever produced to a partition: the integral of a rate that swells and ebbs.
fn produced(topic_seed: u64, mean_rate: f64, partition: u64, at: Duration) -> f64 {
    let base = 10_000.0 + 90_000.0 * fraction(topic_seed, "base", partition);
    let rate = mean_rate * (0.5 + fraction(topic_seed, "rate", partition));
    let period_seconds = 20.0 + 20.0 * fraction(topic_seed, "period", partition);
    let phase = TAU * fraction(topic_seed, "phase", partition);
    let angular = TAU / period_seconds;
    let seconds = at.as_secs_f64();
    let swell = (angular * seconds + phase).sin() - phase.sin();
    base.floor() + rate * (seconds + SWELL / angular * swell)
}

/// Records of a partition that MirrorMaker had read.
fn consumed(
    end: impl Fn(Duration) -> f64,
    group: &GroupSettings,
    stalls: Option<Recurring>,
    at: Duration,
) -> f64 {
    if group.members == 0 {
        return end(Duration::ZERO);
    }
    let stall = stalls.and_then(|s| Some((s, s.latest(at)?.0)));
    let Some((stall, start)) = stall else {
        return end(at);
    };
    let stood_at = end(start);
    let since = at.saturating_sub(start);
    if since < stall.lasts {
        return stood_at;
    }
    // A growing share of what is there: it only grows, and is all of it when the catching up ends.
    let share = (since - stall.lasts).as_secs_f64() / stall.lasts.as_secs_f64();
    stood_at + (end(at) - stood_at) * share.min(1.0)
}

fn owned(
    row: TableRow,
    state: MemberState,
    group: &GroupSettings,
    member: usize,
    seed: u64,
    generation: u64,
) -> TableRow {
    if state != MemberState::Stable {
        return row;
    }
    let client_id = format!("{}-{member}", group.name);
    let high = draw(seed, &client_id, generation * 2);
    let low = draw(seed, &client_id, generation * 2 + 1);
    let consumer_id = format!(
        "{client_id}-{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff,
    );
    TableRow {
        consumer_id: Some(consumer_id),
        consumer_host: Some(format!("/10.0.0.{}", draw(seed, &group.name, 0) % 250 + 1)),
        client_id: Some(client_id),
        ..row
    }
}

#[cfg(test)]
mod tests;
