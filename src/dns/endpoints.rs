//! What a service answers with, worked out once for each state of it.
//!
//! Owns which instances count, which address of each is told, and which are the same to a client.
//! The result is kept as long as the service's change index stays: every question still gets an
//! order of its own, only the work before that is saved. What is kept is bounded by
//! [`CACHED_MAX`] services and [`CACHED_ENDPOINTS_MAX`] endpoints; then all of it goes.

use super::name::{self, NAME_BYTES_MAX};
use super::options::{Options, Zone};
use super::packet::NameRef;
use super::query::rtype;
use crate::model::ServiceText;
use crate::view::{Health, Instance, Node, View};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Services (with a tag, and by type of question) that are kept.
const CACHED_MAX: usize = 1_024;
/// Endpoints of all of them.
const CACHED_ENDPOINTS_MAX: usize = 100_000;
/// The longest name of a datacenter, in wire form without the root, that names are given.
pub(super) const DATACENTER_BYTES_MAX: usize = 64;
/// What is left of a name for a node's part.
pub(super) const NODE_BYTES_MAX: usize = NAME_BYTES_MAX - DATACENTER_BYTES_MAX - Zone::CHARS_MAX - 2;
/// Strings in TXT records have a length of one byte.
const TEXT_BYTES_MAX: usize = 255;

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Ipv4,
    Ipv6,
    Any,
    Srv,
}

impl Wanted {
    /// For a type of question; types that services do not have want addresses, too, to know whether
    /// there is anything.
    pub(super) const fn of(rtype: u16) -> Self {
        match rtype {
            rtype::AAAA => Self::Ipv6,
            rtype::ANY => Self::Any,
            rtype::SRV => Self::Srv,
            _ => Self::Ipv4,
        }
    }

    /// Whether an address is of the wanted family.
    pub(super) const fn takes(self, ip: IpAddr) -> bool {
        match self {
            Self::Ipv4 => ip.is_ipv4(),
            Self::Ipv6 => ip.is_ipv6(),
            Self::Any | Self::Srv => true,
        }
    }

    /// The tags under which an instance may have a better address, the best first.
    const fn tags(self) -> &'static [&'static str] {
        match self {
            Self::Ipv4 => &["lan_ipv4"],
            Self::Ipv6 => &["lan_ipv6"],
            Self::Any | Self::Srv => &["lan_ipv6", "lan_ipv4"],
        }
    }
}

/// A name that is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Labels in the datacenter's part of the zone.
    InDatacenter(Box<[u8]>),
    /// A host elsewhere.
    Whole(Box<[u8]>),
}

impl Name {
    pub(super) fn at(&self, slot: usize) -> NameRef<'_> {
        match self {
            Self::InDatacenter(labels) => NameRef::InDatacenter { labels, slot },
            Self::Whole(wire) => NameRef::Whole { wire, slot },
        }
    }
}

/// One SRV record.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) weight: u16,
    pub(super) port: u16,
    /// Where its name is in [`Prepared::names`].
    pub(super) name: usize,
    /// The address of that name, if it is ours to tell.
    pub(super) ip: Option<IpAddr>,
    /// Where its node is in [`Prepared::nodes`].
    pub(super) node: Option<usize>,
}

/// What a node tells beside its address.
#[derive(Debug)]
pub(super) struct NodeOf {
    /// Where its name is in [`Prepared::names`].
    pub(super) name: usize,
    pub(super) texts: Vec<Box<[u8]>>,
}

/// What a service answers with.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    view_index: u64,
    service_index: u64,
    /// Whether any instance counts, whatever its address.
    pub(super) any: bool,
    pub(super) ttl: u32,
    /// Distinct addresses.
    pub(super) ips: Vec<IpAddr>,
    /// Distinct host names of instances that have one for an address.
    pub(super) hosts: Vec<Box<[u8]>>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) names: Vec<Name>,
    pub(super) nodes: Vec<NodeOf>,
    /// Places in `ips` or in `endpoints`, in the order of the last answer.
    order: Vec<u32>,
}

