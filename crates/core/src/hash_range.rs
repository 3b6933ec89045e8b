//! Hash keys: which shard a record belongs to.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// The hash key of a partition key: the MD5 of its UTF-8 bytes, read as a big-endian number.
#[must_use]
pub fn hash_of(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// An ExplicitHashKey outside `0 ..= 2^128 - 1`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} is not in the range 0 to 2^128-1")]
pub struct InvalidHashKey {
    /// The text as it came.
    pub given: String,
}

/// Reads a decimal hash key.
///
/// # Errors
/// [`InvalidHashKey`] if it is not a number below 2^128.
pub fn explicit_hash(text: &str) -> Result<u128, InvalidHashKey> {
    // `parse` would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| InvalidHashKey { given: text.to_owned() })
}

/// Hash keys of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKeyRange {
    /// Lowest hash key.
    pub start: u128,
    /// Highest hash key, itself included.
    pub end: u128,
}

impl HashKeyRange {
    /// All hash keys.
    pub const ALL: Self = Self { start: 0, end: u128::MAX };

    /// Whether `hash` is one of its keys.
    #[must_use]
    pub fn contains(&self, hash: u128) -> bool {
        self.start <= hash && hash <= self.end
    }
}

/// As two decimal strings: a JSON number of 128 bits does not survive every reader.
impl Serialize for HashKeyRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.start.to_string(), self.end.to_string()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HashKeyRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (start, end) = <(String, String)>::deserialize(deserializer)?;
        match (explicit_hash(&start), explicit_hash(&end)) {
            (Ok(start), Ok(end)) if start <= end => Ok(Self { start, end }),
            _ => Err(serde::de::Error::custom("not a range of hash keys")),
        }
    }
}

/// The ranges of a new stream's `n` shards: shard i starts at i * floor(2^128 / n), the last one ends at 2^128 - 1
/// (seen on AWS up to n = 4).
#[must_use]
pub fn even_ranges(n: u32) -> Vec<HashKeyRange> {
    let width = match n {
        0 => return Vec::new(),
        1 => return vec![HashKeyRange::ALL],
        // 2^128 does not fit: 2^128 = (2^128 - 1) + 1.
        _ => u128::MAX / u128::from(n) + u128::from(u128::MAX % u128::from(n) == u128::from(n) - 1),
    };
    let start = |i: u32| u128::from(i) * width;
    (0..n)
        .map(|i| HashKeyRange { start: start(i), end: if i + 1 == n { u128::MAX } else { start(i + 1) - 1 } })
        .collect()
}

/// Finds the shard of a hash key among shards that together cover all hash keys once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    starts: Vec<u128>,
    shards: Vec<u32>,
}

/// Ranges with gaps or overlaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ranges do not cover all hash keys exactly once")]
pub struct NotAPartition;

impl Router {
    /// Sorts the shards by their ranges. A shard's number is whatever [`route`](Self::route) shall answer.
    ///
    /// # Errors
    /// [`NotAPartition`] unless the ranges cover all hash keys exactly once.
    pub fn new(shards: impl IntoIterator<Item = (HashKeyRange, u32)>) -> Result<Self, NotAPartition> {
        let mut shards: Vec<_> = shards.into_iter().collect();
        // Stable, because that sort finds long runs: shards come in the order of their indexes, which is that of their
        // ranges but for the few that a reshard has added behind the others.
        shards.sort();
        let ends = shards.last().is_some_and(|(range, _)| range.end == u128::MAX);
        let begins = shards.first().is_some_and(|(range, _)| range.start == 0);
        let joined = shards.windows(2).all(|pair| pair[0].0.end.checked_add(1) == Some(pair[1].0.start));
        if !(begins && joined && ends && shards.iter().all(|(range, _)| range.start <= range.end)) {
            return Err(NotAPartition);
        }
        Ok(Self {
            starts: shards.iter().map(|(range, _)| range.start).collect(),
            shards: shards.iter().map(|&(_, shard)| shard).collect(),
        })
    }

