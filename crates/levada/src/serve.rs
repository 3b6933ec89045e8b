//! `levada serve`: builds a node on the real world, says that it is ready, and ends cleanly.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use levada_core::env::Clock;
use levada_delivery::http::HttpClient;
use levada_log::{RealClock, RealDisk, RealRandom};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::{Config, DataDir};
use crate::node::{Environment, Node, StartError};
use crate::{ServeError, listener};

/// The data directory of this run; an ephemeral one is removed when this is dropped.
pub enum Home {
    /// The operator's.
    Kept(PathBuf),
    /// Ours.
    Ephemeral(tempfile::TempDir),
}

impl Home {
    /// The directory that the configuration names.
    ///
    /// # Errors
    /// Those of the operating system, for an ephemeral one.
    pub fn new(data_dir: &DataDir) -> std::io::Result<Self> {
        Ok(match data_dir {
            DataDir::Kept(path) => Self::Kept(path.clone()),
            DataDir::Ephemeral => Self::Ephemeral(tempfile::Builder::new().prefix("levada-").tempdir()?),
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Kept(path) => path,
            Self::Ephemeral(dir) => dir.path(),
        }
    }
}

/// A node that serves a real socket, in this process.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The node.
    pub node: Arc<Node>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    home: Home,
}

impl Running {
    /// Opens the data directory, recovers, and listens.
    ///
    /// # Errors
    /// [`ServeError`] says what stands in the way.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let home = Home::new(&config.data_dir).map_err(StartError::Ephemeral)?;
        let real: Arc<dyn Clock> = Arc::new(RealClock::new());
        let env = Environment {
            clock: real,
            random: Arc::new(RealRandom),
            disk: Arc::new(RealDisk::new()),
            log: levada_log::Options::default(),
            client: client(&config)?,
            threads: true,
        };
        // The socket comes first: a taken port is said before a directory is created.
        let socket = listener::bind(config.listen)
            .await
            .map_err(|error| ServeError::Listen { address: config.listen, error })?;
        let address = socket.local_addr().map_err(|error| ServeError::Listen { address: config.listen, error })?;
        let node = Node::start(config, env, home.path()).await?;
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(listener::serve(socket, Arc::clone(&node), async {
            let _ = stopped.await;
        }));
        Ok(Self { address, node, stop, served, home })
    }

    /// The data directory.
    #[must_use]
    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Finishes what is in flight and leaves a clean directory.
    ///
    /// # Errors
    /// [`ServeError::Unclean`] if the directory is not clean; the next start recovers it.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.node.not_ready();
        let _ = self.stop.send(());
        let _ = self.served.await;
        let ended = self.node.shutdown().await;
        drop(self.home);
        ended.map_err(|error| ServeError::Unclean(error.to_string()))
    }
}

#[cfg(feature = "network")]
fn client(config: &Config) -> Result<Arc<dyn HttpClient>, StartError> {
    crate::network::client(config).map_err(|error| StartError::Client(error.to_string()))
}

#[cfg(not(feature = "network"))]
#[expect(clippy::unnecessary_wraps, reason = "with a network it may fail")]
fn client(_: &Config) -> Result<Arc<dyn HttpClient>, StartError> {
    Ok(Arc::new(crate::network::NoNetwork))
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`] if it cannot start, or if the engine poisoned itself: then the process must end, and recovery
/// decides what is true.
pub async fn run(config: Config) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let running = Running::start(config).await?;
    announce(running.address, &running.node.config.region)?;
    let died = running.node.died();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        reason = died => return Err(ServeError::Poisoned(reason)),
    }
    tracing::info!("stopping");
    running.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Prints the one line that programs wait for to stdout, and what people paste to stderr.
fn announce(address: SocketAddr, region: &str) -> Result<(), ServeError> {
    let mut err = std::io::stderr().lock();
    let url = format!("http://{address}");
    let _ = writeln!(
        err,
        "\nexport AWS_ENDPOINT_URL_KINESIS={url}\nexport AWS_ENDPOINT_URL_FIREHOSE={url}\n\
         export AWS_ACCESS_KEY_ID=000000000000 AWS_SECRET_ACCESS_KEY=any AWS_REGION={region} AWS_DEFAULT_REGION={region}\n"
    );
    let mut out = std::io::stdout().lock();
    writeln!(out, "levada ready {url}").and_then(|()| out.flush()).map_err(ServeError::Stdout)
}
