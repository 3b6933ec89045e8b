//! Many delivery streams of one node, of which some wait for what does not answer.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use levada_core::engine::{BoxFuture, LogId};
use tokio::time::{Instant, sleep, timeout};

use super::actors::lake;
use super::world::{Mood, SWAMP, World, bucketing, config, record};
use super::{HOUR, pass, seconds};
use crate::chain::{Chain, Gather, Held, Outcome};
use crate::endpoint::{Endpoint, Fault, GivenUp, Parcel, Receipt, Verdict};
use crate::record::{ErrorType, Product, SourceRecord};
use crate::{Bucketing, Buffering, Config, Handle, MIB, Target};

/// An endpoint that takes its time.
#[derive(Debug)]
struct Slow {
    address: String,
    answers: Option<Duration>,
    confirms: Option<Duration>,
}

impl Endpoint for Slow {
    fn attempt<'a>(&'a self, _: &'a Parcel) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let Some(time) = self.answers else { return pending().await };
            sleep(time).await;
            Verdict { receipt: self.confirms.map(|_| Receipt::numbered(7)), ..Verdict::default() }
        })
    }

    fn confirmed(&self, receipt: Receipt) -> BoxFuture<'_, Result<(), Fault>> {
        assert_eq!(receipt, Receipt::numbered(7));
        Box::pin(async move {
            sleep(self.confirms.unwrap()).await;
            Ok(())
        })
    }

    fn place(&self) -> &str {
        &self.address
    }

    fn retry_for(&self) -> Duration {
        HOUR
    }

    fn error_type(&self) -> ErrorType {
        ErrorType::Splunk
    }

    fn error_line(&self, _: &GivenUp<'_>) -> Vec<u8> {
        unreachable!("nothing fails")
    }

    fn metric_name(&self) -> &'static str {
        "Slow"
    }
}

fn requested(endpoint: Slow, size_mib: u32) -> Config {
    let buffering = Buffering { size_mib, interval_s: 1 };
    Config {
        target: Target::Endpoint { endpoint: Arc::new(endpoint), buffering, errors: lake(false) },
        chain: None,
        backup: None,
    }
}

/// Calls a function that takes its time.
#[derive(Debug)]
struct Calls {
    function: &'static str,
    takes: Duration,
}

impl Chain for Calls {
    fn gather(&self) -> Gather {
        Gather { bytes: 300_000, wait: Duration::ZERO }
    }

    fn place(&self) -> Option<&str> {
        Some(self.function)
    }

    fn run(&self, batch: Vec<SourceRecord>) -> BoxFuture<'_, Result<Outcome, Held>> {
        Box::pin(async move {
            sleep(self.takes).await;
            let product = |SourceRecord { arrival, origin, data, .. }: &SourceRecord| Product::Record {
                arrival: *arrival,
                origin: origin.clone(),
                partition: None,
                data: data.clone(),
            };
            Ok(Outcome { taken: batch.len(), products: batch.iter().map(product).collect(), ..Outcome::default() })
        })
    }
}

fn produce(world: &World, log: LogId, records: u64) {
    for n in 0..records {
        world.engine.produce_to(log, record(n).as_bytes());
    }
}

