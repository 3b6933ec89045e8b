//! A node: the engine, the catalog, the delivery workers and what answers requests, put together.

mod workers;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use levada_core::catalog::DeliveryStatus;
use levada_core::engine::{Engine, EngineError};
use levada_core::env::{Clock, Disk, Open, Random};
use levada_core::iterator::TokenKey;
use levada_delivery::http::HttpClient;
use levada_delivery::process::{ChainEnv, Interpreters};
use levada_delivery::source::{Pump, Pumps};
use levada_delivery::{Blocking, Buckets, Delivery, Env, Handle, Tuning};
use levada_log::{EmbeddedLog, Options};
use tokio::sync::{Notify, watch};

use crate::clock::MovableClock;
use crate::config::Config;
use crate::deliveries::Assembly;
use crate::direct_put::DirectPut;
use crate::lifecycle::Hands;
use crate::memory::Answers;
use crate::metrics::{Metrics, Sample};
use crate::rates::Rates;
use crate::refused_puts::RefusedPuts;
use crate::registry::{self, Registry};
use crate::subscriptions::Subscriptions;
use crate::traffic::Traffic;
use crate::{lifecycle, retention, scaler, source};

/// How long an append may take before its records are answered with `InternalFailure`.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long uploads may go on after SIGTERM; what is not done by then is done after the next start.
const DELIVERY_GRACE: Duration = Duration::from_secs(5);

/// The world a node runs in.
pub struct Environment {
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub random: Arc<dyn Random>,
    /// Its disk.
    pub disk: Arc<dyn Disk>,
    /// How its log is laid out. The disk watermark is the configuration's.
    pub log: Options,
    /// Sends requests to destinations and functions.
    pub client: Arc<dyn HttpClient>,
    /// True for threads of its own for the log and for blocking calls; false to run as tasks of a one-thread
    /// runtime, as a simulation does.
    pub threads: bool,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be created.
    #[error("cannot create the data directory {}: {error}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A temporary directory cannot be created.
    #[error("cannot create a temporary directory: {0}")]
    Ephemeral(std::io::Error),
    /// The log's threads cannot be started.
    #[error("cannot start the threads of the log: {0}")]
    Threads(std::io::Error),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] levada_log::OpenError),
    /// The catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] registry::OpenError),
    /// Requests cannot be sent: the libraries or `[tls] extra_ca` are unusable.
    #[error("no HTTP client: {0}")]
    Client(String),
    /// A bucket's store cannot be used.
    #[error(transparent)]
    Bucket(#[from] crate::buckets::BadBucket),
    /// The key that seals iterators cannot be read or written.
    #[error("cannot keep the token key: {0}")]
    TokenKey(std::io::Error),
}

/// A running node.
pub struct Node {
    /// Its configuration.
    pub config: Config,
    /// Its clock; with `--test-controls` it can be advanced.
    pub clock: Arc<MovableClock>,
    /// Its randomness.
    pub random: Arc<dyn Random>,
    /// The engine, as everybody but start and end sees it.
    pub engine: Arc<dyn Engine>,
    /// The catalog.
    pub registry: Registry,
    /// What is counted.
    pub metrics: Metrics,
    /// What goes through each shard, and how much may.
    pub traffic: Traffic,
    /// What each delivery stream may take from its producers.
    pub direct_put: DirectPut,
    /// What is said of puts that they refuse.
    pub refused_puts: RefusedPuts,
    /// Memory for answers that wait for the network.
    pub answers: Answers,
    /// Who is subscribed to which shard.
    pub subscriptions: Arc<Subscriptions>,
    /// How often control operations may be called.
    pub rates: Rates,
    /// Seals iterators and tokens.
    pub token_key: TokenKey,
    /// Woken whenever the clock was moved by hand.
    pub clock_moved: Arc<Notify>,
    pub(crate) hands: Hands,
    log: Arc<EmbeddedLog>,
    delivery: Delivery,
    pub(crate) pumps: Pumps,
    assembly: Assembly,
    /// Held while a worker is told its configuration.
    configuring: Mutex<()>,
    buckets: Arc<Buckets>,
    deliveries: RwLock<BTreeMap<u64, Handle>>,
    /// Why those that have no worker have none.
    undeliverable: RwLock<BTreeMap<u64, Arc<str>>>,
    /// Of the delivery streams that read a data stream.
    sources: RwLock<BTreeMap<u64, Pump>>,
    ready: AtomicBool,
    stopping: watch::Sender<bool>,
    /// Undelivered records that went with deleted delivery streams, since the start.
    dropped_records: AtomicU64,
}

