//! The suite against an engine made of its own model, whole and broken in every way that it should notice.

mod disk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Poll, Waker};

use super::drive::yield_now;
use super::model::{Model, ModelLog};
use super::*;
use crate::engine::BoxFuture;
use crate::env::Clock as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    SeekIsExclusive,
    SeekForgetsTrim,
    IgnoresExpectedEnd,
    MovedNamesTheExpectedEnd,
    SealForgets,
    MovedBeforeClosed,
    ArrivalFollowsTheClock,
    IgnoresFloor,
    TrimGoesBack,
    TrimPassesTheEnd,
    TrimSparesTheBatch,
    IgnoresMaxRecords,
    IgnoresMaxBytes,
    MaxBytesForgetsKeys,
    LargeRecordNeverFits,
    SkipIsForgotten,
    BytesAreDataOnly,
    FirstArrivalIsTheLast,
    AnswersAreReversed,
    SecondAppendToALogIsLost,
    GrownMissesAppends,
    GrownMissesSeals,
    GrownMissesDeletes,
    CreateEmpties,
    DeleteForgets,
    EmptyRecordsVanish,
    EndIsReadBeforeTheLock,
    DropTearsTheBatch,
    UnpolledAppendHoldsALock,
    VisibleBeforeOrdered,
    PastTheEndReadsFromTheEnd,
}

const FLAWS: &[Flaw] = {
    use Flaw::*;
    &[
        SeekIsExclusive,
        SeekForgetsTrim,
        IgnoresExpectedEnd,
        MovedNamesTheExpectedEnd,
        SealForgets,
        MovedBeforeClosed,
        ArrivalFollowsTheClock,
        IgnoresFloor,
        TrimGoesBack,
        TrimPassesTheEnd,
        TrimSparesTheBatch,
        IgnoresMaxRecords,
        IgnoresMaxBytes,
        MaxBytesForgetsKeys,
        LargeRecordNeverFits,
        SkipIsForgotten,
        BytesAreDataOnly,
        FirstArrivalIsTheLast,
        AnswersAreReversed,
        SecondAppendToALogIsLost,
        GrownMissesAppends,
        GrownMissesSeals,
        GrownMissesDeletes,
        CreateEmpties,
        DeleteForgets,
        EmptyRecordsVanish,
        EndIsReadBeforeTheLock,
        DropTearsTheBatch,
        UnpolledAppendHoldsALock,
        VisibleBeforeOrdered,
        PastTheEndReadsFromTheEnd,
    ]
};

struct MemoryEngine {
    flaw: Flaw,
    clock: SimClock,
    state: Mutex<(Model, Vec<Waker>)>,
    busy: AtomicBool,
    patience: AtomicU32,
}

impl MemoryEngine {
    fn start(clock: &SimClock, flaw: Flaw) -> Arc<dyn Engine> {
        Arc::new(Self::over(Model::default(), clock, flaw))
    }

    fn over(model: Model, clock: &SimClock, flaw: Flaw) -> Self {
        let (busy, patience) = (AtomicBool::new(false), AtomicU32::new(10_000));
        Self { flaw, clock: clock.clone(), state: Mutex::new((model, Vec::new())), busy, patience }
    }

    fn with<T>(&self, log: LogId, action: impl FnOnce(&mut ModelLog) -> T) -> Result<T, EngineError> {
        let mut state = self.state.lock().unwrap();
        state.0.logs.get_mut(&log).map(action).ok_or(EngineError::Missing)
    }

