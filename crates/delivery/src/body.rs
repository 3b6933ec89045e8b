//! An object's content: the records of a range, undelimited, compressed or not.
//!
//! The content is a function of the records and the compression alone, so that an object rewritten after a crash has
//! the same bytes: the compressor is fed in blocks of one size, whatever the pages of the log were.

use std::io::Write;
use std::sync::Arc;

use flate2::write::GzEncoder;
use levada_core::engine::{Engine, EngineError, LogId, Offset, ReadRequest};

use crate::blocking::Blocking;
use crate::config::Compression;
use crate::gap::first_readable;

/// Bytes handed to the compressor at a time.
const BLOCK_BYTES: usize = 64 * 1024;

/// Bytes read from the log at a time: what one piece of blocking work compresses, about 20 ms.
const PAGE_BYTES: u64 = 1024 * 1024;

/// Records read at a time: their bytes alone bound nothing, because records may be empty.
const PAGE_RECORDS: u32 = 10_000;

/// Level of gzip; what zlib takes by default.
const GZIP_LEVEL: u32 = 6;

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
}

/// A range of a data log, to be made into an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) log: LogId,
    pub(crate) from: Offset,
    pub(crate) to: Offset,
    /// Bytes of the records' data.
    pub(crate) bytes: u64,
}

/// Reads a range and compresses it. What is trimmed or corrupt is counted as lost, the rest is taken.
///
/// # Errors
/// [`EngineError::Missing`] and [`EngineError::Unavailable`].
pub(crate) async fn build(
    engine: &Arc<dyn Engine>,
    range: Range,
    compression: Compression,
    blocking: Blocking,
) -> Result<Body, EngineError> {
    let mut encoder = Encoder::new(compression, range.bytes);
    let (mut at, mut records, mut lost, mut record_bytes) = (range.from, 0, 0, 0);
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
        records += at - start;
        let chunks = page.chunks;
        let work = move || {
            let mut bytes = 0;
            for record in chunks.iter().flat_map(|chunk| chunk.records()).take_while(|(offset, _)| *offset < range.to) {
                bytes += record.1.data.len() as u64;
                encoder.write(record.1.data)?;
            }
            Ok::<_, std::io::Error>((encoder, bytes))
        };
        let (back, bytes) = settled(blocking.run(work).await)?;
        encoder = back;
        record_bytes += bytes;
    }
    let bytes = settled(blocking.run(move || encoder.finish()).await)?;
    Ok(Body { bytes, records, lost, record_bytes })
}

/// Writing into memory fails only when the runtime shuts down.
fn settled<T>(result: Result<std::io::Result<T>, crate::blocking::GivenUp>) -> Result<T, EngineError> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(EngineError::Unavailable(error.to_string())),
        Err(error) => Err(EngineError::Unavailable(error.to_string())),
    }
}

/// Concatenates, and compresses block by block.
struct Encoder {
    format: Format,
    block: Vec<u8>,
}

enum Format {
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl Encoder {
    fn new(compression: Compression, bytes: u64) -> Self {
        match compression {
            Compression::Uncompressed => Self {
                format: Format::Plain(Vec::with_capacity(usize::try_from(bytes).unwrap_or_default())),
                block: Vec::new(),
            },
            Compression::Gzip => Self {
                format: Format::Gzip(Box::new(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))),
                block: Vec::with_capacity(BLOCK_BYTES),
            },
        }
    }

    fn write(&mut self, mut data: &[u8]) -> std::io::Result<()> {
        match &mut self.format {
            Format::Plain(out) => out.extend_from_slice(data),
            Format::Gzip(out) => {
                while self.block.len() + data.len() >= BLOCK_BYTES {
                    let (now, later) = data.split_at(BLOCK_BYTES - self.block.len());
                    self.block.extend_from_slice(now);
                    out.write_all(&self.block)?;
                    self.block.clear();
                    data = later;
                }
                self.block.extend_from_slice(data);
            }
        }
        Ok(())
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self.format {
            Format::Plain(out) => Ok(out),
            Format::Gzip(mut out) => {
                out.write_all(&self.block)?;
                out.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(compression: Compression, data: &[u8], pieces: &[usize]) -> Vec<u8> {
        let mut encoder = Encoder::new(compression, data.len() as u64);
        let mut rest = data;
        for piece in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            encoder.write(now).unwrap();
            rest = later;
        }
        encoder.finish().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn how_records_were_paged_does_not_show(
            words in proptest::collection::vec("[a-f]{1,9}", 1..2_000),
            repeat in 1usize..30,
            pieces in proptest::collection::vec(1usize..100_000, 1..10),
        ) {
            let data = words.concat().repeat(repeat);
            for compression in [Compression::Uncompressed, Compression::Gzip] {
                let whole = encode(compression, data.as_bytes(), &[usize::MAX]);
                prop_assert!(whole == encode(compression, data.as_bytes(), &pieces));
            }
        }
    }
}
