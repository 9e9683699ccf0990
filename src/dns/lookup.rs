//! What a name in the zone stands for.
//!
//! Owns the forms that names have. Looks nothing up: whether there is such a service or node is for
//! others to say.

use super::name::QueryName;
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

fn lower(label: &[u8]) -> Option<String> {
    std::str::from_utf8(label).ok().map(str::to_ascii_lowercase)
}

/// What the first `count` labels of `name` stand for, the rest being the zone. `srv`: it is asked for
/// SRV records, for which `service` may be left out.
pub(super) fn parse(name: &QueryName, count: usize, datacenter: &str, srv: bool) -> Lookup {
    let Some(labels) = (0..count).map(|i| lower(name.label(i))).collect::<Option<Vec<String>>>() else {
        return Lookup::Nothing;
    };
    let datacenter = datacenter.to_lowercase();
    let own: Vec<&str> = datacenter.split('.').collect();
    let with_dc: Vec<&str> = own.iter().copied().chain(["dc"]).collect();
    // The longest first, as a datacenter may have the name of a word.
    for suffix in [&with_dc[..], &own[..], &[]] {
        let Some(rest) = strip(&labels, suffix) else { continue };
        if let Some(found) = in_datacenter(rest, srv) {
            return found;
        }
    }
    match labels.as_slice() {
        [] => Lookup::Between,
        [one] if one == "ns" => Lookup::NameServer,
        labels => {
            let is_end = |of: &[&str]| of.len() > labels.len() && of[of.len() - labels.len()..] == *labels;
            let between = labels == own || labels == with_dc || is_end(&own) || is_end(&with_dc);
            if between { Lookup::Between } else { Lookup::Nothing }
        }
    }
}

fn strip<'l>(labels: &'l [String], suffix: &[&str]) -> Option<&'l [String]> {
    let at = labels.len().checked_sub(suffix.len())?;
    (labels[at..] == *suffix).then(|| &labels[..at])
}

fn in_datacenter(labels: &[String], srv: bool) -> Option<Lookup> {
    let (word, parts) = labels.split_last()?;
    match word.as_str() {
        SERVICE => Some(match parts {
            [] => Lookup::Between,
            [service] => Lookup::Service { service: service.clone(), tag: String::new() },
            parts => {
                let (service, tag) = rfc2782(parts).unwrap_or_else(|| tagged(parts));
                Lookup::Service { service, tag }
            }
        }),
        NODE => Some(if parts.is_empty() { Lookup::Between } else { Lookup::Node(parts.join(".")) }),
        ADDR => Some(match parts {
            [] => Lookup::Between,
            [hex] => address(hex).map_or(Lookup::Nothing, Lookup::Addr),
            _ => Lookup::Nothing,
        }),
        // What the mesh and prepared queries would use: there is none.
        "query" | "connect" | "virtual" | "ingress" => Some(Lookup::Nothing),
        _ => match rfc2782(labels) {
            Some((service, tag)) if srv => Some(Lookup::Service { service, tag }),
            Some((service, tag)) => Some(Lookup::ServiceBySrv { service, tag }),
            None if parts.is_empty() && word.starts_with('_') => Some(Lookup::Between),
            None => None,
        },
    }
}

/// `_web._tcp` (RFC 2782); anything but `_tcp` is a tag.
fn rfc2782(labels: &[String]) -> Option<(String, String)> {
    let [service, protocol] = labels else { return None };
    let (service, protocol) = (service.strip_prefix('_')?, protocol.strip_prefix('_')?);
    let tag = if protocol == "tcp" { "" } else { protocol };
    Some((service.to_owned(), tag.to_owned()))
}

/// Everything left of the service is one tag.
fn tagged(parts: &[String]) -> (String, String) {
    match parts.split_last() {
        Some((service, tag)) => (service.clone(), tag.join(".")),
        None => (String::new(), String::new()),
    }
}

/// 8 hexadecimal digits for IPv4, 32 for IPv6.
fn address(hex: &str) -> Option<IpAddr> {
    if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
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
        parse(&name, name.labels(), datacenter, srv)
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
        assert_eq!(parse(&name, 2, "dc1", false), Lookup::Nothing);
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
