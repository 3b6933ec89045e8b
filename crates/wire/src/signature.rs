//! Refusals of requests that are not signed as they should be, in AWS's words.

use crate::error::{AwsError, ErrorCode, quoted};

/// No signature at all.
#[must_use]
pub fn missing() -> AwsError {
    AwsError::new(ErrorCode::MissingAuthenticationTokenException, "Missing Authentication Token")
}

/// A signature in the header and another in the query string.
#[must_use]
pub fn found_twice() -> AwsError {
    AwsError::new(
        ErrorCode::InvalidSignatureException,
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )
}

/// A signature that lacks parts. `missing` are AWS's sentences for them, in AWS's order; `authorization` is the
/// header's value, which is cut if it is much longer than any signature.
#[must_use]
pub fn incomplete(missing: &[&str], authorization: Option<&str>) -> AwsError {
    let mut message = missing.join(" ");
    if let Some(authorization) = authorization {
        message.push_str(&format!(" Authorization={}", quoted(authorization)));
    }
    AwsError::new(ErrorCode::IncompleteSignatureException, message)
}

/// The signature, or the digest of the body that it covers, is not that of this request.
#[must_use]
pub fn does_not_match() -> AwsError {
    AwsError::new(
        ErrorCode::InvalidSignatureException,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.",
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_long_header_is_not_told_whole() {
        let error = super::incomplete(&["No."], Some(&"x".repeat(300_000)));
        assert!(
            error.message.is_some_and(|message| message.len() < 4_096 && message.starts_with("No. Authorization=x"))
        );
    }
}
