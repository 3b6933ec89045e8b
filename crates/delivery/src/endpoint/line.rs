//! Lines of error output, and other JSON whose members have an order.

use base64_simd::STANDARD;

/// A JSON object that is written member by member.
#[derive(Debug)]
pub(super) struct Object(Vec<u8>);

impl Object {
    pub(super) fn new() -> Self {
        Self(vec![b'{'])
    }

    pub(super) fn number(mut self, name: &str, value: u64) -> Self {
        self.name(name);
        self.0.extend_from_slice(value.to_string().as_bytes());
        self
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        put_text(&mut self.0, value);
        self
    }

    pub(super) fn base64(mut self, name: &str, data: &[u8]) -> Self {
        self.name(name);
        put_base64(&mut self.0, data);
        self
    }

    pub(super) fn object(mut self, name: &str, value: Self) -> Self {
        self.name(name);
        self.0.append(&mut value.end());
        self
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        put_text(&mut self.0, name);
        self.0.push(b':');
    }
}

/// Appends a JSON string.
pub(super) fn put_text(json: &mut Vec<u8>, text: &str) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(json, text);
}

/// Appends a JSON string of base64, which needs no escapes.
pub(super) fn put_base64(json: &mut Vec<u8>, data: &[u8]) {
    json.push(b'"');
    STANDARD.encode_append(data, json);
    json.push(b'"');
}

/// The length of base64 of this many bytes.
pub(super) const fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// At most `max` bytes of an answer as text, for messages.
pub(super) fn excerpt(body: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(max)]).into_owned();
    if body.len() > max { format!("{text}…") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order() {
        let inner = Object::new().text("b", "\"\n");
        let line = Object::new().number("z", 1).text("y", "").base64("x", b"hello").object("w", inner).end();
        assert_eq!(line, br#"{"z":1,"y":"","x":"aGVsbG8=","w":{"b":"\"\n"}}"#);
        assert_eq!(Object::new().end(), b"{}");
    }

    #[test]
    fn base64_is_as_long_as_said() {
        for len in 0..10 {
            let mut json = Vec::new();
            put_base64(&mut json, &vec![7; len]);
            assert_eq!(json.len(), base64_len(len) + 2);
        }
    }

    #[test]
    fn excerpts_are_bounded() {
        assert_eq!(excerpt(b"abc", 3), "abc");
        assert_eq!(excerpt(b"abcd", 3), "abc…");
        assert_eq!(excerpt("ä".as_bytes(), 1), "\u{FFFD}…");
    }
}
