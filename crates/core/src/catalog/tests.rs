use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::batch::{Batch, MAX_BATCH_BYTES};
use crate::engine::{LogSpec, Millis, Offset};
use crate::shard::{Shard, ShardId};

mod consumers;
mod deliveries;
mod random;
mod reshard;
mod settings;
mod world;

const NOW: Millis = 1_800_000_000_000;

/// Small numbers, each another, so that a test that reaches one reaches no other.
const QUOTAS: Quotas = Quotas {
    creating_streams: 3,
    on_demand_streams: 2,
    shards: |region| if region == "us-east-1" { 20 } else { 5 },
    consumers: 6,
    advantage_consumers: 7,
    creating_consumers: 4,
    mode_switches: 2,
    encryption_changes: 5,
    shard_count_updates: 3,
    delivery_streams: |region| if region == "us-east-1" { 8 } else { 2 },
    delivery_encryption_changes: 9,
};

fn update(name: &str, update: StreamUpdate) -> Command {
    Command::UpdateStream { scope: scope(), name: name.into(), update }
}

fn account() -> Account {
    Account::new("123456789012").unwrap()
}

fn scope() -> Scope {
    Scope::new(account(), "us-east-1")
}

fn create(name: &str, shards: u32) -> Command {
    Command::CreateStream(new_stream(name, Some(shards)))
}

fn new_stream(name: &str, shard_count: Option<u32>) -> NewStream {
    NewStream {
        scope: scope(),
        name: name.into(),
        mode: None,
        shard_count,
        max_record_kib: None,
        warm_mibps: None,
        distribution: None,
        tags: BTreeMap::new(),
    }
}

fn delete(name: &str) -> Command {
    Command::DeleteStream { scope: scope(), name: name.into(), enforce_consumer_deletion: false }
}

fn destination() -> Destination {
    let mut bucket =
        BucketSettings::new("arn:aws:s3:::flights".to_owned(), "arn:aws:iam::123456789012:role/firehose".to_owned());
    bucket.prefix = Some("p/".to_owned());
    bucket.compression = Compression::Gzip;
    Destination::S3(S3Destination {
        extended: true,
        bucket,
        file_extension: None,
        time_zone: None,
        processing: None,
        partitioning: None,
        conversion: None,
        backup_enabled: false,
        backup: None,
    })
}

fn new_delivery(name: &str) -> NewDeliveryStream {
    NewDeliveryStream {
        scope: scope(),
        name: name.into(),
        source: Source::default(),
        destination: destination(),
        encryption: None,
        tags: BTreeMap::new(),
    }
}

fn create_delivery(name: &str) -> Command {
    Command::CreateDeliveryStream(new_delivery(name))
}

fn delete_delivery(name: &str) -> Command {
    Command::DeleteDeliveryStream { scope: scope(), name: name.into() }
}

/// The command that follows on what is unfinished, if every log ended with its floor.
fn then(unfinished: &Unfinished) -> Command {
    match &unfinished.work {
        Work::CreateLogs { then, .. } | Work::DeleteLogs { then, .. } | Work::Nothing { then } => then.clone(),
        Work::Seal(seal) => seal.after(&vec![0; seal.parents.len()]).1,
    }
}

/// A catalog as a node keeps it: the live state, and the records of its log with the offset of the first.
struct Node {
    rules: Rules,
    state: State,
    first: Offset,
    records: Vec<Vec<u8>>,
}

impl Default for Node {
    fn default() -> Self {
        Self { rules: Rules::INSTANT, state: State::default(), first: 0, records: Vec::new() }
    }
}

impl Node {
    fn of(lifecycle: Lifecycle, quotas: Option<Quotas>) -> Self {
        Self { rules: Rules { lifecycle, quotas }, ..Self::default() }
    }

    fn stream(&self, name: &str) -> Arc<Stream> {
        self.state.stream(&scope(), name).unwrap().clone()
    }

