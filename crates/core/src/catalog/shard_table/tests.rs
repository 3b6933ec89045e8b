use super::*;
use crate::engine::LogId;
use crate::hash_range::{HashKeyRange, even_ranges};
use crate::shard::ShardFilter;

fn shard(index: u32, range: HashKeyRange, parents: &[u32], born: Millis) -> Shard {
    let log = LogId(16 + u64::from(index));
    Shard { index, range, parents: parents.to_vec(), created_secs: born / 1000, log, floor: born, closed: None }
}

fn closed(at_ms: Millis, children: &[u32]) -> Closed {
    Closed { secs: at_ms / 1000, at_ms, children: children.to_vec(), sealed: false }
}

fn table(shards: &[Shard]) -> Result<ShardTable, TableError> {
    ShardTable::new(shards.iter().cloned().map(Arc::new).collect())
}

/// Two shards from second 1 on; shard 1 is split: it ends at 30,500, its children 2 and 3 begin in second 31.
fn in_the_gap() -> ShardTable {
    let halves = even_ranges(2);
    let quarters = even_ranges(4);
    let table = table(&[shard(0, halves[0], &[], 1_000), shard(1, halves[1], &[], 1_000)]).unwrap();
    let born = |index, range| Shard { created_secs: 31, ..shard(index, range, &[1], 30_501) };
    let children = [born(2, quarters[2]), born(3, quarters[3])].map(Arc::new);
    table.add_generation(&[(1, closed(30_500, &[2, 3]))], &children).unwrap()
}

fn indexes<'a>(shards: impl IntoIterator<Item = &'a Arc<Shard>>) -> Vec<u32> {
    shards.into_iter().map(|shard| shard.index).collect()
}

#[test]
fn a_parent_takes_the_puts_until_it_is_sealed() {
    let gap = in_the_gap();
    assert_eq!((gap.open_count(), indexes(gap.open()), gap.next_index()), (3, vec![0, 2, 3], 4));
    assert_eq!((gap.route(0).index, gap.route(u128::MAX).index), (0, 1));
    let closing = Closing { parents: vec![1], children: vec![2, 3], due: 30_500 };
    assert_eq!(gap.unsealed(), std::slice::from_ref(&closing));
    assert_eq!((closing.floor([29_000]), closing.floor([29_000, 31_700])), (30_501, 31_701));

    let sealed = gap.seal(&[(1, 31_700)]).unwrap();
    assert_eq!((sealed.open_count(), sealed.unsealed()), (3, Vec::new()));
    assert_eq!((sealed.route(0).index, sealed.route(u128::MAX).index), (0, 3));
    let parent = sealed.get(ShardId(1)).unwrap();
    assert_eq!(parent.closed.as_ref().map(|closed| (closed.secs, closed.at_ms)), Some((30, 31_700)));
    assert_eq!(parent.ending_number(), gap.get(ShardId(1)).unwrap().ending_number());
    assert_eq!(sealed.get(ShardId(2)).unwrap().floor, 31_701);
    assert_eq!(sealed.seal(&[(1, 31_700)]), Err(TableError::NotClosing(1)));

    assert_eq!((sealed.expired(31_700), sealed.expired(31_701)), (Vec::new(), vec![1]));
    let left = sealed.expire(&[1]).unwrap();
    assert_eq!((indexes(left.all()), left.next_index()), (vec![0, 2, 3], 4));
    assert_eq!(gap.expire(&[1]), Err(TableError::NotSealed(1)));
    assert_eq!(gap.expire(&[9]), Err(TableError::Unknown(9)));
}

