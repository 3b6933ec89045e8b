//! Refusals of processing configurations, all seen in 2026 unless marked.

use super::{invalid, invalid_texts};
use crate::error::{AwsError, quoted};

invalid_texts! {
    /// Processing is enabled with no processor, or with more than five.
    wrong_number_of_processors =
        "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled.";
    /// A Lambda processor without a function.
    function_arn_missing = "LambdaArn is required when Lambda processor is used.";
    /// A function that is named by something else than an ARN of Lambda. Unverified.
    bad_function_arn = "LambdaArn must be the ARN of a Lambda function.";
    /// Retries of a function out of bounds.
    bad_retries = "Number of retries for lambda must be between 0 and 300.";
    /// One of the two hints of a function's buffer.
    half_function_buffer =
        "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for lambda processor.";
    /// A function's buffer out of bounds, which are exact.
    bad_function_buffer = "BufferSizeInMBs for lambda processor must be between 0.2 and 3.";
    /// A function's time to wait out of bounds.
    bad_function_interval = "BufferIntervalInSeconds for lambda processor must be between 0 and 900.";
    /// A query in no language, or in another.
    bad_json_engine = "MetaDataExtraction JSON Parsing Engine has to be one of JQ-1.6";
    /// A query processor without a query. Unverified.
    query_text_missing = "MetadataExtractionQuery is required when MetadataExtraction processor is used.";
    /// De-aggregation into something unknown, or into nothing said.
    bad_sub_record_type = "SubRecordType has to be one of JSON, DELIMITED";
    /// De-aggregation at a delimiter that is not said.
    delimiter_missing = "Delimiter should be present for DELIMITED";
    /// A delimiter that is not base64. Unverified.
    bad_delimiter = "Delimiter has to be base64 encoded";
    /// Decompression of something else.
    bad_compression_format = "CompressionFormat has to be GZIP";
    /// Messages of CloudWatch Logs without decompression.
    extraction_without_decompression =
        "CloudWatchLogProcessingProcessor can only be enabled with DecompressionProcessor";
    /// Neither yes nor no, in any case of letters.
    bad_message_extraction = "Invalid parameter value for DataMessageExtraction. Allowed values are True and False.";
    /// Dynamic partitioning without a processor that names partitions (CDK).
    partitioning_without_processing = "Processing Configuration is not enabled when DataPartitioning is enabled";
    /// Decompression is switched on where no function was. Unverified: the project stackd has it, among texts that were
    /// seen.
    decompression_is_for_creation = "Enabling source decompression is not supported for existing stream with no Lambda \
                                     function attached.";
}

/// A processor that only dynamic partitioning has: `RecordDeAggregation` or `MetadataExtraction`.
#[must_use]
pub fn needs_partitioning(processor: &str) -> AwsError {
    invalid(format!(
        "class com.amazonaws.services.firehose.internal.model.{processor}Processor can only be present when Dynamic \
         Partitioning is enabled."
    ))
}

/// A second processor of a kind. Seen of Lambda, unverified of the others.
#[must_use]
pub fn two_processors(kind: &str) -> AwsError {
    invalid(format!("Cannot have more than 1 {kind} processor."))
}

/// A parameter that a processor was given twice. Unverified.
#[must_use]
pub fn repeated_parameter(kind: &str, parameter: &str) -> AwsError {
    invalid(format!("{parameter} is given more than once for the {kind} processor."))
}

/// A query that cannot be compiled, or that makes no object of keys. Unverified; `reason` is the compiler's.
#[must_use]
pub fn bad_query(reason: &str) -> AwsError {
    invalid(format!("MetaDataExtraction JQ Query is invalid: {}", quoted(reason)))
}
