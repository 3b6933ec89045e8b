//! The scanner of put requests: one pass over the body, no copies, no allocation but the list of records.
//!
//! It accepts the form that clients send and answers `None` to everything else, so that whatever is unusual, and
//! every error, is decided in one place, the generic way. It never accepts what that way would refuse, except that
//! the content of base64 strings is looked into only when they are decoded.

use std::borrow::Cow;

use memchr::memchr2;

use crate::blob::{Blob, decoded_len};
use crate::firehose::put_record_batch::PutRecordBatchRequest;
use crate::kinesis::put_records::{Entry, PutRecordsRequest};
use crate::limits;
use crate::pattern::{is_name_byte, is_plain_stream_arn};

pub(crate) fn put_records(body: &[u8]) -> Option<PutRecordsRequest<'_>> {
    let mut scanner = Scanner { body, at: 0 };
    let mut request = PutRecordsRequest::default();
    scanner.expect(b'{')?;
    loop {
        match scanner.key()? {
            b"Records" if request.records.is_empty() => {
                request.records = scanner.records(limits::PUT_RECORDS_RECORDS, Scanner::entry)?;
            }
            b"StreamName" if request.stream_name.is_none() => {
                request.stream_name = Some(Cow::Borrowed(scanner.name(STREAM_NAME_CHARS)?));
            }
            b"StreamARN" if request.stream_arn.is_none() => {
                let arn = scanner.string()?;
                request.stream_arn = is_plain_stream_arn(arn).then_some(Cow::Borrowed(arn));
                request.stream_arn.as_ref()?;
            }
            _ => return None,
        }
        if !scanner.another(b'}')? {
            break;
        }
    }
    scanner.end()?;
    (!request.records.is_empty()).then_some(request)
}

pub(crate) fn put_record_batch(body: &[u8]) -> Option<PutRecordBatchRequest<'_>> {
    let mut scanner = Scanner { body, at: 0 };
    let mut name = None;
    let mut records = Vec::new();
    scanner.expect(b'{')?;
    loop {
        match scanner.key()? {
            b"Records" if records.is_empty() => {
                records = scanner.records(limits::FIREHOSE_BATCH_RECORDS, Scanner::record)?;
            }
            b"DeliveryStreamName" if name.is_none() => {
                name = Some(Cow::Borrowed(scanner.name(DELIVERY_STREAM_NAME_CHARS)?));
            }
            _ => return None,
        }
        if !scanner.another(b'}')? {
            break;
        }
    }
    scanner.end()?;
    let delivery_stream_name = name?;
    (!records.is_empty()).then_some(PutRecordBatchRequest { delivery_stream_name, records })
}

/// Longest `StreamName` (model).
pub(crate) const STREAM_NAME_CHARS: usize = 128;
/// Longest `DeliveryStreamName` (model).
pub(crate) const DELIVERY_STREAM_NAME_CHARS: usize = 64;
/// Bytes of the smallest record in JSON, `{"Data":""},`: no body can hold more records than its length over this.
const SMALLEST_RECORD_BYTES: usize = 12;

/// A member of a record.
enum EntryKey {
    Data,
    PartitionKey,
    ExplicitHashKey,
}

