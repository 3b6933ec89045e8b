//! `[limits]`: which of AWS's limits hold, and how wide a shard is.
//!
//! ```toml
//! [limits]
//! mode = "shards"                     # shards | strict | open
//! multiple = 2.5                      # times AWS's rates per shard, for writing and reading
//! on_demand_shards = 500              # most that an on-demand stream grows to; AWS's default is 200
//!
//! [limits.streams."NAME"]             # in every account and region
//! mode = "open"                       # shards | open
//! multiple = 10                       # instead of the one above
//! write_bytes_per_second = 100000000  # as they stand, whatever the multiple
//! write_records_per_second = 50000
//! read_bytes_per_second = 200000000   # also of each consumer with enhanced fan-out, for itself
//! read_calls_per_second = 50
//! ```
//!
//! What delivery streams take stands in `direct_put.rs`.

mod direct_put;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use levada_core::scaling::DEFAULT_MAX_SHARDS;
use levada_core::throttle::{Limit, Multiple, Rate};
use levada_wire::limits;
use levada_wire::operation::KinesisOp;
use serde::Deserialize;

pub use self::direct_put::PutLimits;
use self::direct_put::{DirectPut, DirectPutSection, Preset};
use super::ConfigError;
use crate::cli::LimitsMode;

/// Bytes of the largest ordinary record. A larger one draws on the burst of its shard.
pub const ORDINARY_RECORD_BYTES: u64 = limits::RECORD_KIB_DEFAULT as u64 * 1024;

/// Bytes of the largest record that any stream takes.
const LARGEST_RECORD_BYTES: u64 = limits::RECORD_KIB_MAX as u64 * 1024;

/// Seconds of writing that a shard may be ahead of its rate with large records (AWS's guide, "Handle large records":
/// bursts up to 10 MiB while averaging out to 1 MiB/s).
const BURST_SECONDS: u64 = 10;

/// Which limits hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    mode: LimitsMode,
    shard: ShardLimits,
    streams: BTreeMap<String, Option<ShardLimits>>,
    on_demand_shards: u32,
    direct_put: DirectPut,
}

/// What one shard takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardLimits {
    /// Bytes of keys and data in ordinary records.
    pub write_bytes: Limit,
    /// Bytes of keys and data in all records: how far large ones may go ahead of the rate.
    pub write_burst: Limit,
    /// Records.
    pub write_records: Limit,
    /// Bytes of keys and data.
    pub read_bytes: Limit,
    /// `GetRecords` calls.
    pub read_calls: Limit,
    /// `GetShardIterator` calls.
    pub iterators: Limit,
    /// Bytes of keys and data pushed to each consumer by itself (`SubscribeToShard`).
    pub fan_out_bytes: Limit,
}

impl ShardLimits {
    fn new(multiple: Multiple, given: &StreamSection) -> Self {
        let rate = |given: Option<NonZeroU64>, aws: u64| match given {
            Some(given) => Rate::per_second(given.get()),
            None => Rate::per_second(aws).times(multiple),
        };
        let bytes = rate(given.write_bytes_per_second, limits::SHARD_WRITE_BYTES_PER_SECOND as u64);
        let records = rate(given.write_records_per_second, limits::SHARD_WRITE_RECORDS_PER_SECOND.into());
        let calls = rate(given.read_calls_per_second, calls_per_second(KinesisOp::GetRecords));
        let iterators = rate(None, calls_per_second(KinesisOp::GetShardIterator));
        let fan_out = rate(given.read_bytes_per_second, limits::CONSUMER_BYTES_PER_SECOND as u64);
        let read = rate(given.read_bytes_per_second, limits::SHARD_READ_BYTES_PER_SECOND as u64);
        Self {
            write_bytes: Limit::new(bytes, 1, ORDINARY_RECORD_BYTES),
            write_burst: Limit::new(bytes, BURST_SECONDS, LARGEST_RECORD_BYTES),
            write_records: Limit::new(records, 1, 1),
            read_bytes: Limit::new(read, 1, 1),
            read_calls: Limit::new(calls, 1, 1),
            iterators: Limit::new(iterators, 1, 1),
            fan_out_bytes: Limit::new(fan_out, 1, 1),
        }
    }
}

