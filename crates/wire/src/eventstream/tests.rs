use aws_smithy_eventstream::frame::read_message_from;

use super::*;

/// The first frame's length as it was seen on AWS, and its bytes laid out by hand.
#[test]
fn the_first_frame_has_114_bytes() {
    let frame = initial_response(Protocol::Json);
    assert_eq!(frame.len(), 114);
    assert_eq!(frame[..8], [0, 0, 0, 114, 0, 0, 0, 96]);
    let headers = concat!(
        "\x0b:event-type\x07\x00\x10initial-response",
        "\x0d:content-type\x07\x00\x1aapplication/x-amz-json-1.1",
        "\x0d:message-type\x07\x00\x05event"
    );
    assert_eq!(&frame[12..108], headers.as_bytes());
    assert_eq!(&frame[108..110], b"{}");
    assert_eq!(initial_response(Protocol::Cbor)[108..110], [0xbf, 0xff]);
}

/// A frame; the values of its headers, the beginning of the first one's name, its payload.
type Row<'a> = (Vec<u8>, [&'a str; 3], &'a str, &'a [u8]);

/// The AWS SDK's own reader takes every frame apart: lengths, checksums, headers in their order, payload.
#[test]
fn the_sdk_reads_what_is_written() {
    let large = vec![7_u8; 8 << 20];
    let failure = AwsError::new(ErrorCode::ResourceInUseException, "busy");
    let rows: [Row<'_>; 6] = [
        (
            initial_response(Protocol::Json),
            ["initial-response", "application/x-amz-json-1.1", "event"],
            ":event",
            b"{}",
        ),
        (
            initial_response(Protocol::Cbor),
            ["initial-response", "application/x-amz-cbor-1.1", "event"],
            ":event",
            b"\xbf\xff",
        ),
        (
            event("SubscribeToShardEvent", Protocol::Cbor, &large),
            ["SubscribeToShardEvent", "application/x-amz-cbor-1.1", "event"],
            ":event",
            &large,
        ),
        (event("e", Protocol::PlainJson, b""), ["e", "application/json", "event"], ":event", b""),
        (
            exception(&failure, Protocol::PlainJson),
            ["ResourceInUseException", "application/json", "exception"],
            ":exception",
            br#"{"__type":"ResourceInUseException","message":"busy"}"#,
        ),
        (
            exception(&AwsError::internal_failure(), Protocol::Json),
            ["InternalFailureException", "application/x-amz-json-1.1", "exception"],
            ":exception",
            br#"{"__type":"InternalFailure"}"#,
        ),
    ];
    for (frame, values, kind, payload) in rows {
        let mut rest = frame.as_slice();
        let message = read_message_from(&mut rest).unwrap();
        assert!(rest.is_empty());
        let headers: Vec<(&str, &str)> = message
            .headers()
            .iter()
            .map(|header| (header.name().as_str(), header.value().as_string().unwrap().as_str()))
            .collect();
        let names = [format!("{kind}-type"), ":content-type".to_owned(), ":message-type".to_owned()];
        let expected: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
        assert_eq!(headers, expected);
        assert_eq!(message.payload().as_ref(), payload);
    }
}
