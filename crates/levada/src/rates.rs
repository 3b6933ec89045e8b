//! How often control operations may be called, with `--limits strict`: so many a second by account and region, by
//! stream, or by consumer and shard, as AWS counts them (the tables are [`control_rate`] and [`delivery_control_rate`]).
//! What is counted by the shard alone holds in every mode but `open` and is [`crate::traffic`]'s.
//!
//! A call is counted when its form and its constraints are right, before anybody looks whether what it names exists: a
//! caller who polls for a stream that is not there yet is throttled at AWS too (`DescribeStream` of waiters, boto/botocore
//! pull request 821). A call that is refused for its rate is not counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use levada_core::catalog::Scope;
use levada_core::env::Clock;
use levada_core::throttle::{Bucket, Limit, Rate};
use levada_wire::error::AwsError;
use levada_wire::firehose;
use levada_wire::kinesis::Request;
use levada_wire::kinesis::arn::{Arn, Resource};
use levada_wire::kinesis::errors::{self, StreamText};
use levada_wire::kinesis::types::{ConsumerRef, StreamRef};
use levada_wire::limits::{RateScope, control_rate, delivery_control_rate};
use levada_wire::operation::{FirehoseOp, KinesisOp, Operation};

use crate::call::Principal;

/// Buckets that are kept before anybody looks which of them are full again, and so no different from none.
const PRUNE_AT: usize = 1_024;

/// The rates of a node's control operations.
pub struct Rates {
    /// `None` if they do not hold.
    buckets: Option<Mutex<Buckets>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Buckets {
    of: HashMap<Counted, Bucket>,
    /// Number of buckets at which to look for full ones.
    prune_at: usize,
}

/// What calls are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Counted {
    op: Operation,
    scope: Scope,
    /// The stream, or the subscription; empty for what is counted by the account.
    what: String,
}

impl Rates {
    /// The rates, which hold if `strict`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, strict: bool) -> Self {
        Self { buckets: strict.then(Mutex::default), clock }
    }

    /// Counts a call of Firehose.
    ///
    /// # Errors
    /// `ThrottlingException` if it comes too soon.
    pub fn admit_delivery(&self, principal: &Principal, op: FirehoseOp) -> Result<(), AwsError> {
        let (Some(buckets), Some(per_second)) = (&self.buckets, delivery_control_rate(op)) else { return Ok(()) };
        let counted = Counted { op: Operation::Firehose(op), scope: scope(principal), what: String::new() };
        if self.take(buckets, counted, per_second) { Ok(()) } else { Err(firehose::errors::rate_exceeded()) }
    }

    /// Counts a call of Kinesis.
    ///
    /// # Errors
    /// `LimitExceededException` if it comes too soon.
    pub fn admit(&self, principal: &Principal, op: KinesisOp, request: &Request) -> Result<(), AwsError> {
        let (Some(buckets), Some(rate)) = (&self.buckets, control_rate(op)) else { return Ok(()) };
        let target = target(request);
        let named = target.arn.and_then(Arn::parse);
        let resource = named.as_ref().map(|arn| arn.resource);
        let stream = match resource {
            Some(Resource::Stream { stream } | Resource::Consumer { stream, .. }) => Some(stream),
            Some(Resource::Other(_)) | None => target.name,
        };
        let what = match rate.scope {
            RateScope::Shard => return Ok(()),
            RateScope::Account => String::new(),
            RateScope::Stream => stream.unwrap_or_default().to_owned(),
            RateScope::ConsumerShard => format!("{}/{}", target.arn.unwrap_or_default(), shard_of(request)),
        };
        let counted = Counted { op: Operation::Kinesis(op), scope: scope(principal), what };
        if self.take(buckets, counted, rate.per_second) {
            return Ok(());
        }
        let account = named.map_or(principal.account.as_str(), |arn| arn.account);
        let text = stream.map(|stream| StreamText { stream, account });
        Err(match (text, rate.scope, resource) {
            (Some(text), RateScope::ConsumerShard, Some(Resource::Consumer { consumer, .. })) => {
                errors::subscription_rate_exceeded(consumer, shard_of(request), text)
            }
            (Some(text), _, _) => errors::control_rate_exceeded(text),
            (None, _, _) => errors::account_rate_exceeded(account),
        })
    }

    fn take(&self, buckets: &Mutex<Buckets>, counted: Counted, per_second: u32) -> bool {
        let limit = Limit::new(Rate::per_second(per_second.into()), 1, 1);
        buckets.lock().unwrap_or_else(PoisonError::into_inner).take(counted, limit, self.clock.as_ref())
    }
}

