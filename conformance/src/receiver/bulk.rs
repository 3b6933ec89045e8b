//! OpenSearch's `_bulk`, for `index` and `create`.

use serde_json::{Value, json};

use super::{Answer, Fault, Record, Request, State};

pub(super) fn take(state: &mut State, request: Request, content: &[u8]) -> Answer {
    let mut lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    if lines.pop().is_none_or(|last| !last.is_empty()) || !lines.len().is_multiple_of(2) {
        state.requests.push(request);
        return malformed();
    }
    let (mut items, mut records) = (Vec::new(), Vec::new());
    for (n, pair) in lines.chunks_exact(2).enumerate() {
        let action: Value = serde_json::from_slice(pair[0]).unwrap_or_default();
        let Some((name, meta)) = action.as_object().and_then(|action| action.iter().next()) else {
            state.requests.push(request);
            return malformed();
        };
        let text = |member: &str| meta[member].as_str().map(str::to_owned);
        let (status, error) = match &request.fault {
            Some(Fault::SomeItems { every, status, error }) if n % every.max(&1) == 0 => (*status, error.as_str()),
            _ if serde_json::from_slice::<serde_json::Map<String, Value>>(pair[1]).is_err() => {
                (400, "mapper_parsing_exception")
            }
            _ => (201, ""),
        };
        let mut item = json!({"_index": text("_index"), "_id": text("_id"), "status": status});
        if error.is_empty() {
            let data = base64_simd::STANDARD.encode_to_string(pair[1]);
            records.push(Record { request: state.place(), data, index: text("_index"), id: text("_id") });
        } else {
            item["error"] = json!({"type": error, "reason": "by plan"});
        }
        items.push(json!({ (name.as_str()): item }));
    }
    if request.fault == Some(Fault::FewerItems) {
        items.pop();
    }
    let answer = json!({"took": 1, "errors": records.len() < items.len(), "items": items});
    state.taken(request, records);
    Answer::json(200, answer.to_string())
}

fn malformed() -> Answer {
    let error = json!({"type": "illegal_argument_exception", "reason": "Malformed action/metadata line"});
    Answer::json(400, json!({"error": error, "status": 400}).to_string())
}
