//! Where a delivery stream's records go.

use serde::{Deserialize, Deserializer, Serialize};

use super::processing::Processing;
use super::secret::Secret;

/// When a buffer is delivered: at this size or this age, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffering {
    /// In MiB.
    pub size_mb: u32,
    /// In seconds.
    pub interval_secs: u32,
}

/// AWS's defaults for S3, HTTP endpoints and OpenSearch.
impl Default for Buffering {
    fn default() -> Self {
        Self { size_mb: 5, interval_secs: 300 }
    }
}

/// How objects are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    #[default]
    Uncompressed,
    /// GZIP.
    Gzip,
    /// A ZIP archive of one entry.
    Zip,
    /// Snappy in the framing of snappy-java.
    Snappy,
    /// Snappy in Hadoop's framing.
    HadoopSnappy,
}

impl Compression {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
            Self::Zip => "ZIP",
            Self::Snappy => "Snappy",
            Self::HadoopSnappy => "HADOOP_SNAPPY",
        }
    }
}

/// Where AWS would write error logs. Kept and described back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudWatchLogging {
    /// Whether logging is on.
    pub enabled: bool,
    /// Name of the log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Name of the log stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

impl CloudWatchLogging {
    /// True if it is off and nothing is named: as if nothing had been said of it.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A bucket, and how objects get into it: what the S3 destination, its backup and the backup of every other
/// destination have in common (model: `S3DestinationConfiguration`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSettings {
    /// ARN of the bucket.
    pub bucket_arn: String,
    /// Role in whose name AWS would write. Kept and described back.
    pub role_arn: String,
    /// Front part of object keys, before evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Front part of keys of objects with failed records, before evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_prefix: Option<String>,
    /// When a buffer is delivered.
    #[serde(default)]
    pub buffering: Buffering,
    /// How objects are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Error logging. Kept and described back.
    #[serde(default, skip_serializing_if = "CloudWatchLogging::is_default")]
    pub logging: CloudWatchLogging,
    /// Key that AWS would encrypt objects with. Kept and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
}

impl BucketSettings {
    /// A bucket with everything else as AWS has it by default.
    #[must_use]
    pub fn new(bucket_arn: String, role_arn: String) -> Self {
        Self {
            bucket_arn,
            role_arn,
            prefix: None,
            error_prefix: None,
            buffering: Buffering::default(),
            compression: Compression::default(),
            logging: CloudWatchLogging::default(),
            kms_key_arn: None,
        }
    }

    /// Name of the bucket: the last part of its ARN.
    #[must_use]
    pub fn bucket(&self) -> &str {
        self.bucket_arn.rsplit(':').next().unwrap_or_default()
    }
}

/// `DynamicPartitioningConfiguration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partitioning {
    /// Whether records are sorted by the values of their partition keys. Decided at creation.
    pub enabled: bool,
    /// How long a partition's delivery would be retried, in s. Kept and described back: an object is tried for 24 h
    /// as everywhere in S3 delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_secs: Option<u32>,
}

/// Objects in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Destination {
    /// True if it was given as an ExtendedS3DestinationConfiguration.
    pub extended: bool,
    /// The bucket.
    #[serde(flatten)]
    pub bucket: BucketSettings,
    /// End of object keys, in place of the compression's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_extension: Option<String>,
    /// Time zone of keys, `UTC` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What is done to records on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing: Option<Processing>,
    /// Dynamic partitioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitioning: Option<Partitioning>,
    /// `DataFormatConversionConfiguration`, which can only be one that is switched off: kept as the JSON document that
    /// was given, and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<String>,
    /// `S3BackupMode` Enabled: all source records go to [`Self::backup`], too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backup_enabled: bool,
    /// Where source records are backed up. Always there when [`Self::backup_enabled`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BucketSettings>,
}

/// Which records of a destination other than S3 go to its bucket, too. AWS has a pair of names for each kind of
/// destination: `FailedDataOnly`/`AllData`, `FailedEventsOnly`/`AllEvents`, `FailedDocumentsOnly`/`AllDocuments`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BackupMode {
    /// Those that could not be delivered.
    #[default]
    FailedOnly,
    /// All, as they came from the source.
    All,
}

/// `SecretsManagerConfiguration`. Kept and described back: there is no Secrets Manager here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsManager {
    /// Whether the secret would be used.
    pub enabled: bool,
    /// Role in whose name AWS would read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// ARN of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_arn: Option<String>,
}

/// What all destinations other than S3 have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// When a buffer is delivered.
    pub buffering: Buffering,
    /// How long failed requests are tried again (`RetryOptions`), in s: 0 to 7,200.
    pub retry_secs: u32,
    /// What goes to the bucket.
    #[serde(default)]
    pub backup_mode: BackupMode,
    /// The bucket.
    pub backup: BucketSettings,
    /// What is done to records on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing: Option<Processing>,
    /// Error logging. Kept and described back.
    #[serde(default, skip_serializing_if = "CloudWatchLogging::is_default")]
    pub logging: CloudWatchLogging,
}

/// `ContentEncoding` of requests to an HTTP endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContentEncoding {
    /// NONE
    #[default]
    None,
    /// GZIP
    Gzip,
}

/// `RequestConfiguration` of an HTTP endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestConfiguration {
    /// How bodies are compressed.
    #[serde(default)]
    pub content_encoding: ContentEncoding,
    /// Names and values that are sent with each request, in the order in which they were given. The model says that
    /// they are sensitive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub common_attributes: Vec<(String, Secret)>,
}

/// An HTTP endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpEndpointDestination {
    /// Where requests go.
    pub url: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Sent in `X-Amz-Firehose-Access-Key`; never described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<Secret>,
    /// How requests look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestConfiguration>,
    /// Role in whose name AWS would write. Kept and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Kept and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<SecretsManager>,
    /// Buffer, retries, processing and backup.
    pub common: Requests,
}

