//! Delivery streams: sources, updates, encryption, tags, quotas, and what older releases wrote.

use super::*;

pub(super) fn kinesis(arn: &str) -> Source {
    let role_arn = "arn:aws:iam::123456789012:role/firehose".to_owned();
    Source::Kinesis(KinesisSource { stream_arn: arn.to_owned(), role_arn, start_ms: 7 })
}

fn bucket(name: &str) -> BucketSettings {
    BucketSettings::new(format!("arn:aws:s3:::{name}"), "arn:aws:iam::123456789012:role/firehose".to_owned())
}

fn s3() -> S3Destination {
    let Destination::S3(s3) = destination() else { unreachable!("it is S3") };
    s3
}

fn requests(backup_mode: BackupMode) -> Requests {
    Requests {
        buffering: Buffering::default(),
        retry_secs: 300,
        backup_mode,
        backup: bucket("backup"),
        processing: None,
        logging: CloudWatchLogging::default(),
    }
}

fn http() -> HttpEndpointDestination {
    HttpEndpointDestination {
        url: "https://receiver.example/put".to_owned(),
        name: None,
        access_key: Some(Secret::new("open sesame")),
        request: Some(RequestConfiguration {
            content_encoding: ContentEncoding::Gzip,
            common_attributes: vec![("site".to_owned(), Secret::new("funchal"))],
        }),
        role_arn: None,
        secrets_manager: None,
        common: requests(BackupMode::FailedOnly),
    }
}

fn splunk(backup_mode: BackupMode) -> Destination {
    Destination::Splunk(SplunkDestination {
        endpoint: "https://splunk.example:8088".to_owned(),
        endpoint_type: HecEndpointType::Raw,
        token: Some(Secret::new("open sesame")),
        ack_timeout_secs: 180,
        secrets_manager: None,
        common: requests(backup_mode),
    })
}

fn search(flavour: SearchFlavour) -> Destination {
    Destination::OpenSearch(OpenSearchDestination {
        flavour,
        address: SearchAddress::Domain("arn:aws:es:us-east-1:123456789012:domain/logs".to_owned()),
        index_name: "logs".to_owned(),
        type_name: None,
        rotation: IndexRotation::OneDay,
        document_id: None,
        role_arn: "arn:aws:iam::123456789012:role/firehose".to_owned(),
        vpc: None,
        common: requests(BackupMode::FailedOnly),
    })
}

fn delivery(node: &Node, name: &str) -> DeliveryStream {
    (**node.state.delivery_stream(&scope(), name).unwrap()).clone()
}

fn update_destination(name: &str, version: &str, destination: Destination) -> Command {
    Command::UpdateDestination { scope: scope(), name: name.into(), version: version.to_owned(), destination }
}

fn start_encryption(name: &str, key: EncryptionKey) -> Command {
    Command::StartDeliveryEncryption { scope: scope(), name: name.into(), key }
}

fn stop_encryption(name: &str) -> Command {
    Command::StopDeliveryEncryption { scope: scope(), name: name.into() }
}

fn tag(name: &str, tags: &[(&str, &str)]) -> Command {
    let tags = tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Command::TagDeliveryStream { scope: scope(), name: name.into(), tags }
}

fn untag(name: &str, keys: &[&str]) -> Command {
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    Command::UntagDeliveryStream { scope: scope(), name: name.into(), keys }
}

#[test]
fn an_update_of_the_present_version_makes_the_next() {
    let mut node = Node::default();
    node.complete(NOW, &create_delivery("d"));
    let changed = |size_mb| {
        let mut s3 = s3();
        s3.bucket.buffering.size_mb = size_mb;
        Destination::S3(s3)
    };
    // What changes nothing makes no version, but an old version is refused also then.
    assert_eq!(node.run(NOW + 1, &update_destination("d", "1", destination())), Ok(None));
    assert_eq!((delivery(&node, "d").version, delivery(&node, "d").updated_ms), (1, None));
    for (at, version, size_mb) in [(2, "1", 64), (3, "2", 65), (4, "3", 64)] {
        node.run(NOW + at, &update_destination("d", version, changed(size_mb))).unwrap().unwrap();
        let stream = delivery(&node, "d");
        assert_eq!((stream.version, stream.updated_ms), (at, Some(NOW + at)));
        assert_eq!(stream.destination, changed(size_mb));
        for old in [version, "0", "04", "5", ""] {
            let refused = node.run(NOW + 9, &update_destination("d", old, changed(size_mb)));
            let (name, current, specified) = ("d".into(), at, old.to_owned());
            assert_eq!(refused, Err(DeliveryError::Version { name, current, specified }.into()));
        }
    }
    assert_eq!(node.replay().unwrap().state, node.state);
}

