//! Shards split, merge, close and expire: time lines, refusals, and what a crash leaves.

use super::world::World;
use super::*;
use crate::reshard::{Generation, ReshardError};
use crate::scaling::Load;
use crate::shard::Closed;

const HALF: u128 = 1 << 127;

fn split(shard: u32, key: u128) -> StreamUpdate {
    StreamUpdate::Split { shard: ShardId(shard), new_starting_hash_key: key.to_string() }
}

fn merge(shard: u32, adjacent: u32) -> StreamUpdate {
    StreamUpdate::Merge { shard: ShardId(shard), adjacent: ShardId(adjacent) }
}

fn with_stream(lifecycle: Lifecycle, quotas: Option<Quotas>, shards: u32) -> World {
    let mut world = World::of(lifecycle, quotas);
    world.run(NOW, &create("s", shards));
    world.due(NOW + lifecycle.create);
    world
}

/// Status, open shards, all shards, and the shard that takes the lowest and the highest hash key.
fn shown(world: &World) -> (StreamStatus, usize, usize, u32, u32) {
    let stream = world.node.stream("s");
    let table = &stream.shards;
    (stream.status, table.open_count(), table.all().len(), table.route(0).index, table.route(u128::MAX).index)
}

#[test]
fn aws_lists_children_before_their_parent_closes() {
    use StreamStatus::{Active, Updating};
    let mut world = with_stream(Lifecycle::AWS, None, 1);
    let start = NOW + 30_000;
    world.run(start, &update("s", split(0, HALF)));
    // Seconds after the call, as seen on AWS: listed after 6, closed after 25, the children's start a second later.
    let rows = [
        (0, (Updating, 1, 1, 0, 0), Some(6)),
        (5, (Updating, 1, 1, 0, 0), Some(6)),
        (6, (Active, 2, 3, 0, 0), Some(25)),
        (24, (Active, 2, 3, 0, 0), Some(25)),
        (25, (Active, 2, 3, 1, 2), None),
    ];
    for (after, expected, next) in rows {
        let now = start + after * 1000;
        world.due(now);
        assert_eq!(shown(&world), expected, "{after} s");
        assert_eq!(world.node.state.next_due(), next.map(|next| start + next * 1000), "{after} s");
        let (_, arrival) = world.put(&world.node.stream("s"), 5, now + 500);
        assert_eq!(arrival, now + 500);
    }
    let stream = world.node.stream("s");
    let shards: Vec<_> = stream.shards.all().iter().map(|shard| (shard.created_secs, shard.closed.clone())).collect();
    let closed = Closed { secs: start / 1000 + 25, at_ms: start + 25_000, children: vec![1, 2], sealed: true };
    let child = (start / 1000 + 26, None);
    assert_eq!(shards, [(NOW / 1000, Some(closed)), child.clone(), child]);
}

#[test]
fn update_shard_count_takes_a_generation_of_splits_and_one_of_merges() {
    use StreamStatus::{Active, Updating};
    let mut world = with_stream(Lifecycle::AWS, None, 2);
    let start = NOW + 30_000;
    world.run(start, &update("s", StreamUpdate::ShardCount(3)));
    let rows = [
        (0, (Updating, 2, 2, 0, 1), Some(6)),
        (6, (Updating, 4, 6, 0, 1), Some(12)),
        (12, (Active, 3, 7, 0, 1), Some(25)),
        (25, (Active, 3, 7, 2, 5), Some(31)),
        (31, (Active, 3, 7, 2, 5), None),
    ];
    for (after, expected, next) in rows {
        let now = start + after * 1000;
        world.due(now);
        assert_eq!(shown(&world), expected, "{after} s");
        assert_eq!(world.node.state.next_due(), next.map(|next| start + next * 1000), "{after} s");
    }
    let stream = world.node.stream("s");
    let middle = stream.shards.route(HALF);
    assert_eq!((middle.index, &middle.parents[..]), (6, &[3, 4][..]));
}

#[test]
fn with_no_time_to_take_all_is_done_at_once() {
    let mut world = with_stream(Lifecycle::INSTANT, None, 2);
    for (i, target) in (0..).zip([3, 6, 3, 2, 4, 2, 1, 2]) {
        let now = NOW + i;
        assert!(world.run(now, &update("s", StreamUpdate::ShardCount(target))).is_some());
        world.due(now);
        let (status, open, ..) = shown(&world);
        assert_eq!((status, open), (StreamStatus::Active, target as usize));
        // Shards of the same millisecond hand over a little later, and the stream is ACTIVE meanwhile.
        assert!(world.node.state.next_due().is_none_or(|due| due <= now + 10_000));
        let stream = world.node.stream("s");
        world.put(&stream, 0, now);
    }
    world.due(NOW + 60_000);
    assert_eq!(world.node.state.next_due(), None);
    let stream = world.node.stream("s");
    assert!(stream.shards.open().all(|shard| stream.shards.takes_puts(shard)));
}

