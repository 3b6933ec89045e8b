//! Conversion of JSON to Parquet and ORC: checked, described, not served yet.

use crate::codec::{Protocol, coerce};
use crate::typed::{StringMap, Structure, shared_struct, wire_enum};

wire_enum! {
    /// Compression inside ORC files.
    OrcCompression {
        None = "NONE",
        Zlib = "ZLIB",
        Snappy = "SNAPPY",
    }
}

wire_enum! {
    /// Version of ORC files.
    OrcFormatVersion {
        V011 = "V0_11",
        V012 = "V0_12",
    }
}

wire_enum! {
    /// Compression inside Parquet files.
    ParquetCompression {
        Uncompressed = "UNCOMPRESSED",
        Gzip = "GZIP",
        Snappy = "SNAPPY",
    }
}

wire_enum! {
    /// Version of Parquet's data pages.
    ParquetWriterVersion {
        V1 = "V1",
        V2 = "V2",
    }
}

shared_struct! {
    /// Hive's reader of JSON.
    HiveJsonSerDe = firehose::HIVE_JSON_SER_DE {
        timestamp_formats: Option<Vec<String>> = "TimestampFormats",
    }
}

shared_struct! {
    /// OpenX's reader of JSON.
    OpenXJsonSerDe = firehose::OPEN_X_JSON_SER_DE {
        case_insensitive: Option<bool> = "CaseInsensitive",
        column_to_json_key_mappings: Option<StringMap> = "ColumnToJsonKeyMappings",
        convert_dots_in_json_keys_to_underscores: Option<bool> = "ConvertDotsInJsonKeysToUnderscores",
    }
}

shared_struct! {
    /// How records are read for conversion.
    Deserializer = firehose::DESERIALIZER {
        hive_json_ser_de: Option<HiveJsonSerDe> = "HiveJsonSerDe",
        open_x_json_ser_de: Option<OpenXJsonSerDe> = "OpenXJsonSerDe",
    }
}

shared_struct! {
    /// How records are read for conversion.
    InputFormatConfiguration = firehose::INPUT_FORMAT_CONFIGURATION {
        deserializer: Option<Deserializer> = "Deserializer",
    }
}

shared_struct! {
    /// How ORC files are written.
    OrcSerDe = firehose::ORC_SER_DE {
        block_size_bytes: Option<u32> = "BlockSizeBytes",
        bloom_filter_columns: Option<Vec<String>> = "BloomFilterColumns",
        bloom_filter_false_positive_probability: Option<f64> = "BloomFilterFalsePositiveProbability",
        compression: Option<OrcCompression> = "Compression",
        dictionary_key_threshold: Option<f64> = "DictionaryKeyThreshold",
        enable_padding: Option<bool> = "EnablePadding",
        format_version: Option<OrcFormatVersion> = "FormatVersion",
        padding_tolerance: Option<f64> = "PaddingTolerance",
        row_index_stride: Option<u32> = "RowIndexStride",
        stripe_size_bytes: Option<u32> = "StripeSizeBytes",
    }
}

shared_struct! {
    /// How Parquet files are written.
    ParquetSerDe = firehose::PARQUET_SER_DE {
        block_size_bytes: Option<u32> = "BlockSizeBytes",
        compression: Option<ParquetCompression> = "Compression",
        enable_dictionary_compression: Option<bool> = "EnableDictionaryCompression",
        max_padding_bytes: Option<u32> = "MaxPaddingBytes",
        page_size_bytes: Option<u32> = "PageSizeBytes",
        writer_version: Option<ParquetWriterVersion> = "WriterVersion",
    }
}

shared_struct! {
    /// How converted records are written.
    Serializer = firehose::SERIALIZER {
        orc_ser_de: Option<OrcSerDe> = "OrcSerDe",
        parquet_ser_de: Option<ParquetSerDe> = "ParquetSerDe",
    }
}

shared_struct! {
    /// How converted records are written.
    OutputFormatConfiguration = firehose::OUTPUT_FORMAT_CONFIGURATION {
        serializer: Option<Serializer> = "Serializer",
    }
}

shared_struct! {
    /// Where the schema for conversion stands.
    SchemaConfiguration = firehose::SCHEMA_CONFIGURATION {
        catalog_id: Option<String> = "CatalogId",
        database_name: Option<String> = "DatabaseName",
        region: Option<String> = "Region",
        role_arn: Option<String> = "RoleARN",
        table_name: Option<String> = "TableName",
        version_id: Option<String> = "VersionId",
    }
}

shared_struct! {
    /// Conversion of JSON to Parquet or ORC.
    DataFormatConversionConfiguration = firehose::DATA_FORMAT_CONVERSION_CONFIGURATION {
        enabled: Option<bool> = "Enabled",
        input_format_configuration: Option<InputFormatConfiguration> = "InputFormatConfiguration",
        output_format_configuration: Option<OutputFormatConfiguration> = "OutputFormatConfiguration",
        schema_configuration: Option<SchemaConfiguration> = "SchemaConfiguration",
    }
}

impl DataFormatConversionConfiguration {
    /// It as a document, for keeping.
    #[must_use]
    pub fn to_json(&self) -> String {
        String::from_utf8_lossy(&self.to_bytes(Protocol::Json)).into_owned()
    }

    /// From what [`Self::to_json`] made; `None` for anything else.
    #[must_use]
    pub fn from_json(document: &str) -> Option<Self> {
        let value = coerce(Protocol::Json, Self::shape(), document.as_bytes()).ok()?;
        Self::from_value(value).ok()
    }
}
