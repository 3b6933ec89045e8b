//! Amazon Data Firehose on the wire.

pub mod errors;
pub mod put_record_batch;
pub mod shapes;
pub mod types;

use crate::codec::Protocol;
use crate::error::AwsError;
use crate::operation::{FirehoseOp, Service};
use crate::value::Value;

/// A decoded request.
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
    /// `ListTagsForDeliveryStream`
    ListTagsForDeliveryStream(types::ListTagsForDeliveryStream),
    /// `PutRecord`
    PutRecord(types::PutRecord),
    /// `PutRecordBatch`. [`put_record_batch::decode`] avoids the intermediate tree.
    PutRecordBatch(types::PutRecordBatch),
    /// `StartDeliveryStreamEncryption`
    StartDeliveryStreamEncryption(types::StartDeliveryStreamEncryption),
    /// `StopDeliveryStreamEncryption`
    StopDeliveryStreamEncryption(types::StopDeliveryStreamEncryption),
    /// `TagDeliveryStream`
    TagDeliveryStream(types::TagDeliveryStream),
    /// `UntagDeliveryStream`
    UntagDeliveryStream(types::UntagDeliveryStream),
    /// `UpdateDestination`
    UpdateDestination(Box<types::UpdateDestination>),
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

/// True for the operations that this version serves: all of the model.
#[must_use]
pub const fn is_served(op: FirehoseOp) -> bool {
    use FirehoseOp as Op;
    match op {
        Op::CreateDeliveryStream
        | Op::DeleteDeliveryStream
        | Op::DescribeDeliveryStream
        | Op::ListDeliveryStreams
        | Op::ListTagsForDeliveryStream
        | Op::PutRecord
        | Op::PutRecordBatch
        | Op::StartDeliveryStreamEncryption
        | Op::StopDeliveryStreamEncryption
        | Op::TagDeliveryStream
        | Op::UntagDeliveryStream
        | Op::UpdateDestination => true,
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
        Op::ListTagsForDeliveryStream => {
            Request::ListTagsForDeliveryStream(types::ListTagsForDeliveryStream::from_value(value)?)
        }
        Op::PutRecord => Request::PutRecord(types::PutRecord::from_value(value)?),
        Op::PutRecordBatch => Request::PutRecordBatch(types::PutRecordBatch::from_value(value)?),
        Op::StartDeliveryStreamEncryption => {
            Request::StartDeliveryStreamEncryption(types::StartDeliveryStreamEncryption::from_value(value)?)
        }
        Op::StopDeliveryStreamEncryption => {
            Request::StopDeliveryStreamEncryption(types::StopDeliveryStreamEncryption::from_value(value)?)
        }
        Op::TagDeliveryStream => Request::TagDeliveryStream(types::TagDeliveryStream::from_value(value)?),
        Op::UntagDeliveryStream => Request::UntagDeliveryStream(types::UntagDeliveryStream::from_value(value)?),
        Op::UpdateDestination => Request::UpdateDestination(Box::new(types::UpdateDestination::from_value(value)?)),
    })
}

#[cfg(test)]
mod tests;
