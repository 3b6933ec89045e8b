//! Decompression and CloudWatchLogProcessing: records that a CloudWatch Logs subscription sends.

use std::borrow::Cow;
use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Most bytes that one record may have after decompression: six times what it may have before. More would be refused by
/// a function, whose payload is 6 MB at most.
const MAX_DECOMPRESSED_BYTES: usize = 6 * 1024 * 1024;
/// Most bytes out for each byte in, beyond [`FREE_BYTES`]: gzip reaches 1,032, and logs are rarely above 50.
const MAX_RATIO: usize = 200;
/// Bytes out that no ratio is asked for.
const FREE_BYTES: usize = 256 * 1024;

/// Decompresses gzip, whose content has to be JSON; on AWS the content is passed on as it is, and what is no JSON fails.
///
/// # Errors
/// Why not.
pub(super) fn decompress(data: &[u8]) -> Result<Bytes, String> {
    let most = (data.len().saturating_mul(MAX_RATIO)).clamp(FREE_BYTES, MAX_DECOMPRESSED_BYTES);
    let mut content = Vec::new();
    let read = MultiGzDecoder::new(data).take(most as u64 + 1).read_to_end(&mut content);
    if read.is_err() {
        return Err("it is no valid GZIP".to_owned());
    }
    if content.len() > most {
        return Err(format!("its content has more than {most} bytes"));
    }
    match serde_json::from_slice::<IgnoredAny>(&content) {
        Ok(IgnoredAny) => Ok(content.into()),
        Err(_) => Err("its content is no JSON".to_owned()),
    }
}

/// As far as extraction needs it. <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    #[serde(borrow)]
    log_events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// All messages of an envelope, each with a newline. One envelope stays one record, and a control message becomes an
/// empty one (both seen on AWS).
///
/// # Errors
/// Why not: what is JSON but no envelope fails.
pub(super) fn extract(content: &[u8]) -> Result<Bytes, String> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(content).map_err(|_| "its content is no CloudWatch Logs envelope".to_owned())?;
    let mut messages = Vec::new();
    if envelope.message_type != "CONTROL_MESSAGE" {
        for event in &envelope.log_events {
            messages.extend_from_slice(event.message.as_bytes());
            messages.push(b'\n');
        }
    }
    Ok(messages.into())
}
