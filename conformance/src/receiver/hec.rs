//! Splunk's HTTP Event Collector, with acknowledgements.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Fault, Record, Request, State};

/// What was not yet acknowledged: by channel and id, how many questions are still answered by no.
#[derive(Default)]
pub(super) struct Acks {
    next: BTreeMap<String, u64>,
    open: BTreeMap<(String, u64), Option<u32>>,
}

pub(super) fn take(state: &mut State, mut request: Request, content: &[u8]) -> Answer {
    let Some(channel) = request.headers.get("x-splunk-request-channel").cloned() else {
        state.requests.push(request);
        return refusal(400, 10, "Data channel is missing");
    };
    if !request.headers.get("authorization").is_some_and(|value| value.starts_with("Splunk ")) {
        state.requests.push(request);
        return refusal(401, 2, "Token is required");
    }
    if content.is_empty() {
        state.requests.push(request);
        return refusal(400, 5, "No data");
    }
    let next = state.acks.next.entry(channel.clone()).or_default();
    let ack_id = *next;
    *next += 1;
    let mut answer = json!({"text": "Success", "code": 0, "ackId": ack_id});
    let questions = match request.fault {
        Some(Fault::NeverAck) => None,
        Some(Fault::AckAfter { questions }) => Some(questions),
        Some(Fault::NoAckId) => {
            answer = json!({"text": "Success", "code": 0});
            None
        }
        _ => Some(0),
    };
    state.acks.open.insert((channel, ack_id), questions);
    request.id = ack_id.to_string();
    let data = base64_simd::STANDARD.encode_to_string(content);
    let record = Record { request: state.place(), data, index: None, id: None };
    state.taken(request, [record]);
    Answer::json(200, answer.to_string())
}

/// Answers which of the ids are acknowledged; such an id is then forgotten, as by Splunk.
pub(super) fn question(state: &mut State, request: Request, content: &[u8]) -> Answer {
    let channel = request.path.split_once("channel=").map(|(_, channel)| channel.to_owned()).unwrap_or_default();
    let body: Value = serde_json::from_slice(content).unwrap_or_default();
    let ids: Vec<u64> = body["acks"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    state.requests.push(request);
    let mut acks = serde_json::Map::new();
    for id in ids {
        let key = (channel.clone(), id);
        let is_due = match state.acks.open.get_mut(&key) {
            Some(Some(0)) => true,
            Some(Some(questions)) => {
                *questions -= 1;
                false
            }
            Some(None) | None => false,
        };
        if is_due {
            state.acks.open.remove(&key);
        }
        acks.insert(id.to_string(), json!(is_due));
    }
    Answer::json(200, json!({ "acks": acks }).to_string())
}

fn refusal(status: u16, code: u64, text: &str) -> Answer {
    Answer::json(status, json!({"text": text, "code": code}).to_string())
}
