//! The delivery workers of a node: who runs, and by which configuration.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use levada_core::catalog::{Command, DeliveryStatus, DeliveryStream, Destination, Event, ResourceKey, Scope, Source};
use levada_delivery::{Config, Handle, Spec};

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

    fn config_of(&self, stream: &DeliveryStream) -> Option<Config> {
        let config = self.assembly.config(&About::stream(stream), &stream.destination);
        config
            .inspect_err(|error| {
                // It was accepted by a node that was configured otherwise, or by another release.
                tracing::error!(delivery_stream = %stream.name, %error, "this node cannot deliver this delivery stream");
            })
            .ok()
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
        if let Some(pump) = pump {
            pump.stop(DELIVERY_GRACE).await;
        }
        if let Some(handle) = handle {
            let dropped = handle.delete().await;
            self.dropped_records.fetch_add(dropped.records, Ordering::Relaxed);
            tracing::info!(
                delivery_stream = %key.name, records = dropped.records, bytes = dropped.bytes,
                "delivery stream deleted; these undelivered records went with it"
            );
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
