//! Put requests in CBOR without a tree: the records borrow their data and keys from the body. A Java producer sends
//! nothing else.
//!
//! Like the scanner of JSON, this accepts the form that clients send and answers `None` to everything else, which then
//! goes the generic way. It never accepts what that way would refuse.

use std::borrow::Cow;

use super::parse::Parser;
use crate::blob::Blob;
use crate::codec::{Pull, Token};
use crate::firehose::put_record_batch::PutRecordBatchRequest;
use crate::kinesis::put_records::{Entry, PutRecordsRequest};
use crate::limits;
use crate::pattern::{is_name_byte, is_plain_stream_arn};
use crate::scan::{DELIVERY_STREAM_NAME_CHARS, STREAM_NAME_CHARS, is_hash_key};

pub(crate) fn put_records(body: &[u8]) -> Option<PutRecordsRequest<'_>> {
    let mut parser = Parser::object(body).ok()?;
    let mut request = PutRecordsRequest::default();
    while let Some(key) = parser.next_key(false).ok()? {
        match &*key {
            "Records" if request.records.is_empty() => {
                request.records = records(&mut parser, limits::PUT_RECORDS_RECORDS, entry)?;
            }
            "StreamName" if request.stream_name.is_none() => {
                request.stream_name = Some(name(&mut parser, STREAM_NAME_CHARS)?);
            }
            "StreamARN" if request.stream_arn.is_none() => {
                request.stream_arn = Some(text(&mut parser).filter(|arn| is_plain_stream_arn(arn))?);
            }
            _ => return None,
        }
    }
    parser.end().ok()?;
    (!request.records.is_empty()).then_some(request)
}

pub(crate) fn put_record_batch(body: &[u8]) -> Option<PutRecordBatchRequest<'_>> {
    let mut parser = Parser::object(body).ok()?;
    let mut stream = None;
    let mut data = Vec::new();
    while let Some(key) = parser.next_key(false).ok()? {
        match &*key {
            "Records" if data.is_empty() => data = records(&mut parser, limits::FIREHOSE_BATCH_RECORDS, record)?,
            "DeliveryStreamName" if stream.is_none() => {
                stream = Some(name(&mut parser, DELIVERY_STREAM_NAME_CHARS)?);
            }
            _ => return None,
        }
    }
    parser.end().ok()?;
    let delivery_stream_name = stream?;
    (!data.is_empty()).then_some(PutRecordBatchRequest { delivery_stream_name, records: data })
}

fn records<'a, T>(
    parser: &mut Parser<'a>,
    max: usize,
    record: impl Fn(&mut Parser<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let Token::BeginList = parser.value().ok()? else { return None };
    let mut records = Vec::new();
    while parser.next_item(false).ok()? {
        if records.len() == max {
            return None;
        }
        if records.is_empty() {
            // Each takes at least a byte of the body, so a small body never reserves much.
            records.reserve(max.min(parser.remaining()));
        }
        records.push(record(parser)?);
    }
    Some(records)
}

/// A member of a record.
enum EntryKey {
    Data,
    PartitionKey,
    ExplicitHashKey,
}

/// The next member of a record; `None` inside if there is none. To compare whole encoded names is quicker than to read
/// unknown ones.
#[inline]
fn entry_key(parser: &mut Parser<'_>) -> Option<Option<EntryKey>> {
    if !parser.goes_on().ok()? {
        return Some(None);
    }
    Some(Some(if parser.accept(b"\x64Data") {
        EntryKey::Data
    } else if parser.accept(b"\x6cPartitionKey") {
        EntryKey::PartitionKey
    } else if parser.accept(b"\x6fExplicitHashKey") {
        EntryKey::ExplicitHashKey
    } else {
        match &*parser.key().ok()? {
            "Data" => EntryKey::Data,
            "PartitionKey" => EntryKey::PartitionKey,
            "ExplicitHashKey" => EntryKey::ExplicitHashKey,
            _ => return None,
        }
    }))
}

fn entry<'a>(parser: &mut Parser<'a>) -> Option<Entry<'a>> {
    let Token::BeginMap = parser.value().ok()? else { return None };
    let (mut data, mut explicit_hash_key, mut partition_key) = (None, None, None);
    while let Some(key) = entry_key(parser)? {
        match key {
            EntryKey::Data if data.is_none() => data = Some(blob(parser, limits::DATA_BYTES)?),
            EntryKey::PartitionKey if partition_key.is_none() => {
                // As many bytes as characters at least, so that the bound on characters holds.
                let fits = |key: &Cow<'_, str>| (1..=limits::PARTITION_KEY_CHARS).contains(&key.len());
                partition_key = Some(text(parser).filter(fits)?);
            }
            EntryKey::ExplicitHashKey if explicit_hash_key.is_none() => {
                explicit_hash_key = Some(text(parser).filter(|key| is_hash_key(key))?);
            }
            EntryKey::Data | EntryKey::PartitionKey | EntryKey::ExplicitHashKey => return None,
        }
    }
    Some(Entry { data: data?, explicit_hash_key, partition_key })
}

fn record<'a>(parser: &mut Parser<'a>) -> Option<Blob<'a>> {
    let Token::BeginMap = parser.value().ok()? else { return None };
    let mut data = None;
    while let Some(key) = entry_key(parser)? {
        match key {
            EntryKey::Data if data.is_none() => data = Some(blob(parser, limits::FIREHOSE_RECORD_BYTES)?),
            EntryKey::Data | EntryKey::PartitionKey | EntryKey::ExplicitHashKey => return None,
        }
    }
    data
}

#[inline]
fn text<'a>(parser: &mut Parser<'a>) -> Option<Cow<'a, str>> {
    match parser.value().ok()? {
        Token::String(text) => Some(text),
        Token::Null | Token::Boolean(_) | Token::Number(_) | Token::Bytes(_) | Token::BeginList | Token::BeginMap => {
            None
        }
    }
}

/// A string of the characters that the services' names are made of.
fn name<'a>(parser: &mut Parser<'a>, max: usize) -> Option<Cow<'a, str>> {
    text(parser).filter(|name| name.bytes().all(is_name_byte) && (1..=max).contains(&name.len()))
}

#[inline]
fn blob<'a>(parser: &mut Parser<'a>, max: usize) -> Option<Blob<'a>> {
    match parser.value().ok()? {
        Token::Bytes(Cow::Borrowed(bytes)) if bytes.len() <= max => Some(Blob::Borrowed(bytes)),
        Token::Bytes(Cow::Owned(bytes)) if bytes.len() <= max => Some(Blob::Raw(bytes.into())),
        Token::Null
        | Token::Boolean(_)
        | Token::Number(_)
        | Token::String(_)
        | Token::Bytes(_)
        | Token::BeginList
        | Token::BeginMap => None,
    }
}