/// How often an operation may be called on each shard.
fn calls_per_second(op: KinesisOp) -> u64 {
    limits::control_rate(op).map_or(u64::MAX, |rate| rate.per_second.into())
}

impl Limits {
    /// True if control-plane rates and account quotas hold.
    #[must_use]
    pub fn are_strict(&self) -> bool {
        self.mode == LimitsMode::Strict
    }

    /// Most shards that an on-demand stream grows to.
    #[must_use]
    pub fn on_demand_shards(&self) -> u32 {
        self.on_demand_shards
    }

    /// What a delivery stream of this name takes from its producers in this region; `None` is as much as it can.
    #[must_use]
    pub fn of_delivery_stream(&self, name: &str, region: &str) -> Option<PutLimits> {
        self.direct_put.of(name, region)
    }

    /// What the shards of a stream of this name take and give; `None` is as much as they can.
    #[must_use]
    pub fn of(&self, stream: &str) -> Option<&ShardLimits> {
        match (self.streams.get(stream), self.mode) {
            (Some(limits), _) => limits.as_ref(),
            (None, LimitsMode::Open) => None,
            (None, LimitsMode::Shards | LimitsMode::Strict) => Some(&self.shard),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsSection {
    mode: Option<LimitsMode>,
    multiple: Option<f64>,
    on_demand_shards: Option<NonZeroU32>,
    #[serde(default)]
    streams: BTreeMap<String, StreamSection>,
    direct_put: Option<Preset>,
    #[serde(default)]
    delivery_streams: BTreeMap<String, DirectPutSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamSection {
    mode: Option<LimitsMode>,
    multiple: Option<f64>,
    write_bytes_per_second: Option<NonZeroU64>,
    write_records_per_second: Option<NonZeroU64>,
    read_bytes_per_second: Option<NonZeroU64>,
    read_calls_per_second: Option<NonZeroU64>,
}

impl LimitsSection {
    /// The limits; `flag` wins over the section's mode.
    pub(super) fn validate(self, flag: Option<LimitsMode>) -> Result<Limits, ConfigError> {
        let mode = flag.or(self.mode).unwrap_or(LimitsMode::Shards);
        let multiple = multiple(self.multiple, "[limits]")?.unwrap_or(Multiple::ONE);
        let mut streams = BTreeMap::new();
        for (name, section) in self.streams {
            let limits = section.validate(&name, mode, multiple)?;
            streams.insert(name, limits);
        }
        let on_demand_shards = self.on_demand_shards.map_or(DEFAULT_MAX_SHARDS, NonZeroU32::get);
        let direct_put = DirectPut::new(mode, self.direct_put, self.delivery_streams)?;
        let shard = ShardLimits::new(multiple, &StreamSection::default());
        Ok(Limits { mode, shard, streams, on_demand_shards, direct_put })
    }
}

impl StreamSection {
    /// What is said of one stream; `mode` and `of_node` are what holds unless it says otherwise. `None` is open.
    fn validate(&self, name: &str, mode: LimitsMode, of_node: Multiple) -> Result<Option<ShardLimits>, ConfigError> {
        let section = format!("[limits.streams.{name:?}]");
        let multiple = multiple(self.multiple, &section)?;
        let explicit = [
            self.write_bytes_per_second,
            self.write_records_per_second,
            self.read_bytes_per_second,
            self.read_calls_per_second,
        ];
        let numbers = multiple.is_some() || explicit.iter().any(Option::is_some);
        match self.mode {
            Some(LimitsMode::Strict) => {
                Err(ConfigError(format!("{section}: mode is shards or open; strict is for the whole node")))
            }
            Some(LimitsMode::Open) if numbers => {
                Err(ConfigError(format!("{section}: mode = \"open\" leaves nothing to a multiple or a rate")))
            }
            Some(LimitsMode::Open) => Ok(None),
            // Numbers for one stream of an open node are asked for that stream.
            None if mode == LimitsMode::Open && !numbers => Ok(None),
            None | Some(LimitsMode::Shards) => Ok(Some(ShardLimits::new(multiple.unwrap_or(of_node), self))),
        }
    }
}

fn multiple(value: Option<f64>, section: &str) -> Result<Option<Multiple>, ConfigError> {
    let wrong = |value| {
        let max = Multiple::MAX;
        ConfigError(format!("{section}: multiple = {value} is not from 0.001 to {max} with three decimals at most"))
    };
    value.map(|value| Multiple::new(value).ok_or_else(|| wrong(value))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(flag: Option<LimitsMode>, text: &str) -> Result<Limits, String> {
        let section: LimitsSection = toml::from_str(text).map_err(|e| e.to_string())?;
        section.validate(flag).map_err(|e| e.to_string())
    }

    /// Bytes and records written, bytes and calls read per second; 0 where nothing is limited.
    fn rates(limits: &Limits, stream: &str) -> [u64; 4] {
        let Some(of) = limits.of(stream) else { return [0; 4] };
        [of.write_bytes, of.write_records, of.read_bytes, of.read_calls].map(|limit| limit.capacity())
    }

    const MIB: u64 = 1 << 20;
    const AWS: [u64; 4] = [MIB, 1_000, 2 * MIB, 5];

    #[test]
    fn each_row_is_a_configuration() {
        let wide = [MIB * 5 / 2, 2_500, 5 * MIB, 12];
        for (flag, text, a, b) in [
            (None, "", AWS, AWS),
            (Some(LimitsMode::Strict), "", AWS, AWS),
            (Some(LimitsMode::Open), "mode = \"strict\"", [0; 4], [0; 4]),
            (None, "mode = \"open\"", [0; 4], [0; 4]),
            (None, "multiple = 2.5", wide, wide),
            (None, "multiple = 2.5\nstreams.a.mode = \"open\"", [0; 4], wide),
            (None, "multiple = 2.5\nstreams.a.multiple = 1", AWS, wide),
            (None, "streams.a.multiple = 2.5", wide, AWS),
            (Some(LimitsMode::Open), "streams.a.multiple = 2.5", wide, [0; 4]),
            (Some(LimitsMode::Open), "multiple = 2.5\nstreams.a.mode = \"shards\"", wide, [0; 4]),
            (None, "streams.a.write_bytes_per_second = 100_000_000", [100_000_000, 1_000, 2 * MIB, 5], AWS),
            (
                None,
                "streams.a = { multiple = 2.5, write_records_per_second = 7, read_bytes_per_second = 8, \
                 read_calls_per_second = 9 }",
                [MIB * 5 / 2, 7, 8, 9],
                AWS,
            ),
            // A record of 1 MiB fits into the narrowest shard, and so does one call.
            (None, "multiple = 0.001", [MIB, 1, 2_097, 1], [MIB, 1, 2_097, 1]),
        ] {
            let limits = limits(flag, text).unwrap();
            assert_eq!((rates(&limits, "a"), rates(&limits, "b")), (a, b), "{flag:?} {text}");
            assert_eq!(limits.are_strict(), flag == Some(LimitsMode::Strict));
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, says) in [
            ("mode = \"lax\"", "lax"),
            ("multiple = 0", "[limits]: multiple = 0"),
            ("multiple = -1", "multiple = -1"),
            ("multiple = nan", "multiple = NaN"),
            ("multiple = 1.0005", "three decimals"),
            ("multiples = 1", "multiples"),
            ("on_demand_shards = 0", "nonzero"),
            ("streams.a.multiple = 0", "[limits.streams.\"a\"]: multiple = 0"),
            ("streams.a.mode = \"strict\"", "[limits.streams.\"a\"]: mode is shards or open"),
            ("streams.a = { mode = \"open\", multiple = 2 }", "leaves nothing"),
            ("streams.a = { mode = \"open\", read_calls_per_second = 2 }", "leaves nothing"),
            ("streams.a.write_bytes_per_second = 0", "nonzero"),
            ("streams.a.write_bytes_per_second = -5", "-5"),
            ("streams.a.bytes = 5", "bytes"),
        ] {
            let error = limits(None, text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn on_demand_streams_have_a_ceiling() {
        assert_eq!(limits(None, "").unwrap().on_demand_shards(), 200);
        assert_eq!(limits(None, "on_demand_shards = 7").unwrap().on_demand_shards(), 7);
    }

    #[test]
    fn a_large_record_s_burst_is_ten_seconds() {
        let burst = |text| limits(None, text).unwrap().of("a").unwrap().write_burst.capacity();
        assert_eq!(burst(""), 10 * MIB);
        assert_eq!(burst("multiple = 3"), 30 * MIB);
        assert_eq!(burst("multiple = 0.5"), 10 * MIB);
    }
}
