//! Where a name means something: an account and a region.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An AWS account id: 12 digits. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(Arc<str>);

impl Account {
    /// `None` unless `text` is 12 digits.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| Self(text.into()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account in a region: names of streams are unique here. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Who owns the resources.
    pub account: Account,
    /// For example `us-east-1`.
    pub region: Arc<str>,
}

impl Scope {
    /// An account in a region.
    #[must_use]
    pub fn new(account: Account, region: &str) -> Self {
        Self { account, region: region.into() }
    }

    /// The partition of the region, the second part of its ARNs.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        match () {
            () if self.region.starts_with("cn-") => "aws-cn",
            () if self.region.starts_with("us-gov-") => "aws-us-gov",
            () => "aws",
        }
    }

    /// ARN of a resource of `service` in this scope.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }
}

/// One life of a stream or delivery stream. A name that is deleted and created again gets a new incarnation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    /// Where the name holds.
    pub scope: Scope,
    /// The name.
    pub name: Arc<str>,
    /// Never reused by any stream or delivery stream of the node.
    pub incarnation: u64,
}
