//! A small model of the engine, and a case in which both answer the same random calls.

use std::collections::BTreeMap;

use super::*;
use crate::batch::RECORD_HEADER_BYTES;
use crate::env::Clock as _;
use crate::env::sim::SimRandom;

/// What an engine answers, computed the simplest way.
#[derive(Default)]
pub(super) struct Model {
    pub(super) logs: BTreeMap<LogId, ModelLog>,
}

#[derive(Default)]
pub(super) struct ModelLog {
    pub(super) batches: Vec<(Offset, Millis, Batch)>,
    pub(super) records: Vec<Record>,
    pub(super) start: Offset,
    pub(super) sealed: bool,
    pub(super) last_arrival: Millis,
}

impl ModelLog {
    pub(super) fn end(&self) -> Offset {
        self.records.len() as u64
    }

    pub(super) fn readable(&self, from: Offset) -> &[Record] {
        &self.records[from.clamp(self.start, self.end()) as usize..]
    }

    pub(super) fn append(&mut self, expect: Expect, batch: &Batch, now: Millis) -> Appended {
        let end = self.end();
        if self.sealed {
            return Appended::Closed { end };
        }
        if let Expect::End(expected) = expect
            && expected != end
        {
            return Appended::Moved { end };
        }
        let arrival = self.last_arrival.max(now);
        self.last_arrival = arrival;
        self.records.extend((end..).zip(batch.records()).map(|(offset, record)| Record {
            offset,
            arrival,
            key: record.key.to_vec(),
            data: record.data.to_vec(),
        }));
        self.batches.push((end, arrival, batch.clone()));
        Appended::At { first: end, arrival }
    }

    pub(super) fn seek(&self, time: Millis) -> Offset {
        let found = self.readable(self.start).iter().find(|record| record.arrival >= time);
        found.map_or(self.end(), |record| record.offset)
    }

    pub(super) fn trim(&mut self, before: Offset) {
        self.start = before.clamp(self.start, self.end());
    }

    pub(super) fn tail(&self) -> Tail {
        let readable = self.readable(self.start);
        Tail {
            start: self.start,
            end: self.end(),
            sealed: self.sealed,
            last_arrival: self.last_arrival,
            first_arrival: readable.first().map(|record| record.arrival),
            bytes: encoded(readable),
        }
    }

    /// The tail, as exactly as the trait promises it.
    fn check_tail(&self, found: &Tail) {
        let exact = self.tail();
        assert_eq!(Tail { first_arrival: None, bytes: 0, ..*found }, Tail { first_arrival: None, bytes: 0, ..exact });
        assert!((exact.bytes..=encoded(&self.records)).contains(&found.bytes), "{found:?}, exactly {exact:?}");
        assert_eq!(found.first_arrival.is_some(), exact.first_arrival.is_some(), "{found:?}, exactly {exact:?}");
        assert!(found.first_arrival <= exact.first_arrival, "{found:?}, exactly {exact:?}");
    }
}

fn encoded(records: &[Record]) -> u64 {
    records.iter().map(|record| (RECORD_HEADER_BYTES + record.key.len() + record.data.len()) as u64).sum()
}

impl Model {
    pub(super) fn append(&mut self, append: &Append, now: Millis) -> Appended {
        match self.logs.get_mut(&append.log) {
            Some(log) => log.append(append.expect, &append.batch, now),
            None => Appended::Missing,
        }
    }

    pub(super) fn create(&mut self, spec: &LogSpec) {
        self.logs.entry(spec.id).or_insert_with(|| ModelLog { last_arrival: spec.floor, ..ModelLog::default() });
    }
}

pub(super) fn random_calls_answer_as_the_model(start: Start<'_>) {
    for seed in 0..6 {
        let subject = Subject::start(start);
        let mut run = Run { subject, model: Model::default(), random: SimRandom::new(seed), next_log: 0, serial: 0 };
        for _ in 0..400 {
            run.step();
        }
        run.check_everything();
    }
}

struct Run {
    subject: Subject,
    model: Model,
    random: SimRandom,
    next_log: u64,
    serial: u64,
}

impl Run {
    /// A log that exists, or was deleted, or never was.
    fn any_log(&self) -> LogId {
        LogId(self.random.below(self.next_log + 1))
    }

