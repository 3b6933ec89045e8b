//! ARNs of Kinesis: which resource a request means.

use std::fmt;

/// An ARN of Kinesis, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`…
    pub partition: &'a str,
    /// The region.
    pub region: &'a str,
    /// The twelve digits of the account.
    pub account: &'a str,
    /// What it names there.
    pub resource: Resource<'a>,
}

/// What an ARN of Kinesis names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// `stream/NAME`
    Stream {
        /// The stream's name.
        stream: &'a str,
    },
    /// `stream/NAME/consumer/NAME:SECONDS`
    Consumer {
        /// The stream's name.
        stream: &'a str,
        /// The consumer's name.
        consumer: &'a str,
        /// When it was registered, in seconds since the epoch; tells it from earlier consumers of the name.
        created_secs: u64,
    },
    /// A queue or a channel, or what a later model may bring.
    Other(&'a str),
}

impl<'a> Arn<'a> {
    /// Takes an ARN apart. `None` if it is none of Kinesis: the model's patterns are looser than ARNs are.
    #[must_use]
    pub fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let known = scheme == "arn" && partition.starts_with("aws") && service == "kinesis";
        let twelve_digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !known || !twelve_digits {
            return None;
        }
        Some(Self { partition, region, account, resource: Resource::parse(resource)? })
    }

    /// The ARN of the stream, also if this one names a consumer of it.
    #[must_use]
    pub fn stream(&self) -> Option<Self> {
        match self.resource {
            Resource::Stream { stream } | Resource::Consumer { stream, .. } => {
                Some(Self { resource: Resource::Stream { stream }, ..*self })
            }
            Resource::Other(_) => None,
        }
    }
}

impl<'a> Resource<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let Some(path) = text.strip_prefix("stream/") else { return Some(Self::Other(text)) };
        let Some((stream, rest)) = path.split_once('/') else {
            return is_name(path).then_some(Self::Stream { stream: path });
        };
        let (consumer, secs) = rest.strip_prefix("consumer/")?.split_once(':')?;
        let digits = !secs.is_empty() && secs.bytes().all(|byte| byte.is_ascii_digit());
        let created_secs = secs.parse().ok().filter(|_| digits)?;
        (is_name(stream) && is_name(consumer)).then_some(Self::Consumer { stream, consumer, created_secs })
    }
}

/// The pattern of both names in the model: `[a-zA-Z0-9_.-]+`.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Stream { stream } => write!(f, "stream/{stream}"),
            Resource::Consumer { stream, consumer, created_secs } => {
                write!(f, "stream/{stream}/consumer/{consumer}:{created_secs}")
            }
            Resource::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:kinesis:{}:{}:{}", self.partition, self.region, self.account, self.resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "123456789012";

    #[test]
    fn arns_are_taken_apart_and_put_together() {
        let stream = Resource::Stream { stream: "s.1" };
        let consumer = Resource::Consumer { stream: "s.1", consumer: "c_2", created_secs: 1_789_779_975 };
        for (text, partition, region, resource) in [
            ("arn:aws:kinesis:us-east-1:123456789012:stream/s.1", "aws", "us-east-1", stream),
            ("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s.1", "aws-cn", "cn-north-1", stream),
            ("arn:aws:kinesis:us-east-1:123456789012:stream/s.1/consumer/c_2:1789779975", "aws", "us-east-1", consumer),
        ] {
            let arn = Arn::parse(text).unwrap();
            assert_eq!(arn, Arn { partition, region, account: ACCOUNT, resource });
            assert_eq!(arn.to_string(), text);
            assert_eq!(arn.stream().unwrap().resource, stream);
        }
        let queue = Arn::parse("arn:aws:kinesis:us-east-1:123456789012:queue/q").unwrap();
        assert_eq!((queue.resource, queue.stream()), (Resource::Other("queue/q"), None));
    }

    #[test]
    fn what_only_looks_like_an_arn_is_none() {
        for text in [
            "",
            "s",
            "arn:aws:kinesis:us-east-1:123456789012",
            "arn:aws:firehose:us-east-1:123456789012:stream/s",
            "arn:gcp:kinesis:us-east-1:123456789012:stream/s",
            "arn:aws:kinesis:us-east-1:12345678901:stream/s",
            "arn:aws:kinesis:us-east-1:x:123456789012:stream/s",
            "arn:aws:kinesis:us-east-1:123456789012:stream/",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s t",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:+1",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:99999999999999999999",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/:1",
            "arn:aws:kinesis:us-east-1:123456789012:stream/s/other/c:1",
        ] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