    /// Does what is due by `now`, in order, until nothing is.
    fn due(&mut self, now: Millis) {
        while let Some(unfinished) = self.state.unfinished_by(now).first() {
            self.run(now, &then(unfinished)).unwrap().unwrap();
        }
    }

    fn run(&mut self, now: Millis, command: &Command) -> Result<Option<Event>, DomainError> {
        let event = decide(&self.state, now, &self.rules, command)?;
        if let Some(event) = &event {
            self.records.push(Entry { at: now, event: event.clone() }.encode());
            fold(&mut self.state, event).unwrap();
        }
        Ok(event)
    }

    /// Runs the command and whatever it leaves unfinished.
    fn complete(&mut self, now: Millis, command: &Command) {
        self.run(now, command).unwrap();
        for unfinished in self.state.unfinished() {
            self.run(now, &then(&unfinished)).unwrap();
        }
    }

    fn append(&mut self, batches: &[Batch]) {
        for batch in batches {
            self.records.extend(batch.records().map(|record| record.data.to_vec()));
        }
    }

    fn trim(&mut self, before: Offset) {
        self.records.drain(..usize::try_from(before - self.first).unwrap());
        self.first = before;
    }

    fn end(&self) -> Offset {
        self.first + self.records.len() as u64
    }

    fn replay(&self) -> Result<Replayed, ReplayError> {
        let mut replayer = Replayer::new(self.first);
        for (offset, data) in (self.first..).zip(&self.records) {
            replayer.record(offset, data)?;
        }
        replayer.finish()
    }
}

#[test]
fn refusals() {
    let mut node = Node::default();
    node.complete(NOW, &create("active", 1));
    node.complete(NOW, &create("deleting", 1));
    node.run(NOW, &delete("deleting")).unwrap();
    node.run(NOW, &create("creating", 1)).unwrap();
    node.run(NOW, &create_delivery("creating")).unwrap();

    let with = |mode, shard_count, tags| {
        Command::CreateStream(NewStream { mode: Some(mode), tags, ..new_stream("new", shard_count) })
    };
    let no_tags = BTreeMap::new;
    let tags = |n: usize| (0..n).map(|i| (format!("k{i}"), String::new())).collect::<BTreeMap<_, _>>();
    let system = BTreeMap::from([("aws:x".to_owned(), String::new())]);
    let (provisioned, on_demand) = (StreamMode::Provisioned, StreamMode::OnDemand);
    let name = Arc::<str>::from;
    let not_active = |text, status| DomainError::StreamNotActive { name: name(text), account: account(), status };
    let rows = [
        (create("active", 0), DomainError::StreamExists { name: name("active"), account: account() }),
        (create("creating", 1), DomainError::StreamExists { name: name("creating"), account: account() }),
        (create("deleting", 1), DomainError::StreamExists { name: name("deleting"), account: account() }),
        (with(provisioned, None, no_tags()), DomainError::ShardCountMissing),
        (with(provisioned, Some(0), no_tags()), DomainError::ShardCountZero),
        (with(on_demand, Some(4), no_tags()), DomainError::ShardCountOnDemand),
        (
            with(provisioned, Some(20_001), no_tags()),
            DomainError::ShardLimit { scope: scope(), current: 3, limit: 20_000, requested: 20_001 },
        ),
        (with(on_demand, None, system), DomainError::SystemTag),
        (
            with(on_demand, None, tags(51)),
            DomainError::TooManyTags {
                arn: "arn:aws:kinesis:us-east-1:123456789012:stream/new".to_owned(),
                account: account(),
            },
        ),
        (delete("none"), DomainError::StreamNotFound { name: name("none"), account: account() }),
        (delete("creating"), not_active("creating", StreamStatus::Creating)),
        (delete("deleting"), not_active("deleting", StreamStatus::Deleting)),
        (create_delivery("creating"), DomainError::DeliveryStreamExists { name: name("creating"), account: account() }),
        (delete_delivery("none"), DomainError::DeliveryStreamNotFound { name: name("none"), account: account() }),
        (
            delete_delivery("creating"),
            DomainError::DeliveryStreamBusy {
                name: name("creating"),
                account: account(),
                status: DeliveryStatus::Creating,
            },
        ),
    ];
    for (command, refusal) in rows {
        assert_eq!(decide(&node.state, NOW, &node.rules, &command), Err(refusal), "{command:?}");
    }
    let fifty = with(on_demand, None, tags(50));
    assert!(decide(&node.state, NOW, &node.rules, &fifty).is_ok());
}

