//! Lines of error output that processing writes.

use levada_core::batch::{MAX_KEY_BYTES, RECORD_HEADER_BYTES};
use levada_core::engine::Millis;
use serde::Serialize;

use crate::chain::MAX_OUTCOME_BYTES;

/// A code and a text, as they stand in a line of error output. Whether AWS was seen to send them stands at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `errorCode`.
    pub code: &'static str,
    /// `errorMessage`.
    pub message: String,
}

impl Failure {
    fn new(code: &'static str, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }

    /// Neither the processors' output fits an append, nor would Lambda take it. Unverified: AWS documents no limit
    /// for what one record may become.
    pub(crate) fn too_large() -> Self {
        Self::new("Processing.OutputTooLarge", "The output of the processors for one record is too large.")
    }

    /// Seen on AWS, the text too; for gzip that is none, what is no JSON, and what is no log envelope.
    pub(crate) fn decompression(why: &str) -> Self {
        Self { code: "Decompression failed.", message: format!("The record could not be decompressed: {why}") }
    }

    /// Unverified: the guide says what is valid input and nothing of what becomes of other input.
    pub(crate) fn deaggregation(why: &str) -> Self {
        Self { code: "RecordDeAggregation.Failed", message: format!("The record could not be de-aggregated: {why}") }
    }

    /// Seen on AWS.
    pub(crate) fn partition_keys() -> Self {
        Self::metadata("partitionKeys values must not be null or empty")
    }

    /// The code was seen on AWS; of the texts only that of [`Failure::partition_keys`].
    pub(crate) fn metadata(message: &str) -> Self {
        Self::new("DynamicPartitioning.MetadataExtractionFailed", message)
    }

    /// A record for one partition more than may be active. The code was seen on AWS, the text is unverified.
    #[must_use]
    pub fn active_partitions() -> Self {
        Self::new(
            "DynamicPartitioning.ActivePartitionsLimitExceeded",
            "The limit of active partitions of the delivery stream is exceeded.",
        )
    }

    /// Seen on AWS: the function threw, timed out, or its reply was too large.
    pub(crate) fn function() -> Self {
        Self::new(
            "Lambda.FunctionError",
            "The Lambda function was successfully invoked but it returned an error result.",
        )
    }

    /// Seen on AWS: an undefined `result`, or `data` that is no base64.
    pub(crate) fn output_format() -> Self {
        Self::new(
            "Lambda.FunctionError",
            "Check your function and make sure the output is in required format. In addition to that, make sure the \
             processed records contain valid result status of Dropped, Ok, or ProcessingFailed",
        )
    }

    /// Seen on AWS: the reply is no JSON.
    pub(crate) fn json() -> Self {
        Self::new(
            "Lambda.JsonProcessingException",
            "There was an error parsing returned records from the Lambda function. Ensure that the returned records \
             follow the status model required by Firehose.",
        )
    }

    /// Seen on AWS.
    pub(crate) fn missing_id() -> Self {
        Self::new(
            "Lambda.MissingRecordId",
            "One or more record Ids were not returned. Ensure that the Lambda function returns all received record \
             Ids.",
        )
    }

    /// Seen on AWS.
    pub(crate) fn duplicated_id() -> Self {
        Self::new(
            "Lambda.DuplicatedRecordId",
            "Multiple records were returned with the same record Id. Ensure that the Lambda function returns a unique \
             record Id for each record.",
        )
    }

    /// Seen on AWS.
    pub(crate) fn status() -> Self {
        Self::new("Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record")
    }

    /// Seen on AWS: `Ok` without `data`.
    pub(crate) fn null_data() -> Self {
        Self::new(
            "Lambda.InvalidReturnFormat",
            "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource and processing \
             result is Ok. The value field cannot be null when the SourceType is MSKAsSource and processing result is \
             Ok.",
        )
    }

    /// Seen on AWS.
    pub(crate) fn access_denied() -> Self {
        Self::new(
            "Lambda.InvokeAccessDenied",
            "Access was denied. Ensure that the access policy allows access to the Lambda function.",
        )
    }

    /// Unverified.
    pub(crate) fn throttled() -> Self {
        Self::new(
            "Lambda.InvokeLimitExceeded",
            "The limit of concurrent invocations of the Lambda function is reached.",
        )
    }

    /// Unverified.
    pub(crate) fn not_found() -> Self {
        Self::new("Lambda.ResourceNotFound", "The Lambda function was not found.")
    }

    /// Unverified.
    pub(crate) fn request_too_large() -> Self {
        Self::new("Lambda.RequestTooLarge", "The invocation's payload exceeds 6 MB.")
    }

    /// Unverified.
    pub(crate) fn timed_out() -> Self {
        Self::new(
            "Lambda.FunctionRequestTimedOut",
            "The Lambda function's request timed out. Ensure that the function returns within 5 minutes.",
        )
    }

    /// Unverified: Lambda itself could not be reached, or answered neither well nor with an error of the function.
    pub(crate) fn service(why: &str) -> Self {
        Self { code: "Lambda.InternalServerError", message: format!("The Lambda function could not be invoked: {why}") }
    }
}

/// A line of error output, in AWS's order of members.
#[derive(Clone, Copy, Debug)]
pub struct ErrorLine<'a> {
    /// `rawData`: the record as it was before any processing.
    pub raw: &'a [u8],
    /// `errorCode` and `errorMessage`.
    pub failure: &'a Failure,
    /// `attemptsMade`: 1 where nothing is tried again.
    pub attempts: u32,
    /// `arrivalTimestamp`, in ms.
    pub arrival: Millis,
    /// `attemptEndingTimestamp`, in ms.
    pub ended: Millis,
    /// `lambdaARN`, so spelled on AWS where the guide has `lambdaArn`; of failures of a function only.
    pub lambda_arn: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    raw_data: String,
    error_code: &'a str,
    error_message: &'a str,
    attempts_made: u32,
    arrival_timestamp: Millis,
    attempt_ending_timestamp: Millis,
    #[serde(rename = "lambdaARN", skip_serializing_if = "Option::is_none")]
    lambda_arn: Option<&'a str>,
}

/// Longest line, in bytes: with its key and the worker's mark it fits an append to an internal log.
const MAX_LINE_BYTES: usize = MAX_OUTCOME_BYTES - MAX_KEY_BYTES - RECORD_HEADER_BYTES;
/// A record itself always does, whatever its source.
const MAX_RECORD_BYTES: usize = 10 * 1024 * 1024;
const _: () = assert!(MAX_RECORD_BYTES <= MAX_LINE_BYTES);

impl ErrorLine<'_> {
    /// The line, without a newline. Of a record whose line would not fit an append, which takes more than 8 MiB, the
    /// record itself: nothing is lost but why it failed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let line = self.line();
        if line.len() <= MAX_LINE_BYTES {
            return line;
        }
        // Not the message: it may quote the record.
        tracing::warn!(
            bytes = self.raw.len(),
            code = self.failure.code,
            "a record too large for a line of error output"
        );
        self.raw.to_vec()
    }

    fn line(&self) -> Vec<u8> {
        let members = Members {
            raw_data: base64_simd::STANDARD.encode_to_string(self.raw),
            error_code: self.failure.code,
            error_message: &self.failure.message,
            attempts_made: self.attempts,
            arrival_timestamp: self.arrival,
            attempt_ending_timestamp: self.ended,
            lambda_arn: self.lambda_arn,
        };
        // A struct of strings and numbers always has a JSON form.
        serde_json::to_vec(&members).unwrap_or_default()
    }
}
