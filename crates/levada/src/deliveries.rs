//! From the catalog to the delivery workers: what a worker is told of its delivery stream.
//!
//! The same function answers whether a destination can be delivered to when somebody asks for it, and builds what
//! delivers to it. So nothing is accepted that cannot be built.

mod chain;
mod samples;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use levada_core::catalog::{
    self, BackupMode, BucketSettings, Compression, ContentEncoding, DeliveryStream, Destination, DestinationKind,
    DocumentIdFormat, HecEndpointType, HttpEndpointDestination, IndexRotation, LogBlock, OpenSearchDestination,
    Processing, ProcessorKind, ProcessorParameter, Requests, S3Destination, Scope, SearchFlavour, Source,
    SplunkDestination,
};
use levada_delivery::endpoint::{
    BadEndpoint, DocumentIds, Endpoint, Flavour, HecKind, HttpEndpoint, HttpEndpointSpec, OpenSearch, OpenSearchSpec,
    Rotation, Splunk, SplunkSpec,
};
use levada_delivery::http::{HttpClient, Secret};
use levada_delivery::process::{ChainEnv, Query};
use levada_delivery::{
    Block, Bucketing, Buffering, Config, Delimiter, KeyLayout, LayoutSpec, PrefixError, QueryKeys, Target, process,
};

pub use self::chain::BadChain;
use self::chain::ChainOf;
pub use self::samples::samples;
use crate::config::Destinations;

/// A destination that this node cannot deliver to. Creation refuses it; the texts are for the caller of the API.
#[derive(Debug, thiserror::Error)]
pub enum Undeliverable {
    /// Keys of objects cannot be built.
    #[error(transparent)]
    Keys(#[from] PrefixError),
    /// Records cannot be processed so.
    #[error(transparent)]
    Chain(#[from] BadChain),
    /// Requests cannot be sent there.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// Splunk asks for a token, and there is no Secrets Manager here that would know one.
    #[error("A HECToken is needed: this server has no Secrets Manager.")]
    NoToken,
    /// Objects have no place to go.
    #[error("The bucket {0} is not one of this server's buckets")]
    Bucket(String),
}

/// What the configuration of a worker depends on, besides the destination.
#[derive(Clone, Debug)]
pub struct About {
    arn: String,
    region: Arc<str>,
    /// ARN of the data stream, if one is the source.
    source_stream_arn: Option<String>,
    created_ms: u64,
}

impl About {
    /// A delivery stream that there is.
    #[must_use]
    pub fn stream(stream: &DeliveryStream) -> Self {
        Self { created_ms: stream.created_ms, ..Self::new(&stream.scope, &stream.name, &stream.source) }
    }

    /// One that somebody asks for.
    #[must_use]
    pub fn new(scope: &Scope, name: &str, source: &Source) -> Self {
        Self {
            arn: scope.arn("firehose", &format!("deliverystream/{name}")),
            region: Arc::clone(&scope.region),
            source_stream_arn: source.kinesis().map(|kinesis| kinesis.stream_arn.clone()),
            created_ms: 0,
        }
    }
}

/// What all configurations of a node's workers are made with.
pub struct Assembly {
    destinations: Destinations,
    client: Arc<dyn HttpClient>,
    chain_env: ChainEnv,
}

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly").field("destinations", &self.destinations).finish_non_exhaustive()
    }
}

impl Assembly {
    /// Of a node.
    #[must_use]
    pub fn new(destinations: Destinations, client: Arc<dyn HttpClient>, chain_env: ChainEnv) -> Self {
        Self { destinations, client, chain_env }
    }

    /// What a worker needs to know of a destination.
    ///
    /// # Errors
    /// [`Undeliverable`], the first thing that is wrong.
    pub fn config(&self, about: &About, destination: &Destination) -> Result<Config, Undeliverable> {
        let to = destination.kind();
        match destination {
            Destination::S3(s3) => self.s3(about, s3),
            Destination::HttpEndpoint(http) => self.requests(about, to, &http.common, self.http(about, http)?),
            Destination::Splunk(splunk) => self.requests(about, to, &splunk.common, self.splunk(about, splunk)?),
            Destination::OpenSearch(search) => self.requests(about, to, &search.common, self.search(about, search)?),
        }
    }

    fn s3(&self, about: &About, s3: &S3Destination) -> Result<Config, Undeliverable> {
        let partitioned = s3.partitioning.is_some_and(|partitioning| partitioning.enabled);
        let processing = s3.processing.as_ref().filter(|processing| processing.enabled);
        let query = chain::query(processing)?;
        let keys = match query.as_ref().map(Query::keys) {
            None => QueryKeys::None,
            Some(None) => QueryKeys::Any,
            Some(Some(names)) => QueryKeys::These(names),
        };
        let lambda = processing.and_then(|processing| processing.active(ProcessorKind::Lambda)).is_some();
        let layout = KeyLayout::new(&LayoutSpec {
            time_zone: s3.time_zone.as_deref(),
            file_extension: s3.file_extension.as_deref(),
            partitioning: if partitioned {
                levada_delivery::Partitioning::On { query: keys, lambda }
            } else {
                levada_delivery::Partitioning::Off
            },
            ..prefixes(&s3.bucket)
        })?;
        let partitioning = partitioned.then(|| layout.clone());
        let chain = self.chain(about, ChainOf { processing, query, partitioning, to: DestinationKind::S3 })?;
        let target = Bucketing { delimiter: delimiter(processing), ..bucketing(&s3.bucket, layout) };
        let backup = s3.backup.as_ref().filter(|_| s3.backup_enabled).map(plain).transpose()?;
        Ok(Config { target: Target::S3(target), chain, backup })
    }

