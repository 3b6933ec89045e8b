//! Requests and replies of the served operations. Members and their order are the model's.

mod account;
mod consumer;
mod data;
mod policy;
mod settings;
mod shard;
mod stream;
mod tags;

pub use account::*;
pub use consumer::*;
pub use data::*;
pub use policy::*;
pub use settings::*;
pub use shard::*;
pub use stream::*;
pub use tags::*;

/// How a request names its stream: by name, by ARN, or by both if they agree (AWS refuses a pair that does not). AWS
/// reserves `StreamId` for later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamRef<'a> {
    /// `StreamName`
    pub name: Option<&'a str>,
    /// `StreamARN`
    pub arn: Option<&'a str>,
    /// `StreamId`
    pub id: Option<&'a str>,
}

impl<'a> StreamRef<'a> {
    /// The stream of this ARN.
    #[must_use]
    pub fn of_arn(arn: &'a str) -> Self {
        Self { name: None, arn: Some(arn), id: None }
    }
}

macro_rules! names_a_stream {
    ($($request:ident),+ by $this:ident with $name:expr, $arn:expr) => {$(
        impl $request {
            /// How the request names its stream.
            #[must_use]
            pub fn stream(&self) -> StreamRef<'_> {
                let $this = self;
                StreamRef { name: $name, arn: $arn, id: self.stream_id.as_deref() }
            }
        }
    )+};
}

names_a_stream! {
    AddTagsToStream, DecreaseStreamRetentionPeriod, DeleteStream, DescribeStream, DescribeStreamSummary,
    DisableEnhancedMonitoring, EnableEnhancedMonitoring, GetShardIterator, IncreaseStreamRetentionPeriod, ListShards,
    ListTagsForStream, MergeShards, PutRecord, PutRecords, RemoveTagsFromStream, SplitShard, StartStreamEncryption,
    StopStreamEncryption, UpdateShardCount, UpdateStreamWarmThroughput
    by request with request.stream_name.as_deref(), request.stream_arn.as_deref()
}

names_a_stream! { UpdateMaxRecordSize by request with None, request.stream_arn.as_deref() }

names_a_stream! {
    ListStreamConsumers, RegisterStreamConsumer, UpdateStreamMode, UpdateStreamRecordDistributionStrategy
    by request with None, Some(&request.stream_arn)
}

/// How a request names a consumer: by its ARN, or by its stream's ARN and its name, or by all three if they agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerRef<'a> {
    /// `ConsumerARN`
    pub arn: Option<&'a str>,
    /// `ConsumerName`
    pub name: Option<&'a str>,
    /// `StreamARN`
    pub stream_arn: Option<&'a str>,
}

macro_rules! names_a_consumer {
    ($($request:ident),+) => {$(
        impl $request {
            /// How the request names its consumer.
            #[must_use]
            pub fn consumer(&self) -> ConsumerRef<'_> {
                ConsumerRef {
                    arn: self.consumer_arn.as_deref(),
                    name: self.consumer_name.as_deref(),
                    stream_arn: self.stream_arn.as_deref(),
                }
            }
        }
    )+};
}

names_a_consumer! { DeregisterStreamConsumer, DescribeStreamConsumer }

#[cfg(test)]
mod tests;
