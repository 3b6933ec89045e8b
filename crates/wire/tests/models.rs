//! Holds the generated tables to the services' published models, where `LEVADA_API_MODELS` names a directory with
//! `kinesis.json` and `firehose.json` (botocore's `service-2.json`). `cargo xtask test` sets it; without it the test
//! says so and checks nothing.

// A test reads real files and may unwrap.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeSet;

use levada_wire::model::{Bounds, Kind, Shape};
use levada_wire::operation::{FirehoseOp, KinesisOp, Operation, Service};
use serde_json::Value;

#[test]
fn the_tables_are_the_models() {
    let Some(dir) = std::env::var_os("LEVADA_API_MODELS") else {
        println!("NOT RUN: LEVADA_API_MODELS is not set");
        return;
    };
    let kinesis = KinesisOp::ALL.iter().copied().map(Operation::Kinesis).collect::<Vec<_>>();
    let firehose = FirehoseOp::ALL.iter().copied().map(Operation::Firehose).collect::<Vec<_>>();
    for (service, operations) in [(Service::Kinesis, kinesis), (Service::Firehose, firehose)] {
        let path = std::path::Path::new(&dir).join(format!("{}.json", service.name()));
        let model: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(model["metadata"]["targetPrefix"], service.target_prefix());
        let published: BTreeSet<&String> = model["operations"].as_object().unwrap().keys().collect();
        assert_eq!(
            operations.iter().map(|op| op.name()).collect::<BTreeSet<_>>(),
            published.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>()
        );
        let mut seen = BTreeSet::new();
        for operation in operations {
            assert_eq!(model["operations"][operation.name()]["input"]["shape"], operation.input().name);
            compare(operation.input(), &model["shapes"], &mut seen);
        }
        println!("{}: {} shapes compared", service.name(), seen.len());
        assert!(seen.len() > 100);
    }
}

fn compare(shape: &'static Shape, shapes: &Value, seen: &mut BTreeSet<&'static str>) {
    if !seen.insert(shape.name) {
        return;
    }
    let model = &shapes[shape.name];
    let kind = model["type"].as_str().unwrap();
    let length = |bounds: &Bounds<u32>| {
        let whole = Bounds { min: bounds.min.map(i64::from), max: bounds.max.map(i64::from) };
        assert_eq!(whole, bounds_of(model), "{}", shape.name);
    };
    match &shape.kind {
        Kind::String { length: bounds, pattern, values } => {
            assert_eq!(kind, "string");
            length(bounds);
            assert_eq!(pattern.map(|pattern| pattern.text()), model["pattern"].as_str(), "{}", shape.name);
            let published = model["enum"].as_array().into_iter().flatten();
            assert_eq!(*values, published.map(|value| value.as_str().unwrap()).collect::<Vec<_>>());
        }
        Kind::Integer(bounds) => assert_eq!((kind, *bounds), ("integer", bounds_of(model)), "{}", shape.name),
        Kind::Long(bounds) => assert_eq!((kind, *bounds), ("long", bounds_of(model)), "{}", shape.name),
        Kind::Double(bounds) => {
            assert_eq!(kind, "double");
            assert_eq!((bounds.min, bounds.max), (model["min"].as_f64(), model["max"].as_f64()), "{}", shape.name);
        }
        Kind::Boolean => assert_eq!(kind, "boolean"),
        Kind::Timestamp => assert_eq!(kind, "timestamp"),
        Kind::Blob(bounds) => {
            assert_eq!(kind, "blob");
            length(bounds);
        }
        Kind::List { member, length: bounds } => {
            assert_eq!(kind, "list");
            length(bounds);
            assert_eq!(model["member"]["shape"], member.name);
            compare(member, shapes, seen);
        }
        Kind::Map { key, value, length: bounds } => {
            assert_eq!(kind, "map");
            length(bounds);
            assert_eq!((&model["key"]["shape"], &model["value"]["shape"]), (&key.name.into(), &value.name.into()));
            compare(key, shapes, seen);
            compare(value, shapes, seen);
        }
        Kind::Structure(members) => {
            assert_eq!(kind, "structure");
            let published = model["members"].as_object().unwrap();
            assert_eq!(members.len(), published.len(), "{}", shape.name);
            let required: BTreeSet<&str> =
                model["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
            for member in *members {
                assert_eq!(published[member.name]["shape"], member.shape.name, "{}.{}", shape.name, member.name);
                assert_eq!(member.required, required.contains(member.name), "{}.{}", shape.name, member.name);
                compare(member.shape, shapes, seen);
            }
        }
    }
}

fn bounds_of(model: &Value) -> Bounds<i64> {
    Bounds { min: model["min"].as_i64(), max: model["max"].as_i64() }
}
