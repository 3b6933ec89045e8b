//! Requests as bytes, rendered and signed before the clock starts.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::load::Request;
use crate::record::{Record, Records};
use crate::rows::Operation;

/// The stream that the benchmark puts to.
pub(crate) const STREAM: &str = "bench";

/// Without configured keys a 12-digit access key id names the account; this is the default account.
const ACCESS_KEY_ID: &str = "000000000000";
const SECRET_ACCESS_KEY: &str = "benchmark";
const REGION: &str = "us-east-1";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const SIGNED_HEADERS: &str = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target";

/// The API that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Kinesis Data Streams.
    Kinesis,
    /// Data Firehose.
    Firehose,
}

impl Api {
    /// Its name in signatures.
    fn service(self) -> &'static str {
        match self {
            Self::Kinesis => "kinesis",
            Self::Firehose => "firehose",
        }
    }

    /// What stands before an operation's name in `x-amz-target`.
    fn target(self) -> &'static str {
        match self {
            Self::Kinesis => "Kinesis_20131202",
            Self::Firehose => "Firehose_20150804",
        }
    }
}

/// A request of hyper's client.
pub(crate) type Call = http::Request<Full<Bytes>>;

/// Renders requests to one server, signed with Signature Version 4.
pub(crate) struct Renderer {
    host: String,
    /// `20261120T084206Z`
    date_time: String,
    kinesis_key: Vec<u8>,
    firehose_key: Vec<u8>,
}

impl Renderer {
    /// For the server at `host` (`address:port`), signing with the time of now.
    ///
    /// # Errors
    /// Never in practice: HMAC takes keys of any length.
    pub(crate) fn new(host: impl Into<String>) -> Result<Self> {
        Self::at(host, jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    fn at(host: impl Into<String>, date_time: String) -> Result<Self> {
        let key = |api: Api| {
            let secret = format!("AWS4{SECRET_ACCESS_KEY}").into_bytes();
            let parts = [&date_time[..8], REGION, api.service(), "aws4_request"];
            parts.into_iter().try_fold(secret, |key, part| hmac(&key, part.as_bytes()))
        };
        let (kinesis_key, firehose_key) = (key(Api::Kinesis)?, key(Api::Firehose)?);
        Ok(Self { host: host.into(), date_time, kinesis_key, firehose_key })
    }

    /// Head and body of a call of `operation`, a Kinesis operation's name.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn kinesis(&self, operation: &str, body: &[u8]) -> Result<Bytes> {
        self.kinesis_claiming(operation, body, &hex(&Sha256::digest(body)))
    }

    /// As [`Self::kinesis`], but with this value as the body's SHA-256, true or not.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn kinesis_claiming(&self, operation: &str, body: &[u8], body_sha256: &str) -> Result<Bytes> {
        self.render(Api::Kinesis, operation, body, body_sha256)
    }

