//! Whatever is commanded, and whenever: replay gives the live state, and nothing is handed out twice.

use proptest::prelude::*;

use super::world::World;
use super::*;
use crate::scaling::Load;

/// What happens to a node.
#[derive(Clone, Debug)]
enum Step {
    Run(Box<Command>),
    /// Of the stream's own commands, with what it is now filled in.
    Internal(&'static str, Internal),
    /// Puts a record.
    Put(&'static str, u128),
    /// So many milliseconds pass; negative: the clock is set back.
    Pass(i64),
    /// Does one thing that is unfinished, due or not.
    Resume(usize),
    /// Does everything that is due.
    Due,
    /// Writes a snapshot, of which a crash keeps this many thousandths; trims if it is whole and the flag is set.
    Snapshot(usize, bool),
    /// Stops, and goes on with what replay gives.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Internal {
    Expire,
    Rescale(u32),
    NotePeak(Load),
    FinishUpdate,
    AdvanceReshard(usize),
    /// Seals a shard that was never asked for.
    Seal(u32),
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("a"), 1 => Just("b")]
}

fn consumer_name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just("c".into()), Just("d".into())]
}

fn mode() -> impl Strategy<Value = StreamMode> {
    prop_oneof![3 => Just(StreamMode::Provisioned), 1 => Just(StreamMode::OnDemand)]
}

