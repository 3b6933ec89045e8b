//! Consumers, and what hangs on streams and consumers: tags and policies.

use super::*;

fn register(name: &str) -> Command {
    let tags = BTreeMap::from([("team".to_owned(), "flights".to_owned())]);
    Command::RegisterConsumer { scope: scope(), stream: "s".into(), name: name.into(), tags }
}

fn deregister(name: &str, created_secs: Option<u64>) -> Command {
    Command::DeregisterConsumer { scope: scope(), stream: "s".into(), name: name.into(), created_secs }
}

fn consumer(node: &Node, name: &str) -> Option<Consumer> {
    node.stream("s").consumers.get(name).map(|found| Consumer::clone(found))
}

#[test]
fn a_consumer_comes_and_goes() {
    for lifecycle in [Lifecycle::INSTANT, Lifecycle::AWS] {
        let mut node = Node::of(lifecycle, None);
        node.run(NOW, &create("s", 1)).unwrap();
        node.due(NOW + 5_000);
        let mut now = NOW + 7_777;
        node.run(now, &register("c")).unwrap();
        let found = consumer(&node, "c").unwrap();
        assert_eq!(
            found.arn(&node.stream("s")),
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1800000007"
        );
        assert_eq!((found.created_ms, found.tags.len()), (now, 1));
        if lifecycle == Lifecycle::AWS {
            assert_eq!((found.status, node.state.next_due()), (ConsumerStatus::Creating, Some(now + 5_000)));
            let finish = Command::FinishConsumer { stream: node.stream("s").key(), consumer: found.reference() };
            assert_eq!(node.run(now + 4_999, &finish), Ok(None));
            now += 5_000;
            node.due(now);
        }
        assert_eq!(consumer(&node, "c").unwrap().status, ConsumerStatus::Active);
        assert_eq!(node.stream("s").consumer(&found.reference()).map(|c| c.created_ms), Some(found.created_ms));
        let exists = DomainError::ConsumerExists { consumer: "c".into(), stream: "s".into(), account: account() };
        assert_eq!(node.run(now, &register("c")), Err(exists));
        node.run(now, &deregister("c", Some(found.created_secs()))).unwrap();
        if lifecycle == Lifecycle::AWS {
            assert_eq!(consumer(&node, "c").unwrap().status, ConsumerStatus::Deleting);
            assert_eq!(node.run(now, &deregister("c", None)), Ok(None));
            now += 3_500;
            node.due(now);
        }
        assert_eq!((consumer(&node, "c"), node.state.next_due()), (None, None));
        assert_eq!(node.replay().unwrap().state, node.state);
    }
}

/// Without quotas too; and one more costs no copy of the others.
#[test]
fn a_stream_has_no_more_than_a_thousand_consumers() {
    for quotas in [None, Some(Quotas { consumers: usize::MAX, creating_consumers: usize::MAX, ..QUOTAS })] {
        let mut node = Node::of(Lifecycle::INSTANT, quotas);
        node.complete(NOW, &create("s", 1));
        for n in 0..MAX_CONSUMERS {
            let before = node.stream("s");
            node.run(NOW, &register(&format!("c{n}"))).unwrap();
            let now = node.stream("s");
            assert!(before.consumers.iter().all(|(name, consumer)| Arc::ptr_eq(consumer, &now.consumers[name])));
        }
        let limit = DomainError::ConsumerLimit { stream: "s".into(), account: account(), limit: 1_000 };
        assert_eq!(node.run(NOW, &register("one more")), Err(limit));
        node.run(NOW, &deregister("c7", None)).unwrap();
        node.run(NOW, &register("one more")).unwrap();
        assert_eq!(node.replay().unwrap().state, node.state);
    }
}

