//! What becomes of a record in a `_bulk` request: two lines.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use levada_core::engine::Millis;
use serde::de::IgnoredAny;

use super::Fault;

/// `IndexRotationPeriod`: what is appended to an index's name, in UTC, by the arrival of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// `NoRotation`
    None,
    /// `OneHour`: `-yyyy-MM-dd-HH`
    Hour,
    /// `OneDay`: `-yyyy-MM-dd`
    Day,
    /// `OneWeek`: `-yyyy-wNN`, by weeks of ISO 8601 as AWS's example shows. That the year is the week's is unverified.
    Week,
    /// `OneMonth`: `-yyyy-MM`
    Month,
}

impl Rotation {
    /// The suffix at this moment.
    pub(super) fn suffix(self, arrival: Millis) -> String {
        let time = i64::try_from(arrival).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let date = time.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC).datetime();
        let (year, month, day) = (date.year(), date.month(), date.day());
        match self {
            Self::None => String::new(),
            Self::Hour => format!("-{year:04}-{month:02}-{day:02}-{:02}", date.hour()),
            Self::Day => format!("-{year:04}-{month:02}-{day:02}"),
            Self::Week => {
                let week = date.date().iso_week_date();
                format!("-{:04}-w{:02}", week.year(), week.week())
            }
            Self::Month => format!("-{year:04}-{month:02}"),
        }
    }
}

/// A record that can be sent.
pub(super) struct Document {
    /// In the parcel.
    pub(super) place: usize,
    action: Vec<u8>,
    source: Bytes,
}

impl Document {
    /// Takes a record that is one JSON object; nothing else can stand in a `_bulk` request without harm to its
    /// neighbours.
    pub(super) fn new(place: usize, action: Vec<u8>, data: &Bytes) -> Result<Self, Fault> {
        let source =
            object(data).map_err(|reason| Fault::new("400", format!("The record is not a JSON object: {reason}")))?;
        Ok(Self { place, action, source })
    }

    /// Bytes in a request.
    pub(super) fn len(&self) -> usize {
        self.action.len() + self.source.len() + 2
    }

    pub(super) fn write(&self, body: &mut Vec<u8>) {
        for line in [&self.action[..], &self.source[..]] {
            body.extend_from_slice(line);
            body.push(b'\n');
        }
    }
}

/// The object on one line. Line ends within strings are escaped in JSON, so that each that is there stands between
/// tokens and may be a space as well.
fn object(data: &Bytes) -> Result<Bytes, String> {
    let text = std::str::from_utf8(data).map_err(|error| error.to_string())?;
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    if !text.starts_with('{') {
        return Err("it is another value".to_owned());
    }
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if text.bytes().any(|byte| is_end(&byte)) {
        return Ok(text.bytes().map(|byte| if is_end(&byte) { b' ' } else { byte }).collect());
    }
    Ok(data.slice_ref(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn suffixes_are_those_of_the_developer_guide() {
        // 2016-02-25T13:00:00Z, the guide's example.
        let arrival = 1_456_405_200_000;
        let table = [
            (Rotation::None, ""),
            (Rotation::Hour, "-2016-02-25-13"),
            (Rotation::Day, "-2016-02-25"),
            (Rotation::Week, "-2016-w08"),
            (Rotation::Month, "-2016-02"),
        ];
        for (rotation, suffix) in table {
            assert_eq!(rotation.suffix(arrival), suffix);
        }
    }

    #[test]
    fn weeks_rise_over_the_turn_of_the_year() {
        // 2025-12-28 (a Sunday) and the day after: the last week of 2025 and the first of 2026.
        assert_eq!(Rotation::Week.suffix(1_766_880_000_000), "-2025-w52");
        assert_eq!(Rotation::Week.suffix(1_766_966_400_000), "-2026-w01");
        assert_eq!(Rotation::Day.suffix(u64::MAX), "-9999-12-30");
    }

    #[test]
    fn only_one_object_is_a_document() {
        let table: &[(&'static [u8], Option<&[u8]>)] = &[
            (b"{}", Some(b"{}")),
            (b" {\"a\":1}\r\n", Some(b"{\"a\":1}")),
            (b"{\n  \"a\": \"x\\n\"\n}\n", Some(b"{   \"a\": \"x\\n\" }")),
            (b"", None),
            (b"\n", None),
            (b"hello", None),
            (b"[{}]", None),
            (b"1", None),
            (b"{\"a\":1}{\"b\":2}", None),
            (b"{\"a\":1}\n{\"b\":2}", None),
            (b"{\"a\":\"\n\"}", None),
            (b"{\"a\":\"\xff\"}", None),
            (b"\xef\xbb\xbf{}", None),
            (b"{\"a\":1", None),
        ];
        for (data, expected) in table {
            let data = Bytes::from_static(data);
            let document = Document::new(0, Vec::new(), &data).ok().map(|document| document.source);
            assert_eq!(document.as_deref(), *expected, "{}", String::from_utf8_lossy(&data));
        }
    }

    proptest! {
        #[test]
        fn a_document_is_one_line_and_means_the_same(data in "[{}\\[\\]\",:a\\\\n0-9\n\r ]{0,24}") {
            if let Ok(document) = Document::new(0, b"{}".to_vec(), &Bytes::from(data.clone())) {
                let mut body = Vec::new();
                document.write(&mut body);
                prop_assert_eq!(body.len(), document.len());
                prop_assert_eq!(body.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count(), 2);
                let sent: serde_json::Value = serde_json::from_slice(&document.source).unwrap();
                prop_assert_eq!(sent, serde_json::from_str::<serde_json::Value>(&data).unwrap());
            }
        }
    }
}
