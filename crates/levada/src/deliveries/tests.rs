//! Each row is a destination, and what a worker is told of it or why nobody can deliver to it.

use std::sync::Arc;

use levada_core::catalog::{
    Account, BackupMode, BucketSettings, CloudWatchLogging, Partitioning, Processing, Processor, RequestConfiguration,
    SearchAddress,
};
use levada_core::env::sim::{SimClock, SimRandom};
use levada_delivery::Blocking;
use levada_delivery::chain::Gather;
use levada_delivery::process::Interpreters;

use super::*;
use crate::cli::ServeArgs;
use crate::network::NoNetwork;

const CLEAN: &str = "arn:aws:lambda:us-east-1:000000000000:function:clean";
const DOMAIN: &str = "arn:aws:es:us-east-1:000000000000:domain/logs";

fn assembly() -> Assembly {
    let file = format!(
        "[lambda.\"{CLEAN}\"]\nurl = \"http://127.0.0.1:9000\"\n\
         [endpoints]\n\"{DOMAIN}\" = \"http://127.0.0.1:9200\"\n\"https://10.0.0.1\" = \"http://127.0.0.1:8088\""
    );
    let config = crate::config::Config::new(&ServeArgs::default(), Some(&file)).unwrap();
    let chain_env = ChainEnv {
        clock: Arc::new(SimClock::at(1_800_000_000_000)),
        random: Arc::new(SimRandom::new(7)),
        blocking: Blocking::Inline,
        interpreters: Interpreters::default(),
    };
    Assembly::new(config.destinations, Arc::new(NoNetwork), chain_env)
}

fn about() -> About {
    let scope = Scope::new(Account::new("000000000000").unwrap(), "us-east-1");
    About::new(&scope, "d", &Source::default())
}

fn bucket(prefix: Option<&str>, error_prefix: Option<&str>) -> BucketSettings {
    let mut bucket = BucketSettings::new("arn:aws:s3:::flights".to_owned(), "role".to_owned());
    bucket.prefix = prefix.map(str::to_owned);
    bucket.error_prefix = error_prefix.map(str::to_owned);
    bucket
}

fn s3(bucket: BucketSettings) -> S3Destination {
    S3Destination {
        extended: true,
        bucket,
        file_extension: None,
        time_zone: None,
        processing: None,
        partitioning: None,
        conversion: None,
        backup_enabled: false,
        backup: None,
    }
}

fn processing(processors: &[(ProcessorKind, &[(ProcessorParameter, &str)])]) -> Option<Processing> {
    let parameters =
        |given: &[(ProcessorParameter, &str)]| given.iter().map(|&(name, value)| (name, value.to_owned())).collect();
    let processors = processors.iter().map(|&(kind, given)| Processor { kind, parameters: parameters(given) });
    Some(Processing { enabled: true, processors: processors.collect() })
}

fn common(backup_mode: BackupMode) -> Requests {
    Requests {
        buffering: catalog::Buffering { size_mb: 2, interval_secs: 9 },
        retry_secs: 17,
        backup_mode,
        backup: bucket(Some("backup/"), None),
        processing: None,
        logging: CloudWatchLogging::default(),
    }
}

fn http(url: &str, backup_mode: BackupMode) -> HttpEndpointDestination {
    HttpEndpointDestination {
        url: url.to_owned(),
        name: None,
        access_key: Some(catalog::Secret::new("hush")),
        request: Some(RequestConfiguration::default()),
        role_arn: None,
        secrets_manager: None,
        common: common(backup_mode),
    }
}

fn splunk(endpoint: &str, token: Option<&str>) -> SplunkDestination {
    SplunkDestination {
        endpoint: endpoint.to_owned(),
        endpoint_type: HecEndpointType::Event,
        token: token.map(catalog::Secret::new),
        ack_timeout_secs: 180,
        secrets_manager: None,
        common: common(BackupMode::FailedOnly),
    }
}

fn search(address: SearchAddress) -> Destination {
    Destination::OpenSearch(OpenSearchDestination {
        flavour: SearchFlavour::Service,
        address,
        index_name: "logs".to_owned(),
        type_name: None,
        rotation: IndexRotation::OneDay,
        document_id: None,
        role_arn: "role".to_owned(),
        vpc: None,
        common: common(BackupMode::All),
    })
}

