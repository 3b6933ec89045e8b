//! Waiting, racing and giving up.

use std::collections::BTreeMap;
use std::thread;

use super::drive::{Waiting, poll_once};
use super::*;
use crate::engine::BoxFuture;

pub(super) fn grown_answers_at_once_if_it_is_so(start: Start<'_>) {
    let subject = Subject::start(start);
    let [log, sealed] = [1, 2].map(|id| subject.create(id));
    subject.put(log, &batch("x", 3));
    let _ = subject.seal(sealed);
    for end in 0..3 {
        assert_eq!(block_on(subject.engine.grown(log, end)), Ok(subject.tail(log)));
    }
    for end in [0, 5, u64::MAX] {
        assert_eq!(block_on(subject.engine.grown(sealed, end)), Ok(subject.tail(sealed)), "sealed");
    }
}

pub(super) fn grown_wakes_on_append_seal_and_delete(start: Start<'_>) {
    let subject = Subject::start(start);
    let [log, other] = [1, 2].map(|id| subject.create(id));
    let wait = |log, end| Waiting::start(subject.engine.grown(log, end));
    let (at_zero, at_one, dropped) = (wait(log, 0), wait(log, 1), wait(log, 0));
    let elsewhere = wait(other, 0);
    drop(dropped);
    subject.put(log, &text("first"));
    assert_eq!(at_zero.finish().expect("grown").end, 1);
    let also_at_one = wait(log, 1);
    subject.put(log, &batch("more", 2));
    assert_eq!([at_one, also_at_one].map(|waiting| waiting.finish().expect("grown").end), [3, 3]);

    let waiting = [wait(log, 3), wait(log, 99)];
    let _ = subject.seal(log);
    for tail in waiting.map(Waiting::finish) {
        let tail = tail.expect("sealed");
        assert_eq!((tail.end, tail.sealed), (3, true));
    }

    let newest = wait(other, 0);
    subject.delete(other);
    assert_eq!([elsewhere, newest].map(Waiting::finish), [const { Err(EngineError::Missing) }; 2]);
    thread::scope(|scope| {
        let third = subject.create(3);
        let engine = &subject.engine;
        let blocked = scope.spawn(move || block_on(engine.grown(third, 0)).expect("grown").end);
        subject.put(third, &text("from another thread"));
        assert_eq!(blocked.join().expect("a waiting thread"), 1);
    });
}

pub(super) fn concurrent_writers_interleave_without_loss(start: Start<'_>) {
    const WRITERS: u32 = 4;
    const ROUNDS: u32 = 40;
    let subject = Subject::start(start);
    let logs = [1, 2].map(|id| subject.create(id));
    let acknowledged: Vec<(LogId, Offset, Batch)> = thread::scope(|scope| {
        let write = |writer: u32| {
            let mut done = Vec::new();
            for round in 0..ROUNDS {
                let batches = logs.map(|log| (log, batch(&format!("w{writer}r{round}"), 1 + (writer + round) % 3)));
                let appends = batches.clone().map(|(log, batch)| Append { log, expect: Expect::Tail, batch });
                let answers = block_on(subject.engine.append_many(appends.to_vec()));
                for (answer, (log, batch)) in answers.into_iter().zip(batches) {
                    let Appended::At { first, .. } = answer else { panic!("{answer:?}") };
                    done.push((log, first, batch));
                }
            }
            done
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    });
    for log in logs {
        let mine: BTreeMap<_, _> = acknowledged.iter().filter(|row| row.0 == log).map(|row| (row.1, &row.2)).collect();
        assert_eq!(mine.len(), (WRITERS * ROUNDS) as usize, "no offset is given twice");
        let expected = mine.iter().flat_map(|(first, batch)| (*first..).zip(batch.records()));
        let found = subject.read_all(log);
        assert_eq!(found.len(), mine.values().map(|batch| batch.count() as usize).sum::<usize>());
        for (record, (offset, view)) in found.iter().zip(expected) {
            assert_eq!((record.offset, &record.key[..], &record.data[..]), (offset, view.key, view.data));
        }
        for writer in 0..WRITERS {
            let prefix = format!("w{writer}r");
            let all = texts(&found);
            let of_writer = all.iter().filter_map(|text| text.strip_prefix(&prefix)?.split_once('-'));
            let rounds: Vec<u32> = of_writer.map(|(round, _)| round.parse().expect("a number")).collect();
            assert!(rounds.is_sorted(), "one writer's appends stand in order");
        }
    }
}

pub(super) fn of_racing_checked_appends_one_wins(start: Start<'_>) {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 25;
    let subject = Subject::start(start);
    let log = subject.create(1);
    let write = |writer: u64| {
        let mut end = 0;
        let mut won = Vec::new();
        while won.len() < ROUNDS as usize {
            match subject.append(log, Expect::End(end), &text(&format!("{writer}/{}", won.len()))) {
                Appended::At { first, .. } => {
                    assert_eq!(first, end);
                    won.push(first);
                    end += 1;
                }
                Appended::Moved { end: real } => {
                    assert_ne!(real, end, "moved means elsewhere");
                    end = real;
                }
                other => panic!("{other:?}"),
            }
        }
        won
    };
    let mut won: Vec<Offset> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    });
    won.sort_unstable();
    assert!(won.into_iter().eq(0..WRITERS * ROUNDS), "each offset was won once");
    assert_eq!(subject.tail(log).end, WRITERS * ROUNDS);
}

