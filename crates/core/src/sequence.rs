//! Sequence numbers in AWS's layout.
//!
//! A number is 186 bits, printed as 56 decimal digits. From the highest hexadecimal digit on:
//!
//! ```text
//! 2 | shard created, s (9) | shard index & f (1) | index (16) | flag (2) | written, s (9) | shard index (8) | 2
//! ```
//!
//! The layout was worked out by the kinesalite project and agrees with numbers printed in AWS's documentation (see
//! the tests). `index` is the record's offset in its log plus one, because index 0 is the start of the shard itself.
//! A number is derived from (shard, offset, arrival second) and never stored.
//!
//! Within one shard only index, flag and second differ, in this order of weight. Offsets rise and arrival times
//! never fall along a log, so numbers rise strictly with offsets.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::{Millis, Offset};
use crate::shard::ShardId;

/// Decimal digits of a sequence number.
pub const DIGITS: usize = 56;

/// The index of a closed shard's ending sequence number; no record reaches it.
pub const END_INDEX: u64 = 0x7fff_ffff_ffff_ffff;

/// The flag byte of a continuation number. Records carry 0, so the number lies behind the record with its index,
/// whatever their seconds.
const CONTINUATION_FLAG: u8 = 0xff;

const INDEX_SHIFT: u32 = 80;
const FLAG_SHIFT: u32 = 72;
const SECOND_SHIFT: u32 = 36;
const SHARD_SHIFT: u32 = 4;
const SECOND_MASK: u64 = (1 << 36) - 1;
const LAYOUT: u128 = 2;

/// A sequence number in today's layout. Ordered as the whole number that it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    /// Bits 128 and up: `2`, created, the shard's nibble, the index's upper 16 bits.
    high: u64,
    low: u128,
}

impl SequenceNumber {
    fn assemble(created_secs: u64, shard_index: u32, index: u64, flag: u8, second: u64) -> Self {
        let index = u128::from(index);
        let high = (2 << 56) | ((created_secs & SECOND_MASK) << 20) | (u64::from(shard_index & 0xf) << 16);
        Self {
            high: high | (index >> 48) as u64,
            low: (index << INDEX_SHIFT)
                | (u128::from(flag) << FLAG_SHIFT)
                | (u128::from(second & SECOND_MASK) << SECOND_SHIFT)
                | (u128::from(shard_index) << SHARD_SHIFT)
                | LAYOUT,
        }
    }

    /// Second since the Unix epoch in which the shard was created.
    #[must_use]
    pub fn created_secs(self) -> u64 {
        (self.high >> 20) & SECOND_MASK
    }

    /// Index of the shard in its stream.
    #[must_use]
    pub fn shard_index(self) -> u32 {
        (self.low >> SHARD_SHIFT) as u32
    }

    /// Position in the shard: 0 its start, from 1 on its records, [`END_INDEX`] its end.
    #[must_use]
    pub fn index(self) -> u64 {
        ((self.high & 0xffff) << 48) | (self.low >> INDEX_SHIFT) as u64
    }

    /// The flag byte: 0 in the numbers of records, sometimes another in AWS's.
    #[must_use]
    pub fn flag(self) -> u8 {
        (self.low >> FLAG_SHIFT) as u8
    }

    /// Second since the Unix epoch in which the record arrived, or the shard was created or closed.
    #[must_use]
    pub fn second(self) -> u64 {
        (self.low >> SECOND_SHIFT) as u64 & SECOND_MASK
    }

    /// Offset of the record with this index, `None` for a shard's start or end.
    #[must_use]
    pub fn offset(self) -> Option<Offset> {
        if self.index() == END_INDEX { None } else { self.index().checked_sub(1) }
    }

    /// Whether this may be a number of the shard with this space: same shard, same second of creation.
    #[must_use]
    pub fn belongs_to(self, space: SequenceSpace) -> bool {
        self.shard_index() == space.shard_index && self.high >> 16 == space.start().high >> 16
    }

    /// The 56 ASCII digits.
    #[must_use]
    pub fn digits(self) -> [u8; DIGITS] {
        DigitWriter::at(self).current()
    }

    /// 24 bytes, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.high.to_be_bytes());
        bytes[8..].copy_from_slice(&self.low.to_be_bytes());
        bytes
    }

    /// From [`to_bytes`](Self::to_bytes); `None` if that did not make them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 24]) -> Option<Self> {
        let (high, low) = bytes.split_first_chunk::<8>()?;
        let number = Self { high: u64::from_be_bytes(*high), low: u128::from_be_bytes(low.try_into().ok()?) };
        (number.high >> 56 == 2 && number.low & 0xf == LAYOUT).then_some(number)
    }

    fn words(self) -> [u64; 3] {
        [self.high, (self.low >> 64) as u64, self.low as u64]
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits().iter().try_for_each(|&digit| fmt::Write::write_char(f, char::from(digit)))
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SequenceNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SequenceNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = given(&text).ok().and_then(|given| given.number());
        number.ok_or_else(|| serde::de::Error::custom("not a sequence number"))
    }
}