#[test]
fn a_stream_lives_and_its_next_life_repeats_nothing() {
    let mut node = Node::default();
    node.run(NOW, &create("s", 3)).unwrap();
    let stream = node.state.stream(&scope(), "s").unwrap().clone();
    assert_eq!((stream.status, stream.shards.open_count()), (StreamStatus::Creating, 3));
    assert!(node.state.usable_stream(&scope(), "s").is_err());
    let unfinished = node.state.unfinished();
    let [Unfinished { due: 0, work: Work::CreateLogs { then: command, logs } }] = &unfinished[..] else { panic!() };
    let logs: Vec<_> = logs.iter().map(|log| (log.id.0, log.class, log.floor)).collect();
    assert_eq!(logs, [(16, 24, NOW), (17, 24, NOW), (18, 24, NOW)]);

    node.run(NOW, command).unwrap();
    assert_eq!(node.run(NOW, command), Ok(None));
    assert!(node.state.usable_stream(&scope(), "s").is_ok());
    assert_eq!(node.state.unfinished(), []);

    node.run(NOW, &delete("s")).unwrap();
    assert!(node.state.usable_stream(&scope(), "s").is_err());
    let unfinished = node.state.unfinished();
    let [Unfinished { due: 0, work: Work::DeleteLogs { then: command, logs } }] = &unfinished[..] else { panic!() };
    assert_eq!(logs.iter().map(|log| log.0).collect::<Vec<_>>(), [16, 17, 18]);
    node.run(NOW, command).unwrap();
    assert_eq!(
        node.state.stream(&scope(), "s").err().map(|error| error.to_string()).as_deref(),
        Some("stream s under account 123456789012 not found")
    );

    // Again in the same second, then with the clock a day back: every shard's second of creation is later.
    for (now, secs) in [(NOW, NOW / 1000 + 1), (NOW - 86_400_000, NOW / 1000 + 2), (NOW + 9_000, NOW / 1000 + 9)] {
        node.complete(now, &create("s", 1));
        let again = node.state.stream(&scope(), "s").unwrap().clone();
        let shard = again.shards.get(ShardId(0)).unwrap();
        assert_eq!((shard.created_secs, shard.floor, again.created_ms), (secs, now, now));
        assert!(again.incarnation > stream.incarnation && shard.log.0 > 18);
        assert_eq!(node.state.stream_incarnation(&stream.key()), None);
        assert_eq!(node.run(now, &Command::FinishStream(stream.key())), Ok(None));
        node.complete(now, &delete("s"));
    }
}

