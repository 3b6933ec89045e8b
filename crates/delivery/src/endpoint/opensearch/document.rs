//! What becomes of a record in a `_bulk` request: two lines.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use levada_core::engine::Millis;
use serde::de::IgnoredAny;

use super::Fault;
use crate::prefix::week_of_year;

/// `IndexRotationPeriod`: what is appended to an index's name, in UTC, by the arrival of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// `NoRotation`
    None,
    /// `OneHour`: `-yyyy-MM-dd-HH`
    Hour,
    /// `OneDay`: `-yyyy-MM-dd`
    Day,
    /// `OneWeek`: `-yyyy-wNN`. Weeks begin on Sunday, and the first one of a year is the one with its first Saturday: the
    /// note of the guide's "Configure index rotation for OpenSearch Service". (The number in the table above it is older
    /// than the note and contradicts it.) That the year is the week's is unverified.
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
                let (year, week) = week_of_year(date.date());
                format!("-{year:04}-w{week:02}")
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
            // By the note's rule; the table says w08.
            (Rotation::Week, "-2016-w09"),
            (Rotation::Month, "-2016-02"),
        ];
        for (rotation, suffix) in table {
            assert_eq!(rotation.suffix(arrival), suffix);
        }
    }

    #[test]
    fn weeks_begin_on_sunday_and_the_first_has_the_first_saturday() {
        let table = [
            // A Saturday and the Sunday after it, where weeks of ISO 8601 would not change.
            ("2026-11-21", "-2026-w47"),
            ("2026-11-22", "-2026-w48"),
            // The turn of a year that begins on a Thursday, and of one that begins on a Friday.
            ("2025-12-27", "-2025-w52"),
            ("2025-12-28", "-2026-w01"),
            ("2026-01-03", "-2026-w01"),
            ("2026-01-04", "-2026-w02"),
            ("2026-12-26", "-2026-w52"),
            ("2026-12-27", "-2027-w01"),
            ("2027-01-03", "-2027-w02"),
            // Of a leap year that begins on a Saturday: its first day is a week of its own, and there are 53.
            ("2000-01-01", "-2000-w01"),
            ("2000-01-02", "-2000-w02"),
            ("2000-12-30", "-2000-w53"),
        ];
        for (date, suffix) in table {
            let moment: Timestamp = format!("{date}T12:00:00Z").parse().unwrap();
            assert_eq!(Rotation::Week.suffix(moment.as_millisecond() as u64), suffix, "{date}");
        }
        assert_eq!(Rotation::Day.suffix(u64::MAX), "-9999-12-30");
        assert_eq!(Rotation::Week.suffix(u64::MAX), "-9999-w53");
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
