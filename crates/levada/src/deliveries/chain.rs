//! The chain of processors, from what its owner wrote.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use levada_core::catalog::{DestinationKind, Processing, Processor, ProcessorKind, ProcessorParameter};
use levada_delivery::chain::Chain;
use levada_delivery::process::{
    ChainSpec, CommandFunction, Deaggregation, Function, HttpFunction, LambdaSpec, Processors, Query, QueryError,
    SaidBy,
};
use levada_delivery::{KeyLayout, MIB};

use super::{About, Assembly};
use crate::config::FunctionTarget;

/// A chain that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BadChain {
    /// Nobody said what stands for this function.
    #[error("The function {0} is not one of this server's functions: its configuration maps none of this ARN.")]
    UnknownFunction(String),
    /// The query is not jq.
    #[error("The MetadataExtractionQuery cannot be compiled: {0}")]
    Query(QueryError),
    /// A parameter that the processor cannot do without, or one that it does not understand.
    #[error("The parameter {parameter} of the processor {processor} is missing or invalid.", parameter = .1.name(), processor = .0.name())]
    Parameter(ProcessorKind, ProcessorParameter),
}

/// AWS's default of `NumberOfRetries` (guide, "Data transformation failure handling").
const DEFAULT_RETRIES: u32 = 3;
/// AWS's default of `BufferSizeInMBs`, in bytes (API reference, `ProcessorParameter`): 1 MB.
const DEFAULT_BUFFER_BYTES: u64 = MIB;
/// The same for Splunk: 256 KB.
const DEFAULT_SPLUNK_BUFFER_BYTES: u64 = 256 * 1024;
/// AWS's default of `BufferIntervalInSeconds`.
const DEFAULT_BUFFER_SECS: u64 = 60;

/// The query of partition keys, if there is one.
pub(super) fn query(processing: Option<&Processing>) -> Result<Option<Query>, BadChain> {
    let kind = ProcessorKind::MetadataExtraction;
    let Some(processor) = processing.and_then(|processing| processing.active(kind)) else { return Ok(None) };
    let text = needed(processor, ProcessorParameter::MetadataExtractionQuery)?;
    Query::new(text).map(Some).map_err(BadChain::Query)
}

fn needed(processor: &Processor, name: ProcessorParameter) -> Result<&str, BadChain> {
    processor.parameter(name).ok_or(BadChain::Parameter(processor.kind, name))
}

fn number<T: FromStr>(processor: &Processor, name: ProcessorParameter, default: T) -> Result<T, BadChain> {
    let Some(text) = processor.parameter(name) else { return Ok(default) };
    text.parse().map_err(|_| BadChain::Parameter(processor.kind, name))
}

/// What a chain is made of.
pub(super) struct ChainOf<'a> {
    /// If it is enabled.
    pub(super) processing: Option<&'a Processing>,
    /// The query of partition keys.
    pub(super) query: Option<Query>,
    /// With dynamic partitioning, the keys of objects.
    pub(super) partitioning: Option<KeyLayout>,
    /// Where the records go.
    pub(super) to: DestinationKind,
}

impl Assembly {
    /// The chain; `None` if records are delivered as they come.
    pub(super) fn chain(&self, about: &About, of: ChainOf<'_>) -> Result<Option<Arc<dyn Chain>>, BadChain> {
        let ChainOf { processing, query, partitioning, to } = of;
        let nothing = Processing::default();
        let processing = processing.unwrap_or(&nothing);
        // A delimiter is a matter of objects, not of records.
        let works = |processor: &&Processor| processor.kind != ProcessorKind::AppendDelimiterToRecord;
        if processing.processors.iter().filter(works).count() == 0 && partitioning.is_none() {
            return Ok(None);
        }
        let lambda =
            processing.active(ProcessorKind::Lambda).map(|processor| self.lambda(about, processor, to)).transpose()?;
        let extraction = processing
            .active(ProcessorKind::CloudWatchLogProcessing)
            .and_then(|processor| processor.parameter(ProcessorParameter::DataMessageExtraction))
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let spec = ChainSpec {
            delivery_stream_arn: about.arn.clone(),
            region: about.region.to_string(),
            source_stream_arn: about.source_stream_arn.clone(),
            deaggregation: deaggregation(processing)?,
            decompression: processing.active(ProcessorKind::Decompression).is_some(),
            extraction,
            lambda,
            query,
            partitioning,
        };
        Ok(Some(Arc::new(Processors::new(spec, self.chain_env.clone()))))
    }

    fn lambda(&self, about: &About, processor: &Processor, to: DestinationKind) -> Result<LambdaSpec, BadChain> {
        let arn = needed(processor, ProcessorParameter::LambdaArn)?;
        let function: Arc<dyn Function> = match self.destinations.function(arn) {
            None => return Err(BadChain::UnknownFunction(arn.to_owned())),
            Some(FunctionTarget::Url(address)) => {
                Arc::new(HttpFunction::new(Arc::clone(&self.client), address.clone(), arn))
            }
            Some(FunctionTarget::Command { command, dir }) => {
                let delivery_stream = about.arn.rsplit('/').next().unwrap_or_default().to_owned();
                let said_by = SaidBy { function: arn.to_owned(), delivery_stream };
                match CommandFunction::new(command, dir.as_deref(), said_by) {
                    Some(function) => Arc::new(function),
                    None => return Err(BadChain::UnknownFunction(arn.to_owned())),
                }
            }
        };
        let default = if to == DestinationKind::Splunk { DEFAULT_SPLUNK_BUFFER_BYTES } else { DEFAULT_BUFFER_BYTES };
        let megabytes = number(processor, ProcessorParameter::BufferSizeInMBs, default as f64 / MIB as f64)?;
        if !(0.0..=1024.0).contains(&megabytes) {
            return Err(BadChain::Parameter(processor.kind, ProcessorParameter::BufferSizeInMBs));
        }
        let seconds = number(processor, ProcessorParameter::BufferIntervalInSeconds, DEFAULT_BUFFER_SECS)?;
        Ok(LambdaSpec {
            arn: arn.to_owned(),
            function,
            retries: number(processor, ProcessorParameter::NumberOfRetries, DEFAULT_RETRIES)?,
            buffer_bytes: (megabytes * MIB as f64) as u64,
            buffer_interval: Duration::from_secs(seconds),
        })
    }
}

fn deaggregation(processing: &Processing) -> Result<Option<Deaggregation>, BadChain> {
    let kind = ProcessorKind::RecordDeAggregation;
    let Some(processor) = processing.active(kind) else { return Ok(None) };
    let wrong = |name| BadChain::Parameter(kind, name);
    match needed(processor, ProcessorParameter::SubRecordType)? {
        "JSON" => Ok(Some(Deaggregation::Json)),
        "DELIMITED" => {
            let delimiter = needed(processor, ProcessorParameter::Delimiter)?;
            let parsed = Deaggregation::delimited(delimiter);
            parsed.map(Some).ok_or_else(|| wrong(ProcessorParameter::Delimiter))
        }
        _ => Err(wrong(ProcessorParameter::SubRecordType)),
    }
}
