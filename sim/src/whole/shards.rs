//! Reshards at random.

use std::ops::RangeInclusive;

use levada_core::env::sim::SimRandom;
use serde_json::{Value, json};

use super::STREAM;
use super::client::Client;

/// No more open shards than these.
const MOST: usize = 8;

/// What is said to a command that rests on a listing which is not true any more.
const OVERTAKEN: [&str; 3] = ["ResourceInUseException", "InvalidArgumentException", "LimitExceededException"];

/// A shard as ListShards tells it.
pub(super) struct Shard {
    pub(super) id: String,
    pub(super) parents: Vec<String>,
    pub(super) range: RangeInclusive<u128>,
    pub(super) is_open: bool,
}

/// The shards of a listing.
pub(super) fn listed(reply: &Value) -> Result<Vec<Shard>, String> {
    let shards = reply["Shards"].as_array().ok_or("no Shards")?;
    let shard = |shard: &Value| {
        let key = |name: &str| shard["HashKeyRange"][name].as_str()?.parse::<u128>().ok();
        let parents = ["ParentShardId", "AdjacentParentShardId"];
        Some(Shard {
            id: shard["ShardId"].as_str()?.to_owned(),
            parents: parents.iter().filter_map(|name| shard[name].as_str()).map(str::to_owned).collect(),
            range: key("StartingHashKey")?..=key("EndingHashKey")?,
            is_open: shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none(),
        })
    };
    shards.iter().map(|told| shard(told).ok_or_else(|| format!("no shard: {told}"))).collect()
}

/// Asks for a reshard, drawn from `random`; answers the status of the reply, `None` if there is none.
pub(crate) async fn reshard(client: &mut Client, random: &SimRandom) -> Result<Option<u16>, String> {
    let list = client.call("Kinesis_20131202.ListShards", &json!({"StreamName": STREAM})).await;
    let Ok((200, list)) = list else { return Ok(None) };
    let mut open: Vec<_> = listed(&list)?.into_iter().filter(|shard| shard.is_open).collect();
    open.sort_by_key(|shard| *shard.range.start());
    let (target, body) = command(&open, random);
    match client.call(&format!("Kinesis_20131202.{target}"), &body).await {
        Ok((status @ (200 | 500..), _)) => Ok(Some(status)),
        // Somebody else's reshard is under way, or came between.
        Ok((400, reply)) if OVERTAKEN.iter().any(|name| reply["__type"] == *name) => Ok(Some(400)),
        Ok((status, reply)) => Err(format!("{target} {body} was refused: {status} {reply}")),
        Err(_) => Ok(None),
    }
}

fn command(open: &[Shard], random: &SimRandom) -> (&'static str, Value) {
    let at = random.below(open.len() as u64) as usize;
    match random.below(3) {
        0 if open.len() < MOST => {
            let (start, end) = (*open[at].range.start(), *open[at].range.end());
            let key = start + (end - start) / 100 * u128::from(10 + random.below(80));
            let body = json!({
                "StreamName": STREAM, "ShardToSplit": open[at].id, "NewStartingHashKey": key.to_string(),
            });
            ("SplitShard", body)
        }
        1 if at + 1 < open.len() => {
            let (lower, upper) = (&open[at].id, &open[at + 1].id);
            ("MergeShards", json!({"StreamName": STREAM, "ShardToMerge": lower, "AdjacentShardToMerge": upper}))
        }
        _ => {
            let (least, most) = ((open.len() / 2).max(1), (open.len() * 2).min(MOST.max(open.len())));
            let target = least as u64 + random.below((most - least + 1) as u64);
            let body = json!({"StreamName": STREAM, "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
            ("UpdateShardCount", body)
        }
    }
}
