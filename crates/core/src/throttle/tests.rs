use proptest::prelude::*;

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn second_of(tokens: u64) -> Limit {
    Limit::new(Rate::per_second(tokens), 1, 1)
}

#[test]
fn what_was_taken_comes_back_in_the_very_nanosecond() {
    let mut bucket = Bucket::full(second_of(1_000), Duration::ZERO);
    assert!(bucket.take(1_000, Duration::ZERO));
    assert!(!bucket.take(1, Duration::ZERO));
    // Asking in between must not cost a fraction.
    for nanos in (0..1_000_000).step_by(997) {
        assert!(!bucket.take(1, Duration::from_nanos(nanos)));
    }
    assert!(!bucket.take(1, Duration::from_nanos(999_999)));
    assert!(bucket.take(1, ms(1)));
    assert!(!bucket.take(1, ms(1)));
    assert!(bucket.take(1_000, ms(1_001)));
}

#[test]
fn a_bucket_holds_what_may_be_asked_for_at_once() {
    let tenth = Multiple::new(0.1).unwrap();
    let mut bucket = Bucket::full(Limit::new(Rate::per_second(5).times(tenth), 1, 1), Duration::ZERO);
    assert!(bucket.take(1, Duration::ZERO));
    assert!(!bucket.take(1, ms(1_999)));
    assert!(bucket.take(1, ms(2_000)));
}

#[test]
fn a_refusal_takes_nothing_and_a_full_bucket_stays_full() {
    let mut bucket = Bucket::full(second_of(10), Duration::ZERO);
    assert!(!bucket.take(11, Duration::ZERO));
    assert!(bucket.is_full(Duration::ZERO));
    assert!(bucket.take(10, ms(60_000)));
    assert!(!bucket.take(1, ms(60_000)) && !bucket.is_full(ms(60_999)) && bucket.is_full(ms(61_000)));
}

#[test]
fn debt_is_paid_before_the_next_call() {
    let mib = 1 << 20;
    let mut bucket = Bucket::full(second_of(2 * mib), Duration::ZERO);
    // As much as the bucket holds is no debt; more than that begins at nothing.
    bucket.take_in_debt(2 * mib, Duration::ZERO);
    assert!(!bucket.in_debt(Duration::ZERO));
    let mut bucket = Bucket::full(second_of(2 * mib), Duration::ZERO);
    bucket.take_in_debt(10 * mib, Duration::ZERO);
    assert!(bucket.in_debt(Duration::from_nanos(4_999_999_999)) && !bucket.in_debt(ms(5_000)));
    // Debt adds up.
    bucket.take_in_debt(3 * mib, ms(5_000));
    bucket.take_in_debt(mib, ms(5_000));
    assert!(bucket.in_debt(ms(6_999)) && !bucket.in_debt(ms(7_000)));
}

#[test]
fn the_time_of_being_paid_off_is_told() {
    for rate in [1, 3, 7, 1_000, 2_097_152] {
        let mut bucket = Bucket::full(second_of(rate), ms(5));
        assert_eq!(bucket.paid_off(ms(5)), ms(5));
        bucket.take_in_debt(rate * 3 + 1, ms(5));
        let free = bucket.paid_off(ms(5));
        assert!(bucket.clone().in_debt(free - Duration::from_nanos(1)) && !bucket.clone().in_debt(free), "{rate}");
        assert_eq!(bucket.paid_off(free), free);
    }
    let mut never = Bucket::full(second_of(0), Duration::ZERO);
    never.take_in_debt(u64::MAX, Duration::ZERO);
    assert_eq!(never.paid_off(ms(1)).as_secs(), u64::MAX);
}

#[test]
fn an_older_time_is_the_last_seen() {
    let mut bucket = Bucket::full(second_of(1), ms(5_000));
    assert!(bucket.take(1, ms(5_000)));
    assert!(!bucket.take(1, ms(1_000)));
    assert!(!bucket.take(1, ms(5_999)) && bucket.take(1, ms(6_000)));
}

#[test]
fn multiples_have_three_decimals() {
    for (value, rate) in [(1.0, 1_000), (2.5, 2_500), (2.3, 2_300), (0.001, 1), (1_000_000.0, 1_000_000_000)] {
        let multiple = Multiple::new(value).unwrap();
        assert_eq!(Rate::per_second(1_000).times(multiple), Rate::per_second(rate), "{value}");
        assert_eq!(Rate::per_second(1_000).times(multiple).whole_per_second(), rate, "{value}");
    }
    for value in [0.0, -1.0, 0.000_5, 2.000_5, 1_000_000.001, f64::NAN, f64::INFINITY] {
        assert_eq!(Multiple::new(value), None, "{value}");
    }
    let most = Rate::per_second(u64::MAX);
    assert_eq!(most.times(Multiple::new(2.0).unwrap()), most);
}

