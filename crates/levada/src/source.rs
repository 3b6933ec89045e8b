//! Kinesis data streams as sources of delivery streams: what a pump ([`levada_delivery::source`]) is to know of a data
//! stream, from the catalog and the limits of its shards.
//!
//! A delivery stream reads the one life of its data stream that it was created with. If that stream is deleted, its
//! pump ends, the log and `levada_source_gone` say so, and another stream of the name is not read: its records were
//! not meant by whoever created the delivery stream. What AWS does then is not documented.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use levada_core::catalog::{DeliveryStream, ResourceKey, Stream};
use levada_core::engine::{BoxFuture, Millis};
use levada_core::shard::{Shard, ShardId};
use levada_delivery::Handle;
use levada_delivery::source::{PositionError, Pump, PumpSpec, Source};
use levada_wire::limits::FIREHOSE_READS_PER_SHARD_SECOND;
use tokio::sync::Notify;

use crate::metrics::{Sample, delivery_stream_labels};
use crate::node::Node;

/// Why a delivery stream cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its data stream was deleted meanwhile.
    #[error("the source stream {0} does not exist")]
    Gone(String),
    /// It has no room for positions of its own; nothing that this release creates.
    #[error("the delivery stream has no logs for a source")]
    NoLogs,
    /// Try again.
    #[error(transparent)]
    Positions(#[from] PositionError),
}

/// What the pump of a delivery stream is told; `None` if the delivery stream has no source, or no log for positions.
/// They stand in the last log of the delivery stream's block.
fn spec(stream: &DeliveryStream) -> Option<PumpSpec> {
    let positions = stream.block.and_then(|block| block.get(block.count.checked_sub(1)?))?;
    stream.source.kinesis().map(|_| PumpSpec {
        name: stream.name.to_string(),
        data: stream.data_log,
        positions,
        class: DeliveryStream::CONTROL_CLASS,
    })
}

/// The data stream of a delivery stream, as it is now.
fn data_stream(node: &Node, stream: &DeliveryStream) -> Option<Arc<Stream>> {
    let (scope, name) = stream.source.kinesis()?.stream()?;
    node.registry.state().usable_stream(&scope, name).ok().cloned()
}

/// Fixes where a new delivery stream with a source begins: at the end of what its data stream holds now. Called before its
/// creation is answered, and again before it becomes ACTIVE: then it does nothing, unless the node died in between.
///
/// # Errors
/// [`StartError`]. [`StartError::Positions`] may pass.
pub(crate) async fn fix_start(node: &Node, stream: &DeliveryStream) -> Result<(), StartError> {
    let Some(source) = stream.source.kinesis() else { return Ok(()) };
    let spec = spec(stream).ok_or(StartError::NoLogs)?;
    let found = data_stream(node, stream).ok_or_else(|| StartError::Gone(source.stream_arn.clone()))?;
    Ok(node.pumps.fix_start(&spec, found.incarnation, found.shards.all()).await?)
}

/// Starts the pump of a delivery stream whose worker is running. `None` if it has no source.
pub(crate) fn start(node: &Arc<Node>, stream: &DeliveryStream, handle: Handle) -> Option<Pump> {
    let spec = spec(stream)?;
    let (scope, name) = stream.source.kinesis()?.stream()?;
    let source = CatalogSource {
        node: Arc::downgrade(node),
        changes: node.registry.changes(),
        name: ResourceKey { scope, name: name.into(), incarnation: 0 },
        life: AtomicU64::new(0),
        seen: Mutex::default(),
    };
    Some(node.pumps.start(spec, Arc::new(source), Arc::new(handle)))
}

/// A data stream of this node's catalog.
struct CatalogSource {
    node: Weak<Node>,
    changes: Arc<Notify>,
    /// Its name; which life of it is read is in the positions.
    name: ResourceKey,
    life: AtomicU64,
    /// As it was when the pump last looked.
    seen: Mutex<Option<Arc<Stream>>>,
}

impl CatalogSource {
    fn stream(&self, node: &Node) -> Option<Arc<Stream>> {
        let key = ResourceKey { incarnation: self.life.load(Ordering::Relaxed), ..self.name.clone() };
        node.registry.state().stream_incarnation(&key).cloned()
    }

