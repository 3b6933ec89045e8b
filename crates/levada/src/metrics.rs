//! `/metrics`: AWS's CloudWatch metrics for what exists, in the Prometheus text form, and Levada's own.
//!
//! A CloudWatch metric `PutRecords.Latency` of namespace `AWS/Kinesis` is `aws_kinesis_put_records_latency_seconds`
//! here; its dimension `StreamName` is the label of the same name. CloudWatch's `Success` is an average over
//! calls; here `…_success_total` is divided by `…_requests_total`. Whatever only rises is a counter and ends in `_total`,
//! or is a summary's `…_seconds_sum` and `…_seconds_count`; all else is a gauge.

mod calls;
mod fan_out;
mod shards;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use levada_core::catalog::{DeliveryStream, ResourceKey, Scope, Stream};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::calls::CallFamily;
pub use self::calls::CallMetrics;
pub use self::fan_out::ConsumerMetrics;
use self::fan_out::FanOut;
pub use self::shards::shard_samples;

/// What the bytes of a record of a data stream are.
const KEYS_AND_DATA: &str = "keys and data";

/// The dimension of `AWS/Kinesis`, and what CloudWatch keeps apart by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "the label is the CloudWatch dimension")]
struct StreamLabel {
    StreamName: String,
    account: String,
    region: String,
}

impl StreamLabel {
    fn new(scope: &Scope, name: &str) -> Self {
        let (account, region) = (scope.account.as_str().to_owned(), scope.region.to_string());
        Self { StreamName: name.to_owned(), account, region }
    }
}

/// The dimension of `AWS/Firehose`, and what CloudWatch keeps apart by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "the label is the CloudWatch dimension")]
struct DeliveryStreamLabel {
    DeliveryStreamName: String,
    account: String,
    region: String,
}

impl DeliveryStreamLabel {
    fn new(scope: &Scope, name: &str) -> Self {
        let (account, region) = (scope.account.as_str().to_owned(), scope.region.to_string());
        Self { DeliveryStreamName: name.to_owned(), account, region }
    }
}

/// The same labels in the text form, for samples.
#[must_use]
pub fn delivery_stream_labels(stream: &DeliveryStream) -> String {
    // Names, accounts and regions are letters, digits and [_.-], so nothing needs escaping.
    let (account, region) = (stream.scope.account.as_str(), &stream.scope.region);
    format!("{{DeliveryStreamName=\"{}\",account=\"{account}\",region=\"{region}\"}}", stream.name)
}

/// What one operation on one resource counts.
#[derive(Clone, Debug)]
pub struct OperationMetrics {
    /// Calls.
    pub requests: Counter,
    /// Calls that succeeded, in AWS's sense: at least one record for the batch operations.
    pub success: Counter,
    /// Bytes of data, and of Kinesis of keys, of successful records only.
    pub bytes: Counter,
    /// Records, of successful ones only.
    pub records: Counter,
    /// Records that were refused or failed; of streams, without those that a rate refused.
    pub failed: Counter,
    /// Seconds from a whole request to its answer.
    pub latency: Histogram,
}

/// One stream's metrics.
#[derive(Clone, Debug)]
pub struct StreamMetrics {
    /// `IncomingBytes`.
    pub incoming_bytes: Counter,
    /// `IncomingRecords`.
    pub incoming_records: Counter,
    /// `PutRecord.*`.
    pub put_record: OperationMetrics,
    /// `PutRecords.*`.
    pub put_records: OperationMetrics,
    /// `GetRecords.*`.
    pub get_records: OperationMetrics,
    /// `GetRecords.IteratorAgeMilliseconds` of the last call.
    pub iterator_age: Gauge,
    /// `PutRecords.ThrottledRecords`.
    pub throttled_records: Counter,
    /// `WriteProvisionedThroughputExceeded`, in records.
    pub writes_refused: Counter,
    /// `ReadProvisionedThroughputExceeded`, in calls.
    pub reads_refused: Counter,
}

/// One delivery stream's metrics on the put side. The delivery side is a snapshot, see [`DeliverySample`].
#[derive(Clone, Debug)]
pub struct DeliveryStreamMetrics {
    /// `IncomingBytes`.
    pub incoming_bytes: Counter,
    /// `IncomingRecords`.
    pub incoming_records: Counter,
    /// `IncomingPutRequests`.
    pub incoming_requests: Counter,
    /// `ThrottledRecords`: answered `Slow down.`
    pub throttled_records: Counter,
    /// `PutRecord.*`.
    pub put_record: OperationMetrics,
    /// `PutRecordBatch.*`.
    pub put_record_batch: OperationMetrics,
}

