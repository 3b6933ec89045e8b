//! The load generator: one thread over keep-alive connections, each with at most one request under way. A closed loop
//! ([`run`]) sends the next request when an answer is there; an open one ([`run_paced`]) sends by the clock.
//!
//! It has to be much cheaper than any server it measures, so it writes bytes that are rendered already and reads
//! no more of an answer than its head, except where [`Work::wants`] asks for more: the kernel drops the rest
//! without a copy.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::Result;
use crate::proc::thread_cpu;
use crate::response::Head;

/// How long answers under way may take once nothing more is sent.
const GRACE: Duration = Duration::from_secs(60);
/// How often [`Work::halt`] is asked.
const HALT_EVERY: Duration = Duration::from_millis(200);
/// Room for an answer's head, or for a small answer.
const HEAD_BYTES: usize = 4096;
/// Most bytes of an unwanted body that are dropped at once.
const DROP_BYTES: usize = 256 * 1024;
/// The clock of an open loop among the connections.
const TIMER: Token = Token(usize::MAX);

/// A whole request, head and body.
#[derive(Clone)]
pub(crate) enum Request {
    /// In memory.
    Memory(Bytes),
    /// In a file, from where the kernel takes it without a copy. That halves what a large request costs the load
    /// generator.
    File {
        /// The file.
        file: Arc<File>,
        /// Where the request begins.
        at: u64,
        /// Its length.
        len: usize,
    },
}

impl Request {
    fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File { len, .. } => *len,
        }
    }

    /// Writes what stands from `sent` on; answers how much was taken.
    fn write(&self, stream: &mut TcpStream, sent: usize) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => stream.write(&bytes[sent..]),
            Self::File { file, at, len } => {
                let mut from = at + sent as u64;
                Ok(rustix::fs::sendfile(&*stream, file, Some(&mut from), len - sent)?)
            }
        }
    }
}

/// How much of an answer's body is read; the rest is dropped by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// None of it.
    Nothing,
    /// At most so many bytes.
    Beginning(usize),
    /// All of it.
    Whole,
}

impl Want {
    /// The whole body, or nothing.
    pub(crate) fn whole_if(wanted: bool) -> Self {
        if wanted { Self::Whole } else { Self::Nothing }
    }
}

/// What is sent, and what is made of the answers.
pub(crate) trait Work {
    /// The next request with a number to know it by, or `None` when there is nothing more to send.
    ///
    /// # Errors
    /// Ends the slice.
    fn next(&mut self) -> Result<Option<(u64, Request)>>;

    /// How much of the body of the answer to this request is to be read; asked once, when its head is there.
    fn wants(&mut self, number: u64) -> Want;

    /// Takes an answer: its status, and its body as far as it was wanted, or all of it if the status is not 200.
    ///
    /// # Errors
    /// Ends the slice.
    fn answered(&mut self, number: u64, status: u16, body: Option<&[u8]>) -> Result<()>;

    /// A reason to send nothing more.
    fn halt(&mut self) -> Option<String> {
        None
    }
}

/// What a slice of load came to.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Requests answered.
    pub(crate) requests: u64,
    /// From the first byte sent to the last answer.
    pub(crate) elapsed: Duration,
    /// Nanoseconds from each request's first byte sent to its answer's last byte read, at most `u32::MAX`.
    pub(crate) latencies: Vec<u32>,
    /// CPU time of the load generator.
    pub(crate) cpu: Duration,
    /// Why sending stopped before its time.
    pub(crate) halted: Option<String>,
}

impl Slice {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The load generator's CPU time as a fraction of the slice.
    pub(crate) fn cpu_fraction(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

struct Connection {
    stream: TcpStream,
    request: Request,
    sent: usize,
    number: u64,
    started: Instant,
    inbox: Vec<u8>,
    filled: usize,
    head: Option<Head>,
    /// Bytes of the answer, its head included, that are read; the rest is dropped.
    keep: usize,
    busy: bool,
}

/// The clock of an open loop, and the connections that wait for their turn.
struct Pacer {
    timer: OwnedFd,
    every: Duration,
    due: Instant,
    idle: Vec<usize>,
}

impl Pacer {
    /// A timer that wakes `poll` `per_second` times a second, more precisely than the milliseconds of `epoll_wait`.
    fn new(poll: &Poll, per_second: f64, connections: usize) -> Result<Self> {
        let every = Duration::from_secs_f64(1.0 / per_second);
        let flags = TimerfdFlags::NONBLOCK.union(TimerfdFlags::CLOEXEC);
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let spec = Timespec { tv_sec: every.as_secs().cast_signed(), tv_nsec: every.subsec_nanos().max(1).into() };
        let interval = Itimerspec { it_interval: spec, it_value: spec };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &interval)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Self { timer, every, due: Instant::now(), idle: (0..connections).rev().collect() })
    }

