//! Which addresses may be called: without a mapping of the operator only public ones, by https.
//!
//! A delivery stream's URL comes from whoever may call the API, and the node often stands where much is reachable that
//! the caller must not reach: other services of its host, a cloud's metadata. So each address that a name resolves to
//! is checked, and the connection goes to an address that was checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Address;

/// Why an address will never be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// An ARN, and nothing says where it is.
    #[error("The ARN has no address: name one for it in [endpoints] of the configuration.")]
    NotMapped,
    /// Plain, and not mapped.
    #[error("The URL must begin with https://, or be mapped in [endpoints] of the configuration.")]
    NotHttps,
    /// Not a URL.
    #[error("The URL is malformed: {0}.")]
    Malformed(&'static str),
    /// Local or private, and not mapped.
    #[error("The URL names {0}: such an address must be mapped in [endpoints] of the configuration.")]
    Forbidden(&'static str),
}

impl Address {
    /// Says before the first request what can be said without the network. The check of what a name resolves to is
    /// the client's.
    ///
    /// # Errors
    /// See [`BadAddress`].
    pub fn check(&self) -> Result<(), BadAddress> {
        let url = match &self.mapped {
            Some(mapped) => mapped,
            None if self.url.starts_with("arn:") => return Err(BadAddress::NotMapped),
            None if !has_scheme(&self.url, "https://") => return Err(BadAddress::NotHttps),
            None => &self.url,
        };
        if self.mapped.is_some() && leaves(&self.url) {
            return Err(BadAddress::Malformed("its path has a segment . or .., which a mapped URL must not have"));
        }
        let host = host(url)?;
        if self.mapped.is_none()
            && let Some(ip) = literal(host)
            && let Some(kind) = forbidden(ip)
        {
            return Err(BadAddress::Forbidden(kind));
        }
        Ok(())
    }

    /// Scheme, host and port of what is called. Paths may hold keys, and a mapping a password.
    #[must_use]
    pub fn origin(&self) -> String {
        let (scheme, rest) = self.target().split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        format!("{scheme}://{host_port}")
    }

    /// The URL that is called, before a request's path.
    #[must_use]
    pub fn target(&self) -> &str {
        self.mapped.as_deref().unwrap_or(&self.url)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |url: &str| host(url).unwrap_or("…").to_owned();
        f.debug_struct("Address")
            .field("host", &name(&self.url))
            .field("mapped", &self.mapped.as_deref().map(name))
            .finish()
    }
}

pub(super) fn has_scheme(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// True if a URL's path has a segment that a URL parser, or a server that decodes more than it should, takes for a step
/// (`.`, `..`). What stands for a URL permits what is below it, and nothing beside it.
fn leaves(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let plain = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    // Some servers take parameters (`..;a=b`) off a segment before they look at it.
    plain.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

/// The host in an `http` or `https` URL, without brackets.
pub(super) fn host(url: &str) -> Result<&str, BadAddress> {
    if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(BadAddress::Malformed("it has a space or a control character"));
    }
    let after_scheme = ["https://", "http://"].into_iter().find(|scheme| has_scheme(url, scheme));
    let rest = after_scheme.map(|scheme| &url[scheme.len()..]).ok_or(BadAddress::Malformed("no http or https URL"))?;
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match host_port.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => host_port.rsplit_once(':').unwrap_or((host_port, "")),
    };
    if host.is_empty() {
        return Err(BadAddress::Malformed("no host"));
    }
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return Err(BadAddress::Malformed("no port number"));
    }
    Ok(host)
}

/// The address that a host is, in any spelling that a URL may have (WHATWG URL, "host parsing"): of IPv4 fewer numbers
/// than four, octal and hexadecimal ones (`2130706433`, `0x7f.1`). Escapes (`%31`) are left to the client.
fn literal(host: &str) -> Option<IpAddr> {
    if let Ok(ip) = host.parse() {
        return Some(ip);
    }
    let parts: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let (last, first) = parts.split_last().filter(|(_, first)| first.len() < 4)?;
    let mut bits = 0;
    for (n, part) in first.iter().enumerate() {
        let byte = number(part).filter(|byte| *byte < 256)?;
        bits |= byte << (8 * (3 - n));
    }
    let rest = number(last).filter(|rest| rest >> (8 * (4 - first.len())) == 0)?;
    u32::try_from(bits | rest).ok().map(|bits| Ipv4Addr::from_bits(bits).into())
}

/// A number as C writes it.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None => text.strip_prefix('0').filter(|rest| !rest.is_empty()).map_or((text, 10), |octal| (octal, 8)),
    };
    // What the library takes besides.
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// What kind of address this is that nobody on the internet has; `None` for a public one.
///
/// The ranges are those of IANA's special-purpose registries (RFC 6890) that are not globally reachable, and one
/// metadata server that has a public address.
#[must_use]
pub fn forbidden(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

#[rustfmt::skip]
const V4: [(Ipv4Addr, u32, &str); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an address of this host"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's shared address"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a metadata server"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "the broadcast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

#[rustfmt::skip]
const V6: [(Ipv6Addr, u32, &str); 13] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 1), 128, "a loopback address"),
    (Ipv6Addr::UNSPECIFIED, 96, "an address of this host"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "an address for local translation"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "a discard-only address"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a reserved address"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "an address for documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "a 6to4 address"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "an address for documentation"),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, "a segment routing address"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a unique local address"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "a link-local address"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "a site-local address"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
];

