use super::*;
use crate::codec::{Protocol, Writer};
use crate::error::ErrorCode;
use crate::operation::KinesisOp;

/// One row, one value: how it is written.
#[test]
fn values_are_written_as_aws_does() {
    type Write = fn(&mut Writer);
    let rows: [(&str, Write); 13] = [
        ("bfff", |out| {
            out.begin_object();
            out.end_object();
        }),
        ("bf6141009fff", |out| {
            out.begin_object();
            out.key("A");
            out.integer(0);
            out.begin_array();
            out.end_array();
        }),
        ("63c3a921", |out| out.string("é!")),
        ("17", |out| out.integer(23)),
        ("1818", |out| out.integer(24)),
        ("190100", |out| out.integer(256)),
        ("1a00010000", |out| out.integer(65_536)),
        ("1b0000000100000000", |out| out.integer(1 << 32)),
        ("20f4f5", |out| {
            out.integer(-1);
            out.boolean(false);
            out.boolean(true);
        }),
        ("3b7fffffffffffffff", |out| out.integer(i64::MIN)),
        ("fb3ff8000000000000", |out| out.double(1.5)),
        ("4201ff", |out| out.blob(&[1, 255])),
        // Milliseconds, where the RFC has seconds.
        ("c11b000001a0b732a616", |out| out.timestamp_ms(1_789_779_944_982)),
    ];
    for (expected, write) in rows {
        let mut out = Writer::new(Protocol::Cbor);
        write(&mut out);
        let hex: String = out.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
}

/// A map with one member, whose value is given in hexadecimal.
fn with_member(name: &'static str, hex: &str) -> Vec<u8> {
    let mut out = vec![BEGIN_MAP];
    push_text(&mut out, name.as_bytes());
    out.extend(bytes_of(hex));
    out.push(BREAK);
    out
}

fn read(op: KinesisOp, name: &'static str, hex: &str) -> Result<Option<Value>, AwsError> {
    coerce(op.input(), &with_member(name, hex)).map(|value| value.get(name).cloned())
}

/// Most rows are those of RFC 8949, appendix A.
#[test]
fn numbers_of_every_width_are_read() {
    for (hex, expected) in [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1900ff", 255),
        ("1a000f4240", 1_000_000),
        ("1b000000000000000a", 10),
        ("1b000000e8d4a51000", i64::from(i32::MAX)),
        ("1bffffffffffffffff", i64::from(i32::MAX)),
        ("20", -1),
        ("3863", -100),
        ("3903e7", -1000),
        ("3bffffffffffffffff", i64::from(i32::MIN)),
        ("c2420100", 256),
        ("c249010000000000000000", i64::from(i32::MAX)),
        ("c3420100", -257),
        ("c25f41014100ff", 256),
        // Fractions are cut off.
        ("f93e00", 1),
        ("f9c400", -4),
        ("f90001", 0),
        ("f97bff", 65_504),
        ("f97c00", i64::from(i32::MAX)),
        ("f97e00", 0),
        ("fa47c35000", 100_000),
        ("fb3ff199999999999a", 1),
        ("fbc010666666666666", -4),
    ] {
        let read = read(KinesisOp::CreateStream, "ShardCount", hex);
        assert_eq!(read, Ok(Some(Value::Integer(expected))), "{hex}");
    }
}

#[test]
fn strings_are_read_whole_or_in_pieces() {
    let text = |text: &str| Value::String(text.to_owned());
    let blob = |bytes: &'static [u8]| Value::Blob(bytes.into());
    for (name, hex, expected) in [
        ("StreamName", "60", Some(text(""))),
        ("StreamName", "6161", Some(text("a"))),
        ("StreamName", "62c3bc", Some(text("ü"))),
        ("StreamName", "7f657374726561646d696e67ff", Some(text("streaming"))),
        ("StreamName", "7fff", Some(text(""))),
        // A character may be cut between two pieces.
        ("StreamName", "7f61c361bcff", Some(text("ü"))),
        ("StreamName", "f6", None),
        ("StreamName", "f7", None),
        ("StreamName", "d9d9f76161", Some(text("a"))),
        ("Data", "40", Some(blob(b""))),
        ("Data", "4401020304", Some(blob(&[1, 2, 3, 4]))),
        ("Data", "580101", Some(blob(&[1]))),
        ("Data", "5f42010243030405ff", Some(blob(&[1, 2, 3, 4, 5]))),
        ("Data", "f6", None),
        ("DryRun", "f5", Some(Value::Boolean(true))),
        ("Unknown", "a1616183f6f97e005fff", None),
    ] {
        assert_eq!(read(KinesisOp::PutRecord, name, hex), Ok(expected), "{name} {hex}");
    }
}

/// Tag 1 with whole milliseconds is AWS's; a fraction can only be the RFC's seconds.
#[test]
fn points_in_time_are_milliseconds() {
    for (hex, expected) in [
        ("c11b000001a0b732a616", 1_789_779_944_982),
        ("1b000001a0b732a616", 1_789_779_944_982),
        ("c100", 0),
        ("c11901f4", 500),
        ("c13901f3", -500),
        ("c1fb41d452d9ec200000", 1_363_896_240_500),
        ("fb4059000000000000", 100_000),
    ] {
        let read = read(KinesisOp::GetShardIterator, "Timestamp", hex);
        assert_eq!(read, Ok(Some(Value::Timestamp(expected))), "{hex}");
    }
}

#[test]
fn wrong_types_are_told_as_in_json() {
    let number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to";
    let list = "Start of list found where not expected";
    let map = "Start of structure or map found where not expected.";
    for (op, name, hex, expected) in [
        (KinesisOp::PutRecord, "StreamName", "01", format!("{number} an String")),
        (KinesisOp::PutRecord, "StreamName", "f93c00", format!("{number} an String")),
        (
            KinesisOp::PutRecord,
            "StreamName",
            "4161",
            "class java.nio.HeapByteBuffer can not be converted to an String".into(),
        ),
        (KinesisOp::PutRecord, "StreamName", "80", list.into()),
        (KinesisOp::PutRecord, "StreamName", "a0", map.into()),
        (KinesisOp::PutRecord, "Data", "01", format!("{number} a Blob")),
        // Base64 belongs to JSON.
        (KinesisOp::PutRecord, "Data", "6461476b3d", "class java.lang.String can not be converted to a Blob".into()),
        (
            KinesisOp::CreateStream,
            "ShardCount",
            "6132",
            "class java.lang.String can not be converted to an Integer".into(),
        ),
        (
            KinesisOp::GetShardIterator,
            "Timestamp",
            "c16132",
            "class java.lang.String can not be converted to milliseconds since epoch".into(),
        ),
        (KinesisOp::CreateStream, "Tags", "9fff", list.into()),
        (KinesisOp::CreateStream, "Tags", "01", "Expected map or null".into()),
        (KinesisOp::CreateStream, "Tags", "a1616101", format!("{number} an String")),
        (KinesisOp::PutRecords, "Records", "bfff", map.into()),
        (KinesisOp::PutRecords, "Records", "40", "Expected list or null".into()),
        (KinesisOp::PutRecords, "Records", "8101", "Expected null".into()),
    ] {
        let error = read(op, name, hex).unwrap_err();
        assert_eq!(error, AwsError::new(ErrorCode::SerializationException, expected), "{name} {hex}");
    }
}

#[test]
fn what_cannot_be_parsed_is_refused_without_a_text() {
    let deep = |depth: usize| format!("a16178{}00", "81".repeat(depth));
    let broken = [
        "",
        "00",
        "80",
        "f6",
        "6161",
        "bf",
        "ff",
        "a0 00",
        "bfff ff",
        "a1",
        "a16161",
        "a1616100 00",
        "a26161 00",
        // A key that is no text.
        "a10000",
        "bf4161 00ff",
        // Breaks and lengths where they must not be.
        "bf6161ff",
        "a16161ff",
        "a161619f",
        "a161619fff00",
        "a161611c",
        "a161611fff",
        "a16161 df00",
        "a1616118",
        "a161613900",
        // More than there is, up to what no memory could hold.
        "a161614201",
        "a161615affffffff00",
        "a161615bffffffffffffffff00",
        "a161617bffffffffffffffff00",
        "a161619bffffffffffffffff",
        "a161619a00ffffff00",
        "a16161bbffffffffffffffff",
        "bbffffffffffffffff",
        // Pieces of another type, or in pieces themselves.
        "a161615f6161ff",
        "a161617f4161ff",
        "a161617f7f6161ffff",
        "a161615f00ff",
        "a161615f4100",
        // Not UTF-8.
        "a1616162c328",
        "a161c300",
        // Simple values that mean nothing, and a tag without its value.
        "a16161e0",
        "a16161f820",
        "a16161fc",
        "a16161c1",
        "a16161c200",
        // As long as can be said: no end of its own, and no break that ends it.
        "bbffffffffffffffffff",
        "a161619bffffffffffffffffff",
        "a161619bffffffffffffffff00ff",
        &deep(32),
    ];
    for hex in broken {
        let body = bytes_of(hex);
        assert_eq!(coerce(KinesisOp::PutRecord.input(), &body), Err(AwsError::malformed()), "{hex}");
        assert_eq!(validate(&body), Err(Malformed), "{hex}");
    }
    assert_eq!(coerce(KinesisOp::PutRecord.input(), &bytes_of(&deep(31))), Ok(Value::Structure(vec![])));
    // A tag on a tag on a tag nests nothing.
    assert_eq!(validate(&bytes_of(&format!("a16161{}00", "c1".repeat(100_000)))), Ok(()));
}

#[test]
fn a_hostile_list_does_not_fill_the_memory() {
    let body = with_member("Records", &format!("9f{}ff", "a0".repeat((1 << 18) + 1)));
    assert_eq!(coerce(crate::FirehoseOp::PutRecordBatch.input(), &body), Err(AwsError::malformed()));
    let scanned = crate::kinesis::put_records::scan(Protocol::Cbor, &body);
    assert_eq!(scanned, None);
}
