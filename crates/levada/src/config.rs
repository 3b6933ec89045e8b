//! Configuration: flags, environment and file, merged and validated into a [`Config`] that cannot be wrong afterwards.

mod buckets;
mod destinations;
mod limits;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use levada_core::catalog::Account;
use serde::Deserialize;

pub use self::buckets::Bucket;
#[cfg(feature = "network")]
pub use self::buckets::{AzureBucket, GoogleBucket, S3Bucket};
pub use self::destinations::{Destinations, FunctionTarget};
pub use self::limits::{Limits, ORDINARY_RECORD_BYTES, PutLimits, ShardLimits};
use crate::cli::{AuthMode, LifecycleMode, ServeArgs};

/// Default listening port: kinesalite's, which people's configurations already name.
pub const DEFAULT_PORT: u16 = 4567;

/// Default ceiling of a delivery stream's undelivered records in bytes. At 5 MiB/s, the largest Direct PUT quota
/// of AWS, a destination may be away for about an hour before `Slow down.`
pub const DEFAULT_BACKLOG_BYTES: u64 = 16 << 30;

/// Default bytes of the file system that Levada leaves free: below, puts are refused and reads go on.
pub const DEFAULT_FREE_BYTES: u64 = 256 << 20;

/// Default ceiling of what deliveries hold in memory, in bytes.
pub const DEFAULT_DELIVERY_MEMORY_BYTES: u64 = 400 << 20;

/// Least ceiling of that. An object or a batch that is larger than its part of the ceiling is worked on alone.
pub const MIN_DELIVERY_MEMORY_BYTES: u64 = 16 << 20;

/// Default ceiling of connections.
pub const DEFAULT_CONNECTIONS: u32 = 10_000;

/// A node's validated configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Where data is kept.
    pub data_dir: DataDir,
    /// Account of callers whose access key id names none.
    pub account: Account,
    /// Region of callers whose signature names none.
    pub region: String,
    /// Connections that there may be at a time.
    pub connections: usize,
    /// Which limits hold.
    pub limits: Limits,
    /// How long transitions last.
    pub lifecycle: LifecycleMode,
    /// Whether requests without a credential are served.
    pub serve_anybody: bool,
    /// Whether the clock is believed at the start, however far it is from what the data directory last saw.
    pub trust_clock: bool,
    /// Whether the test controls are offered.
    pub test_controls: bool,
    /// Buckets that are not directories under the data directory.
    pub buckets: BTreeMap<String, Bucket>,
    /// Whether all other buckets are directories under the data directory.
    pub local_buckets: bool,
    /// How functions and endpoints are reached.
    pub destinations: Destinations,
    /// Certificates in PEM that are trusted beside the system's.
    pub extra_ca: Option<Vec<u8>>,
    /// Ceiling of each delivery stream's undelivered bytes.
    pub backlog_bytes: u64,
    /// Bytes of the file system to leave free.
    pub free_bytes: u64,
    /// Ceiling of what deliveries hold in memory, in bytes.
    pub delivery_memory_bytes: u64,
}

/// Where data is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDir {
    /// In this directory.
    Kept(PathBuf),
    /// In a temporary directory, removed at the end.
    Ephemeral,
}

/// A secret that cannot print itself.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is wrong with a configuration, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    node: NodeSection,
    #[serde(default)]
    limits: limits::LimitsSection,
    #[serde(default)]
    lifecycle: LifecycleSection,
    #[serde(default)]
    buckets: BTreeMap<String, buckets::BucketSection>,
    #[serde(default)]
    endpoints: BTreeMap<String, String>,
    #[serde(default)]
    lambda: BTreeMap<String, destinations::FunctionSection>,
    #[serde(default)]
    tls: destinations::TlsSection,
    #[serde(default)]
    storage: StorageSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeSection {
    account: Option<String>,
    region: Option<String>,
    /// Connections that there may be at a time.
    connections: Option<u32>,
    /// Whether buckets that have no section are directories under the data directory.
    local_buckets: Option<bool>,
}

/// The directory of the configuration file, absolute: what is relative in the file is relative to it.
struct Home(Option<PathBuf>);

impl Home {
    fn of(args: &ServeArgs) -> Result<Self, ConfigError> {
        let Some(file) = args.config.as_deref() else { return Ok(Self(None)) };
        let file = std::path::absolute(file);
        let file = file.map_err(|error| ConfigError(format!("the directory of this process: {error}")))?;
        Ok(Self(file.parent().map(Path::to_owned)))
    }

