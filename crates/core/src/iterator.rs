//! Shard iterators and list tokens: positions that a client carries for us, sealed so that it can neither read more
//! into them than we said nor make its own.
//!
//! ```text
//! token := base64( kind: u64 BE | salt: 16 | body_len: u16 BE | body | zeros | HMAC-SHA256 of all before: 32 )
//! ```
//!
//! Iterators are kind 1, so they begin with `AAAAAAAAAA` as AWS's do, and are padded to at least 288 characters; the
//! longest (a name of 128 characters) stay below the 512 that the model allows. The salt keeps two tokens of one
//! position apart. A token says when it was made and dies five minutes later.
//!
//! The key is the node's. All gateways of a cluster must share it.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::catalog::{Account, ResourceKey, Scope};
use crate::engine::{Millis, Offset};
use crate::env::Random;
use crate::sequence::{SequenceNumber, Side, Start};
use crate::shard::{ShardFilter, ShardId};

/// How long a token lives, in milliseconds.
pub const TOLERATED_MS: u64 = 300_000;

const KIND_ITERATOR: u64 = 1;
const KIND_NEXT: u64 = 2;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
const HEAD_BYTES: usize = 8 + SALT_BYTES + 2;
/// 288 characters of base64.
const MIN_BYTES: usize = 288 / 4 * 3;

/// The key that tokens are sealed with. Does not print itself.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// Prepares 32 random bytes for use.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        Self(Hmac::new_from_slice(bytes).expect("a key of any length"))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not sealed by this key, or not a token of this kind.
    #[error("invalid token")]
    Invalid,
    /// Sealed by this key more than [`TOLERATED_MS`] ago.
    #[error("token of {created_ms} expired at {now_ms}")]
    Expired {
        /// When it was made.
        created_ms: Millis,
        /// When it was used.
        now_ms: Millis,
    },
}

/// A place in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIterator {
    /// The stream, in the life in which the iterator was made.
    pub stream: ResourceKey,
    /// The shard.
    pub shard: ShardId,
    /// The place.
    pub position: Position,
    /// When the iterator was made.
    pub created_ms: Millis,
}

/// Where reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Here. `Start::Offset` also for `LATEST`, pinned when it was asked for, and for the next page; offset 0 for
    /// `TRIM_HORIZON`.
    Start(Start),
    /// At the first record that arrived at this time or later, in milliseconds.
    Time(Millis),
}

/// Seals an iterator. Its stream's name must be below 256 bytes, and so must its region.
#[must_use]
pub fn seal(key: &TokenKey, iterator: &ShardIterator, random: &dyn Random) -> String {
    let mut body = Vec::with_capacity(MIN_BYTES);
    let text = |body: &mut Vec<u8>, text: &str| {
        body.push(text.len() as u8);
        body.extend_from_slice(text.as_bytes());
    };
    text(&mut body, iterator.stream.scope.account.as_str());
    text(&mut body, &iterator.stream.scope.region);
    text(&mut body, &iterator.stream.name);
    body.extend_from_slice(&iterator.stream.incarnation.to_be_bytes());
    body.extend_from_slice(&iterator.shard.0.to_be_bytes());
    body.extend_from_slice(&iterator.created_ms.to_be_bytes());
    let (kind, value, number) = match iterator.position {
        Position::Start(Start::Offset(offset)) => (0, offset, None),
        Position::Time(time) => (1, time, None),
        Position::Start(Start::CompareAt { offset, number, side: Side::At }) => (2, offset, Some(number)),
        Position::Start(Start::CompareAt { offset, number, side: Side::After }) => (3, offset, Some(number)),
    };
    body.push(kind);
    body.extend_from_slice(&value.to_be_bytes());
    body.extend(number.map(SequenceNumber::to_bytes).into_iter().flatten());
    seal_body(key, KIND_ITERATOR, &body, random)
}

/// Opens an iterator.
///
/// # Errors
/// See [`TokenError`].
pub fn open(key: &TokenKey, token: &str, now_ms: Millis) -> Result<ShardIterator, TokenError> {
    let body = open_body(key, KIND_ITERATOR, token).ok_or(TokenError::Invalid)?;
    let iterator = read_iterator(&body).ok_or(TokenError::Invalid)?;
    check_age(iterator.created_ms, now_ms)?;
    Ok(iterator)
}

