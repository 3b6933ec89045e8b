//! Who calls: reads the credential of a request. Signatures are not verified in this version; what a signature must
//! consist of is checked all the same, with AWS's answers.

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE, USER_AGENT};
use http::request::Parts;
use levada_core::catalog::Account;
use levada_wire::error::AwsError;
use levada_wire::signature;

use crate::call::Principal;
use crate::config::Config;

/// Longest region name that is believed.
const MAX_REGION_CHARS: usize = 64;

/// What the user agent of CloudWatch Logs has in it. All SDKs and the AWS CLI put there what `AWS_SDK_UA_APP_ID` says.
const CLOUDWATCH_LOGS: &str = "logs.amazonaws.com";

/// The caller of a request.
///
/// # Errors
/// AWS's for a request that is not signed, signed twice or signed incompletely, unless the node serves anybody.
pub fn authenticate(config: &Config, head: &Parts) -> Result<Principal, AwsError> {
    let query = head.uri.query().unwrap_or_default();
    let credential = match credential(&head.headers, query) {
        Ok(credential) => Some(credential),
        Err(_) if config.serve_anybody => None,
        Err(error) => return Err(error),
    };
    let agent = head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let is_cloudwatch_logs = agent.contains(CLOUDWATCH_LOGS);
    Ok(Principal { is_cloudwatch_logs, ..principal(credential.as_deref(), &config.account, &config.region) })
}

fn credential(headers: &HeaderMap, query: &str) -> Result<String, AwsError> {
    let header = headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let in_query = query.split('&').any(|pair| pair.split('=').next() == Some("X-Amz-Algorithm"));
    match header {
        Some(_) if in_query => Err(signature::found_twice()),
        Some(header) => header_credential(&header, headers),
        None if in_query => query_credential(query),
        None => Err(signature::missing()),
    }
}

fn query_credential(query: &str) -> Result<String, AwsError> {
    let required = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"];
    let missing: Vec<String> = required
        .into_iter()
        .filter(|name| query_parameter(query, name).is_none_or(str::is_empty))
        .map(|name| format!("AWS query-string parameters must include '{name}'."))
        .collect();
    match query_parameter(query, "X-Amz-Credential") {
        Some(credential) if missing.is_empty() => Ok(credential.replace("%2F", "/").replace("%2f", "/")),
        _ => {
            let mut sentences: Vec<&str> = missing.iter().map(String::as_str).collect();
            sentences.push("Re-examine the query-string parameters.");
            Err(signature::incomplete(&sentences, None))
        }
    }
}

fn header_credential(header: &str, headers: &HeaderMap) -> Result<String, AwsError> {
    let (mut credential, mut signature, mut signed_headers) = (None, false, false);
    // The first word is the algorithm.
    for part in header.split([',', ' ']).skip(1) {
        match part.split_once('=') {
            Some((_, "")) | None => {}
            Some(("Credential", value)) => credential = Some(value),
            Some(("Signature", _)) => signature = true,
            Some(("SignedHeaders", _)) => signed_headers = true,
            Some(_) => {}
        }
    }
    let mut missing = Vec::new();
    if credential.is_none() {
        missing.push("Authorization header requires 'Credential' parameter.");
    }
    if !signature {
        missing.push("Authorization header requires 'Signature' parameter.");
    }
    if !signed_headers {
        missing.push("Authorization header requires 'SignedHeaders' parameter.");
    }
    if !headers.contains_key("x-amz-date") && !headers.contains_key(DATE) {
        missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
    }
    match credential {
        Some(credential) if missing.is_empty() => Ok(credential.to_owned()),
        _ => Err(levada_wire::signature::incomplete(&missing, Some(header))),
    }
}

