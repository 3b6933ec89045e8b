//! SubscribeToShard: a shard's records are pushed to a consumer as they come, for five minutes.
//!
//! A call is refused before its stream begins, with what GetShardIterator would say. Then one task follows the shard's
//! log. It makes an event only when the connection can take one, so a slow reader holds what the connection has taken
//! and one event more, and whatever it missed it reads from the log. Events are [bounded](EVENT) and
//! [paid for](crate::subscriptions::Purse); when the memory that all share is used up, events become small enough for the
//! subscription's own.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use levada_core::catalog::{Account, ConsumerRef, ConsumerStatus, ResourceKey, Scope};
use levada_core::engine::{EngineError, Millis, Offset, Page};
use levada_core::env::Clock;
use levada_core::iterator::Position;
use levada_core::sequence::Start;
use levada_core::shard::ShardId;
use levada_core::throttle::Bucket;
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::eventstream;
use levada_wire::kinesis::arn::{Arn, Resource};
use levada_wire::kinesis::records::RecordsWriter;
use levada_wire::kinesis::subscribe::{EVENT as EVENT_NAME, EventHead};
use levada_wire::kinesis::{errors, types};
use levada_wire::limits;
use tokio::sync::futures::Notified;

use super::reading::{Asked, Bounds, Place, behind, reply_bytes};
use super::{Caller, text};
use crate::body::{Chunk, FrameSender, frames};
use crate::call::{Answer, Reply};
use crate::memory::Share;
use crate::metrics::ConsumerMetrics;
use crate::node::Node;
use crate::refusal::refused;
use crate::subscriptions::{Denied, Key, MAX_SUBSCRIPTIONS, Purse, Seat};

/// How long a subscription lasts.
const LIFE: Duration = Duration::from_millis(limits::SUBSCRIPTION_LIFE_MS);

/// After how much silence an event without records is sent.
const HEARTBEAT: Duration = Duration::from_millis(limits::SUBSCRIPTION_HEARTBEAT_MS);

/// Most that an event carries. AWS was seen to send 7.5 MiB; at 2 MiB/s smaller events come sooner and cost less.
const EVENT: Bounds = Bounds { records: 2_000, bytes: 1 << 20 };

/// Most that an event carries while the memory for events is used up: it takes no more than
/// [`OWN_BYTES`](crate::subscriptions::OWN_BYTES), unless its one record does.
const SMALL_EVENT: Bounds = Bounds { records: 40, bytes: 16 << 10 };

pub(super) async fn to_shard(caller: Caller<'_>, request: &types::SubscribeToShard) -> Answer {
    let node = caller.node;
    let (place, consumer) = resolve(caller, request)?;
    let metrics = node.metrics.consumer(&place.stream, &consumer.name);
    metrics.requests.inc();
    let asked = Asked {
        kind: request.starting_position.position_type,
        number: request.starting_position.sequence_number.as_deref(),
        timestamp: request.starting_position.timestamp.map(|time| time.0),
    };
    let position = place.position(node, caller.now(), asked).await?;
    let start = place.start(node, &position).await.map_err(|error| place.unreadable(&error))?;
    if request.dry_run == Some(true) {
        return Err(errors::dry_run("SubscribeToShard"));
    }
    let now = node.clock.monotonic();
    let (stream, shard) = (place.stream.key(), place.shard.id());
    let key = Key { stream: stream.incarnation, consumer: consumer.clone(), shard };
    let seat = node.subscriptions.begin(key, now).map_err(|denied| {
        metrics.rate_exceeded.inc();
        match denied {
            Denied::TooSoon => errors::subscription_exists(&consumer.name, &shard.to_string(), text(&place.stream)),
            Denied::TooMany => errors::too_many_subscriptions(MAX_SUBSCRIPTIONS),
        }
    })?;
    metrics.success.inc();
    let (sender, frames) = frames();
    let follower = Follower {
        node: Arc::clone(node),
        stream,
        shard,
        protocol: caller.protocol,
        start,
        reached: None,
        bucket: node.traffic.fan_out(&place.stream).map(|limit| Bucket::full(limit, now)),
        spoke: now,
        told_ms: 0,
        purse: seat.purse(),
        metrics,
    };
    tokio::spawn(follower.run(sender, seat, now + LIFE));
    Ok(Reply::Events(frames))
}