#[test]
fn delivery_refusals() {
    let mut node = Node::of(Lifecycle::INSTANT, Some(QUOTAS));
    node.complete(NOW, &create("s", 1));
    let source = || kinesis("arn:aws:kinesis:us-east-1:123456789012:stream/s");
    let from_stream = NewDeliveryStream { source: source(), ..new_delivery("k") };
    node.complete(NOW, &Command::CreateDeliveryStream(from_stream));
    node.complete(NOW, &create_delivery("d"));
    node.run(NOW, &create_delivery("creating")).unwrap();
    let name = Arc::<str>::from;
    let too_many = (0..51).map(|n| (format!("k{n}"), String::new())).collect::<BTreeMap<_, _>>();
    let with = |edit: &dyn Fn(&mut NewDeliveryStream)| {
        let mut new = new_delivery("new");
        edit(&mut new);
        Command::CreateDeliveryStream(new)
    };
    let not_found = |arn: &str| {
        let arn = arn.to_owned();
        (with(&|new| new.source = kinesis(&arn)), DeliveryError::SourceNotFound { arn: arn.clone() })
    };
    let inactive = |command| {
        let (name, account, status) = (name("creating"), account(), DeliveryStatus::Creating);
        (command, DeliveryError::NotActive { name, account, status })
    };
    let kind = |to| DeliveryError::DestinationType { from: DestinationKind::S3, to };
    let rows = [
        not_found("arn:aws:kinesis:us-east-1:123456789012:stream/none"),
        not_found("arn:aws:kinesis:eu-west-1:123456789012:stream/s"),
        not_found("arn:aws:kinesis:us-east-1:123456789013:stream/s"),
        not_found("arn:aws-cn:kinesis:us-east-1:123456789012:stream/s"),
        not_found("arn:aws:firehose:us-east-1:123456789012:stream/s"),
        not_found("s"),
        (
            with(&|new| {
                new.source = source();
                new.encryption = Some(EncryptionKey::AwsOwned);
            }),
            DeliveryError::EncryptionOfSource { name: name("new") },
        ),
        (
            with(&|new| new.tags = too_many.clone()),
            DeliveryError::TooManyTags { name: name("new"), account: account() },
        ),
        inactive(update_destination("creating", "1", destination())),
        inactive(start_encryption("creating", EncryptionKey::AwsOwned)),
        inactive(stop_encryption("creating")),
        (update_destination("d", "1", Destination::HttpEndpoint(http())), kind(DestinationKind::HttpEndpoint)),
        (update_destination("d", "1", splunk(BackupMode::All)), kind(DestinationKind::Splunk)),
        (start_encryption("k", EncryptionKey::AwsOwned), DeliveryError::EncryptionOfSource { name: name("k") }),
        (stop_encryption("k"), DeliveryError::EncryptionOfSource { name: name("k") }),
    ];
    for (command, expected) in rows {
        assert_eq!(node.run(NOW, &command), Err(expected.into()), "{command:?}");
    }
    let system = Err(DomainError::SystemTag);
    assert_eq!(node.run(NOW, &tag("d", &[("aws:x", "")])), system);
    for command in [update_destination("none", "1", destination()), stop_encryption("none"), tag("none", &[])] {
        let missing = DomainError::DeliveryStreamNotFound { name: name("none"), account: account() };
        assert_eq!(node.run(NOW, &command), Err(missing));
    }
    // The quota counts what there is, whatever its status.
    let limit = (QUOTAS.delivery_streams)(&scope().region);
    for n in 3..limit {
        node.run(NOW, &create_delivery(&format!("n{n}"))).unwrap();
    }
    let full = DeliveryError::Limit { scope: scope(), limit };
    assert_eq!(node.run(NOW, &create_delivery("new")), Err(full.into()));
    node.complete(NOW, &delete_delivery("d"));
    node.run(NOW, &create_delivery("new")).unwrap();
}

