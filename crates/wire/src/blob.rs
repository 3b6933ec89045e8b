//! A blob of a request: still in base64, or decoded already.

use base64_simd::STANDARD;
use bytes::Bytes;

/// Bytes that a client sent.
#[derive(Clone, Debug)]
pub enum Blob<'a> {
    /// Base64 text as it stands in the body, a multiple of four characters long, not looked into yet.
    Base64(&'a [u8]),
    /// Bytes as they stand in a CBOR body.
    Borrowed(&'a [u8]),
    /// Decoded bytes.
    Raw(Bytes),
}

/// Text that is not base64 as AWS accepts it. The generic decoding of the request words the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBase64;

impl Blob<'_> {
    /// Length of the decoded bytes, exact if [`decode_append`](Self::decode_append) succeeds.
    #[must_use]
    pub fn decoded_len(&self) -> usize {
        match self {
            Blob::Base64(text) => decoded_len(text),
            Blob::Borrowed(bytes) => bytes.len(),
            Blob::Raw(bytes) => bytes.len(),
        }
    }

    /// Appends the decoded bytes to `out`.
    ///
    /// # Errors
    /// [`BadBase64`]; `out` is as before then.
    pub fn decode_append(&self, out: &mut Vec<u8>) -> Result<(), BadBase64> {
        match self {
            Blob::Borrowed(bytes) => out.extend_from_slice(bytes),
            Blob::Raw(bytes) => out.extend_from_slice(bytes),
            Blob::Base64(text) => decode_append(text, out)?,
        }
        Ok(())
    }

    /// The decoded bytes.
    ///
    /// # Errors
    /// [`BadBase64`].
    pub fn decode(&self) -> Result<Bytes, BadBase64> {
        match self {
            Blob::Borrowed(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            Blob::Raw(bytes) => Ok(bytes.clone()),
            Blob::Base64(text) => {
                let mut out = Vec::with_capacity(decoded_len(text));
                decode_append(text, &mut out)?;
                Ok(out.into())
            }
        }
    }
}

/// Decoded length of base64 text whose length is a multiple of four.
pub(crate) fn decoded_len(text: &[u8]) -> usize {
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

/// Decodes padded base64 in the standard alphabet, refusing stray bits in the last character.
pub(crate) fn decode_append(text: &[u8], out: &mut Vec<u8>) -> Result<(), BadBase64> {
    if !text.len().is_multiple_of(4) {
        return Err(BadBase64);
    }
    let at = out.len();
    match STANDARD.decode_append(text, out) {
        Ok(()) => Ok(()),
        Err(_) => {
            out.truncate(at);
            Err(BadBase64)
        }
    }
}

impl PartialEq for Blob<'_> {
    /// Two blobs are equal if they decode to the same bytes.
    fn eq(&self, other: &Self) -> bool {
        self.decode() == other.decode()
    }
}
