//! In: what happened. Out: numbers for the summary line.
//! Never: decides anything.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::kafka::Outcome;

/// What the collector did since it started. All numbers only grow, but for `held`.
#[derive(Debug, Default)]
pub struct Counts {
    rounds: AtomicU64,
    skipped: AtomicU64,
    connects: AtomicU64,
    losses: AtomicU64,
    unstored: AtomicU64,
    held: AtomicU64,
    problems: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

/// The numbers of one moment; one minus an earlier one is what happened between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Describes that ended, however.
    pub rounds: u64,
    /// Ticks that fell while a describe still ran.
    pub skipped: u64,
    /// Loops started on a host.
    pub connects: u64,
    /// Loops that ended without being asked to.
    pub losses: u64,
    /// Samples that could not be written to the journal and were given up.
    pub unstored: u64,
    /// Samples in memory that the journal does not have yet; that of the later moment in a difference.
    pub held: u64,
    /// Lines or rows that were not as Kafka prints them.
    pub problems: u64,
    /// Samples by outcome, in the order of `Outcome::ALL`.
    pub outcomes: [u64; Outcome::ALL.len()],
}

impl Counts {
    pub(super) fn round(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self, ticks: u64) {
        self.skipped.fetch_add(ticks, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unstored(&self) {
        self.unstored.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn holding(&self, samples: u64) {
        self.held.store(samples, Ordering::Relaxed);
    }

    pub(super) fn problems(&self, count: usize) {
        self.problems.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn outcome(&self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The numbers now.
    pub fn tally(&self) -> Tally {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Tally {
            rounds: load(&self.rounds),
            skipped: load(&self.skipped),
            connects: load(&self.connects),
            losses: load(&self.losses),
            unstored: load(&self.unstored),
            held: load(&self.held),
            problems: load(&self.problems),
            outcomes: std::array::from_fn(|n| self.outcomes.get(n).map_or(0, load)),
        }
    }
}

impl Tally {
    /// Samples with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome as usize).copied().unwrap_or(0)
    }

    /// What happened after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            rounds: self.rounds - earlier.rounds,
            skipped: self.skipped - earlier.skipped,
            connects: self.connects - earlier.connects,
            losses: self.losses - earlier.losses,
            unstored: self.unstored - earlier.unstored,
            held: self.held,
            problems: self.problems - earlier.problems,
            outcomes: std::array::from_fn(|n| {
                let at = |tally: &Self| tally.outcomes.get(n).copied().unwrap_or(0);
                at(self) - at(earlier)
            }),
        }
    }
}