#[test]
fn a_data_stream_is_read_from_the_moment_of_creation() {
    let mut node = Node::default();
    node.complete(NOW, &create("s", 1));
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s";
    let new = NewDeliveryStream { source: kinesis(arn), ..new_delivery("k") };
    node.complete(NOW + 5, &Command::CreateDeliveryStream(new));
    let stream = delivery(&node, "k");
    let source = stream.source.kinesis().unwrap();
    assert_eq!((source.start_ms, source.stream()), (NOW + 5, Some((scope(), "s"))));
    assert_eq!((stream.source.kind(), stream.encryption), ("KinesisStreamAsSource", None));
    assert_eq!(node.replay().unwrap().state, node.state);
    // Its source is neither changed nor kept by it.
    node.complete(NOW + 6, &delete("s"));
    assert_eq!(delivery(&node, "k").status, DeliveryStatus::Active);
}

#[test]
fn encryption_takes_its_time_and_its_turn() {
    let mut node = Node::of(Lifecycle::AWS, None);
    let key = || EncryptionKey::CustomerManaged("arn:aws:kms:us-east-1:123456789012:key/k".to_owned());
    let new = NewDeliveryStream { encryption: Some(EncryptionKey::AwsOwned), ..new_delivery("d") };
    node.run(NOW, &Command::CreateDeliveryStream(new)).unwrap();
    let status = |node: &Node| delivery(node, "d").encryption.unwrap();
    assert_eq!(status(&node), Encryption::enabling(EncryptionKey::AwsOwned, 0));
    node.due(NOW + Lifecycle::AWS.create);
    let on = |key| Encryption { status: EncryptionStatus::Enabled, key: Some(key), ..Encryption::default() };
    assert_eq!(status(&node), on(EncryptionKey::AwsOwned));
    // What came with the creation is no start.
    assert!(delivery(&node, "d").encryption_changes.is_empty());
    assert!(!Encryption::enabling(EncryptionKey::AwsOwned, 0).is_in_force() && status(&node).is_in_force());

    let now = NOW + 60_000;
    node.run(now, &start_encryption("d", key())).unwrap();
    let due = now + Lifecycle::AWS.delivery_encryption;
    // Another key is in force until then.
    assert_eq!(status(&node), Encryption { was_on: true, ..Encryption::enabling(key(), due) });
    assert!(status(&node).is_in_force());
    assert_eq!(node.state.next_due(), Some(due));
    for command in [start_encryption("d", key()), stop_encryption("d")] {
        let (name, account, status) = ("d".into(), account(), EncryptionStatus::Enabling);
        assert_eq!(node.run(now, &command), Err(DeliveryError::EncryptionBusy { name, account, status }.into()));
    }
    let finish = Command::FinishDeliveryEncryption(delivery(&node, "d").key());
    assert_eq!(node.run(due - 1, &finish), Ok(None));
    node.due(due);
    assert_eq!(status(&node), on(key()));
    assert_eq!(node.run(due, &finish), Ok(None));

    node.run(due, &stop_encryption("d")).unwrap();
    assert_eq!((status(&node).status, status(&node).key), (EncryptionStatus::Disabling, Some(key())));
    assert!(status(&node).is_in_force());
    // Deletion does not wait for it.
    let mut deleted = Node { state: node.state.clone(), ..Node::of(Lifecycle::AWS, None) };
    deleted.run(due, &delete_delivery("d")).unwrap();
    deleted.due(due + Lifecycle::AWS.delete);
    assert!(deleted.state.delivery_stream(&scope(), "d").is_err());
    node.due(due + Lifecycle::AWS.delivery_encryption);
    assert_eq!(status(&node), Encryption::default());
    // As a call of its own, and every call counts.
    node.run(due + 60_000, &stop_encryption("d")).unwrap();
    node.due(due + 120_000);
    assert_eq!(status(&node), Encryption::default());
    assert_eq!(delivery(&node, "d").encryption_changes, [now, due, due + 60_000]);
    assert_eq!((delivery(&node, "d").version, node.state.next_due()), (1, None));
    assert_eq!(node.replay().unwrap().state, node.state);
}

