//! Where records come from.

use crate::typed::{TimestampMs, reply_struct, request_struct, wire_enum};

wire_enum! {
    /// Where a delivery stream's records come from.
    DeliveryStreamType {
        DirectPut = "DirectPut",
        KinesisStreamAsSource = "KinesisStreamAsSource",
        MskAsSource = "MSKAsSource",
        DatabaseAsSource = "DatabaseAsSource",
    }
}

request_struct! {
    /// Expected throughput of direct put in MiB/s.
    DirectPutSourceConfiguration = firehose::DIRECT_PUT_SOURCE_CONFIGURATION {
        throughput_hint_in_mbs: u32 = "ThroughputHintInMBs",
    }
}

reply_struct! {
    /// Expected throughput of direct put, as described.
    DirectPutSourceDescription = firehose::DIRECT_PUT_SOURCE_DESCRIPTION {
        throughput_hint_in_mbs: Option<u32> = "ThroughputHintInMBs",
    }
}

request_struct! {
    /// A stream of Kinesis that is read.
    KinesisStreamSourceConfiguration = firehose::KINESIS_STREAM_SOURCE_CONFIGURATION {
        kinesis_stream_arn: String = "KinesisStreamARN",
        role_arn: String = "RoleARN",
    }
}

reply_struct! {
    /// A stream of Kinesis that is read, as described.
    KinesisStreamSourceDescription = firehose::KINESIS_STREAM_SOURCE_DESCRIPTION {
        delivery_start_timestamp: Option<TimestampMs> = "DeliveryStartTimestamp",
        kinesis_stream_arn: Option<String> = "KinesisStreamARN",
        role_arn: Option<String> = "RoleARN",
    }
}

reply_struct! {
    /// The source of a delivery stream. Direct put without a hint shows none.
    SourceDescription = firehose::SOURCE_DESCRIPTION {
        direct_put_source_description: Option<DirectPutSourceDescription> = "DirectPutSourceDescription",
        kinesis_stream_source_description: Option<KinesisStreamSourceDescription> = "KinesisStreamSourceDescription",
    }
}
