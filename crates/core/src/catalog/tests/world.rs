//! A node with an engine of nothing but arrival times, which does what is unfinished.

use super::*;

/// A log, as far as the catalog depends on it.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) last: Millis,
    pub(super) sealed: bool,
    pub(super) records: u64,
}

pub(super) struct World {
    pub(super) node: Node,
    pub(super) logs: BTreeMap<LogId, Log>,
}

impl World {
    pub(super) fn of(lifecycle: Lifecycle, quotas: Option<Quotas>) -> Self {
        Self { node: Node::of(lifecycle, quotas), logs: BTreeMap::new() }
    }

    pub(super) fn run(&mut self, now: Millis, command: &Command) -> Option<Event> {
        self.node.run(now, command).unwrap()
    }

    fn create(&mut self, specs: &[LogSpec]) {
        for spec in specs {
            let log = Log { last: spec.floor, sealed: false, records: 0 };
            self.logs.entry(spec.id).or_insert(log);
        }
    }

    /// Does the work in the engine; answers what to submit.
    pub(super) fn work(&mut self, work: &Work) -> Command {
        match work {
            Work::CreateLogs { logs, then } => {
                self.create(logs);
                then.clone()
            }
            Work::DeleteLogs { logs, then } => {
                for log in logs {
                    self.logs.remove(log);
                }
                then.clone()
            }
            Work::Seal(seal) => {
                let mut last = Vec::new();
                for (_, log) in &seal.parents {
                    let log = self.logs.get_mut(log).expect("a parent has a log");
                    log.sealed = true;
                    last.push(log.last);
                }
                let (logs, then) = seal.after(&last);
                self.create(&logs);
                then
            }
            Work::Nothing { then } => then.clone(),
        }
    }

    /// Does what is due by `now`, in order, until nothing is.
    pub(super) fn due(&mut self, now: Millis) {
        while let Some(unfinished) = self.node.state.unfinished_by(now).first().cloned() {
            let then = self.work(&unfinished.work);
            assert!(self.run(now, &then).is_some(), "{then:?} at {now} left {unfinished:?}");
        }
    }

    /// Puts a record, and answers the index of its shard and its arrival.
    pub(super) fn put(&mut self, stream: &Stream, hash: u128, now: Millis) -> (u32, Millis) {
        let shard = stream.shards.route(hash);
        let log = self.logs.get_mut(&shard.log).expect("a shard that takes puts has a log");
        assert!(!log.sealed && shard.range.contains(hash));
        log.last = log.last.max(now);
        log.records += 1;
        assert!(log.last >= shard.floor, "a record from before its shard");
        (shard.index, log.last)
    }
}
