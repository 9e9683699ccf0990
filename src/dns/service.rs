//! Answers about services.

use super::chase::{self, Chased};
use super::endpoints::{Cache, Prepared, Wanted};
use super::packet::{Data, NameRef, NodeTexts, Plan, Record};
use super::query::{Rcode, rtype};
use super::responder::{Reply, Said, Scene};
use super::zone::{self, Workspace};
use rand::RngExt;
use rand::rngs::SmallRng;

/// No record takes fewer bytes.
const RECORD_BYTES_MIN: usize = 16;

/// Whether a service has instances that count.
pub(super) fn exists(scene: &Scene<'_>, service: &str, tag: &str, cache: &mut Cache) -> bool {
    let prepared = cache.get(scene.view, service, tag, Wanted::Srv, scene.options);
    prepared.is_some_and(|prepared| prepared.any)
}

/// The instances of a service.
pub(super) fn answer<'a>(
    scene: &'a Scene<'a>,
    service: &str,
    tag: &str,
    cache: &'a mut Cache,
    work: &'a mut Workspace,
    rng: &mut SmallRng,
) -> Said<'a> {
    let wanted = Wanted::of(scene.query.rtype);
    let found = cache.get(scene.view, service, tag, wanted, scene.options).filter(|found| found.any);
    let Some(found) = found else {
        let rcode = if is_between(scene, service, tag) { Rcode::NoError } else { Rcode::NxDomain };
        return Said::Plan(zone::negative(scene, rcode));
    };
    match scene.query.rtype {
        rtype::SRV => Said::Plan(srv(scene, found, rng)),
        rtype::A | rtype::AAAA | rtype::ANY if !found.ips.is_empty() => {
            Said::Plan(addresses(scene, found, rng))
        }
        rtype::A | rtype::AAAA | rtype::ANY if !found.hosts.is_empty() => {
            let host = &found.hosts[rng.random_range(0..found.hosts.len())];
            alias(scene, host, found.ttl, wanted, work, rng)
        }
        _ => Said::Plan(zone::negative(scene, Rcode::NoError)),
    }
}

/// Names of which only longer ones mean something: `_tcp` of `_web._tcp`, `b` of the tag `a.b`.
fn is_between(scene: &Scene<'_>, service: &str, tag: &str) -> bool {
    if tag.is_empty() {
        return service.starts_with('_');
    }
    let Some(known) = scene.view.service(service) else { return false };
    known.tags.keys().any(|known| {
        known.len().checked_sub(tag.len() + 1).is_some_and(|at| {
            known.is_char_boundary(at)
                && known[at..].strip_prefix('.').is_some_and(|end| end.eq_ignore_ascii_case(tag))
        })
    })
}

/// How many records are worth being drawn: one more than can be told, so that it shows.
fn worth(scene: &Scene<'_>) -> usize {
    scene.room.answers.min(scene.room.bytes / RECORD_BYTES_MIN) + 2
}

fn addresses<'a>(scene: &Scene<'_>, found: &'a mut Prepared, rng: &mut SmallRng) -> Plan<'a> {
    let most = if scene.options.a_record_limit == 0 { usize::MAX } else { scene.options.a_record_limit };
    found.shuffle(most.min(worth(scene)), rng);
    let found = &*found;
    let mut plan = Plan::new(Rcode::NoError);
    let places = found.places(most.min(worth(scene)));
    plan.answers =
        places.map(|place| Record::new(NameRef::Asked, found.ttl, Data::Ip(found.ips[place]))).collect();
    plan
}

fn srv<'a>(scene: &Scene<'_>, found: &'a mut Prepared, rng: &mut SmallRng) -> Plan<'a> {
    found.shuffle(worth(scene), rng);
    let found = &*found;
    let mut plan = Plan::new(Rcode::NoError);
    plan.slots = found.names.len();
    plan.nodes = found
        .nodes
        .iter()
        .map(|node| NodeTexts {
            owner: found.names[node.name].at(node.name),
            ttl: found.ttl,
            texts: &node.texts,
        })
        .collect();
    plan.answers = found
        .places(worth(scene))
        .map(|place| {
            let endpoint = &found.endpoints[place];
            let target = found.names[endpoint.name].at(endpoint.name);
            let data = Data::Srv { weight: endpoint.weight, port: endpoint.port, target };
            Record { glue: endpoint.ip, node: endpoint.node, ..Record::new(NameRef::Asked, found.ttl, data) }
        })
        .collect();
    if plan.answers.is_empty() {
        return zone::negative(scene, Rcode::NoError);
    }
    plan
}

/// An instance that says a host's name for its address: that name, and what it stands for if that
/// can be told.
fn alias<'a>(
    scene: &'a Scene<'a>,
    host: &'a [u8],
    ttl: u32,
    wanted: Wanted,
    work: &'a mut Workspace,
    rng: &mut SmallRng,
) -> Said<'a> {
    match chase::chase(scene, host, wanted, rng) {
        chase::Found::Ours(records) => work.chased = records,
        chase::Found::Elsewhere if scene.options.recursors.is_empty() => {}
        chase::Found::Elsewhere => match scene.resolved {
            Some(message) => work.chased = chase::told(host, message, wanted),
            None => return Said::Reply(Reply::Resolve(chase::question(host, wanted))),
        },
    }
    let mut names: Vec<&'a [u8]> = vec![host];
    for record in &work.chased {
        let target = if let chase::What::Cname(target) = &record.what { Some(target) } else { None };
        for name in std::iter::once(&record.owner).chain(target) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
    }
    let named = |wire: &'a [u8]| {
        let slot = names.iter().position(|name| name.eq_ignore_ascii_case(wire));
        NameRef::Whole { wire, slot: slot.unwrap_or(0) }
    };
    let mut plan = Plan::new(Rcode::NoError);
    plan.slots = names.len();
    plan.answers.push(Record::new(NameRef::Asked, ttl, Data::Cname(named(host))));
    for record in &work.chased {
        let data = match &record.what {
            chase::What::Ip(ip) => Data::Ip(*ip),
            chase::What::Cname(target) => Data::Cname(named(target)),
        };
        let Chased { owner, ttl, .. } = record;
        plan.answers.push(Record::new(named(owner), *ttl, data));
    }
    Said::Plan(plan)
}
