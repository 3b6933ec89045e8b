//! `[endpoints]` of the configuration: where the addresses of destinations are reached.

use std::collections::BTreeMap;

use super::address::{has_scheme, host};
use super::{Address, BadAddress};

/// What the operator maps: URLs, or parts of them from the start, and ARNs.
///
/// The longest key counts that is the URL or ends in it at a `/` or `?`. Its value takes the place of the key, the rest
/// of the URL follows:
///
/// | key | value | URL | called |
/// |---|---|---|---|
/// | `https://in.example.com` | `http://127.0.0.1:8088` | `https://in.example.com/a?b` | `http://127.0.0.1:8088/a?b` |
/// | `https://in.example.com/a` | `http://127.0.0.1:8088/x` | `https://in.example.com/a?b` | `http://127.0.0.1:8088/x?b` |
/// | an ARN | `https://localhost:9200` | the same ARN | `https://localhost:9200` |
///
/// A URL with a segment `.` or `..` behind a mapping is refused ([`Address::check`]): it would reach what the operator did
/// not name. The `Host` header is that of what is called. A value may hold a name and password (`https://user:word@host`): they
/// are sent as basic authorization.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Mappings(BTreeMap<String, String>);

/// A line of `[endpoints]` that cannot be used. The value is not shown, as it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMapping {
    /// The key is neither.
    #[error("{0:?}: neither an https URL nor an ARN")]
    Key(String),
    /// The value is no URL.
    #[error("the address of {key:?}: {source}")]
    Value {
        /// Whose value.
        key: String,
        /// What is wrong.
        source: BadAddress,
    },
    /// What follows in the URL could not be appended.
    #[error("the address of {0:?} must not have a query or a fragment")]
    Query(String),
}

impl Mappings {
    /// Checks the lines of `[endpoints]`.
    ///
    /// # Errors
    /// The first line that cannot be used.
    pub fn new(lines: impl IntoIterator<Item = (String, String)>) -> Result<Self, BadMapping> {
        let mut all = BTreeMap::new();
        for (key, value) in lines {
            let is_url = has_scheme(&key, "https://") && host(&key).is_ok();
            if !is_url && !key.starts_with("arn:") {
                return Err(BadMapping::Key(key));
            }
            if let Err(source) = host(&value) {
                return Err(BadMapping::Value { key, source });
            }
            if value.contains(['?', '#']) {
                return Err(BadMapping::Query(key));
            }
            all.insert(canonical(&key), value.trim_end_matches('/').to_owned());
        }
        Ok(Self(all))
    }

    /// The address of a URL or an ARN.
    #[must_use]
    pub fn address(&self, url: &str) -> Address {
        let name = canonical(url);
        let begins = |key: &str| name.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        let fits = self.0.iter().filter_map(|(key, to)| Some((key.len(), to, begins(key)?)));
        let mapped = fits.max_by_key(|(len, ..)| *len).map(|(_, to, rest)| format!("{to}{rest}"));
        Address { url: url.to_owned(), mapped }
    }
}