    fn wake(&self, unless: Flaw) {
        let wakers = std::mem::take(&mut self.state.lock().unwrap().1);
        if self.flaw != unless {
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    fn append_now(&self, append: &Append, settled_end: Option<Offset>) -> Appended {
        let now = self.clock.now_ms();
        let flaw = self.flaw;
        let answer = self.with(append.log, |log| {
            let mut expect = append.expect;
            let moved = matches!(expect, Expect::End(end) if end != log.end());
            if flaw == Flaw::IgnoresExpectedEnd {
                expect = Expect::Tail;
            }
            if flaw == Flaw::MovedBeforeClosed && moved {
                return Appended::Moved { end: log.end() };
            }
            if flaw == Flaw::ArrivalFollowsTheClock {
                log.last_arrival = log.last_arrival.min(now);
            }
            if let (Flaw::EndIsReadBeforeTheLock, Some(end)) = (flaw, settled_end)
                && !log.sealed
            {
                log.records.truncate(end as usize);
            }
            let mut batch = append.batch.clone();
            if flaw == Flaw::EmptyRecordsVanish && batch.records().any(|r| r.key.is_empty() && r.data.is_empty()) {
                batch = text("vanished");
            }
            match log.append(expect, &batch, now) {
                Appended::Moved { end } if flaw == Flaw::MovedNamesTheExpectedEnd => Appended::Moved { end: end + 1 },
                answer => answer,
            }
        });
        self.wake(Flaw::GrownMissesAppends);
        answer.unwrap_or(Appended::Missing)
    }

    async fn append_one(&self, append: Append) -> Appended {
        match self.flaw {
            Flaw::DropTearsTheBatch => {
                let mut first = None;
                for record in append.batch.records() {
                    let batch = Batch::single(record.key, record.data);
                    let answer = self.append_now(&Append { batch, ..append.clone() }, None);
                    yield_now().await;
                    if !matches!(answer, Appended::At { .. }) {
                        return answer;
                    }
                    first.get_or_insert(answer);
                }
                first.unwrap()
            }
            Flaw::UnpolledAppendHoldsALock => {
                while self.busy.swap(true, Ordering::SeqCst) {
                    yield_now().await;
                    self.patience.fetch_sub(1, Ordering::SeqCst);
                    assert_ne!(self.patience.load(Ordering::SeqCst), 0, "waits for ever");
                }
                yield_now().await;
                let answer = self.append_now(&append, None);
                self.busy.store(false, Ordering::SeqCst);
                answer
            }
            Flaw::EndIsReadBeforeTheLock => {
                let end = self.with(append.log, |log| log.end()).ok();
                yield_now().await;
                std::thread::yield_now();
                self.append_now(&append, end)
            }
            _ => self.append_now(&append, None),
        }
    }

    fn page(&self, log: &ModelLog, request: ReadRequest) -> Page {
        let readable = log.readable(request.from);
        let mut taken = Vec::new();
        let mut bytes = 0;
        for record in readable {
            let keys = if self.flaw == Flaw::MaxBytesForgetsKeys { 0 } else { record.key.len() };
            let full = bytes + keys + record.data.len() > request.max_bytes as usize
                && (!taken.is_empty() || self.flaw == Flaw::LargeRecordNeverFits);
            let many = taken.len() == request.max_records as usize;
            if (full && self.flaw != Flaw::IgnoresMaxBytes) || (many && self.flaw != Flaw::IgnoresMaxRecords) {
                break;
            }
            bytes += keys + record.data.len();
            taken.push(record.offset);
        }
        let mut from = request.from.max(log.start);
        if self.flaw == Flaw::PastTheEndReadsFromTheEnd {
            from = from.min(log.end());
        }
        let next = taken.last().map_or(from, |last| last + 1);
        let mut chunks: Vec<Chunk> = Vec::new();
        for (first, arrival, batch) in &log.batches {
            let within = taken.iter().filter(|&&offset| (*first..first + u64::from(batch.count())).contains(&offset));
            let (Some(&at), take) = (within.clone().next(), within.count() as u32) else { continue };
            let skip = if self.flaw == Flaw::SkipIsForgotten { 0 } else { (at - first) as u32 };
            chunks.push(Chunk { first: at, arrival: *arrival, batch: batch.clone(), skip, take });
        }
        Page { chunks, next, tail: self.tail_of(log) }
    }

    fn tail_of(&self, log: &ModelLog) -> Tail {
        let mut tail = log.tail();
        match self.flaw {
            Flaw::BytesAreDataOnly => {
                tail.bytes = log.readable(0).iter().map(|record| record.data.len() as u64).sum();
            }
            Flaw::FirstArrivalIsTheLast => tail.first_arrival = tail.first_arrival.map(|_| tail.last_arrival),
            Flaw::VisibleBeforeOrdered => tail.end = tail.end.saturating_sub(tail.end % 2),
            _ => {}
        }
        tail
    }
}

impl Engine for MemoryEngine {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            let mut logs = Vec::new();
            for append in appends {
                if self.flaw == Flaw::SecondAppendToALogIsLost && logs.contains(&append.log) {
                    let end = self.with(append.log, |log| log.end()).unwrap_or(0);
                    answers.push(Appended::At { first: end, arrival: self.clock.now_ms() });
                    continue;
                }
                if self.flaw == Flaw::SecondAppendToALogIsLost {
                    logs.push(append.log);
                }
                answers.push(self.append_one(append).await);
            }
            if self.flaw == Flaw::AnswersAreReversed {
                answers.reverse();
            }
            answers
        })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        Box::pin(async move { self.with(request.log, |log| self.page(log, request)) })
    }

    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(async move { self.with(log, |log| self.tail_of(log)) })
    }

    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(std::future::poll_fn(move |context| {
            let mut state = self.state.lock().unwrap();
            let Some(known) = state.0.logs.get(&log) else { return Poll::Ready(Err(EngineError::Missing)) };
            if known.sealed || known.end() > end {
                return Poll::Ready(Ok(self.tail_of(known)));
            }
            state.1.push(context.waker().clone());
            Poll::Pending
        }))
    }

    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        let time = if self.flaw == Flaw::SeekIsExclusive { time.saturating_add(1) } else { time };
        Box::pin(async move {
            self.with(log, |log| match self.flaw {
                Flaw::SeekForgetsTrim => {
                    log.records.iter().find(|record| record.arrival >= time).map_or(log.end(), |record| record.offset)
                }
                _ => log.seek(time),
            })
        })
    }

    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        Box::pin(async move {
            let sealed = self.with(log, |log| {
                log.sealed = self.flaw != Flaw::SealForgets;
                Sealed { end: log.end(), last_arrival: log.last_arrival }
            });
            self.wake(Flaw::GrownMissesSeals);
            sealed
        })
    }

    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.with(log, |log| match self.flaw {
                Flaw::TrimGoesBack => log.start = before.min(log.end()),
                Flaw::TrimPassesTheEnd => log.start = log.start.max(before),
                Flaw::TrimSparesTheBatch => {
                    let firsts = log.batches.iter().map(|(first, ..)| *first).chain([log.end()]);
                    log.trim(firsts.filter(|first| *first <= before).max().unwrap_or(0));
                }
                _ => log.trim(before),
            })
        })
    }

    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            let model = &mut self.state.lock().unwrap().0;
            for mut spec in logs {
                if self.flaw == Flaw::CreateEmpties {
                    model.logs.remove(&spec.id);
                }
                if self.flaw == Flaw::IgnoresFloor {
                    spec.floor = 0;
                }
                model.create(&spec);
            }
            Ok(())
        })
    }

    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            if self.flaw != Flaw::DeleteForgets {
                let model = &mut self.state.lock().unwrap().0;
                model.logs.retain(|log, _| !logs.contains(log));
            }
            self.wake(Flaw::GrownMissesDeletes);
            Ok(())
        })
    }
}

fn sound(clock: &SimClock) -> Arc<dyn Engine> {
    MemoryEngine::start(clock, Flaw::None)
}

mod of_a_sound_engine {
    crate::engine_conformance!(super::sound);
}

#[test]
fn every_flaw_is_caught() {
    let missed: Vec<_> = FLAWS.iter().filter(|flaw| cases_that_catch(**flaw) == 0).collect();
    assert!(missed.is_empty(), "the suite passes engines with {missed:?}");
}

fn cases_that_catch(flaw: Flaw) -> usize {
    let large = ["appends::ten_thousand_logs", "appends::the_largest_batch_is_accepted"];
    let cases = CASES.iter().filter(|(name, _)| !large.iter().any(|large| large.ends_with(name)));
    let caught = cases.filter(|(_, case)| {
        let run = || case(&|clock| MemoryEngine::start(clock, flaw));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    });
    caught.take(1).count()
}
