//! The client that uses the network.
//!
//! Architecture invariant: no connection is made to an address that was not checked, unless the operator mapped the
//! URL. A name is resolved once; all of its addresses are checked, and the connection goes to one of these.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use levada_core::engine::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Url, redirect, retry};

use super::{Address, BadAddress, HttpClient, HttpError, HttpRequest, HttpResponse, Method, Secret, forbidden};

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection without requests is kept: less than servers do, so that none closes one just as a request is
/// sent on it, which would cost an attempt (gunicorn keeps them 2 s, Node.js and uvicorn 5 s). A backlog goes without
/// pauses, so that it needs no longer time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections without requests that are kept for one host.
const MAX_IDLE_PER_HOST: usize = 8;

/// What a client is made of.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// Certificates in PEM that are trusted beside those of the system.
    pub extra_ca: Option<Vec<u8>>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The extra certificates cannot be read.
    #[error("the extra certificates: {0}")]
    ExtraCa(String),
    /// The libraries refuse to work.
    #[error("no HTTP client: {0}")]
    Library(String),
}

/// Sends requests over the network: HTTP/1.1, or HTTP/2 where a server offers it within TLS. No proxy, no redirects, no
/// cookies, no requests sent twice.
pub struct Client {
    /// For URLs as they came through the API.
    public: reqwest::Client,
    /// For those that the operator mapped.
    mapped: reqwest::Client,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Makes a client; one serves a whole node.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        // An error says that another part of the process has chosen already: fine as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let extra = match &config.extra_ca {
            Some(pem) => Certificate::from_pem_bundle(pem).map_err(|error| ClientError::ExtraCa(cause(&error)))?,
            None => Vec::new(),
        };
        if config.extra_ca.is_some() && extra.is_empty() {
            return Err(ClientError::ExtraCa("there is no certificate in them".to_owned()));
        }
        Ok(Self {
            public: build(|| base().https_only(true).dns_resolver(Arc::new(CheckedNames)), &extra)?,
            mapped: build(base, &extra)?,
        })
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = url(&request.address, &request.path)?;
        let client = if request.address.mapped.is_some() { &self.mapped } else { &self.public };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let headers = headers(&request.headers, &request.secret_headers)?;
        let sent = client.request(method, url).headers(headers).body(request.body).send().await;
        let mut response = sent.map_err(|error| error_of(&error))?;
        let max = request.max_response_bytes;
        if response.content_length().is_some_and(|len| len > max as u64) {
            return Err(HttpError::TooLarge(max));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error_of(&error))? {
            if body.len() + chunk.len() > max {
                return Err(HttpError::TooLarge(max));
            }
            body.extend_from_slice(&chunk);
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok(HttpResponse { status: response.status().as_u16(), headers, body: body.freeze() })
    }
}

impl HttpClient for Client {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let timeout = request.timeout;
        let exchange = self.exchange(request);
        Box::pin(
            async move { tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(HttpError::Timeout(timeout))) },
        )
    }
}

fn base() -> ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .user_agent(concat!("levada/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        // As AWS spells them; some receivers look for names with their case.
        .http1_title_case_headers()
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
}

/// A client that trusts the system's certificates and the extra ones. A system without any, as small containers are,
/// must not keep a node from starting: it may have no destination that needs them.
fn build(base: impl Fn() -> ClientBuilder, extra: &[Certificate]) -> Result<reqwest::Client, ClientError> {
    let library = |error: &reqwest::Error| ClientError::Library(cause(error));
    base().tls_certs_merge(extra.iter().cloned()).build().or_else(|error| {
        tracing::warn!(reason = cause(&error), "no certificates of the system: no https destination will be trusted");
        base().tls_certs_only(extra.iter().cloned()).build().map_err(|error| library(&error))
    })
}

/// What is called: the target of the address, and the path after it.
fn url(address: &Address, path: &str) -> Result<Url, HttpError> {
    let refused = |bad: BadAddress| HttpError::Forbidden(bad.to_string());
    address.check().map_err(refused)?;
    let target = address.target();
    let whole = if path.is_empty() { target.to_owned() } else { format!("{}{path}", target.trim_end_matches('/')) };
    let url = Url::parse(&whole).map_err(|error| HttpError::Forbidden(error.to_string()))?;
    // The check above reads addresses in their usual form; URLs know more of them (`https://2130706433/`).
    let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    match literal.and_then(forbidden) {
        Some(kind) if address.mapped.is_none() => Err(refused(BadAddress::Forbidden(kind))),
        _ => Ok(url),
    }
}

fn headers(open: &[(String, String)], secret: &[(String, Secret)]) -> Result<HeaderMap, HttpError> {
    let open = open.iter().map(|(name, value)| (name, value.as_str(), false));
    let secret = secret.iter().map(|(name, value)| (name, value.reveal(), true));
    let mut headers = HeaderMap::new();
    for (name, value, is_secret) in open.chain(secret) {
        let unsendable = || HttpError::Forbidden(format!("the header {name} cannot be sent"));
        let mut value = HeaderValue::from_str(value).map_err(|_| unsendable())?;
        value.set_sensitive(is_secret);
        headers.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable())?, value);
    }
    Ok(headers)
}

/// Resolves names, and refuses those that have an address which may not be called.
struct CheckedNames;

/// A refusal of [`CheckedNames`].
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to {0}")]
struct Refused(&'static str);

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            checked(&found)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// One address that may not be called spoils all: whoever runs that name's servers chooses among them.
fn checked(addresses: &[SocketAddr]) -> Result<(), Refused> {
    addresses.iter().find_map(|address| forbidden(address.ip())).map_or(Ok(()), |kind| Err(Refused(kind)))
}

fn error_of(error: &reqwest::Error) -> HttpError {
    let mut current: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return HttpError::Forbidden(refused.to_string());
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return HttpError::Connect(format!("{}{tls:?}", HttpError::TLS));
        }
        current = inner(error);
    }
    let reason = cause(error);
    if error.is_builder() {
        HttpError::Forbidden(reason)
    } else if error.is_connect() {
        HttpError::Connect(reason)
    } else {
        HttpError::Closed(reason)
    }
}

/// What an error wraps. One of I/O leaves it out when it is asked for its source.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The innermost reason. The outer ones name the URL, which may hold a secret.
fn cause(error: &reqwest::Error) -> String {
    let mut cause = inner(error);
    while let Some(next) = cause.and_then(inner) {
        cause = Some(next);
    }
    match cause {
        Some(cause) => cause.to_string(),
        None if error.is_timeout() => "timed out".to_owned(),
        None => "the request failed".to_owned(),
    }
}

#[cfg(test)]
mod tests;
