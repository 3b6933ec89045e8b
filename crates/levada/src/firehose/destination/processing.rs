//! Processors: their parameters checked, and completed as AWS describes them.
//!
//! AWS shows a function's parameters with their defaults (Terraform's provider takes them out again), decompression
//! with its format, and `DataMessageExtraction` in small letters. Parameters that a processor does not have are kept
//! and mean nothing.

use levada_core::catalog::{Processing, Processor, ProcessorKind, ProcessorParameter as Parameter};
use levada_wire::error::AwsError;
use levada_wire::firehose::{errors, types};
use levada_wire::limits;

/// What a destination adds to its processors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The destination's role, which functions are called with by default.
    pub(super) role_arn: Option<&'a str>,
    /// Default of a function's `BufferSizeInMBs`.
    pub(super) buffer_mbs: &'static str,
    /// Whether processing is on if the request does not say it.
    pub(super) enabled: bool,
}

impl<'a> Context<'a> {
    /// Of a destination other than Splunk, which has a smaller buffer ([`Self::splunk`]).
    pub(super) fn new(role_arn: Option<&'a str>) -> Self {
        Self { role_arn, buffer_mbs: limits::FUNCTION_BUFFER_MB_DEFAULT, enabled: false }
    }

    /// Of Splunk, which has no role of its own.
    pub(super) fn splunk() -> Self {
        Self { buffer_mbs: limits::SPLUNK_FUNCTION_BUFFER_MB_DEFAULT, ..Self::new(None) }
    }
}

/// A request's processing, checked and completed.
///
/// # Errors
/// AWS's.
pub(super) fn of(asked: &types::ProcessingConfiguration, context: Context<'_>) -> Result<Processing, AwsError> {
    let enabled = asked.enabled.unwrap_or(context.enabled);
    let given: Vec<Processor> = asked.processors.iter().flatten().map(processor).collect();
    if enabled && !limits::PROCESSORS.contains(&given.len()) {
        return Err(errors::wrong_number_of_processors());
    }
    let mut processors: Vec<Processor> = Vec::with_capacity(given.len());
    for mut processor in given {
        if processors.iter().any(|earlier| earlier.kind == processor.kind) {
            return Err(errors::two_processors(processor.kind.name()));
        }
        check_and_complete(&mut processor, context)?;
        processors.push(processor);
    }
    let has = |kind| processors.iter().any(|processor| processor.kind == kind);
    if has(ProcessorKind::CloudWatchLogProcessing) && !has(ProcessorKind::Decompression) {
        return Err(errors::extraction_without_decompression());
    }
    Ok(Processing { enabled, processors })
}

fn processor(asked: &types::Processor) -> Processor {
    let parameters = asked.parameters.iter().flatten();
    Processor {
        kind: kind(asked.processor_type),
        parameters: parameters.map(|given| (parameter(given.parameter_name), given.parameter_value.clone())).collect(),
    }
}

fn check_and_complete(processor: &mut Processor, context: Context<'_>) -> Result<(), AwsError> {
    for (n, (name, _)) in processor.parameters.iter().enumerate() {
        if processor.parameters[..n].iter().any(|(earlier, _)| earlier == name) {
            return Err(errors::repeated_parameter(processor.kind.name(), name.name()));
        }
    }
    match processor.kind {
        ProcessorKind::RecordDeAggregation => de_aggregation(processor),
        ProcessorKind::Decompression => decompression(processor),
        ProcessorKind::CloudWatchLogProcessing => extraction(processor),
        ProcessorKind::Lambda => function(processor, context),
        ProcessorKind::MetadataExtraction => query(processor),
        ProcessorKind::AppendDelimiterToRecord => Ok(()),
    }
}

fn de_aggregation(processor: &Processor) -> Result<(), AwsError> {
    match (processor.parameter(Parameter::SubRecordType), processor.parameter(Parameter::Delimiter)) {
        (Some("JSON"), _) => Ok(()),
        (Some("DELIMITED"), None) => Err(errors::delimiter_missing()),
        (Some("DELIMITED"), Some(delimiter)) => {
            let decoded = base64_simd::STANDARD.decode_to_vec(delimiter);
            if decoded.is_ok_and(|bytes| !bytes.is_empty()) { Ok(()) } else { Err(errors::bad_delimiter()) }
        }
        _ => Err(errors::bad_sub_record_type()),
    }
}

fn decompression(processor: &mut Processor) -> Result<(), AwsError> {
    match processor.parameter(Parameter::CompressionFormat) {
        None => complete(processor, Parameter::CompressionFormat, "GZIP"),
        Some("GZIP") => {}
        Some(_) => return Err(errors::bad_compression_format()),
    }
    Ok(())
}

