//! `[buckets."NAME"]`: where the objects of a bucket go.
//!
//! ```toml
//! [buckets."archive"]
//! dir = "/srv/archive"
//!
//! [buckets."lake"]                     # an S3-compatible store; AWS itself without endpoint
//! endpoint = "http://127.0.0.1:9000"
//! region = "us-east-1"
//! access_key_id = "…"                  # without keys: the AWS SDK's chain
//! secret_access_key = "…"
//!
//! [buckets."frankfurt"]
//! store = "google"
//! bucket = "my-lake"                   # NAME if absent
//! credentials_file = "key.json"        # of a service account; without: those of the environment or instance
//!
//! [buckets."dublin"]
//! store = "azure"
//! account = "levada"
//! container = "my-lake"                # NAME if absent
//! access_key = "…"                     # without: a managed or workload identity
//! ```
//!
//! `endpoint` names another service than Google's or Azure's own; `anonymous = true` sends no credentials to it.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, Secret};

/// Where a bucket's objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Into this directory.
    Dir(PathBuf),
    /// To an S3-compatible store.
    #[cfg(feature = "network")]
    S3(S3Bucket),
    /// To a bucket of Google Cloud Storage.
    #[cfg(feature = "network")]
    Google(GoogleBucket),
    /// To a container of Azure Blob Storage.
    #[cfg(feature = "network")]
    Azure(AzureBucket),
}

/// An S3-compatible store.
#[cfg(feature = "network")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Bucket {
    /// URL of the store; `None` is AWS itself.
    pub endpoint: Option<String>,
    /// Region to sign for.
    pub region: String,
    /// Keys; `None` takes the AWS SDK's chain (environment, profile, instance).
    pub keys: Option<(String, Secret)>,
}

/// A bucket of Google Cloud Storage.
#[cfg(feature = "network")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleBucket {
    /// Its name.
    pub bucket: String,
    /// The key of a service account; `None` takes the credentials of the environment or instance.
    pub credentials_file: Option<PathBuf>,
    /// Sends no credentials.
    pub anonymous: bool,
    /// URL of another service.
    pub endpoint: Option<String>,
}

/// A container of Azure Blob Storage.
#[cfg(feature = "network")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureBucket {
    /// Name of the storage account.
    pub account: String,
    /// Name of the container.
    pub container: String,
    /// `None` takes a managed or workload identity.
    pub access_key: Option<Secret>,
    /// URL of another service.
    pub endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Store {
    #[default]
    S3,
    Google,
    Azure,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BucketSection {
    dir: Option<PathBuf>,
    store: Option<Store>,
    endpoint: Option<String>,
    region: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    bucket: Option<String>,
    credentials_file: Option<PathBuf>,
    anonymous: Option<bool>,
    account: Option<String>,
    container: Option<String>,
    access_key: Option<Secret>,
}

impl BucketSection {
    /// Whether each key was given, with the stores that it is for.
    fn given(&self) -> [(&'static str, bool, &'static [Store]); 10] {
        use Store::{Azure, Google, S3};
        [
            ("endpoint", self.endpoint.is_some(), &[S3, Google, Azure]),
            ("region", self.region.is_some(), &[S3]),
            ("access_key_id", self.access_key_id.is_some(), &[S3]),
            ("secret_access_key", self.secret_access_key.is_some(), &[S3]),
            ("bucket", self.bucket.is_some(), &[Google]),
            ("credentials_file", self.credentials_file.is_some(), &[Google]),
            ("anonymous", self.anonymous.is_some(), &[Google]),
            ("account", self.account.is_some(), &[Azure]),
            ("container", self.container.is_some(), &[Azure]),
            ("access_key", self.access_key.is_some(), &[Azure]),
        ]
    }

    pub(super) fn validate(mut self, name: &str) -> Result<Bucket, ConfigError> {
        let wrong = |what: &str| Err(ConfigError(format!("[buckets.{name:?}]: {what}")));
        let store = self.store.unwrap_or_default();
        if let Some(dir) = self.dir.take() {
            if self.store.is_some() || self.given().iter().any(|(_, given, _)| *given) {
                return wrong("give either dir or the keys of a store, not both");
            }
            return Ok(Bucket::Dir(dir));
        }
        if let Some((key, ..)) = self.given().iter().find(|(_, given, of)| *given && !of.contains(&store)) {
            return wrong(&format!("{key} is not a key of this store"));
        }
        if self.endpoint.as_deref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return wrong("endpoint must begin with http:// or https://");
        }
        self.of_store(store, name, &wrong)
    }

    #[cfg(not(feature = "network"))]
    fn of_store(
        self,
        _: Store,
        _: &str,
        wrong: &dyn Fn(&str) -> Result<Bucket, ConfigError>,
    ) -> Result<Bucket, ConfigError> {
        wrong("this build knows directories only; build it with the feature network")
    }

    #[cfg(feature = "network")]
    fn of_store(
        self,
        store: Store,
        name: &str,
        wrong: &dyn Fn(&str) -> Result<Bucket, ConfigError>,
    ) -> Result<Bucket, ConfigError> {
        let endpoint = self.endpoint;
        match store {
            Store::S3 => {
                let keys = match (self.access_key_id, self.secret_access_key) {
                    (Some(id), Some(secret)) => Some((id, secret)),
                    (None, None) => None,
                    _ => return wrong("access_key_id and secret_access_key go together"),
                };
                let region = self.region.unwrap_or_else(|| "us-east-1".to_owned());
                Ok(Bucket::S3(S3Bucket { endpoint, region, keys }))
            }
            Store::Google => {
                let anonymous = self.anonymous.unwrap_or(false);
                if anonymous && self.credentials_file.is_some() {
                    return wrong("give either anonymous or credentials_file, not both");
                }
                let bucket = self.bucket.unwrap_or_else(|| name.to_owned());
                Ok(Bucket::Google(GoogleBucket {
                    bucket,
                    credentials_file: self.credentials_file,
                    anonymous,
                    endpoint,
                }))
            }
            Store::Azure => {
                let Some(account) = self.account else { return wrong("account is missing") };
                let container = self.container.unwrap_or_else(|| name.to_owned());
                Ok(Bucket::Azure(AzureBucket { account, container, access_key: self.access_key, endpoint }))
            }
        }
    }
}

