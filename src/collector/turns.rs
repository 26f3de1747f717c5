//! In: how many describes may run on one server at once. Out: a turn for each, in the order in which they asked.
//! Never: has more turns out than the limit, but for those that were out when it was lowered.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The turns of one server.
#[derive(Debug)]
pub(super) struct Turns {
    free: Semaphore,
    limit: Mutex<Limit>,
}

#[derive(Debug)]
struct Limit {
    at_once: usize,
    /// Turns that were out when the limit was lowered, and are not handed out again.
    too_many: usize,
}

/// Permission for one describe; dropping it ends the turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    /// `None` only behind a closed semaphore, which ours never is.
    permit: Option<SemaphorePermit<'a>>,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            free: Semaphore::new(at_once),
            limit: Mutex::new(Limit {
                at_once,
                too_many: 0,
            }),
        }
    }

    /// Waits for a turn.
    pub(super) async fn take(&self) -> Turn<'_> {
        Turn {
            permit: self.free.acquire().await.ok(),
            turns: self,
        }
    }

    /// Hands out so many at once from now on; a turn that is out is not cut short.
    pub(super) fn limit_to(&self, at_once: usize) {
        let mut limit = self.lock();
        let more = at_once.saturating_sub(limit.at_once);
        let kept_out = more.min(limit.too_many);
        limit.too_many -= kept_out;
        self.free.add_permits(more - kept_out);
        let fewer = limit.at_once.saturating_sub(at_once);
        limit.too_many += fewer - self.free.forget_permits(fewer);
        limit.at_once = at_once;
    }

    fn lock(&self) -> MutexGuard<'_, Limit> {
        // Nothing in here panics half-way through a change.
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Held until the permit is gone: `limit_to` must find it either out or free.
        let mut limit = self.turns.lock();
        let permit = self.permit.take();
        if limit.too_many > 0
            && let Some(permit) = permit
        {
            permit.forget();
            limit.too_many -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A turn, when one is free.
    fn take(turns: &Turns) -> Option<Turn<'_>> {
        let permit = turns.free.try_acquire().ok()?;
        Some(Turn {
            turns,
            permit: Some(permit),
        })
    }

    #[test]
    fn a_lowered_limit_cuts_no_turn_short_and_holds_for_the_next() {
        let turns = Turns::new(3);
        let out: Vec<_> = std::iter::from_fn(|| take(&turns)).collect();
        assert_eq!(out.len(), 3);
        turns.limit_to(1);
        let mut out = out.into_iter();
        drop(out.next());
        assert!(take(&turns).is_none(), "two are out, one is the limit");
        drop(out.next());
        assert!(take(&turns).is_none(), "one is out");
        drop(out.next());
        let _one = take(&turns).expect("a free turn");
        assert!(take(&turns).is_none());
    }

    proptest! {
        #[test]
        fn whatever_limits_follow_each_other_the_last_one_holds_in_the_end(
            steps in proptest::collection::vec((1_usize..8, 0_usize..8), 1..40),
        ) {
            let turns = Turns::new(2);
            let mut out = Vec::new();
            let mut at_once = 2;
            for (limit, ended) in steps {
                turns.limit_to(limit);
                at_once = limit;
                out.truncate(out.len().saturating_sub(ended));
                let before = out.len();
                out.extend(std::iter::from_fn(|| take(&turns)));
                prop_assert_eq!(out.len(), before.max(limit));
            }
            drop(out);
            let free: Vec<_> = std::iter::from_fn(|| take(&turns)).collect();
            prop_assert_eq!(free.len(), at_once);
        }
    }
}
