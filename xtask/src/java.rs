//! The AWS SDK for Java, version 2, as an adapter of the conformance suite, and the applications on top of it.

use crate::test::{Outcome, Trouble};

/// The AWS SDK for Java: CBOR, and the asynchronous client for SubscribeToShard.
pub(crate) fn java() -> Outcome {
    Err(Trouble::Missing("its adapter".to_owned()))
}
