//! What the node must hold in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use base64_simd::STANDARD;
use levada::node::Node;
use levada_core::env::sim::SimDisk;
use levada_core::env::{Disk, Open};
use serde_json::json;

use super::client::ask;
use super::shards::{Shard, listed};
use super::{BUCKET, Notes, STREAM};
use crate::node::DATA_DIR;

/// Every acknowledged record stands in its place once; nothing stands there that nobody put, and nothing twice. The
/// records of a key stand along the lineage of the shards as they were put.
pub(super) async fn check_stream(node: &Arc<Node>, notes: &Notes) -> Result<(), String> {
    let list = ask(node, "Kinesis_20131202.ListShards", &json!({"StreamName": STREAM})).await?;
    let shards = listed(&list)?;
    let mut found = BTreeMap::new();
    let mut once = BTreeSet::new();
    for shard in &shards {
        for (number, text) in read_all(node, &shard.id).await? {
            if !notes.asked.contains(&text) || !once.insert(text.clone()) {
                return Err(format!("{} at {number}: {text} was not put, or stands there twice", shard.id));
            }
            found.insert((shard.id.clone(), number), text);
        }
    }
    if let Some((place, text)) = notes.stored.iter().find(|(place, text)| found.get(place) != Some(text)) {
        return Err(format!("{place:?}: {text} was acknowledged, there is {:?}", found.get(place)));
    }
    for (key, places) in &notes.by_key {
        check_order(&shards, places).map_err(|what| format!("key {key}: {what}"))?;
    }
    check_open(node, &shards).await
}

/// Sequence numbers and texts of a shard's records.
async fn read_all(node: &Arc<Node>, shard: &str) -> Result<Vec<(String, String)>, String> {
    let body = json!({"StreamName": STREAM, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = ask(node, "Kinesis_20131202.GetShardIterator", &body).await?["ShardIterator"].clone();
    let mut all: Vec<(String, String)> = Vec::new();
    loop {
        let page = ask(node, "Kinesis_20131202.GetRecords", &json!({"ShardIterator": iterator})).await?;
        let records = page["Records"].as_array().ok_or("no Records")?;
        for record in records {
            let number = record["SequenceNumber"].as_str().unwrap_or_default().to_owned();
            let data = STANDARD.decode_to_vec(record["Data"].as_str().unwrap_or_default());
            let text = String::from_utf8(data.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
            if let Some((last, _)) = all.last().filter(|(last, _)| number <= *last) {
                return Err(format!("{shard}: {number} stands after {last}"));
            }
            all.push((number, text));
        }
        iterator = page["NextShardIterator"].clone();
        if records.is_empty() {
            return Ok(all);
        }
    }
}

/// The places of one key's records in the order in which they were put, each after the answer to the one before.
fn check_order(shards: &[Shard], places: &[(String, String)]) -> Result<(), String> {
    for pair in places.windows(2) {
        let [(shard, number), (next_shard, next_number)] = pair else { continue };
        if number >= next_number {
            return Err(format!("{next_number} was put after {number}"));
        }
        if !descends(shards, next_shard, shard) {
            return Err(format!("{next_shard} took a record after {shard} and does not continue it"));
        }
    }
    Ok(())
}

/// Whether a shard is another one, or continues it over any number of generations.
fn descends(shards: &[Shard], shard: &str, from: &str) -> bool {
    if shard == from {
        return true;
    }
    let parents = shards.iter().find(|known| known.id == shard).map(|shard| &shard.parents);
    parents.into_iter().flatten().any(|parent| descends(shards, parent, from))
}

/// The shards without an end cover all hash keys once, and each hash key is taken, by a shard that it belongs to.
async fn check_open(node: &Arc<Node>, shards: &[Shard]) -> Result<(), String> {
    let mut open: Vec<_> = shards.iter().filter(|shard| shard.is_open).map(|shard| &shard.range).collect();
    open.sort_by_key(|range| *range.start());
    let edges = open.windows(2).all(|pair| pair[0].end().checked_add(1) == Some(*pair[1].start()));
    let ends =
        open.first().map(|first| *first.start()) == Some(0) && open.last().map(|last| *last.end()) == Some(u128::MAX);
    if !edges || !ends {
        return Err(format!("the open shards do not cover all hash keys once: {open:?}"));
    }
    for hash in open.into_iter().flat_map(|range| [*range.start(), *range.end()]) {
        let body = json!({
            "StreamName": STREAM, "PartitionKey": "k", "ExplicitHashKey": hash.to_string(), "Data": "",
        });
        let put = ask(node, "Kinesis_20131202.PutRecord", &body).await?;
        let taker = shards.iter().find(|shard| put["ShardId"] == shard.id.as_str());
        if taker.is_none_or(|taker| !taker.range.contains(&hash)) {
            return Err(format!("a record of hash key {hash} went to {put}"));
        }
    }
    Ok(())
}

/// Every accepted record is in the bucket, and nothing is there twice.
pub(super) fn check_bucket(disk: &SimDisk, notes: &Notes) -> Result<(), String> {
    let mut delivered = BTreeSet::new();
    for (path, content) in objects(disk, BUCKET)? {
        for text in content.split_inclusive('>') {
            if !notes.asked.contains(text) || !delivered.insert(text.to_owned()) {
                return Err(format!("{path}: {text} was not put, or was delivered twice"));
            }
        }
    }
    match notes.accepted.iter().find(|text| !delivered.contains(*text)) {
        Some(text) => Err(format!("{text} was accepted and not delivered")),
        None => Ok(()),
    }
}

/// Paths and contents of a bucket's objects.
pub(crate) fn objects(disk: &SimDisk, bucket: &str) -> Result<BTreeMap<String, String>, String> {
    let mut objects = BTreeMap::new();
    let mut directories = vec![Path::new(DATA_DIR).join("buckets").join(bucket)];
    while let Some(directory) = directories.pop() {
        let entries = match disk.list(&directory) {
            Ok(entries) => entries,
            // Nothing was ever delivered there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.to_string()),
        };
        for entry in entries {
            let path = directory.join(&entry.name);
            if entry.is_dir {
                // Unfinished objects; no key leads there.
                if entry.name != ".%tmp" {
                    directories.push(path);
                }
                continue;
            }
            let mut content = vec![0; entry.len as usize];
            let read = disk.open(&path, Open::Read).and_then(|file| file.read_exact_at(&mut content, 0));
            read.map_err(|error| error.to_string())?;
            let text = String::from_utf8(content).map_err(|error| error.to_string())?;
            objects.insert(path.display().to_string(), text);
        }
    }
    Ok(objects)
}
