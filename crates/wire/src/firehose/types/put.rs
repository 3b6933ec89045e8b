//! Records on their way in.

use bytes::Bytes;

use crate::typed::{reply_struct, request_struct};

request_struct! {
    /// A record.
    Record = firehose::RECORD {
        data: Bytes = "Data",
    }
}

request_struct! {
    /// Puts one record.
    PutRecord = firehose::PUT_RECORD_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        record: Record = "Record",
    }
}

reply_struct! {
    /// Reply of `PutRecord`.
    PutRecordReply = firehose::PUT_RECORD_OUTPUT {
        encrypted: bool = "Encrypted",
        record_id: String = "RecordId",
    }
}

request_struct! {
    /// Puts up to 500 records.
    PutRecordBatch = firehose::PUT_RECORD_BATCH_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        records: Vec<Record> = "Records",
    }
}
