//! Settings of streams and accounts: refusals, and what shows when.

use super::*;

fn with_streams(node: &mut Node) {
    let on_demand = NewStream { mode: Some(StreamMode::OnDemand), ..new_stream("demand", None) };
    for command in [create("s", 2), Command::CreateStream(on_demand), create("updating", 1)] {
        node.run(NOW, &command).unwrap();
    }
    node.due(NOW + 5_000);
}

fn key_id(key_id: &str) -> StreamUpdate {
    StreamUpdate::StartEncryption { key_id: key_id.to_owned() }
}

fn mode(mode: StreamMode) -> StreamUpdate {
    StreamUpdate::Mode { mode, warm_mibps: None }
}

fn metrics(metrics: &[ShardMetric]) -> BTreeSet<ShardMetric> {
    metrics.iter().copied().collect()
}

#[test]
fn refusals() {
    let mut node = Node::of(Lifecycle::AWS, None);
    with_streams(&mut node);
    let now = NOW + 5_000;
    node.run(now, &update("updating", StreamUpdate::MaxRecordSize(2048))).unwrap();
    node.run(now, &create("creating", 1)).unwrap();
    let not_active =
        |name: &str, status| DomainError::StreamNotActive { name: name.into(), account: account(), status };
    let direction =
        |requested, existing| SettingError::RetentionDirection { name: "s".into(), requested, existing }.into();
    let no_commitment = || DomainError::from(SettingError::NoCommitment { account: account() });
    let not_found = DomainError::StreamNotFound { name: "none".into(), account: account() };
    let updating = || not_active("updating", StreamStatus::Updating);
    let creating = || not_active("creating", StreamStatus::Creating);
    let warm = |mode| StreamUpdate::Mode { mode, warm_mibps: Some(10) };
    let all = || metrics(&ShardMetric::ALL);
    let auto = StreamUpdate::Distribution(Distribution::Auto);
    let rows = [
        ("none", StreamUpdate::IncreaseRetention(48), not_found.clone()),
        ("none", StreamUpdate::WarmThroughput(10), no_commitment()),
        ("s", StreamUpdate::IncreaseRetention(-1), SettingError::RetentionTooShort { hours: -1 }.into()),
        ("s", StreamUpdate::IncreaseRetention(23), SettingError::RetentionTooShort { hours: 23 }.into()),
        ("s", StreamUpdate::DecreaseRetention(23), SettingError::RetentionTooShort { hours: 23 }.into()),
        ("s", StreamUpdate::IncreaseRetention(8_761), SettingError::RetentionTooLong { hours: 8_761 }.into()),
        ("s", StreamUpdate::IncreaseRetention(1 << 40), SettingError::RetentionTooLong { hours: 1 << 40 }.into()),
        ("s", StreamUpdate::DecreaseRetention(25), direction(25, 24)),
        ("updating", StreamUpdate::IncreaseRetention(8_761), SettingError::RetentionTooLong { hours: 8_761 }.into()),
        ("updating", StreamUpdate::IncreaseRetention(48), updating()),
        ("creating", StreamUpdate::IncreaseRetention(24), creating()),
        ("updating", StreamUpdate::MaxRecordSize(1024), updating()),
        ("creating", mode(StreamMode::OnDemand), creating()),
        ("updating", mode(StreamMode::Provisioned), updating()),
        ("s", warm(StreamMode::OnDemand), no_commitment()),
        ("updating", key_id("k"), updating()),
        ("s", StreamUpdate::StopEncryption, SettingError::NotEncrypted.into()),
        ("updating", StreamUpdate::StopEncryption, updating()),
        ("updating", StreamUpdate::EnableMonitoring(all()), updating()),
        ("updating", StreamUpdate::DisableMonitoring(all()), updating()),
        ("s", auto.clone(), SettingError::DistributionNeedsOnDemand.into()),
        ("updating", StreamUpdate::Distribution(Distribution::UserPartitionKey), updating()),
        ("demand", StreamUpdate::WarmThroughput(10), no_commitment()),
    ];
    for (name, wish, refusal) in rows {
        assert_eq!(node.run(now, &update(name, wish.clone())), Err(refusal), "{name} {wish:?}");
    }
    let created = |new| Command::CreateStream(NewStream { mode: Some(StreamMode::OnDemand), ..new });
    let warm = NewStream { warm_mibps: Some(9), ..new_stream("new", None) };
    assert_eq!(node.run(now, &created(warm.clone())), Err(no_commitment()));
    node.run(now, &Command::SetCommitment { scope: scope(), enabled: true }).unwrap();
    let needs_on_demand = DomainError::from(SettingError::WarmThroughputNeedsOnDemand);
    let provisioned = StreamUpdate::Mode { mode: StreamMode::Provisioned, warm_mibps: Some(1) };
    for wish in [StreamUpdate::WarmThroughput(10), provisioned] {
        assert_eq!(node.run(now, &update("s", wish)), Err(needs_on_demand.clone()));
    }
    let warm_provisioned = Command::CreateStream(NewStream { shard_count: Some(1), ..warm.clone() });
    assert_eq!(node.run(now, &warm_provisioned), Err(needs_on_demand));
    let auto = NewStream { distribution: Some(Distribution::Auto), ..new_stream("new", Some(1)) };
    let refusal = DomainError::from(SettingError::DistributionNeedsOnDemand);
    assert_eq!(node.run(now, &Command::CreateStream(auto)), Err(refusal));
    node.run(now, &created(NewStream { distribution: Some(Distribution::Auto), ..warm })).unwrap();
    let new = node.stream("new");
    assert_eq!((new.warm_mibps, new.distribution, new.mode), (Some(9), Distribution::Auto, StreamMode::OnDemand));
}

