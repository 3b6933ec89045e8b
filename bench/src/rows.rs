//! The benchmarks, one line each. A new one is a new line; a new kind of work is a new [`Operation`].

/// Shards of the stream that a row puts to.
pub(crate) const SHARDS: u32 = 4;

/// What a row asks of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `PutRecords` with so many records a request.
    PutRecords {
        /// Records a request.
        records: u32,
    },
    /// `PutRecord`.
    PutRecord,
}

impl Operation {
    /// Records a request.
    pub(crate) fn records(self) -> u32 {
        match self {
            Self::PutRecords { records } => records,
            Self::PutRecord => 1,
        }
    }
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its number in the list of targets.
    pub(crate) number: u8,
    /// What is done, for people.
    pub(crate) work: &'static str,
    /// What is done, for the load generator.
    pub(crate) operation: Operation,
    /// Bytes of data a record.
    pub(crate) data_bytes: usize,
    /// Connections, each with one request under way.
    pub(crate) connections: usize,
    /// Distinct request bodies, sent in turn.
    pub(crate) ring: u32,
    /// Requests a second to reach, as a fraction of the null yardstick's.
    pub(crate) target: f64,
}

/// Half of each target is what the first release aims at.
pub(crate) const GOAL_OF_TARGET: f64 = 0.5;

/// Every row.
pub(crate) const ROWS: &[Row] = &[
    Row {
        number: 1,
        work: "PutRecords 500×100 B, 8 connections",
        operation: Operation::PutRecords { records: 500 },
        data_bytes: 100,
        connections: 8,
        ring: 256,
        target: 0.14,
    },
    Row {
        number: 2,
        work: "PutRecords 500×1 KiB, 8 connections",
        operation: Operation::PutRecords { records: 500 },
        data_bytes: 1024,
        connections: 8,
        ring: 256,
        target: 0.17,
    },
    Row {
        number: 3,
        work: "PutRecord 100 B, 64 connections",
        operation: Operation::PutRecord,
        data_bytes: 100,
        connections: 64,
        ring: 8192,
        target: 0.6,
    },
];
