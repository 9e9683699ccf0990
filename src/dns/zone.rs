//! Answers about the zone itself, nodes and addresses.

use super::endpoints::{Name, node_name, node_texts};
use super::lookup::Backwards;
use super::packet::{Data, NameRef, Plan, Record};
use super::query::{Rcode, rtype};
use super::responder::{Reply, Said, Scene};
use super::reverse::Reverse;
use crate::view::{Health, Node};
use std::net::IpAddr;

/// The most name servers that are told.
const SERVERS_MAX: usize = 3;

/// Where texts live that records of one answer borrow.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) names: Vec<Name>,
    pub(super) texts: Vec<Box<[u8]>>,
    pub(super) chased: Vec<super::chase::Chased>,
}

/// Nothing of what was asked for; how long that may be kept is in the SOA record (RFC 2308).
pub(super) fn negative<'a>(scene: &Scene<'_>, rcode: Rcode) -> Plan<'a> {
    let mut plan = Plan::new(rcode);
    plan.authority.push(soa_record(scene));
    plan
}

fn soa_record<'a>(scene: &Scene<'_>) -> Record<'a> {
    let soa = scene.options.soa;
    let numbers = [scene.unix_seconds, soa.refresh, soa.retry, soa.expire, soa.minimum];
    Record::new(NameRef::Zone, soa.minimum, Data::Soa(numbers))
}

/// The zone's SOA record, whatever name in the zone it was asked at.
pub(super) fn soa<'a>(scene: &Scene<'_>, work: &'a mut Workspace) -> Plan<'a> {
    let mut plan = servers(scene, work);
    plan.authority = std::mem::replace(&mut plan.answers, vec![soa_record(scene)]);
    plan
}

/// The zone's servers: this agent and others that live.
pub(super) fn servers<'a>(scene: &Scene<'_>, work: &'a mut Workspace) -> Plan<'a> {
    let view = scene.view;
    let own = view.own_member().map(|member| member.record.name.as_str());
    let own = own.and_then(|name| view.node(name));
    let is_own = |node: &Node| own.is_some_and(|own| own.key == node.key);
    let others = view.nodes().filter(|node| !is_own(node) && node.serf.health() == Health::Passing);
    let nodes = own.into_iter().chain(others).take(SERVERS_MAX);
    let mut ips = Vec::new();
    for node in nodes {
        work.names.push(node_name(node));
        ips.push(node.record.addr.ip());
    }
    let mut plan = Plan::new(Rcode::NoError);
    plan.slots = work.names.len();
    plan.answers = work
        .names
        .iter()
        .zip(ips)
        .enumerate()
        .map(|(slot, (name, ip))| {
            let server = Record::new(NameRef::Zone, scene.options.node_ttl, Data::Ns(name.at(slot)));
            Record { glue: Some(ip), ..server }
        })
        .collect();
    if plan.answers.is_empty() {
        return negative(scene, Rcode::NoError);
    }
    plan
}

fn takes(rtype: u16, ip: IpAddr) -> bool {
    match rtype {
        rtype::A => ip.is_ipv4(),
        rtype::AAAA => ip.is_ipv6(),
        rtype::ANY => true,
        _ => false,
    }
}

/// `ns`, which the SOA record names.
pub(super) fn name_server<'a>(scene: &Scene<'_>) -> Plan<'a> {
    match scene.view.own_member() {
        Some(own) => one_address(scene, own.record.addr.ip(), false),
        None => negative(scene, Rcode::NxDomain),
    }
}

/// A name that is an address. Who asks for something else is told the address all the same.
pub(super) fn address<'a>(scene: &Scene<'_>, ip: IpAddr) -> Plan<'a> {
    one_address(scene, ip, true)
}

fn one_address<'a>(scene: &Scene<'_>, ip: IpAddr, beside: bool) -> Plan<'a> {
    let record = Record::new(NameRef::Asked, scene.options.node_ttl, Data::Ip(ip));
    if takes(scene.query.rtype, ip) {
        return Plan { answers: vec![record], ..Plan::new(Rcode::NoError) };
    }
    let mut plan = negative(scene, Rcode::NoError);
    if beside {
        plan.additional.push(record);
    }
    plan
}

/// A node by name, alive or not.
pub(super) fn node<'a>(scene: &Scene<'_>, name: &str, work: &'a mut Workspace) -> Plan<'a> {
    let Some(node) = scene.view.node(name) else { return negative(scene, Rcode::NxDomain) };
    let asked = scene.query.rtype;
    let (ip, ttl) = (node.record.addr.ip(), scene.options.node_ttl);
    let texts_wanted = matches!(asked, rtype::TXT | rtype::ANY);
    if texts_wanted || scene.options.node_meta_txt {
        work.texts = node_texts(node);
    }
    let texts = work.texts.iter().map(|text| Record::new(NameRef::Asked, ttl, Data::Txt(text)));
    let mut plan = Plan::new(Rcode::NoError);
    if takes(asked, ip) {
        plan.answers.push(Record::new(NameRef::Asked, ttl, Data::Ip(ip)));
    }
    match asked {
        rtype::TXT | rtype::ANY => plan.answers.extend(texts),
        rtype::A | rtype::AAAA => plan.extra.extend(texts),
        _ => {}
    }
    if plan.answers.is_empty() {
        plan.authority.push(soa_record(scene));
    }
    plan
}

/// A name that is an address backwards.
pub(super) fn backwards<'a>(
    scene: &Scene<'_>,
    backwards: Backwards,
    reverse: Option<&Reverse>,
    work: &'a mut Workspace,
) -> Said<'a> {
    let forward = || Said::Reply(Reply::Forward { rtype: scene.query.rtype });
    let recursors = !scene.options.recursors.is_empty();
    let ip = match backwards {
        _ if recursors && !matches!(scene.query.rtype, rtype::PTR | rtype::ANY) => return forward(),
        Backwards::Between | Backwards::Nothing if recursors => return forward(),
        Backwards::Between => return Said::Plan(negative(scene, Rcode::NoError)),
        Backwards::Nothing => return Said::Plan(negative(scene, Rcode::NxDomain)),
        Backwards::Whole(ip) => ip,
    };
    let Some(reverse) = reverse else { return Said::Reply(Reply::Reverse) };
    let Some(name) = reverse.name_of(scene.view, ip) else {
        return if recursors { forward() } else { Said::Plan(negative(scene, Rcode::NxDomain)) };
    };
    if !matches!(scene.query.rtype, rtype::PTR | rtype::ANY) {
        return Said::Plan(negative(scene, Rcode::NoError));
    }
    work.names.push(name);
    let mut plan = Plan::new(Rcode::NoError);
    plan.slots = 1;
    let names = work.names.iter().map(|name| name.at(0));
    plan.answers.extend(names.map(|name| Record::new(NameRef::Asked, 0, Data::Ptr(name))));
    Said::Plan(plan)
}
