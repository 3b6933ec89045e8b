//! A `levada serve` process of the test's own.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Connection;

/// How long a start may take before the test gives up.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The binary under test: `LEVADA_BIN`, or the one beside the running test.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("LEVADA_BIN") {
        return named.into();
    }
    // target/debug/deps/test-… -> target/debug/levada
    let beside = std::env::current_exe().ok().and_then(|test| Some(test.parent()?.parent()?.join("levada")));
    beside.unwrap_or_else(|| "levada".into())
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    endpoint: String,
}

impl Server {
    /// Starts `levada serve` on a free loopback port and waits until it is ready.
    ///
    /// # Errors
    /// If it ends or stays silent instead; the message holds what it printed.
    pub fn start(data_dir: &Path, more: &[&str]) -> Result<Self, String> {
        Self::launch(serve(data_dir, more))
    }

    /// As [`start`](Self::start), with a command of the test's own.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn launch(mut command: Command) -> Result<Self, String> {
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary().display()))?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            let _ = lines.read_line(&mut line);
            let _ = sender.send(line);
            // The pipe stays open and is drained, so that the server never blocks on it.
            let _ = io::copy(&mut lines, &mut io::sink());
        });
        let line = receiver.recv_timeout(START_TIMEOUT).unwrap_or_default();
        match line.trim_end().strip_prefix("levada ready ") {
            Some(endpoint) => Ok(Self { child, endpoint: endpoint.to_owned() }),
            None => {
                let _ = child.kill();
                let status = child.wait();
                Err(format!("levada serve did not become ready: stdout {line:?}, {status:?}"))
            }
        }
    }

    /// Starts the process and waits for nothing. Its standard error is the test's.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn spawn(data_dir: &Path, more: &[&str]) -> io::Result<Child> {
        serve(data_dir, more).spawn()
    }

    /// `http://HOST:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A connection to it.
    ///
    /// # Errors
    /// Those of the network.
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(&self.endpoint)
    }

    /// Of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// SIGTERM, and waits until the process has ended.
    ///
    /// # Errors
    /// As [`end`](Self::end).
    pub fn terminate(self) -> io::Result<ExitStatus> {
        self.end("TERM")
    }

    /// Sends a signal that asks for the end, and waits until the process has ended.
    ///
    /// # Errors
    /// `TimedOut` if it does not end within 30 s, else those of the operating system.
    pub fn end(mut self, signal: &str) -> io::Result<ExitStatus> {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status()?;
        if !sent.success() {
            return Err(io::Error::other("kill failed"));
        }
        let patience = Instant::now();
        while patience.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `levada` with `args` to its end.
///
/// # Errors
/// Those of the operating system.
pub fn run(args: &[&str]) -> io::Result<Output> {
    Command::new(binary()).args(args).stdin(Stdio::null()).output()
}

/// Starts `levada serve` where it must refuse to run, and answers how it ended and what it printed on standard error.
///
/// # Errors
/// `TimedOut` if it still runs after 30 s (it is killed then), else those of the operating system.
pub fn refused(data_dir: &Path, more: &[&str]) -> io::Result<(ExitStatus, String)> {
    let mut child = serve(data_dir, more).stderr(Stdio::piped()).spawn()?;
    let patience = Instant::now();
    while patience.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait()? {
            let mut printed = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                stderr.read_to_string(&mut printed)?;
            }
            return Ok((status, printed));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Err(io::ErrorKind::TimedOut.into())
}

/// `levada serve` on a free loopback port (unless `more` says otherwise) and this directory.
#[must_use]
pub fn serve(data_dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("serve").arg("--data-dir").arg(data_dir).args(more);
    if !more.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    if std::env::var_os("LEVADA_LOG").is_none() {
        command.env("LEVADA_LOG", "warn");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}
