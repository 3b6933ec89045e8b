//! Records that are read as they were written, by this release and by earlier ones.

use levada_core::engine::LogId;
use proptest::prelude::*;

use super::*;
use crate::config::{Compression, Delimiter};
use crate::record::{ErrorType, Partition};

/// What a release wrote that knew version 1.
const VERSION_1: [&str; 6] = [
    r#"{"type":"Open","worker":7}"#,
    r#"{"type":"Cut","id":0,"from":0,"to":9,"bytes":90,"config_version":1,"compression":"GZIP","objects":[{"bucket":"lake","key":"a"}],"oldest_arrival":5,"due":6,"created":7}"#,
    r#"{"type":"Lost","from":9,"to":12,"reason":"corrupt"}"#,
    r#"{"type":"Done","id":0,"lost":1}"#,
    r#"{"type":"Snapshot","next_id":2,"cut_to":20,"open":[{"id":1,"from":12,"to":20,"bytes":80,"config_version":1,"compression":"UNCOMPRESSED","objects":[{"bucket":"lake","key":"b"}],"oldest_arrival":5,"due":6,"created":7}],"worker":7}"#,
    r#"{"type":"Abandoned","id":1,"records":8,"reason":"away"}"#,
];

#[test]
fn records_of_version_1_are_read() {
    let mut state = State::default();
    let mut seen = Vec::new();
    for json in VERSION_1 {
        state.fold(decode(&[&[1], json.as_bytes()].concat()).unwrap());
        seen.push((state.next_id, state.cut_to, state.open.len()));
    }
    assert_eq!(seen, [(0, 0, 0), (1, 9, 1), (1, 12, 1), (1, 12, 0), (2, 20, 1), (2, 20, 0)]);
    let cut = decode(&[&[1], VERSION_1[1].as_bytes()].concat()).unwrap();
    let Record::Cut(cut) = cut else { panic!("{cut:?}") };
    assert_eq!((cut.lane, cut.records(), cut.delimiter, cut.parcel), (LaneId::Main, 9, Delimiter::None, None));
}

#[test]
fn what_is_not_known_is_refused() {
    for bytes in [&b""[..], b"\x03{}", b"\x02{}", b"\x02", b"\x02{\"type\":\"Later\"}"] {
        assert!(matches!(decode(bytes), Err(ControlError::Unreadable(_))), "{bytes:?}");
    }
}

fn lane() -> impl Strategy<Value = LaneId> {
    prop_oneof![Just(LaneId::Main), Just(LaneId::Backup), (100u64..104).prop_map(|id| LaneId::Slot(LogId(id)))]
}

fn routed() -> impl Strategy<Value = Routed> {
    let partition = ("[a-c\"\\\\é]{0,3}", any::<bool>()).prop_map(|(value, query)| {
        let keys = vec![("p".to_owned(), value)];
        let (query, lambda) = if query { (keys, Vec::new()) } else { (Vec::new(), keys) };
        Routed::Partition(Partition { query, lambda })
    });
    prop_oneof![
        Just(Routed::Plain),
        partition,
        (0u8..6).prop_map(|code| Routed::Error(ErrorType::from_code(code).unwrap())),
    ]
}

fn cut() -> impl Strategy<Value = Cut> {
    let delimiter = prop_oneof![Just(Delimiter::None), Just(Delimiter::Lines), ".{0,3}".prop_map(Delimiter::Between)];
    (lane(), 0u64..50, 1u64..50, delimiter, any::<Option<[u8; 16]>>()).prop_map(
        |(lane, from, records, delimiter, parcel)| Cut {
            id: from,
            lane,
            from,
            to: from + records + 1,
            records,
            bytes: 3,
            config_version: 4,
            compression: Compression::Zip,
            delimiter,
            parcel,
            objects: vec![ObjectName { bucket: "b".into(), key: "k".into() }],
            oldest_arrival: 5,
            due: 6,
            created: 7,
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let slot = || (100u64..104).prop_map(LogId);
    prop_oneof![
        any::<u64>().prop_map(|worker| Record::Open { worker }),
        cut().prop_map(Record::Cut),
        (0u64..50, 0u64..3).prop_map(|(id, lost)| Record::Done { id, lost }),
        (0u64..50, 0u64..3).prop_map(|(id, records)| Record::Abandoned { id, records, reason: "r".into() }),
        (lane(), 0u64..50).prop_map(|(lane, to)| Record::Lost { lane, from: 0, to, reason: "r".into() }),
        (slot(), routed(), 0u64..50).prop_map(|(slot, lane, from)| Record::Assign { slot, lane, from }),
        (slot(), 0u64..50).prop_map(|(slot, sorted)| Record::Release { slot, sorted }),
        (0u64..50).prop_map(|to| Record::Sorted { to }),
        any::<Option<u64>>().prop_map(|from| Record::Backup { from }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_and_a_snapshot_takes_its_place(records in proptest::collection::vec(record(), 0..30)) {
        let (mut state, mut read) = (State::default(), State::default());
        for record in records {
            let (batch, _) = encode(std::slice::from_ref(&record)).unwrap();
            let batch = batch.unwrap();
            let again = decode(batch.records().next().unwrap().data).unwrap();
            prop_assert_eq!(&again, &record);
            state.fold(record);
            read.fold(again);
        }
        prop_assert_eq!(&read, &state);
        let (batch, _) = encode(&[Record::Snapshot(state.clone())]).unwrap();
        let snapshot = decode(batch.unwrap().records().next().unwrap().data).unwrap();
        prop_assert_eq!(snapshot, Record::Snapshot(state));
    }
}
