//! What a delivery stream takes from its producers, by `PutRecord` and `PutRecordBatch` together. Holds with
//! `mode = "strict"`, and for delivery streams that are named here in every mode.
//!
//! ```toml
//! [limits]
//! direct_put = "reference"                # reference: 2,000 requests, 5,000 records, 5 MiB a second (API reference)
//!                                         # quotas: what the quota page of today grants in the region
//!
//! [limits.delivery_streams."NAME"]        # in every account and region
//! mode = "open"                           # strict | open
//! direct_put = "quotas"                   # instead of the one above
//! requests_per_second = 10000             # as they stand
//! records_per_second = 100000
//! bytes_per_second = 50000000             # of data before base64
//! ```
//!
//! `ThroughputHintInMBs` changes nothing here: AWS keeps it for information only (API reference,
//! `DirectPutSourceConfiguration`).

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use levada_core::throttle::{Limit, Rate};
use levada_wire::limits::{self, DirectPutRates};
use serde::Deserialize;

use super::ConfigError;
use crate::cli::LimitsMode;

/// What one delivery stream takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutLimits {
    /// Calls.
    pub requests: Limit,
    /// Records.
    pub records: Limit,
    /// Bytes of data before base64.
    pub bytes: Limit,
}

/// One of AWS's sets of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Preset {
    /// [`limits::DIRECT_PUT_REFERENCE`].
    #[default]
    Reference,
    /// [`limits::direct_put_quota`].
    Quotas,
}

impl Preset {
    fn rates(self, region: &str) -> DirectPutRates {
        match self {
            Self::Reference => limits::DIRECT_PUT_REFERENCE,
            Self::Quotas => limits::direct_put_quota(region),
        }
    }
}

/// What delivery streams take, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DirectPut {
    /// Of those that are not named; `None` if nothing is limited.
    node: Option<Preset>,
    streams: BTreeMap<String, Option<Named>>,
}

/// What is said of one delivery stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    preset: Preset,
    requests: Option<NonZeroU64>,
    records: Option<NonZeroU64>,
    bytes: Option<NonZeroU64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectPutSection {
    mode: Option<LimitsMode>,
    direct_put: Option<Preset>,
    requests_per_second: Option<NonZeroU64>,
    records_per_second: Option<NonZeroU64>,
    bytes_per_second: Option<NonZeroU64>,
}

impl DirectPut {
    /// What the sections say in a node of this mode.
    pub(super) fn new(
        mode: LimitsMode,
        preset: Option<Preset>,
        sections: BTreeMap<String, DirectPutSection>,
    ) -> Result<Self, ConfigError> {
        let node = (mode == LimitsMode::Strict).then_some(preset.unwrap_or_default());
        let mut streams = BTreeMap::new();
        for (name, section) in sections {
            let named = section.validate(&name, node.is_some(), preset.unwrap_or_default())?;
            streams.insert(name, named);
        }
        Ok(Self { node, streams })
    }

    pub(super) fn of(&self, name: &str, region: &str) -> Option<PutLimits> {
        let unnamed = |preset| Named { preset, requests: None, records: None, bytes: None };
        let named = self.streams.get(name).copied().unwrap_or(self.node.map(unnamed))?;
        let aws = named.preset.rates(region);
        let rate = |given: Option<NonZeroU64>, aws: u64| Rate::per_second(given.map_or(aws, NonZeroU64::get));
        Some(PutLimits {
            requests: Limit::new(rate(named.requests, aws.requests.into()), 1, 1),
            records: Limit::new(rate(named.records, aws.records.into()), 1, 1),
            // The largest record fits, or it could never be taken.
            bytes: Limit::new(rate(named.bytes, aws.bytes), 1, limits::FIREHOSE_RECORD_BYTES as u64),
        })
    }
}

