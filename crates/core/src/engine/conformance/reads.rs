//! Reads: limits, positions, and what the tail tells of the records.

use super::*;
use crate::batch::RECORD_HEADER_BYTES;

/// A log of 20 records in batches of 5, 1, 7, 4 and 3; record `n` has a key of 1 byte and `10 * n` bytes of data.
fn staircase(subject: &Subject) -> LogId {
    let log = subject.create(1);
    let mut n = 0;
    for count in [5, 1, 7, 4, 3] {
        let mut builder = BatchBuilder::default();
        for _ in 0..count {
            builder.push(b"k", &vec![b'a' + n as u8; 10 * n]);
            n += 1;
        }
        subject.put(log, &builder.finish().expect("records"));
    }
    log
}

/// Reads once and checks the page against the staircase.
fn check_read(subject: &Subject, request: ReadRequest) -> usize {
    let page = subject.read(request.log, request.from, request.max_records, request.max_bytes);
    let records = records_of(&page);
    check_limits(&request, &page, &records);
    for record in &records {
        let n = record.offset as usize;
        assert_eq!((record.key.len(), record.data.len()), (1, 10 * n), "record {n} for {request:?}");
        assert!(record.data.iter().all(|&byte| byte == b'a' + n as u8), "record {n} for {request:?}");
    }
    assert_eq!(page.tail, subject.tail(request.log));
    records.len()
}

pub(super) fn a_page_holds_at_most_so_many_records(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = staircase(&subject);
    for from in 0..20 {
        for max_records in 1..=21 {
            check_read(&subject, ReadRequest { log, from, max_records, max_bytes: u64::MAX });
        }
    }
}

pub(super) fn a_page_holds_at_most_so_many_bytes(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = staircase(&subject);
    for from in 0..20 {
        for max_bytes in (0..300).step_by(7).chain([1_000, 1_919, 1_920, 1_921]) {
            check_read(&subject, ReadRequest { log, from, max_records: 100, max_bytes });
        }
    }
}

pub(super) fn one_record_always_fits(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = staircase(&subject);
    for from in 0..20 {
        for max_bytes in [0, 1] {
            let found = check_read(&subject, ReadRequest { log, from, max_records: 9, max_bytes });
            // Record 0 is one byte, so a limit of one byte would let no second one in either.
            assert_eq!(found, 1, "from {from}");
        }
    }
}

pub(super) fn past_the_end_and_before_the_start(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = staircase(&subject);
    for from in [20, 21, 1_000, u64::MAX] {
        let page = subject.read(log, from, 10, 1_000);
        assert_eq!((page.chunks.len(), page.next, page.tail.end), (0, from, 20));
    }
    subject.trim(log, 8);
    for from in [0, 5, 7, 8, 9] {
        assert!(check_read(&subject, ReadRequest { log, from, max_records: 3, max_bytes: 10_000 }) > 0);
    }
    subject.trim(log, 20);
    let page = subject.read(log, 3, 10, 1_000);
    assert_eq!((page.chunks.len(), page.next), (0, 20), "everything before the start is gone");
}

pub(super) fn bytes_and_first_arrival_follow_the_records(start: Start<'_>) {
    let subject = Subject::start(start);
    let log = subject.create(1);
    let mut sizes = Vec::new();
    let mut arrivals = Vec::new();
    for round in 0..30u64 {
        subject.clock.advance(1_000);
        let data = vec![0; 100 * round as usize];
        subject.put(log, &Batch::single(b"key", &data));
        sizes.push((RECORD_HEADER_BYTES + 3 + data.len()) as u64);
        arrivals.push(DAWN + 1_000 * (round + 1));
    }
    let total: u64 = sizes.iter().sum();
    let tail = subject.tail(log);
    assert_eq!((tail.bytes, tail.last_arrival), (total, arrivals[29]));
    for before in [0, 1, 7, 20, 29] {
        subject.trim(log, before as u64);
        let tail = subject.tail(log);
        let readable: u64 = sizes[before..].iter().sum();
        assert!((readable..=total).contains(&tail.bytes), "{} bytes from {before} on", tail.bytes);
        let first = tail.first_arrival.expect("there is a record");
        assert!((arrivals[0]..=arrivals[before]).contains(&first), "first arrival from {before} on: {first}");
        assert_eq!(tail.last_arrival, arrivals[29]);
    }
    subject.trim(log, 30);
    let tail = subject.tail(log);
    assert_eq!((tail.first_arrival, tail.last_arrival), (None, arrivals[29]), "the last arrival outlives its record");
}
