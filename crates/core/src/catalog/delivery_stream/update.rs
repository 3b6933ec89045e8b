//! What an owner wants to be different about a destination, and what becomes of it.
//!
//! Absent members keep their values. A member that is a structure of its own (buffering hints, logging, processing,
//! request configuration, secrets manager) is replaced as a whole; only buckets are merged member by member, as AWS
//! documents it for `S3Update` and `S3BackupUpdate`.

use super::destination::{
    BackupMode, BucketSettings, Buffering, CloudWatchLogging, Compression, Destination, DestinationKind,
    DocumentIdFormat, HecEndpointType, HttpEndpointDestination, IndexRotation, OpenSearchDestination, Partitioning,
    RequestConfiguration, Requests, S3Destination, SearchAddress, SearchFlavour, SecretsManager, SplunkDestination,
};
use super::processing::Processing;
use super::secret::Secret;
use crate::catalog::error::DeliveryError;

/// How objects would be encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectEncryption {
    /// `NoEncryptionConfig`
    None,
    /// `KMSEncryptionConfig`, with the key's ARN.
    Kms(String),
}

/// An update of [`BucketSettings`] (model: `S3DestinationUpdate`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of what is updated")]
pub struct BucketUpdate {
    pub bucket_arn: Option<String>,
    pub role_arn: Option<String>,
    pub prefix: Option<String>,
    pub error_prefix: Option<String>,
    pub buffering: Option<Buffering>,
    pub compression: Option<Compression>,
    pub logging: Option<CloudWatchLogging>,
    pub encryption: Option<ObjectEncryption>,
}

/// An update of an [`S3Destination`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Update {
    /// The bucket.
    pub bucket: BucketUpdate,
    /// An empty one takes the extension away.
    pub file_extension: Option<String>,
    /// An empty one takes the time zone away.
    pub time_zone: Option<String>,
    /// What is done to records on their way.
    pub processing: Option<Processing>,
    /// It can only be said again.
    pub partitioning: Option<Partitioning>,
    /// Conversion that is switched off.
    pub conversion: Option<String>,
    /// Backup can only be turned on.
    pub backup_enabled: Option<bool>,
    /// Where source records are backed up.
    pub backup: Option<BucketUpdate>,
}

/// An update of [`Requests`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of what is updated")]
pub struct RequestsUpdate {
    pub buffering: Option<Buffering>,
    pub retry_secs: Option<u32>,
    pub backup_mode: Option<BackupMode>,
    pub backup: Option<BucketUpdate>,
    pub processing: Option<Processing>,
    pub logging: Option<CloudWatchLogging>,
}

/// An update of an [`HttpEndpointDestination`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of what is updated")]
pub struct HttpEndpointUpdate {
    pub url: Option<String>,
    pub name: Option<String>,
    /// An empty one takes the key away.
    pub access_key: Option<Secret>,
    pub request: Option<RequestConfiguration>,
    pub role_arn: Option<String>,
    pub secrets_manager: Option<SecretsManager>,
    pub common: RequestsUpdate,
}

/// An update of a [`SplunkDestination`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of what is updated")]
pub struct SplunkUpdate {
    pub endpoint: Option<String>,
    pub endpoint_type: Option<HecEndpointType>,
    pub token: Option<Secret>,
    pub ack_timeout_secs: Option<u32>,
    pub secrets_manager: Option<SecretsManager>,
    pub common: RequestsUpdate,
}

/// An update of an [`OpenSearchDestination`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of what is updated")]
pub struct OpenSearchUpdate {
    pub flavour: SearchFlavour,
    pub address: Option<SearchAddress>,
    pub index_name: Option<String>,
    pub type_name: Option<String>,
    pub rotation: Option<IndexRotation>,
    pub document_id: Option<DocumentIdFormat>,
    pub role_arn: Option<String>,
    pub common: RequestsUpdate,
}

/// An update of a [`Destination`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are those of what is updated")]
pub enum DestinationUpdate {
    S3(S3Update),
    HttpEndpoint(HttpEndpointUpdate),
    Splunk(SplunkUpdate),
    OpenSearch(OpenSearchUpdate),
}

impl DestinationUpdate {
    /// What it updates.
    #[must_use]
    pub fn kind(&self) -> DestinationKind {
        match self {
            Self::S3(_) => DestinationKind::S3,
            Self::HttpEndpoint(_) => DestinationKind::HttpEndpoint,
            Self::Splunk(_) => DestinationKind::Splunk,
            Self::OpenSearch(search) => search.flavour.into(),
        }
    }

    /// `destination` with this update.
    ///
    /// # Errors
    /// What AWS does not let anybody change: the kind of destination, a backup mode, dynamic partitioning.
    pub fn merge(self, destination: &Destination) -> Result<Destination, DeliveryError> {
        let (from, to) = (destination.kind(), self.kind());
        match (self, destination.clone()) {
            (Self::S3(update), Destination::S3(s3)) => update.merge(s3).map(Destination::S3),
            (Self::HttpEndpoint(update), Destination::HttpEndpoint(http)) => {
                update.merge(http).map(Destination::HttpEndpoint)
            }
            (Self::Splunk(update), Destination::Splunk(splunk)) => update.merge(splunk).map(Destination::Splunk),
            (Self::OpenSearch(update), Destination::OpenSearch(search)) if from == to => {
                update.merge(search).map(Destination::OpenSearch)
            }
            (Self::S3(_) | Self::HttpEndpoint(_) | Self::Splunk(_) | Self::OpenSearch(_), _) => {
                Err(DeliveryError::DestinationType { from, to })
            }
        }
    }
}