/// Between the decision and the close, AT_LATEST lists parents and children, AT_TIMESTAMP(now) only parents.
#[test]
fn filters_show_whose_time_it_is() {
    let gap = in_the_gap();
    let sealed = gap.seal(&[(1, 30_000)]).unwrap();
    let late = gap.seal(&[(1, 40_000)]).unwrap();
    let left = sealed.expire(&[1]).unwrap();
    let rows: [(&ShardTable, ShardFilter, Millis, &[u32]); 24] = [
        (&gap, ShardFilter::AtLatest, 1_000, &[0, 1, 2, 3]),
        (&gap, ShardFilter::AtTimestamp(10_000), 1_000, &[0, 1]),
        (&gap, ShardFilter::AtTimestamp(30_500), 1_000, &[0, 1]),
        (&gap, ShardFilter::AtTimestamp(30_501), 1_000, &[0, 2, 3]),
        (&gap, ShardFilter::AtTrimHorizon, 1_000, &[0, 1]),
        (&gap, ShardFilter::FromTrimHorizon, 1_000, &[0, 1, 2, 3]),
        (&gap, ShardFilter::FromTimestamp(10_000), 1_000, &[0, 1, 2, 3]),
        (&sealed, ShardFilter::AtLatest, 1_000, &[0, 2, 3]),
        (&sealed, ShardFilter::AtTimestamp(1_000), 1_000, &[0, 1]),
        (&sealed, ShardFilter::AtTimestamp(30_500), 1_000, &[0, 1]),
        (&sealed, ShardFilter::AtTimestamp(30_501), 1_000, &[0, 2, 3]),
        (&sealed, ShardFilter::FromTimestamp(30_500), 1_000, &[0, 1, 2, 3]),
        (&sealed, ShardFilter::FromTimestamp(30_501), 1_000, &[0, 2, 3]),
        (&sealed, ShardFilter::FromTrimHorizon, 30_500, &[0, 1, 2, 3]),
        (&sealed, ShardFilter::FromTrimHorizon, 30_501, &[0, 2, 3]),
        (&sealed, ShardFilter::AtTrimHorizon, 30_500, &[0, 1]),
        (&sealed, ShardFilter::AtTrimHorizon, 30_501, &[0, 2, 3]),
        // A time before the horizon means the horizon.
        (&sealed, ShardFilter::AtTimestamp(1_000), 30_501, &[0, 2, 3]),
        (&sealed, ShardFilter::FromTimestamp(1_000), 30_501, &[0, 2, 3]),
        // Sealed late: the parent had its keys for longer than planned.
        (&late, ShardFilter::AtTimestamp(40_000), 1_000, &[0, 1]),
        (&late, ShardFilter::AtTimestamp(40_001), 1_000, &[0, 2, 3]),
        // After the parent expired, a longer retention moves the horizon back; who asks there must find somebody.
        (&left, ShardFilter::AtTrimHorizon, 1_000, &[0, 2, 3]),
        (&left, ShardFilter::AtTimestamp(20_000), 1_000, &[0, 2, 3]),
        (&left, ShardFilter::AtLatest, 1_000, &[0, 2, 3]),
    ];
    for (table, filter, horizon, shown) in rows {
        let found = table.all().iter().filter(|shard| filter.shows(table, shard, horizon));
        assert_eq!(indexes(found), shown, "{filter:?} with horizon {horizon}");
    }
}

#[test]
fn shards_are_found_also_when_some_are_gone() {
    let halves = even_ranges(2);
    let table = table(&[shard(7, halves[1], &[5], 9_000), shard(3, halves[0], &[], 1_000)]).unwrap();
    assert_eq!((table.route(0).index, table.route(u128::MAX).index), (3, 7));
    for index in 0..9 {
        assert_eq!(table.get(ShardId(index)).map(|shard| shard.index), Some(index).filter(|i| [3, 7].contains(i)));
    }
    assert_eq!(indexes(table.after(ShardId(3))), [7]);
    assert_eq!(indexes(table.after(ShardId(0))), [3, 7]);
}

#[test]
fn a_merge_closes_both_parents_together() {
    let halves = even_ranges(2);
    let table = table(&[shard(0, halves[0], &[], 1_000), shard(1, halves[1], &[], 2_000)]).unwrap();
    let child = Shard { created_secs: 10, ..shard(2, HashKeyRange::ALL, &[0, 1], 9_001) };
    let ends = [(0, closed(9_000, &[2])), (1, closed(9_000, &[2]))];
    let gap = table.add_generation(&ends, &[Arc::new(child)]).unwrap();
    assert_eq!(gap.unsealed(), [Closing { parents: vec![0, 1], children: vec![2], due: 9_000 }]);
    assert!(gap.seal(&[(0, 0)]).is_err(), "one alone would leave half of the keys to nobody");
    let sealed = gap.seal(&[(0, 8_000), (1, 9_500)]).unwrap();
    let end = |index| sealed.get(ShardId(index)).unwrap().closed.as_ref().unwrap().at_ms;
    assert_eq!((end(0), end(1), sealed.get(ShardId(2)).unwrap().floor), (9_500, 9_500, 9_501));
    assert_eq!(sealed.route(7).index, 2);
    assert_eq!(sealed.expired(9_501), [0, 1]);
}

