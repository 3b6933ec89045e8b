//! Reshards against a node on a simulated disk, in paused time: AWS's time line to the millisecond, readers across it,
//! producers under load, and a restart wherever a reshard may be cut.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "reshard/crash.rs"]
mod crash;
#[path = "reshard/load.rs"]
mod load;
#[path = "reshard/reader.rs"]
mod reader;
#[path = "reshard/retention.rs"]
mod retention;
#[path = "subscribe/world.rs"]
mod world;

use levada_core::catalog::Stream;
use levada_core::sequence::{END_INDEX, SequenceNumber};
use serde_json::{Value, json};

use self::world::{SHARD, World, data};

const HALF: &str = "170141183460469231731687303715884105728";

fn shard(index: u32) -> String {
    format!("shardId-{index:012}")
}

/// A number as AWS prints it, taken apart.
fn number(text: &Value) -> SequenceNumber {
    serde_json::from_value(text.clone()).unwrap()
}

/// What the tests of one stream have in common.
impl World {
    async fn split_at(&self, shard: &str, key: &str) {
        let body = json!({"StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": key});
        self.kinesis("SplitShard", body).await;
    }

    /// The ids that a filter shows.
    async fn ids(&self, filter: Value) -> Vec<String> {
        self.listed(filter).await.iter().map(|shard| shard["ShardId"].as_str().unwrap().to_owned()).collect()
    }

    async fn ids_now(&self) -> Vec<String> {
        self.ids(json!({"Type": "AT_TIMESTAMP", "Timestamp": self.now_ms() as f64 / 1000.0})).await
    }

    /// The shard that took a record of this hash key.
    async fn taken_by(&self, hash_key: &str) -> String {
        let body = json!({"StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": hash_key, "Data": "AAAA"});
        self.kinesis("PutRecord", body).await["ShardId"].as_str().unwrap().to_owned()
    }

    async fn page(&self, iterator: &Value) -> Value {
        self.kinesis("GetRecords", json!({"ShardIterator": iterator})).await
    }

    async fn status(&self) -> (String, u64) {
        let summary = self.summary().await;
        (summary["StreamStatus"].as_str().unwrap().to_owned(), summary["OpenShardCount"].as_u64().unwrap())
    }

    /// The stream as the node knows it.
    fn stream(&self) -> std::sync::Arc<Stream> {
        self.node.registry.state().stream(&self.scope(), "s").unwrap().clone()
    }
}

fn ids(indexes: &[u32]) -> Vec<String> {
    indexes.iter().map(|&index| shard(index)).collect()
}

/// Seen on AWS: SplitShard at :30, UPDATING with the old count; at :36 ACTIVE with the children listed; the parent takes
/// puts until :55, the children from :56 on.
#[tokio::test(start_paused = true)]
async fn a_split_keeps_to_the_time_line_of_aws() {
    let world = World::with_lifecycle_of_aws().await;
    let decided = world.now_ms();
    world.split_at(SHARD, HALF).await;
    assert_eq!((world.status().await, world.now_ms()), (("UPDATING".into(), 1), decided));
    world.pass(5_990).await;
    assert_eq!(world.status().await, ("UPDATING".into(), 1));
    assert_eq!(world.ids(json!({"Type": "AT_LATEST"})).await, ids(&[0]));
    world.pass(20).await;
    assert_eq!(world.status().await, ("ACTIVE".into(), 2));

    // The gap: listed, but not open.
    let closes = decided + 25_000;
    while world.now_ms() < closes - 1_000 {
        assert_eq!(world.ids(json!({"Type": "AT_LATEST"})).await, ids(&[0, 1, 2]));
        assert_eq!(world.ids_now().await, ids(&[0]));
        assert_eq!((world.taken_by("0").await, world.taken_by(HALF).await), (shard(0), shard(0)));
        for child in ids(&[1, 2]) {
            let page = world.page(&world.iterator(&child).await).await;
            let told = (&page["Records"], &page["MillisBehindLatest"], page.get("ChildShards"));
            assert_eq!(told, (&json!([]), &json!(0), None), "{page}");
            assert!(page["NextShardIterator"].is_string(), "{page}");
        }
        world.pass(1_000).await;
    }
    let listed = world.listed(json!({"Type": "FROM_TRIM_HORIZON"})).await;
    let range = |index: usize| &listed[index]["SequenceNumberRange"];
    let ending = number(&range(0)["EndingSequenceNumber"]);
    assert_eq!((ending.index(), ending.second()), (END_INDEX, closes / 1000));
    for child in [1, 2] {
        assert_eq!(number(&range(child)["StartingSequenceNumber"]).created_secs(), closes / 1000 + 1);
        assert_eq!(range(child).get("EndingSequenceNumber"), None);
        assert_eq!(listed[child]["ParentShardId"], SHARD);
    }

    world.pass(closes - world.now_ms() - 10).await;
    assert_eq!(world.taken_by(HALF).await, shard(0));
    world.pass(20).await;
    assert_eq!((world.taken_by("0").await, world.taken_by(HALF).await), (shard(1), shard(2)));
    assert_eq!(world.ids(json!({"Type": "AT_LATEST"})).await, ids(&[1, 2]));
    assert_eq!(world.ids_now().await, ids(&[1, 2]));
    let after = world.listed(json!({"Type": "FROM_TRIM_HORIZON"})).await;
    assert_eq!(after, listed, "what was told of the shards does not change");
}