#[cfg(all(test, feature = "network"))]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::cli::ServeArgs;

    fn bucket(section: &str) -> Result<Bucket, String> {
        let file = format!("[buckets.b]\n{section}");
        let config = Config::new(&ServeArgs::default(), Some(&file)).map_err(|error| error.to_string())?;
        Ok(config.buckets["b"].clone())
    }

    #[test]
    fn each_store_has_its_keys() {
        let google = GoogleBucket { bucket: "b".into(), credentials_file: None, anonymous: false, endpoint: None };
        let azure = AzureBucket { account: "a".into(), container: "b".into(), access_key: None, endpoint: None };
        let aws = S3Bucket { endpoint: None, region: "us-east-1".into(), keys: None };
        for (section, expected) in [
            ("dir = \"x\"", Bucket::Dir("x".into())),
            ("", Bucket::S3(aws.clone())),
            ("store = \"s3\"\nregion = \"eu-west-1\"", Bucket::S3(S3Bucket { region: "eu-west-1".into(), ..aws })),
            ("store = \"google\"", Bucket::Google(google.clone())),
            (
                "store = \"google\"\nbucket = \"c\"\nanonymous = true\nendpoint = \"http://127.0.0.1:1\"",
                Bucket::Google(GoogleBucket {
                    bucket: "c".into(),
                    anonymous: true,
                    endpoint: Some("http://127.0.0.1:1".into()),
                    ..google
                }),
            ),
            ("store = \"azure\"\naccount = \"a\"", Bucket::Azure(azure.clone())),
            (
                "store = \"azure\"\naccount = \"a\"\ncontainer = \"c\"",
                Bucket::Azure(AzureBucket { container: "c".into(), ..azure }),
            ),
        ] {
            assert_eq!(bucket(section), Ok(expected), "{section}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (section, says) in [
            ("dir = \"x\"\nendpoint = \"http://y\"", "not both"),
            ("dir = \"x\"\nstore = \"google\"", "not both"),
            ("access_key_id = \"x\"", "go together"),
            ("endpoint = \"localhost:9000\"", "http://"),
            ("store = \"tape\"", "tape"),
            ("store = \"azure\"", "account is missing"),
            ("store = \"azure\"\naccount = \"a\"\nregion = \"r\"", "region is not a key"),
            ("account = \"a\"", "account is not a key"),
            ("store = \"google\"\naccess_key = \"a\"", "access_key is not a key"),
            ("store = \"google\"\nanonymous = true\ncredentials_file = \"k\"", "not both"),
        ] {
            let error = bucket(section).unwrap_err();
            assert!(error.contains(says), "{section}: {error}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        for section in [
            "access_key_id = \"id\"\nsecret_access_key = \"hush\"",
            "store = \"azure\"\naccount = \"a\"\naccess_key = \"hush\"",
        ] {
            assert!(!format!("{:?}", bucket(section).unwrap()).contains("hush"));
        }
    }
}
