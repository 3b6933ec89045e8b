//! Processors: what happens to records on their way.

use crate::typed::{shared_struct, wire_enum};

wire_enum! {
    /// What a processor does.
    ProcessorType {
        RecordDeAggregation = "RecordDeAggregation",
        Decompression = "Decompression",
        CloudWatchLogProcessing = "CloudWatchLogProcessing",
        Lambda = "Lambda",
        MetadataExtraction = "MetadataExtraction",
        AppendDelimiterToRecord = "AppendDelimiterToRecord",
    }
}

wire_enum! {
    /// What a processor's parameter says.
    ProcessorParameterName {
        LambdaArn = "LambdaArn",
        NumberOfRetries = "NumberOfRetries",
        MetadataExtractionQuery = "MetadataExtractionQuery",
        JsonParsingEngine = "JsonParsingEngine",
        RoleArn = "RoleArn",
        BufferSizeInMBs = "BufferSizeInMBs",
        BufferIntervalInSeconds = "BufferIntervalInSeconds",
        SubRecordType = "SubRecordType",
        Delimiter = "Delimiter",
        CompressionFormat = "CompressionFormat",
        DataMessageExtraction = "DataMessageExtraction",
    }
}

shared_struct! {
    /// A parameter of a processor.
    ProcessorParameter = firehose::PROCESSOR_PARAMETER {
        parameter_name: ProcessorParameterName = "ParameterName",
        parameter_value: String = "ParameterValue",
    }
}

shared_struct! {
    /// A processor.
    Processor = firehose::PROCESSOR {
        parameters: Option<Vec<ProcessorParameter>> = "Parameters",
        processor_type: ProcessorType = "Type",
    }
}

shared_struct! {
    /// What happens to records on their way.
    ProcessingConfiguration = firehose::PROCESSING_CONFIGURATION {
        enabled: Option<bool> = "Enabled",
        processors: Option<Vec<Processor>> = "Processors",
    }
}