/// What all sequence numbers of one shard have in common. No two shards of streams of one name ever share a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SequenceSpace {
    /// Second since the Unix epoch in which the shard was created; below 2^36.
    #[serde(rename = "secs")]
    pub created_secs: u64,
    /// Index of the shard in its stream.
    #[serde(rename = "shard")]
    pub shard_index: u32,
}

impl SequenceSpace {
    /// The number of the record at `offset` that arrived at `arrival_ms`.
    #[must_use]
    pub fn number(self, offset: Offset, arrival_ms: Millis) -> SequenceNumber {
        SequenceNumber::assemble(self.created_secs, self.shard_index, offset + 1, 0, arrival_ms / 1000)
    }

    /// The shard's StartingSequenceNumber: below every record's number.
    #[must_use]
    pub fn start(self) -> SequenceNumber {
        SequenceNumber::assemble(self.created_secs, self.shard_index, 0, 0, self.created_secs)
    }

    /// The EndingSequenceNumber of the shard closed in this second: above every record's number.
    #[must_use]
    pub fn end(self, closed_secs: u64) -> SequenceNumber {
        SequenceNumber::assemble(self.created_secs, self.shard_index, END_INDEX, 0, closed_secs)
    }

    /// A number that lies between the record before `next` and the record at `next`, whenever those arrived or will
    /// arrive: reading at it and after it both begin at `next`. Its second may advance while nothing is written, and
    /// then the number does; it needs no record and so no memory of having been given out.
    #[must_use]
    pub fn continuation(self, next: Offset, now_ms: Millis) -> SequenceNumber {
        let index = next.min(END_INDEX);
        SequenceNumber::assemble(self.created_secs, self.shard_index, index, CONTINUATION_FLAG, now_ms / 1000)
    }

    /// Writes the digits of the batch whose first record is at `first` and whose records arrived at `arrival_ms`.
    #[must_use]
    pub fn digits_from(self, first: Offset, arrival_ms: Millis) -> DigitWriter {
        DigitWriter::at(self.number(first, arrival_ms))
    }
}

const EIGHT: u64 = 100_000_000;
const LIMB: u64 = EIGHT * EIGHT;
const LIMB_DIGITS: usize = 16;
const TOP_DIGITS: usize = DIGITS - 2 * LIMB_DIGITS;
/// The next record's number is this much larger.
const STEP: u128 = 1 << INDEX_SHIFT;
const STEP_LOW: u64 = (STEP % LIMB as u128) as u64;
const STEP_MIDDLE: u64 = (STEP / LIMB as u128) as u64;
// A step reaches the top only by a carry, about once in 80 million records.
const _: () = assert!(STEP / (LIMB as u128) < LIMB as u128);
const _: () = assert!(TOP_DIGITS == 24);

/// Prints consecutive sequence numbers. The number is kept in base 10^16, where the next one is an addition, not a
/// division of 186 bits, and its upper 24 digits hardly ever change.
#[derive(Clone, Debug)]
pub struct DigitWriter {
    top: u128,
    middle: u64,
    low: u64,
    digits: [u8; DIGITS],
}

impl DigitWriter {
    /// Starts at `number`.
    #[must_use]
    pub fn at(number: SequenceNumber) -> Self {
        let mut words = number.words();
        let low = divide_by_limb(&mut words);
        let middle = divide_by_limb(&mut words);
        // Below 2^186 / 10^32 < 2^80.
        let top = (u128::from(words[1]) << 64) | u128::from(words[2]);
        let mut writer = Self { top, middle, low, digits: [0; DIGITS] };
        writer.write_top();
        writer.write_rest();
        writer
    }

    /// The digits of the current number.
    #[must_use]
    pub fn current(&self) -> [u8; DIGITS] {
        self.digits
    }

    /// Moves to the number of the next record of the same second.
    pub fn advance(&mut self) {
        self.low += STEP_LOW;
        self.middle += STEP_MIDDLE + self.low / LIMB;
        self.low %= LIMB;
        if self.middle >= LIMB {
            self.middle -= LIMB;
            self.top += 1;
            self.write_top();
        }
        self.write_rest();
    }