#[test]
fn a_child_may_be_split_before_it_is_open() {
    let mut world = with_stream(Lifecycle::AWS, None, 1);
    let start = NOW + 30_000;
    world.run(start, &update("s", split(0, HALF)));
    world.due(start + 6_000);
    world.run(start + 6_000, &update("s", split(2, HALF + 1_000)));
    world.due(start + 12_000);
    let stream = world.node.stream("s");
    assert_eq!(shown(&world), (StreamStatus::Active, 3, 5, 0, 0));
    let end = |index| stream.shards.get(ShardId(index)).unwrap().closed.as_ref().unwrap().at_ms;
    assert_eq!((end(0), end(2)), (start + 25_000, start + 31_000));
    // Both ends pass while the node is down: what is overdue is done in the order of time.
    world.node.state = world.node.replay().unwrap().state;
    world.due(start + 100_000);
    assert_eq!(shown(&world), (StreamStatus::Active, 3, 5, 1, 4));
    assert_eq!(world.node.state.next_due(), None);
}

#[test]
fn late_records_push_the_children_behind_them() {
    let mut world = with_stream(Lifecycle::AWS, None, 1);
    let start = NOW + 30_000;
    world.run(start, &update("s", split(0, HALF)));
    world.due(start + 6_000);
    let stream = world.node.stream("s");
    let (_, last) = world.put(&stream, 0, start + 40_000);
    world.due(start + 39_000);
    let stream = world.node.stream("s");
    let child = stream.shards.get(ShardId(1)).unwrap();
    assert_eq!((child.floor, world.logs[&child.log].last), (last + 1, last + 1));
    // What EndingSequenceNumber printed stays.
    let closed = stream.shards.get(ShardId(0)).unwrap().closed.clone().unwrap();
    assert_eq!((closed.secs, closed.at_ms), (start / 1000 + 25, last));
}

#[test]
fn refusals_in_awss_order() {
    let mut world = with_stream(Lifecycle::AWS, Some(QUOTAS), 4);
    let now = NOW + 60_000;
    world.run(NOW + 5_000, &update("s", merge(0, 1)));
    world.due(now);
    let demand = NewStream { mode: Some(StreamMode::OnDemand), ..new_stream("demand", None) };
    world.run(now, &Command::CreateStream(demand));
    world.run(now, &create("rest", 16));
    world.due(now + 5_000);
    let refused = |name: &str, error| DomainError::Reshard { name: name.into(), account: account(), error };
    let on_demand = || DomainError::OnDemand { name: "demand".into(), account: account() };
    let range = crate::hash_range::even_ranges(4)[2];
    let key = |given: String| refused("s", ReshardError::SplitKey { given, shard: ShardId(2), range });
    let quota = DomainError::ShardLimit { scope: scope(), current: 20, limit: 20, requested: 1 };
    let not_adjacent = |a, b| ReshardError::NotAdjacent { shard: ShardId(a), adjacent: ShardId(b) };
    let rows = [
        ("demand", split(9, 5), on_demand()),
        ("demand", merge(9, 9), on_demand()),
        ("demand", StreamUpdate::ShardCount(4), on_demand()),
        ("s", split(9, 5), refused("s", ReshardError::ShardNotFound(ShardId(9)))),
        ("s", split(2, range.start + 1), key((range.start + 1).to_string())),
        ("s", split(2, range.end), key(range.end.to_string())),
        ("s", split(0, 5), refused("s", ReshardError::HasEnd(ShardId(0)))),
        ("s", merge(2, 9), refused("s", ReshardError::ShardNotFound(ShardId(9)))),
        ("s", merge(1, 2), refused("s", ReshardError::HasEnd(ShardId(1)))),
        ("s", merge(3, 2), refused("s", not_adjacent(3, 2))),
        ("s", merge(2, 4), refused("s", not_adjacent(2, 4))),
        ("s", StreamUpdate::ShardCount(7), refused("s", ReshardError::TooMany { open: 3, target: 7 })),
        ("rest", StreamUpdate::ShardCount(7), refused("rest", ReshardError::TooFew { open: 16, target: 7 })),
        ("s", StreamUpdate::ShardCount(10_001), DomainError::ScaleTooLarge { current: 3, target: 10_001 }),
        ("none", split(0, 5), DomainError::StreamNotFound { name: "none".into(), account: account() }),
    ];
    for (name, wish, refusal) in rows {
        assert_eq!(world.node.run(now, &update(name, wish.clone())), Err(refusal), "{name} {wish:?}");
    }
    // Nineteen shards and one more are twenty; of the second the quota speaks before the key does.
    world.run(now, &update("s", split(2, range.start + 2)));
    world.due(now + 60_000);
    assert_eq!(world.node.run(now, &update("s", split(3, 0))), Err(quota));
    world.run(now, &update("s", merge(5, 6)));
    let status = StreamStatus::Updating;
    let updating = DomainError::StreamNotActive { name: "s".into(), account: account(), status };
    for wish in [merge(5, 6), StreamUpdate::ShardCount(4), StreamUpdate::ShardCount(3)] {
        assert_eq!(world.node.run(now, &update("s", wish)), Err(updating.clone()));
    }
    // AWS looks at the shards before it looks at the status.
    assert_eq!(world.node.run(now, &update("s", merge(3, 4))), Err(refused("s", not_adjacent(3, 4))));
}