/// Seen on AWS: the last records of a closed shard come with an iterator, the call after them tells the children, and
/// MillisBehindLatest counts from the close.
#[tokio::test(start_paused = true)]
async fn a_closed_shard_ends_after_its_last_records() {
    let world = World::with_lifecycle_of_aws().await;
    let decided = world.now_ms();
    let before = world.iterator(SHARD).await;
    world.put_to("0", "1").await;
    world.split_at(SHARD, HALF).await;
    world.pass(20_000).await;
    let last = world.put_to("0", "2").await;
    // Drained, but open: an iterator as ever.
    let page = world.page(&before).await;
    assert_eq!((data(&page), page.get("ChildShards")), (vec!["1".to_owned(), "2".to_owned()], None));
    let drained = world.page(&page["NextShardIterator"]).await;
    assert_eq!((&drained["MillisBehindLatest"], drained.get("ChildShards")), (&json!(0), None), "{drained}");
    let waiting = drained["NextShardIterator"].clone();

    world.pass(decided + 25_000 + 7_500 - world.now_ms()).await;
    let first = world.put_to("0", "3").await;
    assert!(last < first, "a child's numbers follow on its parent's");
    let page = world.page(&world.iterator(SHARD).await).await;
    assert_eq!((data(&page), page.get("ChildShards")), (vec!["1".to_owned(), "2".to_owned()], None));
    for iterator in [&page["NextShardIterator"], &waiting] {
        let end = world.page(iterator).await;
        assert_eq!((&end["Records"], end.get("NextShardIterator")), (&json!([]), None), "{end}");
        assert_eq!(end["MillisBehindLatest"], 7_000);
        let children: Vec<_> = end["ChildShards"].as_array().unwrap().iter().map(|c| c["ShardId"].clone()).collect();
        assert_eq!(children, ids(&[1, 2]));
    }
    assert_eq!(data(&world.page(&world.iterator(&shard(1)).await).await), ["3"]);
}

/// A child may be split or merged before it is open. It lives a second at least.
#[tokio::test(start_paused = true)]
async fn a_child_is_split_before_it_is_open() {
    let world = World::with_lifecycle_of_aws().await;
    let decided = world.now_ms();
    world.split_at(SHARD, HALF).await;
    world.pass(6_010).await;
    world.split_at(&shard(2), "255211775190703847597530955573826158592").await;
    world.pass(6_010).await;
    assert_eq!(world.status().await, ("ACTIVE".into(), 3));
    assert_eq!(world.ids(json!({"Type": "AT_LATEST"})).await, ids(&[0, 1, 2, 3, 4]));
    assert_eq!(world.ids_now().await, ids(&[0]));
    world.pass(decided + 25_010 - world.now_ms()).await;
    assert_eq!(world.taken_by(HALF).await, shard(2));
    assert_eq!(world.ids_now().await, ids(&[1, 2]));
    // Its own close: 25 s after its own decision.
    world.pass(decided + 6_010 + 25_010 - world.now_ms()).await;
    assert_eq!(world.taken_by(HALF).await, shard(3));
    assert_eq!(world.ids_now().await, ids(&[1, 3, 4]));
    let mut poller = reader::Poller::new(world.into()).await;
    poller.drain().await;
    assert_eq!(poller.met["k"].len(), 2);
}

/// Seen on AWS: from 2 to 3 makes the thirds of halves first, then merges the middle ones, in two steps.
#[tokio::test(start_paused = true)]
async fn a_new_shard_count_comes_in_two_steps() {
    let world = World::new(world::Setting {
        lifecycle: Some(levada::cli::LifecycleMode::Aws),
        limits: None,
        connections: None,
    })
    .await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await;
    world.active().await;
    let body = json!({"StreamName": "s", "TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING"});
    world.kinesis("UpdateShardCount", body).await;
    assert_eq!(world.status().await, ("UPDATING".into(), 2));
    world.pass(6_010).await;
    assert_eq!(world.status().await, ("UPDATING".into(), 4));
    world.pass(6_010).await;
    assert_eq!(world.status().await, ("ACTIVE".into(), 3));
    assert_eq!(world.without_end().await.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids(&[2, 6, 5]));
    let merged = world.listed(json!({"Type": "AFTER_SHARD_ID", "ShardId": shard(5)})).await;
    assert_eq!(
        (&merged[0]["ParentShardId"], &merged[0]["AdjacentParentShardId"]),
        (&json!(shard(3)), &json!(shard(4)))
    );
    let before = world.taken_by(HALF).await;
    world.pass(60_000).await;
    assert_eq!((before, world.taken_by(HALF).await), (shard(1), shard(6)));
}
