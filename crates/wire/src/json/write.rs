//! Writing JSON: compact, members in the order in which they are written.

use base64_simd::STANDARD;

/// Appends a JSON document to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty document.
    #[must_use]
    pub const fn new() -> Self {
        Self { out: Vec::new() }
    }

    /// An empty document with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// The document.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Opens an object.
    pub fn begin_object(&mut self) {
        self.separate();
        self.out.push(b'{');
    }

    /// Closes the object.
    pub fn end_object(&mut self) {
        self.out.push(b'}');
    }

    /// Opens an array.
    pub fn begin_array(&mut self) {
        self.separate();
        self.out.push(b'[');
    }

    /// Closes the array.
    pub fn end_array(&mut self) {
        self.out.push(b']');
    }

    /// A member's name, which needs no escaping.
    pub fn key(&mut self, name: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A map's key.
    pub fn dynamic_key(&mut self, name: &str) {
        self.string(name);
        self.out.push(b':');
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.separate();
        self.out.push(b'"');
        push_escaped(&mut self.out, text.as_bytes());
        self.out.push(b'"');
    }

    /// A whole number.
    pub fn integer(&mut self, number: i64) {
        self.separate();
        push_integer(&mut self.out, number);
    }

    /// A double in Java's form (`1.0E-4`). JSON has no form for what is not finite; such a number is written as 0.
    pub fn double(&mut self, number: f64) {
        self.separate();
        push_double(&mut self.out, number);
    }

    /// True or false.
    pub fn boolean(&mut self, truth: bool) {
        self.separate();
        self.out.extend_from_slice(if truth { b"true" } else { b"false" });
    }

    /// Bytes as base64.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.separate();
        self.out.push(b'"');
        STANDARD.encode_append(bytes, &mut self.out);
        self.out.push(b'"');
    }

    /// A point in time, from milliseconds since the epoch, as seconds in Java's form of a double.
    pub fn timestamp_ms(&mut self, ms: i64) {
        self.separate();
        push_timestamp_ms(&mut self.out, ms);
    }

    /// Writes the comma between siblings: nothing else can stand between a finished value and the next one.
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }
}

/// Appends `text`, which is UTF-8, as the inside of a JSON string.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut from = 0;
    for (i, &byte) in text.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..0x20 => 0,
            _ => continue,
        };
        out.extend_from_slice(&text[from..i]);
        from = i + 1;
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text[from..]);
}

fn push_integer(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Milliseconds as seconds, in the form of Java's `Double.toString`, computed in whole numbers so that the last
/// digit is right.
pub(crate) fn push_timestamp_ms(out: &mut Vec<u8>, ms: i64) {
    if ms < 0 {
        out.push(b'-');
    }
    let mut digits = Vec::with_capacity(20);
    push_integer(&mut digits, i64::try_from(ms.unsigned_abs()).unwrap_or(i64::MAX));
    // ms = 0.d₁d₂d₃… × 10^len, so seconds have three digits fewer before the point.
    let point = digits.len() as i32 - 3;
    push_java_digits(out, &digits, point);
}

fn push_double(out: &mut Vec<u8>, number: f64) {
    if !number.is_finite() {
        return push_java_digits(out, b"0", 1);
    }
    if number.is_sign_negative() {
        out.push(b'-');
    }
    // The shortest digits that read back as the same number, which is what Java prints too.
    let text = format!("{:e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    push_java_digits(out, &digits, exponent.parse::<i32>().unwrap_or(0) + 1);
}

/// Writes 0.`digits` × 10^`point` as `Double.toString` does: plainly from 10⁻³ up to 10⁷, else with one digit
/// before the point and an exponent.
fn push_java_digits(out: &mut Vec<u8>, digits: &[u8], point: i32) {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = &digits[zeros..];
    let point = point - zeros as i32;
    let len = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    let digits = &digits[..len];
    if digits.is_empty() {
        return out.extend_from_slice(b"0.0");
    }
    let (whole, shift, exponent) = match point {
        -2..=0 => (0, point.unsigned_abs() as usize, None),
        1..=7 => (point as usize, 0, None),
        _ => (1, 0, Some(point - 1)),
    };
    if whole == 0 {
        out.push(b'0');
    }
    for i in 0..whole {
        out.push(digits.get(i).copied().unwrap_or(b'0'));
    }
    out.push(b'.');
    out.resize(out.len() + shift, b'0');
    match digits.get(whole..) {
        Some(rest) if !rest.is_empty() => out.extend_from_slice(rest),
        _ => out.push(b'0'),
    }
    if let Some(exponent) = exponent {
        out.push(b'E');
        push_integer(out, i64::from(exponent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_look_as_java_prints_doubles() {
        for (ms, expected) in [
            (1_789_779_944_662, "1.789779944662E9"),
            (1_789_779_944_000, "1.789779944E9"),
            (1_700_000_000_000, "1.7E9"),
            (1_000_000_000_000, "1.0E9"),
            (10_000_000_000, "1.0E7"),
            (9_999_999_999, "9999999.999"),
            (1_000, "1.0"),
            (1_500, "1.5"),
            (10, "0.01"),
            (1, "0.001"),
            (0, "0.0"),
            (-1_500, "-1.5"),
        ] {
            assert_eq!(text(|out| push_timestamp_ms(out, ms)), expected, "{ms} ms");
        }
        text(|out| push_timestamp_ms(out, i64::MIN));
    }

    #[test]
    fn doubles_look_as_java_prints_them() {
        for (number, expected) in [
            (0.0, "0.0"),
            (0.05, "0.05"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1.0, "1.0"),
            (123.456, "123.456"),
            (1e7, "1.0E7"),
            (12_345_678.0, "1.2345678E7"),
            (-2.5, "-2.5"),
            (1e300, "1.0E300"),
        ] {
            assert_eq!(text(|out| push_double(out, number)), expected);
        }
    }

    #[test]
    fn strings_read_back() {
        let hard: String = (0u32..0x250).filter_map(char::from_u32).chain("\u{1f600}\u{2028}".chars()).collect();
        let mut writer = Writer::new();
        writer.string(&hard);
        let back: String = serde_json::from_slice(&writer.into_bytes()).unwrap();
        assert_eq!(back, hard);
    }

    #[test]
    fn commas_stand_between_siblings() {
        let mut writer = Writer::new();
        writer.begin_object();
        writer.key("A");
        writer.begin_array();
        writer.begin_object();
        writer.end_object();
        writer.integer(-12);
        writer.boolean(true);
        writer.end_array();
        writer.key("B");
        writer.blob(b"hi");
        writer.dynamic_key("\"");
        writer.string(":{");
        writer.key("C");
        writer.integer(i64::MIN);
        writer.end_object();
        let expected = r#"{"A":[{},-12,true],"B":"aGk=","\"":":{","C":-9223372036854775808}"#;
        assert_eq!(String::from_utf8(writer.into_bytes()).unwrap(), expected);
    }
}
