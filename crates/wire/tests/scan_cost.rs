//! Prints what scanning and decoding a `PutRecords` body costs; asserts nothing about time.
//!
//! `cargo test --release -p levada-wire --test scan_cost -- --ignored --nocapture`

// It measures real time.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use levada_wire::kinesis::put_records;

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

#[test]
#[ignore = "prints figures, checks nothing"]
fn what_a_scan_costs() {
    for (bytes, key) in [(100, "user-12345678"), (1024, "user-12345678"), (1024, "0123456789abcdef0123456789abcdef")] {
        let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; bytes]);
        let entry = format!(r#"{{"Data": "{data}", "PartitionKey": "{key}"}}"#);
        let body = format!(r#"{{"Records": [{}], "StreamName": "stream"}}"#, vec![entry; 500].join(", "));
        let request = put_records::scan(body.as_bytes()).unwrap();
        let scan = best_of(500, || {
            black_box(put_records::scan(black_box(body.as_bytes())));
        });
        let mut out = Vec::with_capacity(600 * bytes);
        let decode = best_of(200, || {
            out.clear();
            for entry in &request.records {
                entry.data.decode_append(&mut out).unwrap();
            }
        });
        let generic = best_of(20, || {
            black_box(put_records::decode_strict(black_box(body.as_bytes()))).unwrap();
        });
        println!(
            "500 records of {bytes} B, keys of {} B, body {} KiB: scan {scan:?}, decode {decode:?}, generic {generic:?}",
            key.len(),
            body.len() / 1024
        );
    }
}