#[test]
fn a_delivery_stream_may_fail_and_be_deleted_again() {
    let mut node = Node::default();
    node.run(NOW, &create_delivery("d")).unwrap();
    let stream = node.state.delivery_stream(&scope(), "d").unwrap().clone();
    assert_eq!(stream.arn(), "arn:aws:firehose:us-east-1:123456789012:deliverystream/d");
    assert_eq!(
        (stream.destination.buckets().map(BucketSettings::bucket).collect::<Vec<_>>(), stream.version),
        (vec!["flights"], 1)
    );
    let fail = Command::FailDeliveryStream { key: stream.key(), reason: "no disk".to_owned() };
    let status = |node: &Node| {
        let stream = node.state.delivery_stream(&scope(), "d").unwrap();
        (stream.status, stream.failure.clone(), node.state.unfinished().len())
    };
    let failure = Some("no disk".to_owned());
    node.run(NOW, &fail).unwrap();
    assert_eq!(status(&node), (DeliveryStatus::CreatingFailed, failure.clone(), 0));
    assert_eq!(node.run(NOW, &fail), Ok(None));
    node.run(NOW, &delete_delivery("d")).unwrap();
    assert_eq!(status(&node), (DeliveryStatus::Deleting, None, 1));
    assert_eq!(node.run(NOW, &delete_delivery("d")), Ok(None));
    node.run(NOW, &fail).unwrap();
    assert_eq!(status(&node), (DeliveryStatus::DeletingFailed, failure, 0));
    node.complete(NOW, &delete_delivery("d"));
    assert!(node.state.delivery_stream(&scope(), "d").is_err());
    assert_eq!(node.state.delivery_streams_after(&scope(), None).count(), 0);
}

#[test]
fn names_are_listed_in_order_and_only_in_their_scope() {
    let mut node = Node::default();
    for name in ["b", "a", "d", "c"] {
        node.complete(NOW, &create(name, 1));
        node.complete(NOW, &create_delivery(name));
    }
    let elsewhere = Scope::new(account(), "eu-west-1");
    let list = |scope: &Scope, after| -> Vec<String> {
        let streams: Vec<_> = node.state.streams_after(scope, after).map(|s| s.name.to_string()).collect();
        let others: Vec<_> = node.state.delivery_streams_after(scope, after).map(|s| s.name.to_string()).collect();
        assert_eq!(streams, others);
        streams
    };
    assert_eq!(list(&scope(), None), ["a", "b", "c", "d"]);
    assert_eq!(list(&scope(), Some("b")), ["c", "d"]);
    assert_eq!(list(&scope(), Some("bb")), ["c", "d"]);
    assert_eq!(list(&scope(), Some("d")), [""; 0]);
    assert_eq!(list(&elsewhere, None), [""; 0]);
}

