//! What a name in the zone stands for.
//!
//! Owns the forms that names have. Looks nothing up: whether there is such a service or node is for
//! others to say.

use super::name::{QueryName, push_labels};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a name stands for. Texts are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Nothing that could be.
    Nothing,
    /// A name that exists because others below it do (RFC 8020): the zone, `service`, ...
    Between,
    /// The zone's own name server.
    NameServer,
    /// Instances of a service, those with `tag` if it is not empty.
    Service { service: String, tag: String },
    /// The same, but only for SRV questions does the name mean it.
    ServiceBySrv { service: String, tag: String },
    /// A node.
    Node(String),
    /// An address that is its own name.
    Addr(IpAddr),
}

/// A name that means an address backwards (RFC 1035, 3.5 and RFC 3596, 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backwards {
    /// All of it.
    Whole(IpAddr),
    /// A part of one: only longer names mean something.
    Between,
    /// No address has such a name.
    Nothing,
}

/// The words that follow names of services, nodes and addresses.
const SERVICE: &str = "service";
const NODE: &str = "node";
const ADDR: &str = "addr";
/// What prepared queries and the mesh would use: there is none.
const MESH: [&str; 4] = ["query", "connect", "virtual", "ingress"];

/// The name of a datacenter, as it stands in names.
#[derive(Debug, Default)]
pub(super) struct Datacenter {
    /// With the word that may follow it.
    labels: Vec<Box<[u8]>>,
    /// Its labels in wire form; empty if names are told without it.
    pub(super) wire: Vec<u8>,
}

impl Datacenter {
    /// `wire_max`: in names that are told a longer one is left out.
    pub(super) fn new(name: &str, wire_max: usize) -> Self {
        let mut wire = Vec::new();
        if push_labels(&mut wire, name).is_none() || wire.len() > wire_max {
            wire.clear();
        }
        let labels = name.split('.').chain(["dc"]).map(|label| Box::from(label.as_bytes())).collect();
        Self { labels, wire }
    }

    /// `dc1.dc`.
    fn with_word(&self) -> &[Box<[u8]>] {
        &self.labels
    }

    /// `dc1`.
    fn plain(&self) -> &[Box<[u8]>] {
        &self.labels[..self.labels.len().saturating_sub(1)]
    }

    /// Whether all labels of a name are the last ones of its own.
    fn has_end(&self, labels: &[&[u8]]) -> bool {
        [self.with_word(), self.plain()].into_iter().any(|own| {
            let rest = own.len().checked_sub(labels.len());
            rest.is_some_and(|at| own[at..].iter().zip(labels).all(|(a, b)| a.eq_ignore_ascii_case(b)))
        })
    }
}

/// What the first `count` labels of `name` stand for, the rest being the zone. `srv`: it is asked for
/// SRV records, for which `service` may be left out.
pub(super) fn parse(name: &QueryName, count: usize, datacenter: &Datacenter, srv: bool) -> Lookup {
    let labels: Vec<&[u8]> = (0..count).map(|i| name.label(i)).collect();
    // The longest first, as a datacenter may have the name of a word.
    for suffix in [datacenter.with_word(), datacenter.plain(), &[]] {
        let Some(rest) = strip(&labels, suffix) else { continue };
        if let Some(found) = in_datacenter(rest, srv) {
            return found;
        }
    }
    match labels.as_slice() {
        [] => Lookup::Between,
        [one] if is(one, "ns") => Lookup::NameServer,
        labels if datacenter.has_end(labels) => Lookup::Between,
        _ => Lookup::Nothing,
    }
}

fn is(label: &[u8], word: &str) -> bool {
    label.eq_ignore_ascii_case(word.as_bytes())
}

fn strip<'l, 'n>(labels: &'l [&'n [u8]], suffix: &[Box<[u8]>]) -> Option<&'l [&'n [u8]]> {
    let at = labels.len().checked_sub(suffix.len())?;
    let same = labels[at..].iter().zip(suffix).all(|(a, b)| a.eq_ignore_ascii_case(b));
    same.then(|| &labels[..at])
}

/// Labels as one text in lower case; `None` if they are none.
fn text(labels: &[&[u8]]) -> Option<String> {
    let mut text = String::from_utf8(labels.join(&b'.')).ok()?;
    text.make_ascii_lowercase();
    Some(text)
}

