//! In: how often something failed in a row. Out: how long to wait. Never: sleeps.

use std::time::Duration;

use rand::RngExt;

/// Exponential back-off with full jitter: the wait is drawn evenly from `0..=ceiling`, and the ceiling doubles with each failure.
///
/// Full jitter keeps many waiters that failed at one instant from coming back at one instant.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// `first` is the ceiling after the first failure, `longest` the ceiling that is never passed.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// Counts one more failure and returns the wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(rand::rng().random_range(0.0..=1.0))
    }

    /// The longest wait that `next_wait` may return now.
    pub fn ceiling(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.min(31));
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// Failures in a row since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets all failures after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_and_stops_at_the_longest_wait() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(3));
        let mut ceilings = Vec::new();
        for _ in 0..5 {
            let ceiling = backoff.ceiling();
            assert!(backoff.next_wait() <= ceiling);
            ceilings.push(ceiling.as_millis());
        }
        assert_eq!(ceilings, [500, 1000, 2000, 3000, 3000]);
        backoff.reset();
        assert_eq!(backoff.ceiling(), Duration::from_millis(500));
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for _ in 0..1000 {
            assert!(backoff.next_wait() <= Duration::from_secs(60));
        }
    }
}