#[test]
fn starts_and_stops_of_encryption_are_counted_together() {
    let mut node = Node::of(Lifecycle::INSTANT, Some(QUOTAS));
    node.complete(NOW, &create_delivery("d"));
    let limit = QUOTAS.delivery_encryption_changes;
    for n in 0..limit as u64 {
        let command = if n % 2 == 0 { start_encryption("d", EncryptionKey::AwsOwned) } else { stop_encryption("d") };
        node.complete(NOW + n, &command);
    }
    let refused = DomainError::from(DeliveryError::EncryptionLimit { name: "d".into(), account: account(), limit });
    let day = History::WINDOW_MS;
    for (at, command) in [(NOW + 20, stop_encryption("d")), (NOW + day - 1, stop_encryption("d"))] {
        assert_eq!(node.run(at, &command), Err(refused.clone()));
    }
    node.complete(NOW + day, &stop_encryption("d"));
    assert_eq!(node.run(NOW + day, &stop_encryption("d")), Err(refused));
}

#[test]
fn tags_come_and_go() {
    let mut node = Node::default();
    node.run(NOW, &create_delivery("d")).unwrap();
    let tags = |node: &Node| delivery(node, "d").tags.into_iter().collect::<Vec<_>>();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    node.run(NOW, &tag("d", &[("b", "1"), ("a", "2")])).unwrap().unwrap();
    assert_eq!(node.run(NOW, &tag("d", &[("b", "1")])), Ok(None));
    node.run(NOW, &tag("d", &[("b", "3")])).unwrap().unwrap();
    assert_eq!(tags(&node), [pair("a", "2"), pair("b", "3")]);
    assert_eq!(node.run(NOW, &untag("d", &["c"])), Ok(None));
    node.run(NOW, &untag("d", &["c", "a"])).unwrap().unwrap();
    assert_eq!(tags(&node), [pair("b", "3")]);
    let many: Vec<_> = (0..MAX_TAGS).map(|n| format!("k{n}")).collect();
    let new: Vec<_> = many.iter().map(|key| (key.as_str(), "")).collect();
    let refused = DeliveryError::TooManyTags { name: "d".into(), account: account() };
    assert_eq!(node.run(NOW, &tag("d", &new)), Err(refused.into()));
    node.run(NOW, &tag("d", &new[1..])).unwrap();
    node.run(NOW, &tag("d", &[("b", "4")])).unwrap();
    assert_eq!((delivery(&node, "d").tags.len(), delivery(&node, "d").version), (MAX_TAGS, 1));
    assert_eq!(node.replay().unwrap().state, node.state);
}

