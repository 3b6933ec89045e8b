//! Enhanced monitoring: `/metrics` has a series for each shard and metric that was asked for.

use levada_core::shard::ShardId;
use serde_json::json;

use crate::world::World;

/// The lines of the shards' series.
fn series(world: &World) -> Vec<String> {
    let page = world.node.metrics.page(world.node.samples());
    page.lines().filter(|line| line.starts_with("aws_kinesis_shard_")).map(str::to_owned).collect()
}

fn line(metric: &str, shard: u32, value: u64) -> String {
    let id = ShardId(shard);
    format!(
        "aws_kinesis_shard_{metric}{{StreamName=\"s\",ShardId=\"{id}\",account=\"000000000000\",region=\"us-east-1\"}} {value}"
    )
}

#[tokio::test]
async fn shards_are_measured_as_long_as_their_stream_s_owner_wants() {
    for config in ["", "limits.mode = \"open\""] {
        let world = World::new(config).await;
        world.ok("CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await;
        assert_eq!(series(&world), [""; 0]);
        let body = json!({"StreamName": "s", "ShardLevelMetrics": ["IncomingBytes", "IncomingRecords"]});
        world.ok("EnableEnhancedMonitoring", body).await;
        let put = json!({"StreamName": "s", "PartitionKey": "key", "ExplicitHashKey": "0", "Data": "MTIzNA=="});
        world.ok("PutRecord", put.clone()).await;
        world.ok("PutRecord", put).await;
        let (bytes, records) = ("incoming_bytes_total", "incoming_records_total");
        assert_eq!(
            series(&world),
            [line(bytes, 0, 14), line(bytes, 1, 0), line(records, 0, 2), line(records, 1, 0)],
            "{config}"
        );
        let page = world.node.metrics.page(world.node.samples());
        assert!(page.contains("# TYPE aws_kinesis_shard_incoming_bytes counter\n"), "{page}");

        world.ok("EnableEnhancedMonitoring", json!({"StreamName": "s", "ShardLevelMetrics": ["ALL"]})).await;
        assert!(!series(&world).iter().any(|line| line.contains("iterator_age")), "nobody has read");
        world.pass(2_500).await;
        assert_eq!(world.read(&ShardId(0).to_string()).await.len(), 2);
        let found = series(&world);
        for expected in [
            line("outgoing_records_total", 0, 2),
            line("outgoing_bytes_total", 0, 14),
            line("iterator_age_milliseconds", 0, 0),
            line("read_provisioned_throughput_exceeded_total", 1, 0),
            line("write_provisioned_throughput_exceeded_total", 0, 0),
        ] {
            assert!(found.contains(&expected), "{expected} in {found:#?}");
        }

        let left = json!({"StreamName": "s", "ShardLevelMetrics": ["IncomingBytes", "IteratorAgeMilliseconds",
            "OutgoingBytes", "OutgoingRecords", "ReadProvisionedThroughputExceeded",
            "WriteProvisionedThroughputExceeded"]});
        world.ok("DisableEnhancedMonitoring", left).await;
        assert_eq!(series(&world), [line(records, 0, 2), line(records, 1, 0)]);
        world.ok("DisableEnhancedMonitoring", json!({"StreamName": "s", "ShardLevelMetrics": ["ALL"]})).await;
        assert_eq!(series(&world), [""; 0]);
    }
}

#[tokio::test]
async fn refusals_and_the_age_of_a_reader_are_measured() {
    let world = World::new("").await;
    world.ok("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    world.ok("EnableEnhancedMonitoring", json!({"StreamName": "s", "ShardLevelMetrics": ["ALL"]})).await;
    for _ in 0..3 {
        world.flood(500).await;
    }
    world.pass(7_000).await;
    let body = json!({"StreamName": "s", "ShardId": ShardId(0).to_string(), "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = world.ok("GetShardIterator", body).await["ShardIterator"].clone();
    for _ in 0..5 {
        world.ok("GetRecords", json!({"ShardIterator": iterator, "Limit": 10})).await;
    }
    world.refused("GetRecords", json!({"ShardIterator": iterator})).await;
    let found = series(&world);
    for expected in [
        line("write_provisioned_throughput_exceeded_total", 0, 500),
        line("read_provisioned_throughput_exceeded_total", 0, 1),
        line("iterator_age_milliseconds", 0, 7_000),
        line("outgoing_records_total", 0, 50),
    ] {
        assert!(found.contains(&expected), "{expected} in {found:#?}");
    }
}
