//! `AUTO`: the service chooses the shards of a stream's records.

use std::collections::{BTreeMap, BTreeSet};

use base64_simd::STANDARD;
use levada_core::catalog::Command;
use levada_core::reshard;
use levada_core::shard::ShardId;
use serde_json::{Value, json};

use crate::world::{ARN, World};

async fn auto() -> World {
    let world = World::new("").await;
    let create = json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
        "RecordDistributionStrategy": "AUTO"});
    world.ok("CreateStream", create).await;
    world
}

/// Records by the shard that took them; all were taken.
async fn put_all(world: &World, records: &[Value]) -> BTreeMap<String, usize> {
    let reply = world.ok("PutRecords", json!({"StreamName": "s", "Records": records})).await;
    assert_eq!(reply["FailedRecordCount"], 0, "{reply}");
    let mut shards = BTreeMap::new();
    for record in reply["Records"].as_array().unwrap() {
        *shards.entry(record["ShardId"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    shards
}

async fn put_one(world: &World, record: Value) -> String {
    world.ok("PutRecord", record).await["ShardId"].as_str().unwrap().to_owned()
}

fn keyless(bytes: usize) -> Value {
    json!({"Data": STANDARD.encode_to_string(vec![7; bytes])})
}

#[tokio::test]
async fn records_are_spread_evenly_whatever_their_keys() {
    let world = auto().await;
    let counts = |shards: BTreeMap<String, usize>| shards.into_values().collect::<Vec<_>>();
    // A large call loads all shards alike, by records or by bytes.
    assert_eq!(counts(put_all(&world, &vec![keyless(10); 400]).await), [100; 4]);
    world.pass(60_000).await;
    assert_eq!(counts(put_all(&world, &vec![keyless(900_000); 4]).await), [1; 4]);
    // Small ones are one append each, and take turns.
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..12 {
        let shards = put_all(&world, &vec![keyless(10); 5]).await;
        assert_eq!(shards.len(), 1);
        *calls.entry(shards.into_keys().next().unwrap()).or_default() += 1;
    }
    assert_eq!(counts(calls), [3; 4]);
    // Given keys change nothing, and shards of unlike ranges are alike.
    let stream = world.stream();
    let generation = reshard::split(&stream.shards, ShardId(2), &(stream.shards.all()[2].range.start + 9).to_string());
    world.node.carry_out(Command::Rescale { stream: stream.key(), generation: generation.unwrap() }).await.unwrap();
    assert_eq!(world.open_shards(), 5);
    world.pass(1_000).await;
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..20 {
        let record = json!({"StreamName": "s", "Data": "", "PartitionKey": "k", "ExplicitHashKey": "0"});
        *calls.entry(put_one(&world, record).await).or_default() += 1;
    }
    assert_eq!(counts(calls), [4; 5]);
    // Round after round, the next part of each shard's range: none looks hotter than it is.
    world.pass(60_000).await;
    let offered = world.node.traffic.offered(&world.stream(), 0);
    let slices = offered.values().flat_map(BTreeMap::values).flat_map(|sample| sample.slices.iter().enumerate());
    let busy: BTreeSet<usize> = slices.filter(|(_, weight)| **weight > 0).map(|(slice, _)| slice).collect();
    assert_eq!(busy, (0..8).collect());
}

#[tokio::test]
async fn a_record_keeps_its_key_or_has_none() {
    let world = auto().await;
    let mut record = json!({"StreamName": "s", "Data": "YQ=="});
    let shard = put_one(&world, record.clone()).await;
    let found = world.read(&shard).await;
    assert_eq!((&found[0]["Data"], found[0].get("PartitionKey")), (&json!("YQ=="), None));
    record["PartitionKey"] = json!("mine");
    let shard = put_one(&world, record).await;
    assert_eq!(world.read(&shard).await.last().unwrap()["PartitionKey"], "mine");
}

#[tokio::test]
async fn without_a_key_only_such_streams_take_records() {
    let world = auto().await;
    let put = |record: Value| json!({"StreamName": "s", "Records": [record]});
    let (one, several) = (json!({"StreamName": "s", "Data": ""}), put(json!({"Data": ""})));
    world.ok("PutRecord", one.clone()).await;
    world.ok("PutRecords", several.clone()).await;
    let strategy = |strategy: &str| json!({"StreamARN": ARN, "RecordDistributionStrategy": strategy});
    world.ok("UpdateStreamRecordDistributionStrategy", strategy("USER_PARTITION_KEY")).await;
    for (operation, body) in [("PutRecord", &one), ("PutRecords", &several)] {
        let refusal = world.refused(operation, body.clone()).await;
        assert!(refusal.contains("artition"), "{refusal}");
    }
    // By key again: one key, one shard.
    let keyed =
        |n: usize| json!({"StreamName": "s", "PartitionKey": "k", "Data": STANDARD.encode_to_string([n as u8])});
    let first = put_one(&world, keyed(0)).await;
    for n in 1..5 {
        assert_eq!(put_one(&world, keyed(n)).await, first);
    }
    world.ok("UpdateStreamRecordDistributionStrategy", strategy("AUTO")).await;
    world.ok("PutRecord", one.clone()).await;
    // A provisioned stream has no such choice.
    world.switch("PROVISIONED").await;
    world.refused("PutRecord", one).await;
    world.refused("UpdateStreamRecordDistributionStrategy", strategy("AUTO")).await;
}
