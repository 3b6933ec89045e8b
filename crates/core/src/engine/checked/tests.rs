//! The conformance suite at several seeds of faults; races of a zombie and its successor; broken writers.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::unreliable::Faults;
use super::*;
use crate::batch::{Batch, BatchBuilder};
use crate::engine::Chunk;
use crate::engine::conformance::drive::{block_on, join_all};
use crate::env::sim::{SimClock, SimRandom};

/// What a broken writer does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    AcknowledgesAnyReply,
    DoesNotReadTheGap,
    TakesVoidForValid,
    IgnoresClose,
}

impl Flaw {
    /// The entry as a broken writer understands it.
    pub(super) fn forge(self, entry: &Entry, account: &Account) -> Option<Entry> {
        let mut forged = entry.clone();
        match (self, &forged.message.content) {
            (Self::TakesVoidForValid, Content::Data(_)) => {
                forged.message.expected = entry.position;
                forged.message.first = account.end;
                forged.message.arrival = forged.message.arrival.max(account.last_arrival);
            }
            (Self::IgnoresClose, Content::Close) => forged.message.content = Content::Fence,
            _ => return None,
        }
        Some(forged)
    }

    /// The answer of a broken writer to a reply.
    pub(super) fn answer(self, message: &Message, position: u64, account: &mut Account) -> Option<Appended> {
        match self {
            Self::AcknowledgesAnyReply => Some(Appended::At { first: message.first, arrival: message.arrival }),
            Self::DoesNotReadTheGap if position != message.expected => {
                account.next = position + message.width();
                None
            }
            _ => None,
        }
    }
}

const ENOUGH: u32 = 500;

fn start(clock: &SimClock, faults: Faults, seed: u64) -> Arc<dyn Engine> {
    let cluster = Arc::new(UnreliableLog::new(faults, seed));
    Arc::new(CheckedLog::new(cluster, Arc::new(clock.clone()), 1, ENOUGH))
}

mod on_a_good_day {
    use super::*;

    crate::engine_conformance!(|clock: &SimClock| start(clock, Faults::default(), 0));
}

mod on_a_bad_day {
    use super::*;

    crate::engine_conformance!(|clock: &SimClock| start(clock, Faults::HARSH, 1));
}

mod on_another_bad_day {
    use super::*;

    crate::engine_conformance!(|clock: &SimClock| start(clock, Faults::HARSH, 2));
}

mod where_every_other_request_times_out {
    use super::*;

    const WORSE: Faults = Faults { request_lost: 20, reply_lost: 40, delayed: 40, duplicated: 30, stale: 60 };
    crate::engine_conformance!(|clock: &SimClock| start(clock, WORSE, 3));
}

const LOG: LogId = LogId(7);

/// A batch whose records say which append they belong to and how many they are.
fn batch(name: &str, count: u64) -> Batch {
    let mut builder = BatchBuilder::default();
    for n in 0..count {
        builder.push(format!("{n}/{count}").as_bytes(), name.as_bytes());
    }
    builder.finish().unwrap()
}

/// All of a log as `(key, data)`, by offset.
fn contents(engine: &dyn Engine) -> Vec<(String, String)> {
    let request = ReadRequest { log: LOG, from: 0, max_records: u32::MAX, max_bytes: u64::MAX };
    let page = block_on(engine.read(request)).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let records: Vec<_> = page.chunks.iter().flat_map(Chunk::records).collect();
    assert!(records.iter().map(|(offset, _)| *offset).eq(0..page.tail.end));
    records.iter().map(|(_, record)| (text(record.key), text(record.data))).collect()
}

/// What one writer was told: by name of the append, its first offset if acknowledged.
type Told = Vec<(String, u64, Appended)>;

async fn write(engine: &CheckedLog, name: &str, random: &SimRandom, seal: bool) -> Told {
    let mut told = Told::new();
    for n in 0..8 {
        let count = 1 + random.below(3);
        let name = format!("{name}{n}");
        let expect = match engine.tail(LOG).await {
            Ok(tail) if random.percent(30) => Expect::End(tail.end),
            _ => Expect::Tail,
        };
        let append = Append { log: LOG, expect, batch: batch(&name, count) };
        told.push((name, count, engine.append_many(vec![append]).await.remove(0)));
        if seal && n == 5 {
            let _ = engine.seal(LOG).await;
        }
    }
    told
}