/// A value read at the moment of a scrape, for one shard, one delivery stream or (without a name) the node.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The metric's whole name. Of a counter it ends in `_total`, of a summary's two values in `_seconds_sum` and
    /// `_seconds_count`, as OpenMetrics wants; all others are gauges.
    pub metric: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its labels in braces, or nothing.
    pub labels: String,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// What it is a value of, and of which type that is.
    fn family(&self) -> (&'static str, &'static str) {
        let sum_or_count = || ["_sum", "_count"].iter().find_map(|suffix| self.metric.strip_suffix(suffix));
        match self.metric.strip_suffix("_total") {
            Some(family) => (family, "counter"),
            None => match sum_or_count().filter(|family| family.ends_with("_seconds")) {
                Some(family) => (family, "summary"),
                None => (self.metric, "gauge"),
            },
        }
    }
}

struct OperationFamily<L> {
    calls: CallFamily<L>,
    success: Family<L, Counter>,
    bytes: Family<L, Counter>,
    records: Family<L, Counter>,
    failed: Family<L, Counter>,
}

impl<L> OperationFamily<L>
where
    L: Clone + std::hash::Hash + Eq + std::fmt::Debug + EncodeLabelSet + Send + Sync + 'static,
{
    /// `content`: what of a record its bytes are.
    fn register(registry: &mut Registry, prefix: &str, operation: &str, content: &str) -> Self {
        let family = Self {
            calls: CallFamily::register(registry, prefix, operation),
            success: Family::default(),
            bytes: Family::default(),
            records: Family::default(),
            failed: Family::default(),
        };
        let mut counter = |name: &str, help: &str, metric: &Family<L, Counter>| {
            registry.register(format!("{prefix}_{name}"), format!("{operation}: {help}"), metric.clone());
        };
        counter("success", "calls that succeeded", &family.success);
        counter("bytes", &format!("bytes of {content} of successful records"), &family.bytes);
        counter("records", "successful records", &family.records);
        counter("failed_records", "records refused or failed", &family.failed);
        family
    }

    fn of(&self, labels: &L) -> OperationMetrics {
        let CallMetrics { requests, latency } = self.calls.of(labels);
        OperationMetrics {
            requests,
            success: self.success.get_or_create_owned(labels),
            bytes: self.bytes.get_or_create_owned(labels),
            records: self.records.get_or_create_owned(labels),
            failed: self.failed.get_or_create_owned(labels),
            latency,
        }
    }

    fn forget(&self, labels: &L) {
        self.calls.forget(labels);
        for family in [&self.success, &self.bytes, &self.records, &self.failed] {
            family.remove(labels);
        }
    }
}

/// All metrics of a node.
pub struct Metrics {
    registry: Registry,
    /// Answers by operation and outcome.
    responses: Family<ResponseLabel, Counter>,
    incoming_bytes: Family<StreamLabel, Counter>,
    incoming_records: Family<StreamLabel, Counter>,
    iterator_age: Family<StreamLabel, Gauge>,
    throttled_records: Family<StreamLabel, Counter>,
    writes_refused: Family<StreamLabel, Counter>,
    reads_refused: Family<StreamLabel, Counter>,
    put_record: OperationFamily<StreamLabel>,
    put_records: OperationFamily<StreamLabel>,
    get_records: OperationFamily<StreamLabel>,
    fan_out: FanOut,
    streams: RwLock<HashMap<u64, Arc<StreamMetrics>>>,
    firehose: FirehoseFamilies,
    delivery_streams: RwLock<HashMap<u64, Arc<DeliveryStreamMetrics>>>,
}

