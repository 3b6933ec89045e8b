//! `!{namespace:value}`: what stands in a prefix besides literal text.

use std::sync::Arc;

use super::error::{Member, PrefixError};
use super::pattern::Pattern;

/// A part of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Timestamp(Arc<Pattern>),
    RandomString,
    ErrorOutputType,
    QueryKey(String),
    LambdaKey(String),
}

impl Part {
    pub(super) fn is_expression(&self) -> bool {
        !matches!(self, Self::Literal(_))
    }

    pub(super) fn is_partition_key(&self) -> bool {
        matches!(self, Self::QueryKey(_) | Self::LambdaKey(_))
    }
}

/// The parts of a prefix, in their order.
pub(super) fn parse(member: Member, text: &str) -> Result<Vec<Part>, PrefixError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once("!{") {
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        let bad = || PrefixError::BadExpression { member, text: text.to_owned() };
        let (inner, tail) = after.split_once('}').ok_or_else(bad)?;
        let (namespace, value) = inner.split_once(':').ok_or_else(bad)?;
        if value.contains('{') || namespace.is_empty() || !namespace.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(bad());
        }
        parts.push(part(member, namespace, value)?);
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    Ok(parts)
}

fn part(member: Member, namespace: &str, value: &str) -> Result<Part, PrefixError> {
    let bad = |reason: String| PrefixError::BadValue { member, value: value.to_owned(), reason };
    match namespace {
        "timestamp" => Pattern::parse(value).map(|pattern| Part::Timestamp(Arc::new(pattern))).map_err(bad),
        "firehose" => match value {
            "random-string" => Ok(Part::RandomString),
            "error-output-type" => Ok(Part::ErrorOutputType),
            _ => Err(bad("the namespace firehose has error-output-type and random-string".to_owned())),
        },
        "partitionKeyFromQuery" | "partitionKeyFromLambda" if value.is_empty() => Err(bad("empty".to_owned())),
        "partitionKeyFromQuery" => Ok(Part::QueryKey(value.to_owned())),
        "partitionKeyFromLambda" => Ok(Part::LambdaKey(value.to_owned())),
        _ => Err(PrefixError::UnknownNamespace { member, namespace: namespace.to_owned() }),
    }
}