    /// Ready for the next tick.
    fn rearm(&self) -> Result<()> {
        match rustix::io::read(&self.timer, &mut [0; 8]) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A connection for a request that is due. What could not be sent for want of one is sent as soon as there is.
    fn turn(&mut self, now: Instant) -> Option<usize> {
        if now < self.due {
            return None;
        }
        let connection = self.idle.pop()?;
        self.due += self.every;
        Some(connection)
    }
}

/// Runs `work` against `addr` for `period` over fresh connections, and waits for the last answers. Each connection
/// sends its next request when it has its answer.
///
/// # Errors
/// If a connection breaks, an answer cannot be read, or `work` says so.
pub(crate) fn run(addr: SocketAddr, connections: usize, period: Duration, work: &mut dyn Work) -> Result<Slice> {
    run_at(addr, connections, period, None, work)
}

/// As [`run`], but sends `per_second` requests a second, one after the other, as long as there is a free connection.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_paced(
    addr: SocketAddr,
    connections: usize,
    period: Duration,
    per_second: f64,
    work: &mut dyn Work,
) -> Result<Slice> {
    run_at(addr, connections, period, Some(per_second), work)
}

fn run_at(
    addr: SocketAddr,
    connections: usize,
    period: Duration,
    per_second: Option<f64>,
    work: &mut dyn Work,
) -> Result<Slice> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(connections.max(16));
    let pool = (0..connections).map(|i| connect(&poll, addr, i)).collect::<Result<Vec<_>>>()?;
    let pacer = per_second.map(|rate| Pacer::new(&poll, rate, connections)).transpose()?;
    let (start, cpu) = (Instant::now(), thread_cpu());
    let deadline = start + period;
    let mut next_halt = start + HALT_EVERY;
    let mut run = Loop { pool, pacer, work, deadline, sending: true, running: 0, slice: Slice::default() };
    run.begin(start)?;
    while run.running > 0 || run.sending {
        poll.poll(&mut events, Some(Duration::from_millis(100))).or_else(ignore_interrupt)?;
        let now = Instant::now();
        if now >= next_halt && run.sending {
            run.slice.halted = run.work.halt();
            run.sending = run.slice.halted.is_none();
            next_halt = now + HALT_EVERY;
        }
        if now > deadline + GRACE {
            return Err(format!("{} requests unanswered {GRACE:?} after the end of the slice", run.running).into());
        }
        for event in &events {
            run.take(event)?;
        }
        run.send_due()?;
    }
    let mut slice = run.slice;
    slice.elapsed = start.elapsed();
    slice.cpu = thread_cpu().saturating_sub(cpu);
    Ok(slice)
}

/// A slice under way.
struct Loop<'a> {
    pool: Vec<Connection>,
    pacer: Option<Pacer>,
    work: &'a mut dyn Work,
    deadline: Instant,
    /// Whether more is to be sent; in a closed loop also whether anything is under way.
    sending: bool,
    /// Requests under way.
    running: usize,
    slice: Slice,
}

impl Loop<'_> {
    fn begin(&mut self, now: Instant) -> Result<()> {
        if self.pacer.is_none() {
            for connection in &mut self.pool {
                self.running += usize::from(connection.begin(now, self.work)?);
            }
            self.sending = self.running > 0;
        }
        Ok(())
    }

    fn take(&mut self, event: &mio::event::Event) -> Result<()> {
        let index = event.token().0;
        let Some(connection) = self.pool.get_mut(index) else {
            return self.pacer.as_ref().map_or(Ok(()), Pacer::rearm);
        };
        if !connection.busy {
            return Ok(());
        }
        if event.is_writable() {
            connection.push()?;
        }
        if !event.is_readable() || !connection.pull(self.work)? {
            return Ok(());
        }
        let now = Instant::now();
        self.slice.requests += 1;
        let nanos = now.duration_since(connection.started).as_nanos();
        self.slice.latencies.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        self.sending &= now < self.deadline;
        if let Some(pacer) = &mut self.pacer {
            pacer.idle.push(index);
            self.running -= 1;
        } else if !(self.sending && connection.begin(now, self.work)?) {
            self.running -= 1;
            self.sending &= self.running > 0;
        }
        Ok(())
    }

    /// What an open loop sends now.
    fn send_due(&mut self) -> Result<()> {
        let Some(pacer) = &mut self.pacer else { return Ok(()) };
        let now = Instant::now();
        self.sending &= now < self.deadline;
        while self.sending
            && let Some(index) = pacer.turn(now)
        {
            // The clock is asked again: rendering a request takes longer than telling the time.
            self.sending = self.pool[index].begin(Instant::now(), self.work)?;
            self.running += usize::from(self.sending);
        }
        Ok(())
    }
}