/// What calls about delivery streams are counted by.
struct FirehoseFamilies {
    incoming_bytes: Family<DeliveryStreamLabel, Counter>,
    incoming_records: Family<DeliveryStreamLabel, Counter>,
    incoming_requests: Family<DeliveryStreamLabel, Counter>,
    throttled: Family<DeliveryStreamLabel, Counter>,
    put_record: OperationFamily<DeliveryStreamLabel>,
    put_record_batch: OperationFamily<DeliveryStreamLabel>,
    describe: CallFamily<DeliveryStreamLabel>,
    update: CallFamily<DeliveryStreamLabel>,
    list: CallMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabel {
    operation: &'static str,
    code: &'static str,
}

/// A family of counters or gauges, registered.
fn family<L, M>(registry: &mut Registry, name: &str, help: &str) -> Family<L, M>
where
    L: Clone + std::hash::Hash + Eq + std::fmt::Debug + EncodeLabelSet + Send + Sync + 'static,
    M: Default + TypedMetric + EncodeMetric + std::fmt::Debug + Send + Sync + 'static,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

impl FirehoseFamilies {
    fn register(registry: &mut Registry) -> Self {
        let operation = |registry: &mut Registry, name: &str, operation: &str| {
            OperationFamily::register(registry, &format!("aws_firehose_{name}"), operation, "data")
        };
        Self {
            incoming_bytes: family(registry, "aws_firehose_incoming_bytes", "AWS/Firehose IncomingBytes"),
            incoming_records: family(registry, "aws_firehose_incoming_records", "AWS/Firehose IncomingRecords"),
            incoming_requests: family(
                registry,
                "aws_firehose_incoming_put_requests",
                "AWS/Firehose IncomingPutRequests",
            ),
            throttled: family(registry, "aws_firehose_throttled_records", "AWS/Firehose ThrottledRecords"),
            put_record: operation(registry, "put_record", "AWS/Firehose PutRecord"),
            put_record_batch: operation(registry, "put_record_batch", "AWS/Firehose PutRecordBatch"),
            describe: CallFamily::register(
                registry,
                "aws_firehose_describe_delivery_stream",
                "AWS/Firehose DescribeDeliveryStream",
            ),
            update: CallFamily::register(
                registry,
                "aws_firehose_update_delivery_stream",
                "AWS/Firehose UpdateDeliveryStream (UpdateDestination)",
            ),
            list: CallMetrics::register(
                registry,
                "aws_firehose_list_delivery_streams",
                "AWS/Firehose ListDeliveryStreams, of all accounts and regions",
            ),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let responses = family(&mut registry, "levada_responses", "Answers by operation and error code");
        let incoming_bytes = family(&mut registry, "aws_kinesis_incoming_bytes", "AWS/Kinesis IncomingBytes");
        let incoming_records = family(&mut registry, "aws_kinesis_incoming_records", "AWS/Kinesis IncomingRecords");
        let iterator_age = family(
            &mut registry,
            "aws_kinesis_get_records_iterator_age_milliseconds",
            "AWS/Kinesis GetRecords.IteratorAgeMilliseconds of the last call",
        );
        let throttled_records = family(
            &mut registry,
            "aws_kinesis_put_records_throttled_records",
            "AWS/Kinesis PutRecords.ThrottledRecords",
        );
        let writes_refused = family(
            &mut registry,
            "aws_kinesis_write_provisioned_throughput_exceeded",
            "AWS/Kinesis WriteProvisionedThroughputExceeded, in records",
        );
        let reads_refused = family(
            &mut registry,
            "aws_kinesis_read_provisioned_throughput_exceeded",
            "AWS/Kinesis ReadProvisionedThroughputExceeded, in GetRecords calls",
        );
        let put_record =
            OperationFamily::register(&mut registry, "aws_kinesis_put_record", "AWS/Kinesis PutRecord", KEYS_AND_DATA);
        let put_records = OperationFamily::register(
            &mut registry,
            "aws_kinesis_put_records",
            "AWS/Kinesis PutRecords",
            KEYS_AND_DATA,
        );
        let get_records = OperationFamily::register(
            &mut registry,
            "aws_kinesis_get_records",
            "AWS/Kinesis GetRecords",
            KEYS_AND_DATA,
        );
        let fan_out = FanOut::register(&mut registry);
        let firehose = FirehoseFamilies::register(&mut registry);
        Self {
            registry,
            responses,
            incoming_bytes,
            incoming_records,
            iterator_age,
            throttled_records,
            writes_refused,
            reads_refused,
            put_record,
            put_records,
            get_records,
            fan_out,
            streams: RwLock::default(),
            firehose,
            delivery_streams: RwLock::default(),
        }
    }
}

impl Metrics {
    /// Counts an answer.
    pub fn response(&self, operation: &'static str, code: &'static str) {
        self.responses.get_or_create(&ResponseLabel { operation, code }).inc();
    }

    /// The metrics of a stream, created on first use.
    #[must_use]
    pub fn stream(&self, stream: &Stream) -> Arc<StreamMetrics> {
        cached(&self.streams, stream.incarnation, || {
            let label = StreamLabel::new(&stream.scope, &stream.name);
            StreamMetrics {
                incoming_bytes: self.incoming_bytes.get_or_create_owned(&label),
                incoming_records: self.incoming_records.get_or_create_owned(&label),
                put_record: self.put_record.of(&label),
                put_records: self.put_records.of(&label),
                get_records: self.get_records.of(&label),
                iterator_age: self.iterator_age.get_or_create_owned(&label),
                throttled_records: self.throttled_records.get_or_create_owned(&label),
                writes_refused: self.writes_refused.get_or_create_owned(&label),
                reads_refused: self.reads_refused.get_or_create_owned(&label),
            }
        })
    }