fn scope(principal: &Principal) -> Scope {
    Scope::new(principal.account.clone(), &principal.region)
}

impl Buckets {
    fn take(&mut self, counted: Counted, limit: Limit, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        if self.of.len() >= self.prune_at.max(PRUNE_AT) {
            self.of.retain(|_, bucket| !bucket.is_full(now));
            // What is left was used within the last second; twice that keeps the next look from coming at once.
            self.prune_at = self.of.len() * 2;
        }
        self.of.entry(counted).or_insert_with(|| Bucket::full(limit, now)).take(1, now)
    }
}

/// How a request names its stream, or by which ARN something of the stream's.
fn target(request: &Request) -> StreamRef<'_> {
    match request {
        Request::AddTagsToStream(request) => request.stream(),
        Request::DecreaseStreamRetentionPeriod(request) => request.stream(),
        Request::DeleteStream(request) => request.stream(),
        Request::DescribeStream(request) => request.stream(),
        Request::DescribeStreamSummary(request) => request.stream(),
        Request::DisableEnhancedMonitoring(request) => request.stream(),
        Request::EnableEnhancedMonitoring(request) => request.stream(),
        Request::IncreaseStreamRetentionPeriod(request) => request.stream(),
        Request::ListShards(request) => request.stream(),
        Request::ListStreamConsumers(request) => request.stream(),
        Request::ListTagsForStream(request) => request.stream(),
        Request::MergeShards(request) => request.stream(),
        Request::RegisterStreamConsumer(request) => request.stream(),
        Request::RemoveTagsFromStream(request) => request.stream(),
        Request::SplitShard(request) => request.stream(),
        Request::StartStreamEncryption(request) => request.stream(),
        Request::StopStreamEncryption(request) => request.stream(),
        Request::UpdateMaxRecordSize(request) => request.stream(),
        Request::UpdateShardCount(request) => request.stream(),
        Request::UpdateStreamMode(request) => request.stream(),
        Request::UpdateStreamRecordDistributionStrategy(request) => request.stream(),
        Request::UpdateStreamWarmThroughput(request) => request.stream(),
        Request::CreateStream(request) => StreamRef { name: Some(&request.stream_name), ..StreamRef::default() },
        Request::DeregisterStreamConsumer(request) => by_consumer(request.consumer()),
        Request::DescribeStreamConsumer(request) => by_consumer(request.consumer()),
        Request::SubscribeToShard(request) => by_arn(Some(&request.consumer_arn)),
        Request::DeleteResourcePolicy(request) => by_arn(Some(&request.resource_arn)),
        Request::GetResourcePolicy(request) => by_arn(Some(&request.resource_arn)),
        Request::PutResourcePolicy(request) => by_arn(Some(&request.resource_arn)),
        Request::ListTagsForResource(request) => by_arn(Some(&request.resource_arn)),
        Request::TagResource(request) => by_arn(Some(&request.resource_arn)),
        Request::UntagResource(request) => by_arn(Some(&request.resource_arn)),
        // They name none, or are not counted here.
        Request::DescribeAccountSettings(_)
        | Request::DescribeLimits(_)
        | Request::GetRecords(_)
        | Request::GetShardIterator(_)
        | Request::ListStreams(_)
        | Request::PutRecord(_)
        | Request::PutRecords(_)
        | Request::UpdateAccountSettings(_)
        | Request::Unserved(..) => StreamRef::default(),
    }
}

