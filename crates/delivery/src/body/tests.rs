use std::io::Read;

use proptest::prelude::*;

use super::encoder::{SNAPPY_BLOCK_BYTES, SNAPPY_HEADER};
use super::{Encoder, Format};
use crate::config::{Compression, Delimiter};

const KEY: &str = "2026/07/13/14/orders-3-2026-07-13-14-05-09-07070707-0707-4707-8707-070707070707.zip";

fn encode<'a>(
    compression: Compression,
    delimiter: &Delimiter,
    records: impl IntoIterator<Item = &'a [u8]>,
    key: &str,
) -> Vec<u8> {
    let mut encoder = Encoder::new(Format { compression, delimiter, key }, 0).unwrap();
    records.into_iter().for_each(|record| encoder.record(record).unwrap());
    encoder.finish().unwrap()
}

fn encode_pieces(compression: Compression, mut data: &[u8], pieces: &[usize]) -> Vec<u8> {
    let mut records = Vec::new();
    for piece in pieces.iter().cycle() {
        if data.is_empty() {
            break;
        }
        let (now, later) = data.split_at((*piece).min(data.len()));
        records.push(now);
        data = later;
    }
    encode(compression, &Delimiter::None, records, KEY)
}

/// Reads a content as its consumers do, each format by what is known of it and not by our encoder.
fn decode(compression: Compression, content: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    match compression {
        Compression::Uncompressed => decoded.extend_from_slice(content),
        Compression::Gzip => {
            flate2::read::GzDecoder::new(content).read_to_end(&mut decoded).unwrap();
        }
        Compression::Zip => {
            let mut archive = zip::ZipArchive::new(std::io::Cursor::new(content)).unwrap();
            assert_eq!(archive.len(), 1);
            archive.by_index(0).unwrap().read_to_end(&mut decoded).unwrap();
        }
        Compression::Snappy => {
            let mut rest = content.strip_prefix(&SNAPPY_HEADER).unwrap();
            while !rest.is_empty() {
                decoded.extend(block(&mut rest));
            }
        }
        Compression::HadoopSnappy => {
            let mut rest = content;
            while !rest.is_empty() {
                let raw = length(&mut rest);
                let block = block(&mut rest);
                assert_eq!(block.len(), raw);
                decoded.extend(block);
            }
        }
    }
    decoded
}

fn length(rest: &mut &[u8]) -> usize {
    let (now, later) = rest.split_first_chunk().unwrap();
    *rest = later;
    u32::from_be_bytes(*now) as usize
}

fn block(rest: &mut &[u8]) -> Vec<u8> {
    let length = length(rest);
    let (now, later) = rest.split_at(length);
    *rest = later;
    let block = snap::raw::Decoder::new().decompress_vec(now).unwrap();
    assert!(block.len() == SNAPPY_BLOCK_BYTES || (block.len() < SNAPPY_BLOCK_BYTES && rest.is_empty()));
    block
}

#[test]
fn delimiters() {
    let rows = [
        (Delimiter::None, [&b"a"[..], b"", b"bc"], "abc"),
        (Delimiter::Between("\n".into()), [b"a", b"", b"bc"], "a\n\nbc"),
        (Delimiter::Between("--".into()), [b"", b"", b""], "----"),
        (Delimiter::Between(String::new()), [b"a", b"b", b"c"], "abc"),
        (Delimiter::Lines, [b"a", b"", b"bc"], "a\n\nbc\n"),
    ];
    for (delimiter, records, wanted) in rows {
        for compression in Compression::ALL {
            let content = encode(compression, &delimiter, records, KEY);
            assert_eq!(decode(compression, &content), wanted.as_bytes(), "{delimiter:?} {compression:?}");
        }
    }
    for delimiter in [Delimiter::None, Delimiter::Between("\n".into()), Delimiter::Lines] {
        for compression in Compression::ALL {
            assert_eq!(decode(compression, &encode(compression, &delimiter, [], KEY)), b"", "{compression:?}");
        }
    }
}

/// Bytes that this version writes are what later ones must write too, or an object rewritten after an upgrade differs.
/// The two Snappy formats were made by hand from the sources at the top of `encoder`.
#[test]
fn known_bytes() {
    let literal = b"\x05\x10hello";
    let xerial = [&SNAPPY_HEADER[..], b"\0\0\0\x07", literal].concat();
    assert_eq!(encode(Compression::Snappy, &Delimiter::None, [&b"hello"[..]], KEY), xerial);
    let hadoop = [&b"\0\0\0\x05\0\0\0\x07"[..], literal].concat();
    assert_eq!(encode(Compression::HadoopSnappy, &Delimiter::None, [&b"hello"[..]], KEY), hadoop);
    let gzip = encode(Compression::Gzip, &Delimiter::None, [&b"hello"[..]], KEY);
    assert_eq!(gzip[..4], [0x1f, 0x8b, 8, 0]);
    assert_eq!(gzip[4..8], [0; 4], "no time stamp");
}

#[test]
fn a_zip_entry_has_a_name_of_its_own_and_no_time_of_its_own() {
    let data: Vec<&[u8]> = vec![b"hello ", b"hello ", b"hello ", b"hello ", b"hello "];
    let content = encode(Compression::Zip, &Delimiter::None, data.clone(), KEY);
    assert_eq!(content, encode(Compression::Zip, &Delimiter::None, data.clone(), KEY));
    let other = encode(Compression::Zip, &Delimiter::None, data, "another key");
    let entry = |content: Vec<u8>| {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(content)).unwrap();
        let entry = archive.by_index(0).unwrap();
        assert_eq!(entry.compression(), zip::CompressionMethod::Deflated);
        assert_eq!(entry.last_modified(), Some(zip::DateTime::DEFAULT));
        entry.name().unwrap().into_owned()
    };
    let (name, other) = (entry(content), entry(other));
    assert_ne!(name, other);
    assert!(uuid::Uuid::parse_str(&name).is_ok() && !KEY.contains(&name), "{name}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn how_records_were_paged_does_not_show_and_everything_can_be_read_again(
        words in proptest::collection::vec("[a-f]{1,9}", 1..2_000),
        repeat in 1usize..30,
        pieces in proptest::collection::vec(1usize..100_000, 1..10),
    ) {
        let data = words.concat().repeat(repeat);
        for compression in Compression::ALL {
            let whole = encode_pieces(compression, data.as_bytes(), &[usize::MAX]);
            prop_assert!(whole == encode_pieces(compression, data.as_bytes(), &pieces));
            prop_assert!(decode(compression, &whole) == data.as_bytes());
        }
    }
}