fn config(destination: impl Into<Destination>) -> Result<Config, String> {
    assembly().config(&about(), &destination.into()).map_err(|error| error.to_string())
}

#[test]
fn a_plain_bucket_has_no_chain() {
    let mut plain = s3(bucket(Some("p/"), None));
    plain.bucket.compression = Compression::Snappy;
    // Switched off, or a matter of objects.
    let off = Processing { enabled: false, ..processing(&[(ProcessorKind::Lambda, &[])]).unwrap() };
    let delimited = processing(&[(ProcessorKind::AppendDelimiterToRecord, &[(ProcessorParameter::Delimiter, "\\n")])]);
    for (processing, delimiter) in
        [(None, Delimiter::None), (Some(off), Delimiter::None), (delimited, Delimiter::Between("\n".to_owned()))]
    {
        let config = config(S3Destination { processing, ..plain.clone() }).unwrap();
        let Target::S3(target) = &config.target else { panic!("{config:?}") };
        assert_eq!((target.bucket.as_str(), &target.delimiter), ("flights", &delimiter));
        assert_eq!(target.compression, levada_delivery::Compression::Snappy);
        assert!(config.chain.is_none() && config.backup.is_none());
    }
}

#[test]
fn source_records_are_backed_up_if_asked_for() {
    for (backup_enabled, backup, expected) in
        [(true, Some("b"), Some("b")), (false, Some("b"), None), (false, None, None)]
    {
        let backup =
            backup.map(|name| BucketSettings { bucket_arn: format!("arn:aws:s3:::{name}"), ..bucket(None, None) });
        let config = config(S3Destination { backup_enabled, backup, ..s3(bucket(None, None)) }).unwrap();
        assert_eq!(config.backup.as_ref().map(|backup| backup.bucket.as_str()), expected);
    }
    for (mode, expected) in [(BackupMode::FailedOnly, false), (BackupMode::All, true)] {
        let config = config(Destination::HttpEndpoint(http("https://in.example.com/", mode))).unwrap();
        assert_eq!(config.backup.is_some(), expected);
    }
}

#[test]
fn requests_have_their_endpoint_and_their_hints() {
    for (destination, metric) in [
        (Destination::HttpEndpoint(http("https://10.0.0.1/put", BackupMode::All)), "HttpEndpoint"),
        (Destination::Splunk(splunk("https://splunk.example.com:8088", Some("hush"))), "Splunk"),
        (search(SearchAddress::Domain(DOMAIN.to_owned())), "AmazonOpenSearchService"),
    ] {
        let config = config(destination).unwrap();
        let Target::Endpoint { endpoint, buffering, errors } = &config.target else { panic!("{config:?}") };
        assert_eq!((endpoint.metric_name(), endpoint.retry_for()), (metric, Duration::from_secs(17)));
        assert_eq!(*buffering, Buffering { size_mib: 2, interval_s: 9 });
        assert_eq!(errors.buffering, Buffering { size_mib: 5, interval_s: 300 });
        assert!(!format!("{config:?}").contains("hush"), "{config:?}");
    }
}

#[test]
fn processors_make_a_chain() {
    let lambda: &[(ProcessorParameter, &str)] = &[
        (ProcessorParameter::LambdaArn, CLEAN),
        (ProcessorParameter::BufferSizeInMBs, "0.5"),
        (ProcessorParameter::BufferIntervalInSeconds, "7"),
    ];
    let lambda_only: &[(ProcessorParameter, &str)] = &[(ProcessorParameter::LambdaArn, CLEAN)];
    let gather = |bytes, secs| Gather { bytes, wait: Duration::from_secs(secs) };
    let of_s3 = |lambda| {
        config(S3Destination { processing: processing(&[(ProcessorKind::Lambda, lambda)]), ..s3(bucket(None, None)) })
    };
    assert_eq!(of_s3(lambda).unwrap().chain.unwrap().gather(), gather(512 * 1024, 7));
    assert_eq!(of_s3(lambda_only).unwrap().chain.unwrap().gather(), gather(1024 * 1024, 60));
    let mut to_splunk = splunk("https://splunk.example.com:8088", Some("hush"));
    to_splunk.common.processing = processing(&[(ProcessorKind::Lambda, lambda_only)]);
    let chain = config(Destination::Splunk(to_splunk)).unwrap().chain.unwrap();
    assert_eq!(chain.gather(), gather(256 * 1024, 60));
}