fn query_parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// `Credential` is `access key id/date/region/service/aws4_request`. An access key id of 12 digits is an account.
fn principal(credential: Option<&str>, account: &Account, region: &str) -> Principal {
    let mut parts = credential.unwrap_or_default().split('/');
    let named = parts.next().and_then(Account::new);
    // A region names what a caller owns and goes into ARNs and tokens, so it must look like one.
    let is_region = |text: &&str| {
        (1..=MAX_REGION_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let signed_region = parts.nth(1).filter(is_region);
    Principal {
        account: named.unwrap_or_else(|| account.clone()),
        region: signed_region.unwrap_or(region).to_owned(),
        is_cloudwatch_logs: false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use levada_wire::error::ErrorCode;

    use super::*;

    #[test]
    fn the_credential_names_account_and_region() {
        let rows = [
            (Some("111122223333/20260101/eu-west-1/kinesis/aws4_request"), "111122223333", "eu-west-1"),
            (Some("AKIAIOSFODNN7EXAMPLE/20260101/eu-west-1/kinesis/aws4_request"), "000000000000", "eu-west-1"),
            (Some("111122223333/20260101/no:region/kinesis/aws4_request"), "111122223333", "us-east-1"),
            (Some("11112222333/x"), "000000000000", "us-east-1"),
            (None, "000000000000", "us-east-1"),
        ];
        for (credential, account, region) in rows {
            let principal = principal(credential, &Account::new("000000000000").unwrap(), "us-east-1");
            assert_eq!((principal.account.as_str(), principal.region.as_str()), (account, region), "{credential:?}");
        }
    }

    #[test]
    fn cloudwatch_logs_is_who_says_so() {
        let config = Config::new(&crate::cli::ServeArgs::default(), None).unwrap();
        let signed = "AWS4-HMAC-SHA256 Credential=k/d/r/s/t, SignedHeaders=host, Signature=0";
        for (agent, is) in [
            ("logs.amazonaws.com", true),
            ("Boto3/1.43 md/Botocore#1.43 app/logs.amazonaws.com", true),
            ("Boto3/1.43 md/Botocore#1.43", false),
            ("", false),
        ] {
            let request = http::Request::builder().header(AUTHORIZATION, signed).header("x-amz-date", "d");
            let (head, ()) = request.header(USER_AGENT, agent).body(()).unwrap().into_parts();
            assert_eq!(authenticate(&config, &head).unwrap().is_cloudwatch_logs, is, "{agent}");
        }
    }

    #[test]
    fn each_missing_part_is_listed_in_order() {
        let all = "AWS4-HMAC-SHA256 Credential=k/d/r/s/t, SignedHeaders=host, Signature=0";
        let rows = [
            (all, true, None),
            (all, false, Some("either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4")),
            (
                "AWS4-HMAC-SHA256 Signature=0",
                true,
                Some("'Credential' parameter. Authorization header requires 'SignedHeaders'"),
            ),
            ("AWS4", false, Some("'Credential' parameter. Authorization header requires 'Signature' parameter. Auth")),
        ];
        for (header, dated, error) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
            if dated {
                headers.insert("x-amz-date", HeaderValue::from_static("20260101T000000Z"));
            }
            match (credential(&headers, ""), error) {
                (Ok(credential), None) => assert_eq!(credential, "k/d/r/s/t"),
                (Err(got), Some(says)) => {
                    assert_eq!(got.code, ErrorCode::IncompleteSignatureException);
                    let message = got.message.unwrap();
                    assert!(message.contains(says) && message.ends_with(header), "{message}");
                }
                (got, _) => panic!("{header}: {got:?}"),
            }
        }
    }

    #[test]
    fn two_sources_are_refused_and_none_is_too() {
        let mut headers = HeaderMap::new();
        let none = credential(&headers, "").unwrap_err();
        assert_eq!(none.code, ErrorCode::MissingAuthenticationTokenException);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("x"));
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k%2Fd%2Fr";
        let incomplete = credential(&HeaderMap::new(), query).unwrap_err();
        assert_eq!(
            incomplete.message.as_deref(),
            Some(
                "AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include \
                 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the \
                 query-string parameters."
            )
        );
        let whole = format!("{query}&X-Amz-Signature=0&X-Amz-SignedHeaders=host&X-Amz-Date=d");
        assert_eq!(credential(&HeaderMap::new(), &whole).unwrap(), "k/d/r");
        let both = credential(&headers, "X-Amz-Algorithm=AWS4-HMAC-SHA256").unwrap_err();
        assert_eq!(both.code, ErrorCode::InvalidSignatureException);
    }
}
