//! Resource policies: stored and told. Nobody is refused by them yet.

use levada_core::catalog::Command;
use levada_wire::kinesis::types;

use super::Caller;
use super::policy_document::normalise;
use crate::call::Answer;

/// What AWS shows where there is no policy.
const NO_POLICY: &str = "{}";

pub(super) async fn put(caller: Caller<'_>, request: &types::PutResourcePolicy) -> Answer {
    let resource = caller.resource(&request.resource_arn)?;
    caller.found(&resource)?;
    let policy = normalise(&request.policy)?;
    caller.submit(Command::PutPolicy { resource, policy }).await
}

pub(super) fn get(caller: Caller<'_>, request: &types::GetResourcePolicy) -> Answer {
    let resource = caller.resource(&request.resource_arn)?;
    let (stream, consumer) = caller.found(&resource)?;
    let policy = consumer.map_or_else(|| stream.policy.clone(), |consumer| consumer.policy);
    caller.reply(&types::GetResourcePolicyReply { policy: policy.unwrap_or_else(|| NO_POLICY.to_owned()) })
}

pub(super) async fn delete(caller: Caller<'_>, request: &types::DeleteResourcePolicy) -> Answer {
    let resource = caller.resource(&request.resource_arn)?;
    caller.submit(Command::DeletePolicy { resource }).await
}