#[test]
fn no_two_lives_of_a_consumer_share_an_arn() {
    let mut node = Node::default();
    node.complete(NOW, &create("s", 1));
    let mut arns = BTreeSet::new();
    // In one second, with the clock set back, and in a new stream of the name.
    for now in [NOW, NOW, NOW + 1_000, NOW - 9_000_000, NOW + 60_000] {
        node.run(now, &register("c")).unwrap();
        let found = consumer(&node, "c").unwrap();
        assert!(arns.insert(found.arn(&node.stream("s"))), "{arns:?}");
        node.run(now, &deregister("c", None)).unwrap();
    }
    node.run(NOW + 61_000, &register("c")).unwrap();
    arns.insert(consumer(&node, "c").unwrap().arn(&node.stream("s")));
    node.run(NOW, &Command::DeleteStream { scope: scope(), name: "s".into(), enforce_consumer_deletion: true })
        .unwrap();
    node.due(NOW);
    node.complete(NOW, &create("s", 1));
    node.run(NOW, &register("c")).unwrap();
    assert!(arns.insert(consumer(&node, "c").unwrap().arn(&node.stream("s"))), "{arns:?}");
}

#[test]
fn refusals_and_quotas() {
    let mut node = Node::of(Lifecycle::AWS, Some(QUOTAS));
    node.run(NOW, &create("s", 1)).unwrap();
    let not_active = |status| DomainError::StreamNotActive { name: "s".into(), account: account(), status };
    assert_eq!(node.run(NOW, &register("c")), Err(not_active(StreamStatus::Creating)));
    let mut now = NOW + 5_000;
    node.due(now);
    node.run(now, &update("s", StreamUpdate::IncreaseRetention(25))).unwrap();
    for name in ["a", "b", "c", "d"] {
        assert!(node.run(now, &register(name)).is_ok(), "also of an UPDATING stream");
    }
    let (stream, account) = (Arc::<str>::from("s"), account());
    let creating = DomainError::CreatingConsumerLimit { stream: stream.clone(), account: account.clone(), limit: 4 };
    assert_eq!(node.run(now, &register("e")), Err(creating));
    now += 5_000;
    node.due(now);
    node.run(now, &register("e")).unwrap();
    node.run(now, &register("f")).unwrap();
    let limit = |limit| DomainError::ConsumerLimit { stream: stream.clone(), account: account.clone(), limit };
    assert_eq!(node.run(now, &register("g")), Err(limit(6)));
    // On-demand Advantage: the mode and the account's commitment.
    node.run(now, &Command::SetCommitment { scope: scope(), enabled: true }).unwrap();
    assert_eq!(node.run(now, &register("g")), Err(limit(6)));
    node.run(now, &update("s", StreamUpdate::Mode { mode: StreamMode::OnDemand, warm_mibps: None })).unwrap();
    now += 5_000;
    node.due(now);
    node.run(now, &register("g")).unwrap();
    assert_eq!(node.run(now, &register("h")), Err(limit(7)));

    let missing = |consumer: &str, created_secs| {
        let (stream, account) = (stream.clone(), account.clone());
        Err(DomainError::ConsumerNotFound { consumer: consumer.into(), created_secs, stream, account })
    };
    assert_eq!(node.run(now, &deregister("none", None)), missing("none", None));
    assert_eq!(node.run(now, &deregister("a", Some(5))), missing("a", Some(5)));
    let in_use = DomainError::ConsumersRegistered { name: stream.clone(), account: account.clone() };
    assert_eq!(node.run(now, &delete("s")), Err(in_use));
    let names = |after| node.stream("s").consumers_after(after).map(|c| c.name.to_string()).collect::<String>();
    assert_eq!(
        (names(None), names(Some("c")), names(Some("cc")), names(Some("g"))),
        ("abcdefg".to_owned(), "defg".to_owned(), "defg".to_owned(), String::new())
    );
    node.run(now, &Command::DeleteStream { scope: scope(), name: "s".into(), enforce_consumer_deletion: true })
        .unwrap();
    let not_found = DomainError::StreamNotFound { name: stream.clone(), account: account.clone() };
    assert_eq!(node.run(now, &deregister("a", None)), Err(not_found));
    assert_eq!(node.run(now, &register("h")), Err(not_active(StreamStatus::Deleting)));
}

fn resource(consumer: Option<&Consumer>) -> Resource {
    Resource { scope: scope(), stream: "s".into(), consumer: consumer.map(Consumer::reference) }
}

