//! Frames of `application/vnd.amazon.eventstream`, as they come from a socket in pieces.

use crate::Result;

/// Bytes before the headers: total length, length of the headers, checksum of both.
const PRELUDE: usize = 12;
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 4;
/// No frame of the service is longer.
const LONGEST: usize = 64 << 20;
/// The type of a header whose value is a string.
const STRING: u8 = 7;

/// Takes bytes, gives frames.
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// What stands before has been given.
    at: usize,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    headers: &'a [u8],
    /// The document.
    pub(crate) payload: &'a [u8],
}

impl Frames {
    /// Takes what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if it is whole; its checksum is compared.
    ///
    /// # Errors
    /// If it is no frame.
    pub(crate) fn take(&mut self) -> Result<Option<Frame<'_>>> {
        let rest = &self.bytes[self.at..];
        let (Some(total), Some(header_bytes)) = (number(rest, 0), number(rest, 4)) else { return Ok(None) };
        if !(PRELUDE + CHECKSUM..=LONGEST).contains(&total) || header_bytes > total - PRELUDE - CHECKSUM {
            return Err(format!("a frame of {total} bytes with {header_bytes} bytes of headers").into());
        }
        let Some(frame) = rest.get(..total) else { return Ok(None) };
        let (checked, checksum) = frame.split_at(total - CHECKSUM);
        if checksum != crc32fast::hash(checked).to_be_bytes() {
            return Err("a frame with a false checksum".into());
        }
        let (headers, payload) = checked[PRELUDE..].split_at(header_bytes);
        self.at += total;
        Ok(Some(Frame { headers, payload }))
    }
}

impl<'a> Frame<'a> {
    /// The value of a header, if it is a string.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        loop {
            let (&name_bytes, after) = rest.split_first()?;
            let (found, after) = after.split_at_checked(name_bytes.into())?;
            let (&kind, after) = after.split_first()?;
            let (length, after) = after.split_first_chunk()?;
            let (value, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            if kind != STRING {
                return None;
            }
            if found == name.as_bytes() {
                return std::str::from_utf8(value).ok();
            }
            rest = after;
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(name.len() as u8);
            block.extend_from_slice(name.as_bytes());
            block.push(STRING);
            block.extend_from_slice(&(value.len() as u16).to_be_bytes());
            block.extend_from_slice(value.as_bytes());
        }
        let total = (PRELUDE + block.len() + payload.len() + CHECKSUM) as u32;
        let mut out = [total.to_be_bytes(), (block.len() as u32).to_be_bytes()].concat();
        out.extend(crc32fast::hash(&out).to_be_bytes());
        out.extend_from_slice(&block);
        out.extend_from_slice(payload);
        out.extend(crc32fast::hash(&out).to_be_bytes());
        out
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let headers = [(":event-type", "SubscribeToShardEvent"), (":message-type", "event")];
        let bytes = [frame(&headers, b"one"), frame(&[], b""), frame(&headers, &[7; 5000])].concat();
        for piece in [1, 13, 4096, 100_000] {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for part in bytes.chunks(piece) {
                frames.push(part);
                while let Some(frame) = frames.take().unwrap() {
                    seen.push((frame.header(":message-type").map(str::to_owned), frame.payload.to_vec()));
                }
            }
            let event = || Some("event".to_owned());
            assert_eq!(seen, [(event(), b"one".to_vec()), (None, vec![]), (event(), vec![7; 5000])], "{piece}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut changed = frame(&[], b"payload");
        changed[14] ^= 1;
        let too_short = [15u32.to_be_bytes(), 0u32.to_be_bytes()].concat();
        let no_room = [20u32.to_be_bytes(), 5u32.to_be_bytes()].concat();
        for bytes in [changed, too_short, no_room, b"HTTP/1.1 200 OK".to_vec()] {
            let mut frames = Frames::default();
            frames.push(&bytes);
            assert!(frames.take().is_err(), "{}", bytes.escape_ascii());
        }
    }
}
