//! Adapters of the conformance suite for the SDKs of JavaScript, Go, Ruby and Rust: built under `target/`, then run through.

use crate::test::{Outcome, Trouble};

/// The AWS SDK for JavaScript, version 3.
pub(crate) fn js() -> Outcome {
    Err(Trouble::Missing("its adapter".to_owned()))
}

/// The AWS SDK for Go, version 2.
pub(crate) fn go() -> Outcome {
    Err(Trouble::Missing("its adapter".to_owned()))
}

/// Debian's ruby-aws-sdk-kinesis, of 2023.
pub(crate) fn ruby() -> Outcome {
    Err(Trouble::Missing("its adapter".to_owned()))
}

/// The AWS SDK for Rust.
pub(crate) fn rust() -> Outcome {
    Err(Trouble::Missing("its adapter".to_owned()))
}
