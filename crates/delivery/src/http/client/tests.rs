use super::*;

#[test]
fn one_private_address_spoils_a_name() {
    let addresses = |list: &[&str]| list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect::<Vec<_>>();
    assert!(checked(&addresses(&["8.8.8.8", "2600::1"])).is_ok());
    assert!(checked(&addresses(&["8.8.8.8", "10.0.0.1"])).is_err());
    assert!(checked(&addresses(&["fe80::1", "8.8.8.8"])).is_err());
}

#[tokio::test]
async fn a_name_is_refused_when_it_is_resolved() {
    let refused = CheckedNames.resolve("localhost".parse().unwrap()).await.err().unwrap();
    assert_eq!(refused.to_string(), "the name resolves to a loopback address");
}

#[test]
fn literal_addresses_are_checked_in_every_spelling() {
    let call = |text: &str, mapped: Option<&str>| {
        let address = Address { url: text.to_owned(), mapped: mapped.map(str::to_owned) };
        url(&address, "/p").map(|url| url.to_string()).map_err(|error| error.to_string())
    };
    let refused = |kind: &str| {
        let bad = "such an address must be mapped in [endpoints] of the configuration.";
        Err(format!("address not permitted: The URL names {kind}: {bad}"))
    };
    assert_eq!(call("https://0x7f.1/a", None), refused("a loopback address"));
    assert_eq!(call("https://2852039166", None), refused("a link-local address"));
    assert_eq!(call("https://[fd00::1]:8443", None), refused("a unique local address"));
    assert_eq!(call("https://example.com/a", None), Ok("https://example.com/a/p".to_owned()));
    assert_eq!(call("https://example.com", Some("http://[::1]:1")), Ok("http://[::1]:1/p".to_owned()));
}