impl std::fmt::Debug for Mappings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// One spelling for what is the same address: scheme and host in lower case, no standard port, no `/` at the end.
fn canonical(url: &str) -> String {
    if !has_scheme(url, "https://") {
        return url.to_owned();
    }
    let path = url[8..].find(['/', '?', '#']).map_or(url.len(), |at| at + 8);
    let origin = url[..path].to_ascii_lowercase();
    let origin = origin.strip_suffix(":443").unwrap_or(&origin);
    format!("{origin}{}", url[path..].trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(lines: &[(&str, &str)]) -> Result<Mappings, BadMapping> {
        Mappings::new(lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_longest_key_counts() {
        let all = mappings(&[
            ("https://in.example.com", "http://127.0.0.1:1/"),
            ("https://in.example.com/a", "http://127.0.0.1:2/x"),
            ("https://in.example.com/a/b/", "http://127.0.0.1:3"),
            ("https://Upper.example.com:443", "https://user:word@localhost:4"),
            ("arn:aws:es:us-east-1:000000000000:domain/logs", "http://127.0.0.1:9200"),
        ])
        .unwrap();
        let table: &[(&str, Option<&str>)] = &[
            ("https://in.example.com", Some("http://127.0.0.1:1")),
            ("https://in.example.com/", Some("http://127.0.0.1:1")),
            ("https://IN.example.com:443/Path?Q=1", Some("http://127.0.0.1:1/Path?Q=1")),
            ("https://in.example.com?q", Some("http://127.0.0.1:1?q")),
            ("https://in.example.com/ab", Some("http://127.0.0.1:1/ab")),
            ("https://in.example.com/a", Some("http://127.0.0.1:2/x")),
            ("https://in.example.com/a?q=1", Some("http://127.0.0.1:2/x?q=1")),
            ("https://in.example.com/a/c", Some("http://127.0.0.1:2/x/c")),
            ("https://in.example.com/a/b", Some("http://127.0.0.1:3")),
            ("https://in.example.com/a/b/c", Some("http://127.0.0.1:3/c")),
            ("https://upper.example.com/a", Some("https://user:word@localhost:4/a")),
            ("https://in.example.com:8443/", None),
            ("https://in.example.com.evil.example/", None),
            ("https://other.example.com/", None),
            ("arn:aws:es:us-east-1:000000000000:domain/logs", Some("http://127.0.0.1:9200")),
            ("arn:aws:es:us-east-1:000000000000:domain/logs2", None),
        ];
        for (url, mapped) in table {
            let expected = Address { url: (*url).to_owned(), mapped: mapped.map(str::to_owned) };
            assert_eq!(all.address(url).target(), expected.target(), "{url}");
            assert_eq!(all.address(url), expected);
        }
    }

    /// A mapping is the operator's permission for what it names and what is below, not for what else that server has.
    #[test]
    fn no_url_leaves_its_mapping() {
        let lines = [("https://in.example.com/hook", "http://user:word@127.0.0.1:8500/ingest")];
        let all = mappings(&lines).unwrap();
        for (rest, stays) in [
            ("", true),
            ("/a/b", true),
            ("/..a/b../.c/...", true),
            ("/a?up=/../b", true),
            ("/%252e%252e/a", true),
            ("/../../v1/agent/x", false),
            ("/..", false),
            ("/a/../..", false),
            ("/./a", false),
            ("/%2e%2E/v1", false),
            ("/.%2e/v1", false),
            ("/\\..\\..\\v1", false),
            ("/..%2f..%2Fv1", false),
            ("/a%5C..%5cv1", false),
            ("/..;a=b/v1", false),
            ("/../v1?q", false),
        ] {
            let address = all.address(&format!("https://in.example.com/hook{rest}"));
            assert!(address.mapped.is_some(), "{rest}");
            assert_eq!(address.check().is_ok(), stays, "{rest}");
        }
    }

    #[test]
    fn lines_that_cannot_be_used_are_refused() {
        let url = "https://a.example";
        let refused = |key: &str, value: &str| mappings(&[(key, value)]).unwrap_err();
        assert_eq!(refused("http://a.example", "http://b"), BadMapping::Key("http://a.example".into()));
        assert_eq!(refused("a.example", "http://b"), BadMapping::Key("a.example".into()));
        assert_eq!(refused(url, "http://b/?x"), BadMapping::Query(url.into()));
        let source = BadAddress::Malformed("no http or https URL");
        assert_eq!(refused(url, "127.0.0.1:8088"), BadMapping::Value { key: url.into(), source });
    }

    #[test]
    fn no_password_prints() {
        let all = mappings(&[("https://a.example", "https://user:word@localhost")]).unwrap();
        for text in [format!("{all:?}"), format!("{:?}", all.address("https://a.example/key"))] {
            assert!(!text.contains("word") && !text.contains("key"), "{text}");
        }
    }
}