impl Node {
    /// Recovers the data directory `dir` and starts everything but the listener.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config, env: Environment, dir: &Path) -> Result<Arc<Self>, StartError> {
        make_directory(env.disk.as_ref(), dir)
            .map_err(|error| StartError::Directory { path: dir.to_owned(), error })?;
        let clock = Arc::new(MovableClock::new(Arc::clone(&env.clock)));
        let log = open_log(&config, &env, &clock, dir)?;
        let engine: Arc<dyn Engine> = Arc::clone(&log) as Arc<_>;
        let rules = crate::rules::rules(&config);
        let registry = Registry::open(Arc::clone(&engine), Arc::clone(&clock) as Arc<dyn Clock>, rules).await?;
        let token_key = token_key(env.disk.as_ref(), env.random.as_ref(), dir).map_err(StartError::TokenKey)?;
        let blocking = if env.threads { Blocking::Pool } else { Blocking::Inline };
        let buckets = Arc::new(crate::buckets::open(&config, &env.disk, blocking, dir)?);
        let delivery = Delivery::new(Env {
            engine: Arc::clone(&engine),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random: Arc::clone(&env.random),
            sink: Arc::clone(&buckets) as Arc<_>,
            blocking,
            tuning: Tuning::within(config.delivery_memory_bytes),
        });
        let pumps = Pumps::new(Arc::clone(&engine), Arc::clone(&env.random));
        let chain_env = ChainEnv {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random: Arc::clone(&env.random),
            blocking,
            interpreters: Interpreters::default(),
        };
        let assembly = Assembly::new(config.destinations.clone(), env.client, chain_env);
        let traffic = Traffic::new(Arc::clone(&clock) as Arc<dyn Clock>, config.limits.clone());
        let direct_put = DirectPut::new(Arc::clone(&clock) as Arc<dyn Clock>, config.limits.clone());
        let rates = Rates::new(Arc::clone(&clock) as Arc<dyn Clock>, config.limits.are_strict());
        let node = Arc::new(Self {
            refused_puts: RefusedPuts::new(Arc::clone(&clock) as Arc<dyn Clock>),
            config,
            clock,
            random: env.random,
            engine,
            registry,
            metrics: Metrics::default(),
            traffic,
            direct_put,
            answers: Answers::default(),
            subscriptions: Arc::default(),
            rates,
            token_key,
            clock_moved: Arc::default(),
            hands: Hands::default(),
            log,
            delivery,
            pumps,
            assembly,
            configuring: Mutex::default(),
            buckets,
            deliveries: RwLock::default(),
            undeliverable: RwLock::default(),
            sources: RwLock::default(),
            ready: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
            dropped_records: AtomicU64::new(0),
        });
        node.resume().await;
        tokio::spawn(lifecycle::run(Arc::downgrade(&node)));
        tokio::spawn(retention::run(Arc::downgrade(&node)));
        tokio::spawn(scaler::run(Arc::downgrade(&node)));
        node.ready.store(true, Ordering::SeqCst);
        Ok(node)
    }

    /// Finishes what the last run had decided but not completed, as far as it is due, and starts the delivery workers.
    async fn resume(self: &Arc<Self>) {
        self.assign_blocks().await;
        lifecycle::complete_overdue(self).await;
        let all: Vec<_> = self.registry.state().all_delivery_streams().map(|stream| stream.key()).collect();
        // Those whose creation was overdue are running already.
        all.iter().for_each(|key| self.configure_delivery(key));
    }

    /// Sleeps until the node's clock shows `due`, also when it is moved by hand meanwhile.
    pub async fn sleep_until(&self, due: u64) {
        loop {
            let moved = self.clock_moved.notified();
            let now = self.clock.now_ms();
            if now >= due {
                return;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(Duration::from_millis(due - now)) => {}
                () = moved => {}
            }
        }
    }

    /// Sleeps until `due` on the node's monotonic clock, also when it is moved by hand meanwhile.
    pub async fn sleep_until_elapsed(&self, due: Duration) {
        loop {
            let moved = self.clock_moved.notified();
            let left = due.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(left) => {}
                () = moved => {}
            }
        }
    }

    /// Advances the node's clock and wakes everybody who waits for a time.
    pub fn advance_clock(&self, ms: u64) {
        self.clock.advance(ms);
        self.clock_moved.notify_waiters();
        for handle in self.all_deliveries() {
            handle.nudge();
        }
    }

    /// True if objects for this bucket have a place to go.
    #[must_use]
    pub fn knows_bucket(&self, name: &str) -> bool {
        self.buckets.knows(name)
    }

    /// True while puts are refused for want of disk space.
    pub(crate) fn is_full(&self) -> bool {
        self.log.is_full()
    }

    /// True between recovery and shutdown.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// From now on `/readyz` says no, and answers that would go on end.
    pub fn not_ready(&self) {
        self.ready.store(false, Ordering::SeqCst);
        self.stopping.send_replace(true);
    }

    /// Resolves when the node is about to end.
    pub async fn stopping(&self) {
        // The sender lives as long as the node.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Resolves with the reason if the log poisons itself.
    pub fn died(&self) -> impl Future<Output = String> + Send + 'static {
        self.log.died()
    }

    /// Ends the workers and the log; the directory is clean afterwards.
    ///
    /// # Errors
    /// If the log did not end cleanly: the next start recovers it.
    pub async fn shutdown(&self) -> Result<(), EngineError> {
        self.not_ready();
        // First those that append, then those that deliver.
        let pumps = std::mem::take(&mut *self.sources.write().unwrap_or_else(PoisonError::into_inner));
        let stops: Vec<_> =
            pumps.into_values().map(|pump| tokio::spawn(async move { pump.stop(DELIVERY_GRACE).await })).collect();
        for stop in stops {
            let _ = stop.await;
        }
        let handles: Vec<_> = {
            let mut deliveries = self.deliveries.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *deliveries).into_values().collect()
        };
        let stops: Vec<_> =
            handles.into_iter().map(|h| tokio::spawn(async move { h.stop(DELIVERY_GRACE).await })).collect();
        for stop in stops {
            let _ = stop.await;
        }
        self.log.shutdown().await
    }

    /// What `/metrics` reads at the moment of the scrape.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let stats = self.log.stats();
        let node = |metric, help, value: f64| Sample { metric, help, labels: String::new(), value };
        let mut samples = vec![
            node(
                "levada_journal_backlog_bytes",
                "Journal bytes not yet in segments",
                stats.journal_backlog_bytes as f64,
            ),
            node(
                "levada_undrained_bytes",
                "Records in memory until they are in segments",
                stats.undrained_bytes as f64,
            ),
            node("levada_segments", "Segment files", stats.segments as f64),
            node("levada_segment_bytes", "Bytes of segment files", stats.segment_bytes as f64),
            node("levada_extents", "Pieces of logs in segments, 32 bytes of memory each", stats.extents as f64),
            node("levada_logs", "Logs: shards, and two or more for each delivery stream", stats.logs as f64),
            node("levada_open_files", "Open segment files", stats.open_files as f64),
            node("levada_commits_total", "Journal rounds", stats.commits as f64),
            node("levada_commit_seconds_total", "Time spent in journal rounds", stats.commit_nanos_total as f64 / 1e9),
            node("levada_subscriptions", "Live SubscribeToShard streams", self.subscriptions.count() as f64),
            node(
                "levada_subscription_bytes",
                "Large events that wait for the network",
                self.subscriptions.memory().used() as f64,
            ),
            node("levada_answer_bytes", "Answers that wait for the network", self.answers.used() as f64),
            node(
                "levada_disk_full",
                "1 while puts are refused for want of disk space",
                f64::from(u8::from(stats.full)),
            ),
        ];
        let state = self.registry.state();
        for stream in state.all_streams().filter(|stream| !stream.monitoring.is_empty()) {
            samples.extend(crate::metrics::shard_samples(stream, &self.traffic.loads(stream)));
        }
        for stream in state.all_delivery_streams() {
            samples.extend(self.direct_put.samples(stream));
            if let Some(pump) = self.sources.read().unwrap_or_else(PoisonError::into_inner).get(&stream.incarnation) {
                samples.extend(source::samples(stream, pump, self.clock.now_ms()));
            }
            if stream.status == DeliveryStatus::Active {
                let handle = self.delivery(stream.incarnation);
                samples.extend(crate::deliveries::samples(stream, handle.as_ref(), self.clock.now_ms()));
            }
        }
        samples
    }
}

