//! The cases for engines that own a disk: what they hold after the power went, the process died, or both again
//! during the recovery.
//!
//! ```text
//! fn open(disk: &SimDisk, clock: &SimClock) -> Result<Arc<dyn Engine>, String> { … }
//! levada_core::engine_crash_conformance!(open);
//! ```
//!
//! Each case plays several lives of one disk. A life opens the engine (the power may go already then), compares
//! all it holds with what the earlier lives were told, makes random calls side by side, and ends: by a power loss or a
//! killed process before a random call to the disk, or by dropping the engine. The old engine is dropped
//! while its disk answers nothing but errors, so dropping must neither hang nor panic.

use std::collections::{BTreeMap, BTreeSet};

use super::drive::join_all;
use super::*;
use crate::engine::BoxFuture;
use crate::env::Clock as _;
use crate::env::sim::{SimDisk, SimRandom};

/// Opens an engine on a disk: a new one on an empty disk, else the recovered one. An error that the disk did not
/// cause fails the case.
pub type Open<'a> = &'a dyn Fn(&SimDisk, &SimClock) -> Result<Arc<dyn Engine>, String>;

/// Holds every crash case against the engine that the given function (an [`Open`](crate::engine::conformance::crash::Open)) opens.
#[macro_export]
macro_rules! engine_crash_conformance {
    ($open:expr) => {
        $crate::engine_crash_conformance! { @tests [$open]
            power_loss_keeps_what_was_acknowledged
            a_killed_process_keeps_what_was_acknowledged
            a_dropped_engine_keeps_what_was_acknowledged
            what_was_recovered_and_seen_is_durable
            power_loss_during_recovery_is_recovered_from
        }
    };
    (@tests [$open:expr] $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::engine::conformance::crash::$name(&$open);
            }
        )*
    };
}

/// The power goes before a random call to the disk.
pub fn power_loss_keeps_what_was_acknowledged(open: Open<'_>) {
    for seed in 0..40 {
        play(open, seed, &[End::PowerLoss], false);
    }
}

/// The process dies before a random call to the disk; what it had written is still there, durable or not.
pub fn a_killed_process_keeps_what_was_acknowledged(open: Open<'_>) {
    for seed in 0..10 {
        play(open, seed, &[End::Kill, End::PowerLoss], false);
    }
}

/// The engine is dropped, and opened again.
pub fn a_dropped_engine_keeps_what_was_acknowledged(open: Open<'_>) {
    for seed in 0..10 {
        play(open, seed, &[End::Drop, End::PowerLoss], false);
    }
}

/// The power goes after a killed process was recovered from, so that what it had written must be durable by then.
pub fn what_was_recovered_and_seen_is_durable(open: Open<'_>) {
    for seed in 0..20 {
        play(open, seed, &[End::Kill, End::LossOfWhatWasRecovered], false);
    }
}

/// The power goes again and again while the engine recovers.
pub fn power_loss_during_recovery_is_recovered_from(open: Open<'_>) {
    for seed in 0..20 {
        play(open, seed, &[End::PowerLoss, End::Kill], true);
    }
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Unsynced writes are lost at random, before a random call to the disk.
    PowerLoss,
    /// Nothing is lost, but the engine stops before a random call to the disk.
    Kill,
    /// By dropping the engine.
    Drop,
    /// Unsynced writes are lost at random, after nothing but looking at what was recovered.
    LossOfWhatWasRecovered,
}

/// Plays eight lives of a disk, which end as `ends` says, over and over. With `recovery`, openings are interrupted by power
/// losses too.
///
/// # Panics
/// If an obligation is not kept.
pub fn play(open: Open<'_>, seed: u64, ends: &[End], recovery: bool) {
    let random = SimRandom::new(seed);
    let clock = SimClock::at(DAWN);
    let mut disk = SimDisk::new();
    let mut told = Told::default();
    for life in 0..8 {
        let engine = open_at_last(open, &mut disk, &clock, &random, recovery);
        told.check(&*engine);
        let end = ends[life % ends.len()];
        if end == End::PowerLoss || end == End::Kill {
            disk.cut_power_after(random.below(60));
        }
        let calls = if end == End::LossOfWhatWasRecovered { 0 } else { 1 + random.below(12) };
        for _ in 0..calls {
            clock.advance(random.below(20));
            if random.percent(10) {
                clock.jump_wall(clock.now_ms() - 50);
            }
            told.calls(&*engine, &random);
            if disk.is_powerless() {
                break;
            }
        }
        if end == End::Drop {
            drop(engine);
            disk = disk.kill();
            continue;
        }
        disk = if end == End::Kill { disk.kill() } else { disk.crash(&random) };
        drop(engine);
    }
    let engine = open_at_last(open, &mut disk, &clock, &random, false);
    told.check(&*engine);
}

fn open_at_last(
    open: Open<'_>,
    disk: &mut SimDisk,
    clock: &SimClock,
    random: &SimRandom,
    recovery: bool,
) -> Arc<dyn Engine> {
    while recovery && random.percent(70) {
        disk.cut_power_after(random.below(25));
        let engine = open(disk, clock);
        if let Err(error) = &engine {
            assert!(disk.is_powerless(), "the disk caused no error, but: {error}");
        }
        *disk = disk.crash(random);
    }
    open(disk, clock).unwrap_or_else(|error| panic!("the engine does not open again: {error}"))
}

