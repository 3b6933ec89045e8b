//! What is done to records on their way, as the owner wrote it. The chain itself is built in `levada-delivery`.

use serde::{Deserialize, Serialize};

/// `ProcessingConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processing {
    /// Whether the processors do anything.
    pub enabled: bool,
    /// In the order in which they were given and are described back; AWS's order of work is another.
    pub processors: Vec<Processor>,
}

/// One processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    /// What it does.
    pub kind: ProcessorKind,
    /// Its parameters, in the order in which they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<(ProcessorParameter, String)>,
}

impl Processor {
    /// The first parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: ProcessorParameter) -> Option<&str> {
        self.parameters.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }
}

impl Processing {
    /// The first processor of this kind, if processing is on.
    #[must_use]
    pub fn active(&self, kind: ProcessorKind) -> Option<&Processor> {
        self.processors.iter().find(|processor| self.enabled && processor.kind == kind)
    }
}

/// What a processor does (`ProcessorType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are AWS's and say it")]
pub enum ProcessorKind {
    RecordDeAggregation,
    Decompression,
    CloudWatchLogProcessing,
    Lambda,
    MetadataExtraction,
    AppendDelimiterToRecord,
}

impl ProcessorKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RecordDeAggregation,
        Self::Decompression,
        Self::CloudWatchLogProcessing,
        Self::Lambda,
        Self::MetadataExtraction,
        Self::AppendDelimiterToRecord,
    ];

    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordDeAggregation => "RecordDeAggregation",
            Self::Decompression => "Decompression",
            Self::CloudWatchLogProcessing => "CloudWatchLogProcessing",
            Self::Lambda => "Lambda",
            Self::MetadataExtraction => "MetadataExtraction",
            Self::AppendDelimiterToRecord => "AppendDelimiterToRecord",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Name of a processor's parameter (`ProcessorParameterName`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are AWS's and say it")]
pub enum ProcessorParameter {
    LambdaArn,
    NumberOfRetries,
    MetadataExtractionQuery,
    JsonParsingEngine,
    RoleArn,
    BufferSizeInMBs,
    BufferIntervalInSeconds,
    SubRecordType,
    Delimiter,
    CompressionFormat,
    DataMessageExtraction,
}

impl ProcessorParameter {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::LambdaArn,
        Self::NumberOfRetries,
        Self::MetadataExtractionQuery,
        Self::JsonParsingEngine,
        Self::RoleArn,
        Self::BufferSizeInMBs,
        Self::BufferIntervalInSeconds,
        Self::SubRecordType,
        Self::Delimiter,
        Self::CompressionFormat,
        Self::DataMessageExtraction,
    ];

    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LambdaArn => "LambdaArn",
            Self::NumberOfRetries => "NumberOfRetries",
            Self::MetadataExtractionQuery => "MetadataExtractionQuery",
            Self::JsonParsingEngine => "JsonParsingEngine",
            Self::RoleArn => "RoleArn",
            Self::BufferSizeInMBs => "BufferSizeInMBs",
            Self::BufferIntervalInSeconds => "BufferIntervalInSeconds",
            Self::SubRecordType => "SubRecordType",
            Self::Delimiter => "Delimiter",
            Self::CompressionFormat => "CompressionFormat",
            Self::DataMessageExtraction => "DataMessageExtraction",
        }
    }

    /// The parameter of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }
}