/// Makes the data directory, for the node's user alone, and durably: a directory whose name is not durable is gone with
/// all that is in it.
fn make_directory(disk: &dyn Disk, dir: &Path) -> std::io::Result<()> {
    disk.create_private_dir(dir)?;
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => disk.sync_dir(Path::new(".")),
        Some(parent) => disk.sync_dir(parent),
        None => Ok(()),
    }
}

/// Opens the engine in the data directory and starts its work.
fn open_log(
    config: &Config,
    env: &Environment,
    clock: &Arc<MovableClock>,
    dir: &Path,
) -> Result<Arc<EmbeddedLog>, StartError> {
    let options = Options { disk_watermark_bytes: config.free_bytes, ..env.log.clone() };
    let (log, driver) = EmbeddedLog::open(
        dir,
        Arc::clone(&env.disk),
        Arc::clone(clock) as Arc<dyn Clock>,
        Arc::clone(&env.random),
        options,
    )?;
    if env.threads {
        driver.spawn_threads().map_err(StartError::Threads)?;
    } else {
        tokio::spawn(driver.run());
    }
    Ok(Arc::new(log))
}

/// The key that seals iterators and tokens, made at the first start. Losing it costs nothing but the validity of
/// iterators that are younger than five minutes.
fn token_key(disk: &dyn Disk, random: &dyn Random, dir: &Path) -> std::io::Result<TokenKey> {
    let path = dir.join("token.key");
    let mut key = [0; 32];
    match disk.open(&path, Open::Read) {
        Ok(file) => {
            file.read_exact_at(&mut key, 0)?;
            if let Err(error) = disk.make_private(&path) {
                tracing::warn!(file = %path.display(), %error, "others may be able to read this");
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            random.fill(&mut key);
            let temporary = dir.join("token.key.new");
            match disk.remove(&temporary) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = disk.open(&temporary, Open::CreatePrivate)?;
            file.write_all_at(&key, 0)?;
            file.sync()?;
            disk.rename(&temporary, &path)?;
            disk.sync_dir(dir)?;
        }
        Err(error) => return Err(error),
    }
    Ok(TokenKey::new(&key))
}
