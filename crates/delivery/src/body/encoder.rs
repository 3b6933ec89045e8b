//! The five formats of an object's content.
//!
//! ```text
//! UNCOMPRESSED   records
//! GZIP           one gzip member
//! ZIP            one deflated entry, its name a UUID
//! Snappy         82 "SNAPPY" 00 | version: u32 BE = 1 | compatible: u32 BE = 1 | ( length: u32 BE | block )*
//! HADOOP_SNAPPY  ( raw length: u32 BE | length: u32 BE | block )*           block: raw Snappy of at most 32 KiB
//! ```
//!
//! `Snappy` is the stream of snappy-java (xerial), not the framing format of Snappy itself. All this was seen in objects
//! that AWS has written, the UUID too: it is another one than that of the object's key.
//!
//! The content is a function of the records and the key alone: compressors are fed in blocks of one size, however the
//! records were paged; the entry's name comes from the key, and its time is always the same.

use std::io::{self, Cursor, Write};

use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::config::{Compression, Delimiter};

/// Bytes handed to deflate at a time.
const DEFLATE_BLOCK_BYTES: usize = 64 * 1024;

/// Bytes of a block of the two Snappy formats, uncompressed.
pub(super) const SNAPPY_BLOCK_BYTES: usize = 32 * 1024;

/// What a stream of snappy-java begins with: its magic, its version, and the lowest version that can read it.
pub(super) const SNAPPY_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];

/// Level of gzip and ZIP; what zlib takes by default.
const LEVEL: u32 = 6;

/// What fixes the bytes of an object besides its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format<'a> {
    pub(crate) compression: Compression,
    pub(crate) delimiter: &'a Delimiter,
    /// The object's key.
    pub(crate) key: &'a str,
}

/// Joins records, and compresses them block by block.
pub(crate) struct Encoder {
    output: Output,
    block: Vec<u8>,
    block_bytes: usize,
    between: Option<Box<[u8]>>,
    after: &'static [u8],
    is_first: bool,
}

enum Output {
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Zip(Box<ZipWriter<Cursor<Vec<u8>>>>),
    Snappy(Box<Snappy>),
}

impl Encoder {
    /// An object without records. `bytes` is what will come, if that is known.
    ///
    /// # Errors
    /// None that is known: everything is written into memory.
    pub(crate) fn new(format: Format<'_>, bytes: u64) -> io::Result<Self> {
        let (output, block_bytes) = match format.compression {
            Compression::Uncompressed => {
                (Output::Plain(Vec::with_capacity(usize::try_from(bytes).unwrap_or_default())), 0)
            }
            Compression::Gzip => {
                let encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(LEVEL));
                (Output::Gzip(Box::new(encoder)), DEFLATE_BLOCK_BYTES)
            }
            Compression::Zip => (Output::Zip(Box::new(zip(format.key)?)), DEFLATE_BLOCK_BYTES),
            Compression::Snappy => (Output::Snappy(Box::new(Snappy::of_xerial())), SNAPPY_BLOCK_BYTES),
            Compression::HadoopSnappy => (Output::Snappy(Box::new(Snappy::of_hadoop())), SNAPPY_BLOCK_BYTES),
        };
        let (between, after) = match format.delimiter {
            Delimiter::None => (None, b"".as_slice()),
            Delimiter::Between(text) => (Some(text.as_bytes().into()), b"".as_slice()),
            Delimiter::Lines => (None, b"\n".as_slice()),
        };
        Ok(Self { output, block: Vec::with_capacity(block_bytes), block_bytes, between, after, is_first: true })
    }

    /// Adds a record.
    pub(crate) fn record(&mut self, data: &[u8]) -> io::Result<()> {
        if !std::mem::take(&mut self.is_first)
            && let Some(between) = self.between.take()
        {
            self.write(&between)?;
            self.between = Some(between);
        }
        self.write(data)?;
        self.write(self.after)
    }

    /// The whole content.
    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        if !self.block.is_empty() {
            self.output.block(&self.block)?;
        }
        match self.output {
            Output::Plain(out) => Ok(out),
            Output::Gzip(out) => out.finish(),
            Output::Zip(out) => Ok(out.finish()?.into_inner()),
            Output::Snappy(out) => Ok(out.out),
        }
    }

    fn write(&mut self, mut data: &[u8]) -> io::Result<()> {
        if let Output::Plain(out) = &mut self.output {
            out.extend_from_slice(data);
            return Ok(());
        }
        while self.block.len() + data.len() >= self.block_bytes {
            let (now, later) = data.split_at(self.block_bytes - self.block.len());
            self.block.extend_from_slice(now);
            self.output.block(&self.block)?;
            self.block.clear();
            data = later;
        }
        self.block.extend_from_slice(data);
        Ok(())
    }
}

impl Output {
    fn block(&mut self, block: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(block),
            Self::Gzip(out) => out.write_all(block),
            Self::Zip(out) => out.write_all(block),
            Self::Snappy(out) => out.block(block),
        }
    }
}

/// An archive that is open for the content of its one entry.
fn zip(key: &str) -> io::Result<ZipWriter<Cursor<Vec<u8>>>> {
    let name = uuid::Builder::from_md5_bytes(Md5::digest(key).into()).into_uuid().hyphenated().to_string();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL.into()))
        .last_modified_time(DateTime::DEFAULT);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, options)?;
    Ok(zip)
}

/// Either of the two formats.
struct Snappy {
    raw: snap::raw::Encoder,
    compressed: Vec<u8>,
    /// Hadoop's blocks say their uncompressed length.
    has_raw_lengths: bool,
    out: Vec<u8>,
}

impl Snappy {
    fn of_xerial() -> Self {
        Self { out: SNAPPY_HEADER.to_vec(), has_raw_lengths: false, ..Self::of_hadoop() }
    }

    fn of_hadoop() -> Self {
        let compressed = vec![0; snap::raw::max_compress_len(SNAPPY_BLOCK_BYTES)];
        Self { raw: snap::raw::Encoder::new(), compressed, has_raw_lengths: true, out: Vec::new() }
    }

    fn block(&mut self, block: &[u8]) -> io::Result<()> {
        let length = self.raw.compress(block, &mut self.compressed)?;
        if self.has_raw_lengths {
            self.length(block.len());
        }
        self.length(length);
        self.out.extend_from_slice(&self.compressed[..length]);
        Ok(())
    }

    /// Of something that has at most some ten thousand bytes.
    fn length(&mut self, length: usize) {
        self.out.extend_from_slice(&(length as u32).to_be_bytes());
    }
}
