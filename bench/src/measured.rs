//! One slice of load with the CPU time of all who took part.

use std::time::Duration;

use crate::load::{self, Request, Slice, Want, Work};
use crate::report::Side;
use crate::server::Server;
use crate::stats::{median, percentile};
use crate::{Place, Result, proc};

/// One side of a pair.
pub(crate) struct Measured {
    /// What the load generator saw.
    pub(crate) slice: Slice,
    /// CPU time of the server as a fraction of the slice.
    pub(crate) server_cpu: f64,
    /// CPU time of everything else on the two cores as a fraction of the slice.
    pub(crate) others_cpu: f64,
}

impl Place {
    /// Runs `work` in a closed loop against `server`.
    ///
    /// # Errors
    /// As [`load::run`].
    pub(crate) fn measured(
        &self,
        server: &Server,
        connections: usize,
        period: Duration,
        work: &mut dyn Work,
    ) -> Result<Measured> {
        let (before, busy_before) = (server.cpu()?, self.cores_busy()?);
        let slice = load::run(server.addr(), connections, period, work)?;
        let used = server.cpu()?.saturating_sub(before);
        let busy = self.cores_busy()?.saturating_sub(busy_before);
        let of_slice = |time: Duration| time.as_secs_f64() / slice.elapsed.as_secs_f64();
        let others = busy.saturating_sub(used).saturating_sub(slice.cpu);
        Ok(Measured { server_cpu: of_slice(used), others_cpu: of_slice(others), slice })
    }

    /// Time that the two cores have been busy, whoever used them.
    ///
    /// # Errors
    /// If one of them is not there.
    pub(crate) fn cores_busy(&self) -> Result<Duration> {
        Ok(proc::core_busy(self.server_core)? + proc::core_busy(self.load_core)?)
    }
}

/// Sends the same requests over and over and believes every answer.
pub(crate) struct Rounds<'a> {
    requests: &'a [Request],
    next: usize,
}

impl<'a> Rounds<'a> {
    /// Begins with the first request.
    pub(crate) fn new(requests: &'a [Request]) -> Self {
        Self { requests, next: 0 }
    }
}

impl Work for Rounds<'_> {
    fn next(&mut self) -> Result<Option<(u64, Request)>> {
        let index = self.next % self.requests.len();
        self.next += 1;
        Ok(Some((index as u64, self.requests[index].clone())))
    }

    fn wants(&mut self, _: u64) -> Want {
        Want::Nothing
    }

    fn answered(&mut self, _: u64, status: u16, _: Option<&[u8]>) -> Result<()> {
        if status == 200 { Ok(()) } else { Err(format!("the server answers {status}").into()) }
    }
}

/// Medians of one side's slices; the latency percentiles are those of all its requests together.
pub(crate) fn side<'a>(measured: impl Iterator<Item = &'a Measured> + Clone) -> Result<Side> {
    let of = |f: fn(&Measured) -> f64| median(&measured.clone().map(f).collect::<Vec<_>>());
    let mut latencies: Vec<u32> = measured.clone().flat_map(|m| m.slice.latencies.iter().copied()).collect();
    let mut ms = |p| percentile(&mut latencies, p).map(|nanos| f64::from(nanos) / 1e6);
    let none = "no pair counts";
    Ok(Side {
        per_second: of(|m| m.slice.rate()).ok_or(none)?,
        p50_ms: ms(50.0).ok_or(none)?,
        p99_ms: ms(99.0).ok_or(none)?,
        server_cpu: of(|m| m.server_cpu).ok_or(none)?,
        others_cpu: of(|m| m.others_cpu).ok_or(none)?,
        load_cpu: of(|m| m.slice.cpu_fraction()).ok_or(none)?,
    })
}
