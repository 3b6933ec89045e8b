//! A function by Lambda's Invoke API: "Amazon Data Firehose data transformation", from the other side.
//!
//! A record whose data contain `drop` is dropped, one with `poison` fails, any other passes as it is, with another
//! partition key `region` each time it is seen.

use serde_json::{Value, json};

use super::{Answer, Fault, Record, Request, State};

/// How many values the partition key takes.
const REGIONS: usize = 5;

pub(super) fn invoke(state: &mut State, request: Request, content: &[u8]) -> Answer {
    let event: Value = serde_json::from_slice(content).unwrap_or_default();
    let place = state.place();
    let (mut dropped, mut replies) = (Vec::new(), Vec::new());
    for (n, record) in event["records"].as_array().into_iter().flatten().enumerate() {
        let data = record["data"].as_str().unwrap_or_default();
        let bytes = base64_simd::STANDARD.decode_to_vec(data).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let id = &record["recordId"];
        if text.contains("drop") {
            dropped.push(Record { request: place, data: data.to_owned(), index: None, id: None });
            replies.push(json!({"recordId": id, "result": "Dropped"}));
            continue;
        }
        let result = if text.contains("poison") { "ProcessingFailed" } else { "Ok" };
        let region = format!("region-{}", (place + n) % REGIONS);
        replies.push(json!({
            "recordId": id, "result": result, "data": data, "metadata": {"partitionKeys": {"region": region}},
        }));
    }
    if request.fault == Some(Fault::FewerItems) {
        replies.pop();
    }
    state.taken(request, dropped);
    Answer::json(200, json!({ "records": replies }).to_string())
}