/// What each update makes of a destination.
#[test]
fn an_update_keeps_what_it_does_not_name() {
    type Edit = fn(&mut S3Destination);
    let keep = S3Update::default;
    let of_bucket = |bucket| S3Update { bucket, ..S3Update::default() };
    let mut full = s3();
    full.file_extension = Some(".log".to_owned());
    full.time_zone = Some("Atlantic/Madeira".to_owned());
    full.bucket.kms_key_arn = Some("k".to_owned());
    full.bucket.logging = CloudWatchLogging { enabled: true, group: Some("g".to_owned()), stream: None };
    full.backup = Some(bucket("backup"));
    full.backup_enabled = true;
    full.partitioning = Some(Partitioning { enabled: true, retry_secs: Some(300) });
    let logging = CloudWatchLogging { enabled: false, group: None, stream: Some("s".to_owned()) };
    let processors = vec![Processor {
        kind: ProcessorKind::AppendDelimiterToRecord,
        parameters: vec![(ProcessorParameter::Delimiter, "\\n".to_owned())],
    }];
    let rows: Vec<(S3Update, Edit)> = vec![
        (keep(), |_| ()),
        (of_bucket(BucketUpdate { prefix: Some(String::new()), ..BucketUpdate::default() }), |s3| {
            s3.bucket.prefix = Some(String::new());
        }),
        (of_bucket(BucketUpdate { bucket_arn: Some("arn:aws:s3:::b".to_owned()), ..BucketUpdate::default() }), |s3| {
            s3.bucket.bucket_arn = "arn:aws:s3:::b".to_owned();
        }),
        (of_bucket(BucketUpdate { encryption: Some(ObjectEncryption::None), ..BucketUpdate::default() }), |s3| {
            s3.bucket.kms_key_arn = None;
        }),
        (
            of_bucket(BucketUpdate {
                encryption: Some(ObjectEncryption::Kms("l".to_owned())),
                ..BucketUpdate::default()
            }),
            |s3| s3.bucket.kms_key_arn = Some("l".to_owned()),
        ),
        (of_bucket(BucketUpdate { logging: Some(logging), ..BucketUpdate::default() }), |s3| {
            s3.bucket.logging = CloudWatchLogging { enabled: false, group: None, stream: Some("s".to_owned()) };
        }),
        (S3Update { file_extension: Some(String::new()), ..keep() }, |s3| s3.file_extension = None),
        (S3Update { time_zone: Some(String::new()), ..keep() }, |s3| s3.time_zone = None),
        (S3Update { time_zone: Some("UTC".to_owned()), ..keep() }, |s3| s3.time_zone = Some("UTC".to_owned())),
        (S3Update { backup_enabled: Some(true), ..keep() }, |_| ()),
        (
            S3Update {
                backup: Some(BucketUpdate { prefix: Some("b/".to_owned()), ..BucketUpdate::default() }),
                ..keep()
            },
            |s3| s3.backup.as_mut().unwrap().prefix = Some("b/".to_owned()),
        ),
        (S3Update { partitioning: Some(Partitioning { enabled: true, retry_secs: Some(0) }), ..keep() }, |s3| {
            s3.partitioning = Some(Partitioning { enabled: true, retry_secs: Some(0) })
        }),
        (S3Update { processing: Some(Processing { enabled: true, processors }), ..keep() }, |s3| {
            let kind = ProcessorKind::AppendDelimiterToRecord;
            let parameters = vec![(ProcessorParameter::Delimiter, "\\n".to_owned())];
            s3.processing = Some(Processing { enabled: true, processors: vec![Processor { kind, parameters }] });
        }),
    ];
    for (update, edit) in rows {
        let mut expected = full.clone();
        edit(&mut expected);
        let merged = DestinationUpdate::S3(update.clone()).merge(&Destination::S3(full.clone()));
        assert_eq!(merged, Ok(Destination::S3(expected)), "{update:?}");
    }
    // Backup can be turned on, with all that it needs.
    let on = BucketUpdate {
        bucket_arn: Some("arn:aws:s3:::backup".to_owned()),
        role_arn: Some("arn:aws:iam::123456789012:role/firehose".to_owned()),
        ..BucketUpdate::default()
    };
    let update = S3Update { backup_enabled: Some(true), backup: Some(on), ..keep() };
    let expected = S3Destination { backup_enabled: true, backup: Some(bucket("backup")), ..s3() };
    assert_eq!(DestinationUpdate::S3(update).merge(&destination()), Ok(Destination::S3(expected)));
}

#[test]
fn endpoints_are_updated_member_by_member() {
    let common = RequestsUpdate {
        buffering: Some(Buffering { size_mb: 1, interval_secs: 0 }),
        retry_secs: Some(0),
        backup_mode: Some(BackupMode::All),
        backup: Some(BucketUpdate { error_prefix: Some("e/".to_owned()), ..BucketUpdate::default() }),
        ..RequestsUpdate::default()
    };
    let update = HttpEndpointUpdate {
        url: Some("https://other.example/".to_owned()),
        request: Some(RequestConfiguration::default()),
        common: common.clone(),
        ..HttpEndpointUpdate::default()
    };
    let mut expected = http();
    expected.url = "https://other.example/".to_owned();
    expected.request = Some(RequestConfiguration::default());
    expected.common.buffering = Buffering { size_mb: 1, interval_secs: 0 };
    expected.common.retry_secs = 0;
    expected.common.backup_mode = BackupMode::All;
    expected.common.backup.error_prefix = Some("e/".to_owned());
    let merged = DestinationUpdate::HttpEndpoint(update).merge(&Destination::HttpEndpoint(http()));
    assert_eq!(merged, Ok(Destination::HttpEndpoint(expected)));

    let update = SplunkUpdate { ack_timeout_secs: Some(600), common: common.clone(), ..SplunkUpdate::default() };
    let Ok(Destination::Splunk(merged)) = DestinationUpdate::Splunk(update).merge(&splunk(BackupMode::FailedOnly))
    else {
        unreachable!("it stays Splunk")
    };
    assert_eq!((merged.ack_timeout_secs, merged.common.backup_mode), (600, BackupMode::All));
    assert_eq!(merged.token, Some(Secret::new("open sesame")));

    let endpoint = SearchAddress::Endpoint("https://search.example".to_owned());
    let update = OpenSearchUpdate {
        flavour: SearchFlavour::Service,
        address: Some(endpoint.clone()),
        index_name: None,
        type_name: None,
        rotation: Some(IndexRotation::OneHour),
        document_id: Some(DocumentIdFormat::NoDocumentId),
        role_arn: None,
        common: RequestsUpdate { backup_mode: None, ..common },
    };
    let Ok(Destination::OpenSearch(merged)) =
        DestinationUpdate::OpenSearch(update).merge(&search(SearchFlavour::Service))
    else {
        unreachable!("it stays OpenSearch")
    };
    assert_eq!((merged.address, merged.index_name.as_str()), (endpoint, "logs"));
    assert_eq!((merged.rotation, merged.common.retry_secs), (IndexRotation::OneHour, 0));
}