impl Prepared {
    /// Works it out from the view; `None` if there is no such service.
    pub(super) fn new(
        view: &View,
        service: &str,
        tag: &str,
        wanted: Wanted,
        options: &Options,
    ) -> Option<Self> {
        let known = view.service(service)?;
        let mut new = Self {
            view_index: view.index(),
            service_index: known.index,
            ttl: options.service_ttl.of(&service.to_lowercase()),
            ..Self::default()
        };
        let worst = if options.only_passing { Health::Passing } else { Health::Warning };
        let mut seen = Seen::default();
        for (node, instance) in view.instances_of(service) {
            let tagged = || instance.record.tags().any(|t| t.eq_ignore_ascii_case(tag));
            if !tag.is_empty() && !tagged() {
                continue;
            }
            let health = node.instance_health(instance);
            if health > worst {
                continue;
            }
            new.any = true;
            let record = instance.record.read();
            if wanted == Wanted::Srv {
                new.endpoint(&mut seen, node, instance, &record, health, options);
            } else {
                new.address(&mut seen, node, &record, wanted);
            }
        }
        let count = new.ips.len().max(new.endpoints.len());
        new.order = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
        Some(new)
    }

    fn address(&mut self, seen: &mut Seen, node: &Arc<Node>, record: &ServiceText<'_>, wanted: Wanted) {
        match Place::of(record, wanted) {
            Place::Node => self.ip(seen, node.record.addr.ip(), wanted),
            Place::Ip(ip) => self.ip(seen, ip, wanted),
            Place::Host(host) => {
                if seen.hosts.insert(host.clone()) {
                    self.hosts.push(host);
                }
            }
            Place::Nowhere => {}
        }
    }

    fn ip(&mut self, seen: &mut Seen, ip: IpAddr, wanted: Wanted) {
        if wanted.takes(ip) && seen.ips.insert(ip) {
            self.ips.push(ip);
        }
    }

    fn endpoint(
        &mut self,
        seen: &mut Seen,
        node: &Arc<Node>,
        instance: &Arc<Instance>,
        record: &ServiceText<'_>,
        health: Health,
        options: &Options,
    ) {
        let node_ip = node.record.addr.ip();
        let (name, ip) = match Place::of(record, Wanted::Srv) {
            Place::Node => (node_name(node), Some(node_ip)),
            Place::Ip(ip) => (Name::InDatacenter(addr_labels(ip)), Some(ip)),
            Place::Host(host) => (Name::Whole(host), None),
            Place::Nowhere => return,
        };
        let name = self.name(seen, name);
        if !seen.endpoints.insert((Arc::clone(&instance.node), name, record.port)) {
            return;
        }
        let node = options.node_meta_txt.then(|| self.node(seen, node)).flatten();
        let weights = record.weights;
        let weight = if health == Health::Passing { weights.passing } else { weights.warning };
        self.endpoints.push(Endpoint { weight, port: record.port, name, ip, node });
    }

    fn name(&mut self, seen: &mut Seen, name: Name) -> usize {
        *seen.names.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            self.names.len() - 1
        })
    }

    /// The place of a node that has something to tell.
    fn node(&mut self, seen: &mut Seen, node: &Arc<Node>) -> Option<usize> {
        if node.record.tags.is_empty() {
            return None;
        }
        let name = self.name(seen, Name::InDatacenter(node_labels(node.record.name.as_str())?));
        let at = *seen.nodes.entry(name).or_insert_with(|| {
            self.nodes.push(NodeOf { name, texts: node_texts(node) });
            self.nodes.len() - 1
        });
        Some(at)
    }

    /// Puts `count` of the places, chosen at random, in front in random order.
    pub(super) fn shuffle(&mut self, count: usize, rng: &mut SmallRng) {
        let (count, all) = (count.min(self.order.len()), self.order.len());
        // Fisher and Yates, from whatever order the last answer left.
        for i in 0..count {
            let j = rng.random_range(i..all);
            self.order.swap(i, j);
        }
    }

    /// The first `count` places in the order of the last shuffle.
    pub(super) fn places(&self, count: usize) -> impl Iterator<Item = usize> {
        self.order.iter().take(count).map(|place| *place as usize)
    }
}