#[test]
fn a_rate_of_a_day_is_as_exact() {
    let day = NonZeroU32::new(86_400).unwrap();
    let mut bucket = Bucket::full(Limit::new(Rate::per(25, day), 86_400, 1), Duration::ZERO);
    assert!(bucket.take(25, Duration::ZERO));
    for n in 1..=25 {
        assert!(!bucket.take(1, ms(n * 3_456_000 - 1)), "{n}");
        assert!(bucket.take(1, ms(n * 3_456_000)), "{n}");
    }
}

/// What a bucket's grants mean, without a bucket: at every moment what may be granted is the least, over all earlier
/// moments, of the capacity plus what came since then minus what was granted since then. In grains.
struct Model {
    milli: i128,
    token: i128,
    capacity: i128,
    grants: Vec<(i128, i128)>,
}

impl Model {
    fn may_take(&self, nanos: i128) -> i128 {
        let mut granted = 0;
        let mut least = self.capacity;
        for &(at, tokens) in self.grants.iter().rev() {
            granted += tokens;
            least = least.min(self.capacity + self.milli * (nanos - at) - granted * self.token);
        }
        least
    }
}

proptest! {
    /// Grants exactly when the model must, so over any window at most rate × window + capacity.
    #[test]
    fn grants_are_exactly_the_model_s(
        milli in 1_u64..5_000_000,
        seconds in 1_u32..10,
        capacity in 1_u64..2_000,
        steps in prop::collection::vec((0_u64..3_000_000_000, 0_u64..1_500), 1..60),
    ) {
        let rate = Rate { milli, seconds: NonZeroU32::new(seconds).unwrap() };
        let token = rate.token();
        let limit = Limit { rate, capacity: i128::from(capacity) * token };
        let mut bucket = Bucket::full(limit, Duration::ZERO);
        let mut model = Model { milli: milli.into(), token, capacity: limit.capacity, grants: Vec::new() };
        let mut nanos = 0;
        for (pause, tokens) in steps {
            nanos += pause;
            let must = model.may_take(nanos.into()) >= i128::from(tokens) * token;
            prop_assert_eq!(bucket.take(tokens, Duration::from_nanos(nanos)), must);
            if must {
                model.grants.push((nanos.into(), tokens.into()));
            }
        }
        for (n, &(from, _)) in model.grants.iter().enumerate() {
            let mut granted = 0;
            for &(to, tokens) in &model.grants[n..] {
                granted += tokens * token;
                prop_assert!(granted <= model.milli * (to - from) + model.capacity);
            }
        }
    }

    /// With debt, a window exceeds that by no more than the one amount that began without debt.
    #[test]
    fn debt_exceeds_a_window_by_one_amount(
        rate in 1_u64..5_000,
        steps in prop::collection::vec((0_u64..3_000_000_000, 0_u64..20_000), 1..60),
    ) {
        let limit = second_of(rate);
        let mut bucket = Bucket::full(limit, Duration::ZERO);
        let (mut nanos, mut taken) = (0_u64, Vec::<(u64, u64)>::new());
        for (pause, tokens) in steps {
            nanos += pause;
            if !bucket.in_debt(Duration::from_nanos(nanos)) {
                bucket.take_in_debt(tokens, Duration::from_nanos(nanos));
                taken.push((nanos, tokens));
            }
        }
        for (n, &(from, _)) in taken.iter().enumerate() {
            let mut granted = 0;
            for &(to, tokens) in &taken[n..] {
                let before = limit.grains(granted);
                prop_assert!(before <= limit.rate.in_time(Duration::from_nanos(to - from)) + limit.capacity);
                granted += tokens;
            }
        }
    }

    /// Debt is paid off at the time told, and not a nanosecond before.
    #[test]
    fn debt_ends_when_it_is_said_to(rate in 1_u64..5_000, tokens in 0_u64..20_000, at in 0_u64..3_000_000_000) {
        let now = Duration::from_nanos(at);
        let mut bucket = Bucket::full(second_of(rate), Duration::ZERO);
        bucket.take_in_debt(tokens, now);
        let end = bucket.paid_off(now);
        prop_assert_eq!(end > now, bucket.in_debt(now));
        if end > now {
            prop_assert!(bucket.clone().in_debt(end - Duration::from_nanos(1)));
        }
        prop_assert!(!bucket.in_debt(end));
    }
}
