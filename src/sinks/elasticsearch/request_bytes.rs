//! In: whether a server took a request, and how large it was. Out: how large the next one may be.
//! Never: waits, knows what is in a request.

/// Bytes of a request: a fraction of the 100 MB that Elasticsearch takes, and what it needs some ten times over in memory meanwhile.
const LARGEST: usize = 4 << 20;

/// A proxy that refuses less than this refuses everything; smaller requests would only be many.
const TOO_LARGE_MIN: usize = 64 << 10;

/// A request of full size that was taken lets the next one be larger by this part: slowly, or every second one would be refused again.
const GROWTH: usize = 4;

/// How large a request may be.
///
/// What a proxy refuses for its size (413) it will always refuse, so that limit stays. What a node has no memory for now (429) it may
/// take later, so that limit grows again.
pub(super) struct RequestBytes {
    largest: usize,
    now: usize,
}

impl RequestBytes {
    pub(super) fn new() -> Self {
        Self {
            largest: LARGEST,
            now: LARGEST,
        }
    }

    /// Bytes of the next request, unless its first document alone is larger.
    pub(super) fn limit(&self) -> usize {
        self.now
    }

    /// A request of `sent` bytes was refused for its size.
    pub(super) fn too_large(&mut self, sent: usize) {
        self.largest = self.largest.min((sent / 2).max(TOO_LARGE_MIN));
        self.now = self.now.min(self.largest);
    }

    /// There was no room for a request of `sent` bytes.
    pub(super) fn crowded(&mut self, sent: usize) {
        self.now = self.now.min(sent / 2).max(1);
    }

    /// A request that was as large as it may be was taken.
    pub(super) fn taken_full(&mut self) {
        let step = self.now.div_ceil(GROWTH);
        self.now = self.now.saturating_add(step).min(self.largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_a_proxy_is_kept_and_one_of_memory_grows_again() {
        let mut bytes = RequestBytes::new();
        bytes.too_large(4 << 20);
        bytes.too_large(2 << 20);
        assert_eq!(bytes.limit(), 1 << 20);
        bytes.crowded(800);
        assert_eq!(bytes.limit(), 400);
        let mut grown = Vec::new();
        for _ in 0..3 {
            bytes.taken_full();
            grown.push(bytes.limit());
        }
        assert_eq!(grown, [500, 625, 782]);
        for _ in 0..100 {
            bytes.taken_full();
        }
        assert_eq!(bytes.limit(), 1 << 20);
    }

    #[test]
    fn a_server_that_refuses_every_size_leaves_requests_of_a_useful_size() {
        let mut bytes = RequestBytes::new();
        for sent in [4 << 20, 1000, 1] {
            bytes.too_large(sent);
        }
        assert_eq!(bytes.limit(), TOO_LARGE_MIN);
        bytes.crowded(1);
        assert_eq!(bytes.limit(), 1, "one document at a time, and growing");
        bytes.taken_full();
        assert_eq!(bytes.limit(), 2);
    }
}
