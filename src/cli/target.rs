//! Where an instance answers, as typed: a URL, or `HOST:PORT`.

use url::{Host, Url};

/// Address and port out of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// IP address or host name, without brackets.
    pub(super) address: String,
    /// Port; the scheme's own where the URL names none.
    pub(super) port: u16,
}

/// Ports of schemes that are no web schemes, as IANA registers them.
const SCHEME_PORTS: &[(&str, u16)] = &[
    ("amqp", 5672),
    ("amqps", 5671),
    ("dns", 53),
    ("imap", 143),
    ("imaps", 993),
    ("ldap", 389),
    ("ldaps", 636),
    ("mongodb", 27017),
    ("mqtt", 1883),
    ("mqtts", 8883),
    ("mysql", 3306),
    ("nats", 4222),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("redis", 6379),
    ("rediss", 6379),
    ("sftp", 22),
    ("smtp", 25),
    ("ssh", 22),
];

/// Reads `SCHEME://HOST[:PORT][/...]` or `HOST:PORT`.
pub(super) fn parse(text: &str) -> Result<Target, String> {
    let bare = !text.contains("://");
    // A scheme without a port of its own, so that HOST:PORT must name one.
    let full = if bare { format!("tcp://{text}") } else { text.to_owned() };
    let url = Url::parse(&full).map_err(|e| format!("{e}: want SCHEME://HOST[:PORT] or HOST:PORT"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("want no user or password: everyone in the cluster can read it".to_owned());
    }
    if bare && !matches!(url.path(), "" | "/") {
        return Err("want SCHEME://HOST[:PORT] or HOST:PORT".to_owned());
    }
    let address = match url.host() {
        Some(Host::Ipv6(ip)) => ip.to_string(),
        Some(host) if !host.to_string().is_empty() => host.to_string(),
        _ => return Err("want a host: SCHEME://HOST[:PORT] or HOST:PORT".to_owned()),
    };
    let scheme_port =
        || SCHEME_PORTS.iter().find(|(scheme, _)| *scheme == url.scheme()).map(|(_, port)| *port);
    let port = url.port_or_known_default().or_else(scheme_port).filter(|port| *port != 0);
    let port = port.ok_or_else(|| {
        let scheme = if bare { String::new() } else { format!(" ({} has no default)", url.scheme()) };
        format!("want a port{scheme}: {address}:PORT")
    })?;
    Ok(Target { address, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_address_and_port() {
        for (text, address, port) in [
            ("http://10.0.0.7:8080", "10.0.0.7", 8080),
            ("http://10.0.0.7", "10.0.0.7", 80),
            ("http://10.0.0.7:80/health?x=1", "10.0.0.7", 80),
            ("https://shop.example/", "shop.example", 443),
            ("http://[2001:db8::7]:8080/", "2001:db8::7", 8080),
            ("tcp://[::1]:1", "::1", 1),
            ("postgres://db.local/orders", "db.local", 5432),
            ("redis://cache:7000", "cache", 7000),
            ("grpc://10.0.0.7:50051", "10.0.0.7", 50051),
            ("10.0.0.7:8080", "10.0.0.7", 8080),
            ("localhost:8080", "localhost", 8080),
            ("[::1]:8080", "::1", 8080),
        ] {
            assert_eq!(parse(text), Ok(Target { address: address.to_owned(), port }), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, want) in [
            ("grpc://10.0.0.7", "grpc has no default"),
            ("10.0.0.7", "10.0.0.7:PORT"),
            ("http://", "host"),
            ("http://h:99999", "port"),
            ("http://me:secret@h", "password"),
            ("", "HOST:PORT"),
            ("a b:1", "HOST"),
            ("host:80/path", "HOST:PORT"),
            ("http://h:0", "port"),
        ] {
            let e = parse(text).expect_err(text);
            assert!(e.contains(want), "{text}: {e}");
        }
    }
}
