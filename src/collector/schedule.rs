//! In: an interval, a source's name, the clock, the ticks already used. Out: the next tick.
//! Never: sleeps, reads a clock, hands out the same tick twice.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A clock set back by no more than this many intervals is waited out; by more, a new generation begins.
///
/// Two intervals cover what NTP corrects by a step on a healthy machine without a gap that anyone would call one.
const WAITED_OUT_INTERVALS: i64 = 2;

/// The planned instant of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    pub at: DateTime<Utc>,
    /// Counts the times the clock was set back over instants already used.
    pub generation: u32,
}

/// The ticks a source has used, kept across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedTicks {
    last_ms: i64,
    generation: u32,
    newest_ms: i64,
    newest_generation: u32,
}

/// When the rounds of one source fall: at `k * interval + phase` since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    interval_ms: i64,
    phase_ms: i64,
}

impl Schedule {
    /// The phase is a hash of `name`, so that sources of one interval do not ask at one instant,
    /// and two collectors with the same configuration do.
    pub fn new(name: &str, interval: Duration) -> Self {
        let interval_ms = i64::try_from(interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        let digest = Sha256::digest(name.as_bytes());
        let hash = digest
            .iter()
            .take(6)
            .fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
        Self {
            interval_ms,
            phase_ms: hash % interval_ms,
        }
    }

    /// The first tick after `now` that was not used yet.
    pub fn next(&self, now: DateTime<Utc>, used: Option<&UsedTicks>) -> Tick {
        let next_ms = self.after(now.timestamp_millis());
        let Some(used) = used else {
            return self.tick(next_ms, 0);
        };
        if next_ms > used.last_ms {
            return self.tick(next_ms, used.generation_at(next_ms));
        }
        let waited_out = used.last_ms - next_ms < WAITED_OUT_INTERVALS * self.interval_ms;
        if waited_out {
            let after_last = self.after(used.last_ms);
            return self.tick(after_last, used.generation_at(after_last));
        }
        self.tick(next_ms, used.newest_generation.saturating_add(1))
    }

    fn after(&self, instant_ms: i64) -> i64 {
        let periods = (instant_ms - self.phase_ms).div_euclid(self.interval_ms) + 1;
        periods * self.interval_ms + self.phase_ms
    }

    fn tick(&self, at_ms: i64, generation: u32) -> Tick {
        Tick {
            at: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(at_ms),
            generation,
        }
    }
}

impl UsedTicks {
    /// `used` with `tick` added.
    pub fn with(used: Option<Self>, tick: Tick) -> Self {
        let at_ms = tick.at.timestamp_millis();
        Self {
            last_ms: at_ms,
            generation: tick.generation,
            newest_ms: used.map_or(at_ms, |used| used.newest_ms.max(at_ms)),
            newest_generation: used.map_or(tick.generation, |used| {
                used.newest_generation.max(tick.generation)
            }),
        }
    }

    /// Past the newest instant ever used, ticks are those of every collector again: generation 0.
    fn generation_at(&self, at_ms: i64) -> u32 {
        if at_ms > self.newest_ms {
            0
        } else {
            self.generation
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn instant(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn two_collectors_with_the_same_configuration_ask_at_the_same_instants() {
        let schedule = Schedule::new("mm-1/oasis-group/orders", Duration::from_secs(10));
        let again = Schedule::new("mm-1/oasis-group/orders", Duration::from_secs(10));
        let first = schedule.next(instant(1_000_000), None);
        assert_eq!(first, again.next(instant(1_000_000), None));
        let later = schedule.next(first.at, None);
        assert_eq!(later.at - first.at, TimeDelta::seconds(10));
    }

    #[test]
    fn sources_are_spread_over_the_interval() {
        let phases: BTreeSet<i64> = (0..50)
            .map(|n| Schedule::new(&format!("mm-{n}/g"), Duration::from_secs(10)).phase_ms)
            .collect();
        assert!(phases.len() > 45, "{phases:?}");
        assert!(phases.iter().all(|phase| (0..10_000).contains(phase)));
        assert!(phases.iter().any(|phase| *phase < 2_500));
        assert!(phases.iter().any(|phase| *phase > 7_500));
    }

    #[test]
    fn a_small_step_back_is_waited_out_without_a_second_sample_of_the_same_tick() {
        let schedule = Schedule::new("s", Duration::from_secs(10));
        let first = schedule.next(instant(1_000_000), None);
        let used = UsedTicks::with(None, first);
        let next = schedule.next(first.at - TimeDelta::seconds(3), Some(&used));
        assert_eq!(next.at - first.at, TimeDelta::seconds(10));
        assert_eq!(next.generation, 0);
    }

    #[test]
    fn an_hour_back_goes_on_at_once_in_a_new_generation_and_ends_it_when_the_clock_has_caught_up() {
        let schedule = Schedule::new("s", Duration::from_secs(10));
        let newest = schedule.next(instant(1_000_000), None);
        let mut used = UsedTicks::with(None, newest);
        let mut now = newest.at - TimeDelta::hours(1);
        let mut generations = Vec::new();
        while now <= newest.at {
            let tick = schedule.next(now, Some(&used));
            assert!(tick.at - now <= TimeDelta::seconds(10));
            generations.push(tick.generation);
            used = UsedTicks::with(Some(used), tick);
            now = tick.at;
        }
        assert_eq!(generations.first(), Some(&1));
        assert_eq!(generations.last(), Some(&0));
        assert_eq!(generations.iter().filter(|g| **g == 1).count(), 360);
    }

    #[test]
    fn an_hour_ahead_goes_on_at_the_next_tick() {
        let schedule = Schedule::new("s", Duration::from_secs(10));
        let first = schedule.next(instant(1_000_000), None);
        let used = UsedTicks::with(None, first);
        let now = first.at + TimeDelta::hours(1);
        let tick = schedule.next(now, Some(&used));
        assert!(tick.at > now && tick.at - now <= TimeDelta::seconds(10));
        assert_eq!(tick.generation, 0);
    }

    proptest! {
        #[test]
        fn no_clock_ever_brings_the_same_tick_twice(
            steps in proptest::collection::vec(-5_000_000_i64..5_000_000, 1..200),
            interval_s in 1_u64..100,
        ) {
            let schedule = Schedule::new("s", Duration::from_secs(interval_s));
            let mut now = 1_700_000_000_000_i64;
            let mut used = None;
            let mut seen = BTreeSet::new();
            for step in steps {
                // Every third step is a jump of the clock, the others are time that passes.
                now += if step % 3 == 0 { step } else { step.abs() % 20_000 };
                let clock = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(now);
                let tick = schedule.next(clock, used.as_ref());
                prop_assert!(seen.insert((tick.at, tick.generation)));
                prop_assert!(tick.at > clock);
                used = Some(UsedTicks::with(used, tick));
            }
        }
    }
}