/// Puts a new value in the place of the old one, if there is a new one.
fn set<T>(place: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *place = new;
    }
}

/// The same where the old one may be absent.
fn set_some<T>(place: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *place = new;
    }
}

/// The same where an empty text takes the old one away.
fn set_or_unset(place: &mut Option<String>, new: Option<String>) {
    if let Some(new) = new {
        *place = Some(new).filter(|text| !text.is_empty());
    }
}

impl BucketUpdate {
    fn merge(self, bucket: &mut BucketSettings) {
        set(&mut bucket.bucket_arn, self.bucket_arn);
        set(&mut bucket.role_arn, self.role_arn);
        set_some(&mut bucket.prefix, self.prefix);
        set_some(&mut bucket.error_prefix, self.error_prefix);
        set(&mut bucket.buffering, self.buffering);
        set(&mut bucket.compression, self.compression);
        set(&mut bucket.logging, self.logging);
        match self.encryption {
            None => {}
            Some(ObjectEncryption::None) => bucket.kms_key_arn = None,
            Some(ObjectEncryption::Kms(arn)) => bucket.kms_key_arn = Some(arn),
        }
    }

    /// The settings of a bucket that there was not before; `None` without a bucket or role.
    fn create(mut self) -> Option<BucketSettings> {
        let mut bucket = BucketSettings::new(self.bucket_arn.take()?, self.role_arn.take()?);
        self.merge(&mut bucket);
        Some(bucket)
    }
}

impl S3Update {
    fn merge(self, mut s3: S3Destination) -> Result<S3Destination, DeliveryError> {
        self.bucket.merge(&mut s3.bucket);
        set_or_unset(&mut s3.file_extension, self.file_extension);
        set_or_unset(&mut s3.time_zone, self.time_zone);
        set_some(&mut s3.processing, self.processing);
        set_some(&mut s3.conversion, self.conversion);
        if let Some(partitioning) = self.partitioning {
            if partitioning.enabled != s3.partitioning.unwrap_or_default().enabled {
                return Err(DeliveryError::PartitioningChange { enable: partitioning.enabled });
            }
            s3.partitioning = Some(partitioning);
        }
        match (self.backup, &mut s3.backup) {
            (None, _) => {}
            (Some(update), Some(bucket)) => update.merge(bucket),
            (Some(update), none @ None) => {
                *none = Some(update.create().ok_or(DeliveryError::BackupWithoutBucket)?);
            }
        }
        match self.backup_enabled {
            Some(false) if s3.backup_enabled => return Err(DeliveryError::BackupDisabled),
            Some(true) if s3.backup.is_none() => return Err(DeliveryError::BackupWithoutBucket),
            Some(enabled) => s3.backup_enabled = enabled,
            None => {}
        }
        Ok(s3)
    }
}

impl RequestsUpdate {
    /// A backup of all records stays one, with Splunk (API reference) and HTTP endpoints (seen) alike.
    fn check_backup_mode(&self, present: &Requests, kind: DestinationKind) -> Result<(), DeliveryError> {
        let ends = present.backup_mode == BackupMode::All && self.backup_mode == Some(BackupMode::FailedOnly);
        if ends { Err(DeliveryError::BackupModeChange(kind)) } else { Ok(()) }
    }

    fn merge(self, common: &mut Requests) {
        set(&mut common.buffering, self.buffering);
        set(&mut common.retry_secs, self.retry_secs);
        set(&mut common.backup_mode, self.backup_mode);
        set_some(&mut common.processing, self.processing);
        set(&mut common.logging, self.logging);
        if let Some(backup) = self.backup {
            backup.merge(&mut common.backup);
        }
    }
}

impl HttpEndpointUpdate {
    fn merge(self, mut http: HttpEndpointDestination) -> Result<HttpEndpointDestination, DeliveryError> {
        self.common.check_backup_mode(&http.common, DestinationKind::HttpEndpoint)?;
        set(&mut http.url, self.url);
        set_some(&mut http.name, self.name);
        if let Some(key) = self.access_key {
            http.access_key = Some(key).filter(|key| !key.reveal().is_empty());
        }
        set_some(&mut http.request, self.request);
        set_some(&mut http.role_arn, self.role_arn);
        set_some(&mut http.secrets_manager, self.secrets_manager);
        self.common.merge(&mut http.common);
        Ok(http)
    }
}

impl SplunkUpdate {
    fn merge(self, mut splunk: SplunkDestination) -> Result<SplunkDestination, DeliveryError> {
        self.common.check_backup_mode(&splunk.common, DestinationKind::Splunk)?;
        set(&mut splunk.endpoint, self.endpoint);
        set(&mut splunk.endpoint_type, self.endpoint_type);
        set_some(&mut splunk.token, self.token);
        set(&mut splunk.ack_timeout_secs, self.ack_timeout_secs);
        set_some(&mut splunk.secrets_manager, self.secrets_manager);
        self.common.merge(&mut splunk.common);
        Ok(splunk)
    }
}

impl OpenSearchUpdate {
    fn merge(self, mut search: OpenSearchDestination) -> Result<OpenSearchDestination, DeliveryError> {
        if self.common.backup_mode.is_some_and(|mode| mode != search.common.backup_mode) {
            return Err(DeliveryError::BackupModeChange(search.flavour.into()));
        }
        set(&mut search.address, self.address);
        set(&mut search.index_name, self.index_name);
        set_some(&mut search.type_name, self.type_name);
        set(&mut search.rotation, self.rotation);
        set_some(&mut search.document_id, self.document_id);
        set(&mut search.role_arn, self.role_arn);
        self.common.merge(&mut search.common);
        Ok(search)
    }
}
