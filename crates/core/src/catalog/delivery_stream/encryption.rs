//! Encryption of a delivery stream's records at rest, as its owner sees it.

use serde::{Deserialize, Serialize};

use crate::catalog::stream::is_zero;
use crate::engine::Millis;

/// Where encryption stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EncryptionStatus {
    /// It is on.
    Enabled,
    /// It is being turned on, or given another key.
    Enabling,
    /// It could not be turned on.
    EnablingFailed,
    /// It is off.
    #[default]
    Disabled,
    /// It is being turned off.
    Disabling,
    /// It could not be turned off.
    DisablingFailed,
}

impl EncryptionStatus {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Enabling => "ENABLING",
            Self::EnablingFailed => "ENABLING_FAILED",
            Self::Disabled => "DISABLED",
            Self::Disabling => "DISABLING",
            Self::DisablingFailed => "DISABLING_FAILED",
        }
    }
}

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncryptionKey {
    /// `AWS_OWNED_CMK`: the service's own.
    AwsOwned,
    /// `CUSTOMER_MANAGED_CMK`, with its ARN.
    CustomerManaged(String),
}

impl EncryptionKey {
    /// As AWS writes it (`KeyType`).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AwsOwned => "AWS_OWNED_CMK",
            Self::CustomerManaged(_) => "CUSTOMER_MANAGED_CMK",
        }
    }

    /// The ARN of a customer's key.
    #[must_use]
    pub fn arn(&self) -> Option<&str> {
        match self {
            Self::AwsOwned => None,
            Self::CustomerManaged(arn) => Some(arn),
        }
    }
}

/// Encryption of a delivery stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// Where it stands.
    pub status: EncryptionStatus,
    /// The key; none when it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<EncryptionKey>,
    /// When ENABLING or DISABLING ends; 0: at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub due: Millis,
    /// True in ENABLING if another key is in force meanwhile: records are encrypted all the time (API reference,
    /// `StartDeliveryStreamEncryption`: if it fails, encryption stays on with the old key).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_on: bool,
    /// Why it failed, in a `…Failed` status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Encryption {
    /// Being turned on with this key, until `due`.
    #[must_use]
    pub fn enabling(key: EncryptionKey, due: Millis) -> Self {
        Self { status: EncryptionStatus::Enabling, key: Some(key), due, ..Self::default() }
    }

    /// True in ENABLING and DISABLING.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        matches!(self.status, EncryptionStatus::Enabling | EncryptionStatus::Disabling)
    }

    /// Whether records are encrypted now. While encryption is being started they are not yet, while it is being stopped
    /// they still are (API reference, `StartDeliveryStreamEncryption`, `StopDeliveryStreamEncryption`).
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        match self.status {
            EncryptionStatus::Enabled | EncryptionStatus::Disabling | EncryptionStatus::DisablingFailed => true,
            EncryptionStatus::Enabling | EncryptionStatus::EnablingFailed => self.was_on,
            EncryptionStatus::Disabled => false,
        }
    }

    /// ENABLING or DISABLING is over.
    pub(in crate::catalog) fn settle(&mut self) {
        match self.status {
            EncryptionStatus::Enabling => self.status = EncryptionStatus::Enabled,
            EncryptionStatus::Disabling => *self = Self::default(),
            EncryptionStatus::Enabled
            | EncryptionStatus::EnablingFailed
            | EncryptionStatus::Disabled
            | EncryptionStatus::DisablingFailed => {}
        }
        self.due = 0;
        self.was_on = false;
    }
}