    fn path(&self, path: PathBuf) -> PathBuf {
        match &self.0 {
            Some(home) => home.join(path),
            None => path,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LifecycleSection {
    mode: Option<LifecycleMode>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StorageSection {
    /// Ceiling of each delivery stream's undelivered bytes.
    backlog_bytes: Option<u64>,
    /// Bytes of the file system to leave free.
    free_bytes: Option<u64>,
    /// Ceiling of the objects, requests and batches that deliveries hold in memory.
    delivery_memory_bytes: Option<u64>,
}

impl StorageSection {
    fn delivery_memory_bytes(&self) -> Result<u64, ConfigError> {
        let bytes = self.delivery_memory_bytes.unwrap_or(DEFAULT_DELIVERY_MEMORY_BYTES);
        if bytes < MIN_DELIVERY_MEMORY_BYTES {
            return Err(ConfigError(format!(
                "[storage]: delivery_memory_bytes {bytes} is less than {MIN_DELIVERY_MEMORY_BYTES}"
            )));
        }
        Ok(bytes)
    }
}

impl Config {
    /// Merges flags (which already carry the environment) with the text of the configuration file, and reads the
    /// certificates that it names.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and what is wrong with it.
    pub fn new(args: &ServeArgs, file: Option<&str>) -> Result<Self, ConfigError> {
        let file: File = match file {
            Some(text) => toml::from_str(text).map_err(|error| unreadable(&error, text))?,
            None => File::default(),
        };
        let listen = args.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
        if !listen.ip().is_loopback() && args.auth.is_none() {
            return Err(ConfigError(format!(
                "{listen} is not a loopback address and requests are not authenticated by this version: \
                 pass --auth none to serve it all the same"
            )));
        }
        let account = args.account.clone().or(file.node.account).unwrap_or_else(|| "000000000000".to_owned());
        let account =
            Account::new(&account).ok_or_else(|| ConfigError(format!("account {account:?} is not 12 digits")))?;
        let data_dir = if args.ephemeral {
            DataDir::Ephemeral
        } else {
            DataDir::Kept(args.data_dir.clone().unwrap_or_else(|| PathBuf::from("levada-data")))
        };
        let connections = file.node.connections.unwrap_or(DEFAULT_CONNECTIONS);
        if connections == 0 {
            return Err(ConfigError("[node]: connections must be at least 1".to_owned()));
        }
        let home = Home::of(args)?;
        let mut buckets = BTreeMap::new();
        for (name, section) in file.buckets {
            let bucket = section.validate(&name, &home)?;
            buckets.insert(name, bucket);
        }
        let certificates =
            |path| read(&home.path(path)).map_err(|ConfigError(what)| ConfigError(format!("[tls] extra_ca: {what}")));
        let extra_ca = file.tls.extra_ca.map(certificates).transpose()?;
        Ok(Self {
            listen,
            data_dir,
            account,
            region: file.node.region.unwrap_or_else(|| "us-east-1".to_owned()),
            connections: connections as usize,
            limits: file.limits.validate(args.limits)?,
            lifecycle: args.lifecycle.or(file.lifecycle.mode).unwrap_or(LifecycleMode::Instant),
            serve_anybody: args.auth == Some(AuthMode::None),
            trust_clock: args.trust_clock,
            test_controls: args.test_controls,
            buckets,
            local_buckets: file.node.local_buckets.unwrap_or(true),
            destinations: destinations::validate(file.endpoints, file.lambda, &home)?,
            extra_ca,
            backlog_bytes: file.storage.backlog_bytes.unwrap_or(DEFAULT_BACKLOG_BYTES),
            free_bytes: file.storage.free_bytes.unwrap_or(DEFAULT_FREE_BYTES),
            delivery_memory_bytes: file.storage.delivery_memory_bytes()?,
        })
    }

    /// The region of a bucket, if the configuration says one.
    #[must_use]
    pub fn region_of_bucket(&self, name: &str) -> Option<&str> {
        match self.buckets.get(name)? {
            #[cfg(feature = "network")]
            Bucket::S3(s3) => Some(&s3.region),
            #[cfg(feature = "network")]
            Bucket::Google(_) | Bucket::Azure(_) => None,
            Bucket::Dir(_) => None,
        }
    }

    /// Reads the file that `args` name and merges it.
    ///
    /// # Errors
    /// [`ConfigError`] also if the file cannot be read.
    pub fn load(args: &ServeArgs) -> Result<Self, ConfigError> {
        let Some(path) = args.config.as_deref() else { return Self::new(args, None) };
        let text = String::from_utf8(read(path)?);
        let text = text.map_err(|_| ConfigError(format!("{}: not UTF-8", path.display())))?;
        Self::new(args, Some(&text))
    }
}

/// What is wrong with the file and where, without what stands there: it may be a secret, and this is printed.
fn unreadable(error: &toml::de::Error, text: &str) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    // Serde shows the value that it found, then what it wanted.
    let message = error.message();
    let wanted = message.strip_prefix("invalid ").and_then(|found| found.rsplit_once(", expected "));
    match wanted {
        Some((_, wanted)) => ConfigError(format!("line {line}: expected {wanted}")),
        None => ConfigError(format!("line {line}: {}", message.trim_end())),
    }
}

/// Reads a file of the operator's.
#[allow(clippy::disallowed_methods, reason = "the configuration is the operator's file, not Levada's data")]
fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| ConfigError(format!("{}: {error}", path.display())))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test writes the operator's files")]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        Config::new(&ServeArgs::default(), Some(text))
    }

