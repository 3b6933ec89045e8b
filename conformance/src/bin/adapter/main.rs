//! The AWS SDK for Rust as an adapter of the conformance suite (`conformance/README.md`): JSON lines on stdin and stdout.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its interface is its output")]

mod calls;
mod firehose;
mod values;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_smithy_http_client::tls;
use serde_json::{Value, json};

use crate::calls::{Failure, call, subscribe};

/// The code of everything that is not an error of the service.
const NOT_THE_SERVICE: &str = "ClientError";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The SDK's own HTTP client would come with another TLS library; nothing else of its defaults is changed.
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let settings = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    let settings = settings.retry_config(RetryConfig::disabled()).load().await;
    let services = Services {
        kinesis: aws_sdk_kinesis::Client::new(&settings),
        firehose: aws_sdk_firehose::Client::new(&settings),
    };
    // One request at a time: that reading blocks holds nothing up.
    for line in std::io::stdin().lines() {
        println!("{}", answer(&services, &serde_json::from_str(&line?)?).await);
    }
    Ok(())
}

/// A client of each service.
struct Services {
    kinesis: aws_sdk_kinesis::Client,
    firehose: aws_sdk_firehose::Client,
}

async fn answer(services: &Services, request: &Value) -> Value {
    let operation = request["op"].as_str().unwrap_or_default();
    let result = if operation == "SubscribeToShard" {
        let wanted = request["events"].as_u64().unwrap_or_default();
        let seconds = request["seconds"].as_f64().unwrap_or_default();
        subscribe(&services.kinesis, &request["in"], usize::try_from(wanted).unwrap_or(usize::MAX), seconds).await
    } else if request["service"] == "firehose" {
        Box::pin(firehose::call(&services.firehose, operation, &request["in"])).await
    } else {
        Box::pin(call(&services.kinesis, operation, &request["in"])).await
    };
    let id = &request["id"];
    match result {
        Ok(out) => json!({ "id": id, "out": out }),
        Err(Failure::Unknown(what)) => json!({ "id": id, "unknown": what }),
        Err(Failure::Refused { code, message, status }) => {
            json!({ "id": id, "error": { "code": code, "message": message, "status": status } })
        }
        Err(Failure::Client(what)) => {
            eprintln!("{what}");
            json!({ "id": id, "error": { "code": NOT_THE_SERVICE, "message": what, "status": 0 } })
        }
    }
}
