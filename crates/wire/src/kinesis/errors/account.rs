//! What holds for a whole account: its quotas.

use super::limit_exceeded;
use crate::error::AwsError;

/// The account's shards would become too many. `current` and `limit` count the account's shards, `added` those of
/// this request.
#[must_use]
pub fn shard_limit_exceeded(account: &str, region: &str, current: u64, limit: u64, added: u64) -> AwsError {
    limit_exceeded(format!(
        "This request would exceed the shard limit for the account {account} in {region}. Current shard count \
             for the account: {current}. Limit: {limit}. Number of additional shards that would have resulted from \
             this request: {added}. Refer to the AWS Service Limits page \
             (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to \
             request higher limits."
    ))
}

/// More calls on the account than AWS allows, of an operation that names no stream (seen of `ListStreams` in 2019,
/// Graylog2/graylog-plugin-integrations issue 341).
#[must_use]
pub fn account_rate_exceeded(account: &str) -> AwsError {
    limit_exceeded(format!("Rate exceeded for account {account}."))
}

/// Too many streams are being created (seen in 2017, hashicorp/terraform-provider-aws pull request 1339).
#[must_use]
pub fn too_many_creating_streams(account: &str, limit: usize) -> AwsError {
    limit_exceeded(format!(
        "This request would have exceed the limit on the number of streams that can simultaneously be in CREATING or \
         DELETING for the account {account}. Limit: {limit}."
    ))
}

/// The account has as many on-demand streams as it may. Unverified, worded like the quota of shards.
#[must_use]
pub fn on_demand_limit_exceeded(account: &str, region: &str, current: usize, limit: usize) -> AwsError {
    limit_exceeded(format!(
        "This request would exceed the on-demand stream limit for the account {account} in {region}. Current \
         on-demand stream count for the account: {current}. Limit: {limit}."
    ))
}
