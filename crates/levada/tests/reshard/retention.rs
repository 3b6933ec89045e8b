//! Retention across reshards: what expires, what must not, and what a wrong clock may not decide.

use levada_core::engine::EngineError;
use serde_json::{Value, json};

use crate::world::{SHARD, World, data};
use crate::{HALF, ids, shard};

const HOUR: u64 = 3_600_000;

async fn read(world: &World, iterator: &Value) -> Vec<String> {
    data(&world.page(iterator).await)
}

async fn described(world: &World) -> Vec<String> {
    let reply = world.kinesis("DescribeStream", json!({"StreamName": "s"})).await;
    let shards = reply["StreamDescription"]["Shards"].as_array().unwrap().iter();
    shards.map(|shard| shard["ShardId"].as_str().unwrap().to_owned()).collect()
}

/// A closed shard goes when its last record may not be read any more: from the listings, from readers, from the disk.
/// Nothing takes its index.
#[tokio::test(start_paused = true)]
async fn a_closed_shard_expires_after_its_records() {
    let world = World::with_stream(1).await;
    world.put_to("0", "old").await;
    world.split_at(SHARD, HALF).await;
    world.put_to("0", "new").await;
    let log = world.stream().shards.all()[0].log;
    world.pass(24 * HOUR - 60_000).await;
    assert_eq!(described(&world).await, ids(&[0, 1, 2]));
    let iterator = world.iterator(SHARD).await;
    world.pass(120_000).await;
    assert_eq!(described(&world).await, ids(&[1, 2]));
    assert_eq!(world.ids(json!({"Type": "FROM_TRIM_HORIZON"})).await, ids(&[1, 2]));
    assert_eq!(world.ids(json!({"Type": "AT_TRIM_HORIZON"})).await, ids(&[1, 2]));
    let (status, reply) = world.call("GetRecords", &json!({"ShardIterator": iterator})).await;
    assert_eq!((status, &reply["__type"]), (400, &json!("ResourceNotFoundException")), "{reply}");
    assert_eq!(world.node.engine.tail(log).await, Err(EngineError::Missing));

    let world = world.killed().await;
    assert_eq!(described(&world).await, ids(&[1, 2]));
    assert_eq!(world.node.engine.tail(log).await, Err(EngineError::Missing));
    let body = json!({"StreamName": "s", "ShardToMerge": shard(1), "AdjacentShardToMerge": shard(2)});
    world.kinesis("MergeShards", body).await;
    assert_eq!(described(&world).await, ids(&[1, 2, 3]));
    assert_eq!(world.taken_by("0").await, shard(3));
}

/// Readers go on where they stand when retention changes under them; what a shorter retention has cut off stays away.
#[tokio::test(start_paused = true)]
async fn retention_changes_under_readers() {
    let world = World::with_stream(1).await;
    world.put_to("0", "first").await;
    world.pass(HOUR).await;
    world.put_to("0", "second").await;
    world.split_at(SHARD, HALF).await;
    world.pass(22 * HOUR).await;
    let first = world.kinesis("GetRecords", json!({"ShardIterator": world.iterator(SHARD).await, "Limit": 1})).await;
    assert_eq!(data(&first), ["first"]);
    let retention = |hours: u64| json!({"StreamName": "s", "RetentionPeriodHours": hours});
    world.kinesis("IncreaseStreamRetentionPeriod", retention(48)).await;
    assert_eq!(read(&world, &first["NextShardIterator"]).await, ["second"]);
    // The first record is 30 hours old, in a shard that has been closed for 29.
    world.pass(7 * HOUR).await;
    assert_eq!(described(&world).await, ids(&[0, 1, 2]));
    let begun = world.iterator(SHARD).await;
    assert_eq!(read(&world, &begun).await, ["first", "second"]);

    world.kinesis("DecreaseStreamRetentionPeriod", retention(24)).await;
    let (status, reply) = world.call("GetRecords", &json!({"ShardIterator": begun})).await;
    assert!(status == 400 || (reply["Records"] == json!([]) && reply["ChildShards"].is_array()), "{reply}");
    world.pass(20_000).await;
    assert_eq!(described(&world).await, ids(&[1, 2]));
    world.kinesis("IncreaseStreamRetentionPeriod", retention(48)).await;
    assert_eq!(world.ids(json!({"Type": "FROM_TRIM_HORIZON"})).await, ids(&[1, 2]));
}

/// A longer retention brings no shard back into a listing whose records an earlier, shorter one has cut off.
#[tokio::test(start_paused = true)]
async fn a_raise_of_retention_raises_no_dead() {
    let world = World::with_stream(1).await;
    world.put_to("0", "old").await;
    world.split_at(SHARD, HALF).await;
    world.pass(23 * HOUR).await;
    world.time.set_skew(HOUR as i64 + 60_000);
    // The clock is not believed, so nothing is taken out; by that clock the shard is past retention all the same.
    world.pass(20_000).await;
    assert_eq!(described(&world).await, ids(&[0, 1, 2]));
    assert_eq!(world.ids(json!({"Type": "FROM_TRIM_HORIZON"})).await, ids(&[1, 2]));
    let body = json!({"StreamName": "s", "RetentionPeriodHours": 48});
    world.kinesis("IncreaseStreamRetentionPeriod", body).await;
    assert_eq!(world.ids(json!({"Type": "FROM_TRIM_HORIZON"})).await, ids(&[1, 2]));
}

/// A clock that jumps ahead expires nothing, and when it is right again everything is there.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_expires_nothing() {
    let world = World::with_stream(1).await;
    world.put_to("0", "kept").await;
    world.split_at(SHARD, HALF).await;
    world.pass(HOUR).await;
    world.time.set_skew(48 * HOUR as i64);
    world.pass(600_000).await;
    assert_eq!(described(&world).await, ids(&[0, 1, 2]));
    world.time.set_skew(0);
    world.pass(60_000).await;
    assert_eq!(world.ids(json!({"Type": "FROM_TRIM_HORIZON"})).await, ids(&[0, 1, 2]));
    assert_eq!(read(&world, &world.iterator(SHARD).await).await, ["kept"]);
    // It expires at its time.
    world.pass(24 * HOUR).await;
    assert_eq!(described(&world).await, ids(&[1, 2]));
}