/// The shard and the consumer of a request, in the order of GetShardIterator's checks.
fn resolve(caller: Caller<'_>, request: &types::SubscribeToShard) -> Result<(Place, ConsumerRef), AwsError> {
    let arn = Arn::parse(&request.consumer_arn);
    let invalid = || errors::invalid_arn(&request.consumer_arn);
    let Some(Arn { region, account, resource: Resource::Consumer { stream, consumer, created_secs }, .. }) = arn else {
        return Err(invalid());
    };
    if region != caller.principal.region {
        return Err(errors::arn_of_other_region(&request.consumer_arn));
    }
    let name = errors::StreamText { stream, account };
    let id = ShardId::parse(&request.shard_id).ok_or_else(|| errors::could_not_find_shard(&request.shard_id, name))?;
    let owner = Account::new(account).ok_or_else(invalid)?;
    let found = caller.node.registry.state().usable_stream(&Scope::new(owner, region), stream).cloned();
    let found = found.map_err(|error| refused(&error))?;
    let wanted = ConsumerRef { name: consumer.into(), created_secs };
    match found.consumer(&wanted).map(|consumer| consumer.status) {
        None => return Err(errors::consumer_not_found(consumer, created_secs, name)),
        Some(ConsumerStatus::Creating | ConsumerStatus::Deleting) => {
            return Err(errors::consumer_not_active(consumer, created_secs, name));
        }
        Some(ConsumerStatus::Active) => {}
    }
    let shard = found.shards.get(id).cloned().ok_or_else(|| errors::shard_not_found(&id.to_string(), name))?;
    Ok((Place { stream: found, shard }, wanted))
}

/// Why a subscription ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Its five minutes are over.
    Time,
    /// The shard's children have been told.
    Shard,
    /// The client went away.
    Gone,
    /// Another call took the shard over, the stream is deleted, or the node stops.
    Cut,
    /// The shard cannot be read.
    Failed(EngineError),
}

impl From<EngineError> for End {
    fn from(error: EngineError) -> Self {
        // The log goes with its stream.
        if error == EngineError::Missing { Self::Cut } else { Self::Failed(error) }
    }
}

/// What is told next.
enum Event {
    /// Records from `start` on, and the memory that the event takes.
    Records { page: Page, start: Start, memory: Share },
    /// Nothing has come for a while, or nothing could be sent.
    Heartbeat,
    /// The shard has been read to its end.
    ShardEnd { page: Page },
}

/// What there is to wait for while nothing can be told.
enum Wait {
    /// A record at this offset, or the end of the log.
    Growth(Offset),
    /// The time when the consumer has paid for what it got.
    Payment(Duration),
    /// Memory for an event of so many bytes.
    Memory(usize),
    /// A word of the catalog: the shard is not open yet, or its end is not settled.
    Catalog,
}

/// Follows a shard's log on behalf of one subscription.
struct Follower {
    node: Arc<Node>,
    stream: ResourceKey,
    shard: ShardId,
    protocol: Protocol,
    /// Where the next event begins.
    start: Start,
    /// Arrival of the last record told.
    reached: Option<Millis>,
    /// What the consumer may have of this shard; `None` without limits.
    bucket: Option<Bucket>,
    /// When the last event was sent.
    spoke: Duration,
    /// Wall-clock time in the last continuation number; it never falls.
    told_ms: Millis,
    /// What events are paid from.
    purse: Purse,
    metrics: Arc<ConsumerMetrics>,
}

impl Follower {
    async fn run(mut self, sender: FrameSender, mut seat: Seat, until: Duration) {
        let node = Arc::clone(&self.node);
        let end = tokio::select! {
            biased;
            () = sender.gone() => End::Gone,
            () = node.stopping() => End::Cut,
            () = seat.lost() => End::Cut,
            () = node.sleep_until_elapsed(until) => End::Time,
            end = self.follow(&sender) => end,
        };
        match &end {
            // CloudWatch's Success is 0 for the end that comes by time.
            End::Time => {
                self.metrics.events.inc();
            }
            End::Failed(error) => self.fail(&sender, error).await,
            End::Shard | End::Gone | End::Cut => {}
        }
        tracing::debug!(stream = %self.stream.name, shard = %self.shard, ?end, "a subscription ended");
    }