    fn any_offset(&self, log: LogId) -> Offset {
        let end = self.model.logs.get(&log).map_or(3, ModelLog::end);
        self.random.below(end + 3)
    }

    fn any_batch(&mut self) -> Batch {
        let mut builder = BatchBuilder::default();
        for _ in 0..1 + self.random.below(5) {
            self.serial += 1;
            let pad = "x".repeat(if self.random.percent(5) { 20_000 } else { self.random.below(40) as usize });
            builder.push(format!("key{}", self.serial).as_bytes(), pad.as_bytes());
        }
        builder.finish().expect("records")
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..45 => self.append(),
            45..65 => self.read(),
            65..75 => self.seek(),
            75..80 => self.create(),
            80..84 => self.seal(),
            84..90 => self.trim(),
            90..92 => self.delete(),
            92..96 => self.subject.clock.advance(self.random.below(50)),
            _ => {
                let now = self.subject.clock.now_ms();
                self.subject.clock.jump_wall(now - 100 + self.random.below(200));
            }
        }
    }

    fn append(&mut self) {
        let mut appends = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let log = self.any_log();
            let expect = if self.random.percent(60) { Expect::Tail } else { Expect::End(self.any_offset(log)) };
            appends.push(Append { log, expect, batch: self.any_batch() });
        }
        let now = self.subject.clock.now_ms();
        let expected: Vec<_> = appends.iter().map(|append| self.model.append(append, now)).collect();
        assert_eq!(block_on(self.subject.engine.append_many(appends)), expected);
    }

    fn read(&mut self) {
        let log = self.any_log();
        let from = self.any_offset(log);
        let max_records = 1 + self.random.below(12) as u32;
        let max_bytes = self.random.below(if self.random.percent(20) { 50_000 } else { 200 });
        let request = ReadRequest { log, from, max_records, max_bytes };
        let answer = block_on(self.subject.engine.read(request));
        let Some(known) = self.model.logs.get(&log) else {
            assert_eq!(answer.err(), Some(EngineError::Missing));
            return;
        };
        let page = answer.expect("read");
        let records = records_of(&page);
        check_limits(&request, &page, &records);
        assert_eq!(records[..], known.readable(from)[..records.len()]);
        known.check_tail(&page.tail);
    }

    fn seek(&mut self) {
        let log = self.any_log();
        let time = self.subject.clock.now_ms() - 300 + self.random.below(400);
        let expected = self.model.logs.get(&log).map(|known| known.seek(time)).ok_or(EngineError::Missing);
        assert_eq!(block_on(self.subject.engine.seek(log, time)), expected, "seek to {time}");
    }

    fn create(&mut self) {
        let exists = self.any_log();
        let id = if self.random.percent(20) && self.model.logs.contains_key(&exists) {
            exists
        } else {
            self.next_log += 1;
            LogId(self.next_log - 1)
        };
        let floor = if self.random.percent(30) { self.subject.clock.now_ms() + self.random.below(60) } else { 0 };
        let spec = LogSpec { id, class: self.random.below(3) as u32, floor };
        self.model.create(&spec);
        block_on(self.subject.engine.create(vec![spec])).expect("create");
    }

    fn seal(&mut self) {
        let log = self.any_log();
        let expected = self.model.logs.get_mut(&log).map(|known| {
            known.sealed = true;
            Sealed { end: known.end(), last_arrival: known.last_arrival }
        });
        assert_eq!(block_on(self.subject.engine.seal(log)), expected.ok_or(EngineError::Missing));
    }

    fn trim(&mut self) {
        let log = self.any_log();
        let before = self.any_offset(log);
        let expected = self.model.logs.get_mut(&log).map(|known| known.trim(before)).ok_or(EngineError::Missing);
        assert_eq!(block_on(self.subject.engine.trim(log, before)), expected);
    }

    fn delete(&mut self) {
        let log = self.any_log();
        self.model.logs.remove(&log);
        self.subject.delete(log);
    }

    fn check_everything(&self) {
        for id in 0..=self.next_log {
            let log = LogId(id);
            match self.model.logs.get(&log) {
                Some(known) => {
                    known.check_tail(&self.subject.tail(log));
                    assert_eq!(self.subject.read_all(log), known.readable(0), "log {id}");
                }
                None => assert_eq!(block_on(self.subject.engine.tail(log)), Err(EngineError::Missing)),
            }
        }
    }
}