/// How long a record of a delivery stream takes to its destination.
async fn delivery_time(world: &World, (handle, log): &(Handle, LogId)) -> Duration {
    let began = Instant::now();
    world.engine.produce_to(*log, record(0).as_bytes());
    assert_eq!(timeout(HOUR, handle.flush()).await, Ok(Ok(())));
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_never_answer_and_large_objects_hold_up_nobody() {
    for (dead, addresses) in [(1, 1), (40, 1), (40, 3)] {
        let mut world = World::new(1);
        world.tuning.memory_bytes = 16 * MIB;
        let delivery = world.delivery();
        let small = world.start_another(&delivery, 1, config(1, 0));
        let large = world.start_another(&delivery, 2, config(16, 10));
        let dead: Vec<_> = (0..dead)
            .map(|n| {
                let endpoint = Slow { address: format!("dead {}", n % addresses), answers: None, confirms: None };
                world.start_another(&delivery, 3 + n, requested(endpoint, 1))
            })
            .collect();
        dead.iter().for_each(|(_, log)| produce(&world, *log, 12));
        // More than half of all memory.
        produce(&world, large.1, 90);
        pass(seconds(10)).await;
        for (round, most) in [4 * addresses, 1, 1, 1, 1, 1, 1, 1, 1, 1].into_iter().enumerate() {
            let took = delivery_time(&world, &small).await;
            assert!(took <= seconds(most), "{} dead, round {round}: {took:?}", dead.len());
            pass(seconds(7)).await;
        }
        assert_eq!(timeout(seconds(1), large.0.flush()).await, Ok(Ok(())), "long since delivered");
    }
}

#[tokio::test(start_paused = true)]
async fn an_indexer_that_acknowledges_after_minutes_holds_no_memory_meanwhile() {
    let mut world = World::new(1);
    world.tuning.memory_bytes = 16 * MIB;
    let delivery = world.delivery();
    let (answers, confirms) = (Some(Duration::from_millis(100)), Some(seconds(300)));
    let mut indexers: Vec<_> = (0..20)
        .map(|n| {
            let endpoint = Slow { address: format!("indexer {n}"), answers, confirms };
            world.start_another(&delivery, 3 + n, requested(endpoint, 1))
        })
        .collect();
    indexers.iter().for_each(|(_, log)| produce(&world, *log, 9));
    let small = world.start_another(&delivery, 1, config(1, 0));
    let large = world.start_another(&delivery, 2, config(16, 10));
    produce(&world, large.1, 90);
    pass(seconds(10)).await;
    assert!(delivery_time(&world, &small).await <= seconds(1));
    assert!(timeout(seconds(1), large.0.flush()).await.is_ok());
    // All of them wait side by side.
    let last = indexers.pop().unwrap().0;
    assert!(timeout(seconds(310), last.flush()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_function_that_does_not_reply_holds_up_no_other_function() {
    let mut world = World::new(1);
    world.tuning.processing_bytes = 16 * MIB;
    let delivery = world.delivery();
    let processed = |function, takes| Config { chain: Some(Arc::new(Calls { function, takes })), ..config(1, 0) };
    let well = world.start_another(&delivery, 1, processed("well", Duration::from_millis(30)));
    let hung: Vec<_> =
        (0..40).map(|n| world.start_another(&delivery, 2 + n, processed("hung", seconds(300)))).collect();
    hung.iter().for_each(|(_, log)| produce(&world, *log, 9));
    pass(seconds(1)).await;
    for (round, most) in [5, 1, 1, 1, 1, 1].into_iter().enumerate() {
        let took = delivery_time(&world, &well).await;
        assert!(took <= seconds(most), "round {round}: {took:?}");
        pass(seconds(50)).await;
    }
    // In the end all are delivered: the function replied, after all, within its time.
    for (handle, _) in &hung {
        assert!(timeout(24 * HOUR, handle.flush()).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_well_again_is_found_out_beside_one_that_hangs() {
    let mut world = World::new(1);
    world.tuning.memory_bytes = 4 * MIB;
    let delivery = world.delivery();
    let swamp = Config::s3(Bucketing { bucket: SWAMP.into(), ..bucketing(&world.config) });
    let hung: Vec<_> = (0..20).map(|n| world.start_another(&delivery, 2 + n, swamp.clone())).collect();
    hung.iter().for_each(|(_, log)| produce(&world, *log, 30));
    // Another one hangs too, for a while.
    world.sink.mood(Mood::Silent);
    let other = world.start_another(&delivery, 1, config(1, 0));
    produce(&world, other.1, 30);
    pass(seconds(600)).await;
    world.sink.mood(Mood::Well);
    assert_eq!(timeout(seconds(200), other.0.flush()).await, Ok(Ok(())));
    for _ in 0..10 {
        assert!(delivery_time(&world, &other).await <= seconds(1));
        pass(seconds(30)).await;
    }
}
