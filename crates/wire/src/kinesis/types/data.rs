//! Records: put, and read by iterator.

use bytes::Bytes;

use super::EncryptionType;
use crate::typed::{TimestampMs, reply_struct, request_struct, wire_enum};

wire_enum! {
    /// Where a shard iterator starts.
    ShardIteratorType {
        AtSequenceNumber = "AT_SEQUENCE_NUMBER",
        AfterSequenceNumber = "AFTER_SEQUENCE_NUMBER",
        TrimHorizon = "TRIM_HORIZON",
        Latest = "LATEST",
        AtTimestamp = "AT_TIMESTAMP",
    }
}

request_struct! {
    /// Puts one record. The model does not require a partition key any more; provisioned streams do.
    PutRecord = kinesis::PUT_RECORD_INPUT {
        data: Bytes = "Data",
        dry_run: Option<bool> = "DryRun",
        explicit_hash_key: Option<String> = "ExplicitHashKey",
        partition_key: Option<String> = "PartitionKey",
        sequence_number_for_ordering: Option<String> = "SequenceNumberForOrdering",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// A record of `PutRecords`.
    PutRecordsRequestEntry = kinesis::PUT_RECORDS_REQUEST_ENTRY {
        data: Bytes = "Data",
        explicit_hash_key: Option<String> = "ExplicitHashKey",
        partition_key: Option<String> = "PartitionKey",
    }
}

request_struct! {
    /// Puts up to 500 records.
    PutRecords = kinesis::PUT_RECORDS_INPUT {
        dry_run: Option<bool> = "DryRun",
        records: Vec<PutRecordsRequestEntry> = "Records",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Asks for a place to read a shard from.
    GetShardIterator = kinesis::GET_SHARD_ITERATOR_INPUT {
        dry_run: Option<bool> = "DryRun",
        shard_id: String = "ShardId",
        shard_iterator_type: ShardIteratorType = "ShardIteratorType",
        starting_sequence_number: Option<String> = "StartingSequenceNumber",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
        timestamp: Option<TimestampMs> = "Timestamp",
    }
}

request_struct! {
    /// Reads a page of records.
    GetRecords = kinesis::GET_RECORDS_INPUT {
        dry_run: Option<bool> = "DryRun",
        limit: Option<u32> = "Limit",
        shard_iterator: String = "ShardIterator",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
    }
}

reply_struct! {
    /// Reply of `PutRecord`.
    PutRecordReply = kinesis::PUT_RECORD_OUTPUT {
        encryption_type: Option<EncryptionType> = "EncryptionType",
        sequence_number: String = "SequenceNumber",
        shard_id: String = "ShardId",
    }
}

reply_struct! {
    /// Reply of `GetShardIterator`.
    GetShardIteratorReply = kinesis::GET_SHARD_ITERATOR_OUTPUT {
        shard_iterator: String = "ShardIterator",
    }
}