fn by_arn(arn: Option<&str>) -> StreamRef<'_> {
    StreamRef { arn, ..StreamRef::default() }
}

fn by_consumer(consumer: ConsumerRef<'_>) -> StreamRef<'_> {
    by_arn(consumer.arn.or(consumer.stream_arn))
}

fn shard_of(request: &Request) -> &str {
    if let Request::SubscribeToShard(request) = request { &request.shard_id } else { "" }
}

#[cfg(test)]
mod tests {
    use levada_core::catalog::Account;
    use levada_core::env::sim::SimClock;
    use levada_wire::codec::Protocol;
    use levada_wire::kinesis::decode;
    use serde_json::{Value, json};

    use super::*;

    fn principal(account: &str, region: &str) -> Principal {
        Principal { account: Account::new(account).unwrap(), region: region.to_owned(), is_cloudwatch_logs: false }
    }

    struct World {
        rates: Rates,
        clock: SimClock,
    }

    impl World {
        fn new() -> Self {
            let clock = SimClock::at(1_795_000_000_000);
            Self { rates: Rates::new(Arc::new(clock.clone()), true), clock }
        }

        /// Calls as `who` until it is refused; how often it was served, and what the refusal says.
        fn exhaust(&self, who: &Principal, op: KinesisOp, body: &Value) -> (u32, String) {
            let request = decode(op, Protocol::Json, body.to_string().as_bytes()).unwrap();
            for served in 0..2_000 {
                if let Err(error) = self.rates.admit(who, op, &request) {
                    return (served, format!("{} {}", error.code.name(), error.message.unwrap_or_default()));
                }
            }
            (u32::MAX, String::new())
        }
    }

    const ARN: &str = "arn:aws:kinesis:us-east-1:111111111111:stream/s";
    const CONSUMER: &str = "arn:aws:kinesis:us-east-1:111111111111:stream/s/consumer/c:1";

    #[test]
    fn each_operation_has_its_rate_and_its_words() {
        let world = World::new();
        let me = principal("111111111111", "us-east-1");
        let stream = "LimitExceededException Rate exceeded for stream s under account 111111111111.";
        let account = "LimitExceededException Rate exceeded for account 111111111111.";
        let subscription = "LimitExceededException Rate exceeded for consumer 111111111111:s:shardId-000000000000:c.";
        let subscribe = json!({
            "ConsumerARN": CONSUMER, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"},
        });
        for (op, body, calls, says) in [
            (KinesisOp::CreateStream, json!({"StreamName": "s", "ShardCount": 1}), 5, stream),
            (KinesisOp::DescribeStream, json!({"StreamName": "s"}), 10, stream),
            (KinesisOp::DescribeStreamSummary, json!({"StreamARN": ARN}), 20, stream),
            (KinesisOp::ListShards, json!({"StreamName": "s"}), 1_000, stream),
            (KinesisOp::ListStreams, json!({}), 5, account),
            (KinesisOp::DescribeLimits, json!({}), 1, account),
            (KinesisOp::ListTagsForResource, json!({"ResourceARN": ARN}), 5, stream),
            (KinesisOp::DescribeStreamConsumer, json!({"ConsumerARN": CONSUMER}), 20, stream),
            (KinesisOp::ListStreamConsumers, json!({"StreamARN": ARN}), 5, stream),
            (KinesisOp::SubscribeToShard, subscribe, 1, subscription),
            (KinesisOp::GetRecords, json!({"ShardIterator": "x"}), u32::MAX, ""),
        ] {
            assert_eq!(world.exhaust(&me, op, &body), (calls, says.to_owned()), "{}", op.name());
        }
    }

    #[test]
    fn calls_are_counted_by_what_aws_counts_them_by() {
        let world = World::new();
        let me = principal("111111111111", "us-east-1");
        let named = |name: &str| json!({"StreamName": name});
        let calls = |who: &Principal, op, body: &Value| world.exhaust(who, op, body).0;
        // By account and region: another stream has used it too, another account or region or operation has not.
        assert_eq!(calls(&me, KinesisOp::DescribeStream, &named("a")), 10);
        assert_eq!(calls(&me, KinesisOp::DescribeStream, &named("b")), 0);
        assert_eq!(calls(&principal("222222222222", "us-east-1"), KinesisOp::DescribeStream, &named("a")), 10);
        assert_eq!(calls(&principal("111111111111", "eu-west-1"), KinesisOp::DescribeStream, &named("a")), 10);
        assert_eq!(calls(&me, KinesisOp::DescribeStreamSummary, &named("a")), 20);
        // By stream, however it is named.
        assert_eq!(calls(&me, KinesisOp::ListShards, &named("s")), 1_000);
        assert_eq!(calls(&me, KinesisOp::ListShards, &json!({"StreamARN": ARN})), 0);
        assert_eq!(calls(&me, KinesisOp::ListShards, &named("t")), 1_000);
        // A tenth of a second brings one call of ten a second, not a millisecond sooner.
        world.clock.advance(99);
        assert_eq!(calls(&me, KinesisOp::DescribeStream, &named("a")), 0);
        world.clock.advance(1);
        assert_eq!(calls(&me, KinesisOp::DescribeStream, &named("a")), 1);
    }

    /// Five a second of each operation, by account and region, and puts as often as one likes.
    #[test]
    fn operations_on_delivery_streams_have_their_rates() {
        let world = World::new();
        let served =
            |who: &Principal, op| (0..1_000).take_while(|_| world.rates.admit_delivery(who, op).is_ok()).count();
        let me = principal("111111111111", "us-east-1");
        for op in FirehoseOp::ALL {
            let is_put = matches!(op, FirehoseOp::PutRecord | FirehoseOp::PutRecordBatch);
            assert_eq!(served(&me, *op), if is_put { 1_000 } else { 5 }, "{}", op.name());
        }
        let op = FirehoseOp::DescribeDeliveryStream;
        let refused = world.rates.admit_delivery(&me, op).unwrap_err();
        assert_eq!((refused.code.name(), refused.message.as_deref()), ("ThrottlingException", Some("Rate exceeded")));
        assert_eq!(served(&principal("222222222222", "us-east-1"), op), 5);
        assert_eq!(served(&principal("111111111111", "eu-west-1"), op), 5);
        world.clock.advance(199);
        assert_eq!(served(&me, op), 0);
        world.clock.advance(1);
        assert_eq!(served(&me, op), 1);
    }

    #[test]
    fn the_table_of_buckets_is_bounded_by_a_second_of_calls() {
        let world = World::new();
        let request = decode(KinesisOp::ListStreams, Protocol::Json, b"{}").unwrap();
        for n in 0..20_000_u64 {
            let who = principal(&format!("{n:012}"), "us-east-1");
            assert!(world.rates.admit(&who, KinesisOp::ListStreams, &request).is_ok());
            if n % 100 == 0 {
                world.clock.advance(100);
            }
        }
        let buckets = world.rates.buckets.as_ref().unwrap().lock().unwrap().of.len();
        assert!(buckets <= 2 * PRUNE_AT, "{buckets}");
    }

    #[test]
    fn nothing_is_counted_unless_strict() {
        let clock = SimClock::at(0);
        let world = World { rates: Rates::new(Arc::new(clock.clone()), false), clock };
        let me = principal("111111111111", "us-east-1");
        assert_eq!(world.exhaust(&me, KinesisOp::ListStreams, &json!({})).0, u32::MAX);
        assert!((0..1_000).all(|_| world.rates.admit_delivery(&me, FirehoseOp::ListDeliveryStreams).is_ok()));
    }
}