    /// The metrics of a stream's consumer, created on first use.
    #[must_use]
    pub fn consumer(&self, stream: &Stream, name: &Arc<str>) -> Arc<ConsumerMetrics> {
        self.fan_out.of(stream, name)
    }

    /// Forgets a consumer that was deregistered. What a live subscription of it goes on counting is not shown.
    pub fn forget_consumer(&self, stream: u64, name: &str) {
        self.fan_out.forget(stream, |consumer| consumer == name);
    }

    /// The metrics of a delivery stream, created on first use.
    #[must_use]
    pub fn delivery_stream(&self, stream: &DeliveryStream) -> Arc<DeliveryStreamMetrics> {
        cached(&self.delivery_streams, stream.incarnation, || {
            let label = DeliveryStreamLabel::new(&stream.scope, &stream.name);
            DeliveryStreamMetrics {
                incoming_bytes: self.firehose.incoming_bytes.get_or_create_owned(&label),
                incoming_records: self.firehose.incoming_records.get_or_create_owned(&label),
                incoming_requests: self.firehose.incoming_requests.get_or_create_owned(&label),
                throttled_records: self.firehose.throttled.get_or_create_owned(&label),
                put_record: self.firehose.put_record.of(&label),
                put_record_batch: self.firehose.put_record_batch.of(&label),
            }
        })
    }

    /// `DescribeDeliveryStream.*` of a delivery stream: apart from what puts count, since all are described and many idle.
    #[must_use]
    pub fn describe_delivery_stream(&self, stream: &DeliveryStream) -> CallMetrics {
        self.firehose.describe.of(&DeliveryStreamLabel::new(&stream.scope, &stream.name))
    }

    /// `UpdateDeliveryStream.*` of a delivery stream.
    #[must_use]
    pub fn update_delivery_stream(&self, stream: &DeliveryStream) -> CallMetrics {
        self.firehose.update.of(&DeliveryStreamLabel::new(&stream.scope, &stream.name))
    }

    /// `ListDeliveryStreams.*`, which is of no delivery stream.
    #[must_use]
    pub fn list_delivery_streams(&self) -> &CallMetrics {
        &self.firehose.list
    }

    /// Forgets a deleted stream, so that the page is bounded by what exists.
    pub fn forget_stream(&self, key: &ResourceKey) {
        let label = StreamLabel::new(&key.scope, &key.name);
        self.fan_out.forget(key.incarnation, |_| true);
        self.streams.write().unwrap_or_else(PoisonError::into_inner).remove(&key.incarnation);
        for family in [
            &self.incoming_bytes,
            &self.incoming_records,
            &self.throttled_records,
            &self.writes_refused,
            &self.reads_refused,
        ] {
            family.remove(&label);
        }
        self.iterator_age.remove(&label);
        self.fan_out.forget(key.incarnation, |_| true);
        for operation in [&self.put_record, &self.put_records, &self.get_records] {
            operation.forget(&label);
        }
    }

    /// Forgets a deleted delivery stream.
    pub fn forget_delivery_stream(&self, key: &ResourceKey) {
        let label = DeliveryStreamLabel::new(&key.scope, &key.name);
        self.delivery_streams.write().unwrap_or_else(PoisonError::into_inner).remove(&key.incarnation);
        for family in [
            &self.firehose.incoming_bytes,
            &self.firehose.incoming_records,
            &self.firehose.incoming_requests,
            &self.firehose.throttled,
        ] {
            family.remove(&label);
        }
        self.firehose.put_record.forget(&label);
        self.firehose.put_record_batch.forget(&label);
        self.firehose.describe.forget(&label);
        self.firehose.update.forget(&label);
    }

