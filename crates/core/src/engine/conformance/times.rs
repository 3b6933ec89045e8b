//! Arrival times, and seeking by them.

use super::*;

pub(super) fn seek_finds_the_first_at_or_after(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    // Offsets 0-1 at +0, 2 at +10, 3-5 at +10, 6 at +30.
    for (count, wait) in [(2, 10), (1, 0), (3, 20), (1, 5)] {
        subject.put(log, &batch("x", count));
        subject.clock.advance(wait);
    }
    let rows = [(0, 0), (DAWN - 1, 0), (DAWN, 0), (DAWN + 1, 2), (DAWN + 9, 2), (DAWN + 10, 2), (DAWN + 11, 6)];
    for (time, offset) in rows.into_iter().chain([(DAWN + 30, 6), (DAWN + 31, 7), (u64::MAX, 7)]) {
        assert_eq!(subject.seek(log, time), offset, "seek to {time}");
    }
}

pub(super) fn seek_skips_what_was_trimmed(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    for _ in 0..5 {
        subject.put(log, &batch("x", 2));
        subject.clock.advance(10);
    }
    subject.trim(log, 5);
    for (time, offset) in [(0, 5), (DAWN, 5), (DAWN + 20, 5), (DAWN + 21, 6), (DAWN + 40, 8), (DAWN + 41, 10)] {
        assert_eq!(subject.seek(log, time), offset, "seek to {time}");
    }
    subject.trim(log, 10);
    assert_eq!([subject.seek(log, 0), subject.seek(log, DAWN), subject.seek(log, u64::MAX)], [10; 3]);
}

pub(super) fn arrival_never_falls_when_the_clock_does(start: Start<'_>) {
    let subject = Subject::start(start);
    let [log, other] = [1, 2].map(|id| subject.create(id));
    let mut expected = Vec::new();
    let mut last = 0;
    for jump in [0, 50, -3_600_000, 10, 40, 31_536_000_000, -31_536_000_000, 1i64] {
        let now = DAWN.saturating_add_signed(jump);
        subject.clock.jump_wall(now);
        last = last.max(now);
        let first = expected.len() as u64;
        assert_eq!(subject.append(log, Expect::Tail, &text("x")), Appended::At { first, arrival: last });
        expected.push(last);
    }
    let arrivals: Vec<_> = subject.read_all(log).iter().map(|record| record.arrival).collect();
    assert_eq!(arrivals, expected);
    assert_eq!(subject.tail(log).last_arrival, last);
    subject.clock.jump_wall(DAWN);
    let answer = subject.append(other, Expect::Tail, &text("x"));
    assert_eq!(answer, Appended::At { first: 0, arrival: DAWN }, "another log has arrival times of its own");
}

pub(super) fn no_arrival_is_before_the_floor(start: Start<'_>) {
    let subject = Subject::start(start);
    let (log, floor) = (LogId(1), DAWN + 100);
    block_on(subject.engine.create(vec![LogSpec { id: log, class: 0, floor }])).expect("create");
    for (first, (wait, arrival)) in [(0, floor), (50, floor), (51, floor + 1)].into_iter().enumerate() {
        subject.clock.advance(wait);
        let answer = subject.append(log, Expect::Tail, &text("x"));
        assert_eq!(answer, Appended::At { first: first as u64, arrival });
    }
    assert_eq!([DAWN, floor, floor + 1, floor + 2].map(|time| subject.seek(log, time)), [0, 0, 2, 3]);
    assert_eq!(subject.seal(log), Sealed { end: 3, last_arrival: floor + 1 });
}
