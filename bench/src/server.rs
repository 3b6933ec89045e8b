//! Servers as child processes on a core of their own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::proc::pin;
use crate::{Result, proc};

/// Longest wait for the ready line: a recovery of 10 GiB is part of the soak.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Longest wait for the end after `SIGTERM`.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts `command` on `core`, with stderr going to `log`, and waits until it says `… ready http://ADDRESS`.
    ///
    /// # Errors
    /// If it does not start, or is not ready in time; the end of its log is part of the error.
    pub(crate) fn start(mut command: Command, core: usize, log: &Path) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let program = command.get_program().to_string_lossy().into_owned();
        let spawned = std::thread::scope(|scope| {
            // The child inherits the core of the thread that starts it.
            let thread = scope.spawn(|| pin(core).and_then(|()| Ok(command.spawn()?)));
            thread.join().unwrap_or_else(|_| Err("the starting thread panicked".into()))
        });
        let child = spawned.map_err(|e| format!("{program} does not start: {e}"))?;
        let mut server = Self { child, addr: SocketAddr::from(([0, 0, 0, 0], 0)), log: log.into() };
        server.addr = server.wait_ready().map_err(|e| format!("{program}: {e}\n{}", server.log_end()))?;
        Ok(server)
    }

    fn wait_ready(&mut self) -> Result<SocketAddr> {
        let stdout = self.child.stdout.take().ok_or("no stdout")?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                if let Some((_, addr)) = line.split_once(" ready http://") {
                    // Nobody waits any more after a time-out.
                    let _ = sender.send(addr.trim().to_owned());
                }
            }
        });
        let addr = receiver.recv_timeout(READY_WITHIN).map_err(|_| "it never said that it is ready")?;
        addr.parse().map_err(|_| format!("not an address: {addr}").into())
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time used so far.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        proc::process_cpu(self.pid())
    }

    /// Holds it still, so that it neither works ahead nor disturbs what is measured beside it.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    /// If it does not end in time, or not with success.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_WITHIN;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                return Err(format!("still running {STOP_WITHIN:?} after SIGTERM\n{}", self.log_end()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if ExitStatus::success(&status) {
            Ok(())
        } else {
            Err(format!("ended with {status}\n{}", self.log_end()).into())
        }
    }

    /// The last lines of its log.
    pub(crate) fn log_end(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).ok_or("no such process id")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
