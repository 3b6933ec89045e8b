//! What must be where in the end.

use std::collections::BTreeSet;

use base64_simd::STANDARD;
use levada_core::env::sim::SimDisk;
use serde_json::Value;

use super::Notes;
use super::network::{DROPPED, POISON, Seen};
use super::streams::Kind;
use crate::whole::check::objects;

/// What stands in a bucket.
#[derive(Default)]
struct Content {
    /// Records, each once.
    records: BTreeSet<String>,
    /// Records in the error output, each once.
    failed: BTreeSet<String>,
}

/// Every record that was acknowledged stands where it belongs, and in a bucket nothing stands twice.
pub(super) fn check(disk: &SimDisk, notes: &Notes, seen: &Seen) -> Result<(), String> {
    for kind in Kind::ALL {
        let asked = notes.asked.get(&kind).cloned().unwrap_or_default();
        let accepted = notes.accepted.get(&kind).cloned().unwrap_or_default();
        let content = content(disk, kind.name(), &asked).map_err(|what| format!("{kind:?}: {what}"))?;
        for text in &accepted {
            let there = content.records.contains(text) || content.failed.contains(text);
            let found = match kind {
                Kind::Plain | Kind::Sourced => content.records.contains(text),
                Kind::Processed | Kind::Partitioned => there || seen.dropped.contains(text),
                Kind::Endpoint => there || seen.taken.contains_key(text),
            };
            if !found {
                return Err(format!("{kind:?}: {text} was acknowledged and not delivered"));
            }
        }
        check_kind(kind, &content)?;
    }
    check_backup(disk, notes)?;
    check_endpoint(notes, seen)
}

fn check_kind(kind: Kind, content: &Content) -> Result<(), String> {
    if let Some(text) = content.records.intersection(&content.failed).next() {
        return Err(format!("{kind:?}: {text} is delivered and in the error output too"));
    }
    // While processing is switched off, everything passes.
    let wrong = |text: &&String| kind == Kind::Partitioned && (text.contains(DROPPED) || text.contains(POISON));
    match content.records.iter().find(wrong) {
        Some(text) => Err(format!("{kind:?}: {text} was delivered")),
        None => Ok(()),
    }
}

/// All source records of the processed delivery stream.
fn check_backup(disk: &SimDisk, notes: &Notes) -> Result<(), String> {
    let asked = notes.asked.get(&Kind::Processed).cloned().unwrap_or_default();
    let content = content(disk, "raw", &asked).map_err(|what| format!("backup: {what}"))?;
    let accepted = notes.accepted.get(&Kind::Processed).into_iter().flatten();
    match accepted.into_iter().find(|text| !content.records.contains(*text)) {
        Some(text) => Err(format!("backup: {text} is missing")),
        None => Ok(()),
    }
}

fn check_endpoint(notes: &Notes, seen: &Seen) -> Result<(), String> {
    let asked = notes.asked.get(&Kind::Endpoint).cloned().unwrap_or_default();
    match seen.taken.keys().find(|text| !asked.contains(*text)) {
        Some(text) => Err(format!("Endpoint: {text} was not put")),
        None => Ok(()),
    }
}

/// Reads a bucket. Whatever does not stand in `asked`, or stands twice, is an error.
fn content(disk: &SimDisk, bucket: &str, asked: &BTreeSet<String>) -> Result<Content, String> {
    let mut content = Content::default();
    for (path, text) in objects(disk, bucket)? {
        let is_error = path.contains("-failed/");
        let mut texts = Vec::new();
        if is_error {
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).map_err(|e| format!("{path}: {e}: {line}"))?;
                let data = STANDARD.decode_to_vec(line["rawData"].as_str().ok_or("no rawData")?);
                texts.push(String::from_utf8_lossy(&data.map_err(|e| e.to_string())?).into_owned());
            }
        } else {
            texts.extend(text.split_inclusive('>').map(str::to_owned));
        }
        let place = if is_error { &mut content.failed } else { &mut content.records };
        for text in texts {
            if !asked.contains(&text) || !place.insert(text.clone()) {
                return Err(format!("{path}: {text} was not put, or stands there twice"));
            }
        }
    }
    Ok(content)
}
