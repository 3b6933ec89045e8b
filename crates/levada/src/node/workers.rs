//! The delivery workers of a node: who runs, and by which configuration.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use levada_core::catalog::{
    BucketSettings, Command, DeliveryStatus, DeliveryStream, Destination, Event, ResourceKey, Scope, Source,
};
use levada_delivery::{Config, Dropped, Handle, Sink, Spec};

use super::{DELIVERY_GRACE, Node};
use crate::deliveries::{About, Undeliverable, block};
use crate::source;

impl Node {
    /// Whether this node can deliver to a destination of a delivery stream that is or is to be of this name.
    ///
    /// # Errors
    /// [`Undeliverable`], the first thing that is in the way.
    pub fn check_destination(
        &self,
        scope: &Scope,
        name: &str,
        source: &Source,
        destination: &Destination,
    ) -> Result<(), Undeliverable> {
        self.assembly.config(&About::new(scope, name, source), destination)?;
        match destination.buckets().find(|bucket| !self.knows_bucket(bucket.bucket())) {
            Some(bucket) => Err(Undeliverable::Bucket(bucket.bucket().to_owned())),
            None => Ok(()),
        }
    }

    /// Gives log ids to the delivery streams of earlier releases, before anybody works with them.
    pub(super) async fn assign_blocks(&self) {
        let without = |stream: &&Arc<DeliveryStream>| stream.block.is_none();
        let keys: Vec<_> =
            self.registry.state().all_delivery_streams().filter(without).map(|stream| stream.key()).collect();
        for key in keys {
            let name = key.name.clone();
            if let Err(error) = self.registry.submit(&Command::AssignLogBlock(key)).await {
                tracing::error!(delivery_stream = %name, %error, "no log ids for processing until the next start");
            }
        }
    }

    /// Tells the worker of an ACTIVE delivery stream how things stand now; starts it, and the pump of its source, if
    /// there is none. Whoever comes last tells the newest, so no order of callers is wrong.
    pub(crate) fn configure_delivery(self: &Arc<Self>, key: &ResourceKey) {
        let _one_at_a_time = self.configuring.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stream) = self.registry.state().delivery_stream_incarnation(key).cloned() else { return };
        if stream.status != DeliveryStatus::Active || *self.stopping.borrow() {
            return;
        }
        let Some(config) = self.config_of(&stream) else { return };
        self.warn_of_local_buckets(&stream);
        let (config_version, block) = (stream.version, stream.block.map(block));
        if let Some(handle) = self.delivery(stream.incarnation) {
            handle.reconfigure(config, config_version, block);
            return;
        }
        let handle = self.delivery.start(Spec {
            name: stream.name.to_string(),
            data: stream.data_log,
            control: stream.control_log,
            block,
            config,
            config_version,
            backlog_quota_bytes: self.config.backlog_bytes,
        });
        if let Some(pump) = source::start(self, &stream, handle.clone()) {
            self.sources.write().unwrap_or_else(PoisonError::into_inner).insert(stream.incarnation, pump);
        }
        self.deliveries.write().unwrap_or_else(PoisonError::into_inner).insert(stream.incarnation, handle);
    }

    /// Who names some buckets in the configuration may have forgotten or mistyped another.
    fn warn_of_local_buckets(&self, stream: &DeliveryStream) {
        if self.config.buckets.is_empty() {
            return;
        }
        for bucket in stream.destination.buckets().map(BucketSettings::bucket) {
            if self.buckets.is_unmapped(bucket) {
                let store = self.buckets.place(bucket);
                tracing::warn!(
                    delivery_stream = %stream.name, bucket, store,
                    "this bucket is not in the configuration: its objects go to a directory"
                );
            } else if !self.buckets.knows(bucket) {
                tracing::error!(
                    delivery_stream = %stream.name, bucket,
                    "this bucket is not in the configuration: its objects wait until it is"
                );
            }
        }
    }

    fn config_of(&self, stream: &DeliveryStream) -> Option<Config> {
        let config = self.assembly.config(&About::stream(stream), &stream.destination);
        let mut undeliverable = self.undeliverable.write().unwrap_or_else(PoisonError::into_inner);
        match config {
            Ok(config) => {
                undeliverable.remove(&stream.incarnation);
                Some(config)
            }
            Err(error) => {
                // It was accepted by a node that was configured otherwise, or by another release.
                tracing::error!(delivery_stream = %stream.name, %error, "this node cannot deliver this delivery stream");
                undeliverable.insert(stream.incarnation, error.to_string().into());
                None
            }
        }
    }

    /// Why an ACTIVE delivery stream cannot be delivered by this node; `None` if it can, or the node is stopping.
    #[must_use]
    pub fn undeliverable(&self, incarnation: u64) -> Option<Arc<str>> {
        self.undeliverable.read().unwrap_or_else(PoisonError::into_inner).get(&incarnation).cloned()
    }

    /// Does what follows from an event at once, with no work that could fail.
    pub(crate) fn follow(self: &Arc<Self>, event: Option<&Event>) {
        match event {
            // A consumer that is gone is not measured any more.
            Some(Event::ConsumerGone { key, consumer }) => {
                self.metrics.forget_consumer(key.incarnation, &consumer.name);
            }
            Some(Event::DestinationUpdated { key, .. }) => self.configure_delivery(key),
            Some(_) | None => {}
        }
    }

    pub(crate) async fn end_delivery(&self, key: &ResourceKey) {
        let (pump, handle) = {
            // Whoever starts a worker meanwhile has done so, or sees that it is too late.
            let _one_at_a_time = self.configuring.lock().unwrap_or_else(PoisonError::into_inner);
            let pump = self.sources.write().unwrap_or_else(PoisonError::into_inner).remove(&key.incarnation);
            let handle = self.deliveries.write().unwrap_or_else(PoisonError::into_inner).remove(&key.incarnation);
            (pump, handle)
        };
        self.undeliverable.write().unwrap_or_else(PoisonError::into_inner).remove(&key.incarnation);
        if let Some(pump) = pump {
            pump.stop(DELIVERY_GRACE).await;
        }
        let Some(handle) = handle else { return };
        let Dropped { records, bytes } = handle.delete().await;
        self.dropped_records.fetch_add(records, Ordering::Relaxed);
        if records == 0 {
            tracing::info!(delivery_stream = %key.name, "delivery stream deleted");
        } else {
            // As was asked for, but for ever.
            tracing::warn!(delivery_stream = %key.name, records, bytes, "delivery stream deleted, undelivered records with it");
        }
    }

    /// The worker of a delivery stream's incarnation, while it is ACTIVE.
    #[must_use]
    pub fn delivery(&self, incarnation: u64) -> Option<Handle> {
        self.deliveries.read().unwrap_or_else(PoisonError::into_inner).get(&incarnation).cloned()
    }

    /// Every worker.
    #[must_use]
    pub fn all_deliveries(&self) -> Vec<Handle> {
        self.deliveries.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
