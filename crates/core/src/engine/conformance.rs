//! The conformance suite: what every [`Engine`] must do, as named cases.
//!
//! An implementation's test binary holds them all, one `#[test]` each, by naming a function that starts an empty
//! engine on a clock:
//!
//! ```text
//! fn start(clock: &SimClock) -> Arc<dyn Engine> { … }
//! levada_core::engine_conformance!(start);
//! ```
//!
//! An implementation that owns a disk holds those of [`crash`] too (`engine_crash_conformance!`).
//!
//! A case fails by panicking. It reads no real clock and needs no async runtime: [`drive`] polls.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Test code, compiled for the tests of other crates.

pub mod crash;
pub mod drive;

mod appends;
mod concurrency;
mod lifecycle;
mod model;
mod reads;
#[cfg(test)]
mod tests;
mod times;

use std::fmt;
use std::sync::Arc;

use self::drive::block_on;
use super::{
    Append, Appended, Chunk, Engine, EngineError, Expect, LogId, LogSpec, Millis, Offset, Page, ReadRequest, Sealed,
    Tail,
};
use crate::batch::{Batch, BatchBuilder};
use crate::env::sim::SimClock;

/// Starts an empty engine that reads the time from the clock.
pub type Start<'a> = &'a dyn Fn(&SimClock) -> Arc<dyn Engine>;

/// A case of the suite. Panics if the engine does not keep its obligation.
pub type Case = fn(Start<'_>);

/// Holds every case of the suite against the engine that the given function (a [`Start`](crate::engine::conformance::Start)) starts.
#[macro_export]
macro_rules! engine_conformance {
    (@tests [$start:expr] $($module:ident :: $name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::engine::conformance::run(stringify!($name), &$start);
            }
        )*
    };
    (@list [] $($module:ident :: $name:ident)*) => {
        &[$((stringify!($name), $module::$name as Case)),*]
    };
    (@each $rule:ident $args:tt) => {
        $crate::engine_conformance! { @$rule $args
            appends::offsets_are_contiguous_from_zero
            appends::a_wrong_expected_end_is_moved
            appends::many_logs_in_one_call_are_answered_in_order
            appends::several_appends_to_one_log_apply_in_order
            appends::empty_keys_and_data_and_every_byte_come_back
            appends::the_largest_batch_is_accepted
            appends::ten_thousand_logs
            lifecycle::a_new_log_is_empty
            lifecycle::create_again_changes_nothing
            lifecycle::a_missing_log_is_missing_to_every_verb
            lifecycle::delete_makes_a_log_missing_and_spares_others
            lifecycle::seal_closes_once_and_for_all
            lifecycle::trim_moves_the_start_forward_only
            reads::a_page_holds_at_most_so_many_records
            reads::a_page_holds_at_most_so_many_bytes
            reads::one_record_always_fits
            reads::past_the_end_and_before_the_start
            reads::bytes_and_first_arrival_follow_the_records
            times::seek_finds_the_first_at_or_after
            times::seek_skips_what_was_trimmed
            times::arrival_never_falls_when_the_clock_does
            times::no_arrival_is_before_the_floor
            concurrency::grown_answers_at_once_if_it_is_so
            concurrency::grown_wakes_on_append_seal_and_delete
            concurrency::concurrent_writers_interleave_without_loss
            concurrency::of_racing_checked_appends_one_wins
            concurrency::a_reader_sees_only_a_growing_prefix
            concurrency::dropped_appends_leave_whole_batches
            concurrency::a_future_that_nobody_polls_holds_nobody_up
            model::random_calls_answer_as_the_model
        }
    };
    ($start:expr) => {
        $crate::engine_conformance!(@each tests [$start]);
    };
}

/// Every case by name.
pub const CASES: &[(&str, Case)] = engine_conformance!(@each list []);

/// Runs the case called `name`.
///
/// # Panics
/// If there is no such case, or the engine does not keep its obligation.
pub fn run(name: &str, start: Start<'_>) {
    let (_, case) = CASES.iter().find(|(known, _)| *known == name).expect("a case of the suite");
    case(start);
}

/// When the cases begin, in milliseconds since the Unix epoch.
const DAWN: Millis = 1_700_000_000_000;

/// A record with all that the engine tells about it.
#[derive(Clone, PartialEq, Eq)]
struct Record {
    offset: Offset,
    arrival: Millis,
    key: Vec<u8>,
    data: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, arrival, key, data } = self;
        let (len, data) = (data.len(), data[..data.len().min(20)].escape_ascii());
        write!(f, "{offset} at {arrival}: {} → {len} bytes {data}", key[..key.len().min(20)].escape_ascii())
    }
}

/// An engine under test, with its verbs made blocking.
struct Subject {
    engine: Arc<dyn Engine>,
    clock: SimClock,
}

impl Subject {
    fn start(start: Start<'_>) -> Self {
        let clock = SimClock::at(DAWN);
        Self { engine: start(&clock), clock }
    }