#[test]
fn what_an_update_cannot_change() {
    let search_update = |flavour, backup_mode| {
        DestinationUpdate::OpenSearch(OpenSearchUpdate {
            flavour,
            address: None,
            index_name: None,
            type_name: None,
            rotation: None,
            document_id: None,
            role_arn: None,
            common: RequestsUpdate { backup_mode, ..RequestsUpdate::default() },
        })
    };
    let of_s3 = |update| DestinationUpdate::S3(update);
    let keep = S3Update::default;
    let backed_up = Destination::S3(S3Destination { backup_enabled: true, backup: Some(bucket("backup")), ..s3() });
    let sorted =
        Destination::S3(S3Destination { partitioning: Some(Partitioning { enabled: true, retry_secs: None }), ..s3() });
    let partitioning =
        |enabled| of_s3(S3Update { partitioning: Some(Partitioning { enabled, retry_secs: None }), ..keep() });
    let splunk_update = SplunkUpdate {
        common: RequestsUpdate { backup_mode: Some(BackupMode::FailedOnly), ..RequestsUpdate::default() },
        ..SplunkUpdate::default()
    };
    let backup_on = || of_s3(S3Update { backup_enabled: Some(true), ..keep() });
    let incomplete = of_s3(S3Update { backup: Some(BucketUpdate::default()), ..keep() });
    let (service, elastic) = (SearchFlavour::Service, SearchFlavour::Elasticsearch);
    let kinds = |from, to| DeliveryError::DestinationType { from, to };
    let rows = [
        (of_s3(S3Update { backup_enabled: Some(false), ..keep() }), backed_up, DeliveryError::BackupDisabled),
        (backup_on(), destination(), DeliveryError::BackupWithoutBucket),
        (incomplete, destination(), DeliveryError::BackupWithoutBucket),
        (partitioning(true), destination(), DeliveryError::PartitioningChange { enable: true }),
        (partitioning(false), sorted, DeliveryError::PartitioningChange { enable: false }),
        (
            DestinationUpdate::Splunk(splunk_update),
            splunk(BackupMode::All),
            DeliveryError::BackupModeChange(DestinationKind::Splunk),
        ),
        (
            search_update(service, Some(BackupMode::All)),
            search(service),
            DeliveryError::BackupModeChange(DestinationKind::OpenSearch),
        ),
        (
            search_update(service, None),
            search(elastic),
            kinds(DestinationKind::Elasticsearch, DestinationKind::OpenSearch),
        ),
        (
            DestinationUpdate::HttpEndpoint(HttpEndpointUpdate::default()),
            destination(),
            kinds(DestinationKind::S3, DestinationKind::HttpEndpoint),
        ),
        (of_s3(keep()), splunk(BackupMode::All), kinds(DestinationKind::Splunk, DestinationKind::S3)),
    ];
    for (update, destination, expected) in rows {
        assert_eq!(update.clone().merge(&destination), Err(expected), "{update:?}");
    }
    // What is said again is no change.
    let same = [
        (of_s3(S3Update { backup_enabled: Some(false), ..keep() }), destination()),
        (partitioning(false), Destination::S3(S3Destination { partitioning: Some(Partitioning::default()), ..s3() })),
        (search_update(elastic, Some(BackupMode::FailedOnly)), search(elastic)),
    ];
    for (update, destination) in same {
        assert_eq!(update.merge(&destination).as_ref(), Ok(&destination));
    }
}