    /// Does something with the data stream as it is now; `None` if one of them is gone.
    fn with<T>(&self, then: impl FnOnce(&Node, &Stream) -> Option<T>) -> Option<T> {
        let node = self.node.upgrade()?;
        let stream = self.stream(&node)?;
        then(&node, &stream)
    }

    /// True unless the pump has seen the shards as they are now.
    fn has_changed(&self) -> bool {
        // A node that is going away says nothing about its streams.
        let Some(node) = self.node.upgrade() else { return false };
        let now = self.stream(&node);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (&now, &*seen) {
            // A table that is held is nobody else's memory, so equal addresses are equal tables.
            (Some(now), Some(seen)) => !std::ptr::eq(now.shards.all(), seen.shards.all()),
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        }
    }
}

impl Source for CatalogSource {
    fn shards(&self, life: u64) -> Option<Vec<Arc<Shard>>> {
        self.life.store(life, Ordering::Relaxed);
        let node = self.node.upgrade();
        let now = node.and_then(|node| self.stream(&node));
        let shards = now.as_ref().map(|stream| stream.shards.all().to_vec());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        shards
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            loop {
                let change = self.changes.notified();
                tokio::pin!(change);
                change.as_mut().enable();
                if self.has_changed() {
                    return;
                }
                change.await;
            }
        })
    }

    fn admit(&self, shard: u32) -> bool {
        let admitted = self.with(|node, stream| {
            let metrics = node.metrics.stream(stream);
            metrics.get_records.requests.inc();
            let admitted = node.traffic.of(stream).is_none_or(|traffic| traffic.get(ShardId(shard)));
            if !admitted {
                metrics.reads_refused.inc();
            }
            Some(admitted)
        });
        // Of a stream that is gone, reading finds out.
        admitted.unwrap_or(true)
    }

    fn found(&self, shard: u32, records: u64, bytes: u64, behind_ms: u64) {
        self.with(|node, stream| {
            let metrics = node.metrics.stream(stream);
            metrics.get_records.success.inc();
            metrics.get_records.records.inc_by(records);
            metrics.get_records.bytes.inc_by(bytes);
            node.traffic.of(stream)?.got(ShardId(shard), records, bytes, behind_ms);
            Some(())
        });
    }

    fn pace(&self) -> Duration {
        let limited = self.with(|node, stream| node.config.limits.of(&stream.name).map(|_| ()));
        limited.map_or(Duration::ZERO, |()| Duration::from_secs(1) / FIREHOSE_READS_PER_SHARD_SECOND)
    }

    fn is_held(&self) -> bool {
        self.node.upgrade().is_none_or(|node| node.is_full())
    }
}

/// What `/metrics` says of a delivery stream's source.
#[must_use]
pub(crate) fn samples(stream: &DeliveryStream, pump: &Pump, now: Millis) -> Vec<Sample> {
    let metrics = pump.metrics();
    let labels = delivery_stream_labels(stream);
    let sample = |metric, help, value: u64| Sample { metric, help, labels: labels.clone(), value: value as f64 };
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    vec![
        sample(
            "aws_firehose_data_read_from_kinesis_stream_bytes_total",
            "AWS/Firehose DataReadFromKinesisStream.Bytes",
            count(&metrics.bytes),
        ),
        sample(
            "aws_firehose_data_read_from_kinesis_stream_records_total",
            "AWS/Firehose DataReadFromKinesisStream.Records",
            count(&metrics.records),
        ),
        sample(
            "aws_firehose_kinesis_millis_behind_latest",
            "AWS/Firehose KinesisMillisBehindLatest",
            metrics.millis_behind(now),
        ),
        sample(
            "aws_firehose_throttled_get_records_total",
            "AWS/Firehose ThrottledGetRecords",
            count(&metrics.throttled_reads),
        ),
        sample(
            "levada_source_lost_records_total",
            "Records of the source that were past retention, or unreadable, before they were copied",
            count(&metrics.lost_records),
        ),
        sample(
            "levada_source_held",
            "1 while a full backlog or a full disk keeps the source from being read",
            count(&metrics.held),
        ),
        sample("levada_source_gone", "1 once the source stream was deleted", count(&metrics.source_gone)),
        sample("levada_source_halted", "1 while the source cannot be read", count(&metrics.halted)),
    ]
}
