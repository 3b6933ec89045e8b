//! Medians, percentiles, and which pairs count.

/// A pair whose yardstick is further from the median than this fraction is discarded.
pub(crate) const YARDSTICK_TOLERANCE: f64 = 0.10;

/// The median; of an even number of values, the mean of the middle two. `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The `p`-th percentile (0 to 100) by nearest rank. Reorders `values`. `None` of nothing.
pub(crate) fn percentile(values: &mut [u32], p: f64) -> Option<u32> {
    let last = values.len().checked_sub(1)?;
    let rank = (p / 100.0 * values.len() as f64).ceil() as usize;
    let (_, value, _) = values.select_nth_unstable(rank.saturating_sub(1).min(last));
    Some(*value)
}

/// For each yardstick reading, whether it is within [`YARDSTICK_TOLERANCE`] of the median of all.
pub(crate) fn steady(yardsticks: &[f64]) -> Vec<bool> {
    let Some(median) = median(yardsticks) else { return Vec::new() };
    yardsticks.iter().map(|y| (y - median).abs() <= YARDSTICK_TOLERANCE * median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        assert_eq!(percentile(&mut [], 50.0), None);
        assert_eq!(percentile(&mut [7], 99.0), Some(7));
        let mut values: Vec<u32> = (1..=100).rev().collect();
        for (p, expected) in [(0.0, 1), (1.0, 1), (50.0, 50), (99.0, 99), (99.5, 100), (100.0, 100)] {
            assert_eq!(percentile(&mut values, p), Some(expected), "p{p}");
        }
    }

    #[test]
    fn a_pair_is_discarded_when_its_yardstick_strays_more_than_a_tenth() {
        assert_eq!(steady(&[]), Vec::<bool>::new());
        assert_eq!(steady(&[100.0, 110.0, 90.0, 111.0, 89.0]), [true, true, true, false, false]);
        assert_eq!(steady(&[100.0, 50.0, 101.0]), [true, false, true]);
    }
}
