//! What the host names stand for that some instances have for an address.

use super::endpoints::{Prepared, Wanted};
use super::lookup::{self, Lookup};
use super::name::QueryName;
use super::query::rtype;
use super::responder::Scene;
use domain::base::Message;
use domain::base::iana::Rtype;
use domain::rdata::{A, Aaaa, Cname};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use std::net::IpAddr;

/// Names after one another that are followed in our own zone.
const LEVELS_MAX: usize = 3;
/// Records of a recursor's answer that are told on.
const RECORDS_MAX: usize = 256;

/// A record further down the chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chased {
    /// In wire form.
    pub(super) owner: Box<[u8]>,
    pub(super) ttl: u32,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    Ip(IpAddr),
    Cname(Box<[u8]>),
}

/// Where a host is known.
pub(super) enum Found {
    /// In our zone, with what it has there.
    Ours(Vec<Chased>),
    Elsewhere,
}

/// Follows `host` while it is in our zone.
pub(super) fn chase(scene: &Scene<'_>, host: &[u8], wanted: Wanted, rng: &mut SmallRng) -> Found {
    let mut records = Vec::new();
    let mut host: Box<[u8]> = Box::from(host);
    for level in 0..LEVELS_MAX {
        let Some(mut found) = in_zone(scene, &host, wanted) else {
            return if level == 0 { Found::Elsewhere } else { Found::Ours(records) };
        };
        found.ips.shuffle(rng);
        let record = |ip: &IpAddr| Chased { owner: host.clone(), ttl: found.ttl, what: What::Ip(*ip) };
        records.extend(found.ips.iter().map(record));
        if !found.ips.is_empty() {
            break;
        }
        let Some(next) = found.hosts.first() else { break };
        let what = What::Cname(next.clone());
        records.push(Chased { owner: host, ttl: found.ttl, what });
        host = next.clone();
    }
    Found::Ours(records)
}

/// What a name in our zone has; `None` if it is elsewhere.
fn in_zone(scene: &Scene<'_>, host: &[u8], wanted: Wanted) -> Option<Prepared> {
    let options = scene.options;
    let name = QueryName::of_wire(host)?;
    let count = options.zone.left_of(&name).or_else(|| options.alt_zone.as_ref()?.left_of(&name))?;
    let mut found = Prepared::default();
    found.ttl = options.node_ttl;
    let ip = match lookup::parse(&name, count, scene.datacenter, false) {
        Lookup::Addr(ip) => Some(ip),
        Lookup::Node(name) => scene.view.node(&name).map(|node| node.record.addr.ip()),
        Lookup::NameServer => scene.view.own_member().map(|own| own.record.addr.ip()),
        Lookup::Service { service, tag } => {
            return Some(Prepared::new(scene.view, &service, &tag, wanted, options).unwrap_or(found));
        }
        Lookup::Nothing | Lookup::Between | Lookup::ServiceBySrv { .. } => None,
    };
    found.ips.extend(ip.filter(|ip| wanted.takes(*ip)));
    Some(found)
}

/// The question about `host` for a recursor, with the number 0.
pub(super) fn question(host: &[u8], wanted: Wanted) -> Vec<u8> {
    let rtype = if wanted == Wanted::Ipv6 { rtype::AAAA } else { rtype::A };
    // RD; one question.
    let mut out = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    out.extend_from_slice(host);
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out
}

/// Addresses and aliases in a recursor's answer about `host`.
pub(super) fn told(host: &[u8], message: &[u8], wanted: Wanted) -> Vec<Chased> {
    let mut records = Vec::new();
    let about = Message::from_slice(message).ok().and_then(|m| m.question().next()?.ok());
    let about = about.and_then(|question| QueryName::new(question.qname()));
    if !about.is_some_and(|name| name.wire().eq_ignore_ascii_case(host)) {
        return records;
    }
    let Some(answer) = Message::from_slice(message).ok().and_then(|m| m.answer().ok()) else {
        return records;
    };
    for record in answer.take(RECORDS_MAX).flatten() {
        let Some(owner) = QueryName::new(&record.owner()) else { continue };
        let what = match record.rtype() {
            Rtype::A => record.to_record::<A>().ok().flatten().map(|r| What::Ip(r.data().addr().into())),
            Rtype::AAAA => {
                record.to_record::<Aaaa>().ok().flatten().map(|r| What::Ip(r.data().addr().into()))
            }
            Rtype::CNAME => record.to_record::<Cname<_>>().ok().flatten().and_then(|r| {
                QueryName::new(r.data().cname()).map(|name| What::Cname(Box::from(name.wire())))
            }),
            _ => None,
        };
        let Some(what) = what else { continue };
        if matches!(what, What::Ip(ip) if !wanted.takes(ip)) {
            continue;
        }
        records.push(Chased { owner: Box::from(owner.wire()), ttl: record.ttl().as_secs(), what });
    }
    records
}
