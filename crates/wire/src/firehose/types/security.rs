//! Encryption at rest, and secrets that AWS keeps elsewhere.

use super::stream::FailureDescription;
use crate::typed::{reply_struct, request_struct, shared_struct, wire_enum};

wire_enum! {
    /// Whose key encrypts records at rest in Firehose.
    KeyType {
        AwsOwnedCmk = "AWS_OWNED_CMK",
        CustomerManagedCmk = "CUSTOMER_MANAGED_CMK",
    }
}

wire_enum! {
    /// State of a delivery stream's encryption at rest.
    DeliveryStreamEncryptionStatus {
        Enabled = "ENABLED",
        Enabling = "ENABLING",
        EnablingFailed = "ENABLING_FAILED",
        Disabled = "DISABLED",
        Disabling = "DISABLING",
        DisablingFailed = "DISABLING_FAILED",
    }
}

request_struct! {
    /// Encryption at rest that a new delivery stream asks for.
    DeliveryStreamEncryptionConfigurationInput = firehose::DELIVERY_STREAM_ENCRYPTION_CONFIGURATION_INPUT {
        key_arn: Option<String> = "KeyARN",
        key_type: KeyType = "KeyType",
    }
}

reply_struct! {
    /// State of a delivery stream's encryption at rest.
    DeliveryStreamEncryptionConfiguration = firehose::DELIVERY_STREAM_ENCRYPTION_CONFIGURATION {
        failure_description: Option<FailureDescription> = "FailureDescription",
        key_arn: Option<String> = "KeyARN",
        key_type: Option<KeyType> = "KeyType",
        status: Option<DeliveryStreamEncryptionStatus> = "Status",
    }
}

shared_struct! {
    /// A secret that AWS would ask its Secrets Manager for.
    SecretsManagerConfiguration = firehose::SECRETS_MANAGER_CONFIGURATION {
        enabled: bool = "Enabled",
        role_arn: Option<String> = "RoleARN",
        secret_arn: Option<String> = "SecretARN",
    }
}

request_struct! {
    /// Encrypts a delivery stream at rest.
    StartDeliveryStreamEncryption = firehose::START_DELIVERY_STREAM_ENCRYPTION_INPUT {
        delivery_stream_encryption_configuration_input: Option<DeliveryStreamEncryptionConfigurationInput> =
            "DeliveryStreamEncryptionConfigurationInput",
        delivery_stream_name: String = "DeliveryStreamName",
    }
}

reply_struct! {
    /// Reply of `StartDeliveryStreamEncryption`: an object without members.
    StartDeliveryStreamEncryptionReply = firehose::START_DELIVERY_STREAM_ENCRYPTION_OUTPUT {
    }
}

request_struct! {
    /// Ends the encryption of a delivery stream at rest.
    StopDeliveryStreamEncryption = firehose::STOP_DELIVERY_STREAM_ENCRYPTION_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
    }
}

reply_struct! {
    /// Reply of `StopDeliveryStreamEncryption`: an object without members.
    StopDeliveryStreamEncryptionReply = firehose::STOP_DELIVERY_STREAM_ENCRYPTION_OUTPUT {
    }
}
