//! Create, seal, trim, delete.

use super::*;

pub(super) fn a_new_log_is_empty(start: Start<'_>) {
    let subject = Subject::start(start);
    let floor = DAWN + 5;
    block_on(subject.engine.create(vec![LogSpec { id: LogId(7), class: 1, floor }, spec(8)])).expect("create");
    let empty = Tail { start: 0, end: 0, sealed: false, last_arrival: floor, first_arrival: None, bytes: 0 };
    assert_eq!(subject.tail(LogId(7)), empty);
    assert_eq!(subject.tail(LogId(8)), Tail { last_arrival: 0, ..empty });
    let page = subject.read(LogId(7), 0, 10, 10);
    assert_eq!((page.chunks.len(), page.next, page.tail), (0, 0, empty));
    assert_eq!(subject.seek(LogId(7), 0), 0);
}

pub(super) fn create_again_changes_nothing(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    subject.put(log, &batch("kept", 2));
    let _ = subject.seal(log);
    let again = LogSpec { id: log, class: 99, floor: DAWN * 2 };
    block_on(subject.engine.create(vec![again.clone(), spec(2), again])).expect("create");
    assert_eq!(texts(&subject.read_all(log)), ["kept-0", "kept-1"]);
    let tail = subject.tail(log);
    assert_eq!((tail.end, tail.sealed, tail.last_arrival), (2, true, DAWN));
    assert_eq!(subject.put(LogId(2), &text("beside it")), 0);
}

pub(super) fn a_missing_log_is_missing_to_every_verb(start: Start<'_>) {
    let subject = Subject::start(start);
    subject.create(1);
    let engine = &subject.engine;
    let log = LogId(2);
    let request = ReadRequest { log, from: 0, max_records: 1, max_bytes: 1 };
    for expect in [Expect::Tail, Expect::End(0), Expect::End(1)] {
        assert_eq!(subject.append(log, expect, &text("nowhere")), Appended::Missing);
    }
    assert_eq!(block_on(engine.read(request)).err(), Some(EngineError::Missing));
    assert_eq!(block_on(engine.tail(log)), Err(EngineError::Missing));
    assert_eq!(block_on(engine.grown(log, 0)), Err(EngineError::Missing));
    assert_eq!(block_on(engine.seek(log, 0)), Err(EngineError::Missing));
    assert_eq!(block_on(engine.seal(log)), Err(EngineError::Missing));
    assert_eq!(block_on(engine.trim(log, 0)), Err(EngineError::Missing));
    assert_eq!(block_on(engine.delete(vec![log])), Ok(()), "missing ones are passed over");
}

pub(super) fn delete_makes_a_log_missing_and_spares_others(start: Start<'_>) {
    let subject = Subject::start(start);
    let [open, sealed, other] = [1, 2, 3].map(|id| subject.create(id));
    for log in [open, sealed, other] {
        subject.put(log, &batch("x", 3));
    }
    let _ = subject.seal(sealed);
    block_on(subject.engine.delete(vec![open, LogId(77), sealed])).expect("delete");
    for log in [open, sealed] {
        let request = ReadRequest { log, from: 0, max_records: 1, max_bytes: 1 };
        assert_eq!(block_on(subject.engine.read(request)).err(), Some(EngineError::Missing));
        assert_eq!(block_on(subject.engine.tail(log)), Err(EngineError::Missing));
        assert_eq!(subject.append(log, Expect::Tail, &text("late")), Appended::Missing);
        assert_eq!(block_on(subject.engine.seal(log)), Err(EngineError::Missing));
    }
    subject.delete(open);
    assert_eq!(texts(&subject.read_all(other)), ["x-0", "x-1", "x-2"]);
    assert_eq!(subject.put(other, &text("more")), 3);
}

pub(super) fn seal_closes_once_and_for_all(start: Start<'_>) {
    let subject = Subject::start(start);
    let [log, empty] = [1, 2].map(|id| subject.create(id));
    subject.put(log, &batch("kept", 4));
    subject.clock.advance(10);
    let sealed = Sealed { end: 4, last_arrival: DAWN };
    for _ in 0..3 {
        assert_eq!(subject.seal(log), sealed);
        for expect in [Expect::Tail, Expect::End(4), Expect::End(3)] {
            assert_eq!(subject.append(log, expect, &text("late")), Appended::Closed { end: 4 });
        }
    }
    let tail = subject.tail(log);
    assert_eq!((tail.start, tail.end, tail.sealed), (0, 4, true));
    assert_eq!(subject.read_all(log).len(), 4, "a sealed log is read as before");
    assert_eq!(subject.seal(empty), Sealed { end: 0, last_arrival: 0 });
    assert!(subject.tail(empty).sealed);
    subject.trim(log, 2);
    assert_eq!(subject.tail(log).start, 2, "a sealed log is trimmed as before");
    assert_eq!(subject.seal(log), sealed);
}

pub(super) fn trim_moves_the_start_forward_only(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    for round in 0..4 {
        subject.put(log, &batch(&format!("r{round}"), 3));
    }
    for (before, then) in [(0, 0), (3, 3), (5, 5), (4, 5), (0, 5), (5, 5), (11, 11), (99, 12), (12, 12)] {
        subject.trim(log, before);
        let tail = subject.tail(log);
        assert_eq!((tail.start, tail.end), (then, 12), "after trim({before})");
        let offsets: Vec<_> = subject.read_all(log).iter().map(|record| record.offset).collect();
        assert!(offsets.iter().copied().eq(then..12), "after trim({before}): {offsets:?}");
    }
    assert_eq!(subject.tail(log).first_arrival, None, "nothing is left");
    assert_eq!(subject.put(log, &text("goes on")), 12);
    let page = subject.read(log, 0, 10, 1_000);
    assert_eq!(texts(&records_of(&page)), ["goes on"]);
}
