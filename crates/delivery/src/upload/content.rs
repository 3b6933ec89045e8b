//! What an object is made of: the records of its cut, or lines about those that an endpoint did not take.

use bytes::Bytes;
use levada_core::engine::{EngineError, LogId, Millis, Offset, ReadRequest};

use super::{Codes, Upload};
use crate::body::{Body, Encoder, Format, Range, build};
use crate::control::Cut;
use crate::endpoint::{Endpoint, Fault, GivenUp, ParcelRecord};
use crate::gap::first_readable;
use crate::record::Envelope;
use crate::worker::Route;

/// Bytes and records read from a log at a time.
const PAGE_BYTES: u64 = 1024 * 1024;
const PAGE_RECORDS: u32 = 10_000;

/// Bytes of a line of error output besides the record itself, roughly.
const LINE_BYTES: u64 = 512;

/// Where an object's content comes from.
pub(super) enum Content<'a> {
    /// All records of the cut.
    Records,
    /// Lines about some of them.
    Lines { endpoint: &'a dyn Endpoint, given_up: &'a [Refused] },
}

/// A record that an endpoint will not be asked to take any more.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// Its offset in the log.
    pub(super) offset: Offset,
    /// The last reason. Neighbours mostly share it.
    pub(super) fault: std::sync::Arc<Fault>,
    /// Attempts that included it.
    pub(super) attempts: u32,
    /// When the last one ended, in ms.
    pub(super) ended: Millis,
}

impl Content<'_> {
    /// Bytes that building the object may take.
    pub(super) fn memory(&self, cut: &Cut) -> u64 {
        match self {
            Self::Records => cut.encoded_bytes() + cut.records() * cut.delimiter.bytes(),
            Self::Lines { given_up, .. } => Self::lines_memory(cut.bytes, given_up),
        }
    }

    /// Records are written in base64, messages with escapes.
    pub(super) fn lines_memory(record_bytes: u64, given_up: &[Refused]) -> u64 {
        let said: u64 = given_up.iter().map(|refused| 2 * refused.fault.message.len() as u64).sum();
        record_bytes * 4 / 3 + given_up.len() as u64 * LINE_BYTES + said
    }
}

impl Upload {
    pub(super) async fn build(&self, cut: &Cut, content: &Content<'_>) -> Result<Body, EngineError> {
        let key = cut.objects.first().map_or("", |name| &name.key);
        let format = Format { compression: cut.compression, delimiter: &cut.delimiter, key };
        let env = &self.shared.env;
        match content {
            Content::Records => {
                let is_error_output = self.route == Route::Errors;
                let range = Range { log: self.log, from: cut.from, to: cut.to, bytes: cut.bytes, is_error_output };
                build(&env.engine, range, format, env.blocking).await
            }
            Content::Lines { endpoint, given_up } => {
                let unavailable = |error: std::io::Error| EngineError::Unavailable(error.to_string());
                let mut encoder = Encoder::new(format, content.memory(cut)).map_err(unavailable)?;
                let (mut records, mut lost, mut record_bytes) = (0, 0, 0);
                let mut codes = Codes::new();
                let mut at = cut.from;
                let mut due = given_up.iter().peekable();
                while due.peek().is_some() && at < cut.to {
                    let page = self.read(at, cut.to).await?;
                    for record in &page.records {
                        while due.next_if(|refused| refused.offset < record.offset).is_some() {
                            lost += 1;
                        }
                        let Some(refused) = due.next_if(|refused| refused.offset == record.offset) else { continue };
                        let Refused { fault, attempts, ended, .. } = refused;
                        let (record, attempts, ended) = (&record.record, *attempts, *ended);
                        let line = endpoint.error_line(&GivenUp { record, fault, attempts, ended });
                        encoder.record(&line).map_err(unavailable)?;
                        *codes.entry(fault.code.clone()).or_default() += 1;
                        records += 1;
                        record_bytes += line.len() as u64;
                    }
                    at = page.next;
                }
                lost += due.count() as u64;
                let bytes = encoder.finish().map_err(unavailable)?;
                Ok(Body { bytes, records, lost, record_bytes, codes })
            }
        }
    }

    /// Reads one more page of the cut's records. What cannot be read is passed over, and counted.
    pub(super) async fn read(&self, at: Offset, to: Offset) -> Result<CutPage, EngineError> {
        let engine = &self.shared.env.engine;
        let max_records = u32::try_from(to - at).unwrap_or(u32::MAX).min(PAGE_RECORDS);
        let request = ReadRequest { log: self.log, from: at, max_records, max_bytes: PAGE_BYTES };
        let page = match engine.read(request).await {
            Ok(page) => page,
            Err(EngineError::Corrupt { file, at: byte }) => {
                let next = first_readable(engine.as_ref(), self.log, at, to).await?;
                tracing::error!(log = self.log.0, from = at, to = next, file, byte, "records lost: corrupt");
                return Ok(CutPage { records: Vec::new(), next, lost: next - at });
            }
            Err(error) => return Err(error),
        };
        let start = page.chunks.first().map_or(to, |chunk| chunk.first.min(to));
        if start > at {
            tracing::error!(log = self.log.0, from = at, to = start, "records lost: trimmed before delivery");
        }
        let mut records = Vec::new();
        for chunk in &page.chunks {
            for (offset, record) in chunk.records().take_while(|(offset, _)| *offset < to) {
                if !Envelope::is_mark(record.key) {
                    let data = chunk.batch.bytes().slice_ref(record.data);
                    let record = parcel_record(self.log, offset, record.key, chunk.arrival, data);
                    records.push(Read { offset, record });
                }
            }
        }
        Ok(CutPage { records, next: page.next.clamp(start, to), lost: start - at })
    }
}

/// Records of a cut, in order.
pub(super) struct CutPage {
    pub(super) records: Vec<Read>,
    /// Where the next page begins.
    pub(super) next: Offset,
    /// Records that could not be read.
    pub(super) lost: u64,
}

/// A record of a cut.
pub(super) struct Read {
    pub(super) offset: Offset,
    pub(super) record: ParcelRecord,
}

/// The id is one that no other record of the delivery stream has: its log and its place there, in the form of AWS's
/// sequence numbers, which are 56 digits and begin with 49. A record's place at its source would not do: de-aggregation
/// makes several records of one.
fn parcel_record(log: LogId, offset: Offset, key: &[u8], arrived: Millis, data: Bytes) -> ParcelRecord {
    let (arrival, origin) = match Envelope::decode(key) {
        Ok(Envelope::Source { arrival, origin }) => (arrival, Some(origin)),
        Ok(Envelope::Output { arrival, origin, .. }) => (arrival, origin),
        Ok(Envelope::Failed { arrival, .. }) => (arrival, None),
        Ok(Envelope::Direct | Envelope::Mark) | Err(_) => (arrived, None),
    };
    ParcelRecord { id: format!("49{:027}{offset:027}.0", log.0), arrival, origin, data }
}
