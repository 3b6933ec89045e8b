//! What every handler asks of a request: who calls, and which stream, consumer or shard is meant.

use std::sync::Arc;

use levada_core::catalog::{Account, Command, Consumer, ConsumerRef, Scope, Stream, StreamUpdate};
use levada_core::env::Clock;
use levada_core::iterator::{NextToken, TokenError, open_next, seal_next};
use levada_core::shard::ShardId;
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::kinesis::arn::{Arn, Resource as Path};
use levada_wire::kinesis::errors::{self, StreamText};
use levada_wire::kinesis::types::StreamRef;
use levada_wire::typed::{WriteMember, to_bytes};

use crate::call::{Answer, Principal, Reply};
use crate::node::Node;
use crate::refusal::{not_submitted, refused};

/// A request's node, its principal, and how its reply is encoded.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) principal: &'a Principal,
    pub(super) protocol: Protocol,
}

/// What a request means by its stream: where the name holds, and the name.
pub(super) struct Named {
    pub(super) scope: Scope,
    pub(super) name: Arc<str>,
}

impl Named {
    /// The stream as what carries tags and a policy.
    pub(super) fn resource(self) -> levada_core::catalog::Resource {
        levada_core::catalog::Resource { scope: self.scope, stream: self.name, consumer: None }
    }
}

impl Caller<'_> {
    /// A reply in the protocol of the request.
    pub(super) fn reply(&self, reply: &impl WriteMember) -> Answer {
        Ok(Reply::Document(to_bytes(reply, self.protocol)))
    }

    /// The node's time in milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> u64 {
        self.node.clock.now_ms()
    }

    /// Where a bare name holds.
    pub(super) fn scope(&self) -> Scope {
        Scope::new(self.principal.account.clone(), &self.principal.region)
    }

    /// Carries out a command of an operation that answers nothing.
    pub(super) async fn submit(&self, command: Command) -> Answer {
        self.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
        Ok(Reply::Empty)
    }

    /// Changes a stream.
    pub(super) async fn update(&self, stream: StreamRef<'_>, update: StreamUpdate) -> Answer {
        let Named { scope, name } = self.named(stream)?;
        self.submit(Command::UpdateStream { scope, name, update }).await
    }

    /// The stream that a request names: by its ARN, which brings its own account, by its name, or by both if they
    /// agree. A stream's id, which AWS keeps for later use, names nothing.
    pub(super) fn named(&self, stream: StreamRef<'_>) -> Result<Named, AwsError> {
        let Some(arn) = stream.arn else {
            let name = stream.name.ok_or_else(errors::stream_not_named)?;
            return Ok(Named { scope: self.scope(), name: name.into() });
        };
        let parsed = Arn::parse(arn).ok_or_else(|| errors::invalid_arn(arn))?;
        let Path::Stream { stream: in_arn } = parsed.resource else { return Err(errors::invalid_arn(arn)) };
        if let Some(name) = stream.name.filter(|name| *name != in_arn) {
            return Err(errors::stream_name_mismatch(name, in_arn));
        }
        Ok(Named { scope: self.scope_of(arn, &parsed)?, name: in_arn.into() })
    }

    /// The account of an ARN, in the region of the endpoint.
    pub(super) fn scope_of(&self, arn: &str, parsed: &Arn<'_>) -> Result<Scope, AwsError> {
        if parsed.region != self.principal.region {
            return Err(errors::arn_of_other_region(arn));
        }
        let account = Account::new(parsed.account).ok_or_else(|| errors::invalid_arn(arn))?;
        Ok(Scope::new(account, parsed.region))
    }

    /// What an ARN of a stream or of a consumer names.
    pub(super) fn resource(&self, arn: &str) -> Result<levada_core::catalog::Resource, AwsError> {
        let parsed = Arn::parse(arn).ok_or_else(|| errors::invalid_arn(arn))?;
        let (stream, consumer) = match parsed.resource {
            Path::Stream { stream } => (stream, None),
            Path::Consumer { stream, consumer, created_secs } => {
                (stream, Some(ConsumerRef { name: consumer.into(), created_secs }))
            }
            Path::Other(_) => return Err(errors::invalid_arn(arn)),
        };
        let scope = self.scope_of(arn, &parsed)?;
        Ok(levada_core::catalog::Resource { scope, stream: stream.into(), consumer })
    }

    /// The stream of a resource, and its consumer if it is one.
    pub(super) fn found(
        &self,
        resource: &levada_core::catalog::Resource,
    ) -> Result<(Arc<Stream>, Option<Consumer>), AwsError> {
        let stream = self.node.registry.state().stream(&resource.scope, &resource.stream).cloned();
        let stream = stream.map_err(|error| refused(&error))?;
        let Some(wanted) = &resource.consumer else { return Ok((stream, None)) };
        match stream.consumer(wanted).cloned() {
            Some(consumer) => Ok((stream, Some(consumer))),
            None => Err(errors::consumer_not_found(&wanted.name, wanted.created_secs, text(&stream))),
        }
    }

    /// The stream, whatever its status.
    pub(super) fn stream(&self, stream: StreamRef<'_>) -> Result<Arc<Stream>, AwsError> {
        self.stream_named(&self.named(stream)?)
    }

    /// The stream of this name, whatever its status.
    pub(super) fn stream_named(&self, Named { scope, name }: &Named) -> Result<Arc<Stream>, AwsError> {
        self.node.registry.state().stream(scope, name).cloned().map_err(|e| refused(&e))
    }

    /// The stream, for data calls: one that is being created or deleted is not found.
    pub(super) fn readable_stream(&self, stream: StreamRef<'_>) -> Result<Arc<Stream>, AwsError> {
        let Named { scope, name } = self.named(stream)?;
        self.node.registry.state().usable_stream(&scope, &name).cloned().map_err(|e| refused(&e))
    }

    /// Seals the token of a listing.
    pub(super) fn seal(&self, token: &NextToken) -> String {
        seal_next(&self.node.token_key, token, self.node.random.as_ref())
    }

    /// Opens a token of any listing.
    pub(super) fn open_token(&self, token: &str) -> Result<NextToken, AwsError> {
        open_next(&self.node.token_key, token, self.now()).map_err(|error| match error {
            TokenError::Invalid => errors::invalid_next_token(),
            TokenError::Expired { .. } => errors::expired_next_token(),
        })
    }
}

/// How error texts name a stream.
pub(super) fn text(stream: &Stream) -> StreamText<'_> {
    StreamText { stream: &stream.name, account: stream.scope.account.as_str() }
}

/// The shard that a request names, or AWS's two ways of not knowing it.
pub(super) fn shard_id(given: &str, stream: &Stream) -> Result<ShardId, AwsError> {
    ShardId::parse(given).ok_or_else(|| errors::could_not_find_shard(given, text(stream)))
}