    #[test]
    fn no_flag_is_needed() {
        let config = Config::new(&ServeArgs::default(), None).unwrap();
        assert_eq!(config.listen, "127.0.0.1:4567".parse().unwrap());
        assert_eq!(config.data_dir, DataDir::Kept("levada-data".into()));
        assert_eq!(config.account.as_str(), "000000000000");
        assert_eq!((config.region.as_str(), config.connections), ("us-east-1", 10_000));
        assert!(config.limits.of("any").is_some() && !config.limits.are_strict());
        assert_eq!(config.lifecycle, LifecycleMode::Instant);
        assert!(!config.test_controls);
    }

    #[test]
    fn flags_win_over_the_file() {
        let args = ServeArgs { account: Some("111111111111".into()), ..ServeArgs::default() };
        let file = "[node]\naccount = \"222222222222\"\nregion = \"eu-west-1\"\n[limits]\nmode = \"open\"";
        let config = Config::new(&args, Some(file)).unwrap();
        assert_eq!(config.account.as_str(), "111111111111");
        assert_eq!(config.region, "eu-west-1");
        assert!(config.limits.of("any").is_none());
    }

    /// Wherever the process was started.
    #[test]
    fn paths_are_relative_to_the_file() {
        let home = tempfile::tempdir().unwrap();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let text = format!(
            "[buckets.a]\ndir = \"a\"\n[buckets.b]\ndir = \"/b\"\n[lambda.\"{arn}\"]\ncommand = [\"f\"]\n\
             [tls]\nextra_ca = \"ca.pem\""
        );
        let args = ServeArgs { config: Some(home.path().join("levada.toml")), ..ServeArgs::default() };
        let error = Config::new(&args, Some(&text)).unwrap_err().to_string();
        let ca = home.path().join("ca.pem");
        assert!(error.starts_with(&format!("[tls] extra_ca: {}: ", ca.display())), "{error}");
        std::fs::write(&ca, "certificate").unwrap();
        let config = Config::new(&args, Some(&text)).unwrap();
        assert_eq!(config.extra_ca.as_deref(), Some(&b"certificate"[..]));
        assert_eq!(config.buckets["a"], Bucket::Dir(home.path().join("a")));
        assert_eq!(config.buckets["b"], Bucket::Dir("/b".into()));
        let command = FunctionTarget::Command { command: vec!["f".to_owned()], dir: Some(home.path().to_owned()) };
        assert_eq!(config.destinations.function(arn), Some(&command));
    }

    #[test]
    fn an_open_address_must_be_asked_for() {
        let mut args = ServeArgs { listen: Some("0.0.0.0:4567".parse().unwrap()), ..ServeArgs::default() };
        assert!(Config::new(&args, None).unwrap_err().to_string().contains("--auth none"));
        args.auth = Some(AuthMode::None);
        Config::new(&args, None).unwrap();
    }

    #[test]
    fn each_mistake_is_named() {
        for (file, says) in [
            ("[node]\naccount = \"12\"", "not 12 digits"),
            ("[nodes]", "nodes"),
            ("[node]\nconnections = 0", "at least 1"),
            ("[limits]\nmultiple = 0", "[limits]: multiple"),
            ("[storage]\ndelivery_memory_bytes = 1000000", "[storage]: delivery_memory_bytes"),
        ] {
            let error = from_file(file).unwrap_err().to_string();
            assert!(error.contains(says), "{file}: {error}");
        }
    }

    /// The line and what is wrong, but nothing of what stands there.
    #[test]
    fn no_mistake_prints_a_secret() {
        for (file, says) in [
            ("\n[buckets.\"x\"]\nsecret_acces_key = \"4711\"", "line 3: unknown field `secret_acces_key`"),
            ("[buckets.x]\nsecret_access_key = 4711", "line 2: expected"),
            ("[buckets.x]\nsecret_access_key = [\"4711\"]", "line 2: expected"),
            ("[buckets.x]\nsecret_access_key = hush4711+=", "line 2: "),
            ("[buckets.x]\nsecret_access_key = 4711hush", "line 2: "),
            ("[buckets.x]\nsecret_access_key = 'hush4711", "line 2: "),
            ("[buckets.x]\nsecret_access_key = \"hush\\4711\"", "line 2: "),
            ("[buckets.x]\nsecret_access_key \"4711\"", "line 2: "),
            ("[buckets.x]\nsecret_access_key = \"a\"\nsecret_access_key = \"4711\"", "line 3: "),
            ("[buckets]\nx = \"4711\"", "line 2: expected"),
            ("\nendpoints = \"https://user:4711@localhost\"", "line 2: expected"),
            ("[node]\nconnections = -4711", "line 2: expected u32"),
        ] {
            let error = from_file(file).unwrap_err().to_string();
            assert!(error.starts_with(says), "{file}: {error}");
            assert!(!error.contains("4711") && !error.contains("hush"), "{file}: {error}");
        }
    }
}
