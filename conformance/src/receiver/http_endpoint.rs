//! AWS's "HTTP endpoint delivery request and response specifications", from the other side.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Answer, Fault, Record, Request, State};

pub(super) fn take(state: &mut State, mut request: Request, content: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(content).unwrap_or_default();
    request.id = request.headers.get("x-amz-firehose-request-id").cloned().unwrap_or_default();
    let datas = body["records"].as_array().map(|records| records.iter().map(|record| record["data"].as_str()));
    let datas: Option<Vec<&str>> = datas.and_then(Iterator::collect);
    let Some(datas) = datas.filter(|_| body["requestId"] == request.id.as_str()) else {
        let refusal = json!({"requestId": request.id, "timestamp": now(), "errorMessage": "malformed"});
        state.requests.push(request);
        return Answer::json(400, refusal.to_string());
    };
    let mut answer = json!({"requestId": request.id, "timestamp": now()});
    match request.fault {
        Some(Fault::WrongRequestId) => {
            answer["requestId"] = json!("00000000-0000-0000-0000-000000000000");
            state.requests.push(request);
            return Answer::json(200, answer.to_string());
        }
        Some(Fault::NoTimestamp) => answer = json!({"requestId": request.id}),
        Some(Fault::MoreMembers) => answer["more"] = json!(true),
        _ => {}
    }
    let place = state.place();
    let record = |data: &str| Record { request: place, data: data.to_owned(), index: None, id: None };
    state.taken(request, datas.into_iter().map(record));
    Answer::json(200, answer.to_string())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