fn stream_update() -> impl Strategy<Value = StreamUpdate> {
    let shard = || (0u32..8).prop_map(ShardId);
    let metrics = || {
        let metric = proptest::sample::select(&ShardMetric::ALL[..]);
        proptest::collection::btree_set(metric, 0..4)
    };
    // Splits hit the middle of some shard often enough.
    let key = prop_oneof![
        (1u32..8).prop_map(|eighth| (u128::from(eighth) << 125).to_string()),
        any::<u128>().prop_map(|key| key.to_string()),
        Just("x".to_owned()),
    ];
    prop_oneof![
        1 => (0i64..100).prop_map(StreamUpdate::IncreaseRetention),
        1 => (0i64..100).prop_map(StreamUpdate::DecreaseRetention),
        1 => (mode(), proptest::option::of(1u32..9)).prop_map(|(mode, warm_mibps)| StreamUpdate::Mode { mode, warm_mibps }),
        1 => Just(StreamUpdate::StartEncryption { key_id: "k".to_owned() }),
        1 => Just(StreamUpdate::StopEncryption),
        1 => metrics().prop_map(StreamUpdate::EnableMonitoring),
        1 => metrics().prop_map(StreamUpdate::DisableMonitoring),
        1 => (1024u32..1027).prop_map(StreamUpdate::MaxRecordSize),
        1 => (1u32..9).prop_map(StreamUpdate::WarmThroughput),
        1 => Just(StreamUpdate::Distribution(Distribution::Auto)),
        4 => (shard(), key).prop_map(|(shard, new_starting_hash_key)| {
            StreamUpdate::Split { shard, new_starting_hash_key }
        }),
        4 => (0u32..8).prop_map(|i| StreamUpdate::Merge { shard: ShardId(i), adjacent: ShardId(i + 1) }),
        2 => (shard(), shard()).prop_map(|(shard, adjacent)| StreamUpdate::Merge { shard, adjacent }),
        6 => (0u32..9).prop_map(StreamUpdate::ShardCount),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let new = (name(), mode(), proptest::option::of(0u32..5), proptest::option::weighted(0.1, 1u32..9));
    let create = new.prop_map(|(name, mode, shards, warm_mibps)| {
        let shards = if mode == StreamMode::Provisioned { shards } else { None };
        Command::CreateStream(NewStream { mode: Some(mode), warm_mibps, ..new_stream(name, shards) })
    });
    let delete = (name(), any::<bool>()).prop_map(|(name, enforce_consumer_deletion)| Command::DeleteStream {
        scope: scope(),
        name: name.into(),
        enforce_consumer_deletion,
    });
    let register = (name(), consumer_name()).prop_map(|(stream, name)| Command::RegisterConsumer {
        scope: scope(),
        stream: stream.into(),
        name,
        tags: BTreeMap::new(),
    });
    let deregister = (name(), consumer_name()).prop_map(|(stream, name)| Command::DeregisterConsumer {
        scope: scope(),
        stream: stream.into(),
        name,
        created_secs: None,
    });
    let tags = proptest::collection::btree_map("[a-c]", "[x-y]", 0..3);
    let resource = |stream: &str| Resource { scope: scope(), stream: stream.into(), consumer: None };
    prop_oneof![
        6 => create,
        1 => delete,
        8 => delivery_command(),
        10 => (name(), stream_update()).prop_map(|(name, wish)| update(name, wish)),
        2 => register,
        2 => deregister,
        1 => (name(), tags).prop_map(move |(name, tags)| Command::Tag { resource: resource(name), tags }),
        1 => (name(), "[a-c]").prop_map(move |(name, key)| {
            Command::Untag { resource: resource(name), keys: BTreeSet::from([key]) }
        }),
        1 => name().prop_map(move |name| Command::PutPolicy { resource: resource(name), policy: "{}".to_owned() }),
        1 => name().prop_map(move |name| Command::DeletePolicy { resource: resource(name) }),
        1 => any::<bool>().prop_map(|enabled| Command::SetCommitment { scope: scope(), enabled }),
        1 => Just(Command::NoteClock),
    ]
}

/// Of delivery streams; their names are those of streams, too, which has no meaning.
fn delivery_command() -> impl Strategy<Value = Command> {
    let key = prop_oneof![Just(EncryptionKey::AwsOwned), Just(EncryptionKey::CustomerManaged("k".to_owned()))];
    let source = prop_oneof![
        2 => Just(Source::default()),
        1 => name().prop_map(|name| super::deliveries::kinesis(&scope().arn("kinesis", &format!("stream/{name}")))),
    ];
    let new = (name(), source, proptest::option::weighted(0.3, key.clone()));
    let create = new.prop_map(|(name, source, encryption)| {
        Command::CreateDeliveryStream(NewDeliveryStream { source, encryption, ..new_delivery(name) })
    });
    let update = (name(), 1u64..4, 1u32..4).prop_map(|(name, version, size_mb)| {
        let Destination::S3(mut s3) = destination() else { unreachable!("it is S3") };
        s3.bucket.buffering.size_mb = size_mb;
        let (destination, version) = (Destination::S3(s3), version.to_string());
        Command::UpdateDestination { scope: scope(), name: name.into(), version, destination }
    });
    let tags = proptest::collection::btree_map("[a-c]", "[x-y]", 0..3);
    prop_oneof![
        4 => create,
        1 => name().prop_map(delete_delivery),
        3 => update,
        2 => (name(), key).prop_map(|(name, key)| {
            Command::StartDeliveryEncryption { scope: scope(), name: name.into(), key }
        }),
        2 => name().prop_map(|name| Command::StopDeliveryEncryption { scope: scope(), name: name.into() }),
        1 => (name(), tags).prop_map(|(name, tags)| Command::TagDeliveryStream { scope: scope(), name: name.into(), tags }),
        1 => (name(), "[a-c]").prop_map(|(name, key)| {
            Command::UntagDeliveryStream { scope: scope(), name: name.into(), keys: BTreeSet::from([key]) }
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let load = (0u64..9, 0u64..9).prop_map(|(bytes, records)| Load { bytes, records });
    let internal = prop_oneof![
        2 => Just(Internal::Expire),
        2 => (1u32..9).prop_map(Internal::Rescale),
        1 => load.prop_map(Internal::NotePeak),
        1 => Just(Internal::FinishUpdate),
        1 => (0usize..3).prop_map(Internal::AdvanceReshard),
        1 => (0u32..8).prop_map(Internal::Seal),
    ];
    let pass = prop_oneof![
        4 => 0i64..8_000,
        2 => 0i64..60_000,
        1 => Just(25 * 3_600_000),
        1 => -100_000i64..0,
    ];
    prop_oneof![
        12 => command().prop_map(|command| Step::Run(Box::new(command))),
        2 => (name(), internal).prop_map(|(name, internal)| Step::Internal(name, internal)),
        4 => (name(), any::<u128>()).prop_map(|(name, hash)| Step::Put(name, hash)),
        6 => pass.prop_map(Step::Pass),
        3 => any::<usize>().prop_map(Step::Resume),
        6 => Just(Step::Due),
        1 => (0..=1000usize, any::<bool>()).prop_map(|(kept, trim)| Step::Snapshot(kept, trim)),
        1 => Just(Step::Restart),
    ]
}

/// The snapshot as many small parts, so that it can be cut anywhere.
fn small_parts(state: &State) -> Vec<Vec<u8>> {
    let bytes = serde_json::to_vec(state).unwrap();
    let parts = bytes.chunks(64).count() as u32;
    let part = |(part, raw): (u32, &[u8])| {
        super::super::event::encode_part(NOW, super::super::event::Part { part, parts }, raw)
    };
    (0..).zip(bytes.chunks(64)).map(part).collect()
}

/// A node under test, and what it has handed out so far.
struct Run {
    world: World,
    now: Millis,
    last_snapshot: Offset,
    logs: BTreeSet<LogId>,
    spaces: BTreeSet<(Arc<str>, u64, u32)>,
    indexes: BTreeMap<u64, u32>,
    consumers: BTreeSet<String>,
}

impl Run {
    fn new(lifecycle: Lifecycle, quotas: Option<Quotas>) -> Self {
        Self {
            world: World::of(lifecycle, quotas),
            now: NOW,
            last_snapshot: 0,
            logs: BTreeSet::new(),
            spaces: BTreeSet::new(),
            indexes: BTreeMap::new(),
            consumers: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Run(command) => {
                let _ = self.world.node.run(self.now, &command);
            }
            Step::Internal(name, internal) => {
                let Ok(stream) = self.world.node.state.stream(&scope(), name) else { return };
                if let Some(command) = command_of(&stream.clone(), internal, self.now) {
                    self.world.run(self.now, &command);
                }
            }
            Step::Put(name, hash) => {
                if let Ok(stream) = self.world.node.state.usable_stream(&scope(), name).cloned() {
                    self.world.put(&stream, hash, self.now);
                }
            }
            Step::Pass(ms) => self.now = self.now.saturating_add_signed(ms).max(NOW / 2),
            Step::Resume(which) => {
                // A node does what is overdue before it serves, and nothing before its time; but it may do it twice.
                let due = self.world.node.state.unfinished_by(self.now);
                let Some(unfinished) = due.get(which % due.len().max(1)) else { return };
                let then = self.world.work(&unfinished.work);
                let again = self.world.work(&unfinished.work);
                assert_eq!(then, again);
                self.world.run(self.now, &then);
                assert_eq!(self.world.node.run(self.now, &then), Ok(None), "{then:?}");
            }
            Step::Due => self.world.due(self.now),
            Step::Snapshot(kept, trim) => self.snapshot(kept, trim),
            Step::Restart => {
                let replayed = self.world.node.replay().unwrap();
                assert_eq!(replayed.next, self.world.node.end());
                self.world.node.state = replayed.state;
            }
        }
    }

    fn snapshot(&mut self, kept: usize, trim: bool) {
        let node = &mut self.world.node;
        let first = node.end();
        let mut parts = small_parts(&node.state);
        let whole = kept == 1000;
        parts.truncate(if whole { parts.len() } else { parts.len() * kept / 1000 });
        node.records.extend(parts);
        if whole {
            self.last_snapshot = first;
            if trim {
                node.trim(first);
            }
        }
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let state = &self.world.node.state;
        assert_eq!(&self.world.node.replay().unwrap().state, state);
        let streams = state.all_streams().flat_map(|stream| stream.unfinished());
        let deliveries = state.all_delivery_streams().flat_map(|stream| stream.unfinished());
        let first = streams.chain(deliveries).map(|unfinished| unfinished.due).min();
        assert_eq!(state.next_due(), first);
        for stream in state.all_streams() {
            let updating = stream.status == StreamStatus::Updating;
            assert_eq!(stream.update.is_some(), updating);
            assert_cover(stream.shards.open().map(|shard| shard.range).collect());
            let taking = stream.shards.all().iter().filter(|shard| stream.shards.takes_puts(shard));
            assert_cover(taking.clone().map(|shard| shard.range).collect());
            if stream.is_usable() {
                taking.for_each(|shard| assert!(self.world.logs.get(&shard.log).is_some_and(|log| !log.sealed)));
            }
            let before = self.indexes.get(&stream.incarnation).copied();
            for shard in stream.shards.all() {
                if before.is_none_or(|before| shard.index >= before) {
                    assert!(self.logs.insert(shard.log), "{:?} was handed out twice", shard.log);
                    assert!(self.spaces.insert((stream.name.clone(), shard.created_secs, shard.index)));
                    let parents = shard.parents.iter().filter_map(|&parent| stream.shards.get(ShardId(parent)));
                    parents.for_each(|parent| assert!(parent.created_secs < shard.created_secs));
                }
            }
            let next = stream.shards.next_index();
            assert!(before.is_none_or(|before| before <= next));
            self.indexes.insert(stream.incarnation, next);
        }
        for stream in state.all_delivery_streams() {
            if self.indexes.insert(stream.incarnation, 0).is_none() {
                assert!(stream.logs().all(|log| self.logs.insert(log)), "{:?} were handed out twice", stream.name);
            }
            let direct = stream.source.kinesis().is_none();
            assert_eq!(stream.encryption.is_some(), direct);
            let encryption = stream.encryption.clone().unwrap_or_default();
            let keyed = matches!(encryption.status, EncryptionStatus::Enabled | EncryptionStatus::Enabling);
            assert!(encryption.key.is_some() || !keyed);
            assert!(encryption.is_changing() || encryption.due == 0);
            // A version is an update, and nothing else is.
            assert_eq!(stream.version > 1, stream.updated_ms.is_some());
        }
    }

    /// No ARN of a new consumer was ever another's.
    fn check_consumer(&mut self, records: usize) {
        for record in &self.world.node.records[records.min(self.world.node.records.len())..] {
            let Ok((_, super::super::event::Content::Event(event))) = super::super::event::decode(record) else {
                continue;
            };
            if let Event::ConsumerRegistered { key, consumer } = *event {
                let stream = self.world.node.state.stream_incarnation(&key).unwrap();
                let arn = consumer.arn(stream);
                assert!(self.consumers.insert(arn.clone()), "{arn} was handed out twice");
            }
        }
    }
}

fn command_of(stream: &Stream, internal: Internal, now: Millis) -> Option<Command> {
    let key = stream.key();
    Some(match internal {
        Internal::Expire => Command::ExpireShards { stream: key, believed_ms: now },
        Internal::Rescale(target) => {
            let generation = crate::reshard::update_shard_count(&stream.shards, target).ok()?.into_iter().next()?;
            Command::Rescale { stream: key, generation }
        }
        Internal::NotePeak(load) => Command::NotePeak { stream: key, minute: now / 60_000, load },
        Internal::FinishUpdate => Command::FinishUpdate(key),
        Internal::AdvanceReshard(left) => Command::AdvanceReshard { stream: key, left },
        // Without the work in the engine only what cannot be sealed may be told to be.
        Internal::Seal(index) => {
            let shard = stream.shards.get(ShardId(index));
            let closing = shard.is_some_and(|shard| shard.closed.is_some() && stream.shards.takes_puts(shard));
            (!closing).then(|| Command::SealShards { stream: key, parents: vec![(index, now)] })?
        }
    })
}

/// The ranges cover all hash keys exactly once.
fn assert_cover(mut ranges: Vec<crate::hash_range::HashKeyRange>) {
    ranges.sort_unstable();
    assert_eq!(ranges.first().map(|range| range.start), Some(0));
    assert_eq!(ranges.last().map(|range| range.end), Some(u128::MAX));
    assert!(ranges.windows(2).all(|pair| pair[0].end.checked_add(1) == Some(pair[1].start)), "{ranges:?}");
}

proptest! {
    #[test]
    fn replay_gives_the_live_state_and_nothing_is_handed_out_twice(
        steps in proptest::collection::vec(step(), 0..80),
        aws: bool,
        strict: bool,
        begin: usize,
    ) {
        let lifecycle = if aws { Lifecycle::AWS } else { Lifecycle::INSTANT };
        let mut run = Run::new(lifecycle, strict.then_some(QUOTAS));
        for step in steps {
            let before = (run.world.node.first, run.world.node.records.len());
            run.step(step);
            run.check();
            if run.world.node.first == before.0 {
                run.check_consumer(before.1);
            }
        }
        // Everything comes to its end.
        while let Some(due) = run.world.node.state.next_due() {
            run.now = run.now.max(due);
            run.world.due(run.now);
            run.check();
        }
        // A trim to the last snapshot, of which a crash forgot some.
        let node = &mut run.world.node;
        if run.last_snapshot > node.first {
            let begin = node.first + begin as u64 % (run.last_snapshot - node.first + 1);
            node.trim(begin);
            prop_assert_eq!(&node.replay().unwrap().state, &node.state);
        }
    }
}
