//! Buckets of Google Cloud Storage and containers of Azure Blob Storage, through `object_store`.
//!
//! ```text
//! S3's key            name in Google's bucket, in Azure's container
//! logs//a b/~x        the same
//! /x  //x             %2Fx  %2F%2Fx
//! a/./b  a/../b       a/%2E/b  a/%2E%2E/b
//! a<newline>          a%0A
//! ```
//!
//! `object_store` has no names that begin with a slash, have segments `.` or `..`, or contain control characters; Google
//! itself refuses some of them, and clients of Azure resolve them. Such a name is percent-encoded where it has to be, and
//! nowhere else. A key that looks like an encoded one stays as it is: it has another UUID at its end.
//!
//! An object is one request, whatever its size (Google: up to 5 TiB, Azure: up to 5,000 MiB), so it appears whole.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use levada_core::engine::BoxFuture;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::path::{Path, PathPart};
use object_store::{
    Attribute, Attributes, Certificate, ClientOptions, Error, ObjectStore, PutOptions, PutPayload, RetryConfig,
    StaticCredentialProvider,
};

use super::{Object, Sink, SinkError};
use crate::http::Secret;

/// Of all objects, as AWS's are.
const CONTENT_TYPE: &str = "application/octet-stream";

/// How to reach a bucket of Google Cloud Storage.
#[derive(Clone, Debug)]
pub struct GoogleConfig {
    /// Its name.
    pub bucket: String,
    /// The file of a service account's key. `None`: the application default credentials, or those of the instance.
    pub credentials_file: Option<PathBuf>,
    /// Sends requests without credentials, for emulators.
    pub anonymous: bool,
    /// Base URL of another service than Google's own.
    pub endpoint: Option<String>,
    /// Certificate authorities besides those of the system, as PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
}

/// How to reach a container of Azure Blob Storage.
#[derive(Clone, Debug)]
pub struct AzureConfig {
    /// Name of the storage account.
    pub account: String,
    /// Name of the container.
    pub container: String,
    /// `None`: the credentials of the environment (a managed or workload identity).
    pub access_key: Option<Secret>,
    /// Base URL of another service than Azure's own, up to the container's name.
    pub endpoint: Option<String>,
    /// Certificate authorities besides those of the system, as PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
}

/// A bucket or container.
pub struct CloudBucket {
    store: Arc<dyn ObjectStore>,
    place: String,
}

impl fmt::Debug for CloudBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store prints what it is configured with.
        f.write_str("CloudBucket")
    }
}

impl CloudBucket {
    /// A bucket of Google Cloud Storage.
    ///
    /// # Errors
    /// [`SinkError::Refused`] if the configuration cannot be used, for example because the credentials cannot be read.
    pub fn google(config: &GoogleConfig) -> Result<Self, SinkError> {
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&config.bucket)
            .with_retry(no_retries())
            .with_client_options(client_options(config.endpoint.as_deref(), config.extra_ca_pem.as_deref())?);
        if config.anonymous {
            // Not by `with_skip_signature`: puts ask for a token all the same.
            let nobody = GcpCredential { bearer: String::new() };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(nobody)));
        }
        if let Some(file) = &config.credentials_file {
            builder = builder.with_service_account_path(file.to_string_lossy());
        }
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_base_url(endpoint.trim_end_matches('/'));
        }
        let store = builder.build().map_err(|error| SinkError::Refused(error.to_string()))?;
        Ok(Self { store: Arc::new(store), place: format!("google:{}", config.bucket) })
    }

    /// A container of Azure Blob Storage.
    ///
    /// # Errors
    /// [`SinkError::Refused`] if the configuration cannot be used.
    pub fn azure(config: &AzureConfig) -> Result<Self, SinkError> {
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(&config.account)
            .with_container_name(&config.container)
            .with_retry(no_retries())
            .with_client_options(client_options(config.endpoint.as_deref(), config.extra_ca_pem.as_deref())?);
        if let Some(key) = &config.access_key {
            builder = builder.with_access_key(key.reveal());
        }
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        let store = builder.build().map_err(|error| SinkError::Refused(error.to_string()))?;
        Ok(Self { store: Arc::new(store), place: format!("azure:{}/{}", config.account, config.container) })
    }
}

