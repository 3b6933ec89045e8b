//! The stores of the configuration's buckets.

use std::path::Path;
use std::sync::Arc;

use levada_core::env::Disk;
use levada_delivery::{Blocking, Buckets, DirectoryBucket, SinkError};

use crate::config::{Bucket, Config};

/// A bucket whose store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("[buckets.{name:?}]: {error}")]
pub struct BadBucket {
    name: String,
    error: SinkError,
}

/// Where each bucket of the configuration is, and where all others are, if they are anywhere.
///
/// # Errors
/// [`BadBucket`], for example if credentials cannot be read.
pub(crate) fn open(
    config: &Config,
    disk: &Arc<dyn Disk>,
    blocking: Blocking,
    dir: &Path,
) -> Result<Buckets, BadBucket> {
    let mut buckets = Buckets::new();
    for (name, bucket) in &config.buckets {
        match bucket {
            Bucket::Dir(path) => {
                buckets.map(name, Arc::new(DirectoryBucket::new(Arc::clone(disk), blocking, path.clone())));
            }
            #[cfg(feature = "network")]
            Bucket::S3(s3) => buckets.map(name, Arc::new(network::s3(s3, config))),
            #[cfg(feature = "network")]
            Bucket::Google(google) => buckets.map(name, network::cloud(name, network::google(google, config))?),
            #[cfg(feature = "network")]
            Bucket::Azure(azure) => buckets.map(name, network::cloud(name, network::azure(azure, config))?),
        }
    }
    if config.local_buckets {
        buckets.unmapped_in(Arc::clone(disk), blocking, dir.join("buckets"));
    }
    Ok(buckets)
}

#[cfg(feature = "network")]
mod network {
    use std::sync::Arc;

    use levada_delivery::http::Secret;
    use levada_delivery::{AzureConfig, CloudBucket, GoogleConfig, Sink, SinkError, StaticKeys};

    use super::BadBucket;
    use crate::config::{AzureBucket, Config, GoogleBucket, S3Bucket};

    pub(super) fn s3(s3: &S3Bucket, config: &Config) -> levada_delivery::S3Bucket {
        let keys = s3.keys.as_ref().map(|(id, secret)| StaticKeys {
            access_key_id: id.clone(),
            secret_access_key: secret.expose().to_owned(),
            session_token: None,
        });
        levada_delivery::S3Bucket::new(levada_delivery::S3Config {
            endpoint: s3.endpoint.clone(),
            region: Some(s3.region.clone()),
            keys,
            extra_ca_pem: config.extra_ca.clone(),
        })
    }

    pub(super) fn google(google: &GoogleBucket, config: &Config) -> Result<CloudBucket, SinkError> {
        CloudBucket::google(&GoogleConfig {
            bucket: google.bucket.clone(),
            credentials_file: google.credentials.clone(),
            anonymous: google.anonymous,
            endpoint: google.endpoint.clone(),
            extra_ca_pem: config.extra_ca.clone(),
        })
    }

    pub(super) fn azure(azure: &AzureBucket, config: &Config) -> Result<CloudBucket, SinkError> {
        CloudBucket::azure(&AzureConfig {
            account: azure.account.clone(),
            container: azure.container.clone(),
            access_key: azure.access_key.as_ref().map(|key| Secret::new(key.expose())),
            endpoint: azure.endpoint.clone(),
            extra_ca_pem: config.extra_ca.clone(),
        })
    }

    pub(super) fn cloud(name: &str, made: Result<CloudBucket, SinkError>) -> Result<Arc<dyn Sink>, BadBucket> {
        match made {
            Ok(bucket) => Ok(Arc::new(bucket)),
            Err(error) => Err(BadBucket { name: name.to_owned(), error }),
        }
    }
}