#[test]
fn expired_shards_leave_with_their_logs() {
    const DAY: Millis = 24 * 3_600_000;
    let mut world = with_stream(Lifecycle::INSTANT, None, 1);
    world.run(NOW, &update("s", split(0, HALF)));
    world.due(NOW);
    let key = world.node.stream("s").key();
    let expire = |believed_ms| Command::ExpireShards { stream: key.clone(), believed_ms };
    assert_eq!(world.node.run(NOW + DAY, &expire(NOW + DAY)), Ok(None));
    let late = NOW + DAY + 1;
    assert_eq!(world.node.run(late, &expire(NOW)), Ok(None), "a clock that is not believed");
    assert_eq!(world.node.run(NOW, &expire(late)), Ok(None), "a clock that was set back");
    assert!(world.run(late, &expire(late)).is_some());
    let stream = world.node.stream("s");
    assert_eq!((shown(&world), stream.retired_logs.len()), ((StreamStatus::Active, 2, 2, 1, 2), 1));
    assert_eq!((world.node.state.next_due(), world.logs.len()), (Some(0), 3));
    assert_eq!(world.node.run(late, &expire(late)), Ok(None));
    // The node dies before it has deleted the log, and again before it has told so.
    world.node.state = world.node.replay().unwrap().state;
    let [unfinished] = &world.node.state.unfinished()[..] else { panic!() };
    let then = world.work(&unfinished.work);
    world.work(&unfinished.work);
    assert!(world.run(late, &then).is_some());
    assert_eq!((world.node.run(late, &then), world.logs.len(), world.node.state.next_due()), (Ok(None), 2, None));
    world.run(late, &update("s", merge(1, 2)));
    world.due(late);
    assert_eq!(world.node.stream("s").shards.route(0).index, 3);
}

#[test]
fn a_stream_is_deleted_in_the_middle_of_a_reshard() {
    // Milliseconds after the call, and the last second after it in which a shard had been created by then.
    for (pause, last) in [(0, None), (6_000, Some(26)), (12_000, Some(32)), (25_000, Some(32)), (31_000, Some(32))] {
        let mut world = with_stream(Lifecycle::AWS, None, 2);
        let start = NOW + 30_000;
        world.run(start, &update("s", StreamUpdate::ShardCount(3)));
        for passed in (0..=pause).step_by(1_000) {
            world.due(start + passed);
        }
        world.run(start + pause, &delete("s"));
        world.due(start + pause + 4_999);
        assert_eq!(world.node.stream("s").status, StreamStatus::Deleting);
        world.due(start + pause + 5_000);
        assert_eq!((world.logs.len(), world.node.state.next_due()), (0, None));
        world.run(start, &create("s", 1));
        let secs = world.node.stream("s").shards.all()[0].created_secs;
        assert_eq!(secs, start / 1000 + last.map_or(0, |last| last + 1), "after {pause} ms");
    }
}