fn in_datacenter(labels: &[&[u8]], srv: bool) -> Option<Lookup> {
    let (word, parts) = labels.split_last()?;
    let found = if is(word, SERVICE) {
        match (parts.split_last(), rfc2782(parts)) {
            (None, _) => Some(Lookup::Between),
            (_, Some((service, tag))) => service_of(service, &[tag]),
            // Everything left of the service is one tag.
            (Some((service, tag)), None) => service_of(service, tag),
        }
    } else if is(word, NODE) {
        if parts.is_empty() { Some(Lookup::Between) } else { text(parts).map(Lookup::Node) }
    } else if is(word, ADDR) {
        match parts {
            [] => Some(Lookup::Between),
            [hex] => address(hex).map(Lookup::Addr),
            _ => None,
        }
    } else if MESH.iter().any(|mesh| is(word, mesh)) {
        None
    } else if let Some((service, tag)) = rfc2782(labels) {
        match service_of(service, &[tag]) {
            Some(Lookup::Service { service, tag }) if !srv => Some(Lookup::ServiceBySrv { service, tag }),
            found => found,
        }
    } else if parts.is_empty() && word.starts_with(b"_") {
        Some(Lookup::Between)
    } else {
        return None;
    };
    Some(found.unwrap_or(Lookup::Nothing))
}

fn service_of(service: &[u8], tag: &[&[u8]]) -> Option<Lookup> {
    Some(Lookup::Service { service: text(&[service])?, tag: text(tag)? })
}

/// `_web._tcp` (RFC 2782): the service and its tag, which anything but `_tcp` is.
fn rfc2782<'n>(labels: &[&'n [u8]]) -> Option<(&'n [u8], &'n [u8])> {
    let [service, protocol] = labels else { return None };
    let (service, tag) = (service.strip_prefix(b"_")?, protocol.strip_prefix(b"_")?);
    Some((service, if is(tag, "tcp") { &[] } else { tag }))
}

/// 8 hexadecimal digits for IPv4, 32 for IPv6.
fn address(hex: &[u8]) -> Option<IpAddr> {
    if !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let hex = std::str::from_utf8(hex).ok()?;
    match hex.len() {
        8 => u32::from_str_radix(hex, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into()),
        32 => u128::from_str_radix(hex, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into()),
        _ => None,
    }
}

