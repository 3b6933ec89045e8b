//! `[buckets."NAME"]`: where the objects of a bucket go.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, Home, Secret};

/// Where a bucket's objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Into this directory.
    Dir(PathBuf),
    /// To an S3-compatible store.
    #[cfg(feature = "network")]
    S3(S3Bucket),
    /// To Google Cloud Storage.
    #[cfg(feature = "network")]
    Google(GoogleBucket),
    /// To Azure Blob Storage.
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
    /// Its name there.
    pub bucket: String,
    /// The file of a service account's key; `None` takes the application default credentials.
    pub credentials: Option<PathBuf>,
    /// Whether requests carry no credentials, for emulators.
    pub anonymous: bool,
    /// URL of another service than Google's own.
    pub endpoint: Option<String>,
}

/// A container of Azure Blob Storage.
#[cfg(feature = "network")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureBucket {
    /// The storage account.
    pub account: String,
    /// The container's name.
    pub container: String,
    /// The account's key; `None` takes the identity of the environment.
    pub access_key: Option<Secret>,
    /// URL of another service than Azure's own, up to the container.
    pub endpoint: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BucketSection {
    dir: Option<PathBuf>,
    endpoint: Option<String>,
    region: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    google: Option<GoogleSection>,
    azure: Option<AzureSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "network"), expect(dead_code, reason = "parsed all the same, for the better error"))]
struct GoogleSection {
    bucket: Option<String>,
    credentials: Option<PathBuf>,
    #[serde(default)]
    anonymous: bool,
    endpoint: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "network"), expect(dead_code, reason = "parsed all the same, for the better error"))]
struct AzureSection {
    account: String,
    container: Option<String>,
    access_key: Option<Secret>,
    endpoint: Option<String>,
}

impl BucketSection {
    /// # Errors
    /// [`ConfigError`] names the section and what is wrong with it.
    pub(super) fn validate(self, name: &str, home: &Home) -> Result<Bucket, ConfigError> {
        let wrong = |what: &str| ConfigError(format!("[buckets.{name:?}]: {what}"));
        let s3 = self.endpoint.is_some()
            || self.region.is_some()
            || self.access_key_id.is_some()
            || self.secret_access_key.is_some();
        let kinds = [self.dir.is_some(), s3, self.google.is_some(), self.azure.is_some()];
        if kinds.into_iter().filter(|kind| *kind).count() > 1 {
            return Err(wrong("give one of dir, google, azure and the keys of an S3-compatible store, not two"));
        }
        match self.dir {
            Some(dir) => Ok(Bucket::Dir(home.path(dir))),
            None => self.validate_store(name, home, &wrong),
        }
    }

    #[cfg(not(feature = "network"))]
    fn validate_store(self, _: &str, _: &Home, wrong: &dyn Fn(&str) -> ConfigError) -> Result<Bucket, ConfigError> {
        Err(wrong("this build knows directories only; build it with the feature network"))
    }

    #[cfg(feature = "network")]
    fn validate_store(
        self,
        name: &str,
        home: &Home,
        wrong: &dyn Fn(&str) -> ConfigError,
    ) -> Result<Bucket, ConfigError> {
        let checked = |endpoint: Option<String>, key: &str| match endpoint {
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                Err(wrong(&format!("{key} must begin with http:// or https://")))
            }
            other => Ok(other),
        };
        if let Some(google) = self.google {
            if google.anonymous && google.credentials.is_some() {
                return Err(wrong("google.anonymous needs no google.credentials"));
            }
            return Ok(Bucket::Google(GoogleBucket {
                bucket: google.bucket.unwrap_or_else(|| name.to_owned()),
                credentials: google.credentials.map(|path| home.path(path)),
                anonymous: google.anonymous,
                endpoint: checked(google.endpoint, "google.endpoint")?,
            }));
        }
        if let Some(azure) = self.azure {
            return Ok(Bucket::Azure(AzureBucket {
                account: azure.account,
                container: azure.container.unwrap_or_else(|| name.to_owned()),
                access_key: azure.access_key,
                endpoint: checked(azure.endpoint, "azure.endpoint")?,
            }));
        }
        let keys = match (self.access_key_id, self.secret_access_key) {
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, None) => None,
            _ => return Err(wrong("access_key_id and secret_access_key go together")),
        };
        let region = self.region.unwrap_or_else(|| "us-east-1".to_owned());
        Ok(Bucket::S3(S3Bucket { endpoint: checked(self.endpoint, "endpoint")?, region, keys }))
    }
}

