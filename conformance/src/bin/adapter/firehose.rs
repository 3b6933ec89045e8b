//! The operations of Firehose, one row each, as those of Kinesis in [`crate::calls`].

#![allow(deprecated, reason = "the older form of S3 destinations is an interface too")]

use serde_json::Value;

use crate::calls::{Failure, failure, operations, unfit};
use crate::values::{Given, members};

operations! {
    aws_sdk_firehose:
    CreateDeliveryStream CreateDeliveryStreamInput create_delivery_stream {
        set_delivery_stream_name: delivery_stream_name,
        set_delivery_stream_type: delivery_stream_type,
        set_direct_put_source_configuration: direct_put_source_configuration,
        set_kinesis_stream_source_configuration: kinesis_stream_source_configuration,
        set_delivery_stream_encryption_configuration_input: delivery_stream_encryption_configuration_input,
        set_s3_destination_configuration: s3_destination_configuration,
        set_extended_s3_destination_configuration: extended_s3_destination_configuration,
        set_redshift_destination_configuration: redshift_destination_configuration,
        set_elasticsearch_destination_configuration: elasticsearch_destination_configuration,
        set_amazonopensearchservice_destination_configuration: amazonopensearchservice_destination_configuration,
        set_splunk_destination_configuration: splunk_destination_configuration,
        set_http_endpoint_destination_configuration: http_endpoint_destination_configuration,
        set_tags: tags,
        set_amazon_open_search_serverless_destination_configuration: amazon_open_search_serverless_destination_configuration,
        set_msk_source_configuration: msk_source_configuration,
        set_snowflake_destination_configuration: snowflake_destination_configuration,
        set_iceberg_destination_configuration: iceberg_destination_configuration,
        set_database_source_configuration: database_source_configuration,
    }
    DeleteDeliveryStream DeleteDeliveryStreamInput delete_delivery_stream {
        set_delivery_stream_name: delivery_stream_name,
        set_allow_force_delete: allow_force_delete,
    }
    DescribeDeliveryStream DescribeDeliveryStreamInput describe_delivery_stream {
        set_delivery_stream_name: delivery_stream_name,
        set_limit: limit,
        set_exclusive_start_destination_id: exclusive_start_destination_id,
    }
    ListDeliveryStreams ListDeliveryStreamsInput list_delivery_streams {
        set_limit: limit,
        set_delivery_stream_type: delivery_stream_type,
        set_exclusive_start_delivery_stream_name: exclusive_start_delivery_stream_name,
    }
    ListTagsForDeliveryStream ListTagsForDeliveryStreamInput list_tags_for_delivery_stream {
        set_delivery_stream_name: delivery_stream_name,
        set_exclusive_start_tag_key: exclusive_start_tag_key,
        set_limit: limit,
    }
    PutRecord PutRecordInput put_record {
        set_delivery_stream_name: delivery_stream_name, set_record: record,
    }
    PutRecordBatch PutRecordBatchInput put_record_batch {
        set_delivery_stream_name: delivery_stream_name, set_records: records,
    }
    StartDeliveryStreamEncryption StartDeliveryStreamEncryptionInput start_delivery_stream_encryption {
        set_delivery_stream_name: delivery_stream_name,
        set_delivery_stream_encryption_configuration_input: delivery_stream_encryption_configuration_input,
    }
    StopDeliveryStreamEncryption StopDeliveryStreamEncryptionInput stop_delivery_stream_encryption {
        set_delivery_stream_name: delivery_stream_name,
    }
    TagDeliveryStream TagDeliveryStreamInput tag_delivery_stream {
        set_delivery_stream_name: delivery_stream_name, set_tags: tags,
    }
    UntagDeliveryStream UntagDeliveryStreamInput untag_delivery_stream {
        set_delivery_stream_name: delivery_stream_name, set_tag_keys: tag_keys,
    }
    UpdateDestination UpdateDestinationInput update_destination {
        set_delivery_stream_name: delivery_stream_name,
        set_current_delivery_stream_version_id: current_delivery_stream_version_id,
        set_destination_id: destination_id,
        set_s3_destination_update: s3_destination_update,
        set_extended_s3_destination_update: extended_s3_destination_update,
        set_redshift_destination_update: redshift_destination_update,
        set_elasticsearch_destination_update: elasticsearch_destination_update,
        set_amazonopensearchservice_destination_update: amazonopensearchservice_destination_update,
        set_splunk_destination_update: splunk_destination_update,
        set_http_endpoint_destination_update: http_endpoint_destination_update,
        set_amazon_open_search_serverless_destination_update: amazon_open_search_serverless_destination_update,
        set_snowflake_destination_update: snowflake_destination_update,
        set_iceberg_destination_update: iceberg_destination_update,
    }
}
