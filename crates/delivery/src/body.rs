//! An object's content: the records of a range, joined and compressed. An object rewritten after a crash has the same
//! bytes.

mod encoder;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use levada_core::engine::{Engine, EngineError, LogId, Offset, ReadRequest};

pub(crate) use self::encoder::{Encoder, Format};
use crate::blocking::Blocking;
use crate::gap::first_readable;
use crate::record::Envelope;
use crate::upload::Codes;

/// Bytes read from the log at a time: what one piece of blocking work compresses, about 20 ms.
const PAGE_BYTES: u64 = 1024 * 1024;

/// Records read at a time: their bytes alone bound nothing, because records may be empty.
const PAGE_RECORDS: u32 = 10_000;

/// An object's content.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// Records of the range that are in it.
    pub(crate) records: u64,
    /// Records of the range that could not be read any more.
    pub(crate) lost: u64,
    /// Bytes of `records` before compression.
    pub(crate) record_bytes: u64,
    /// Of error output.
    pub(crate) codes: Codes,
}

/// What is known of a line of error output.
#[derive(serde::Deserialize)]
struct Line<'a> {
    #[serde(rename = "errorCode", borrow)]
    code: std::borrow::Cow<'a, str>,
}

/// What a record that is no line of error output counts as: one that is too large for a line stands there itself.
const NO_CODE: &str = "none";

/// Bytes of the longest code, with room.
const LONGEST_CODE: usize = 64;

/// A range of a log, to be made into an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) log: LogId,
    pub(crate) from: Offset,
    pub(crate) to: Offset,
    /// Bytes of the records' data.
    pub(crate) bytes: u64,
    /// Whether the records are lines of error output.
    pub(crate) is_error_output: bool,
}

/// Reads a range and encodes it. What is trimmed or corrupt is counted as lost, the rest is taken; marks are no records.
///
/// # Errors
/// [`EngineError::Missing`] and [`EngineError::Unavailable`].
pub(crate) async fn build(
    engine: &Arc<dyn Engine>,
    range: Range,
    format: Format<'_>,
    blocking: Blocking,
) -> Result<Body, EngineError> {
    let mut encoder = Encoder::new(format, range.bytes).map_err(|error| EngineError::Unavailable(error.to_string()))?;
    let (mut at, mut records, mut lost, mut record_bytes) = (range.from, 0, 0, 0);
    let mut codes = Codes::new();
    while at < range.to {
        let max_records = u32::try_from(range.to - at).unwrap_or(u32::MAX).min(PAGE_RECORDS);
        let request = ReadRequest { log: range.log, from: at, max_records, max_bytes: PAGE_BYTES };
        let page = match engine.read(request).await {
            Ok(page) => page,
            Err(EngineError::Corrupt { file, at: byte }) => {
                let next = first_readable(engine.as_ref(), range.log, at, range.to).await?;
                tracing::error!(log = range.log.0, from = at, to = next, file, byte, "records lost: corrupt");
                lost += next - at;
                at = next;
                continue;
            }
            Err(error) => return Err(error),
        };
        let start = page.chunks.first().map_or(range.to, |chunk| chunk.first.min(range.to));
        if start > at {
            tracing::error!(log = range.log.0, from = at, to = start, "records lost: trimmed before delivery");
            lost += start - at;
        }
        at = page.next.clamp(start, range.to);
        let chunks = page.chunks;
        let work = move || {
            let (mut count, mut bytes) = (0, 0);
            let mut codes = codes;
            let all = chunks.iter().flat_map(|chunk| chunk.records()).take_while(|(offset, _)| *offset < range.to);
            for (_, record) in all.filter(|(_, record)| !Envelope::is_mark(record.key)) {
                count += 1;
                bytes += record.data.len() as u64;
                encoder.record(record.data)?;
                if range.is_error_output {
                    let line = serde_json::from_slice::<Line<'_>>(record.data);
                    // A record that had no room in a line may look like one.
                    let code = line.ok().map(|line| line.code).filter(|code| code.len() <= LONGEST_CODE);
                    let code = code.unwrap_or_else(|| NO_CODE.into());
                    match codes.get_mut(&*code) {
                        Some(known) => *known += 1,
                        None => drop(codes.insert(code.into_owned(), 1)),
                    }
                }
            }
            Ok::<_, std::io::Error>((encoder, codes, count, bytes))
        };
        let (count, bytes);
        (encoder, codes, count, bytes) = settled(blocking.run(work).await)?;
        records += count;
        record_bytes += bytes;
    }
    let bytes = settled(blocking.run(move || encoder.finish()).await)?;
    Ok(Body { bytes, records, lost, record_bytes, codes })
}

/// Writing into memory fails only when the runtime shuts down.
fn settled<T>(result: Result<std::io::Result<T>, crate::blocking::GivenUp>) -> Result<T, EngineError> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(EngineError::Unavailable(error.to_string())),
        Err(error) => Err(EngineError::Unavailable(error.to_string())),
    }
}
