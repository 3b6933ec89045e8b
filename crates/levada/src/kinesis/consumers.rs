//! Consumers with enhanced fan-out: register, deregister, describe, list.

use std::sync::Arc;

use levada_core::catalog::{Command, Consumer, ConsumerStatus, Stream};
use levada_core::iterator::{Listing, NextToken};
use levada_wire::error::AwsError;
use levada_wire::kinesis::arn::{Arn, Resource};
use levada_wire::kinesis::errors;
use levada_wire::kinesis::types::{self, StreamRef};
use levada_wire::limits;
use levada_wire::typed::TimestampSeconds;

use super::tags::checked;
use super::{Caller, Named, text};
use crate::call::Answer;
use crate::refusal::not_submitted;

pub(super) async fn register(caller: Caller<'_>, request: types::RegisterStreamConsumer) -> Answer {
    let Named { scope, name: stream } = caller.named(StreamRef::of_arn(&request.stream_arn))?;
    let name: Arc<str> = request.consumer_name.into();
    let tags = request.tags.map(checked).transpose()?.unwrap_or_default();
    let command = Command::RegisterConsumer { scope, stream, name: Arc::clone(&name), tags };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    let stream = caller.stream(StreamRef::of_arn(&request.stream_arn))?;
    // Deregistered by somebody else meanwhile.
    let consumer = stream.consumers.get(&name);
    let consumer = consumer.ok_or_else(|| errors::consumer_name_not_found(&name, text(&stream)))?;
    // AWS's answer tells the consumer as it was registered, however fast it became ACTIVE.
    let consumer = types::Consumer { consumer_status: types::ConsumerStatus::Creating, ..told(&stream, consumer) };
    caller.reply(&types::RegisterStreamConsumerReply { consumer })
}

pub(super) async fn deregister(caller: Caller<'_>, request: &types::DeregisterStreamConsumer) -> Answer {
    let Wanted { named, name, created_secs } = wanted(caller, request.consumer())?;
    let Named { scope, name: stream } = named;
    caller.submit(Command::DeregisterConsumer { scope, stream, name, created_secs }).await
}

pub(super) fn describe(caller: Caller<'_>, request: &types::DescribeStreamConsumer) -> Answer {
    let Wanted { named, name, created_secs } = wanted(caller, request.consumer())?;
    let stream = caller.stream_named(&named)?;
    let consumer = stream.consumers.get(&name).filter(|c| created_secs.is_none_or(|secs| secs == c.created_secs()));
    let consumer = consumer.ok_or_else(|| match created_secs {
        Some(secs) => errors::consumer_not_found(&name, secs, text(&stream)),
        None => errors::consumer_name_not_found(&name, text(&stream)),
    })?;
    let types::Consumer { consumer_arn, consumer_creation_timestamp, consumer_name, consumer_status } =
        told(&stream, consumer);
    caller.reply(&types::DescribeStreamConsumerReply {
        consumer_description: types::ConsumerDescription {
            consumer_arn,
            consumer_creation_timestamp,
            consumer_name,
            consumer_status,
            stream_arn: stream.arn(),
        },
    })
}

pub(super) fn list(caller: Caller<'_>, request: &types::ListStreamConsumers) -> Answer {
    let named = caller.named(StreamRef::of_arn(&request.stream_arn))?;
    if request.next_token.is_some() && request.stream_creation_timestamp.is_some() {
        return Err(errors::token_with_creation_time());
    }
    let stream = caller.stream_named(&named)?;
    let after = request.next_token.as_deref().map(|token| token_after(caller, token, &stream)).transpose()?;
    let limit = request.max_results.unwrap_or(limits::LIST_STREAM_CONSUMERS).min(limits::LIST_STREAM_CONSUMERS);
    let mut behind = stream.consumers_after(after.as_deref());
    let page: Vec<_> = behind.by_ref().take(limit as usize).collect();
    let next_token = match (page.last(), behind.next()) {
        (Some(last), Some(_)) => Some(caller.seal(&NextToken {
            scope: stream.scope.clone(),
            listing: Listing::Consumers {
                stream: Arc::clone(&stream.name),
                incarnation: stream.incarnation,
                after: Arc::clone(&last.name),
            },
            created_ms: caller.now(),
        })),
        _ => None,
    };
    let consumers = page.into_iter().map(|consumer| told(&stream, consumer)).collect();
    caller.reply(&types::ListStreamConsumersReply { consumers, next_token })
}

/// The consumer behind which a page begins.
fn token_after(caller: Caller<'_>, token: &str, stream: &Stream) -> Result<Arc<str>, AwsError> {
    let NextToken { scope, listing, .. } = caller.open_token(token)?;
    match listing {
        Listing::Consumers { stream: name, incarnation, after } if scope == stream.scope && name == stream.name => {
            if incarnation == stream.incarnation {
                Ok(after)
            } else {
                Err(errors::invalid_next_token())
            }
        }
        Listing::Consumers { .. } => Err(errors::token_of_other_stream()),
        Listing::Streams { .. } | Listing::Shards { .. } => Err(errors::invalid_next_token()),
    }
}

/// The consumer that a request means.
struct Wanted {
    named: Named,
    name: Arc<str>,
    created_secs: Option<u64>,
}

/// A consumer is named by its ARN, or by its stream's ARN and its name, or by all three if they agree.
fn wanted(caller: Caller<'_>, consumer: types::ConsumerRef<'_>) -> Result<Wanted, AwsError> {
    let Some(arn) = consumer.arn else {
        let (Some(stream), Some(name)) = (consumer.stream_arn, consumer.name) else {
            return Err(errors::consumer_not_named());
        };
        return Ok(Wanted { named: caller.named(StreamRef::of_arn(stream))?, name: name.into(), created_secs: None });
    };
    let parsed = Arn::parse(arn).ok_or_else(|| errors::invalid_arn(arn))?;
    let Resource::Consumer { stream, consumer: name, created_secs } = parsed.resource else {
        return Err(errors::invalid_arn(arn));
    };
    let scope = caller.scope_of(arn, &parsed)?;
    let other_stream = consumer.stream_arn.is_some_and(|given| Arn::parse(given) != parsed.stream());
    if other_stream || consumer.name.is_some_and(|given| given != name) {
        return Err(errors::consumer_mismatch());
    }
    let named = Named { scope, name: stream.into() };
    Ok(Wanted { named, name: name.into(), created_secs: Some(created_secs) })
}

fn told(stream: &Stream, consumer: &Consumer) -> types::Consumer {
    types::Consumer {
        consumer_arn: consumer.arn(stream),
        consumer_creation_timestamp: TimestampSeconds(i64::try_from(consumer.created_ms).unwrap_or(i64::MAX)),
        consumer_name: consumer.name.to_string(),
        consumer_status: match consumer.status {
            ConsumerStatus::Creating => types::ConsumerStatus::Creating,
            ConsumerStatus::Active => types::ConsumerStatus::Active,
            ConsumerStatus::Deleting => types::ConsumerStatus::Deleting,
        },
    }
}
