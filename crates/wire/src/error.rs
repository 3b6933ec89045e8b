//! Errors as AWS words and wraps them.
//!
//! Architecture invariant: error texts stand in this crate only: of the form of a request in `codec`, `constraints` and
//! `signature`, of its meaning in `kinesis::errors` and `firehose::errors`.

use std::borrow::Cow;

use crate::codec::{Protocol, Writer};

/// Longest part of a request in bytes that a message repeats. Longer ones are cut: an answer must not grow with the
/// request. What AWS does is unverified; no text that it was seen to send comes near.
pub const MAX_QUOTED_BYTES: usize = 2048;

/// Longest message in bytes: ten violations, each with a value, a path and what a list's items must satisfy.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// What stands at the end of a text that was cut.
const CUT: &str = "...";

/// A part of a request as a message repeats it: whole, or cut behind [`MAX_QUOTED_BYTES`].
#[must_use]
pub fn quoted(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_QUOTED_BYTES { Cow::Borrowed(text) } else { Cow::Owned(cut(text, MAX_QUOTED_BYTES)) }
}

/// The beginning of a longer text, in a string of its own size.
fn cut(text: &str, bytes: usize) -> String {
    format!("{}{CUT}", &text[..text.floor_char_boundary(bytes)])
}

macro_rules! error_codes {
    ($($code:ident = $status:literal),+ $(,)?) => {
        /// An error code, as it stands in `__type`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", stringify!($code), "`, HTTP status ", stringify!($status))] $code),+
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The bare name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code)),+ }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status),+ }
            }
        }
    };
}

error_codes! {
    AccessDeniedException = 400,
    ConcurrentModificationException = 400,
    DryRunOperationException = 400,
    ExpiredIteratorException = 400,
    ExpiredNextTokenException = 400,
    IncompleteSignatureException = 400,
    InternalFailure = 500,
    InternalFailureException = 500,
    InvalidArgumentException = 400,
    InvalidKMSResourceException = 400,
    InvalidSignatureException = 400,
    InvalidSourceException = 400,
    KMSAccessDeniedException = 400,
    KMSDisabledException = 400,
    KMSInvalidStateException = 400,
    KMSNotFoundException = 400,
    KMSOptInRequired = 400,
    KMSThrottlingException = 400,
    LimitExceededException = 400,
    MissingAuthenticationTokenException = 400,
    ProvisionedThroughputExceededException = 400,
    ResourceInUseException = 400,
    ResourceNotFoundException = 400,
    SerializationException = 400,
    ServiceUnavailableException = 503,
    ThrottlingException = 400,
    UnknownOperationException = 400,
    UnrecognizedClientException = 400,
    ValidationException = 400,
}

/// An error that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for people. Absent where AWS sends none.
    pub message: Option<String>,
}

impl AwsError {
    /// An error with a message of at most [`MAX_MESSAGE_BYTES`] and a few dots.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        let fits = message.len() <= MAX_MESSAGE_BYTES;
        Self { code, message: Some(if fits { message } else { cut(&message, MAX_MESSAGE_BYTES) }) }
    }

    /// An error without a message.
    #[must_use]
    pub const fn bare(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    /// The body cannot be parsed.
    #[must_use]
    pub const fn malformed() -> Self {
        Self::bare(ErrorCode::SerializationException)
    }

    /// No such operation.
    #[must_use]
    pub const fn unknown_operation() -> Self {
        Self::bare(ErrorCode::UnknownOperationException)
    }

    /// Our own failure; the client may retry.
    #[must_use]
    pub const fn internal_failure() -> Self {
        Self::bare(ErrorCode::InternalFailure)
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }

    /// The name of the member that holds the message: AWS writes it with a capital for two codes.
    #[must_use]
    pub const fn message_member(&self) -> &'static str {
        match self.code {
            ErrorCode::SerializationException | ErrorCode::AccessDeniedException => "Message",
            _ => "message",
        }
    }

    /// The reply's body.
    #[must_use]
    pub fn body(&self, protocol: Protocol) -> Vec<u8> {
        let mut out = Writer::new(protocol);
        match protocol {
            Protocol::Json | Protocol::Cbor => self.write(&mut out, ""),
            Protocol::PlainJson => {
                out.begin_object();
                out.key("Output");
                self.write(&mut out, "com.amazon.coral.service#");
                out.key("Version");
                out.string("1.0");
                out.end_object();
            }
        }
        out.into_bytes()
    }

    fn write(&self, out: &mut Writer, name_space: &str) {
        out.begin_object();
        out.key("__type");
        out.string(&format!("{name_space}{}", self.code.name()));
        if let Some(message) = &self.message {
            out.key(self.message_member());
            out.string(message);
        }
        out.end_object();
    }
}