fn connect(poll: &Poll, addr: SocketAddr, index: usize) -> Result<Connection> {
    let stream = std::net::TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    // Pacing on a loopback connection is wasted work; Reno, which every kernel has, does none.
    rustix::net::sockopt::set_tcp_congestion(&stream, "reno")?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Connection {
        stream,
        request: Request::Memory(Bytes::new()),
        sent: 0,
        number: 0,
        started: Instant::now(),
        inbox: vec![0; DROP_BYTES],
        filled: 0,
        head: None,
        keep: 0,
        busy: false,
    })
}

fn ignore_interrupt(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

impl Connection {
    /// Starts the next request, if there is one.
    fn begin(&mut self, now: Instant, work: &mut dyn Work) -> Result<bool> {
        let Some((number, request)) = work.next()? else { return Ok(false) };
        (self.number, self.request, self.sent) = (number, request, 0);
        (self.started, self.filled, self.head, self.busy) = (now, 0, None, true);
        self.push()?;
        Ok(true)
    }

    /// Writes until all is sent or the socket is full.
    fn push(&mut self) -> Result<()> {
        while self.sent < self.request.len() {
            match self.request.write(&mut self.stream, self.sent) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A server that refuses a request early has answered before it closes; read that first.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Reads until the answer is whole (true) or the socket is empty. Readiness is edge-triggered: a read that
    /// gets less than it asked for has emptied the socket, and whatever comes later wakes us again.
    fn pull(&mut self, work: &mut dyn Work) -> Result<bool> {
        loop {
            let (asked, got) = self.receive();
            match got {
                Ok(0) => return Err("the server closed a connection with a request under way".into()),
                Ok(n) => {
                    self.filled += n;
                    if self.complete(work)? {
                        return Ok(true);
                    }
                    if n < asked {
                        return Ok(false);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Receives once; answers how many bytes were asked for, and how many came.
    fn receive(&mut self) -> (usize, io::Result<usize>) {
        if let Some(head) = self.head
            && self.filled >= self.keep
        {
            let asked = (head.total_bytes() - self.filled).min(DROP_BYTES);
            // The kernel drops what it would have written there, so what has been kept stays as it is.
            let flags = rustix::net::RecvFlags::TRUNC;
            let got = rustix::net::recv(&self.stream, &mut self.inbox[..asked], flags);
            return (asked, got.map(|(_, n)| n).map_err(io::Error::from));
        }
        let until = self.head.map_or(self.filled + HEAD_BYTES, |_| self.keep);
        if self.inbox.len() < until {
            self.inbox.resize(until, 0);
        }
        (until - self.filled, self.stream.read(&mut self.inbox[self.filled..until]))
    }

    /// Hands a whole answer over.
    fn complete(&mut self, work: &mut dyn Work) -> Result<bool> {
        if self.head.is_none() {
            self.head = Head::parse(&self.inbox[..self.filled])?;
            self.keep = self.head.map_or(0, |head| match work.wants(self.number) {
                _ if head.status != 200 => head.total_bytes(),
                Want::Nothing => 0,
                Want::Beginning(bytes) => head.head_bytes + bytes.min(head.body_bytes),
                Want::Whole => head.total_bytes(),
            });
        }
        let Some(head) = self.head.filter(|h| self.filled >= h.total_bytes()) else { return Ok(false) };
        self.busy = false;
        let body = (self.keep > 0).then(|| &self.inbox[head.head_bytes..self.keep]);
        work.answered(self.number, head.status, body)?;
        if head.close {
            return Err("the server closes a connection that was to be kept".into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