#[test]
fn tags_of_streams_and_consumers() {
    let mut node = Node::default();
    node.complete(NOW, &create("s", 1));
    node.run(NOW, &register("c")).unwrap();
    let found = consumer(&node, "c").unwrap();
    let tags = |range: std::ops::Range<u32>, value: &str| -> BTreeMap<String, String> {
        range.map(|i| (format!("k{i:02}"), value.to_owned())).collect()
    };
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    for (consumer, arn, had) in [
        (None, "arn:aws:kinesis:us-east-1:123456789012:stream/s".to_owned(), 0),
        (Some(&found), found.arn(&node.stream("s")), 1),
    ] {
        let of = |node: &Node| match consumer {
            None => node.stream("s").tags.clone(),
            Some(found) => node.stream("s").consumer(&found.reference()).unwrap().tags.clone(),
        };
        let tag = |tags| Command::Tag { resource: resource(consumer), tags };
        let untag = |keys| Command::Untag { resource: resource(consumer), keys };
        node.run(NOW, &tag(tags(had..50, "old"))).unwrap();
        assert_eq!(of(&node).len(), 50);
        assert_eq!(node.run(NOW, &tag(tags(had..50, "old"))), Ok(None));
        // A key that is there may have another value, also where there is no room for another.
        node.run(NOW, &tag(tags(10..11, "new"))).unwrap();
        assert_eq!(of(&node)["k10"], "new");
        let too_many = DomainError::TooManyTags { arn, account: account() };
        assert_eq!(node.run(NOW, &tag(tags(50..51, ""))), Err(too_many));
        let system = BTreeMap::from([("aws:x".to_owned(), String::new())]);
        assert_eq!(node.run(NOW, &tag(system)), Err(DomainError::SystemTag));
        assert_eq!(node.run(NOW, &untag(keys(&["aws:x"]))), Err(DomainError::SystemTag));
        assert_eq!(node.run(NOW, &untag(keys(&["none"]))), Ok(None));
        node.run(NOW, &untag(keys(&["k10", "none", "k11"]))).unwrap();
        assert_eq!(of(&node).len(), 48);
    }
    let gone = Resource { consumer: Some(ConsumerRef { name: "c".into(), created_secs: 1 }), ..resource(None) };
    let not_found = DomainError::ConsumerNotFound {
        consumer: "c".into(),
        created_secs: Some(1),
        stream: "s".into(),
        account: account(),
    };
    assert_eq!(node.run(NOW, &Command::Tag { resource: gone, tags: tags(0..1, "") }), Err(not_found));
    node.run(NOW, &create("t", 1)).unwrap();
    let creating = Resource { stream: "t".into(), ..resource(None) };
    let status = StreamStatus::Creating;
    let not_active = DomainError::StreamNotActive { name: "t".into(), account: account(), status };
    assert_eq!(node.run(NOW, &Command::Tag { resource: creating, tags: tags(0..1, "") }), Err(not_active));
    assert_eq!(node.replay().unwrap().state, node.state);
}

#[test]
fn policies_of_streams_and_consumers() {
    let mut node = Node::default();
    node.complete(NOW, &create("s", 1));
    node.run(NOW, &register("c")).unwrap();
    let found = consumer(&node, "c").unwrap();
    let arns = [node.stream("s").arn(), found.arn(&node.stream("s"))];
    for (consumer, arn) in [None, Some(&found)].into_iter().zip(arns) {
        let put = |policy: &str| Command::PutPolicy { resource: resource(consumer), policy: policy.to_owned() };
        let delete = Command::DeletePolicy { resource: resource(consumer) };
        let of = |node: &Node| match consumer {
            None => node.stream("s").policy.clone(),
            Some(found) => node.stream("s").consumer(&found.reference()).unwrap().policy.clone(),
        };
        let absent = DomainError::PolicyNotFound { arn };
        assert_eq!(node.run(NOW, &delete), Err(absent.clone()));
        node.run(NOW, &put("{}")).unwrap();
        assert_eq!(node.run(NOW, &put("{}")), Ok(None));
        node.run(NOW, &put("{\"Id\":\"1\"}")).unwrap();
        assert_eq!(of(&node).as_deref(), Some("{\"Id\":\"1\"}"));
        node.run(NOW, &delete).unwrap();
        assert_eq!((of(&node), node.run(NOW, &delete)), (None, Err(absent)));
    }
    assert_eq!(node.replay().unwrap().state, node.state);
}
