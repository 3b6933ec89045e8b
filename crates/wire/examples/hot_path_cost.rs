//! Prints what the hot paths cost: scanning and decoding `PutRecords`, its reply, a page of `GetRecords`. Asserts
//! nothing about time.
//!
//! `cargo run --release -p levada-wire --example hot_path_cost`

// It measures real time.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use levada_wire::codec::Writer;
use levada_wire::kinesis::get_records::GetRecordsHead;
use levada_wire::kinesis::records::encoded_bytes;
use levada_wire::kinesis::{self, put_records};
use levada_wire::{KinesisOp, Protocol};

fn best_of(rounds: u32, mut run: impl FnMut()) -> Duration {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn main() {
    for (bytes, key) in [(100, "user-12345678"), (1024, "user-12345678"), (1024, "0123456789abcdef0123456789abcdef")] {
        let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; bytes]);
        let entry = format!(r#"{{"Data": "{data}", "PartitionKey": "{key}"}}"#);
        let body = format!(r#"{{"Records": [{}], "StreamName": "stream"}}"#, vec![entry; 500].join(", "));
        let request = put_records::scan(Protocol::Json, body.as_bytes()).unwrap();
        let scan = best_of(500, || {
            black_box(put_records::scan(Protocol::Json, black_box(body.as_bytes())));
        });
        let mut out = Vec::with_capacity(600 * bytes);
        let decode = best_of(200, || {
            out.clear();
            for entry in &request.records {
                entry.data.decode_append(&mut out).unwrap();
            }
        });
        let generic = best_of(20, || {
            black_box(put_records::decode_strict(Protocol::Json, black_box(body.as_bytes()))).unwrap();
        });
        println!(
            "500 records of {bytes} B, keys of {} B, body {} KiB: scan {scan:?}, decode {decode:?}, generic {generic:?}",
            key.len(),
            body.len() / 1024
        );
    }

    let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; 100]);
    for stream in
        [r#""StreamName": "stream""#, r#""StreamARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/stream""#]
    {
        let body = format!(r#"{{"Data": "{data}", "PartitionKey": "user-12345678", {stream}}}"#);
        let one = best_of(5_000, || {
            black_box(kinesis::decode(KinesisOp::PutRecord, Protocol::Json, black_box(body.as_bytes()))).unwrap();
        });
        println!("PutRecord of 100 B with {stream}: {one:?}");
    }

    for bytes in [100, 1024] {
        let body = cbor_put_records(bytes);
        let decode = best_of(500, || {
            black_box(put_records::scan(Protocol::Cbor, black_box(&body))).unwrap();
        });
        let generic = best_of(20, || {
            black_box(put_records::decode_strict(Protocol::Cbor, black_box(&body))).unwrap();
        });
        println!("500 records of {bytes} B in CBOR: in place {decode:?}, generic {generic:?}");
    }

    for protocol in [Protocol::Json, Protocol::Cbor] {
        replies(protocol);
    }
}

/// A call as the Java SDK writes it.
fn cbor_put_records(bytes: usize) -> Vec<u8> {
    let mut out = Writer::new(Protocol::Cbor);
    out.begin_object();
    out.key("Records");
    out.begin_array();
    for _ in 0..500 {
        out.begin_object();
        out.key("Data");
        out.blob(&vec![b'x'; bytes]);
        out.key("PartitionKey");
        out.string("user-12345678");
        out.end_object();
    }
    out.end_array();
    out.key("StreamName");
    out.string("stream");
    out.end_object();
    out.into_bytes()
}

fn replies(protocol: Protocol) {
    let number = [b'4'; 56];
    let reply = best_of(500, || {
        let mut reply = put_records::PutRecordsReply::new(protocol, None, 0, 500);
        for _ in 0..500 {
            reply.stored(black_box(&number), "shardId-000000000000");
        }
        black_box(reply.finish());
    });
    println!("PutRecords reply of 500 records in {protocol:?}: {reply:?}");
    for (records, bytes) in [(10_000, 100), (1_000, 10_240)] {
        let data = vec![b'x'; bytes];
        let page = best_of(20, || {
            let capacity = encoded_bytes(protocol, records, records * (bytes + 13));
            let mut page = GetRecordsHead::default().begin(protocol, capacity);
            for _ in 0..records {
                page.record(1_789_779_944_662, black_box(&data), b"user-12345678", &number);
            }
            black_box(page.finish());
        });
        println!("GetRecords page of {records} records of {bytes} B in {protocol:?}: {page:?}");
    }
}