#[test]
fn the_service_scales_on_demand_streams_only() {
    let mut world = World::of(Lifecycle::AWS, None);
    let demand = NewStream { mode: Some(StreamMode::OnDemand), ..new_stream("s", None) };
    world.run(NOW, &Command::CreateStream(demand));
    world.run(NOW, &create("p", 4));
    let now = NOW + 5_000;
    let (demand, provisioned) = (world.node.stream("s").key(), world.node.stream("p").key());
    let generation = crate::reshard::split(&world.node.stream("s").shards, ShardId(0), "500").unwrap();
    let rescale = |stream: &ResourceKey| Command::Rescale { stream: stream.clone(), generation: generation.clone() };
    assert_eq!(world.node.run(now, &rescale(&demand)), Ok(None), "CREATING");
    world.due(now);
    assert_eq!(world.node.run(now, &rescale(&provisioned)), Ok(None));
    let empty = Command::Rescale { stream: demand.clone(), generation: Generation::default() };
    assert_eq!(world.node.run(now, &empty), Ok(None));
    assert!(world.run(now, &rescale(&demand)).is_some());
    assert_eq!(world.node.run(now, &rescale(&demand)), Ok(None), "UPDATING");
    world.due(now + 60_000);
    assert_eq!(world.node.stream("s").shards.open_count(), 5);
    assert_eq!(world.node.run(now, &rescale(&demand)), Ok(None), "other shards by now");

    let (busy, busier) = (Load { bytes: 10, records: 3 }, Load { bytes: 9, records: 4 });
    let minute = NOW / 60_000 / 60 * 60;
    let note = |stream: &ResourceKey, minute, load| Command::NotePeak { stream: stream.clone(), minute, load };
    assert_eq!(world.node.run(now, &note(&provisioned, minute, busy)), Ok(None));
    assert!(world.run(now, &note(&demand, minute, busy)).is_some());
    assert_eq!(world.node.run(now, &note(&demand, minute + 1, busy)), Ok(None));
    assert!(world.run(now, &note(&demand, minute + 59, busier)).is_some());
    assert_eq!(world.node.stream("s").peaks.hour(minute / 60), Some(Load { bytes: 10, records: 4 }));
    assert!(world.run(now, &note(&demand, minute + 60, busy)).is_some());
    assert_eq!(world.node.replay().unwrap().state, world.node.state);
}

#[test]
fn events_of_reshards_that_do_not_follow_are_contradictions() {
    let mut world = with_stream(Lifecycle::AWS, None, 1);
    world.run(NOW + 5_000, &update("s", split(0, HALF)));
    let key = world.node.stream("s").key();
    let advance = Command::AdvanceReshard { stream: key.clone(), left: 1 };
    let now = NOW + 11_000;
    let Ok(Some(added)) = decide(&world.node.state, now, &world.node.rules, &advance) else { panic!() };
    let Event::ShardsAdded { new, at, .. } = added.clone() else { panic!() };
    let other = |next_due, edit: fn(&mut crate::reshard::NewShards)| {
        let mut new = new.clone();
        edit(&mut new);
        Event::ShardsAdded { key: key.clone(), at, new, next_due }
    };
    let sealed = |parents: &[(u32, Millis)]| Event::ShardsSealed { key: key.clone(), parents: parents.to_vec() };
    let follows = |node: &Node, event: &Event| {
        let mut state = node.state.clone();
        let follows = fold(&mut state, event).is_ok();
        assert_eq!(state == node.state, !follows, "{event:?}");
        follows
    };
    let rows = [
        (added.clone(), true),
        (other(Some(now + 1), |_| ()), false),
        (other(None, |new| new.shards.clear()), false),
        (other(None, |new| new.closed.clear()), false),
        (other(None, |new| Arc::make_mut(&mut new.shards[0]).log = LogId(16)), false),
        (other(None, |new| new.shards[1] = new.shards[0].clone()), false),
        (sealed(&[(0, NOW)]), false),
        (Event::StreamUpdateFinished(key.clone()), true),
        (Event::StreamUpdateFinished(ResourceKey { incarnation: 9, ..key.clone() }), false),
        (Event::ShardsExpired { key: key.clone(), shards: vec![0] }, false),
        (Event::LogsForgotten { key: key.clone(), logs: vec![LogId(16)] }, false),
    ];
    for (event, expected) in rows {
        assert_eq!(follows(&world.node, &event), expected, "{event:?}");
    }
    world.due(now);
    for (event, expected) in [(added, false), (sealed(&[(0, now)]), true), (sealed(&[(1, now)]), false)] {
        assert_eq!(follows(&world.node, &event), expected, "{event:?}");
    }
}