#[cfg(all(test, feature = "network"))]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::cli::ServeArgs;

    fn bucket(section: &str) -> Result<Bucket, String> {
        let config = Config::new(&ServeArgs::default(), Some(&format!("[buckets.\"lake\"]\n{section}")));
        config.map(|config| config.buckets["lake"].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_kind_of_store() {
        let google = |bucket: &str, credentials: Option<&str>, anonymous, endpoint: Option<&str>| {
            Bucket::Google(GoogleBucket {
                bucket: bucket.into(),
                credentials: credentials.map(PathBuf::from),
                anonymous,
                endpoint: endpoint.map(str::to_owned),
            })
        };
        let azure = |container: &str, endpoint: Option<&str>| {
            let (account, endpoint) = ("account".into(), endpoint.map(str::to_owned));
            Bucket::Azure(AzureBucket { account, container: container.into(), access_key: None, endpoint })
        };
        let s3 = S3Bucket { endpoint: None, region: "us-east-1".into(), keys: None };
        let rows = [
            ("dir = \"x\"", Bucket::Dir("x".into())),
            ("", Bucket::S3(s3.clone())),
            ("region = \"eu-west-1\"", Bucket::S3(S3Bucket { region: "eu-west-1".into(), ..s3 })),
            ("google = {}", google("lake", None, false, None)),
            ("google = { bucket = \"b\", credentials = \"key.json\" }", google("b", Some("key.json"), false, None)),
            (
                "google = { anonymous = true, endpoint = \"http://127.0.0.1:4443\" }",
                google("lake", None, true, Some("http://127.0.0.1:4443")),
            ),
            ("azure = { account = \"account\" }", azure("lake", None)),
            (
                "azure = { account = \"account\", container = \"c\", endpoint = \"http://127.0.0.1:10000/account\" }",
                azure("c", Some("http://127.0.0.1:10000/account")),
            ),
        ];
        for (section, wanted) in rows {
            assert_eq!(bucket(section), Ok(wanted), "{section}");
        }
    }

    #[test]
    fn the_region_of_a_bucket_is_the_one_that_is_signed_for() {
        let region = |section: &str| {
            let config = Config::new(&ServeArgs::default(), Some(&format!("[buckets.lake]\n{section}"))).unwrap();
            assert_eq!(config.region_of_bucket("other"), None);
            config.region_of_bucket("lake").map(str::to_owned)
        };
        assert_eq!(region("region = \"eu-west-1\""), Some("eu-west-1".to_owned()));
        assert_eq!(region("dir = \"x\""), None);
        assert_eq!(region("google = {}"), None);
    }

    #[test]
    fn each_mistake_is_named() {
        for (section, says) in [
            ("dir = \"x\"\nendpoint = \"http://y\"", "not two"),
            ("dir = \"x\"\nsecret_access_key = \"y\"", "not two"),
            ("dir = \"x\"\ngoogle = {}", "not two"),
            ("google = {}\nazure = { account = \"a\" }", "not two"),
            ("access_key_id = \"x\"", "go together"),
            ("endpoint = \"localhost:9000\"", "endpoint must begin with http://"),
            ("google = { endpoint = \"gs://x\" }", "google.endpoint must begin"),
            ("google = { anonymous = true, credentials = \"k\" }", "google.anonymous"),
            ("google = { key = \"k\" }", "key"),
            ("azure = {}", "account"),
            ("azure = { account = \"a\", endpoint = \"x\" }", "azure.endpoint must begin"),
        ] {
            let error = bucket(section).unwrap_err();
            assert!(error.contains(says), "{section}: {error}");
            // Of what does not parse the line is named.
            assert!(error.contains("[buckets.\"lake\"]") || error.starts_with("line 2: "), "{section}: {error}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let s3 = "endpoint = \"http://127.0.0.1:1\"\naccess_key_id = \"id\"\nsecret_access_key = \"hush\"";
        let Ok(Bucket::S3(S3Bucket { keys: Some((_, secret)), .. })) = bucket(s3) else { panic!() };
        assert_eq!(secret.expose(), "hush");
        for section in [s3, "azure = { account = \"a\", access_key = \"hush\" }"] {
            assert!(!format!("{:?}", bucket(section).unwrap()).contains("hush"));
        }
    }
}
