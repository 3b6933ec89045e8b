//! Appends: offsets, the check of the expected end, many at once, sizes.

use super::*;
use crate::batch::{MAX_BATCH_BYTES, MAX_KEY_BYTES, RECORD_HEADER_BYTES};

pub(super) fn offsets_are_contiguous_from_zero(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    let mut end = 0;
    for (round, count) in [1, 3, 1, 500, 2].into_iter().enumerate() {
        let answer = subject.append(log, Expect::End(end), &batch(&format!("round{round}"), count));
        assert_eq!(answer, Appended::At { first: end, arrival: DAWN });
        end += u64::from(count);
        assert_eq!(subject.tail(log).end, end);
    }
    let records = subject.read_all(log);
    assert!(records.iter().map(|record| record.offset).eq(0..end));
    assert_eq!(records[4].data, b"round2-0");
    assert_eq!((&records[5].key[..], &records[5].data[..]), (&b"k0"[..], &b"round3-0"[..]));
}

pub(super) fn a_wrong_expected_end_is_moved(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    for wrong in [1, 2, u64::MAX] {
        assert_eq!(subject.append(log, Expect::End(wrong), &text("wrong")), Appended::Moved { end: 0 });
    }
    subject.put(log, &batch("right", 3));
    for wrong in [0, 1, 2, 4, u64::MAX] {
        assert_eq!(subject.append(log, Expect::End(wrong), &text("wrong")), Appended::Moved { end: 3 });
    }
    assert_eq!(subject.put(log, &text("after")), 3);
    assert_eq!(texts(&subject.read_all(log)), ["right-0", "right-1", "right-2", "after"]);
}

pub(super) fn many_logs_in_one_call_are_answered_in_order(start: Start<'_>) {
    let subject = Subject::start(start);
    let [a, b, c, sealed] = [1, 2, 3, 4].map(|id| subject.create(id));
    let missing = LogId(99);
    subject.put(b, &batch("old", 5));
    let _ = subject.seal(sealed);
    let appends = [(c, Expect::Tail), (missing, Expect::Tail), (b, Expect::End(4)), (a, Expect::End(0))];
    let appends = appends.into_iter().chain([(sealed, Expect::Tail), (b, Expect::End(5))]);
    let appends = appends.map(|(log, expect)| Append { log, expect, batch: text("new") }).collect();
    let answers = block_on(subject.engine.append_many(appends));
    let expected = [
        Appended::At { first: 0, arrival: DAWN },
        Appended::Missing,
        Appended::Moved { end: 5 },
        Appended::At { first: 0, arrival: DAWN },
        Appended::Closed { end: 0 },
        Appended::At { first: 5, arrival: DAWN },
    ];
    assert_eq!(answers, expected);
    assert_eq!([a, b, c, sealed].map(|log| subject.tail(log).end), [1, 6, 1, 0]);
    assert_eq!(block_on(subject.engine.append_many(Vec::new())), []);
}

pub(super) fn several_appends_to_one_log_apply_in_order(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    let appends = [
        (Expect::Tail, batch("a", 2)),
        (Expect::End(2), text("b")),
        (Expect::End(2), text("refused")),
        (Expect::Tail, batch("c", 3)),
        (Expect::End(6), text("d")),
    ];
    let appends = appends.map(|(expect, batch)| Append { log, expect, batch }).to_vec();
    let expected = [
        Appended::At { first: 0, arrival: DAWN },
        Appended::At { first: 2, arrival: DAWN },
        Appended::Moved { end: 3 },
        Appended::At { first: 3, arrival: DAWN },
        Appended::At { first: 6, arrival: DAWN },
    ];
    assert_eq!(block_on(subject.engine.append_many(appends)), expected);
    assert_eq!(texts(&subject.read_all(log)), ["a-0", "a-1", "b", "c-0", "c-1", "c-2", "d"]);
}

pub(super) fn empty_keys_and_data_and_every_byte_come_back(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    let every: Vec<u8> = (0..=255).collect();
    let rows: [(&[u8], &[u8]); 6] =
        [(b"", b""), (b"", b"data"), (b"key", b""), (&every, &every), (&[7; MAX_KEY_BYTES], b"x"), (b"", b"")];
    let mut builder = BatchBuilder::default();
    for (key, data) in rows {
        builder.push(key, data);
        subject.put(log, &Batch::single(key, data));
    }
    subject.put(log, &builder.finish().expect("six records"));
    let records = subject.read_all(log);
    let found = records.iter().map(|record| (&record.key[..], &record.data[..]));
    assert!(found.eq(rows.into_iter().chain(rows)));
}

pub(super) fn the_largest_batch_is_accepted(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    let one = vec![b'x'; MAX_BATCH_BYTES - RECORD_HEADER_BYTES];
    subject.put(log, &text("before"));
    let whole = Batch::single(b"", &one);
    assert_eq!(whole.bytes().len(), MAX_BATCH_BYTES);
    subject.put(log, &whole);
    let mut builder = BatchBuilder::default();
    for n in 0..500u32 {
        builder.push(b"", &vec![n as u8; MAX_BATCH_BYTES / 500 - RECORD_HEADER_BYTES]);
    }
    let pieces = builder.finish().expect("records");
    subject.put(log, &pieces);
    subject.put(log, &text("after"));
    let records = subject.read_all(log);
    assert_eq!(records.len(), 503);
    assert!(records[1].data == one, "the large record comes back");
    assert!(records[2..502].iter().zip(0u32..).all(|(record, n)| record.data[0] == n as u8));
    assert_eq!(records[502].data, b"after");
}

pub(super) fn ten_thousand_logs(start: Start<'_>) {
    const LOGS: u64 = 10_000;
    let subject = Subject::start(start);
    block_on(subject.engine.create((0..LOGS).map(spec).collect())).expect("create");
    for round in 0..2u64 {
        let append = |id| Append { log: LogId(id), expect: Expect::End(round), batch: text(&format!("{id}/{round}")) };
        let answers = block_on(subject.engine.append_many((0..LOGS).rev().map(append).collect()));
        assert_eq!(answers.len(), LOGS as usize);
        assert!(answers.iter().all(|answer| *answer == Appended::At { first: round, arrival: DAWN }));
    }
    for id in 0..LOGS {
        let page = subject.read(LogId(id), 0, 10, 1_000);
        assert_eq!(texts(&records_of(&page)), [format!("{id}/0"), format!("{id}/1")]);
    }
}
