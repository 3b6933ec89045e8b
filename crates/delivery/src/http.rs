//! Requests to destinations and functions, as far as they know of the network.

mod address;
#[cfg(feature = "http")]
pub mod client;
mod mapping;

use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::BoxFuture;

pub use self::address::{BadAddress, forbidden};
pub use self::mapping::{BadMapping, Mappings};

/// A POST or GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub address: Address,
    /// Path and query, appended to the address as they are; may be empty.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Values that no log line shows.
    pub secret_headers: Vec<(String, Secret)>,
    /// The content. Cheap to clone.
    pub body: Bytes,
    /// From the first byte sent to the last one received.
    pub timeout: Duration,
    /// An answer with more bytes is an error.
    pub max_response_bytes: usize,
}

/// Those that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
}

/// The URL of a destination, and where it is reached. Prints as its host alone: paths may hold keys, mappings a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// As configured through the API: what AWS would call.
    pub url: String,
    /// What the operator mapped it to in `[endpoints]`; such an address may be plain, local or private. Without a
    /// mapping only `https` to public addresses is allowed.
    pub mapped: Option<String>,
}

/// A text that does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Bytes,
}

impl HttpResponse {
    /// The first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer. All but the last may succeed later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection ended before the answer did.
    #[error("connection closed: {0}")]
    Closed(String),
    /// Not within the request's time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer is longer than allowed.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// The address may not be called: local or private and not mapped, or no URL at all.
    #[error("address not permitted: {0}")]
    Forbidden(String),
}

impl HttpError {
    /// How the reason begins if there was a connection but no agreement on its encryption.
    const TLS: &str = "TLS: ";

    /// Whether the reason of [`HttpError::Connect`] is one of encryption or certificates.
    #[must_use]
    pub fn is_tls(reason: &str) -> bool {
        reason.starts_with(Self::TLS)
    }
}

/// Sends requests. Redirects are not followed, compressed answers are not decoded.
pub trait HttpClient: Send + Sync + std::fmt::Debug + 'static {
    /// Sends one request. Dropping the future closes its connection.
    ///
    /// # Errors
    /// See [`HttpError`]. An answer of any status is `Ok`.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>>;
}