fn read_iterator(body: &[u8]) -> Option<ShardIterator> {
    let mut rest = Reader(body);
    let account = Account::new(rest.text()?)?;
    let scope = Scope::new(account, rest.text()?);
    let name = rest.text()?.into();
    let incarnation = u64::from_be_bytes(rest.array()?);
    let shard = ShardId(u32::from_be_bytes(rest.array()?));
    let created_ms = u64::from_be_bytes(rest.array()?);
    let [kind] = rest.array()?;
    let value: Offset = u64::from_be_bytes(rest.array()?);
    let mut compare = |side| {
        let number = SequenceNumber::from_bytes(rest.array()?)?;
        Some(Position::Start(Start::CompareAt { offset: value, number, side }))
    };
    let position = match kind {
        0 => Position::Start(Start::Offset(value)),
        1 => Position::Time(value),
        2 => compare(Side::At)?,
        3 => compare(Side::After)?,
        _ => return None,
    };
    let stream = ResourceKey { scope, name, incarnation };
    rest.0.is_empty().then_some(ShardIterator { stream, shard, position, created_ms })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<&'a str> {
        let [len] = self.array()?;
        let (text, rest) = self.0.split_at_checked(len.into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextToken {
    /// Whose resources are listed.
    pub scope: Scope,
    /// What is listed.
    pub listing: Listing,
    /// When the token was made.
    pub created_ms: Millis,
}

/// What is listed, and behind what the next page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listing {
    /// Streams behind this name.
    Streams {
        /// The last name of the page before.
        after: Arc<str>,
    },
    /// Consumers of one stream behind this name.
    Consumers {
        /// The stream's name.
        stream: Arc<str>,
        /// Its life.
        incarnation: u64,
        /// The last consumer of the page before.
        after: Arc<str>,
    },
    /// Shards of one stream behind this shard.
    Shards {
        /// The stream's name.
        stream: Arc<str>,
        /// Its life.
        incarnation: u64,
        /// The last shard of the page before.
        after: ShardId,
        /// Which shards are shown; a request with a token names no filter of its own.
        filter: ShardFilter,
    },
}

/// Seals a list token.
#[must_use]
pub fn seal_next(key: &TokenKey, token: &NextToken, random: &dyn Random) -> String {
    #[expect(clippy::expect_used, reason = "all keys are strings and nothing fails while it is written to memory")]
    let body = serde_json::to_vec(token).expect("serialising to memory");
    seal_body(key, KIND_NEXT, &body, random)
}

/// Opens a list token.
///
/// # Errors
/// See [`TokenError`].
pub fn open_next(key: &TokenKey, token: &str, now_ms: Millis) -> Result<NextToken, TokenError> {
    let body = open_body(key, KIND_NEXT, token).ok_or(TokenError::Invalid)?;
    let token: NextToken = serde_json::from_slice(&body).map_err(|_| TokenError::Invalid)?;
    check_age(token.created_ms, now_ms)?;
    Ok(token)
}

/// A token made in the future, before the clock was set back, is taken for a new one.
fn check_age(created_ms: Millis, now_ms: Millis) -> Result<(), TokenError> {
    if now_ms.saturating_sub(created_ms) > TOLERATED_MS {
        return Err(TokenError::Expired { created_ms, now_ms });
    }
    Ok(())
}

fn seal_body(key: &TokenKey, kind: u64, body: &[u8], random: &dyn Random) -> String {
    let len = (HEAD_BYTES + body.len() + TAG_BYTES).max(MIN_BYTES).next_multiple_of(3);
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&kind.to_be_bytes());
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(len - TAG_BYTES, 0);
    let tag = key.0.clone().chain_update(&bytes).finalize().into_bytes();
    bytes.extend_from_slice(&tag);
    base64_simd::STANDARD.encode_to_string(&bytes)
}

fn open_body(key: &TokenKey, kind: u64, token: &str) -> Option<Vec<u8>> {
    let bytes = base64_simd::STANDARD.decode_to_vec(token).ok()?;
    let (sealed, tag) = bytes.split_last_chunk::<TAG_BYTES>()?;
    key.0.clone().chain_update(sealed).verify_slice(tag).ok()?;
    let mut rest = Reader(sealed);
    let found = u64::from_be_bytes(rest.array()?);
    rest.array::<SALT_BYTES>()?;
    let len = u16::from_be_bytes(rest.array()?);
    (found == kind).then_some(())?;
    rest.0.get(..len.into()).map(<[u8]>::to_vec)
}