    fn write_top(&mut self) {
        let (upper, lower) = (self.top / u128::from(LIMB), self.top % u128::from(LIMB));
        self.digits[..8].copy_from_slice(&eight_digits(upper as u64));
        self.digits[8..TOP_DIGITS].copy_from_slice(&limb_digits(lower as u64));
    }

    fn write_rest(&mut self) {
        self.digits[TOP_DIGITS..TOP_DIGITS + LIMB_DIGITS].copy_from_slice(&limb_digits(self.middle));
        self.digits[TOP_DIGITS + LIMB_DIGITS..].copy_from_slice(&limb_digits(self.low));
    }
}

/// Endless; take as many as the batch has records.
impl Iterator for DigitWriter {
    type Item = [u8; DIGITS];

    fn next(&mut self) -> Option<Self::Item> {
        let digits = self.current();
        self.advance();
        Some(digits)
    }
}

/// Divides the number by 10^16 in place and answers the remainder.
fn divide_by_limb(words: &mut [u64; 3]) -> u64 {
    let mut rest = 0u64;
    for word in words {
        let part = (u128::from(rest) << 64) | u128::from(*word);
        *word = (part / u128::from(LIMB)) as u64;
        rest = (part % u128::from(LIMB)) as u64;
    }
    rest
}

fn limb_digits(limb: u64) -> [u8; LIMB_DIGITS] {
    let mut digits = [0; LIMB_DIGITS];
    digits[..8].copy_from_slice(&eight_digits(limb / EIGHT));
    digits[8..].copy_from_slice(&eight_digits(limb % EIGHT));
    digits
}

/// The eight digits of a number below 10^8, all lanes of a word at once: split into two lanes of four digits, then
/// four of two, then eight of one. The multiplications are exact divisions by 100 and 10 in these ranges.
fn eight_digits(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

/// Not a sequence number of any layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} is no sequence number")]
pub struct InvalidNumber {
    /// The text as it came.
    pub given: String,
}

/// A sequence number that a client sent, in today's layout or in an older one of AWS, of which only the shard is of
/// interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenNumber {
    printed: String,
    shard_index: u32,
    second: u64,
    number: Option<SequenceNumber>,
}

impl GivenNumber {
    /// As AWS's messages print it: numbers below 2^124 appear raised by 2^124.
    #[must_use]
    pub fn printed(&self) -> &str {
        &self.printed
    }

    /// The shard that it encodes.
    #[must_use]
    pub fn shard_index(&self) -> u32 {
        self.shard_index
    }

    /// The number, if it is of today's layout.
    #[must_use]
    pub fn number(&self) -> Option<SequenceNumber> {
        self.number
    }
}

const LEGACY_BASE: u128 = 1 << 124;
/// Seconds from which on AWS calls a date of the oldest layout invalid (found by kinesalite's tests).
const LEGACY_DATE_LIMIT: u64 = 16_025_175_000;

/// Reads a decimal number (digits without a leading zero, as the model's pattern demands).
///
/// # Errors
/// [`InvalidNumber`] if AWS would not recognise its layout.
pub fn given(text: &str) -> Result<GivenNumber, InvalidNumber> {
    let invalid = || InvalidNumber { given: text.to_owned() };
    let [high, middle, low] = parse_decimal(text).ok_or_else(invalid)?;
    let low = (u128::from(middle) << 64) | u128::from(low);
    // The two layouts of 186 bits lie in 2^185 .. 1.5 * 2^185, the oldest one in 2^124 .. 2^125.
    match (high >> 56, high, low) {
        (2, _, _) => wide_layout(text, SequenceNumber { high, low }).ok_or_else(invalid),
        (0, 0, _) if low < 2 * LEGACY_BASE => {
            let low = if low < LEGACY_BASE { low + LEGACY_BASE } else { low };
            if (low >> 88) as u64 & SECOND_MASK >= LEGACY_DATE_LIMIT {
                return Err(invalid());
            }
            Ok(GivenNumber { printed: low.to_string(), shard_index: (low & 0xffff) as u32, second: 0, number: None })
        }
        _ => Err(invalid()),
    }
}

fn wide_layout(text: &str, number: SequenceNumber) -> Option<GivenNumber> {
    let printed = text.to_owned();
    let shard_index = number.shard_index();
    match number.low & 0xf {
        LAYOUT if number.index() <= END_INDEX && shard_index <= i32::MAX as u32 => {
            Some(GivenNumber { printed, shard_index, second: number.second(), number: Some(number) })
        }
        1 => {
            // Before 2015: created (9), nibble (1), flag (2), second (9), random (14), index (2), shard (8).
            let second = ((number.high & 0xff) << 28) | (number.low >> 100) as u64;
            Some(GivenNumber { printed, shard_index, second, number: None })
        }
        _ => None,
    }
}

