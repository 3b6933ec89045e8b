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