/// One record of each form, as version 1 wrote it. They must be readable for ever.
#[test]
fn records_of_version_1_are_read() {
    let created = r#"{"v":1,"at":1800000000000,"event":{"StreamCreated":{"incarnation":1,"scope":{"account":"123456789012","region":"us-east-1"},"name":"s","status":"Creating","mode":"Provisioned","retention_hours":24,"max_record_kib":1024,"tags":{},"created_ms":1800000000000,"shards":[{"i":0,"r":["0","340282366920938463463374607431768211455"],"s":1800000000,"l":16,"f":1800000000000}]}}}"#;
    let active = r#"{"v":1,"at":1800000000001,"event":{"StreamBecameActive":{"scope":{"account":"123456789012","region":"us-east-1"},"name":"s","incarnation":1}}}"#;
    let delivery = r#"{"v":1,"at":1800000000002,"event":{"DeliveryStreamCreated":{"incarnation":2,"scope":{"account":"123456789012","region":"us-east-1"},"name":"d","status":"Creating","created_ms":1800000000002,"version":1,"destination":{"extended":true,"bucket_arn":"arn:aws:s3:::flights","role_arn":"arn:aws:iam::123456789012:role/firehose","prefix":"p/","buffering":{"size_mb":5,"interval_secs":300},"compression":"Gzip"},"data_log":17,"control_log":18,"tags":{}}}}"#;
    let noted = r#"{"v":1,"at":1800000000003,"event":{"ClockNoted":1800000000003}}"#;
    let mut replayer = Replayer::new(0);
    for (offset, record) in (0..).zip([created, active, delivery, noted]) {
        replayer.record(offset, record.as_bytes()).unwrap();
    }
    let old = replayer.finish().unwrap().state;

    let mut node = Node::default();
    node.run(NOW, &create("s", 1)).unwrap();
    node.run(NOW + 1, &Command::FinishStream(node.state.stream(&scope(), "s").unwrap().key())).unwrap();
    node.run(NOW + 2, &create_delivery("d")).unwrap();
    assert_eq!(node.state.clock_noted(), None);
    node.run(NOW + 3, &Command::NoteClock).unwrap();
    assert_eq!(node.run(NOW + 3, &Command::NoteClock), Ok(None));
    assert_eq!(node.state.clock_noted(), Some(NOW + 3));
    assert_eq!(node.replay().unwrap().state, node.state);
    // Version 3 writes the same for what version 1 knew, but for the kind of a destination, and a delivery stream has
    // more logs.
    let written: Vec<_> = node.records.iter().map(|data| std::str::from_utf8(data).unwrap()).collect();
    let of_version_3 = |record: &str| record.replacen(r#"{"v":1"#, r#"{"v":3"#, 1);
    let more = of_version_3(delivery)
        .replace(r#""destination":{"#, r#""destination":{"S3":{"#)
        .replace(r#""Gzip"}"#, r#""Gzip"}}"#)
        .replace(r#""control_log":18"#, r#""control_log":18,"block":{"first":19,"count":512}"#);
    assert_eq!(written, [of_version_3(created), of_version_3(active), more, of_version_3(noted)]);

    // The old one gets them at the next start, and is then what the new one is.
    let mut start = Node { state: old, ..Node::default() };
    let stream = start.state.delivery_stream(&scope(), "d").unwrap().clone();
    assert_eq!(stream.logs().collect::<Vec<_>>(), [LogId(17), LogId(18)]);
    start.run(NOW + 4, &Command::AssignLogBlock(stream.key())).unwrap().unwrap();
    assert_eq!(start.run(NOW + 4, &Command::AssignLogBlock(stream.key())), Ok(None));
    assert_eq!(start.state, node.state);
    assert_eq!(start.state.delivery_stream(&scope(), "d").unwrap().logs().count(), 514);

    let snapshot = concat!(
        r#"{"v":1,"at":5,"snapshot":{"part":0,"parts":1}}"#,
        "\n",
        r#"{"next_log":40,"next_incarnation":7,"clock_noted":3,"last_created_secs":[[{"account":"123456789012","region":"us-east-1"},{"s":9}]],"streams":[],"delivery_streams":[]}"#
    );
    let mut replayer = Replayer::new(100);
    replayer.record(100, snapshot.as_bytes()).unwrap();
    let Replayed { state, next, last_at, .. } = replayer.finish().unwrap();
    assert_eq!((state.next_log, state.next_incarnation, next, last_at), (40, 7, 101, 5));
    let batches = snapshot_batches(&state, 5);
    let rewritten = snapshot.replacen(r#"{"v":1"#, r#"{"v":3"#, 1);
    assert_eq!(batches[0].records().next().unwrap().data, rewritten.as_bytes());
}

#[test]
fn records_that_cannot_be_trusted_stop_the_replay() {
    let key = r#"{"scope":{"account":"123456789012","region":"r"},"name":"s","incarnation":1}"#;
    let gone = format!(r#"{{"v":1,"at":1,"event":{{"StreamGone":{key}}}}}"#);
    let overlapping = r#"{"v":1,"at":1,"event":{"StreamCreated":{"incarnation":1,"scope":{"account":"123456789012","region":"r"},"name":"s","status":"Creating","mode":"Provisioned","retention_hours":24,"max_record_kib":1024,"tags":{},"created_ms":1,"shards":[{"i":0,"r":["0","5"],"s":1,"l":16,"f":1}]}}}"#;
    type Expected = fn(&ReplayError) -> bool;
    let rows: [(&[u8], Expected); 9] = [
        (br#"{"v":4,"at":1,"event":"StreamMoved"}"#, |e| matches!(e, ReplayError::Version { offset: 0, version: 4 })),
        (br#"{"v":4,"other":"shape"}"#, |e| matches!(e, ReplayError::Version { version: 4, .. })),
        (br#"{"v":0,"other":"shape"}"#, |e| matches!(e, ReplayError::Version { version: 0, .. })),
        (b"", |e| matches!(e, ReplayError::Malformed { .. })),
        (br#"{"v":1,"at":1}"#, |e| matches!(e, ReplayError::Malformed { .. })),
        (br#"{"v":1,"at":1,"event":{"StreamMoved":{}}}"#, |e| matches!(e, ReplayError::Malformed { .. })),
        (br#"{"v":1,"at":1,"snapshot":{"part":0,"parts":1}}"#, |e| matches!(e, ReplayError::Malformed { .. })),
        (gone.as_bytes(), |e| matches!(e, ReplayError::Contradiction { offset: 0, .. })),
        (overlapping.as_bytes(), |e| matches!(e, ReplayError::Malformed { .. })),
    ];
    for (data, expected) in rows {
        let error = Replayer::new(0).record(0, data).unwrap_err();
        assert!(expected(&error), "{} gave {error:?}", String::from_utf8_lossy(data));
    }
    assert_eq!(Replayer::new(0).record(1, gone.as_bytes()), Err(ReplayError::Gap { offset: 1, expected: 0 }));
    assert_eq!(Replayer::new(3).finish(), Err(ReplayError::NoBeginning { start: 3 }));
    assert_eq!(Replayer::new(0).finish().map(|replayed| replayed.next), Ok(0));
}

#[test]
fn events_that_repeat_something_are_contradictions() {
    let mut node = Node::default();
    node.complete(NOW, &create("s", 2));
    node.complete(NOW, &create_delivery("d"));
    let stream = (**node.state.stream(&scope(), "s").unwrap()).clone();
    let delivery = (**node.state.delivery_stream(&scope(), "d").unwrap()).clone();
    let renamed = |edit: fn(&mut Stream)| {
        let mut stream = Stream { name: "t".into(), incarnation: 99, ..stream.clone() };
        let fresh = |shard: &Arc<Shard>| Arc::new(Shard { log: LogId(shard.log.0 + 10_000), ..(**shard).clone() });
        stream.shards = ShardTable::new(stream.shards.all().iter().map(fresh).collect()).unwrap();
        edit(&mut stream);
        Event::StreamCreated(Arc::new(stream))
    };
    let other = |edit: fn(&mut DeliveryStream)| {
        let (data_log, control_log) = (LogId(9_000), LogId(9_001));
        let block = Some(LogBlock { first: LogId(9_002), count: 3 });
        let mut stream =
            DeliveryStream { name: "e".into(), incarnation: 99, data_log, control_log, block, ..delivery.clone() };
        edit(&mut stream);
        Event::DeliveryStreamCreated(Arc::new(stream))
    };
    let soon = |key| Transition { key, due: 0 };
    let stale = ResourceKey { incarnation: 0, ..stream.key() };
    let rows = [
        (renamed(|_| ()), true),
        (renamed(|stream| stream.name = "s".into()), false),
        (renamed(|stream| stream.incarnation = 1), false),
        (Event::StreamCreated(Arc::new(Stream { name: "t".into(), incarnation: 99, ..stream.clone() })), false),
        (other(|_| ()), true),
        (other(|stream| stream.name = "d".into()), false),
        (other(|stream| stream.incarnation = 2), false),
        (other(|stream| stream.control_log = LogId(16)), false),
        (other(|stream| stream.control_log = stream.data_log), false),
        (other(|stream| stream.control_log = LogId(9_004)), false),
        (other(|stream| stream.block = Some(LogBlock { first: LogId(16), count: 2 })), false),
        (other(|stream| stream.block = None), true),
        (Event::StreamBecameActive(stream.key()), false),
        (Event::StreamGone(stream.key()), false),
        (Event::StreamDeletionStarted(soon(stream.key())), true),
        (Event::StreamDeletionStarted(soon(stale)), false),
        (Event::DeliveryStreamGone(delivery.key()), false),
        (Event::DeliveryStreamDeletionStarted(soon(delivery.key())), true),
        (Event::DeliveryStreamFailed { key: delivery.key(), reason: String::new() }, false),
    ];
    for (event, follows) in rows {
        let mut state = node.state.clone();
        assert_eq!(fold(&mut state, &event).is_ok(), follows, "{event:?}");
        assert_eq!(state == node.state, !follows, "{event:?}");
    }
}

#[test]
fn a_large_state_takes_several_parts_and_batches() {
    let mut node = Node::default();
    for i in 0..5 {
        node.complete(NOW, &create(&format!("stream-{i}"), MAX_SHARDS_PER_STREAM));
    }
    assert!(node.records.iter().all(|data| data.len() + 16 < MAX_BATCH_BYTES));
    let first = node.end();
    let batches = snapshot_batches(&node.state, NOW);
    assert!(batches.len() > 1 && batches.iter().all(|batch| batch.bytes().len() <= MAX_BATCH_BYTES));
    node.append(&batches);
    node.trim(first);
    let replayed = node.replay().unwrap();
    assert!(replayed.state == node.state);
    let raw = batches.iter().map(|batch| batch.bytes().len() as u64).sum::<u64>();
    assert!(raw - replayed.growth.snapshot_bytes < 1000);
    node.records.pop();
    assert_eq!(node.replay(), Err(ReplayError::NoBeginning { start: first }));
}

#[test]
fn only_whole_snapshots_count() {
    let mut node = Node::default();
    node.complete(NOW, &create("s", 1));
    let event = node.records[0].clone();
    let raw = serde_json::to_vec(&node.state).unwrap();
    let thirds: Vec<_> = raw.chunks(raw.len().div_ceil(3)).collect();
    let part = |part: u32| super::event::encode_part(9, super::event::Part { part, parts: 3 }, thirds[part as usize]);
    let [a, b, c] = [part(0), part(1), part(2)];
    let later = super::event::encode_part(10, super::event::Part { part: 1, parts: 3 }, thirds[1]);
    let longer = super::event::encode_part(9, super::event::Part { part: 1, parts: 4 }, thirds[1]);
    let rows: [(&[&Vec<u8>], bool); 12] = [
        (&[&a, &b, &c], true),
        (&[&c, &a, &b, &c], true),
        (&[&a, &a, &b, &c], true),
        (&[&a, &b, &a, &b, &c], true),
        (&[&event, &a, &b, &c], true),
        (&[&a, &event, &a, &b, &c], true),
        (&[&a, &b], false),
        (&[&b, &c], false),
        (&[&a, &c, &b], false),
        (&[&a, &event, &b, &c], false),
        (&[&a, &later, &c], false),
        (&[&a, &longer, &c], false),
    ];
    for (row, (records, whole)) in rows.into_iter().enumerate() {
        let mut replayer = Replayer::new(5);
        for (offset, data) in (5..).zip(records) {
            replayer.record(offset, data).unwrap();
        }
        let state = replayer.finish().map(|replayed| replayed.state);
        let expected = if whole { Ok(node.state.clone()) } else { Err(ReplayError::NoBeginning { start: 5 }) };
        assert_eq!(state, expected, "row {row}");
    }
}

#[test]
fn a_snapshot_is_due_when_the_events_outweigh_it() {
    let rows = [
        (Growth::default(), false),
        (Growth { bytes: 4 << 20, ..Growth::default() }, true),
        (Growth { bytes: 4 << 20, snapshot_bytes: (4 << 20) + 1, events: 9 }, false),
        (Growth { bytes: 5 << 20, snapshot_bytes: 5 << 20, events: 9 }, true),
        (Growth::after_snapshot(0), false),
    ];
    for (growth, due) in rows {
        assert_eq!(growth.snapshot_due(), due, "{growth:?}");
    }
    let mut growth = Growth::after_snapshot(7);
    growth.add(150);
    assert_eq!(growth, Growth { events: 1, bytes: 150, snapshot_bytes: 7 });
}
