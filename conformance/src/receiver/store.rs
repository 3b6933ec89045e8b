//! An S3-compatible store, as much as puts of single objects need.

use super::{Answer, Record, Request, State};

pub(super) fn put(state: &mut State, request: Request, content: &[u8]) -> Answer {
    let key = request.path.split('?').next().unwrap_or_default().to_owned();
    let data = base64_simd::STANDARD.encode_to_string(content);
    let record = Record { request: state.place(), data, index: None, id: Some(key) };
    state.taken(request, [record]);
    Answer::json(200, "")
}