impl DirectPutSection {
    fn validate(self, name: &str, limited: bool, preset: Preset) -> Result<Option<Named>, ConfigError> {
        let wrong = |what: &str| Err(ConfigError(format!("[limits.delivery_streams.{name:?}]: {what}")));
        let rates = [self.requests_per_second, self.records_per_second, self.bytes_per_second];
        let numbers = self.direct_put.is_some() || rates.iter().any(Option::is_some);
        match self.mode {
            Some(LimitsMode::Shards) => return wrong("mode is strict or open; a delivery stream has no shards"),
            Some(LimitsMode::Open) if numbers => return wrong("mode = \"open\" leaves nothing to a rate"),
            Some(LimitsMode::Open) => return Ok(None),
            // Numbers for one delivery stream of a node without limits are asked for that one.
            None if !limited && !numbers => return Ok(None),
            None | Some(LimitsMode::Strict) => {}
        }
        let [requests, records, bytes] = rates;
        Ok(Some(Named { preset: self.direct_put.unwrap_or(preset), requests, records, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, LimitsSection};
    use super::*;

    fn limits(flag: Option<LimitsMode>, text: &str) -> Result<Limits, String> {
        let section: LimitsSection = toml::from_str(text).map_err(|e| e.to_string())?;
        section.validate(flag).map_err(|e| e.to_string())
    }

    /// Requests, records and bytes a second; 0 where nothing is limited.
    fn rates(limits: &Limits, name: &str, region: &str) -> [u64; 3] {
        let of = limits.of_delivery_stream(name, region);
        of.map_or([0; 3], |of| [of.requests, of.records, of.bytes].map(|limit| limit.rate().whole_per_second()))
    }

    const MIB: u64 = 1 << 20;
    const OPEN: [u64; 3] = [0; 3];
    const REFERENCE: [u64; 3] = [2_000, 5_000, 5 * MIB];
    const LARGE: [u64; 3] = [2_000, 500_000, 5 * MIB];
    const SMALL: [u64; 3] = [1_000, 100_000, MIB];

    #[test]
    fn each_row_is_a_configuration() {
        let strict = Some(LimitsMode::Strict);
        let numbers = "delivery_streams.a = { requests_per_second = 1, records_per_second = 2, bytes_per_second = 3 }";
        for (flag, text, a, b) in [
            (None, "", OPEN, OPEN),
            (Some(LimitsMode::Open), "direct_put = \"quotas\"", OPEN, OPEN),
            (strict, "", REFERENCE, REFERENCE),
            (strict, "direct_put = \"quotas\"", LARGE, LARGE),
            (strict, "direct_put = \"quotas\"\ndelivery_streams.a.direct_put = \"reference\"", REFERENCE, LARGE),
            (strict, "delivery_streams.a.mode = \"open\"", OPEN, REFERENCE),
            (strict, "delivery_streams.a.records_per_second = 7", [2_000, 7, 5 * MIB], REFERENCE),
            (None, "delivery_streams.a.mode = \"strict\"", REFERENCE, OPEN),
            (None, "delivery_streams.a.direct_put = \"quotas\"", LARGE, OPEN),
            (None, "delivery_streams.a = {}", OPEN, OPEN),
            (None, numbers, [1, 2, 3], OPEN),
        ] {
            let limits = limits(flag, text).unwrap();
            let got = (rates(&limits, "a", "us-east-1"), rates(&limits, "b", "us-east-1"));
            assert_eq!(got, (a, b), "{flag:?} {text}");
        }
        let quotas = limits(strict, "direct_put = \"quotas\"").unwrap();
        assert_eq!(rates(&quotas, "a", "eu-central-1"), SMALL);
    }

    #[test]
    fn the_largest_record_fits_into_the_narrowest_delivery_stream() {
        let limits = limits(None, "delivery_streams.a.bytes_per_second = 1").unwrap();
        assert_eq!(limits.of_delivery_stream("a", "us-east-1").unwrap().bytes.capacity(), 1_024_000);
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, says) in [
            ("direct_put = \"lots\"", "lots"),
            ("delivery_streams.a.mode = \"shards\"", "[limits.delivery_streams.\"a\"]: mode is strict or open"),
            ("delivery_streams.a = { mode = \"open\", bytes_per_second = 2 }", "leaves nothing"),
            ("delivery_streams.a = { mode = \"open\", direct_put = \"quotas\" }", "leaves nothing"),
            ("delivery_streams.a.bytes_per_second = 0", "nonzero"),
            ("delivery_streams.a.bytes = 5", "bytes"),
        ] {
            let error = limits(None, text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