#[test]
fn partition_keys_come_from_the_query_or_the_function() {
    let query: &[(ProcessorParameter, &str)] = &[
        (ProcessorParameter::MetadataExtractionQuery, "{carrier: .carrier}"),
        (ProcessorParameter::JsonParsingEngine, "JQ-1.6"),
    ];
    let lambda: &[(ProcessorParameter, &str)] = &[(ProcessorParameter::LambdaArn, CLEAN)];
    let from_query = "!{partitionKeyFromQuery:carrier}/";
    let from_lambda = "!{partitionKeyFromLambda:any}/";
    let both: &[(ProcessorKind, &[(ProcessorParameter, &str)])] =
        &[(ProcessorKind::Lambda, lambda), (ProcessorKind::MetadataExtraction, query)];
    for (prefix, processors, works) in [
        (from_query, &both[1..], true),
        (from_lambda, &both[..1], true),
        (&*format!("{from_query}{from_lambda}"), both, true),
        (from_query, &both[..1], false),
        (from_lambda, &both[1..], false),
        ("!{partitionKeyFromQuery:origin}/", &both[1..], false),
        ("plain/", &both[1..], false),
    ] {
        let built = config(S3Destination {
            processing: processing(processors),
            partitioning: Some(Partitioning { enabled: true, retry_secs: None }),
            ..s3(bucket(Some(prefix), Some("errors/!{firehose:error-output-type}/")))
        });
        assert_eq!(built.is_ok_and(|config| config.chain.is_some()), works, "{prefix}");
    }
}

#[test]
fn what_cannot_be_delivered_to_is_refused_with_its_reason() {
    let lambda = |parameters: &[(ProcessorParameter, &str)]| S3Destination {
        processing: processing(&[(ProcessorKind::Lambda, parameters)]),
        ..s3(bucket(None, None))
    };
    let unknown = format!("{CLEAN}er");
    let mut bad_backup = http("https://in.example.com/", BackupMode::All);
    bad_backup.common.backup.prefix = Some("!{timestamp:yyyy}/".to_owned());
    let rows: [(Destination, &str); 12] = [
        (s3(bucket(Some("!{timestamp:yyyy}/"), None)).into(), "ErrorOutputPrefix"),
        (S3Destination { time_zone: Some("Mars/Phobos".to_owned()), ..s3(bucket(None, None)) }.into(), "Mars/Phobos"),
        (
            S3Destination {
                backup_enabled: true,
                backup: Some(bucket(Some("!{timestamp:yyyy}/"), None)),
                ..s3(bucket(None, None))
            }
            .into(),
            "ErrorOutputPrefix",
        ),
        (lambda(&[]).into(), "LambdaArn"),
        (lambda(&[(ProcessorParameter::LambdaArn, &unknown)]).into(), &unknown),
        (
            lambda(&[(ProcessorParameter::LambdaArn, CLEAN), (ProcessorParameter::NumberOfRetries, "x")]).into(),
            "NumberOfRetries",
        ),
        (
            lambda(&[(ProcessorParameter::LambdaArn, CLEAN), (ProcessorParameter::BufferSizeInMBs, "nan")]).into(),
            "BufferSizeInMBs",
        ),
        (
            S3Destination {
                processing: processing(&[(
                    ProcessorKind::MetadataExtraction,
                    &[(ProcessorParameter::MetadataExtractionQuery, "{carrier: ")],
                )]),
                ..s3(bucket(None, None))
            }
            .into(),
            "MetadataExtractionQuery",
        ),
        (Destination::HttpEndpoint(http("https://127.0.0.1/put", BackupMode::All)), ""),
        (Destination::HttpEndpoint(bad_backup), "ErrorOutputPrefix"),
        (Destination::Splunk(splunk("https://splunk.example.com:8088", None)), "HECToken"),
        (search(SearchAddress::Domain("arn:aws:es:us-east-1:000000000000:domain/other".to_owned())), ""),
    ];
    for (destination, says) in rows {
        let error = config(destination.clone()).expect_err(&format!("{destination:?}"));
        assert!(error.contains(says), "{destination:?}: {error}");
        assert!(!error.contains("hush"));
    }
}
