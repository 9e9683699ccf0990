//! What the DNS server is to do, as values that are valid.
//!
//! Owns their bounds and defaults; reads no file (the agent's configuration does).

use super::name::{self, QueryName};
use std::net::SocketAddr;
use std::time::Duration;

/// A zone that is answered for, such as `consul`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    text: String,
    wire: Box<[u8]>,
}

impl Zone {
    /// The longest zone name, in characters: the longest name of a node or an address still fits
    /// before it.
    pub const CHARS_MAX: usize = 63;

    /// A zone from its name; `None` if it is empty, too long or no host name.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if text.len() > Self::CHARS_MAX || text == "arpa" || text.ends_with(".arpa") {
            return None;
        }
        let wire = name::host(&text)?;
        Some(Self { text, wire })
    }

    /// Its name in lower case, without the last dot.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its name in wire form, with the root label.
    pub(super) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// How many labels of `name` stand left of this zone, if it is in it.
    pub(super) fn left_of(&self, name: &QueryName) -> Option<usize> {
        name.left_of(&self.wire)
    }
}

/// Times in the zone's SOA record (RFC 1035, 3.3.13), in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soa {
    /// Between two looks of a secondary server.
    pub refresh: u32,
    /// After one that failed.
    pub retry: u32,
    /// After which a secondary server gives up.
    pub expire: u32,
    /// How long negative answers may be kept (RFC 2308), and the record itself.
    pub minimum: u32,
}

impl Default for Soa {
    fn default() -> Self {
        Self { refresh: 3_600, retry: 600, expire: 86_400, minimum: 0 }
    }
}

/// Which answers about services may be kept for how long: by exact name, else by the longest prefix
/// (`web*`), else by `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceTtl {
    exact: Vec<(String, u32)>,
    /// The longest first.
    prefixes: Vec<(String, u32)>,
}

impl ServiceTtl {
    /// From patterns with seconds.
    pub fn new(patterns: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut new = Self::default();
        for (pattern, seconds) in patterns {
            let pattern = pattern.to_lowercase();
            match pattern.strip_suffix('*') {
                Some(prefix) => new.prefixes.push((prefix.to_owned(), seconds)),
                None => new.exact.push((pattern, seconds)),
            }
        }
        new.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        new
    }

    /// What it was made from, in lower case.
    pub fn patterns(&self) -> impl Iterator<Item = (String, u32)> {
        let exact = self.exact.iter().cloned();
        exact.chain(self.prefixes.iter().map(|(prefix, seconds)| (format!("{prefix}*"), *seconds)))
    }

    /// For a service, in seconds. `name` is in lower case.
    pub fn of(&self, name: &str) -> u32 {
        let exact = self.exact.iter().find(|(exact, _)| exact == name);
        let found = exact.or_else(|| self.prefixes.iter().find(|(prefix, _)| name.starts_with(prefix)));
        found.map_or(0, |(_, seconds)| *seconds)
    }
}

/// What the DNS server is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The zone.
    pub zone: Zone,
    /// A second name for it.
    pub alt_zone: Option<Zone>,
    /// Leave out instances that warn, too.
    pub only_passing: bool,
    /// How long answers about nodes may be kept, in seconds.
    pub node_ttl: u32,
    /// How long answers about services may be kept.
    pub service_ttl: ServiceTtl,
    /// The most addresses in an answer; 0 for all.
    pub a_record_limit: usize,
    /// The most records in a UDP answer to a client that does not say how much it can take.
    pub udp_answer_limit: usize,
    /// Tell clients when an answer was cut (the TC bit).
    pub enable_truncate: bool,
    /// Tell the tags of nodes along with their addresses, as TXT records.
    pub node_meta_txt: bool,
    /// The SOA record.
    pub soa: Soa,
    /// Where questions about other names go, in this order.
    pub recursors: Vec<SocketAddr>,
    /// How long each of them has.
    pub recursor_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            zone: Zone::new("consul").expect("the word is a host name"),
            alt_zone: None,
            only_passing: false,
            node_ttl: 0,
            service_ttl: ServiceTtl::default(),
            a_record_limit: 0,
            udp_answer_limit: 3,
            enable_truncate: false,
            node_meta_txt: true,
            soa: Soa::default(),
            recursors: Vec::new(),
            recursor_timeout: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_decides() {
        let pattern = |p: &str, s| (p.to_owned(), s);
        let ttl =
            ServiceTtl::new([pattern("*", 1), pattern("we*", 2), pattern("Web-*", 3), pattern("web-a", 4)]);
        assert_eq!(["x", "web", "web-b", "web-a"].map(|name| ttl.of(name)), [1, 2, 3, 4]);
        assert_eq!(ServiceTtl::default().of("x"), 0);
    }

    #[test]
    fn a_zone_is_a_host_name_of_bounded_length() {
        assert_eq!(Zone::new("Service.Example.").map(|z| z.text), Some("service.example".to_owned()));
        for bad in ["", ".", "a b", "in-addr.arpa", "arpa", &"x".repeat(64)] {
            assert_eq!(Zone::new(bad), None, "{bad}");
        }
    }
}