    /// Sends event after event. Nothing is read before the connection has taken what came before.
    async fn follow(&mut self, sender: &FrameSender) -> End {
        let Ok(room) = sender.room().await else { return End::Gone };
        room.send(eventstream::initial_response(self.protocol));
        loop {
            let Ok(room) = sender.room().await else { return End::Gone };
            let (frame, last) = match self.next().await {
                Ok(told) => told,
                Err(end) => return end,
            };
            room.send(frame);
            self.spoke = self.node.clock.monotonic();
            if last {
                return End::Shard;
            }
        }
    }

    /// Tells the client that the shard cannot be read, if it listens.
    async fn fail(&self, sender: &FrameSender, error: &EngineError) {
        let Some(place) = self.place() else { return };
        let error = place.unreadable(error);
        if let Ok(Ok(room)) = tokio::time::timeout(HEARTBEAT, sender.room()).await {
            room.send(eventstream::exception(&error, self.protocol));
        }
    }

    /// The stream and the shard as they are now; `None` when they are gone.
    fn place(&self) -> Option<Place> {
        let stream = self.node.registry.state().stream_incarnation(&self.stream).cloned();
        let stream = stream.filter(|stream| stream.is_usable())?;
        let shard = stream.shards.get(self.shard).cloned()?;
        Some(Place { stream, shard })
    }

    /// The next event's frame as soon as there is something to tell, and whether it is the last.
    async fn next(&mut self) -> Result<(Chunk, bool), End> {
        let node = Arc::clone(&self.node);
        loop {
            // Asked for before the look, so that nothing is missed between the look and the wait.
            let changed = node.registry.changed();
            let place = self.place().ok_or(End::Cut)?;
            let wait = match self.look(&place).await? {
                Ok(event) => return Ok(self.tell(&place, event).await?),
                Err(wait) => wait,
            };
            if self.idle(&place, &wait, changed).await? {
                return Ok(self.tell(&place, Event::Heartbeat).await?);
            }
        }
    }

    /// Waits until it is worth another look (false), or until it is time for a heartbeat (true).
    async fn idle(&self, place: &Place, wait: &Wait, changed: Notified<'_>) -> Result<bool, EngineError> {
        let mut beat = pin!(self.node.sleep_until_elapsed(self.spoke + HEARTBEAT));
        let mut waited = pin!(self.wait(place, wait));
        let mut changed = pin!(changed);
        loop {
            tokio::select! {
                biased;
                () = &mut beat => return Ok(true),
                waited = &mut waited => return waited.map(|()| false),
                () = &mut changed => {}
            }
            // The catalog wakes everybody. Whose stream is the same as before goes on waiting.
            changed.set(self.node.registry.changed());
            if !self.is_current(place) {
                return Ok(false);
            }
        }
    }

    /// True if the catalog has changed nothing of the stream since `place` was looked up.
    fn is_current(&self, place: &Place) -> bool {
        let state = self.node.registry.state();
        state.stream_incarnation(&self.stream).is_some_and(|stream| Arc::ptr_eq(stream, &place.stream))
    }

    /// What can be told now, or what there is to wait for.
    async fn look(&mut self, place: &Place) -> Result<Result<Event, Wait>, EngineError> {
        let now = self.node.clock.monotonic();
        let paid = self.bucket.as_mut().map_or(now, |bucket| bucket.paid_off(now));
        if paid > now {
            return Ok(Err(Wait::Payment(paid)));
        }
        let page = self.read(place, EVENT).await?;
        if page.chunks.is_empty() {
            return Ok(match self.start.read_from() {
                _ if place.ended(&page) => Ok(Event::ShardEnd { page }),
                _ if page.tail.sealed || place.opens_later() => Err(Wait::Catalog),
                next => Err(Wait::Growth(next)),
            });
        }
        match self.afford(page) {
            Ok(event) => Ok(Ok(event)),
            // What cannot be had in one piece comes in small ones, but a record is never less than whole.
            Err(_) => {
                let page = self.read(place, SMALL_EVENT).await?;
                Ok(self.afford(page).map_err(Wait::Memory))
            }
        }
    }