    /// The page: everything counted, then the samples of this moment.
    #[must_use]
    pub fn page(&self, mut samples: Vec<Sample>) -> String {
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut page, &self.registry);
        let end = page.trim_end().trim_end_matches("# EOF").len();
        page.truncate(end);
        // Values of one family and its labels stand together (OpenMetrics).
        samples.sort_by(|a, b| (a.family().0, &a.labels).cmp(&(b.family().0, &b.labels)));
        let mut last = "";
        for sample in samples {
            let (family, kind) = sample.family();
            if family != last {
                page.push_str(&format!("# HELP {family} {}\n# TYPE {family} {kind}\n", sample.help));
                last = family;
            }
            page.push_str(&format!("{}{} {}\n", sample.metric, sample.labels, sample.value));
        }
        page.push_str("# EOF\n");
        page
    }
}

fn cached<T>(map: &RwLock<HashMap<u64, Arc<T>>>, incarnation: u64, make: impl FnOnce() -> T) -> Arc<T> {
    if let Some(found) = map.read().unwrap_or_else(PoisonError::into_inner).get(&incarnation) {
        return Arc::clone(found);
    }
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(map.entry(incarnation).or_insert_with(|| Arc::new(make())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use levada_core::catalog::{Account, Command, NewStream, Rules, State, decide, fold};

    use super::*;

    /// A stream as the catalog makes it.
    fn stream(name: &str, region: &str) -> Stream {
        let scope = Scope::new(Account::new("000000000000").unwrap(), region);
        let mut state = State::default();
        let create = Command::CreateStream(NewStream {
            scope: scope.clone(),
            name: name.into(),
            mode: None,
            shard_count: Some(1),
            max_record_kib: None,
            warm_mibps: None,
            distribution: None,
            tags: BTreeMap::new(),
        });
        let event = decide(&state, 0, &Rules::INSTANT, &create).unwrap().unwrap();
        fold(&mut state, &event).unwrap();
        Stream::clone(state.stream(&scope, name).unwrap())
    }

    #[test]
    fn the_page_carries_aws_names_and_ends_once() {
        let metrics = Metrics::default();
        metrics.stream(&stream("flights", "us-east-1")).put_records.records.inc_by(500);
        metrics.response("PutRecords", "OK");
        let sample = |name: &str, value| Sample {
            metric: "aws_firehose_delivery_to_s3_data_freshness_seconds",
            help: "AWS/Firehose DeliveryToS3.DataFreshness",
            labels: format!("{{DeliveryStreamName=\"{name}\"}}"),
            value,
        };
        let page = metrics.page(vec![sample("a", 1.0), sample("b", 2.5)]);
        for line in [
            "aws_kinesis_put_records_records_total{StreamName=\"flights\",account=\"000000000000\",region=\"us-east-1\"} 500",
            "levada_responses_total{operation=\"PutRecords\",code=\"OK\"} 1",
            "aws_firehose_delivery_to_s3_data_freshness_seconds{DeliveryStreamName=\"b\"} 2.5",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
        }
        assert_eq!(page.matches("# EOF").count(), 1);
        assert_eq!(page.matches("# TYPE aws_firehose_delivery_to_s3_data_freshness_seconds").count(), 1);
    }

    /// Readers derive rates from counters only, and refuse values of one family that do not stand together.
    #[test]
    fn the_type_of_a_sample_follows_from_its_name() {
        let sample = |metric, labels: &str| Sample { metric, help: "help", labels: labels.into(), value: 1.0 };
        let names = ["b_seconds_sum", "b_seconds_count", "a_total", "partition_count", "c_bytes"];
        let samples = ["{s=\"1\"}", "{s=\"2\"}"].iter().flat_map(|labels| names.map(|name| sample(name, labels)));
        let page = Metrics::default().page(samples.collect());
        let ours: Vec<&str> = page.lines().skip_while(|line| *line != "# HELP a help").collect();
        assert_eq!(
            ours,
            [
                "# HELP a help",
                "# TYPE a counter",
                "a_total{s=\"1\"} 1",
                "a_total{s=\"2\"} 1",
                "# HELP b_seconds help",
                "# TYPE b_seconds summary",
                "b_seconds_sum{s=\"1\"} 1",
                "b_seconds_count{s=\"1\"} 1",
                "b_seconds_sum{s=\"2\"} 1",
                "b_seconds_count{s=\"2\"} 1",
                "# HELP c_bytes help",
                "# TYPE c_bytes gauge",
                "c_bytes{s=\"1\"} 1",
                "c_bytes{s=\"2\"} 1",
                "# HELP partition_count help",
                "# TYPE partition_count gauge",
                "partition_count{s=\"1\"} 1",
                "partition_count{s=\"2\"} 1",
                "# EOF",
            ]
        );
    }

    #[test]
    fn a_forgotten_stream_leaves_the_page() {
        let metrics = Metrics::default();
        let gone = stream("gone", "eu-west-1");
        metrics.stream(&gone).incoming_bytes.inc();
        for consumer in ["one", "other"] {
            metrics.consumer(&gone, &consumer.into()).events.inc();
        }
        metrics.forget_consumer(gone.incarnation, "one");
        let page = metrics.page(Vec::new());
        assert!(!page.contains("\"one\"") && page.contains("\"other\""), "{page}");
        metrics.forget_stream(&gone.key());
        let page = metrics.page(Vec::new());
        assert!(!page.contains("\"gone\""), "{page}");
    }
}
