//! Readers as the Kinesis Client Library has them: every parent to its end before its children.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::{World, data};

/// Shards in the order in which a reader may begin them.
#[derive(Default)]
pub(crate) struct Lineage {
    begun: BTreeSet<String>,
    ended: BTreeSet<String>,
    /// Listed children of ended shards, with their parents.
    waiting: BTreeMap<String, Vec<String>>,
}

impl Lineage {
    /// Starts with the shards that continue no other; answers them.
    pub(crate) fn roots(listed: &Value) -> (Self, Vec<String>) {
        let shards = listed["Shards"].as_array().unwrap().iter();
        let roots: Vec<_> = shards.filter(|shard| shard.get("ParentShardId").is_none()).map(id).collect();
        (Self { begun: roots.iter().cloned().collect(), ..Self::default() }, roots)
    }

    /// A shard has been read to its end and these are its children; answers what may be begun now.
    pub(crate) fn end(&mut self, shard: String, children: &Value) -> Vec<String> {
        assert!(self.ended.insert(shard.clone()), "{shard} ended twice");
        for child in children.as_array().unwrap() {
            let parents: Vec<String> = serde_json::from_value(child["ParentShards"].clone()).unwrap();
            assert!(parents.contains(&shard), "{child} is no child of {shard}");
            self.waiting.insert(id(child), parents);
        }
        let ready = |(_, parents): &(&String, &Vec<String>)| parents.iter().all(|parent| self.ended.contains(parent));
        let ready: Vec<_> = self.waiting.iter().filter(ready).map(|(child, _)| child.clone()).collect();
        self.waiting.retain(|child, _| !ready.contains(child));
        ready.into_iter().filter(|child| self.begun.insert(child.clone())).collect()
    }
}

fn id(shard: &Value) -> String {
    shard["ShardId"].as_str().unwrap().to_owned()
}

/// What a reader has met: for each key the data of its records, in the order of reading.
pub(crate) type Met = BTreeMap<String, Vec<String>>;

fn meet(met: &mut Met, records: &Value) {
    let keys = records["Records"].as_array().unwrap().iter().map(|record| record["PartitionKey"].as_str().unwrap());
    for (key, text) in keys.zip(data(records)) {
        met.entry(key.to_owned()).or_default().push(text);
    }
}

/// Reads with GetRecords, from the beginning on.
pub(crate) struct Poller {
    world: Arc<World>,
    lineage: Lineage,
    /// The shards that are being read, each with its iterator.
    at: BTreeMap<String, Value>,
    pub(crate) met: Met,
}

impl Poller {
    pub(crate) async fn new(world: Arc<World>) -> Self {
        let (lineage, roots) = Lineage::roots(&world.kinesis("ListShards", json!({"StreamName": "s"})).await);
        let mut poller = Self { world, lineage, at: BTreeMap::new(), met: Met::new() };
        poller.begin(roots).await;
        poller
    }

    async fn begin(&mut self, shards: Vec<String>) {
        for shard in shards {
            let iterator = self.world.iterator(&shard).await;
            self.at.insert(shard, iterator);
        }
    }

    /// Reads a page of every shard that may be read; true if that told nothing new.
    pub(crate) async fn pass(&mut self) -> bool {
        let mut nothing = true;
        for (shard, iterator) in std::mem::take(&mut self.at) {
            let page = self.world.kinesis("GetRecords", json!({"ShardIterator": iterator, "Limit": 37})).await;
            meet(&mut self.met, &page);
            nothing &= page["Records"] == json!([]);
            match (page.get("NextShardIterator"), page.get("ChildShards")) {
                (Some(next), None) => {
                    self.at.insert(shard, next.clone());
                }
                (None, Some(children)) => {
                    nothing = false;
                    assert_eq!(page["Records"], json!([]), "the end of {shard} comes after its records");
                    let ready = self.lineage.end(shard, children);
                    self.begin(ready).await;
                }
                _ => panic!("{shard}: {page}"),
            }
        }
        nothing
    }

    /// Reads until there is nothing more now.
    pub(crate) async fn drain(&mut self) {
        for _ in 0..10_000 {
            if self.pass().await {
                return;
            }
        }
        panic!("there is no end");
    }
}

/// Reads with SubscribeToShard, one subscription a shard, until all tasks are dropped.
pub(crate) async fn subscribe_to_all(world: Arc<World>, consumer: String, met: Arc<Mutex<Met>>) {
    let listed = world.kinesis("ListShards", json!({"StreamName": "s"})).await;
    let (mut lineage, mut ready) = Lineage::roots(&listed);
    let mut followers = JoinSet::new();
    loop {
        for shard in ready {
            followers.spawn(follow(Arc::clone(&world), consumer.clone(), shard, Arc::clone(&met)));
        }
        let (shard, children) = followers.join_next().await.unwrap().unwrap();
        ready = lineage.end(shard, &children);
    }
}

/// Follows a shard to its end, over as many subscriptions as that takes; answers it and its children.
async fn follow(world: Arc<World>, consumer: String, shard: String, met: Arc<Mutex<Met>>) -> (String, Value) {
    let mut position = json!({"Type": "TRIM_HORIZON"});
    loop {
        let mut subscription = world.subscribe(&consumer, &shard, &position).await;
        while let Some(event) = subscription.event().await {
            meet(&mut met.lock().unwrap(), &event);
            if let Some(children) = event.get("ChildShards") {
                assert_eq!(subscription.event().await, None, "{shard} has ended");
                return (shard, children.clone());
            }
            let number = event["ContinuationSequenceNumber"].clone();
            position = json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number});
        }
    }
}
