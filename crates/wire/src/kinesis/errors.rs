//! The business errors of Kinesis, in AWS's words.
//!
//! Texts that AWS was seen to send stand without a note, or with the place where they were seen; those that it was not
//! are marked "unverified".

mod account;
mod consumer;
mod data;
mod policy;
mod settings;
mod shard;
mod stream;
mod tags;

pub use account::*;
pub use consumer::*;
pub use data::*;
pub use policy::*;
pub use settings::*;
pub use shard::*;
pub use stream::*;
pub use tags::*;

use crate::error::{AwsError, ErrorCode};

/// Names a stream in an error text: its name and its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamText<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The twelve digits of the account.
    pub account: &'a str,
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::InvalidArgumentException, message)
}

fn validation(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::ValidationException, message)
}

fn in_use(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::ResourceInUseException, message)
}

fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::ResourceNotFoundException, message)
}

fn limit_exceeded(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::LimitExceededException, message)
}

#[cfg(test)]
mod tests;
