//! Deliberate mutants, which the crash tests must notice. No real build has them: `cargo xtask test --only mutant` builds
//! the tests with the feature `mutants` and names one at a time in `LEVADA_MUTANT`.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The checkpoint comes before the delivery.
    CheckpointFirst,
    /// A cut is not durable when its upload begins.
    VolatileCut,
    /// What the chain and the sorter append does not say how far it takes the log before.
    StaleMark,
    /// Records are freed when they are cut.
    EarlyTrim,
}

impl Mutant {
    /// Whether this process is to be broken so.
    #[cfg(feature = "mutants")]
    pub(crate) fn is_on(self) -> bool {
        std::env::var("LEVADA_MUTANT").is_ok_and(|name| name == format!("{self:?}"))
    }

    /// Never.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is_on(self) -> bool {
        false
    }
}