/// A refusal that happens before the protocol is known, in XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// Not a POST, or neither a known content type nor a known target: 403.
    AccessDenied,
    /// A known target in an unknown content type: 404.
    UnknownOperation,
}

impl XmlError {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            XmlError::AccessDenied => 403,
            XmlError::UnknownOperation => 404,
        }
    }

    /// The reply's body.
    #[must_use]
    pub const fn body(self) -> &'static str {
        match self {
            XmlError::AccessDenied => {
                "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized\
                 </Message>\n</AccessDeniedException>\n"
            }
            XmlError::UnknownOperation => "<UnknownOperationException/>\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn bodies_are_wrapped_as_the_content_type_wants() {
        let denied = AwsError::new(ErrorCode::AccessDeniedException, "no \"way\"");
        for (error, form, expected) in [
            (AwsError::malformed(), Protocol::Json, r#"{"__type":"SerializationException"}"#),
            (
                AwsError::malformed(),
                Protocol::PlainJson,
                r#"{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}"#,
            ),
            (
                AwsError::new(ErrorCode::SerializationException, "x"),
                Protocol::Json,
                r#"{"__type":"SerializationException","Message":"x"}"#,
            ),
            (denied, Protocol::Json, r#"{"__type":"AccessDeniedException","Message":"no \"way\""}"#),
            (
                AwsError::new(ErrorCode::ValidationException, "x"),
                Protocol::Json,
                r#"{"__type":"ValidationException","message":"x"}"#,
            ),
            (AwsError::unknown_operation(), Protocol::Json, r#"{"__type":"UnknownOperationException"}"#),
        ] {
            assert_eq!(text(error.body(form)), expected);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let short = "é".repeat(MAX_QUOTED_BYTES / 2);
        assert_eq!(quoted(&short), short);
        for text in [format!("{short}x"), format!("x{short}"), "é".repeat(MAX_QUOTED_BYTES)] {
            let cut = quoted(&text);
            let kept = cut.strip_suffix("...").unwrap();
            assert!(text.starts_with(kept) && (MAX_QUOTED_BYTES - 1..=MAX_QUOTED_BYTES).contains(&kept.len()), "{cut}");
        }
        let error = AwsError::new(ErrorCode::ValidationException, "x".repeat(MAX_MESSAGE_BYTES + 1));
        assert_eq!(error.message.map(|message| message.len()), Some(MAX_MESSAGE_BYTES + 3));
    }

    #[test]
    fn only_our_own_failures_are_not_400() {
        for code in ErrorCode::ALL {
            let expected = match code {
                ErrorCode::InternalFailure | ErrorCode::InternalFailureException => 500,
                ErrorCode::ServiceUnavailableException => 503,
                _ => 400,
            };
            assert_eq!(code.status(), expected, "{}", code.name());
        }
        assert_eq!(XmlError::AccessDenied.status(), 403);
        assert_eq!(XmlError::UnknownOperation.status(), 404);
        assert_eq!(XmlError::UnknownOperation.body(), "<UnknownOperationException/>\n");
        assert_eq!(
            XmlError::AccessDenied.body(),
            "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized\
             </Message>\n</AccessDeniedException>\n"
        );
    }
}