/// Shard 2 is split again before it began. The parent ends later than planned, and pushes the child's end with it.
#[test]
fn a_late_end_pushes_what_was_planned_behind_it() {
    let eighths = even_ranges(8);
    let gap = in_the_gap();
    let born = |index, range| Shard { created_secs: 33, ..shard(index, range, &[2], 32_001) };
    let children = [born(4, eighths[4]), born(5, eighths[5])].map(Arc::new);
    let gap = gap.add_generation(&[(2, closed(32_000, &[4, 5]))], &children).unwrap();
    assert_eq!(gap.unsealed().len(), 1, "shard 2 takes no puts yet");
    assert_eq!(gap.seal(&[(2, 0)]), Err(TableError::NotClosing(2)));

    let on_time = gap.seal(&[(1, 30_500)]).unwrap();
    assert_eq!(on_time.unsealed(), [Closing { parents: vec![2], children: vec![4, 5], due: 32_000 }]);
    let late = gap.seal(&[(1, 90_000)]).unwrap();
    assert_eq!(late.unsealed(), [Closing { parents: vec![2], children: vec![4, 5], due: 91_001 }]);
    assert_eq!(late.get(ShardId(4)).unwrap().floor, 91_002);
    assert_eq!(late.get(ShardId(2)).unwrap().closed.as_ref().unwrap().secs, 32, "what was shown stays");
}

#[test]
fn what_cannot_be_one_stream_is_no_table() {
    let [lower, upper] = [even_ranges(2)[0], even_ranges(2)[1]];
    let whole = |ends: Closed| Shard { closed: Some(ends), ..shard(0, HashKeyRange::ALL, &[], 1_000) };
    let child = |index, range| Shard { created_secs: 10, ..shard(index, range, &[0], 9_001) };
    let good = [whole(closed(9_000, &[1, 2])), child(1, lower), child(2, upper)];
    assert!(table(&good).is_ok());
    let with = |place: usize, edit: fn(&mut Shard)| {
        let mut shards = good.clone();
        edit(&mut shards[place]);
        table(&shards)
    };
    let rows = [
        (table(&[]), TableError::NotAPartition(NotAPartition)),
        (table(&[shard(0, lower, &[], 1_000)]), TableError::NotAPartition(NotAPartition)),
        (with(2, |child| child.index = 1), TableError::Repeated(1)),
        (with(2, |child| child.index = 3), TableError::Family(0)),
        (with(2, |child| child.parents = Vec::new()), TableError::Family(0)),
        (with(2, |child| child.floor = 9_000), TableError::Family(0)),
        (with(2, |child| child.created_secs = 9), TableError::Family(0)),
        (with(2, |child| child.range.start += 1), TableError::Family(0)),
        (with(0, |parent| parent.closed = None), TableError::Family(1)),
        (with(0, |parent| parent.closed = Some(closed(9_000, &[1]))), TableError::Family(0)),
        (with(0, |parent| parent.closed = Some(closed(9_000, &[]))), TableError::Family(0)),
        (with(0, |parent| parent.floor = 9_500), TableError::Family(0)),
    ];
    for (place, (found, error)) in rows.into_iter().enumerate() {
        assert_eq!(found, Err(error), "row {place}");
    }
    let gap = in_the_gap();
    let end = (1, closed(30_500, &[4, 5]));
    assert_eq!(gap.add_generation(&[end], &[]), Err(TableError::HasEnd(1)));
    assert_eq!(gap.add_generation(&[(8, closed(30_500, &[4, 5]))], &[]), Err(TableError::Unknown(8)));
    let skipping = Arc::new(child(5, lower));
    assert_eq!(gap.add_generation(&[], &[skipping]), Err(TableError::OutOfOrder(5)));
}
