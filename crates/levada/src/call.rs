//! A call as a handler sees it: who makes it, and what may be answered.

use levada_core::catalog::Account;
use levada_wire::error::AwsError;

use crate::body::Frames;
use crate::memory::Share;

/// What a handler answers.
pub type Answer = Result<Reply, AwsError>;

/// A handler's success.
#[derive(Debug)]
pub enum Reply {
    /// A document in the protocol of the request.
    Document(Vec<u8>),
    /// The same, and the memory that was reserved for it before it was made.
    Reserved(Vec<u8>, Share),
    /// The empty body of an operation without a reply shape.
    Empty,
    /// An event stream, which begins now and goes on.
    Events(Frames),
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account that owns what a bare name means.
    pub account: Account,
    /// The region that the request was signed for.
    pub region: String,
    /// True if the caller says that it is CloudWatch Logs: its user agent has `logs.amazonaws.com` in it, which is how
    /// CloudTrail shows calls of that service. Anybody may say so; it keeps mistakes out, and nobody else.
    pub is_cloudwatch_logs: bool,
}