impl Sink for CloudBucket {
    fn put(&self, object: Object) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let mut attributes = Attributes::new();
            attributes.insert(Attribute::ContentType, CONTENT_TYPE.into());
            if let Some(encoding) = object.content_encoding {
                attributes.insert(Attribute::ContentEncoding, encoding.into());
            }
            let options = PutOptions { attributes, ..PutOptions::default() };
            let payload = PutPayload::from_bytes(object.body);
            self.store.put_opts(&path(&object.key), payload, options).await.map(drop).map_err(explain)
        })
    }

    fn place(&self, _bucket: &str) -> String {
        self.place.clone()
    }
}

/// What is tried again is tried by the upload, which knows for how long.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// How long a put may take is decided by the upload, too.
///
/// The HTTP client takes the process's provider of cryptography, and panics if there is none. Whichever was there first
/// stays.
fn client_options(endpoint: Option<&str>, extra_ca_pem: Option<&[u8]>) -> Result<ClientOptions, SinkError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut options = ClientOptions::new().with_timeout_disabled().with_allow_http(plain);
    if let Some(pem) = extra_ca_pem {
        let bad = |error: Error| SinkError::Refused(format!("the extra certificates: {error}"));
        for certificate in Certificate::from_pem_bundle(pem).map_err(bad)? {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

/// The name for a key; see the top of this module.
fn path(key: &str) -> Path {
    let rest = key.trim_start_matches('/');
    let leading = "%2F".repeat(key.len() - rest.len());
    let (first, others) = rest.split_once('/').map_or((rest, None), |(first, others)| (first, Some(others)));
    let first = format!("{leading}{}", segment(first));
    let others = others.into_iter().flat_map(|others| others.split('/')).map(segment);
    // What `segment` has made is a part; and a path with a first part keeps empty ones behind it.
    std::iter::once(Cow::Owned(first))
        .chain(others)
        .fold(Path::ROOT, |path, segment| path.join(PathPart::parse(&segment).unwrap_or_default()))
}

fn segment(segment: &str) -> Cow<'_, str> {
    match segment {
        "." => Cow::Borrowed("%2E"),
        ".." => Cow::Borrowed("%2E%2E"),
        _ if segment.bytes().any(|byte| byte.is_ascii_control()) => {
            let encoded = segment
                .chars()
                .map(|c| if c.is_ascii_control() { format!("%{:02X}", u32::from(c)) } else { c.to_string() });
            Cow::Owned(encoded.collect())
        }
        _ => Cow::Borrowed(segment),
    }
}

fn explain(error: Error) -> SinkError {
    let text = error.to_string();
    match error {
        Error::NotFound { .. }
        | Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::Precondition { .. }
        | Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. } => SinkError::Refused(text),
        _ => SinkError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keys_as_far_as_they_can_be() {
        let rows = [
            ("2026/07/13/14/orders-1.gz", "2026/07/13/14/orders-1.gz"),
            ("logs//x", "logs//x"),
            ("logs///x", "logs///x"),
            ("trailing/", "trailing/"),
            ("~ a+b%2Fc{}[]*?#é日本|^", "~ a+b%2Fc{}[]*?#é日本|^"),
            ("...", "..."),
            ("", ""),
            ("/x", "%2Fx"),
            ("//x", "%2F%2Fx"),
            ("//", "%2F%2F"),
            ("/./x", "%2F%2E/x"),
            (".", "%2E"),
            ("a/./b/../c", "a/%2E/b/%2E%2E/c"),
            ("../up", "%2E%2E/up"),
            ("a\nb\0/\u{7f}", "a%0Ab%00/%7F"),
        ];
        for (key, wanted) in rows {
            assert_eq!(path(key).as_ref(), wanted, "{key:?}");
        }
    }
}
