//! In: what a value means. Out: the colour that says so, legible on white and on black.
//! Never: decorates: series without a meaning keep the palette of the tool.

/// What a value means to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Fine,
    /// Nothing is wrong yet, or nobody knows.
    Unknown,
    Look,
    Warning,
    Slow,
    Failed,
    Lost,
}

/// Told apart also by people who see red and green alike: each differs in lightness too.
pub(super) fn hex(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Fine => "#54B399",
        Meaning::Unknown => "#98A2B3",
        Meaning::Look => "#D6BF57",
        Meaning::Warning => "#DA8B45",
        Meaning::Slow => "#9170B8",
        Meaning::Failed => "#D36086",
        Meaning::Lost => "#E7664C",
    }
}

/// From which value on which meaning holds, lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps(pub Vec<(u64, Meaning)>);

impl Steps {
    /// Any at all is a failure.
    pub fn none_is_fine() -> Self {
        Self(vec![(0, Meaning::Fine), (1, Meaning::Lost)])
    }

    /// As `none_is_fine`, but what is fine is left without a colour: in a table of many zeros the others stand out.
    pub fn some_is_wrong() -> Self {
        Self(vec![(1, Meaning::Lost)])
    }

    /// None at all is a failure.
    pub fn some_is_fine() -> Self {
        Self(vec![(0, Meaning::Lost), (1, Meaning::Fine)])
    }

    /// A lag is one to look at from the limit on, and a serious one from ten times the limit on.
    pub fn lag(limit: u64) -> Self {
        let limit = limit.max(1);
        Self(vec![
            (0, Meaning::Fine),
            (limit, Meaning::Look),
            (limit.saturating_mul(10), Meaning::Lost),
        ])
    }
}