    fn requests(
        &self,
        about: &About,
        to: DestinationKind,
        common: &Requests,
        endpoint: Arc<dyn Endpoint>,
    ) -> Result<Config, Undeliverable> {
        let processing = common.processing.as_ref().filter(|processing| processing.enabled);
        let query = chain::query(processing)?;
        let chain = self.chain(about, ChainOf { processing, query, partitioning: None, to })?;
        let errors = plain(&common.backup)?;
        let backup = match common.backup_mode {
            BackupMode::FailedOnly => None,
            BackupMode::All => Some(errors.clone()),
        };
        let target = Target::Endpoint { endpoint, buffering: buffering(common.buffering), errors };
        Ok(Config { target, chain, backup })
    }

    fn http(&self, about: &About, http: &HttpEndpointDestination) -> Result<Arc<dyn Endpoint>, Undeliverable> {
        let request = http.request.clone().unwrap_or_default();
        let attributes = request.common_attributes.iter();
        let spec = HttpEndpointSpec {
            address: self.destinations.endpoints.address(&http.url),
            access_key: http.access_key.as_ref().map(secret),
            common_attributes: attributes.map(|(name, value)| (name.clone(), secret(value))).collect(),
            gzip: request.content_encoding == ContentEncoding::Gzip,
            stream_arn: about.arn.clone(),
            retry_for: retry_for(&http.common),
        };
        Ok(Arc::new(HttpEndpoint::new(spec, Arc::clone(&self.client), self.chain_env.blocking)?))
    }

    fn splunk(&self, about: &About, splunk: &SplunkDestination) -> Result<Arc<dyn Endpoint>, Undeliverable> {
        let spec = SplunkSpec {
            address: self.destinations.endpoints.address(&splunk.endpoint),
            kind: match splunk.endpoint_type {
                HecEndpointType::Raw => HecKind::Raw,
                HecEndpointType::Event => HecKind::Event,
            },
            token: splunk.token.as_ref().map(secret).ok_or(Undeliverable::NoToken)?,
            ack_timeout: Duration::from_secs(splunk.ack_timeout_secs.into()),
            stream_arn: about.arn.clone(),
            retry_for: retry_for(&splunk.common),
        };
        Ok(Arc::new(Splunk::new(spec, Arc::clone(&self.client))?))
    }

    fn search(&self, about: &About, search: &OpenSearchDestination) -> Result<Arc<dyn Endpoint>, Undeliverable> {
        let spec = OpenSearchSpec {
            address: self.destinations.endpoints.address(search.address.as_str()),
            flavour: match search.flavour {
                SearchFlavour::Service | SearchFlavour::Elasticsearch => Flavour::Domain,
                SearchFlavour::Serverless => Flavour::Serverless,
            },
            index: search.index_name.clone(),
            rotation: match search.rotation {
                IndexRotation::NoRotation => Rotation::None,
                IndexRotation::OneHour => Rotation::Hour,
                IndexRotation::OneDay => Rotation::Day,
                IndexRotation::OneWeek => Rotation::Week,
                IndexRotation::OneMonth => Rotation::Month,
            },
            type_name: search.type_name.clone(),
            document_ids: match search.document_id {
                None | Some(DocumentIdFormat::FirehoseDefault) => DocumentIds::Firehose,
                Some(DocumentIdFormat::NoDocumentId) => DocumentIds::None,
            },
            scope: format!("{}@{}", about.arn, about.created_ms),
            retry_for: retry_for(&search.common),
        };
        Ok(Arc::new(OpenSearch::new(spec, Arc::clone(&self.client), self.chain_env.blocking)?))
    }
}

/// The log ids of a delivery stream, as its worker knows them.
#[must_use]
pub fn block(block: LogBlock) -> Block {
    Block { first: block.first, count: block.count, class: DeliveryStream::DATA_CLASS }
}

fn retry_for(common: &Requests) -> Duration {
    Duration::from_secs(common.retry_secs.into())
}

fn secret(secret: &catalog::Secret) -> Secret {
    Secret::new(secret.reveal())
}

fn prefixes(bucket: &BucketSettings) -> LayoutSpec<'_> {
    LayoutSpec {
        prefix: bucket.prefix.as_deref(),
        error_prefix: bucket.error_prefix.as_deref(),
        ..LayoutSpec::default()
    }
}

/// A bucket for backups and error output.
fn plain(bucket: &BucketSettings) -> Result<Bucketing, PrefixError> {
    Ok(bucketing(bucket, KeyLayout::new(&prefixes(bucket))?))
}

fn bucketing(bucket: &BucketSettings, layout: KeyLayout) -> Bucketing {
    Bucketing {
        bucket: bucket.bucket().to_owned(),
        layout,
        compression: match bucket.compression {
            Compression::Uncompressed => levada_delivery::Compression::Uncompressed,
            Compression::Gzip => levada_delivery::Compression::Gzip,
            Compression::Zip => levada_delivery::Compression::Zip,
            Compression::Snappy => levada_delivery::Compression::Snappy,
            Compression::HadoopSnappy => levada_delivery::Compression::HadoopSnappy,
        },
        delimiter: Delimiter::None,
        buffering: buffering(bucket.buffering),
    }
}

fn buffering(hints: catalog::Buffering) -> Buffering {
    Buffering { size_mib: hints.size_mb, interval_s: hints.interval_secs }
}

/// What stands between the records of an object.
fn delimiter(processing: Option<&Processing>) -> Delimiter {
    match processing.and_then(|processing| processing.active(ProcessorKind::AppendDelimiterToRecord)) {
        None => Delimiter::None,
        Some(processor) => Delimiter::Between(process::delimiter(processor.parameter(ProcessorParameter::Delimiter))),
    }
}