    /// Creates a log whose floor is 0.
    fn create(&self, id: u64) -> LogId {
        block_on(self.engine.create(vec![spec(id)])).expect("create");
        LogId(id)
    }

    fn append(&self, log: LogId, expect: Expect, batch: &Batch) -> Appended {
        let answers = block_on(self.engine.append_many(vec![Append { log, expect, batch: batch.clone() }]));
        let [answer] = <[_; 1]>::try_from(answers).expect("one answer for one append");
        answer
    }

    /// Appends wherever the log ends, and answers the first offset.
    fn put(&self, log: LogId, batch: &Batch) -> Offset {
        match self.append(log, Expect::Tail, batch) {
            Appended::At { first, .. } => first,
            other => panic!("append to an open log: {other:?}"),
        }
    }

    fn tail(&self, log: LogId) -> Tail {
        block_on(self.engine.tail(log)).expect("tail")
    }

    fn read(&self, log: LogId, from: Offset, max_records: u32, max_bytes: u64) -> Page {
        block_on(self.engine.read(ReadRequest { log, from, max_records, max_bytes })).expect("read")
    }

    fn seek(&self, log: LogId, time: Millis) -> Offset {
        block_on(self.engine.seek(log, time)).expect("seek")
    }

    fn seal(&self, log: LogId) -> Sealed {
        block_on(self.engine.seal(log)).expect("seal")
    }

    fn trim(&self, log: LogId, before: Offset) {
        block_on(self.engine.trim(log, before)).expect("trim");
    }

    fn delete(&self, log: LogId) {
        block_on(self.engine.delete(vec![log])).expect("delete");
    }

    fn read_all(&self, log: LogId) -> Vec<Record> {
        read_all(&*self.engine, log).expect("read")
    }
}

fn spec(id: u64) -> LogSpec {
    LogSpec { id: LogId(id), class: 24, floor: 0 }
}

/// Reads a log from its start to its end in pages of odd sizes.
fn read_all(engine: &dyn Engine, log: LogId) -> Result<Vec<Record>, EngineError> {
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let request = ReadRequest { log, from, max_records: 777, max_bytes: 3_000_000 };
        let page = block_on(engine.read(request))?;
        let records = records_of(&page);
        check_limits(&request, &page, &records);
        if records.is_empty() {
            assert!(page.next >= page.tail.end, "an empty page at {from}, before the end {}", page.tail.end);
            return Ok(all);
        }
        from = page.next;
        let last: Option<&Record> = all.last();
        assert!(last.is_none_or(|last| last.arrival <= records[0].arrival), "arrival times never fall");
        all.extend(records);
    }
}

/// The page's records, after checking that its chunks are well formed and without gaps.
fn records_of(page: &Page) -> Vec<Record> {
    let mut records = Vec::new();
    for chunk in &page.chunks {
        let Chunk { first, arrival, ref batch, skip, take } = *chunk;
        assert!(take >= 1 && skip + take <= batch.count(), "skip {skip}, take {take} of {}", batch.count());
        if let Some(last) = records.last() {
            let last: &Record = last;
            assert_eq!(first, last.offset + 1, "chunks follow each other");
            assert!(arrival >= last.arrival, "arrival times never fall");
        }
        records.extend(chunk.records().map(|(offset, record)| Record {
            offset,
            arrival,
            key: record.key.to_vec(),
            data: record.data.to_vec(),
        }));
    }
    if let Some(last) = records.last() {
        assert_eq!(page.next, last.offset + 1, "next follows the last record");
    }
    records
}

fn check_limits(request: &ReadRequest, page: &Page, records: &[Record]) {
    let bytes: usize = records.iter().map(|record| record.key.len() + record.data.len()).sum();
    assert!(records.len() <= request.max_records as usize, "{} records for {request:?}", records.len());
    assert!(bytes as u64 <= request.max_bytes || records.len() == 1, "{bytes} bytes for {request:?}");
    let wanted = request.from.max(page.tail.start);
    assert_eq!(records.first().map_or(wanted, |record| record.offset), wanted, "begins where asked: {request:?}");
    if records.is_empty() {
        assert_eq!(page.next, wanted, "an empty page continues where it would have begun");
        assert!(wanted >= page.tail.end, "one record always fits: {request:?}");
    }
    assert!(records.last().is_none_or(|record| record.offset < page.tail.end), "the tail is as of the page");
}

/// A batch of records `("k<n>", "<text>-<n>")`.
fn batch(text: &str, count: u32) -> Batch {
    let mut builder = BatchBuilder::default();
    for n in 0..count {
        builder.push(format!("k{n}").as_bytes(), format!("{text}-{n}").as_bytes());
    }
    builder.finish().expect("at least one record")
}

/// A batch of one record with this text as its data.
fn text(text: &str) -> Batch {
    Batch::single(b"key", text.as_bytes())
}

fn texts(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.data).expect("text")).collect()
}