pub(super) fn a_reader_sees_only_a_growing_prefix(start: Start<'_>) {
    const RECORDS: u64 = 150;
    let subject = Subject::start(start);
    let log = subject.create(1);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            while seen.len() < RECORDS as usize {
                let from = seen.len() as u64;
                let tail = block_on(subject.engine.grown(log, from)).expect("grown");
                assert!(tail.end > from);
                let request = ReadRequest { log, from, max_records: 7, max_bytes: 1_000 };
                let page = block_on(subject.engine.read(request)).expect("read");
                assert!(page.tail.end >= tail.end, "the end never falls");
                let records = records_of(&page);
                check_limits(&request, &page, &records);
                seen.extend(records);
            }
            seen
        });
        let mut written = 0;
        while written < RECORDS {
            let count = (1 + written % 4).min(RECORDS - written);
            subject.put(log, &batch(&format!("at{written}"), count as u32));
            written += count;
        }
        assert_eq!(reader.join().expect("the reader"), subject.read_all(log));
    });
}

pub(super) fn dropped_appends_leave_whole_batches(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    let mut acknowledged = Vec::new();
    for round in 0..60 {
        let append = Append { log, expect: Expect::Tail, batch: batch(&format!("dropped{round}"), 3) };
        let mut future = subject.engine.append_many(vec![append]);
        let polls = round % 4;
        let answered = (0..polls).any(|_| poll_once(&mut future).is_ready());
        drop(future);
        if answered || round % 3 == 0 {
            let kept = batch(&format!("kept{round}"), 2);
            acknowledged.push((subject.put(log, &kept), kept));
        }
    }
    let last = subject.append(log, Expect::Tail, &text("last"));
    assert!(matches!(last, Appended::At { .. }), "{last:?}");
    let records = subject.read_all(log);
    let texts = texts(&records);
    let starts = texts.iter().enumerate().filter(|(_, text)| text.starts_with("dropped") && text.ends_with("-0"));
    for (at, first) in starts {
        let stem = first.trim_end_matches("-0");
        let whole = [format!("{stem}-0"), format!("{stem}-1"), format!("{stem}-2")];
        assert_eq!(texts[at..at + 3], whole, "a batch is there whole or not at all");
        assert_eq!(texts.iter().filter(|text| *text == first).count(), 1, "once at most");
    }
    for (first, kept) in acknowledged {
        let found = records[first as usize..].iter().map(|record| (&record.key[..], &record.data[..]));
        assert!(found.take(2).eq(kept.records().map(|record| (record.key, record.data))), "in its place");
    }
}

pub(super) fn a_future_that_nobody_polls_holds_nobody_up(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    for polls in 0..4 {
        let append = Append { log, expect: Expect::Tail, batch: text("parked") };
        let request = ReadRequest { log, from: 0, max_records: 10, max_bytes: 1_000 };
        let mut parked_append = subject.engine.append_many(vec![append]);
        let mut others: [BoxFuture<'_, bool>; 2] = [
            Box::pin(async { subject.engine.read(request).await.is_ok() }),
            Box::pin(async { subject.engine.grown(log, u64::MAX).await.is_ok() }),
        ];
        let mut answered = false;
        for _ in 0..polls {
            answered = answered || poll_once(&mut parked_append).is_ready();
        }
        if polls > 0 {
            let _ = others.each_mut().map(poll_once);
        }
        let first = subject.put(log, &text("meanwhile"));
        let found = subject.read(log, first, 1, 1_000);
        assert_eq!(texts(&records_of(&found)), ["meanwhile"]);
        if !answered {
            let answer = block_on(parked_append).remove(0);
            assert!(matches!(answer, Appended::At { .. }), "{answer:?}");
        }
    }
    let _ = subject.seal(log);
    assert_eq!(subject.read_all(log).len() as u64, subject.tail(log).end);
}
