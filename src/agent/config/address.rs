//! Addresses as people write them.

use super::GOSSIP_PORT;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

pub(super) const GOSSIP_WANT: &str = "ADDR[:PORT] with an IP address, such as 10.0.0.5 or [fd00::5]:7946";

/// A gossip address; the port may be left out.
pub(super) fn gossip(text: &str) -> Option<SocketAddr> {
    with_port(text, GOSSIP_PORT)
}

/// An IP address with a port, or with `port` when it has none.
pub(super) fn with_port(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    text.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)))
}

/// An agent to join through: a name to resolve at each try, or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAddress {
    host: String,
    port: u16,
}

impl JoinAddress {
    /// What to resolve.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, [`GOSSIP_PORT`] when none was written.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for JoinAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(addr) = gossip(text) {
            let usable = addr.port() != 0 && !addr.ip().is_unspecified();
            return if usable {
                Ok(Self { host: addr.ip().to_string(), port: addr.port() })
            } else {
                Err(())
            };
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| ())?),
            None => (text, GOSSIP_PORT),
        };
        // RFC 1123 names, with the underscore that service names of container systems have.
        let name = (1..=253).contains(&host.len())
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if name && port != 0 { Ok(Self { host: host.to_owned(), port }) } else { Err(()) }
    }
}

impl fmt::Display for JoinAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}