struct Scanner<'a> {
    body: &'a [u8],
    /// Index of the next byte.
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space.
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.body.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
        }
    }

    #[inline]
    fn expect(&mut self, expected: u8) -> Option<()> {
        (self.byte()? == expected).then_some(())
    }

    /// True if a comma announces another value, false if `close` ends the list or object.
    #[inline]
    fn another(&mut self, close: u8) -> Option<bool> {
        match self.byte()? {
            b',' => Some(true),
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    fn end(&mut self) -> Option<()> {
        self.byte().is_none().then_some(())
    }

    /// A member's name and the colon after it.
    #[inline]
    fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.string()?.as_bytes();
        self.expect(b':')?;
        Some(key)
    }

    /// The same for a record's members. Three comparisons of known length are quicker than looking for the end of an
    /// unknown name.
    #[inline]
    fn entry_key(&mut self) -> Option<EntryKey> {
        self.expect(b'"')?;
        let rest = &self.body[self.at..];
        let (key, len) = if rest.starts_with(b"Data\"") {
            (EntryKey::Data, 5)
        } else if rest.starts_with(b"PartitionKey\"") {
            (EntryKey::PartitionKey, 13)
        } else if rest.starts_with(b"ExplicitHashKey\"") {
            (EntryKey::ExplicitHashKey, 16)
        } else {
            return None;
        };
        self.at += len;
        self.expect(b':')?;
        Some(key)
    }

    fn records<T>(&mut self, max: usize, mut record: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.expect(b'[')?;
        let possible = (self.body.len() - self.at) / SMALLEST_RECORD_BYTES + 1;
        let mut records = Vec::with_capacity(possible.min(max));
        loop {
            if records.len() == max {
                return None;
            }
            records.push(record(self)?);
            if !self.another(b']')? {
                return Some(records);
            }
        }
    }

    #[inline]
    fn entry(&mut self) -> Option<Entry<'a>> {
        self.expect(b'{')?;
        let (mut data, mut explicit_hash_key, mut partition_key) = (None, None, None);
        loop {
            match self.entry_key()? {
                EntryKey::Data if data.is_none() => data = Some(self.base64(limits::DATA_BYTES)?),
                EntryKey::PartitionKey if partition_key.is_none() => {
                    let key = self.string()?;
                    if !(1..=limits::PARTITION_KEY_CHARS).contains(&key.len()) {
                        return None;
                    }
                    partition_key = Some(Cow::Borrowed(key));
                }
                EntryKey::ExplicitHashKey if explicit_hash_key.is_none() => {
                    let key = self.string()?;
                    explicit_hash_key = is_hash_key(key).then_some(Cow::Borrowed(key));
                    explicit_hash_key.as_ref()?;
                }
                EntryKey::Data | EntryKey::PartitionKey | EntryKey::ExplicitHashKey => return None,
            }
            if !self.another(b'}')? {
                return Some(Entry { data: data?, explicit_hash_key, partition_key });
            }
        }
    }

    #[inline]
    fn record(&mut self) -> Option<Blob<'a>> {
        self.expect(b'{')?;
        let EntryKey::Data = self.entry_key()? else { return None };
        let data = self.base64(limits::FIREHOSE_RECORD_BYTES)?;
        self.expect(b'}')?;
        Some(data)
    }

    /// A string of the characters that the services' names are made of.
    fn name(&mut self, max: usize) -> Option<&'a str> {
        let name = self.string()?;
        let plain = name.bytes().all(is_name_byte);
        (plain && (1..=max).contains(&name.len())).then_some(name)
    }

    /// A string without escapes, of printable ASCII.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let from = self.at;
        let stop = from + plain_len(&self.body[from..]);
        if *self.body.get(stop)? != b'"' {
            return None;
        }
        self.at = stop + 1;
        // All of it is ASCII, so this only costs a second look at a few bytes.
        std::str::from_utf8(&self.body[from..stop]).ok()
    }

    /// A string without escapes whose length may be that of base64.
    #[inline]
    fn base64(&mut self, max: usize) -> Option<Blob<'a>> {
        self.expect(b'"')?;
        let rest = &self.body[self.at..];
        let len = memchr2(b'"', b'\\', rest)?;
        let text = &rest[..len];
        if rest[len] != b'"' || !len.is_multiple_of(4) || decoded_len(text) > max {
            return None;
        }
        self.at += len + 1;
        Some(Blob::Base64(text))
    }
}

/// Number of leading bytes that are printable ASCII and neither quote nor backslash; eight at a time.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest flagged byte is exact in each term; only bytes above it may be flagged by a borrow.
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quote = zero_byte(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_byte(word ^ (ONES * u64::from(b'\\')));
        let stop = (word & HIGHS) | below_space | quote | backslash;
        if stop != 0 {
            return i * 8 + (stop.trailing_zeros() / 8) as usize;
        }
    }
    let plain = |byte: &u8| matches!(byte, 0x20..0x80) && !matches!(byte, b'"' | b'\\');
    words.len() * 8 + rest.iter().take_while(|byte| plain(byte)).count()
}

/// `^(0|([1-9]\d{0,38}))$`
pub(crate) fn is_hash_key(text: &str) -> bool {
    let digits = text.as_bytes();
    digits == b"0"
        || (digits.len() <= limits::HASH_KEY_DIGITS
            && digits.first().is_some_and(|first| *first != b'0')
            && digits.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests;