fn forbidden_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let differs = |net: Ipv4Addr| ip.to_bits() ^ net.to_bits();
    V4.into_iter().find(|(net, bits, _)| differs(*net).leading_zeros() >= *bits).map(|(_, _, kind)| kind)
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<&'static str> {
    // An IPv4 address in another dress: mapped by the host (RFC 4291), or translated by the network (RFC 6052).
    let embedded = match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    };
    if let Some(ip) = embedded {
        return forbidden_v4(ip);
    }
    let differs = |net: Ipv6Addr| ip.to_bits() ^ net.to_bits();
    V6.into_iter().find(|(net, bits, _)| differs(*net).leading_zeros() >= *bits).map(|(_, _, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_they_should() {
        let table: &[(&str, bool)] = &[
            ("0.0.0.0", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.100.100.200", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("127.0.0.1", true),
            ("127.255.255.254", true),
            ("128.0.0.1", false),
            ("168.63.129.15", false),
            ("168.63.129.16", true),
            ("169.253.255.255", false),
            ("169.254.169.254", true),
            ("169.254.170.2", true),
            ("169.255.0.0", false),
            ("172.15.255.255", false),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.0.0.192", true),
            ("192.0.1.0", false),
            ("192.0.2.1", true),
            ("192.88.99.1", true),
            ("192.167.255.255", false),
            ("192.168.1.1", true),
            ("192.169.0.0", false),
            ("198.17.255.255", false),
            ("198.18.0.1", true),
            ("198.19.255.255", true),
            ("198.20.0.0", false),
            ("203.0.113.9", true),
            ("223.255.255.255", false),
            ("224.0.0.1", true),
            ("239.255.255.255", true),
            ("240.0.0.1", true),
            ("255.255.255.255", true),
            ("8.8.8.8", false),
            ("::", true),
            ("::1", true),
            ("::127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:10.1.2.3", true),
            ("::ffff:169.254.169.254", true),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::a00:1", true),
            ("64:ff9b::808:808", false),
            ("64:ff9b:1::1", true),
            ("100::1", true),
            ("2001::1", true),
            ("2001:db8::1", true),
            ("2001:4860:4860::8888", false),
            ("2002:7f00:1::", true),
            ("2600::", false),
            ("fbff::1", false),
            ("fc00::1", true),
            ("fd00:ec2::254", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", true),
            ("ff02::1", true),
        ];
        for (text, refused) in table {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(forbidden(ip).is_some(), *refused, "{text}: {:?}", forbidden(ip));
        }
    }

    #[test]
    fn an_origin_has_no_secret() {
        for (url, mapped, origin) in [
            ("https://example.com", None, "https://example.com"),
            ("https://user:word@example.com:8088/services/key?token=1", None, "https://example.com:8088"),
            ("https://example.com?token=1", None, "https://example.com"),
            ("https://example.com/a", Some("http://user:w@rd@[::1]:9200/a"), "http://[::1]:9200"),
        ] {
            let address = Address { url: url.to_owned(), mapped: mapped.map(str::to_owned) };
            assert_eq!(address.origin(), origin);
        }
    }

    #[test]
    fn addresses_are_checked_before_the_first_request() {
        let table: &[(&str, Option<&str>, Result<(), BadAddress>)] = &[
            ("https://example.com", None, Ok(())),
            ("HTTPS://example.com:8443/in?x=1", None, Ok(())),
            ("https://user:word@example.com/", None, Ok(())),
            ("https://8.8.8.8/", None, Ok(())),
            ("http://example.com", None, Err(BadAddress::NotHttps)),
            ("ftp://example.com", None, Err(BadAddress::NotHttps)),
            ("", None, Err(BadAddress::NotHttps)),
            ("arn:aws:es:us-east-1:000000000000:domain/logs", None, Err(BadAddress::NotMapped)),
            ("arn:aws:es:us-east-1:000000000000:domain/logs", Some("http://127.0.0.1:9200"), Ok(())),
            ("https://", None, Err(BadAddress::Malformed("no host"))),
            ("https:///path", None, Err(BadAddress::Malformed("no host"))),
            ("https://example.com:x/", None, Err(BadAddress::Malformed("no port number"))),
            ("https://example.com:70000/", None, Err(BadAddress::Malformed("no port number"))),
            ("https://example.com/a b", None, Err(BadAddress::Malformed("it has a space or a control character"))),
            ("https://example.com/\r\nX: y", None, Err(BadAddress::Malformed("it has a space or a control character"))),
            ("https://127.0.0.1/", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://user@127.0.0.1:443/", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://2130706433/", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://0x7f.1/", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://0X7F000001/", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://0177.0.0.01:8443/", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://127.0.0.1./", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://10.257/", None, Err(BadAddress::Forbidden("a private address"))),
            ("https://0/", None, Err(BadAddress::Forbidden("an address of this host"))),
            ("https://8.526344/", None, Ok(())),
            ("https://0x7f.example/", None, Ok(())),
            ("https://7f000001.example/", None, Ok(())),
            ("https://169.254.169.254/latest", None, Err(BadAddress::Forbidden("a link-local address"))),
            ("https://[::1]:443/", None, Err(BadAddress::Forbidden("a loopback address"))),
            ("https://[::ffff:10.0.0.1]/", None, Err(BadAddress::Forbidden("a private address"))),
            ("https://example.com", Some("http://127.0.0.1:8088"), Ok(())),
            ("https://example.com", Some("127.0.0.1:8088"), Err(BadAddress::Malformed("no http or https URL"))),
            ("https://example.com/a/../b", None, Ok(())),
        ];
        for (url, mapped, expected) in table {
            let address = Address { url: (*url).to_owned(), mapped: mapped.map(str::to_owned) };
            assert_eq!(address.check(), *expected, "{url} {mapped:?}");
        }
    }
}