    /// The event of a page, if there is memory for it; otherwise how many bytes it takes.
    fn afford(&self, page: Page) -> Result<Event, usize> {
        let bytes = reply_bytes(self.protocol, &page);
        let memory = self.purse.pay(bytes).ok_or(bytes)?;
        Ok(Event::Records { page, start: self.start, memory })
    }

    /// Reads from where the next event begins.
    async fn read(&mut self, place: &Place, bounds: Bounds) -> Result<Page, EngineError> {
        let now = self.node.clock.now_ms();
        let (page, start) = place.read(&self.node, now, &Position::Start(self.start), bounds).await?;
        self.start = start;
        Ok(page)
    }

    async fn wait(&self, place: &Place, wait: &Wait) -> Result<(), EngineError> {
        match wait {
            Wait::Growth(end) => self.node.engine.grown(place.shard.log, *end).await.map(|_| ()),
            Wait::Payment(paid) => {
                self.node.sleep_until_elapsed(*paid).await;
                Ok(())
            }
            Wait::Memory(bytes) => {
                self.purse.has(*bytes).await;
                Ok(())
            }
            Wait::Catalog => std::future::pending().await,
        }
    }

    /// The frame of an event, and whether it is the last. From now on the records in it are told.
    async fn tell(&mut self, place: &Place, event: Event) -> Result<(Chunk, bool), EngineError> {
        let now = self.node.clock.now_ms();
        Ok(match event {
            Event::Records { page, start, memory } => {
                (Chunk::holding(self.records(place, &page, start, now), memory), false)
            }
            Event::Heartbeat => {
                let tail = place.tail(&self.node).await?;
                let next = self.start.read_from();
                let page = Page { chunks: Vec::new(), next, tail };
                let behind = match self.reached {
                    Some(reached) if next < tail.end => behind(reached, now),
                    _ => place.millis_behind(&page, now),
                };
                let head = self.head(place, next, behind, now);
                (self.frame(head.begin(self.protocol, 0), behind, 0, 0).into(), false)
            }
            Event::ShardEnd { page } => {
                let behind = place.millis_behind(&page, now);
                let child_shards = Some(place.children());
                let head = EventHead { child_shards, millis_behind_latest: behind, ..EventHead::default() };
                (self.frame(head.begin(self.protocol, 0), behind, 0, 0).into(), true)
            }
        })
    }

    fn records(&mut self, place: &Place, page: &Page, start: Start, now: Millis) -> Vec<u8> {
        let behind = place.millis_behind(page, now);
        let head = self.head(place, page.next, behind, now);
        let mut event = head.begin(self.protocol, reply_bytes(self.protocol, page));
        let (records, bytes) = place.each_record(page, start, |arrival, record, digits| {
            event.encryption(place.encryption(arrival));
            event.record(arrival, record.data, record.key, digits);
        });
        self.start = Start::Offset(page.next);
        self.reached = page.chunks.last().map(|chunk| chunk.arrival);
        if let Some(bucket) = &mut self.bucket {
            bucket.take_in_debt(bytes, self.node.clock.monotonic());
        }
        self.frame(event, behind, records, bytes)
    }

    /// What an event says beside its records, if it goes on behind it.
    fn head(&mut self, place: &Place, next: Offset, behind: u64, now: Millis) -> EventHead {
        self.told_ms = self.told_ms.max(now);
        EventHead {
            child_shards: None,
            continuation_sequence_number: Some(place.shard.space().continuation(next, self.told_ms).to_string()),
            millis_behind_latest: behind,
        }
    }

    /// An event's frame; it is counted.
    fn frame(&self, event: RecordsWriter, behind: u64, records: u64, bytes: u64) -> Vec<u8> {
        let metrics = &self.metrics;
        metrics.events.inc();
        metrics.event_success.inc();
        metrics.event_records.inc_by(records);
        metrics.event_bytes.inc_by(bytes);
        metrics.behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
        eventstream::event(EVENT_NAME, self.protocol, &event.finish())
    }
}