/// What a name below `in-addr.arpa` or `ip6.arpa` means; `None` if it is elsewhere.
pub(super) fn backwards(name: &QueryName) -> Option<Backwards> {
    const IPV4: &[u8] = b"\x07in-addr\x04arpa\x00";
    const IPV6: &[u8] = b"\x03ip6\x04arpa\x00";
    if let Some(count) = name.left_of(IPV4) {
        let mut bits = 0;
        for index in (0..count).rev() {
            let label = std::str::from_utf8(name.label(index)).ok();
            let plain = label.filter(|l| l.len() == 1 || !l.starts_with(['0', '+']));
            let Some(octet) = plain.and_then(|l| l.parse::<u8>().ok()) else {
                return Some(Backwards::Nothing);
            };
            bits = bits << 8 | u32::from(octet);
        }
        return Some(match count {
            0..4 => Backwards::Between,
            4 => Backwards::Whole(Ipv4Addr::from_bits(bits).into()),
            _ => Backwards::Nothing,
        });
    }
    let count = name.left_of(IPV6)?;
    let mut bits = 0;
    for index in (0..count).rev() {
        let digit = match name.label(index) {
            [digit] => char::from(*digit).to_digit(16),
            _ => None,
        };
        let Some(digit) = digit else { return Some(Backwards::Nothing) };
        bits = bits << 4 | u128::from(digit);
    }
    Some(match count {
        0..32 => Backwards::Between,
        32 => Backwards::Whole(Ipv6Addr::from_bits(bits).into()),
        _ => Backwards::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::host;

    fn name(text: &str) -> QueryName {
        let mut wire = Vec::new();
        if !text.is_empty() {
            crate::dns::name::push_labels(&mut wire, text).expect("valid");
        }
        wire.push(0);
        QueryName::of_wire(&wire).expect("valid")
    }

    fn at(text: &str, datacenter: &str, srv: bool) -> Lookup {
        let name = name(text);
        parse(&name, name.labels(), &Datacenter::new(datacenter, 64), srv)
    }

    fn service(service: &str, tag: &str) -> Lookup {
        Lookup::Service { service: service.to_owned(), tag: tag.to_owned() }
    }

    #[test]
    fn names_have_the_forms_that_clients_use() {
        let v6 = "fd000000000000000000000000000001";
        let table = [
            ("web.service", service("web", "")),
            ("WEB.Service.DC1", service("web", "")),
            ("web.service.dc1.dc", service("web", "")),
            ("web.service.mars", Lookup::Nothing),
            ("web.service.dc", Lookup::Nothing),
            ("a.web.service", service("web", "a")),
            ("a.b.web.service.dc1", service("web", "a.b")),
            ("_web._tcp.service", service("web", "")),
            ("_web._UDP.service", service("web", "udp")),
            ("x._web._tcp.service", service("_tcp", "x._web")),
            ("_tcp.service", service("_tcp", "")),
            ("n1.node", Lookup::Node("n1".to_owned())),
            ("n1.rack.node.dc1", Lookup::Node("n1.rack".to_owned())),
            ("7F000001.addr", Lookup::Addr(Ipv4Addr::LOCALHOST.into())),
            (&format!("{v6}.addr.dc1"), Lookup::Addr("fd00::1".parse().expect("valid"))),
            ("7f00.addr", Lookup::Nothing),
            ("+f000001.addr", Lookup::Nothing),
            ("x.7f000001.addr", Lookup::Nothing),
            ("x.query", Lookup::Nothing),
            ("web.connect.dc1", Lookup::Nothing),
            ("ns", Lookup::NameServer),
            ("", Lookup::Between),
            ("service", Lookup::Between),
            ("node.dc1", Lookup::Between),
            ("addr.dc1.dc", Lookup::Between),
            ("dc1", Lookup::Between),
            ("dc1.dc", Lookup::Between),
            ("dc", Lookup::Between),
            ("_tcp", Lookup::Between),
            ("web", Lookup::Nothing),
            ("serfhealth.nodes", Lookup::Nothing),
        ];
        for (text, want) in table {
            assert_eq!(at(text, "dc1", false), want, "{text}");
        }
    }

    #[test]
    fn the_word_service_may_be_left_out_of_srv_questions_only() {
        assert_eq!(at("_web._tcp", "dc1", true), service("web", ""));
        assert_eq!(at("_web._a.dc1", "dc1", true), service("web", "a"));
        let by_srv = Lookup::ServiceBySrv { service: "web".to_owned(), tag: String::new() };
        assert_eq!(at("_web._tcp", "dc1", false), by_srv);
    }

    #[test]
    fn a_datacenter_may_have_dots_or_the_name_of_a_word() {
        assert_eq!(at("web.service.eu.west", "EU.west", false), service("web", ""));
        assert_eq!(at("west", "eu.west", false), Lookup::Between);
        assert_eq!(
            at("0a000001.addr.service", "service", false),
            Lookup::Addr("10.0.0.1".parse().expect("valid"))
        );
        assert_eq!(at("web.service", "service", false), service("web", ""));
    }

    #[test]
    fn labels_that_are_no_text_are_nothing() {
        let wire = [2, 0xff, 0xfe, 7, b's', b'e', b'r', b'v', b'i', b'c', b'e', 0];
        let name = QueryName::of_wire(&wire).expect("valid");
        assert_eq!(parse(&name, 2, &Datacenter::new("dc1", 64), false), Lookup::Nothing);
    }

    #[test]
    fn addresses_are_read_backwards() {
        let of = |text: &str| backwards(&QueryName::of_wire(&host(text).expect("valid")).expect("valid"));
        let whole = |ip: &str| Some(Backwards::Whole(ip.parse().expect("valid")));
        assert_eq!(of("1.0.0.10.IN-ADDR.arpa"), whole("10.0.0.1"));
        let v6 = format!("1.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
        assert_eq!(of(&v6), whole("fd00::1"));
        for between in ["in-addr.arpa", "10.in-addr.arpa", "0.0.10.in-addr.arpa", "d.f.ip6.arpa"] {
            assert_eq!(of(between), Some(Backwards::Between), "{between}");
        }
        for nothing in
            ["256.0.0.10.in-addr.arpa", "01.0.0.10.in-addr.arpa", "1.1.0.0.10.in-addr.arpa", "x.ip6.arpa"]
        {
            assert_eq!(of(nothing), Some(Backwards::Nothing), "{nothing}");
        }
        assert_eq!(of("example.com"), None);
    }
}
