//! Streams, shards and consumers for benchmarks to work with.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;
use crate::client::Client;

/// Longest wait for a change of a stream to be done.
const ACTIVE_WITHIN: Duration = Duration::from_secs(60);

/// Creates a stream and waits until it takes puts.
///
/// # Errors
/// If it is not active in time.
pub(crate) fn create(client: &mut Client, name: &str, shards: u32) -> Result<()> {
    client.kinesis("CreateStream", &json!({ "StreamName": name, "ShardCount": shards }))?;
    active(client, name).map(|_| ())
}

/// Waits until the stream is ACTIVE and answers its summary.
///
/// # Errors
/// If that does not come in time.
pub(crate) fn active(client: &mut Client, name: &str) -> Result<Value> {
    let deadline = Instant::now() + ACTIVE_WITHIN;
    loop {
        let mut summary = client.kinesis("DescribeStreamSummary", &json!({ "StreamName": name }))?;
        if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
            return Ok(summary["StreamDescriptionSummary"].take());
        }
        if Instant::now() > deadline {
            return Err(format!("the stream does not become ACTIVE: {summary}").into());
        }
        sleep(Duration::from_millis(2));
    }
}

/// The stream's ARN.
///
/// # Errors
/// If there is no such stream.
pub(crate) fn arn(client: &mut Client, name: &str) -> Result<String> {
    let summary = client.kinesis("DescribeStreamSummary", &json!({ "StreamName": name }))?;
    text(&summary["StreamDescriptionSummary"]["StreamARN"])
}

/// The ids of the stream's shards, all pages.
///
/// # Errors
/// If they cannot be listed.
pub(crate) fn shards(client: &mut Client, name: &str) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut input = json!({ "StreamName": name });
    loop {
        let page = client.kinesis("ListShards", &input)?;
        let listed = page["Shards"].as_array().ok_or("a page without shards")?;
        ids.extend(listed.iter().map(|shard| text(&shard["ShardId"])).collect::<Result<Vec<_>>>()?);
        match &page["NextToken"] {
            Value::String(token) => input = json!({ "NextToken": token }),
            _ => return Ok(ids),
        }
    }
}

/// Registers a consumer, waits until it is ACTIVE, and answers its ARN.
///
/// # Errors
/// If that does not come in time.
pub(crate) fn register(client: &mut Client, stream_arn: &str, name: &str) -> Result<String> {
    let registered =
        client.kinesis("RegisterStreamConsumer", &json!({ "StreamARN": stream_arn, "ConsumerName": name }))?;
    let arn = text(&registered["Consumer"]["ConsumerARN"])?;
    let deadline = Instant::now() + ACTIVE_WITHIN;
    loop {
        let described = client.kinesis("DescribeStreamConsumer", &json!({ "ConsumerARN": arn }))?;
        if described["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE" {
            return Ok(arn);
        }
        if Instant::now() > deadline {
            return Err(format!("the consumer does not become ACTIVE: {described}").into());
        }
        sleep(Duration::from_millis(2));
    }
}

/// A string of a reply.
///
/// # Errors
/// If it is none.
pub(crate) fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().ok_or_else(|| format!("{value} where a string was expected"))?.to_owned())
}
