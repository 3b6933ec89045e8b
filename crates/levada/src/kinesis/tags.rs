//! Tags of streams and consumers, by both of AWS's interfaces.

use std::collections::{BTreeMap, BTreeSet};

use levada_core::catalog::{Command, Resource};
use levada_wire::error::AwsError;
use levada_wire::kinesis::{errors, types};
use levada_wire::limits;
use levada_wire::typed::StringMap;

use super::Caller;
use crate::call::Answer;

pub(super) async fn add_to_stream(caller: Caller<'_>, request: types::AddTagsToStream) -> Answer {
    let resource = caller.named(request.stream())?.resource();
    tag(caller, resource, request.tags).await
}

pub(super) async fn add(caller: Caller<'_>, request: types::TagResource) -> Answer {
    let resource = caller.resource(&request.resource_arn)?;
    tag(caller, resource, request.tags).await
}

async fn tag(caller: Caller<'_>, resource: Resource, tags: StringMap) -> Answer {
    caller.submit(Command::Tag { resource, tags: checked(tags)? }).await
}

/// Tags of the characters that AWS takes.
pub(super) fn checked(tags: StringMap) -> Result<BTreeMap<String, String>, AwsError> {
    let takes = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-%@".contains(c);
    if tags.0.iter().any(|(key, value)| !key.chars().chain(value.chars()).all(takes)) {
        return Err(errors::invalid_tag_characters());
    }
    Ok(tags.0.into_iter().collect())
}

pub(super) async fn remove_from_stream(caller: Caller<'_>, request: types::RemoveTagsFromStream) -> Answer {
    let resource = caller.named(request.stream())?.resource();
    untag(caller, resource, request.tag_keys).await
}

pub(super) async fn remove(caller: Caller<'_>, request: types::UntagResource) -> Answer {
    let resource = caller.resource(&request.resource_arn)?;
    untag(caller, resource, request.tag_keys).await
}

async fn untag(caller: Caller<'_>, resource: Resource, keys: Vec<String>) -> Answer {
    let keys: BTreeSet<_> = keys.into_iter().collect();
    caller.submit(Command::Untag { resource, keys }).await
}

pub(super) fn list_of_stream(caller: Caller<'_>, request: &types::ListTagsForStream) -> Answer {
    let stream = caller.stream(request.stream())?;
    let after = request.exclusive_start_tag_key.as_deref();
    let limit = request.limit.unwrap_or(limits::LIST_TAGS_FOR_STREAM) as usize;
    let mut behind = stream.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let tags = behind.by_ref().take(limit).map(tag_of).collect();
    caller.reply(&types::ListTagsForStreamReply { has_more_tags: behind.next().is_some(), tags })
}

pub(super) fn list(caller: Caller<'_>, request: &types::ListTagsForResource) -> Answer {
    let resource = caller.resource(&request.resource_arn)?;
    let tags = |tags: &BTreeMap<String, String>| tags.iter().map(tag_of).collect();
    let (stream, consumer) = caller.found(&resource)?;
    let tags = consumer.map_or_else(|| tags(&stream.tags), |consumer| tags(&consumer.tags));
    caller.reply(&types::ListTagsForResourceReply { tags })
}

fn tag_of((key, value): (&String, &String)) -> types::Tag {
    types::Tag { key: key.clone(), value: Some(value.clone()) }
}
