use proptest::prelude::*;

use super::*;

/// Digits of a number given in hexadecimal, by schoolbook arithmetic on decimal digits.
fn decimal(hex: &str) -> String {
    let mut digits = vec![0u32];
    for nibble in hex.chars() {
        let mut carry = nibble.to_digit(16).unwrap();
        for digit in &mut digits {
            let value = *digit * 16 + carry;
            *digit = value % 10;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    while digits.len() > 1 && digits.last() == Some(&0) {
        digits.pop();
    }
    digits.iter().rev().map(u32::to_string).collect()
}

fn layout(created: u64, shard: u32, index: u64, flag: u8, second: u64) -> String {
    decimal(&format!("2{created:09x}{:x}{index:016x}{flag:02x}{second:09x}{shard:08x}2", shard & 0xf))
}

fn space(created_secs: u64, shard_index: u32) -> SequenceSpace {
    SequenceSpace { created_secs, shard_index }
}

#[test]
fn numbers_printed_in_aws_documentation_decode() {
    // PutRecord's sample response, and the sample event of "Using Lambda with Kinesis".
    let rows = [
        ("49546986683135544286507457936321625675700192471156785154", 1_421_279_230, 0, 0x1d5, 1_421_279_386),
        ("49590338271490256608559692538361571095921575989136588898", 1_542_776_258, 6, 0x6764_8a17, 1_545_084_650),
    ];
    for (text, created, shard, index, second) in rows {
        let number = given(text).unwrap().number().unwrap();
        let parts = (number.created_secs(), number.shard_index(), number.index(), number.flag(), number.second());
        assert_eq!(parts, (created, shard, index, 0, second), "{text}");
        assert_eq!(number.to_string(), text);
        let made = space(created, shard).number(index - 1, second * 1000 + 999);
        assert_eq!(made, number);
    }
}

#[test]
fn a_number_that_is_none_is_refused_and_printed_as_it_came() {
    let rows = [
        String::new(),
        "x".to_owned(),
        "-1".to_owned(),
        "1".repeat(129),
        layout(1, 0, END_INDEX + 1, 0, 1),
        layout(1, 0x8000_0000, 1, 0, 1),
        decimal("20000000000000000000000000000000000000000000003"),
        decimal("1fffffffffffffffffffffffffffffffffffffffffffff2"),
        decimal("30000000000000000000000000000000000000000000002"),
        decimal("20000000000000000000000000000000"),
        decimal("13bb2cc3d80000000000000000000000"),
    ];
    for text in rows {
        assert_eq!(given(&text), Err(InvalidNumber { given: text.clone() }));
        let start = start(&text, Side::At, space(1, 0));
        assert_eq!(start, Err(StartError::Invalid { given: text }));
    }
}

#[test]
fn small_numbers_are_raised_by_two_to_the_124th() {
    let raised = "21267647932558653966460912964485513216";
    for text in ["0", raised] {
        let number = given(text).unwrap();
        assert_eq!((number.printed(), number.shard_index(), number.number()), (raised, 0, None));
        let refused = start(text, Side::At, space(1, 0));
        assert_eq!(refused, Err(StartError::OtherStream { printed: raised.to_owned() }));
    }
    let refused = start("3", Side::At, space(1, 0));
    assert_eq!(refused, Err(StartError::OtherShard { encodes: ShardId(3), used_with: ShardId(0) }));
}

#[test]
fn a_number_of_another_shard_or_incarnation_is_refused() {
    let here = space(1000, 17);
    let other_stream = |text: String| StartError::OtherStream { printed: text };
    let other_shard = |encodes| StartError::OtherShard { encodes: ShardId(encodes), used_with: ShardId(17) };
    let wrong_nibble = decimal(&format!("2{:09x}{:x}{:016x}00{:09x}{:08x}2", 1000, 2, 5, 1000, 17));
    let old_layout = decimal(&format!("2{:09x}100{:09x}{:014x}00{:08x}1", 1000, 1000, 7, 17));
    let rows = [
        (layout(1000, 1, 5, 0, 1000), other_shard(1)),
        (layout(999, 1, 5, 0, 1000), other_shard(1)),
        (layout(999, 17, 5, 0, 1000), other_stream(layout(999, 17, 5, 0, 1000))),
        (wrong_nibble.clone(), other_stream(wrong_nibble)),
        (old_layout.clone(), other_stream(old_layout)),
    ];
    for (text, refused) in rows {
        assert_eq!(start(&text, Side::After, here), Err(refused), "{text}");
    }
}

#[test]
fn numbers_for_ordering() {
    let rows = [
        ("0".to_owned(), true),
        (layout(50, 3, 9, 0, 100), true),
        (layout(50, 3, 9, 0, 101), false),
        (decimal(&format!("2{:09x}300{:09x}{:014x}00{:08x}1", 50, 100, 7, 3)), true),
        (decimal(&format!("2{:09x}300{:09x}{:014x}00{:08x}1", 50, 101, 7, 3)), false),
        ("9".repeat(60), false),
    ];
    for (text, accepted) in rows {
        assert_eq!(check_ordering(&text, 100_999).is_ok(), accepted, "{text}");
    }
}

/// The arrival seconds of a log, rising, and the offset at which a start leads by comparing every number.
fn by_comparison(space: SequenceSpace, seconds: &[u64], number: SequenceNumber, side: Side) -> usize {
    let behind = |&(offset, second): &(usize, &u64)| {
        let record = space.number(offset as u64, second * 1000);
        record > number || (side == Side::At && record == number)
    };
    seconds.iter().enumerate().find(behind).map_or(seconds.len(), |(offset, _)| offset)
}

proptest! {
    #[test]
    fn printing_agrees_with_slow_arithmetic(
        created in 0u64..1 << 36, shard in 0u32..1 << 31, first in 0..END_INDEX - 50, second in 0u64..1 << 36, flag: u8,
        count in 1usize..50,
    ) {
        let space = space(created, shard);
        let printed: Vec<_> = space.digits_from(first, second * 1000 + 5).take(count).collect();
        for (offset, digits) in (first..).zip(printed) {
            let slow = layout(created, shard, offset + 1, 0, second);
            prop_assert_eq!(std::str::from_utf8(&digits).unwrap(), &slow);
            let number = space.number(offset, second * 1000 + 999);
            prop_assert_eq!(number.to_string(), slow.clone());
            prop_assert_eq!(given(&slow).unwrap().number(), Some(number));
            prop_assert_eq!(number.offset(), Some(offset));
        }
        // Once more where the upper digits change, which is rare.
        let writer = space.digits_from(first, second * 1000);
        let carry = first + (LIMB - writer.middle) / (STEP_MIDDLE + 1);
        prop_assume!(carry < END_INDEX - 50);
        let digits: Vec<_> = space.digits_from(carry, second * 1000).take(6).collect();
        for (offset, digits) in (carry..).zip(&digits) {
            prop_assert_eq!(std::str::from_utf8(digits).unwrap(), layout(created, shard, offset + 1, 0, second));
        }
        prop_assert_ne!(&digits[0][..TOP_DIGITS], &digits[5][..TOP_DIGITS]);
        let flagged = layout(created, shard, first, flag, second);
        let number = given(&flagged).unwrap().number().unwrap();
        prop_assert_eq!(number.flag(), flag);
        prop_assert_eq!(number.to_string(), flagged);
        prop_assert!(space.start() < space.number(first, second * 1000));
        prop_assert!(space.number(first, second * 1000) < space.end(0));
    }

    #[test]
    fn numbers_are_ordered_as_their_digits(a: (u32, u32, u64, u8, u32), b: (u32, u32, u64, u8, u32)) {
        let number = |(created, shard, index, flag, second): (u32, u32, u64, u8, u32)| {
            SequenceNumber::assemble(created.into(), shard >> 1, index >> 1, flag, second.into())
        };
        let (a, b) = (number(a), number(b));
        prop_assert_eq!(a.cmp(&b), a.digits().cmp(&b.digits()));
    }

    #[test]
    fn a_start_leads_where_comparing_every_record_leads(
        steps in proptest::collection::vec(0u64..3, 0..6), index in 0u64..9, flag in 0u8..2, second in 8u64..20,
        end: bool, at: bool,
    ) {
        let space = space(7, 19);
        let seconds: Vec<u64> = steps.iter().scan(10, |now, step| { *now += step; Some(*now) }).collect();
        let index = if end { END_INDEX } else { index };
        let text = layout(7, 19, index, flag, second);
        let side = if at { Side::At } else { Side::After };
        let start = start(&text, side, space).unwrap();
        let admitted = |offset: usize| start.admits(space, offset as u64, seconds[offset] * 1000);
        let from = usize::try_from(start.read_from()).unwrap();
        let found = (from..seconds.len()).find(|&offset| admitted(offset)).unwrap_or(seconds.len());
        let number = given(&text).unwrap().number().unwrap();
        prop_assert_eq!(found, by_comparison(space, &seconds, number, side));
        for offset in from + 1..seconds.len() {
            prop_assert!(admitted(offset), "only the first record read may be refused");
        }
        for (offset, second) in (0..).zip(&seconds).take(from) {
            let record = space.number(offset, second * 1000);
            prop_assert!(record < number || side == Side::After && record == number);
        }
    }

    /// A reader goes through a log by any pages, on any side of the continuation numbers, some of them given out
    /// again and again while nothing was written: it meets every record once, and its numbers never fall.
    #[test]
    fn continuation_numbers_lose_nothing_and_repeat_nothing(
        steps in proptest::collection::vec(0u64..3, 0..12),
        pages in proptest::collection::vec((0usize..4, 0u64..40, any::<bool>()), 1..24),
    ) {
        let space = space(7, 19);
        let seconds: Vec<u64> = steps.iter().scan(10, |now, step| { *now += step; Some(*now) }).collect();
        let (mut met, mut place, mut last, mut now) = (Vec::new(), Start::Offset(0), space.start(), 5);
        for (take, idle, at) in pages {
            let from = usize::try_from(place.read_from()).unwrap();
            let to = seconds.len().min(from + take);
            for (offset, second) in seconds.iter().enumerate().take(to).skip(from) {
                let record = space.number(offset as u64, second * 1000);
                prop_assert!(place.admits(space, offset as u64, second * 1000), "{offset} is lost");
                prop_assert!(record > last, "{record} after {last}");
                met.push(offset);
                last = record;
            }
            // The clock is the writer's, who may be ahead of the reader's.
            now += idle;
            let number = space.continuation(to as u64, now * 1000);
            prop_assert!(number >= last, "{number} after {last}");
            if idle > 0 {
                prop_assert!(number > last, "{number} stands still");
            }
            let side = if at { Side::At } else { Side::After };
            place = start(&number.to_string(), side, space).unwrap();
            prop_assert_eq!(place, Start::Offset(to as u64));
            last = number;
        }
        prop_assert!(met.iter().copied().eq(0..met.len()), "{met:?}");
    }
}