    /// Head and body of a call of a Firehose operation.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn firehose(&self, operation: &str, body: &[u8]) -> Result<Bytes> {
        self.render(Api::Firehose, operation, body, &hex(&Sha256::digest(body)))
    }

    fn render(&self, api: Api, operation: &str, body: &[u8], body_sha256: &str) -> Result<Bytes> {
        let target = format!("{}.{operation}", api.target());
        let authorization = self.authorization(api, &target, body_sha256)?;
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {length}\r\n\
             x-amz-target: {target}\r\nx-amz-date: {date}\r\nx-amz-content-sha256: {body_sha256}\r\n\
             authorization: {authorization}\r\nuser-agent: levada-bench/{version}\r\n\
             amz-sdk-request: attempt=1; max=1\r\naccept-encoding: identity\r\n\r\n",
            host = self.host,
            length = body.len(),
            date = self.date_time,
            version = env!("CARGO_PKG_VERSION"),
        );
        let mut request = Vec::with_capacity(head.len() + body.len());
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body);
        Ok(request.into())
    }

    /// As [`Self::kinesis`], for hyper's client, which speaks `version`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn call(&self, operation: &str, body: Vec<u8>, version: http::Version) -> Result<Call> {
        let target = format!("{}.{operation}", Api::Kinesis.target());
        let body_sha256 = hex(&Sha256::digest(&body));
        let request = match version {
            http::Version::HTTP_2 => http::Request::post(format!("http://{}/", self.host)),
            _ => http::Request::post("/").header("host", &self.host),
        };
        let request = request
            .version(version)
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-date", &self.date_time)
            .header("x-amz-content-sha256", &body_sha256)
            .header("authorization", self.authorization(Api::Kinesis, &target, &body_sha256)?)
            .header("x-amz-target", target);
        Ok(request.body(Full::new(body.into()))?)
    }

    /// Signature Version 4, as in AWS's "Create a signed AWS API request".
    fn authorization(&self, api: Api, target: &str, body_sha256: &str) -> Result<String> {
        let canonical = format!(
            "POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{}\nx-amz-content-sha256:{body_sha256}\nx-amz-date:{}\n\
             x-amz-target:{target}\n\n{SIGNED_HEADERS}\n{body_sha256}",
            self.host, self.date_time
        );
        let scope = format!("{}/{REGION}/{}/aws4_request", &self.date_time[..8], api.service());
        let hashed = hex(&Sha256::digest(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hashed}", self.date_time);
        let key = match api {
            Api::Kinesis => &self.kinesis_key,
            Api::Firehose => &self.firehose_key,
        };
        let signature = hex(&hmac(key, to_sign.as_bytes())?);
        Ok(format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
        ))
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The JSON body of a put of the records with the serial numbers from `first` on, members in the order in which
/// the AWS SDK for Rust writes them.
pub(crate) fn put_body(operation: Operation, records: &Records, first: u64) -> Vec<u8> {
    put_body_to(STREAM, operation, records, first)
}

/// As [`put_body`], to another stream.
pub(crate) fn put_body_to(stream: &str, operation: Operation, records: &Records, first: u64) -> Vec<u8> {
    match operation {
        Operation::PutRecords { records: count } => {
            let mut body = Vec::with_capacity(count as usize * (records.data_bytes * 4 / 3 + 64) + 64);
            body.extend_from_slice(b"{\"Records\":[");
            for serial in first..first + u64::from(count) {
                if serial > first {
                    body.push(b',');
                }
                body.push(b'{');
                push_record(&mut body, &records.get(serial));
                body.push(b'}');
            }
            body.extend_from_slice(b"],");
            push_stream(&mut body, stream);
            body
        }
        Operation::PutRecord => single_body(stream, &records.get(first)),
    }
}

/// The JSON body of a put of one record.
pub(crate) fn single_body(stream: &str, record: &Record) -> Vec<u8> {
    let mut body = Vec::with_capacity(record.data.len() * 4 / 3 + 128);
    body.push(b'{');
    push_record(&mut body, record);
    body.push(b',');
    push_stream(&mut body, stream);
    body
}

fn push_record(body: &mut Vec<u8>, record: &Record) {
    body.extend_from_slice(b"\"Data\":\"");
    base64_simd::STANDARD.encode_append(&record.data, body);
    body.extend_from_slice(b"\",\"PartitionKey\":\"");
    body.extend_from_slice(record.key.as_bytes());
    body.push(b'"');
}

fn push_stream(body: &mut Vec<u8>, stream: &str) {
    body.extend_from_slice(b"\"StreamName\":\"");
    body.extend_from_slice(stream.as_bytes());
    body.extend_from_slice(b"\"}");
}

/// The operation's name on the wire.
pub(crate) fn wire_name(operation: Operation) -> &'static str {
    match operation {
        Operation::PutRecords { .. } => "PutRecords",
        Operation::PutRecord => "PutRecord",
    }
}

/// Requests longer than this, in bytes, are kept in a file; below, one more system call a request would cost more
/// than the copy.
const LARGE: usize = 16 * 1024;

/// Distinct bodies of puts, sent in turn. Body `i` holds the records from serial `i × records` on.
pub(crate) struct Ring {
    /// What each body asks for.
    pub(crate) operation: Operation,
    /// Where the records come from.
    pub(crate) records: Records,
    /// Number of bodies.
    pub(crate) bodies: u32,
}