fn parse_decimal(text: &str) -> Option<[u64; 3]> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut words = [0u64; 3];
    // 10^19 is the largest power of ten in a word.
    for chunk in text.as_bytes().chunks(19) {
        let digits = chunk.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let mut carry = digits;
        for word in words.iter_mut().rev() {
            let product = u128::from(*word) * u128::from(10u64.pow(chunk.len() as u32)) + u128::from(carry);
            *word = product as u64;
            carry = (product >> 64) as u64;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(words)
}

/// Checks a SequenceNumberForOrdering. It orders nothing: Levada's numbers of one shard rise anyway.
///
/// # Errors
/// [`InvalidNumber`] if it is none, or was written in the future.
pub fn check_ordering(text: &str, now_ms: Millis) -> Result<(), InvalidNumber> {
    let given = given(text)?;
    if given.second > now_ms / 1000 { Err(InvalidNumber { given: text.to_owned() }) } else { Ok(()) }
}

/// Whether a start includes the record with the given number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// `AT_SEQUENCE_NUMBER`: the first record whose number is not below the given one.
    At,
    /// `AFTER_SEQUENCE_NUMBER`: the first record whose number is above the given one.
    After,
}

/// Where reading begins.
///
/// A start compares as a whole number and needs no record with it. Records with a lower index than the given number
/// lie before it and those with a higher index behind it, whatever their seconds. Only the one record that has the
/// same index may be on either side, because its flag and second may be smaller, equal or larger; that record may
/// also not exist yet, so the comparison is carried along until it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Start {
    /// At this offset, whether or not there is a record yet.
    Offset(Offset),
    /// At this offset or, if the record there lies before the number, at the next.
    CompareAt {
        /// Offset of the record whose index is the number's.
        offset: Offset,
        /// The number to compare it with.
        number: SequenceNumber,
        /// Whether equality counts as behind.
        side: Side,
    },
}

impl Start {
    /// The offset to read from. Of what is read, drop the records that [`admits`](Self::admits) refuses: none but
    /// the very first can be among them. If nothing was read, keep the start as it is.
    #[must_use]
    pub fn read_from(self) -> Offset {
        match self {
            Self::Offset(offset) | Self::CompareAt { offset, .. } => offset,
        }
    }

    /// Whether the record at `offset` that arrived at `arrival_ms` is behind the start, in the shard of `space`.
    #[must_use]
    pub fn admits(self, space: SequenceSpace, offset: Offset, arrival_ms: Millis) -> bool {
        match self {
            Self::Offset(from) => offset >= from,
            Self::CompareAt { number, side, .. } => match side {
                Side::At => space.number(offset, arrival_ms) >= number,
                Side::After => space.number(offset, arrival_ms) > number,
            },
        }
    }
}

/// Why a StartingSequenceNumber was refused, in AWS's order of checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Not recognised at all.
    #[error("{given} is invalid")]
    Invalid {
        /// The number as it came.
        given: String,
    },
    /// Of another shard.
    #[error("it encodes {encodes}, while it was used with {used_with}")]
    OtherShard {
        /// The shard in the number.
        encodes: ShardId,
        /// The shard in the request.
        used_with: ShardId,
    },
    /// Of another stream or incarnation, or in an old layout.
    #[error("{printed} did not come from this stream")]
    OtherStream {
        /// The number in the form for messages.
        printed: String,
    },
}

/// Where a StartingSequenceNumber leads in the shard of `space`.
///
/// # Errors
/// [`StartError`] says which number AWS's message prints.
pub fn start(text: &str, side: Side, space: SequenceSpace) -> Result<Start, StartError> {
    let given = given(text).map_err(|InvalidNumber { given }| StartError::Invalid { given })?;
    if given.shard_index != space.shard_index {
        let (encodes, used_with) = (ShardId(given.shard_index), ShardId(space.shard_index));
        return Err(StartError::OtherShard { encodes, used_with });
    }
    match given.number {
        Some(number) if number.belongs_to(space) => Ok(start_at(number, side)),
        _ => Err(StartError::OtherStream { printed: given.printed }),
    }
}

/// Where a number of the shard itself leads.
#[must_use]
pub fn start_at(number: SequenceNumber, side: Side) -> Start {
    match number.index().checked_sub(1) {
        // No record has the index of the shard's start.
        None => Start::Offset(0),
        // Records carry flag 0, so a number with another lies behind the record with its index.
        Some(offset) if number.flag() != 0 => Start::Offset(offset + 1),
        Some(offset) => Start::CompareAt { offset, number, side },
    }
}

#[cfg(test)]
mod tests;
