//! Amazon Data Firehose on the wire.

pub mod errors;
pub mod put_record_batch;
pub mod shapes;
pub mod types;

use crate::codec::Protocol;
use crate::error::AwsError;
use crate::operation::{FirehoseOp, Service};
use crate::value::Value;

/// A decoded request of an operation that is served.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `CreateDeliveryStream`
    CreateDeliveryStream(Box<types::CreateDeliveryStream>),
    /// `DeleteDeliveryStream`
    DeleteDeliveryStream(types::DeleteDeliveryStream),
    /// `DescribeDeliveryStream`
    DescribeDeliveryStream(types::DescribeDeliveryStream),
    /// `ListDeliveryStreams`
    ListDeliveryStreams(types::ListDeliveryStreams),
    /// `PutRecord`
    PutRecord(types::PutRecord),
    /// `PutRecordBatch`. [`put_record_batch::decode`] avoids the intermediate tree.
    PutRecordBatch(types::PutRecordBatch),
    /// An operation of the model that this version does not serve, with its checked request.
    Unserved(FirehoseOp, Value),
}

/// Decodes and checks a request: syntax, types, constraints.
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode(op: FirehoseOp, protocol: Protocol, body: &[u8]) -> Result<Request, AwsError> {
    let value = crate::codec::coerce(protocol, op.input(), body)?;
    crate::constraints::check(Service::Firehose, op.input(), &value)?;
    typed(op, value).map_err(AwsError::from)
}

/// True for the operations that this version serves.
#[must_use]
pub const fn is_served(op: FirehoseOp) -> bool {
    use FirehoseOp as Op;
    match op {
        Op::CreateDeliveryStream
        | Op::DeleteDeliveryStream
        | Op::DescribeDeliveryStream
        | Op::ListDeliveryStreams
        | Op::PutRecord
        | Op::PutRecordBatch => true,
        Op::ListTagsForDeliveryStream
        | Op::StartDeliveryStreamEncryption
        | Op::StopDeliveryStreamEncryption
        | Op::TagDeliveryStream
        | Op::UntagDeliveryStream
        | Op::UpdateDestination => false,
    }
}

fn typed(op: FirehoseOp, value: Value) -> Result<Request, crate::typed::Mismatch> {
    use FirehoseOp as Op;
    Ok(match op {
        Op::CreateDeliveryStream => {
            Request::CreateDeliveryStream(Box::new(types::CreateDeliveryStream::from_value(value)?))
        }
        Op::DeleteDeliveryStream => Request::DeleteDeliveryStream(types::DeleteDeliveryStream::from_value(value)?),
        Op::DescribeDeliveryStream => {
            Request::DescribeDeliveryStream(types::DescribeDeliveryStream::from_value(value)?)
        }
        Op::ListDeliveryStreams => Request::ListDeliveryStreams(types::ListDeliveryStreams::from_value(value)?),
        Op::PutRecord => Request::PutRecord(types::PutRecord::from_value(value)?),
        Op::PutRecordBatch => Request::PutRecordBatch(types::PutRecordBatch::from_value(value)?),
        Op::ListTagsForDeliveryStream
        | Op::StartDeliveryStreamEncryption
        | Op::StopDeliveryStreamEncryption
        | Op::TagDeliveryStream
        | Op::UntagDeliveryStream
        | Op::UpdateDestination => Request::Unserved(op, value),
    })
}

#[cfg(test)]
mod tests;