    /// Number of the shard that `hash` belongs to.
    ///
    /// Even ranges take one multiplication and a look at the neighbours; others a binary search.
    #[must_use]
    pub fn route(&self, hash: u128) -> u32 {
        let n = self.starts.len();
        let guess = (((hash >> 64) * n as u128) >> 64) as usize;
        let near = [Some(guess), guess.checked_sub(1), Some(guess + 1)];
        let place = near.into_iter().flatten().find(|&place| self.holds(place, hash));
        let place = place.unwrap_or_else(|| self.starts.partition_point(|&start| start <= hash) - 1);
        self.shards[place]
    }

    /// Number of the shard at this place in the order of hash keys; places go round.
    #[must_use]
    pub fn nth(&self, place: u64) -> u32 {
        self.shards[(place % self.shards.len() as u64) as usize]
    }

    fn holds(&self, place: usize, hash: u128) -> bool {
        self.starts.get(place).is_some_and(|&start| start <= hash)
            && self.starts.get(place + 1).is_none_or(|&next| hash < next)
    }

    /// Number of shards, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is no empty router")]
    pub fn len(&self) -> usize {
        self.shards.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_partition_key_hashes_to_its_md5() {
        // RFC 1321, A.5.
        assert_eq!(hash_of(""), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
        assert_eq!(hash_of("message digest"), 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0);
    }

    #[test]
    fn explicit_hash_keys() {
        let rows = [
            ("0", Some(0)),
            ("340282366920938463463374607431768211455", Some(u128::MAX)),
            ("340282366920938463463374607431768211456", None),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("1.0", None),
            (" 1", None),
        ];
        for (text, hash) in rows {
            assert_eq!(explicit_hash(text).ok(), hash, "{text:?}");
        }
        assert_eq!(explicit_hash("x").unwrap_err().given, "x");
    }

    #[test]
    fn a_new_stream_splits_evenly() {
        // As ListShards of AWS printed them for three shards.
        let starts: Vec<_> = even_ranges(3).iter().map(|range| range.start.to_string()).collect();
        assert_eq!(starts, ["0", "113427455640312821154458202477256070485", "226854911280625642308916404954512140970"]);
        assert_eq!(even_ranges(1), [HashKeyRange::ALL]);
        assert_eq!(even_ranges(4)[3].start, 3 << 126);
        assert_eq!(even_ranges(0), []);
    }

    #[test]
    fn ranges_with_gaps_or_overlaps_make_no_router() {
        let range = |start, end| HashKeyRange { start, end };
        let rows: [&[HashKeyRange]; 5] = [
            &[],
            &[range(1, u128::MAX)],
            &[range(0, 5)],
            &[range(0, 5), range(7, u128::MAX)],
            &[range(0, 5), range(5, u128::MAX)],
        ];
        for ranges in rows {
            assert_eq!(Router::new(ranges.iter().copied().zip(0..)), Err(NotAPartition), "{ranges:?}");
        }
    }

    fn partition() -> impl Strategy<Value = Vec<HashKeyRange>> {
        let even = (1u32..2000).prop_map(even_ranges);
        let uneven = proptest::collection::btree_set(1u128.., 0..40).prop_map(|cuts| {
            let starts: Vec<u128> = std::iter::once(0).chain(cuts).collect();
            let ends = starts.iter().skip(1).map(|start| start - 1).chain([u128::MAX]);
            starts.iter().zip(ends).map(|(&start, end)| HashKeyRange { start, end }).collect()
        });
        prop_oneof![even, uneven]
    }

    proptest! {
        #[test]
        fn every_hash_routes_to_the_shard_whose_range_holds_it(ranges in partition(), hash: u128, pick: usize) {
            let router = Router::new(ranges.iter().copied().zip(0..)).unwrap();
            let near = ranges[pick % ranges.len()];
            for hash in [hash, 0, u128::MAX, near.start, near.end] {
                let shard = router.route(hash);
                prop_assert!(ranges[shard as usize].contains(hash), "{hash} went to {shard}");
            }
        }
    }
}
