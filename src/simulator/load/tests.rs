use std::path::PathBuf;
use std::time::Duration;

use super::{MemberState, Snapshot, snapshot};
use crate::simulator::fleet::{FleetSettings, GroupSettings, Recurring, TopicSettings};

const SEED: u64 = 7;

fn group() -> GroupSettings {
    GroupSettings {
        name: "oasis-group".to_owned(),
        members: 2,
        commit_every: Duration::from_secs(2),
        first_commit: Duration::ZERO,
        rebalances: None,
        topics: vec![TopicSettings {
            name: "orders".to_owned(),
            partitions: 4,
            records_per_second: 100.0,
            stalls: None,
            last_is_silent: false,
        }],
    }
}

fn at(group: &GroupSettings, seconds: f64) -> Snapshot {
    snapshot(SEED, group, Duration::from_secs_f64(seconds))
}

fn lag(snapshot: &Snapshot) -> i64 {
    snapshot.rows.iter().filter_map(|row| row.lag).sum()
}

#[test]
fn the_same_seed_and_time_give_the_same_rows_and_another_seed_gives_others() {
    assert_eq!(at(&group(), 12.3), at(&group(), 12.3));
    let other = snapshot(SEED + 1, &group(), Duration::from_secs_f64(12.3));
    assert_ne!(at(&group(), 12.3), other);
}

#[test]
fn offsets_never_go_back_and_lag_is_their_difference() {
    let mut stalling = group();
    stalling.topics[0].stalls = Some(Recurring::seconds(3, 20, 6));
    let mut before: Vec<(i64, i64)> = vec![(0, 0); 4];
    for tenth in 0..1000 {
        for row in at(&stalling, f64::from(tenth) / 10.0).rows {
            let (current, end) = (row.current_offset.unwrap(), row.log_end_offset.unwrap());
            let (was_current, was_end) = before[row.partition as usize];
            assert!(
                current >= was_current && end >= was_end,
                "{row:?} at {tenth}"
            );
            assert!(current <= end);
            assert_eq!(row.lag, Some(end - current));
            before[row.partition as usize] = (current, end);
        }
    }
}

#[test]
fn a_stall_falls_behind_and_is_caught_up_within_twice_its_length() {
    let mut stalling = group();
    stalling.topics[0].stalls = Some(Recurring::seconds(10, 60, 10));
    let lags = [10.0, 14.0, 18.0, 20.0, 26.0, 30.0].map(|s| lag(&at(&stalling, s)));
    assert_eq!(lags[0], 0);
    assert!(lags[1] > 500 && lags[2] > lags[1] && lags[3] > lags[2]);
    assert!(lags[4] < lags[3]);
    assert_eq!(lags[5], 0);
}

#[test]
fn between_commits_the_lag_grows_and_a_commit_ends_it() {
    let lags = [4.0, 5.0, 5.9, 6.0].map(|s| lag(&at(&group(), s)));
    assert!(lags[0] == 0 && lags[1] > 0 && lags[2] > lags[1]);
    assert_eq!(lags[3], 0);
}

#[test]
fn a_fresh_group_has_end_offsets_but_neither_offsets_nor_lag() {
    let mut fresh = group();
    fresh.first_commit = Duration::from_secs(12);
    let rows = at(&fresh, 11.9).rows;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.lag.is_none()
        && row.current_offset.is_none()
        && row.log_end_offset.is_some()
        && row.client_id.is_some()));
    assert!(at(&fresh, 12.0).rows.iter().all(|row| row.lag.is_some()));
}

#[test]
fn a_rebalance_takes_the_owners_and_the_partitions_that_were_never_committed() {
    let mut rebalancing = group();
    rebalancing.rebalances = Some(Recurring::seconds(10, 30, 5));
    rebalancing.topics[0].last_is_silent = true;
    let stable = at(&rebalancing, 9.0);
    assert_eq!((stable.state, stable.rows.len()), (MemberState::Stable, 4));
    let moving = at(&rebalancing, 11.0);
    assert_eq!(
        (moving.state, moving.rows.len()),
        (MemberState::Rebalancing, 3)
    );
    assert!(moving.rows.iter().all(|row| row.consumer_id.is_none()));
    let later = at(&rebalancing, 16.0);
    let id = |snapshot: &Snapshot| snapshot.rows[0].consumer_id.clone().unwrap();
    assert_ne!(
        id(&stable),
        id(&later),
        "a member that joins anew has a new id"
    );
    // `<group>-<index>-<uuid>`: 50 and more characters from a group id of 11 on.
    assert_eq!(id(&later).len(), "oasis-group-0-".len() + 36);
}

#[test]
fn a_group_without_members_only_falls_behind() {
    let mut empty = group();
    empty.members = 0;
    let (early, late) = (at(&empty, 10.0), at(&empty, 20.0));
    assert_eq!(early.state, MemberState::Empty);
    assert!(lag(&late) > lag(&early) && lag(&early) > 0);
    assert!(early.rows.iter().all(|row| row.client_id.is_none()));
}

#[test]
fn every_member_has_partitions_and_partition_numbers_are_not_in_order() {
    let fleet = FleetSettings::demonstration(SEED, PathBuf::new());
    let rows = at(&fleet.hosts[0].groups[0], 3.0).rows;
    assert_eq!(rows.len(), 21);
    let members: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.client_id).collect();
    assert_eq!(members.len(), 3);
    let numbers: Vec<i32> = rows.iter().map(|row| row.partition).collect();
    assert!(!numbers.is_sorted());
}

#[test]
fn the_demonstration_has_every_kind_of_trouble_within_half_a_minute() {
    let fleet = FleetSettings::demonstration(SEED, PathBuf::new());
    let topics = fleet.hosts.iter().flat_map(|h| &h.groups);
    assert_eq!(topics.map(|g| g.topics.len()).sum::<usize>(), 12);
    let mut states = Vec::new();
    let mut has_unknown = false;
    let mut is_down = false;
    for second in 0..30 {
        for host in &fleet.hosts {
            let now = Duration::from_secs(second);
            is_down |= host.outages.is_some_and(|o| o.is_on(now));
            for group in &host.groups {
                let snapshot = snapshot(SEED, group, now);
                has_unknown |= snapshot.rows.iter().any(|row| row.lag.is_none());
                states.push(snapshot.state);
            }
        }
    }
    assert!(is_down && has_unknown);
    for state in [
        MemberState::Stable,
        MemberState::Empty,
        MemberState::Rebalancing,
    ] {
        assert!(states.contains(&state), "{state:?}");
    }
}