impl Ring {
    /// Whole requests to the server of `renderer`, in the order of the bodies.
    ///
    /// # Errors
    /// As [`Renderer::new`]; and if there is not enough memory for the file of large requests.
    pub(crate) fn requests(&self, renderer: &Renderer) -> Result<Vec<Request>> {
        let memory = rustix::fs::memfd_create("requests", rustix::fs::MemfdFlags::CLOEXEC)?;
        let file = Arc::new(File::from(memory));
        let mut at = 0;
        let mut requests = Vec::with_capacity(self.bodies as usize);
        for index in 0..self.bodies as usize {
            let body = put_body(self.operation, &self.records, self.first_serial(index));
            let bytes = renderer.kinesis(wire_name(self.operation), &body)?;
            if bytes.len() < LARGE {
                requests.push(Request::Memory(bytes));
                continue;
            }
            file.write_all_at(&bytes, at)?;
            requests.push(Request::File { file: Arc::clone(&file), at, len: bytes.len() });
            at += bytes.len() as u64;
        }
        Ok(requests)
    }

    /// The serial number of the first record of body `index`.
    pub(crate) fn first_serial(&self, index: usize) -> u64 {
        index as u64 * u64::from(self.operation.records())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_ring_holds_distinct_valid_bodies_with_a_true_hash() {
        let records = Records { seed: 3, data_bytes: 100 };
        let renderer = Renderer::new("127.0.0.1:4567").unwrap();
        for operation in
            [Operation::PutRecords { records: 5 }, Operation::PutRecords { records: 200 }, Operation::PutRecord]
        {
            let ring = Ring { operation, records, bodies: 16 };
            let mut keys = HashSet::new();
            for (index, request) in ring.requests(&renderer).unwrap().iter().enumerate() {
                let bytes = match request {
                    Request::Memory(bytes) => bytes.to_vec(),
                    Request::File { file, at, len } => {
                        let mut bytes = vec![0; *len];
                        file.read_exact_at(&mut bytes, *at).unwrap();
                        bytes
                    }
                };
                assert_eq!(matches!(request, Request::File { .. }), operation.records() == 200);
                let text = std::str::from_utf8(&bytes).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let header = |name: &str| {
                    let line = head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
                    line.unwrap_or_else(|| panic!("{name} is missing"))
                };
                assert_eq!(header("content-length"), body.len().to_string());
                assert_eq!(header("x-amz-content-sha256"), hex(&Sha256::digest(body)));
                assert_eq!(header("x-amz-target"), format!("Kinesis_20131202.{}", wire_name(operation)));

                let json: serde_json::Value = serde_json::from_str(body).unwrap();
                assert_eq!(json["StreamName"], STREAM);
                let entries = match operation {
                    Operation::PutRecords { .. } => json["Records"].as_array().unwrap().clone(),
                    Operation::PutRecord => vec![json.clone()],
                };
                assert_eq!(entries.len(), operation.records() as usize);
                for (serial, entry) in (ring.first_serial(index)..).zip(&entries) {
                    let key = entry["PartitionKey"].as_str().unwrap();
                    let data = base64_simd::STANDARD.decode_to_vec(entry["Data"].as_str().unwrap()).unwrap();
                    assert_eq!(records.recognise(key, &data), Ok(serial));
                    assert!(keys.insert(key.to_owned()));
                }
            }
            assert_eq!(keys.len(), 16 * operation.records() as usize);
        }
    }

    #[test]
    fn hmac_and_hex_agree_with_rfc_4231() {
        let mac = hmac(b"Jefe", b"what do ya want for nothing?").unwrap();
        assert_eq!(hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn the_signature_depends_on_the_body_the_operation_and_the_time() {
        let renderer = Renderer::at("h:1", "20260102T030405Z".into()).unwrap();
        let later = Renderer::at("h:1", "20260102T030406Z".into()).unwrap();
        let signatures = [
            renderer.authorization(Api::Kinesis, "a", "00").unwrap(),
            renderer.authorization(Api::Kinesis, "a", "01").unwrap(),
            renderer.authorization(Api::Kinesis, "b", "00").unwrap(),
            later.authorization(Api::Kinesis, "a", "00").unwrap(),
            renderer.authorization(Api::Firehose, "a", "00").unwrap(),
        ];
        assert_eq!(signatures.iter().collect::<HashSet<_>>().len(), 5);
        assert!(signatures[0].contains("Credential=000000000000/20260102/us-east-1/kinesis/aws4_request"));
    }
}