/// `HECEndpointType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HecEndpointType {
    /// Data as it is.
    Raw,
    /// Data are events in HEC's JSON.
    Event,
}

/// Splunk's HTTP event collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplunkDestination {
    /// `HECEndpoint`.
    pub endpoint: String,
    /// `HECEndpointType`.
    pub endpoint_type: HecEndpointType,
    /// `HECToken`; AWS describes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// `HECAcknowledgmentTimeoutInSeconds`: 180 to 600.
    pub ack_timeout_secs: u32,
    /// Kept and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<SecretsManager>,
    /// Buffer, retries, processing and backup.
    pub common: Requests,
}

impl SplunkDestination {
    /// AWS's default of the buffer: 5 MiB or 60 s.
    pub const BUFFERING: Buffering = Buffering { size_mb: 5, interval_secs: 60 };
}

/// As which of three destinations it was given. They differ in their names and in what they have, not in what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SearchFlavour {
    /// `AmazonopensearchserviceDestinationConfiguration`
    Service,
    /// `AmazonOpenSearchServerlessDestinationConfiguration`
    Serverless,
    /// `ElasticsearchDestinationConfiguration`
    Elasticsearch,
}

/// Where the cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SearchAddress {
    /// `DomainARN`. The operator's `[endpoints]` says where that is.
    Domain(String),
    /// `ClusterEndpoint` or `CollectionEndpoint`: a URL.
    Endpoint(String),
}

impl SearchAddress {
    /// The ARN or URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Domain(text) | Self::Endpoint(text) => text,
        }
    }
}

/// How often a new index is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are AWS's and say it")]
pub enum IndexRotation {
    NoRotation,
    OneHour,
    OneDay,
    OneWeek,
    OneMonth,
}

/// `DefaultDocumentIdFormat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DocumentIdFormat {
    /// The service makes one of each record.
    FirehoseDefault,
    /// The cluster makes them.
    NoDocumentId,
}

/// `VpcConfiguration`. Kept and described back: addresses are reached from where the node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Role in whose name AWS would make network interfaces.
    pub role_arn: String,
    /// Subnets.
    pub subnet_ids: Vec<String>,
    /// Security groups.
    pub security_group_ids: Vec<String>,
}

/// OpenSearch or Elasticsearch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSearchDestination {
    /// As what it was given.
    pub flavour: SearchFlavour,
    /// Where it is.
    pub address: SearchAddress,
    /// The index, before rotation.
    pub index_name: String,
    /// `TypeName`; none for serverless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// How often a new index is begun; always [`IndexRotation::NoRotation`] for serverless.
    pub rotation: IndexRotation,
    /// Who makes document ids; the service if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentIdFormat>,
    /// Role in whose name AWS would write. Kept and described back.
    pub role_arn: String,
    /// Kept and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<Vpc>,
    /// Buffer, retries, processing and backup. Its mode never changes.
    pub common: Requests,
}

/// The one destination of a delivery stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// Objects in a bucket.
    S3(S3Destination),
    /// Requests to an HTTP endpoint.
    HttpEndpoint(HttpEndpointDestination),
    /// Requests to Splunk.
    Splunk(SplunkDestination),
    /// Requests to OpenSearch or Elasticsearch.
    OpenSearch(OpenSearchDestination),
}

/// What cannot be changed about a destination. `S3DestinationConfiguration` and its successor are one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DestinationKind {
    S3,
    HttpEndpoint,
    Splunk,
    OpenSearch,
    OpenSearchServerless,
    Elasticsearch,
}

impl From<SearchFlavour> for DestinationKind {
    fn from(flavour: SearchFlavour) -> Self {
        match flavour {
            SearchFlavour::Service => Self::OpenSearch,
            SearchFlavour::Serverless => Self::OpenSearchServerless,
            SearchFlavour::Elasticsearch => Self::Elasticsearch,
        }
    }
}

impl Destination {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> DestinationKind {
        match self {
            Self::S3(_) => DestinationKind::S3,
            Self::HttpEndpoint(_) => DestinationKind::HttpEndpoint,
            Self::Splunk(_) => DestinationKind::Splunk,
            Self::OpenSearch(search) => search.flavour.into(),
        }
    }

    /// What is done to records on their way, if anything.
    #[must_use]
    pub fn processing(&self) -> Option<&Processing> {
        match self {
            Self::S3(s3) => s3.processing.as_ref(),
            Self::HttpEndpoint(HttpEndpointDestination { common, .. })
            | Self::Splunk(SplunkDestination { common, .. })
            | Self::OpenSearch(OpenSearchDestination { common, .. }) => common.processing.as_ref(),
        }
    }

    /// The buckets that it writes to: an S3 destination's and its backup's, or another destination's backup bucket.
    pub fn buckets(&self) -> impl Iterator<Item = &BucketSettings> {
        let (first, second) = match self {
            Self::S3(s3) => (&s3.bucket, s3.backup.as_ref().filter(|_| s3.backup_enabled)),
            Self::HttpEndpoint(HttpEndpointDestination { common, .. })
            | Self::Splunk(SplunkDestination { common, .. })
            | Self::OpenSearch(OpenSearchDestination { common, .. }) => (&common.backup, None),
        };
        std::iter::once(first).chain(second)
    }
}

impl From<S3Destination> for Destination {
    fn from(s3: S3Destination) -> Self {
        Self::S3(s3)
    }
}

/// Reads a destination from a catalog's record. Versions 1 and 2 knew S3 only and wrote it without its kind.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Destination, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Kind(Destination),
        S3(S3Destination),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Kind(destination) => destination,
        Written::S3(s3) => Destination::S3(s3),
    })
}