/// What was taken already.
#[derive(Default)]
struct Seen {
    ips: BTreeSet<IpAddr>,
    hosts: BTreeSet<Box<[u8]>>,
    endpoints: BTreeSet<(Arc<Arc<str>>, usize, u16)>,
    names: BTreeMap<Name, usize>,
    nodes: BTreeMap<usize, usize>,
}

/// Where an instance says that it is.
enum Place {
    /// It leaves that to its node.
    Node,
    Ip(IpAddr),
    Host(Box<[u8]>),
    /// What it says is no address and no name.
    Nowhere,
}

impl Place {
    fn of(record: &ServiceText<'_>, wanted: Wanted) -> Self {
        let tagged = wanted.tags().iter().find_map(|tag| {
            let found = record.tagged_addresses.iter().find(|(t, _)| t == tag);
            found.map(|(_, (address, _))| *address).filter(|address| !address.is_empty())
        });
        let address = tagged.unwrap_or(record.address);
        if address.is_empty() {
            return Self::Node;
        }
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        match bare.parse() {
            Ok(ip) => Self::Ip(ip),
            Err(_) => name::host(address).map_or(Self::Nowhere, Self::Host),
        }
    }
}

/// `n1.node`; `None` for a name that cannot be written as labels.
pub(super) fn node_labels(name: &str) -> Option<Box<[u8]>> {
    let mut labels = Vec::with_capacity(name.len() + 6);
    name::push_labels(&mut labels, name)?;
    labels.extend_from_slice(b"\x04node");
    (labels.len() <= NODE_BYTES_MAX).then(|| labels.into_boxed_slice())
}

/// `0a000001.addr`.
pub(super) fn addr_labels(ip: IpAddr) -> Box<[u8]> {
    let hex = match ip {
        IpAddr::V4(ip) => format!("\x08{:08x}\x04addr", ip.to_bits()),
        IpAddr::V6(ip) => format!("\x20{:032x}\x04addr", ip.to_bits()),
    };
    hex.into_bytes().into_boxed_slice()
}

/// The name of a node, or of its address if its name cannot be written.
pub(super) fn node_name(node: &Node) -> Name {
    let labels = node_labels(node.record.name.as_str());
    Name::InDatacenter(labels.unwrap_or_else(|| addr_labels(node.record.addr.ip())))
}

/// A node's tags as TXT data: `key=value` with the quotes of RFC 1464, or the value alone if the key
/// begins with `rfc1035-`.
pub(super) fn node_texts(node: &Node) -> Vec<Box<[u8]>> {
    node.record.tags.iter().map(|(key, value)| text(key, value)).collect()
}

fn text(key: &str, value: &str) -> Box<[u8]> {
    let whole = if key.to_ascii_lowercase().starts_with("rfc1035-") {
        value.to_owned()
    } else {
        let spaces = |text: &str| "` ".repeat(text.len());
        let core = key.trim_matches(' ');
        let lead = &key[..key.len() - key.trim_start_matches(' ').len()];
        let trail = if core.is_empty() { "" } else { &key[lead.len() + core.len()..] };
        let core = core.replace('`', "``").replace('=', "`=");
        format!("{}{core}{}={}", spaces(lead), spaces(trail), value.replace('`', "``"))
    };
    let mut data = Vec::with_capacity(whole.len() + 1);
    for part in whole.as_bytes().chunks(TEXT_BYTES_MAX) {
        data.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        data.extend_from_slice(part);
    }
    if data.is_empty() {
        data.push(0);
    }
    data.into_boxed_slice()
}