fn extraction(processor: &mut Processor) -> Result<(), AwsError> {
    let given = processor.parameters.iter_mut().find(|(name, _)| *name == Parameter::DataMessageExtraction);
    let Some((_, value)) = given else { return Err(errors::bad_message_extraction()) };
    value.make_ascii_lowercase();
    if matches!(value.as_str(), "true" | "false") { Ok(()) } else { Err(errors::bad_message_extraction()) }
}

fn query(processor: &Processor) -> Result<(), AwsError> {
    if processor.parameter(Parameter::JsonParsingEngine) != Some("JQ-1.6") {
        return Err(errors::bad_json_engine());
    }
    // Whether it can be compiled is seen when the chain is built.
    match processor.parameter(Parameter::MetadataExtractionQuery) {
        Some(_) => Ok(()),
        None => Err(errors::query_text_missing()),
    }
}

fn function(processor: &mut Processor, context: Context<'_>) -> Result<(), AwsError> {
    let Some(arn) = processor.parameter(Parameter::LambdaArn) else { return Err(errors::function_arn_missing()) };
    if !is_function_arn(arn) {
        return Err(errors::bad_function_arn());
    }
    let in_range = |parameter, range: std::ops::RangeInclusive<u32>| {
        let given = processor.parameter(parameter);
        given.is_none_or(|text| text.parse().is_ok_and(|number| range.contains(&number)))
    };
    let size = processor.parameter(Parameter::BufferSizeInMBs);
    if size.is_some() != processor.parameter(Parameter::BufferIntervalInSeconds).is_some() {
        return Err(errors::half_function_buffer());
    }
    if !in_range(Parameter::NumberOfRetries, limits::FUNCTION_RETRIES) {
        return Err(errors::bad_retries());
    }
    if !size.is_none_or(|text| text.parse().is_ok_and(|mbs: f64| limits::FUNCTION_BUFFER_MB.contains(&mbs))) {
        return Err(errors::bad_function_buffer());
    }
    if !in_range(Parameter::BufferIntervalInSeconds, limits::FUNCTION_BUFFER_INTERVAL_S) {
        return Err(errors::bad_function_interval());
    }
    complete(processor, Parameter::NumberOfRetries, limits::FUNCTION_RETRIES_DEFAULT);
    if let Some(role_arn) = context.role_arn {
        complete(processor, Parameter::RoleArn, role_arn);
    }
    complete(processor, Parameter::BufferSizeInMBs, context.buffer_mbs);
    complete(processor, Parameter::BufferIntervalInSeconds, limits::FUNCTION_BUFFER_INTERVAL_S_DEFAULT);
    Ok(())
}

/// `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME`, perhaps with a version or alias behind.
fn is_function_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let fits = matches!(parts.len(), 7 | 8) && parts.iter().all(|part| !part.is_empty());
    fits && (parts[0], parts[2], parts[5]) == ("arn", "lambda", "function")
}

/// Gives a parameter its default where it is absent, behind those that were given.
fn complete(processor: &mut Processor, name: Parameter, value: &str) {
    if processor.parameter(name).is_none() {
        processor.parameters.push((name, value.to_owned()));
    }
}

/// Processing as it is described: as it was given, completed.
pub(super) fn describe(processing: &Processing) -> types::ProcessingConfiguration {
    let parameter = |(name, value): &(Parameter, String)| types::ProcessorParameter {
        parameter_name: parameter_name(*name),
        parameter_value: value.clone(),
    };
    let processors = processing.processors.iter().map(|processor| types::Processor {
        parameters: Some(processor.parameters.iter().map(parameter).collect()),
        processor_type: processor_type(processor.kind),
    });
    types::ProcessingConfiguration { enabled: Some(processing.enabled), processors: Some(processors.collect()) }
}

/// Both ways between two enumerations of one content.
macro_rules! pairs {
    ($there:ident: $wire:ty = $back:ident: $domain:ty { $($name:ident),+ $(,)? }) => {
        fn $there(asked: $wire) -> $domain {
            match asked { $(<$wire>::$name => <$domain>::$name),+ }
        }

        fn $back(kept: $domain) -> $wire {
            match kept { $(<$domain>::$name => <$wire>::$name),+ }
        }
    };
}

pairs! {
    kind: types::ProcessorType = processor_type: ProcessorKind {
        RecordDeAggregation, Decompression, CloudWatchLogProcessing, Lambda, MetadataExtraction, AppendDelimiterToRecord,
    }
}

pairs! {
    parameter: types::ProcessorParameterName = parameter_name: Parameter {
        LambdaArn, NumberOfRetries, MetadataExtractionQuery, JsonParsingEngine, RoleArn, BufferSizeInMBs,
        BufferIntervalInSeconds, SubRecordType, Delimiter, CompressionFormat, DataMessageExtraction,
    }
}
