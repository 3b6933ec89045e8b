//! Where each bucket of the configuration is, and where all others are.

use std::path::Path;
use std::sync::Arc;

use levada_core::env::Disk;
use levada_delivery::{Blocking, Buckets, DirectoryBucket, Sink};

use super::StartError;
use crate::config::{Bucket, Config};

/// The buckets of a node that keeps its data in `dir`.
///
/// # Errors
/// [`StartError::Bucket`], for example if a file of credentials cannot be read.
#[cfg_attr(not(feature = "network"), expect(clippy::unnecessary_wraps, reason = "with a network it may fail"))]
pub(super) fn open(
    config: &Config,
    disk: &Arc<dyn Disk>,
    blocking: Blocking,
    dir: &Path,
) -> Result<Buckets, StartError> {
    let mut buckets = Buckets::new();
    for (name, bucket) in &config.buckets {
        let sink: Arc<dyn Sink> = match bucket {
            Bucket::Dir(path) => Arc::new(DirectoryBucket::new(Arc::clone(disk), blocking, path.clone())),
            #[cfg(feature = "network")]
            Bucket::S3(s3) => Arc::new(network::s3(s3, config.extra_ca.clone())),
            #[cfg(feature = "network")]
            Bucket::Google(google) => Arc::new(network::google(google).map_err(|error| refused(name, &error))?),
            #[cfg(feature = "network")]
            Bucket::Azure(azure) => Arc::new(network::azure(azure).map_err(|error| refused(name, &error))?),
        };
        buckets.map(name, sink);
    }
    buckets.unmapped_in(Arc::clone(disk), blocking, dir.join("buckets"));
    Ok(buckets)
}

#[cfg(feature = "network")]
fn refused(name: &str, error: &levada_delivery::SinkError) -> StartError {
    StartError::Bucket { name: name.to_owned(), reason: error.to_string() }
}

#[cfg(feature = "network")]
mod network {
    use levada_delivery::http::Secret;
    use levada_delivery::{AzureConfig, CloudBucket, GoogleConfig, S3Bucket, S3Config, SinkError, StaticKeys};

    use crate::config;

    pub(super) fn s3(s3: &config::S3Bucket, extra_ca_pem: Option<Vec<u8>>) -> S3Bucket {
        let keys = s3.keys.as_ref().map(|(id, secret)| StaticKeys {
            access_key_id: id.clone(),
            secret_access_key: secret.expose().to_owned(),
            session_token: None,
        });
        S3Bucket::new(S3Config { endpoint: s3.endpoint.clone(), region: Some(s3.region.clone()), keys, extra_ca_pem })
    }

    pub(super) fn google(google: &config::GoogleBucket) -> Result<CloudBucket, SinkError> {
        CloudBucket::google(&GoogleConfig {
            bucket: google.bucket.clone(),
            credentials_file: google.credentials_file.clone(),
            anonymous: google.anonymous,
            endpoint: google.endpoint.clone(),
        })
    }

    pub(super) fn azure(azure: &config::AzureBucket) -> Result<CloudBucket, SinkError> {
        CloudBucket::azure(&AzureConfig {
            account: azure.account.clone(),
            container: azure.container.clone(),
            access_key: azure.access_key.as_ref().map(|key| Secret::new(key.expose())),
            endpoint: azure.endpoint.clone(),
        })
    }
}
