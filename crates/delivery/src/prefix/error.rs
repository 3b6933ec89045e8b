//! What can be wrong with prefixes, and with a key that is built from them.

/// Which of the two prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// `Prefix`
    Prefix,
    /// `ErrorOutputPrefix`
    ErrorOutputPrefix,
}

impl Member {
    /// As it is called in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefix => "Prefix",
            Self::ErrorOutputPrefix => "ErrorOutputPrefix",
        }
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a combination of `Prefix`, `ErrorOutputPrefix` and `CustomTimeZone` is refused. The texts here are for logs;
/// AWS's own stand with the other errors of the API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// `!{` that does not begin an expression `!{namespace:value}`.
    #[error("{member} {text:?} has a !{{ that begins no expression of the form !{{namespace:value}}")]
    BadExpression {
        /// Where.
        member: Member,
        /// The whole prefix.
        text: String,
    },
    /// A namespace other than `timestamp`, `firehose` and the two of partition keys.
    #[error("{member}: unknown namespace {namespace:?}")]
    UnknownNamespace {
        /// Where.
        member: Member,
        /// What stands before the colon.
        namespace: String,
    },
    /// A value that its namespace does not have.
    #[error("{member}: invalid value {value:?}: {reason}")]
    BadValue {
        /// Where.
        member: Member,
        /// What stands after the colon.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Expressions in `Prefix` and no `ErrorOutputPrefix`.
    #[error("ErrorOutputPrefix is needed because Prefix contains expressions")]
    ErrorPrefixRequired,
    /// Expressions in `ErrorOutputPrefix`, none of them `!{firehose:error-output-type}`.
    #[error("ErrorOutputPrefix contains expressions, but not !{{firehose:error-output-type}}")]
    ErrorTypeMissing,
    /// `!{firehose:error-output-type}` in `Prefix`.
    #[error("Prefix contains !{{firehose:error-output-type}}")]
    ErrorTypeInPrefix,
    /// A partition key in `ErrorOutputPrefix`.
    #[error("ErrorOutputPrefix contains a partition key")]
    PartitionKeyInErrorPrefix,
    /// A partition key in `Prefix`, while dynamic partitioning is not enabled.
    #[error("Prefix contains a partition key, but dynamic partitioning is not enabled")]
    PartitioningDisabled,
    /// Dynamic partitioning, and no partition key in `Prefix`.
    #[error("Prefix contains no partition key, but dynamic partitioning is enabled")]
    PartitionKeyMissing,
    /// `partitionKeyFromQuery` in `Prefix` and no processor MetadataExtraction.
    #[error("Prefix contains partitionKeyFromQuery, but no processor MetadataExtraction makes such keys")]
    NoQuery,
    /// `partitionKeyFromLambda` in `Prefix` and no processor Lambda.
    #[error("Prefix contains partitionKeyFromLambda, but no processor Lambda makes such keys")]
    NoLambda,
    /// A key in `Prefix` that the query does not make.
    #[error("Prefix contains the partition key {0:?}, which the query does not make")]
    QueryKeyUnknown(String),
    /// A key of the query that `Prefix` does not contain.
    #[error("the query makes the partition key {0:?}, which Prefix does not contain")]
    QueryKeyUnused(String),
    /// Too long once evaluated.
    #[error("{0} is longer than {max} bytes once evaluated", max = super::MAX_EVALUATED_BYTES)]
    TooLong(Member),
    /// Not one of the time zones that AWS lists.
    #[error("unknown time zone {0:?}")]
    UnknownTimeZone(String),
}

/// Why an object's key cannot be built from its records' partition keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The records do not have a partition key that the prefix contains.
    #[error("partition key {name:?} of {namespace} is missing")]
    MissingPartitionKey {
        /// `partitionKeyFromQuery` or `partitionKeyFromLambda`.
        namespace: &'static str,
        /// The key's name.
        name: String,
    },
    /// The evaluated prefix is too long.
    #[error("the evaluated prefix has {bytes} bytes, more than {max}", max = super::MAX_EVALUATED_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}