/// What the callers of all lives were told, or at least asked for.
#[derive(Default)]
struct Told {
    logs: BTreeMap<LogId, ToldLog>,
    next_log: u64,
    next_batch: u64,
}

#[derive(Default)]
struct ToldLog {
    create: Asked,
    seal: Asked,
    delete: Asked,
    /// The furthest trim that was asked for.
    trim: Offset,
    /// The furthest end that anybody was told.
    end: Offset,
    last_arrival: Millis,
    acknowledged: Vec<(Offset, Millis, Batch)>,
    /// Batches of unknown outcome, by the data of their first record.
    unknown: BTreeMap<Vec<u8>, Batch>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    #[default]
    Never,
    Unknown,
    Done,
}

enum Answer {
    Appended(Vec<Append>, Vec<Appended>),
    Read(LogId, Result<Page, EngineError>),
    Seal(LogId, Result<Sealed, EngineError>),
    Create(Vec<LogSpec>, Result<(), EngineError>),
    Delete(LogId, Result<(), EngineError>),
    Trim,
}

impl Told {
    fn any_log(&self, random: &SimRandom) -> LogId {
        LogId(random.below(self.next_log.max(1)))
    }

    fn any_append(&mut self, random: &SimRandom) -> Append {
        let log = self.any_log(random);
        let end = self.logs.get(&log).map_or(0, |told| told.end);
        let expect = if random.percent(70) { Expect::Tail } else { Expect::End(end) };
        self.next_batch += 1;
        let mut builder = BatchBuilder::default();
        for n in 0..1 + random.below(4) {
            let pad = if random.percent(10) { 9_000 } else { random.below(700) as usize };
            builder.push(b"key", format!("{}-{n}-{}", self.next_batch, "x".repeat(pad)).as_bytes());
        }
        Append { log, expect, batch: builder.finish().expect("records") }
    }

    /// Makes some calls side by side and notes the answers.
    fn calls(&mut self, engine: &dyn Engine, random: &SimRandom) {
        let mut futures: Vec<BoxFuture<'_, Answer>> = Vec::new();
        // Nobody knows of a log before its creation was answered.
        let mut next_log = self.next_log;
        for _ in 0..1 + random.below(4) {
            let log = self.any_log(random);
            let chosen = if self.next_log == 0 { 99 } else { random.below(100) };
            futures.push(match chosen {
                0..65 => {
                    let appends: Vec<_> = (0..1 + random.below(4)).map(|_| self.any_append(random)).collect();
                    Box::pin(async move {
                        let answers = engine.append_many(appends.clone()).await;
                        Answer::Appended(appends, answers)
                    })
                }
                65..82 => {
                    let request = ReadRequest { log, from: 0, max_records: 1_000, max_bytes: u64::MAX };
                    Box::pin(async move { Answer::Read(log, engine.read(request).await) })
                }
                82..85 => {
                    let told = self.logs.entry(log).or_default();
                    told.seal = told.seal.max(Asked::Unknown);
                    Box::pin(async move { Answer::Seal(log, engine.seal(log).await) })
                }
                85..88 => {
                    let told = self.logs.entry(log).or_default();
                    told.delete = told.delete.max(Asked::Unknown);
                    Box::pin(async move { Answer::Delete(log, engine.delete(vec![log]).await) })
                }
                88..94 => {
                    let told = self.logs.entry(log).or_default();
                    let before = random.below(told.end + 1);
                    told.trim = told.trim.max(before);
                    Box::pin(async move {
                        let _ = engine.trim(log, before).await;
                        Answer::Trim
                    })
                }
                _ => {
                    let specs: Vec<_> = (next_log..).take(2).map(spec).collect();
                    next_log += 2;
                    Box::pin(async move {
                        let answer = engine.create(specs.clone()).await;
                        Answer::Create(specs, answer)
                    })
                }
            });
        }
        for answer in join_all(futures) {
            self.note(answer);
        }
        self.next_log = next_log;
    }

    fn note(&mut self, answer: Answer) {
        let outcome = |answer: bool| if answer { Asked::Done } else { Asked::Unknown };
        match answer {
            Answer::Appended(appends, answers) => {
                assert_eq!(appends.len(), answers.len());
                for (append, answer) in appends.into_iter().zip(answers) {
                    self.logs.entry(append.log).or_default().note(append, answer);
                }
            }
            Answer::Read(log, answer) => {
                if let Ok(page) = answer {
                    let told = self.logs.entry(log).or_default();
                    told.end = told.end.max(page.tail.end);
                    told.last_arrival = told.last_arrival.max(page.tail.last_arrival);
                    let _ = records_of(&page);
                }
            }
            Answer::Seal(log, answer) => {
                if answer != Err(EngineError::Missing) {
                    let told = self.logs.entry(log).or_default();
                    told.seal = told.seal.max(outcome(answer.is_ok()));
                    told.end = told.end.max(answer.map_or(0, |sealed| sealed.end));
                }
            }
            Answer::Delete(log, answer) => {
                let told = self.logs.entry(log).or_default();
                told.delete = told.delete.max(outcome(answer.is_ok()));
            }
            Answer::Create(specs, answer) => {
                for spec in specs {
                    let told = self.logs.entry(spec.id).or_default();
                    told.create = told.create.max(outcome(answer.is_ok()));
                }
            }
            Answer::Trim => {}
        }
    }