/// Every destination survives a restart with all it has, and nobody reads a secret in a log line.
#[test]
fn destinations_are_kept_and_their_secrets_with_them() {
    let mut node = Node::default();
    let all = [
        destination(),
        Destination::HttpEndpoint(http()),
        splunk(BackupMode::All),
        search(SearchFlavour::Serverless),
        search(SearchFlavour::Elasticsearch),
    ];
    for (n, destination) in all.iter().enumerate() {
        let new = NewDeliveryStream { destination: destination.clone(), ..new_delivery(&format!("d{n}")) };
        node.complete(NOW, &Command::CreateDeliveryStream(new));
    }
    let batches = snapshot_batches(&node.state, NOW);
    let mut from_snapshot = Node { first: 50, ..Node::default() };
    from_snapshot.append(&batches);
    for state in [node.replay().unwrap().state, from_snapshot.replay().unwrap().state] {
        assert_eq!(state, node.state);
        let kept: Vec<_> = state.all_delivery_streams().map(|stream| stream.destination.clone()).collect();
        assert_eq!(kept, all);
        let printed = format!("{state:?}");
        assert!(!printed.contains("sesame") && !printed.contains("funchal"), "{printed}");
    }
}

/// As version 2 wrote it: a snapshot with a delivery stream of two logs, and an update of nothing that was new.
#[test]
fn delivery_streams_of_version_2_are_read() {
    let snapshot = concat!(
        r#"{"v":2,"at":5,"snapshot":{"part":0,"parts":1}}"#,
        "\n",
        r#"{"next_log":19,"next_incarnation":3,"last_created_secs":[],"streams":[],"delivery_streams":[{"incarnation":2,"scope":{"account":"123456789012","region":"us-east-1"},"name":"d","status":"Active","created_ms":1800000000002,"version":1,"destination":{"extended":false,"bucket_arn":"arn:aws:s3:::flights","role_arn":"arn:aws:iam::123456789012:role/firehose","buffering":{"size_mb":1,"interval_secs":60},"compression":"Uncompressed","file_extension":".x","logging":{"enabled":true,"group":"g"}},"data_log":17,"control_log":18,"tags":{"a":"b"}}]}"#
    );
    let mut replayer = Replayer::new(100);
    replayer.record(100, snapshot.as_bytes()).unwrap();
    let mut node = Node { state: replayer.finish().unwrap().state, ..Node::default() };
    let stream = delivery(&node, "d");
    assert_eq!(
        (&stream.source, &stream.encryption, stream.block),
        (&Source::default(), &Some(Encryption::default()), None)
    );
    let Destination::S3(s3) = &stream.destination else { unreachable!("there was nothing else") };
    assert_eq!((s3.bucket.bucket(), s3.file_extension.as_deref()), ("flights", Some(".x")));
    assert_eq!(s3.bucket.logging.group.as_deref(), Some("g"));
    // It is changed and deleted as any other, with the logs it has.
    node.run(NOW, &Command::AssignLogBlock(stream.key())).unwrap().unwrap();
    let block = LogBlock { first: LogId(19), count: LogBlock::COUNT };
    assert_eq!((delivery(&node, "d").block, node.state.next_log), (Some(block), 19 + 512));
    node.run(NOW, &update_destination("d", "1", destination())).unwrap().unwrap();
    node.run(NOW, &delete_delivery("d")).unwrap();
    let Some(Unfinished { work: Work::DeleteLogs { logs, .. }, .. }) = node.state.unfinished().pop() else {
        unreachable!("it is being deleted")
    };
    assert_eq!(logs, (17..19 + 512).map(LogId).collect::<Vec<_>>());
}

/// A thousand delivery streams are a state of a few megabytes, and their logs cost ids only.
#[test]
fn a_thousand_delivery_streams_are_a_small_state() {
    let mut node = Node::default();
    for n in 0..1_000 {
        node.complete(NOW, &create_delivery(&format!("d{n}")));
    }
    let bytes: usize = snapshot_batches(&node.state, NOW).iter().map(|batch| batch.bytes().len()).sum();
    assert!(bytes < 1_000_000, "{bytes}");
    assert!(size_of::<DeliveryStream>() < 2_048, "{}", size_of::<DeliveryStream>());
    assert_eq!(node.state.next_due(), None);
}
