//! A bucket of an S3-compatible store, through the AWS SDK (docs/decisions/0004-s3-client.md).

mod multipart;

use std::fmt;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, Region, RequestChecksumCalculation, SharedHttpClient};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use levada_core::engine::BoxFuture;
use tokio::sync::OnceCell;

use super::{Object, Sink, SinkError};

/// A store that does not take a connection within this time is away. How long a put may take is decided by the upload.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Of all objects, as AWS's are.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Signatures need a region; stores other than AWS rarely care which.
const DEFAULT_REGION: &str = "us-east-1";

/// How to reach a store.
#[derive(Clone, Debug, Default)]
pub struct S3Config {
    /// Base URL of an S3-compatible store; its buckets are addressed as the path's first segment. `None`: AWS.
    pub endpoint: Option<String>,
    /// `None`: what the AWS SDK finds (environment, profile, instance), and `us-east-1` if an endpoint is given.
    pub region: Option<String>,
    /// `None`: what the AWS SDK finds.
    pub keys: Option<StaticKeys>,
    /// Certificate authorities besides those of the system, as PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
}

/// An access key. Does not print its secret.
#[derive(Clone)]
pub struct StaticKeys {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`
    pub session_token: Option<String>,
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// A bucket, or several, of one store. The SDK is set up with the first put, so that creating one costs nothing.
#[derive(Debug)]
pub struct S3Bucket {
    config: S3Config,
    client: OnceCell<Client>,
}

impl S3Bucket {
    /// A store that is reached in this way.
    #[must_use]
    pub fn new(config: S3Config) -> Self {
        Self { config, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| connect(&self.config)).await
    }
}

impl Sink for S3Bucket {
    fn put(&self, object: Object) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let client = self.client().await;
            if object.body.len() > multipart::ABOVE_BYTES {
                return multipart::put(client, object).await;
            }
            let put = client
                .put_object()
                .bucket(object.bucket)
                .key(object.key)
                .content_type(CONTENT_TYPE)
                .set_content_encoding(object.content_encoding.map(str::to_owned))
                .body(ByteStream::from(object.body));
            put.send().await.map(drop).map_err(explain)
        })
    }

    fn place(&self, _bucket: &str) -> String {
        self.config.endpoint.as_deref().map_or_else(|| "s3".to_owned(), without_user)
    }
}

/// What is tried again is tried by the upload, which knows for how long: the SDK tries once. It adds no checksum of
/// its own, which some stores do not know: the signature covers the body's SHA-256.
async fn connect(config: &S3Config) -> Client {
    let http = http_client(config.extra_ca_pem.as_deref());
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let retries = RetryConfig::disabled();
    let region = config.region.clone().or_else(|| config.endpoint.as_ref().map(|_| DEFAULT_REGION.to_owned()));
    let builder = match &config.keys {
        Some(keys) => Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(region.unwrap_or_else(|| DEFAULT_REGION.to_owned())))
            .credentials_provider(Credentials::new(
                &keys.access_key_id,
                &keys.secret_access_key,
                keys.session_token.clone(),
                None,
                "levada configuration",
            )),
        None => {
            let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
            if let Some(region) = region {
                loader = loader.region(Region::new(region));
            }
            aws_sdk_s3::config::Builder::from(&loader.load().await)
        }
    };
    let mut builder = builder
        .timeout_config(timeouts)
        .retry_config(retries)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    if let Some(endpoint) = &config.endpoint {
        // The SDK puts the bucket straight behind the endpoint's path.
        let endpoint = format!("{}/", endpoint.trim_end_matches('/'));
        builder = builder.endpoint_url(endpoint).force_path_style(true);
    }
    Client::from_conf(builder.build())
}

fn http_client(extra_ca_pem: Option<&[u8]>) -> SharedHttpClient {
    let mut trust = TrustStore::default();
    if let Some(pem) = extra_ca_pem {
        trust.add_pem_certificate(pem);
    }
    let provider = Provider::Rustls(CryptoMode::Ring);
    let builder = aws_smithy_http_client::Builder::new().tls_provider(provider);
    match TlsContext::builder().with_trust_store(trust).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        // Only a trust store that cannot be read fails, and none is read from a file.
        Err(_) => builder.build_https(),
    }
}

/// What a failure of any operation means.
fn explain<E>(error: SdkError<E>) -> SinkError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or("no error code");
            let message = service.err().message().unwrap_or_default();
            let text = format!("HTTP {status} {code} {message}");
            // Too early, and too often: stores ask for patience with these as well, S3 with the second by status 400.
            let refused = (400..500).contains(&status) && !matches!(status, 408 | 429) && code != "RequestTimeout";
            if refused { SinkError::Refused(text) } else { SinkError::Unavailable(text) }
        }
        _ => SinkError::Unavailable(causes(&error)),
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some tell their cause themselves.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A URL without the user and password that may stand in it.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}