/// A time as Java's `Date` prints it, in UTC: `Fri Nov 20 08:42:07 UTC 2026`.
#[must_use]
pub fn java_date(time: Millis) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let seconds = time / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March put the leap day last. 719,468 days lie between 1 March of the year 0 and 1970.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days, and again: 153 in five.
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    format!(
        "{} {} {day_of_month:02} {:02}:{:02}:{:02} UTC {year:04}",
        WEEKDAYS[(days % 7) as usize],
        MONTHS[month as usize],
        second / 3_600,
        second / 60 % 60,
        second % 60,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::sequence::SequenceSpace;

    #[derive(Default)]
    struct Counting(AtomicU64);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed) as u8);
        }
    }

    fn key() -> TokenKey {
        TokenKey::new(&[7; 32])
    }

    fn iterator(name: &str, position: Position) -> ShardIterator {
        let scope = Scope::new(Account::new("123456789012").unwrap(), "us-east-1");
        let stream = ResourceKey { scope, name: name.into(), incarnation: 42 };
        ShardIterator { stream, shard: ShardId(3), position, created_ms: 1_000_000 }
    }

    fn next_token() -> NextToken {
        let scope = Scope::new(Account::new("123456789012").unwrap(), "us-east-1");
        let (stream, filter) = ("s".into(), ShardFilter::AtTimestamp(9));
        let listing = Listing::Shards { stream, incarnation: 4, after: ShardId(99), filter };
        NextToken { scope, listing, created_ms: 1_000_000 }
    }

    fn position() -> impl Strategy<Value = Position> {
        let space = SequenceSpace { created_secs: 1_700_000_000, shard_index: 3 };
        prop_oneof![
            any::<u64>().prop_map(|offset| Position::Start(Start::Offset(offset))),
            any::<u64>().prop_map(Position::Time),
            (0..u64::MAX / 2 - 1, 0..u64::from(u32::MAX), any::<bool>()).prop_map(move |(offset, secs, at)| {
                let side = if at { Side::At } else { Side::After };
                Position::Start(Start::CompareAt { offset, number: space.number(offset, secs * 1000), side })
            }),
        ]
    }

    proptest! {
        #[test]
        fn an_iterator_opens_to_what_was_sealed(name in "[a-zA-Z0-9_.-]{1,128}", position in position()) {
            let random = Counting::default();
            let iterator = iterator(&name, position);
            let token = seal(&key(), &iterator, &random);
            prop_assert!(token.starts_with("AAAAAAAAAA"));
            prop_assert!((288..=512).contains(&token.len()), "{}", token.len());
            prop_assert_ne!(&token, &seal(&key(), &iterator, &random));
            prop_assert_eq!(open(&key(), &token, 1_000_000), Ok(iterator));
        }
    }

    #[test]
    fn one_flipped_bit_is_refused_wherever_it_is() {
        let random = Counting::default();
        let tokens =
            [seal(&key(), &iterator("stream", Position::Time(5)), &random), seal_next(&key(), &next_token(), &random)];
        for token in tokens {
            let bytes = base64_simd::STANDARD.decode_to_vec(&token).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut forged = bytes.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                let forged = base64_simd::STANDARD.encode_to_string(&forged);
                assert_eq!(open(&key(), &forged, 1_000_000), Err(TokenError::Invalid), "bit {bit}");
                assert_eq!(open_next(&key(), &forged, 1_000_000), Err(TokenError::Invalid), "bit {bit}");
            }
        }
    }

    #[test]
    fn garbage_and_tokens_of_another_kind_or_key_are_refused() {
        let random = Counting::default();
        let sealed = seal(&key(), &iterator("stream", Position::Time(5)), &random);
        let next = seal_next(&key(), &next_token(), &random);
        let rows = [
            "",
            "garbage",
            "AAAAAAAAAA",
            "!",
            &sealed[..sealed.len() - 4],
            &format!("{sealed}AAAA"),
            &next,
            &seal(&TokenKey::new(&[8; 32]), &iterator("stream", Position::Time(5)), &random),
        ];
        for token in rows {
            assert_eq!(open(&key(), token, 1_000_000), Err(TokenError::Invalid), "{token}");
        }
        assert_eq!(open_next(&key(), &sealed, 1_000_000), Err(TokenError::Invalid));
        assert_eq!(open_next(&key(), &next, 1_000_000), Ok(next_token()));
        // A body that would be understood, under the other kind.
        let body = open_body(&key(), KIND_ITERATOR, &sealed).unwrap();
        let relabelled = seal_body(&key(), KIND_NEXT, &body, &random);
        assert_eq!(open(&key(), &relabelled, 1_000_000), Err(TokenError::Invalid));
    }

    #[test]
    fn tokens_live_five_minutes() {
        let random = Counting::default();
        let sealed = seal(&key(), &iterator("stream", Position::Time(5)), &random);
        let next = seal_next(&key(), &next_token(), &random);
        let rows = [(0, true), (1_000_000, true), (1_300_000, true), (1_300_001, false), (u64::MAX, false)];
        for (now_ms, alive) in rows {
            let expired = TokenError::Expired { created_ms: 1_000_000, now_ms };
            assert_eq!(open(&key(), &sealed, now_ms).err(), (!alive).then_some(expired), "{now_ms}");
            assert_eq!(open_next(&key(), &next, now_ms).err(), (!alive).then_some(expired), "{now_ms}");
        }
    }

    #[test]
    fn the_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", key()), "TokenKey");
    }

    #[test]
    fn dates_print_as_in_java() {
        let rows = [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_782_399_999, "Mon Feb 28 23:59:59 UTC 2000"),
            (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
            (951_868_800_000, "Wed Mar 01 00:00:00 UTC 2000"),
            (1_795_163_527_123, "Fri Nov 20 08:32:07 UTC 2026"),
            (1_798_761_599_000, "Thu Dec 31 23:59:59 UTC 2026"),
            (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
        ];
        for (time, date) in rows {
            assert_eq!(java_date(time), date);
        }
    }
}
