//! What to do where a log cannot be read.

use levada_core::engine::{Engine, EngineError, LogId, Offset, ReadRequest};

/// The first offset after `corrupt` that can be read, or `limit`. Steps double until a record can be read, then halve,
/// so that a damaged place costs a number of reads that is logarithmic in its length. Of several damaged places close
/// to each other, what lies between may count as damaged too.
///
/// # Errors
/// [`EngineError::Missing`] and [`EngineError::Unavailable`].
pub(crate) async fn first_readable(
    engine: &dyn Engine,
    log: LogId,
    corrupt: Offset,
    limit: Offset,
) -> Result<Offset, EngineError> {
    let mut bad = corrupt;
    let mut step = 1;
    let mut good = loop {
        let probe = bad.saturating_add(step).min(limit);
        if probe == limit || readable(engine, log, probe).await? {
            break probe;
        }
        bad = probe;
        step *= 2;
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        if readable(engine, log, middle).await? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(good)
}

/// The last offset before `corrupt` that can be read, from `start` on; found as by [`first_readable`].
///
/// # Errors
/// [`EngineError::Missing`] and [`EngineError::Unavailable`].
pub(crate) async fn last_readable(
    engine: &dyn Engine,
    log: LogId,
    corrupt: Offset,
    start: Offset,
) -> Result<Option<Offset>, EngineError> {
    let mut bad = corrupt;
    let mut step = 1;
    let mut good = loop {
        if bad <= start {
            return Ok(None);
        }
        let probe = bad.saturating_sub(step).max(start);
        if readable(engine, log, probe).await? {
            break probe;
        }
        bad = probe;
        step *= 2;
    };
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if readable(engine, log, middle).await? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(Some(good))
}

async fn readable(engine: &dyn Engine, log: LogId, at: Offset) -> Result<bool, EngineError> {
    match engine.read(ReadRequest { log, from: at, max_records: 1, max_bytes: 1 }).await {
        Ok(_) => Ok(true),
        Err(EngineError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
