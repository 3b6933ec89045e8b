//! Who sends requests to destinations and functions.

use levada_core::engine::BoxFuture;
use levada_delivery::http::{HttpClient, HttpError, HttpRequest, HttpResponse};

/// A client for where there is no network: builds without the feature `network`, tests.
#[derive(Clone, Copy, Debug)]
pub struct NoNetwork;

impl HttpClient for NoNetwork {
    fn send(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async { Err(HttpError::Connect("this node has no network".to_owned())) })
    }
}

#[cfg(feature = "network")]
mod real {
    use std::sync::Arc;

    use levada_delivery::http::HttpClient;
    use levada_delivery::http::client::{Client, ClientConfig, ClientError};

    use crate::config::Config;

    /// The client that a configuration asks for, one for a node.
    ///
    /// # Errors
    /// If its certificates are none, or the libraries refuse.
    pub fn client(config: &Config) -> Result<Arc<dyn HttpClient>, ClientError> {
        Ok(Arc::new(Client::new(&ClientConfig { extra_ca: config.extra_ca.clone() })?))
    }
}

#[cfg(feature = "network")]
pub use real::client;
