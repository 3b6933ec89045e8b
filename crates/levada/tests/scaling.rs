//! On-demand streams that grow and shrink, what they are measured by, and who chooses the shards of their records; on a
//! node whose clock only the test moves.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod call;
#[path = "scaling/distribution.rs"]
mod distribution;
#[path = "scaling/monitoring.rs"]
mod monitoring;
#[path = "scaling/world.rs"]
mod world;

use levada_core::catalog::{Command, StreamMode, StreamUpdate};
use serde_json::json;

use self::world::{Producer, World};

/// A shard takes 10 records a second; reading is not held up.
const NARROW: &str = "[limits]\non_demand_shards = 40\n[limits.streams.s]\nmultiple = 0.01\n\
                      read_calls_per_second = 1000\nread_bytes_per_second = 100_000_000";
/// Records that such a shard takes in a minute.
const SHARD_MINUTE: u64 = 600;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

async fn on_demand(config: &str) -> World {
    let world = World::new(config).await;
    let create = json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    world.ok("CreateStream", create).await;
    world
}

/// Each of the producer's keys gets a record each second.
async fn load(world: &World, producer: &mut Producer, seconds: u64) {
    producer.put_first(world, usize::MAX, seconds).await;
}

/// The shards take twice the busiest minute of 30 days.
fn has_headroom(world: &World) -> bool {
    let (stream, now) = (world.stream(), world.now_ms());
    stream.shards.open_count() as u64 * SHARD_MINUTE >= 2 * stream.peaks.peak(now).records
}

/// A load of 60 % splits; a month after it the shards are merged; nothing is lost or out of order on the way, and a crash
/// in between costs no more than an eighth of the present hour's peak.
#[tokio::test]
async fn a_stream_follows_its_load_and_keeps_every_record() {
    let mut world = on_demand(NARROW).await;
    world.ok("IncreaseStreamRetentionPeriod", json!({"StreamName": "s", "RetentionPeriodHours": 8760})).await;
    let mut producer = Producer::new(24);
    for (minute, shards) in [4, 4, 4, 4, 5, 5].into_iter().enumerate() {
        // The keys of one shard.
        producer.put_first(&world, 6, 60).await;
        assert_eq!(world.open_shards(), shards, "after minute {minute}");
    }
    load(&world, &mut producer, 8 * 60).await;
    assert_eq!(world.open_shards(), 8);

    let noted = |world: &World| world.stream().peaks.peak(world.now_ms()).records;
    let before = noted(&world);
    world = world.killed().await;
    assert_eq!((world.open_shards(), noted(&world)), (8, before));
    assert!((1_280..=1_440).contains(&before), "{before}");

    for day in 0..34 {
        for _ in 0..24 {
            world.pass(HOUR).await;
            assert!(has_headroom(&world), "day {day}");
        }
        let shards = world.open_shards();
        assert!(if day < 30 { shards == 8 } else { shards >= 4 }, "{shards} shards on day {day}");
        load(&world, &mut producer, 1).await;
    }
    assert_eq!(world.open_shards(), 4);
    let (stream, hour) = (world.stream(), world.now_ms() / HOUR);
    assert!((hour - 700..hour).all(|hour| stream.peaks.hour(hour).is_some()), "quiet hours are noted");
    assert_eq!(stream.peaks.hour(hour - 719 - 24 * 4), None, "for 30 days");

    load(&world, &mut producer, 10).await;
    producer.check(&world).await;
}

/// With AWS's seconds a reshard is UPDATING for a while, and parents take puts until they close.
#[tokio::test]
async fn nothing_is_lost_while_a_reshard_takes_its_time() {
    let world = on_demand(&format!("{NARROW}\n[lifecycle]\nmode = \"aws\"")).await;
    world.pass(5_000).await;
    let mut producer = Producer::new(24);
    load(&world, &mut producer, 8 * 60).await;
    assert_eq!(world.open_shards(), 8);
    assert!(world.stream().shards.unsealed().is_empty());
    producer.check(&world).await;
}

#[tokio::test]
async fn a_hot_key_causes_no_storm() {
    let world = on_demand(NARROW).await;
    let mut shards = Vec::new();
    for _ in 0..2 {
        // Four times what a shard takes, 30 minutes, all refused but a few.
        for _ in 0..30 {
            for _ in 0..6 {
                world.flood(400).await;
            }
            world.pass(MINUTE).await;
        }
        shards.push((world.open_shards(), world.stream().shards.all().len()));
    }
    assert_eq!(shards[0], shards[1], "settled");
    assert!(shards[0].0 == 8 && has_headroom(&world), "{shards:?}");
}

#[tokio::test]
async fn the_owner_s_word_counts_while_the_stream_is_provisioned() {
    let world = World::new(NARROW).await;
    world.ok("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    let (mut few, mut many) = (Producer::new(8), Producer::new(18));
    load(&world, &mut few, 7 * 60).await;
    assert_eq!(world.open_shards(), 1, "provisioned");
    world.switch("ON_DEMAND").await;
    world.pass(2 * HOUR).await;
    world.pass(25 * HOUR).await;
    assert_eq!(world.open_shards(), 1, "idle");
    load(&world, &mut few, 7 * 60).await;
    assert_eq!(world.open_shards(), 2);
    world.switch("PROVISIONED").await;
    let peaks = world.stream().peaks.clone();
    load(&world, &mut many, 7 * 60).await;
    assert_eq!((world.open_shards(), &world.stream().peaks), (2, &peaks), "provisioned again");
    world.switch("ON_DEMAND").await;
    load(&world, &mut many, 7 * 60).await;
    assert_eq!(world.open_shards(), 4);
    assert_eq!(world.stream().mode, StreamMode::OnDemand);
}

#[tokio::test]
async fn the_ceiling_is_the_operator_s() {
    let world = on_demand(&NARROW.replace("= 40", "= 5")).await;
    let mut producer = Producer::new(36);
    load(&world, &mut producer, 8 * 60).await;
    assert_eq!(world.open_shards(), 5);
}

#[tokio::test]
async fn a_stream_gets_ready_for_its_warm_throughput() {
    let world = on_demand("").await;
    world.node.carry_out(Command::SetCommitment { scope: world.scope(), enabled: true }).await.unwrap();
    let update = StreamUpdate::WarmThroughput(7);
    world.node.carry_out(Command::UpdateStream { scope: world.scope(), name: "s".into(), update }).await.unwrap();
    world.pass(MINUTE).await;
    world.pass(MINUTE).await;
    assert_eq!(world.open_shards(), 7);
}

/// What was counted on the monotonic clock is taken for what the wall clock says, also after that was set.
#[tokio::test]
async fn a_wall_clock_that_is_set_stops_nothing() {
    let world = on_demand(NARROW).await;
    let mut producer = Producer::new(24);
    world.clock.jump_wall(world.now_ms() + 100 * HOUR);
    load(&world, &mut producer, 7 * 60).await;
    assert_eq!(world.open_shards(), 8);
    let hour = world.now_ms() / HOUR;
    assert!(world.stream().peaks.hour(hour).is_some_and(|peak| peak.records == 1_440));
}