/// A writer works; before it is done another one takes over; both go on; a third one looks.
fn race(seed: u64, flaw: Flaw) {
    let random = SimRandom::new(seed);
    let clock: Arc<dyn Clock> = Arc::new(SimClock::at(1_000));
    let cluster = Arc::new(UnreliableLog::new(Faults::HARSH, seed));
    cluster.create(LOG, 0);
    let writer = |incarnation, attempts| CheckedLog {
        flaw,
        ..CheckedLog::new(Arc::clone(&cluster), Arc::clone(&clock), incarnation, attempts)
    };
    let [zombie, owner] = [writer(1, 1 + random.below(4) as u32), writer(2, 20)];
    let seals = random.percent(30);
    let (zombie_random, owner_random) = (random.fork(), random.fork());
    let told = join_all(vec![
        Box::pin(write(&zombie, "zombie", &zombie_random, false)) as BoxFuture<'_, Told>,
        Box::pin(async {
            for _ in 0..owner_random.below(30) {
                yield_now().await;
            }
            write(&owner, "owner", &owner_random, seals).await
        }),
    ]);
    let seen = [&zombie, &owner].map(|writer| contents(writer));
    // Whoever looks at the end is sound, also where the racing writers are not.
    let reader = |incarnation| CheckedLog::new(Arc::clone(&cluster), Arc::clone(&clock), incarnation, ENOUGH);
    let all = contents(&reader(3));
    for part in seen {
        assert!(all.starts_with(&part), "seed {seed}: what a writer saw changed");
    }
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < all.len() {
        let (key, name) = &all[at];
        let count: usize = key.strip_prefix("0/").unwrap().parse().unwrap();
        let whole = (0..count).map(|n| (format!("{n}/{count}"), name.clone()));
        assert!(whole.eq(all[at..at + count].iter().cloned()), "seed {seed}: {name} is torn");
        assert!(found.insert(name), "seed {seed}: {name} is there twice");
        at += count;
    }
    for (name, count, answer) in told.concat() {
        match answer {
            Appended::At { first, .. } => {
                let place = first as usize..(first + count) as usize;
                let there = all.get(place).is_some_and(|part| part.iter().all(|(_, data)| *data == name));
                assert!(there, "seed {seed}: {name} was acknowledged at {first}");
            }
            Appended::Unknown => {}
            Appended::Moved { .. } | Appended::Closed { .. } => {
                assert!(!found.contains(&name), "seed {seed}: {name} was refused");
            }
            Appended::Missing | Appended::Full => panic!("seed {seed}: {answer:?}"),
        }
    }
    let tails = [4, 5].map(|incarnation| block_on(reader(incarnation).tail(LOG)).unwrap());
    assert_eq!(tails[0], tails[1], "two readers count alike");
}

#[test]
fn a_zombie_and_its_successor_lose_and_double_nothing() {
    for seed in 0..500 {
        race(seed, Flaw::None);
    }
}

#[test]
fn broken_writers_are_caught() {
    for flaw in [Flaw::AcknowledgesAnyReply, Flaw::DoesNotReadTheGap, Flaw::TakesVoidForValid, Flaw::IgnoresClose] {
        let caught = (0..500).any(|seed| catch_unwind(AssertUnwindSafe(|| race(seed, flaw))).is_err());
        assert!(caught, "{flaw:?} passes");
    }
}

#[test]
fn a_cluster_that_lost_what_it_acknowledged_is_not_written_to() {
    let clock = Arc::new(SimClock::at(1_000));
    let cluster = Arc::new(UnreliableLog::new(Faults::default(), 0));
    let engine = CheckedLog::new(Arc::clone(&cluster), clock, 1, 3);
    block_on(engine.create(vec![LogSpec { id: LOG, class: 0, floor: 0 }])).unwrap();
    let append = || block_on(engine.append_many(vec![Append { log: LOG, expect: Expect::Tail, batch: batch("x", 3) }]));
    assert_eq!(append(), [Appended::At { first: 0, arrival: 1_000 }]);
    cluster.truncate(LOG, 1);
    assert_eq!(append(), [Appended::Unknown]);
    assert_eq!(append(), [Appended::Unknown]);
    assert!(matches!(block_on(engine.tail(LOG)), Err(EngineError::Corrupt { at: 1, .. })));
    let read = |from| block_on(engine.read(ReadRequest { log: LOG, from, max_records: 10, max_bytes: 100 }));
    assert_eq!(read(0).unwrap().next, 3, "records before a damaged place are returned first");
    assert!(matches!(read(3), Err(EngineError::Corrupt { at: 1, .. })));
}

#[test]
fn what_one_writer_appends_wakes_a_waiter_on_another() {
    let clock = Arc::new(SimClock::at(1_000));
    let cluster = Arc::new(UnreliableLog::new(Faults::HARSH, 5));
    cluster.create(LOG, 0);
    let [a, b] = [1, 2].map(|writer| CheckedLog::new(Arc::clone(&cluster), Arc::clone(&clock) as _, writer, ENOUGH));
    let waits = async { b.grown(LOG, 0).await.unwrap().end };
    let writes = async {
        let append = Append { log: LOG, expect: Expect::Tail, batch: batch("x", 2) };
        let _ = a.append_many(vec![append]).await;
        0
    };
    assert_eq!(join_all(vec![Box::pin(waits) as BoxFuture<'_, u64>, Box::pin(writes)]), [2, 0]);
}
