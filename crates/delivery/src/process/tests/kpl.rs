//! Aggregates of the Kinesis Producer Library, against an encoder of their own.

use bytes::Bytes;
use md5::{Digest, Md5};
use proptest::prelude::*;

use super::super::kpl::deaggregate;

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn field(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn record(key: u64, data: &[u8]) -> Vec<u8> {
    let mut record = vec![1 << 3];
    varint(key, &mut record);
    record.extend([2 << 3, 0]);
    field(3, data, &mut record);
    // A tag: key and value.
    field(4, &[10, 1, b'k', 18, 1, b'v'], &mut record);
    record
}

fn sealed(message: &[u8]) -> Bytes {
    [&[0xF3, 0x89, 0x9A, 0xC2], message, Md5::digest(message).as_slice()].concat().into()
}

fn message(keys: &[&str], records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = Vec::new();
    keys.iter().for_each(|key| field(1, key.as_bytes(), &mut message));
    field(2, b"17", &mut message);
    records.iter().for_each(|record| field(3, record, &mut message));
    message
}

fn shown(data: &Bytes) -> Option<Vec<(String, Vec<u8>)>> {
    let records = deaggregate(data)?;
    Some(records.into_iter().map(|record| (record.partition_key.to_string(), record.data.to_vec())).collect())
}

#[test]
fn an_aggregate_is_taken_apart() {
    let records = [record(1, b"one"), record(0, b""), record(1, &[0xFF; 300])];
    let expected = [("b", b"one".to_vec()), ("a", Vec::new()), ("b", vec![0xFF; 300])];
    let expected = expected.map(|(key, data)| (key.to_owned(), data)).to_vec();
    assert_eq!(shown(&sealed(&message(&["a", "b"], &records))), Some(expected));
}

/// Of each width that a field can have.
#[test]
fn fields_of_later_releases_are_passed_over() {
    let mut later = message(&["a"], &[]);
    later.extend([9 << 3, 0xAC, 2]);
    later.extend([10 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    later.extend([11 << 3 | 5, 1, 2, 3, 4]);
    field(3, &record(0, b"x"), &mut later);
    assert_eq!(shown(&sealed(&later)), Some(vec![("a".to_owned(), b"x".to_vec())]));
}

#[test]
fn what_is_no_good_aggregate_stays_one_record() {
    let good = sealed(&message(&["a"], &[record(0, b"x")]));
    assert!(deaggregate(&good).is_some());
    let mut wrong_sum = good.to_vec();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let mut wrong_magic = good.to_vec();
    wrong_magic[0] ^= 1;
    let without_data = vec![1 << 3, 0];
    let mut without_key = Vec::new();
    field(3, b"x", &mut without_key);
    for (why, data) in [
        ("empty", Bytes::new()),
        ("magic alone", Bytes::from_static(&[0xF3, 0x89, 0x9A, 0xC2])),
        ("too short for a sum", Bytes::from_static(&[0xF3, 0x89, 0x9A, 0xC2, 1, 2, 3])),
        ("wrong sum", wrong_sum.into()),
        ("wrong magic", wrong_magic.into()),
        ("no records", sealed(&message(&["a"], &[]))),
        ("no message", sealed(&[])),
        ("key not in table", sealed(&message(&["a"], &[record(1, b"x")]))),
        ("no data", sealed(&message(&["a"], &[without_data]))),
        ("no key", sealed(&message(&["a"], &[without_key]))),
        ("field 0", sealed(&[0, 0])),
        ("group", sealed(&[3 << 3 | 3, 0])),
        ("length beyond the end", sealed(&[3 << 3 | 2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1])),
        ("endless varint", sealed(&[0xFF; 32])),
        ("number beyond 64 bits", sealed(&[1 << 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2])),
        (
            "key that is no text",
            sealed(&message(&[], &[record(0, b"x")]).into_iter().chain([10, 1, 0xFF]).collect::<Vec<_>>()),
        ),
        ("too many", sealed(&message(&["a"], &vec![vec![1 << 3, 0, 3 << 3 | 2, 0]; 90_000]))),
        ("keys too long", sealed(&message(&[&"k".repeat(1000)], &vec![record(0, b""); 20_000]))),
    ] {
        assert!(deaggregate(&data).is_none(), "{why}");
    }
}

proptest! {
    #[test]
    fn all_that_was_aggregated_comes_out(
        keys in prop::collection::vec("[a-z]{0,8}", 1..8),
        records in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..64)), 1..32),
    ) {
        let places: Vec<_> = records.iter().map(|(index, data)| (index.index(keys.len()), data)).collect();
        let encoded: Vec<_> = places.iter().map(|(place, data)| record(*place as u64, data)).collect();
        let names: Vec<_> = keys.iter().map(String::as_str).collect();
        let expected: Vec<_> = places.iter().map(|(place, data)| (keys[*place].clone(), (*data).clone())).collect();
        prop_assert_eq!(shown(&sealed(&message(&names, &encoded))), Some(expected));
    }

    #[test]
    fn no_bytes_are_too_much(message in prop::collection::vec(any::<u8>(), 0..200)) {
        let data = sealed(&message);
        if let Some(records) = deaggregate(&data) {
            prop_assert!(records.iter().map(|record| record.data.len()).sum::<usize>() <= data.len());
        }
        prop_assert_eq!(deaggregate(&Bytes::from(message)), None);
    }
}