/// What services answered with last.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: BTreeMap<(Wanted, String), Prepared>,
    endpoints: usize,
}

impl Cache {
    /// What a service answers with at present; `None` if there is no such service.
    pub(super) fn get(
        &mut self,
        view: &View,
        service: &str,
        tag: &str,
        wanted: Wanted,
        options: &Options,
    ) -> Option<&mut Prepared> {
        // No control character is in either.
        let key = (wanted, format!("{service}\n{tag}"));
        let fresh = self.known.get_mut(&key).is_some_and(|known| {
            if known.view_index != view.index() {
                if view.service(service).is_none_or(|s| s.index != known.service_index) {
                    return false;
                }
                known.view_index = view.index();
            }
            true
        });
        if !fresh {
            self.remove(&key);
            let prepared = Prepared::new(view, service, tag, wanted, options)?;
            if self.known.len() >= CACHED_MAX || self.endpoints >= CACHED_ENDPOINTS_MAX {
                self.known.clear();
                self.endpoints = 0;
            }
            self.endpoints += prepared.order.len();
            self.known.insert(key.clone(), prepared);
        }
        self.known.get_mut(&key)
    }

    fn remove(&mut self, key: &(Wanted, String)) {
        if let Some(known) = self.known.remove(key) {
            self.endpoints -= known.order.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn tags_are_quoted_so_that_they_can_be_read_back() {
        let said = |key: &str, value: &str| String::from_utf8(text(key, value)[1..].to_vec()).expect("text");
        assert_eq!(said("rack", "r1"), "rack=r1");
        assert_eq!(said("a=b`", "c`d=e"), "a`=b``=c``d=e");
        assert_eq!(said("  a b ", " x"), "` ` a b` = x");
        assert_eq!(said("RFC1035-note", "any = text"), "any = text");
        let long = text("k", &"v".repeat(400));
        assert_eq!((long[0], long[256], long.len()), (255, 147, 404));
        assert_eq!(*text("rfc1035-", ""), [0]);
    }

    #[test]
    fn names_that_are_too_long_for_labels_are_not_written() {
        assert!(node_labels("n1.rack").is_some());
        for bad in ["a..b", "a.", &"x".repeat(64), &["x".repeat(60), "y".repeat(60), "z".repeat(6)].join(".")]
        {
            assert!(node_labels(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn each_place_comes_first_about_equally_often() {
        let mut prepared = Prepared { order: (0..10).collect(), ..Prepared::default() };
        let mut firsts = [0_u32; 10];
        for seed in 0..10_000 {
            let mut rng = SmallRng::seed_from_u64(seed);
            prepared.shuffle(3, &mut rng);
            let order: Vec<usize> = prepared.places(3).collect();
            assert_eq!(order.len(), 3);
            firsts[order[0]] += 1;
        }
        assert!(firsts.iter().all(|n| (850..1_150).contains(n)), "{firsts:?}");
        let mut all = prepared.order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_kept_of_services_is_bounded() {
        use crate::dns::tests::world::{World, service};
        let mut world = World::empty(Options::default());
        world.node("n1", "127.0.0.1", crate::model::MemberStatus::Alive, &[]);
        for n in 0..CACHED_MAX + 100 {
            world.service("n1", service(&format!("s{n}"), &format!("s{n}"), "10.0.0.1", 1));
        }
        let (view, mut cache) = (world.view.load(), Cache::default());
        for n in 0..CACHED_MAX + 100 {
            let name = format!("s{n}");
            assert!(cache.get(&view, &name, "", Wanted::Ipv4, &Options::default()).is_some(), "{name}");
            assert!(cache.known.len() <= CACHED_MAX);
        }
        assert_eq!(cache.endpoints, cache.known.values().map(|known| known.order.len()).sum::<usize>());
        assert!(cache.get(&view, "nobody", "", Wanted::Ipv4, &Options::default()).is_none());
        assert_eq!(cache.known.len(), 100, "and of what is not there nothing is kept");
    }
}