    /// Compares everything that the engine holds with what was told, and takes it as told from now on.
    fn check(&mut self, engine: &dyn Engine) {
        for (log, told) in &mut self.logs {
            match block_on(engine.tail(*log)) {
                Ok(tail) => told.check(engine, *log, tail),
                Err(EngineError::Missing) => {
                    let may_miss = told.delete != Asked::Never || told.create != Asked::Done;
                    assert!(may_miss, "{log:?} is gone");
                    assert!(told.delete != Asked::Never || told.acknowledged.is_empty(), "{log:?} is gone");
                    if told.delete != Asked::Never {
                        told.delete = Asked::Done;
                    } else {
                        // Never created, then; the caller does not know, and creates it again.
                        block_on(engine.create(vec![spec(log.0)])).expect("create");
                        *told = ToldLog { create: Asked::Done, ..ToldLog::default() };
                    }
                }
                Err(error) => panic!("{log:?}: {error}"),
            }
        }
    }
}

impl ToldLog {
    fn note(&mut self, append: Append, answer: Appended) {
        let Append { expect, batch, .. } = append;
        match answer {
            Appended::At { first, arrival } => {
                assert!(expect == Expect::Tail || expect == Expect::End(first), "{expect:?} appended at {first}");
                self.end = self.end.max(first + u64::from(batch.count()));
                self.last_arrival = self.last_arrival.max(arrival);
                self.acknowledged.push((first, arrival, batch));
            }
            Appended::Unknown => {
                let first = batch.records().next().expect("a record").data.to_vec();
                self.unknown.insert(first, batch);
            }
            Appended::Moved { end } => {
                assert_ne!(expect, Expect::Tail);
                assert_ne!(expect, Expect::End(end));
            }
            Appended::Closed { .. } => assert_ne!(self.seal, Asked::Never, "nobody sealed it"),
            Appended::Missing => {
                assert!(self.delete != Asked::Never || self.create != Asked::Done, "nobody deleted it");
            }
            Appended::Full => panic!("the disk is not full"),
        }
    }

    fn check(&mut self, engine: &dyn Engine, log: LogId, tail: Tail) {
        assert_ne!(self.delete, Asked::Done, "{log:?} was deleted");
        assert!(tail.end >= self.end, "{log:?} ended at {}, now at {}", self.end, tail.end);
        assert!(tail.start <= self.trim, "{log:?} starts at {}, was trimmed before {}", tail.start, self.trim);
        assert!(tail.last_arrival >= self.last_arrival, "{log:?}: the last arrival fell");
        match self.seal {
            Asked::Never => assert!(!tail.sealed, "nobody sealed {log:?}"),
            Asked::Unknown => {}
            Asked::Done => assert_eq!((tail.sealed, tail.end), (true, self.end), "{log:?} was sealed"),
        }
        let records = read_all(engine, log).unwrap_or_else(|error| panic!("{log:?}: {error}"));
        assert!(records.iter().map(|record| record.offset).eq(tail.start..tail.end));
        self.place_unknown(&records);
        self.acknowledged.sort_by_key(|(first, ..)| *first);
        let mut expected = BTreeMap::new();
        for (first, arrival, batch) in &self.acknowledged {
            for (offset, record) in (*first..).zip(batch.records()) {
                let twice = expected.insert(offset, (*arrival, record)).is_some();
                assert!(!twice, "{log:?}: two batches were acknowledged at {offset}");
            }
        }
        assert!(expected.keys().copied().eq(0..tail.end), "{log:?} holds what nobody wrote");
        for record in &records {
            let (arrival, view) = expected[&record.offset];
            let wanted = Record { offset: record.offset, arrival, key: view.key.to_vec(), data: view.data.to_vec() };
            assert_eq!(*record, wanted, "{log:?}");
        }
        let batches: BTreeSet<_> = self.acknowledged.iter().map(|(_, _, batch)| batch.bytes().clone()).collect();
        assert_eq!(batches.len(), self.acknowledged.len(), "{log:?} holds a batch twice");
        // The caller takes what was found as the truth; the unknown ones that are not there were not appended.
        self.unknown.clear();
        (self.create, self.end, self.last_arrival) = (Asked::Done, tail.end, tail.last_arrival);
        self.seal = if tail.sealed { Asked::Done } else { Asked::Never };
        self.delete = Asked::Never;
    }

    /// Takes those batches of unknown outcome as acknowledged whose first record is there.
    fn place_unknown(&mut self, records: &[Record]) {
        for record in records {
            if let Some(batch) = self.unknown.remove(&record.data) {
                self.acknowledged.push((record.offset, record.arrival, batch));
            }
        }
    }
}