/// One row, one setting: how it shows before and after.
#[test]
fn a_setting_changes_at_once_or_after_updating() {
    type Shown = fn(&Stream) -> String;
    let retention: Shown = |stream| stream.retention_hours.to_string();
    let encryption: Shown = |stream| format!("{:?}", stream.encryption_key);
    let monitoring: Shown = |stream| format!("{:?}", stream.monitoring);
    let size: Shown = |stream| stream.max_record_kib.to_string();
    let shown_mode: Shown = |stream| format!("{} {}", stream.mode.name(), stream.shards.open_count());
    let warm: Shown = |stream| format!("{:?}", stream.warm_mibps);
    let distribution: Shown = |stream| format!("{:?}", stream.distribution);
    let bytes = [ShardMetric::IncomingBytes, ShardMetric::OutgoingBytes];
    let rows = [
        ("s", StreamUpdate::IncreaseRetention(48), retention, "24", "48"),
        ("s", StreamUpdate::DecreaseRetention(36), retention, "48", "36"),
        ("s", key_id("alias/aws/kinesis"), encryption, "None", r#"Some("alias/aws/kinesis")"#),
        ("s", key_id("other"), encryption, r#"Some("alias/aws/kinesis")"#, r#"Some("other")"#),
        ("s", key_id("other"), encryption, r#"Some("other")"#, r#"Some("other")"#),
        ("s", StreamUpdate::StopEncryption, encryption, r#"Some("other")"#, "None"),
        ("s", StreamUpdate::EnableMonitoring(metrics(&bytes)), monitoring, "{}", "{IncomingBytes, OutgoingBytes}"),
        (
            "s",
            StreamUpdate::DisableMonitoring(metrics(&bytes[..1])),
            monitoring,
            "{IncomingBytes, OutgoingBytes}",
            "{OutgoingBytes}",
        ),
        ("s", StreamUpdate::MaxRecordSize(10_240), size, "1024", "10240"),
        ("s", mode(StreamMode::OnDemand), shown_mode, "PROVISIONED 2", "ON_DEMAND 2"),
        ("s", StreamUpdate::Distribution(Distribution::Auto), distribution, "UserPartitionKey", "Auto"),
        ("s", mode(StreamMode::Provisioned), shown_mode, "ON_DEMAND 2", "PROVISIONED 2"),
        ("demand", StreamUpdate::WarmThroughput(7), warm, "None", "Some(7)"),
        ("demand", StreamUpdate::Mode { mode: StreamMode::OnDemand, warm_mibps: Some(8) }, warm, "Some(7)", "Some(8)"),
    ];
    for lifecycle in [Lifecycle::INSTANT, Lifecycle::AWS] {
        let mut node = Node::of(lifecycle, None);
        with_streams(&mut node);
        let mut now = NOW + 5_000;
        node.run(now, &Command::SetCommitment { scope: scope(), enabled: true }).unwrap();
        for (name, wish, shown, before, after) in &rows {
            now += 1_000;
            assert_eq!(shown(&node.stream(name)), *before, "{wish:?}");
            assert!(node.run(now, &update(name, wish.clone())).unwrap().is_some());
            if lifecycle == Lifecycle::AWS {
                let stream = node.stream(name);
                assert_eq!((stream.status, shown(&stream).as_str()), (StreamStatus::Updating, *before), "{wish:?}");
                assert_eq!(node.state.next_due(), Some(now + 4_000));
                let early = Command::FinishUpdate(stream.key());
                assert_eq!(node.run(now + 3_999, &early), Ok(None));
                now += 4_000;
                node.due(now);
            }
            let stream = node.stream(name);
            assert_eq!((stream.status, shown(&stream).as_str()), (StreamStatus::Active, *after), "{wish:?}");
            assert_eq!((node.state.next_due(), &stream.update), (None, &None));
        }
        // A provisioned stream has no strategy to keep.
        assert_eq!(node.stream("s").distribution, Distribution::UserPartitionKey);
        assert_eq!(node.replay().unwrap().state, node.state);
    }
}

#[test]
fn what_is_so_already_is_not_done() {
    let mut node = Node::of(Lifecycle::AWS, Some(Quotas { mode_switches: 0, ..QUOTAS }));
    with_streams(&mut node);
    let rows = [
        ("s", StreamUpdate::IncreaseRetention(24)),
        ("s", StreamUpdate::DecreaseRetention(24)),
        ("s", mode(StreamMode::Provisioned)),
        ("demand", mode(StreamMode::OnDemand)),
        ("s", StreamUpdate::EnableMonitoring(BTreeSet::new())),
        ("s", StreamUpdate::DisableMonitoring(metrics(&ShardMetric::ALL))),
        ("s", StreamUpdate::MaxRecordSize(1024)),
        ("demand", StreamUpdate::Distribution(Distribution::UserPartitionKey)),
        ("s", StreamUpdate::Distribution(Distribution::UserPartitionKey)),
        ("s", StreamUpdate::ShardCount(2)),
    ];
    for (name, wish) in rows {
        assert_eq!(node.run(NOW + 5_000, &update(name, wish.clone())), Ok(None), "{wish:?}");
    }
}

#[test]
fn what_was_past_retention_does_not_come_back() {
    const HOUR: Millis = 3_600_000;
    for lifecycle in [Lifecycle::INSTANT, Lifecycle::AWS] {
        let mut node = Node::of(lifecycle, None);
        with_streams(&mut node);
        assert_eq!(node.stream("s").horizon(NOW + HOUR), NOW);
        let raised = NOW + 30 * HOUR;
        node.run(raised, &update("s", StreamUpdate::IncreaseRetention(48))).unwrap();
        let applied = raised + lifecycle.update;
        node.due(applied);
        let stream = node.stream("s");
        let kept_from = applied - 24 * HOUR;
        assert_eq!(stream.horizon(applied), kept_from);
        assert_eq!(stream.horizon(applied + 24 * HOUR), kept_from);
        assert_eq!(stream.horizon(applied + 25 * HOUR), kept_from + HOUR);
        node.run(applied, &update("s", StreamUpdate::DecreaseRetention(24))).unwrap();
        node.due(applied + lifecycle.update);
        assert_eq!(node.stream("s").horizon(applied + 9 * HOUR), applied - 15 * HOUR);
    }
}

#[test]
fn so_many_changes_in_24_hours() {
    const DAY: Millis = 24 * 3_600_000;
    let exceeded = || Err(DomainError::RateExceeded { name: "s".into(), account: account() });
    let modes = [StreamMode::OnDemand, StreamMode::Provisioned];
    let switch = |i: usize| update("s", mode(modes[i % 2]));
    let start = |_| update("s", key_id("k"));
    let count = |i: usize| update("s", StreamUpdate::ShardCount(if i.is_multiple_of(2) { 3 } else { 2 }));
    let rows: [(&dyn Fn(usize) -> Command, usize); 3] = [(&switch, 2), (&start, 5), (&count, 3)];
    for (command, quota) in rows {
        for (quotas, limited) in [(Some(QUOTAS), true), (None, false)] {
            let mut node = Node::of(Lifecycle::INSTANT, quotas);
            node.complete(NOW, &create("s", 2));
            let mut now = NOW;
            for i in 0..quota {
                assert!(node.run(now, &command(i)).unwrap().is_some());
                now += 10_000;
                node.due(now);
            }
            let refused = node.run(now, &command(quota));
            if !limited {
                assert!(refused.unwrap().is_some());
                continue;
            }
            assert_eq!(refused, exceeded());
            assert_eq!(node.run(NOW + DAY - 1, &command(quota)), exceeded());
            assert!(node.run(NOW + DAY, &command(quota)).unwrap().is_some());
        }
    }
}

#[test]
fn mode_switches_count_on_when_the_name_is_created_again() {
    let mut node = Node::of(Lifecycle::INSTANT, Some(QUOTAS));
    node.complete(NOW, &create("s", 1));
    node.run(NOW, &update("s", mode(StreamMode::OnDemand))).unwrap();
    node.run(NOW, &update("s", mode(StreamMode::Provisioned))).unwrap();
    node.complete(NOW, &delete("s"));
    let replayed = node.replay().unwrap().state;
    let snapshot: State = serde_json::from_slice(&serde_json::to_vec(&replayed).unwrap()).unwrap();
    assert_eq!((&replayed, &snapshot), (&node.state, &node.state));
    node.complete(NOW, &create("s", 1));
    let switch = update("s", mode(StreamMode::OnDemand));
    let exceeded = DomainError::RateExceeded { name: "s".into(), account: account() };
    assert_eq!(node.run(NOW, &switch), Err(exceeded));
    assert_eq!(node.run(NOW, &update("s", mode(StreamMode::Provisioned))), Ok(None));
}

#[test]
fn quotas_of_an_account_and_region() {
    let demand = |name| Command::CreateStream(NewStream { mode: Some(StreamMode::OnDemand), ..new_stream(name, None) });
    let mut node = Node::of(Lifecycle::AWS, Some(QUOTAS));
    for name in ["a", "b", "c"] {
        node.run(NOW, &create(name, 1)).unwrap();
    }
    let creating = DomainError::CreatingStreamLimit { account: account(), limit: 3 };
    assert_eq!(node.run(NOW, &create("d", 1)), Err(creating));
    node.due(NOW + 5_000);
    let shards = |current, requested| Err(DomainError::ShardLimit { scope: scope(), current, limit: 20, requested });
    assert_eq!(node.run(NOW, &create("d", 18)), shards(3, 18));
    node.run(NOW, &create("d", 16)).unwrap();
    node.run(NOW, &demand("e")).unwrap();
    node.due(NOW + 5_000);
    assert_eq!(node.state.usage(&scope()).open_shards, 23);
    let split = StreamUpdate::Split { shard: ShardId(0), new_starting_hash_key: "9".to_owned() };
    node.run(NOW, &update("a", split.clone())).unwrap();
    node.due(NOW + 60_000);
    assert_eq!(node.run(NOW, &update("b", split)), shards(20, 1));
    assert_eq!(node.run(NOW, &update("d", StreamUpdate::ShardCount(18))), shards(20, 2));
    assert!(node.run(NOW, &update("d", StreamUpdate::ShardCount(12))).is_ok());
    node.run(NOW, &demand("f")).unwrap();
    let limit = DomainError::OnDemandStreamLimit { scope: scope(), current: 2, limit: 2 };
    assert_eq!(node.run(NOW, &demand("g")), Err(limit.clone()));
    assert_eq!(node.run(NOW, &update("b", mode(StreamMode::OnDemand))), Err(limit));
    let elsewhere = Scope::new(account(), "eu-north-1");
    let create = NewStream { scope: elsewhere.clone(), ..new_stream("a", Some(6)) };
    let refusal = DomainError::ShardLimit { scope: elsewhere, current: 0, limit: 5, requested: 6 };
    assert_eq!(node.run(NOW, &Command::CreateStream(create)), Err(refusal));
}

#[test]
fn a_commitment_lasts_a_day() {
    const DAY: Millis = Commitment::MINIMUM_MS;
    let mut node = Node::default();
    let set = |enabled| Command::SetCommitment { scope: scope(), enabled };
    let shown =
        |node: &Node, now| node.state.commitment(&scope()).map(|held| (held.status(now), held.started, held.ends));
    use CommitmentStatus::{Disabled, Enabled, EnabledUntilEarliestAllowedEnd as Ending};
    assert_eq!((node.run(NOW, &set(false)), shown(&node, NOW)), (Ok(None), None));
    let rows = [
        (NOW, true, true, (Enabled, NOW, None)),
        (NOW + 1, true, false, (Enabled, NOW, None)),
        (NOW + 2, false, true, (Ending, NOW, Some(NOW + DAY))),
        (NOW + 3, false, false, (Ending, NOW, Some(NOW + DAY))),
        (NOW + 4, true, true, (Enabled, NOW, None)),
        (NOW + 5, false, true, (Ending, NOW, Some(NOW + DAY))),
        (NOW + DAY, false, false, (Disabled, NOW, Some(NOW + DAY))),
        (NOW + DAY + 1, true, true, (Enabled, NOW + DAY + 1, None)),
        (NOW + 3 * DAY, false, true, (Disabled, NOW + DAY + 1, Some(NOW + 3 * DAY))),
    ];
    for (now, enabled, happens, after) in rows {
        assert_eq!(node.run(now, &set(enabled)).unwrap().is_some(), happens, "{now} {enabled}");
        assert_eq!(shown(&node, now), Some(after), "{now} {enabled}");
    }
    assert_eq!(node.state.commitment(&Scope::new(account(), "eu-west-1")), None);
    assert_eq!(node.replay().unwrap().state, node.state);
}
