//! In: whether a sink had room for a request. Out: how many records the next one has.
//! Never: waits, knows a sink.

/// One refusal may be a moment of somebody else's load; from this one in a row on, the size is to blame as well.
const REFUSALS_BEFORE_HALF: u32 = 2;

/// A request of full size that was taken lets the next one be larger by this part: slowly, or every second one would be refused again.
const GROWTH: usize = 4;

/// How many records go into one request: less while the sink has no room, and step by step more when it has.
///
/// Elasticsearch refuses a bulk whole when its bytes do not fit into what is left of a node's memory (`indexing_pressure.memory.limit`,
/// the circuit breakers). The same bulk may then never fit, while half of it does.
pub(super) struct RequestSize {
    largest: usize,
    now: usize,
    refusals: u32,
}

impl RequestSize {
    pub(super) fn new(largest: usize) -> Self {
        Self {
            largest: largest.max(1),
            now: largest.max(1),
            refusals: 0,
        }
    }

    /// Records of the next request, at least one.
    pub(super) fn records(&self) -> usize {
        self.now
    }

    /// The sink had no room for a request of `sent` records.
    pub(super) fn crowded(&mut self, sent: usize) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals >= REFUSALS_BEFORE_HALF {
            self.now = self.now.min(sent.div_ceil(2)).max(1);
        }
    }

    /// The sink took a request of `sent` records.
    pub(super) fn taken(&mut self, sent: usize) {
        self.refusals = 0;
        if sent >= self.now {
            let step = self.now.div_ceil(GROWTH);
            self.now = self.now.saturating_add(step).min(self.largest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refusal_changes_nothing_and_a_repeated_one_halves_what_was_sent() {
        let mut size = RequestSize::new(500);
        size.crowded(60);
        assert_eq!(size.records(), 500);
        let mut sizes = Vec::new();
        let mut sent = 60;
        for _ in 0..8 {
            size.crowded(sent);
            sent = size.records();
            sizes.push(sent);
        }
        assert_eq!(sizes, [30, 15, 8, 4, 2, 1, 1, 1]);
    }

    #[test]
    fn requests_grow_by_a_quarter_while_they_are_taken_and_stop_at_the_largest() {
        let mut size = RequestSize::new(20);
        size.crowded(20);
        size.crowded(20);
        let mut sizes = Vec::new();
        for _ in 0..5 {
            size.taken(size.records());
            sizes.push(size.records());
        }
        assert_eq!(sizes, [13, 17, 20, 20, 20]);
        // The end of a batch says nothing about larger requests.
        size.crowded(20);
        size.crowded(20);
        size.taken(3);
        assert_eq!(size.records(), 10);
        // And a refusal behind a success is a first one again.
        size.crowded(10);
        assert_eq!(size.records(), 10);
    }
}
