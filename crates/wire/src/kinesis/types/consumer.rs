//! Consumers with enhanced fan-out.

use super::ShardIteratorType;
use crate::typed::{StringMap, TimestampMs, TimestampSeconds, reply_struct, request_struct, wire_enum};

wire_enum! {
    /// Where a consumer is in its life.
    ConsumerStatus {
        Creating = "CREATING",
        Deleting = "DELETING",
        Active = "ACTIVE",
    }
}

request_struct! {
    /// Registers a consumer with a stream.
    RegisterStreamConsumer = kinesis::REGISTER_STREAM_CONSUMER_INPUT {
        consumer_name: String = "ConsumerName",
        stream_arn: String = "StreamARN",
        stream_id: Option<String> = "StreamId",
        tags: Option<StringMap> = "Tags",
    }
}

request_struct! {
    /// Takes a consumer off its stream.
    DeregisterStreamConsumer = kinesis::DEREGISTER_STREAM_CONSUMER_INPUT {
        consumer_arn: Option<String> = "ConsumerARN",
        consumer_name: Option<String> = "ConsumerName",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
    }
}

request_struct! {
    /// Describes a consumer.
    DescribeStreamConsumer = kinesis::DESCRIBE_STREAM_CONSUMER_INPUT {
        consumer_arn: Option<String> = "ConsumerARN",
        consumer_name: Option<String> = "ConsumerName",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
    }
}

request_struct! {
    /// Lists the consumers of a stream.
    ListStreamConsumers = kinesis::LIST_STREAM_CONSUMERS_INPUT {
        max_results: Option<u32> = "MaxResults",
        next_token: Option<String> = "NextToken",
        stream_arn: String = "StreamARN",
        stream_creation_timestamp: Option<TimestampMs> = "StreamCreationTimestamp",
        stream_id: Option<String> = "StreamId",
    }
}

request_struct! {
    /// Where a subscription starts.
    StartingPosition = kinesis::STARTING_POSITION {
        sequence_number: Option<String> = "SequenceNumber",
        timestamp: Option<TimestampMs> = "Timestamp",
        position_type: ShardIteratorType = "Type",
    }
}

request_struct! {
    /// Asks for the records of a shard to be pushed.
    SubscribeToShard = kinesis::SUBSCRIBE_TO_SHARD_INPUT {
        consumer_arn: String = "ConsumerARN",
        dry_run: Option<bool> = "DryRun",
        shard_id: String = "ShardId",
        starting_position: StartingPosition = "StartingPosition",
        stream_id: Option<String> = "StreamId",
    }
}

reply_struct! {
    /// A consumer, as it was registered or is listed.
    Consumer = kinesis::CONSUMER {
        consumer_arn: String = "ConsumerARN",
        consumer_creation_timestamp: TimestampSeconds = "ConsumerCreationTimestamp",
        consumer_name: String = "ConsumerName",
        consumer_status: ConsumerStatus = "ConsumerStatus",
    }
}

reply_struct! {
    /// A consumer and its stream.
    ConsumerDescription = kinesis::CONSUMER_DESCRIPTION {
        consumer_arn: String = "ConsumerARN",
        consumer_creation_timestamp: TimestampSeconds = "ConsumerCreationTimestamp",
        consumer_name: String = "ConsumerName",
        consumer_status: ConsumerStatus = "ConsumerStatus",
        stream_arn: String = "StreamARN",
    }
}

reply_struct! {
    /// Reply of `RegisterStreamConsumer`.
    RegisterStreamConsumerReply = kinesis::REGISTER_STREAM_CONSUMER_OUTPUT {
        consumer: Consumer = "Consumer",
    }
}

reply_struct! {
    /// Reply of `DescribeStreamConsumer`.
    DescribeStreamConsumerReply = kinesis::DESCRIBE_STREAM_CONSUMER_OUTPUT {
        consumer_description: ConsumerDescription = "ConsumerDescription",
    }
}

reply_struct! {
    /// Reply of `ListStreamConsumers`.
    ListStreamConsumersReply = kinesis::LIST_STREAM_CONSUMERS_OUTPUT {
        consumers: Vec<Consumer> = "Consumers",
        next_token: Option<String> = "NextToken",
    }
}
