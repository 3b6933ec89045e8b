use super::*;
use crate::codec::{Protocol, Writer};

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
