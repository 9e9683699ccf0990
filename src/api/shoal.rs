//! Shoal's own questions: `shoal/status`, `shoal/members`.

use super::reply::{Outcome, json};
use super::route::Call;
use crate::view::MemberCounts;
use serde_json::{Value, json as object};

fn counts(counts: MemberCounts) -> Value {
    let MemberCounts { alive, suspect, failed, left } = counts;
    object!({ "alive": alive, "suspect": suspect, "failed": failed, "left": left })
}

/// How this agent and its view are doing. Times are in seconds; `null`: it never happened.
pub(super) fn status(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let info = &call.app.info;
    let status = view.status();
    let seconds = |ms: Option<u64>| ms.map(|ms| ms as f64 / 1_000.0);
    let own = view.own_member();
    let ages = &status.propagation;
    let buckets = ages.buckets.iter().map(|(us, n)| object!({ "le_s": *us as f64 / 1e6, "count": n }));
    let buckets: Vec<Value> = buckets.collect();
    let counters = status.counters();
    let answer = object!({
        "node": info.node.as_str(),
        "node_id": info.node_id.to_string(),
        "cluster": info.datacenter,
        "gossip_addr": status.gossip_addr,
        "generation": own.map(|own| own.member.generation.0),
        "incarnation": own.map(|own| own.member.incarnation),
        "tags": own.map(|own| &own.record.tags),
        "leaving": status.leaving,
        "catching_up": status.catching_up,
        "encryption": super::keyring::summary(&view),
        "started_unix_ms": info.started_unix_ms,
        "members": counts(view.member_counts()),
        "catalog": {
            "nodes": view.node_count(),
            "services": view.service_count(),
            "instances": view.instance_count(),
            "checks": view.check_count(),
        },
        "local": {
            "services": view.local().services.len(),
            "checks": view.local().checks.len(),
        },
        "convergence": {
            "root_digest": format!("{:016x}", status.root_digest),
            "since_difference_s": seconds(status.since_difference_ms),
        },
        "view": {
            "index": view.index(),
            "change": view.log().last(),
            "age_s": seconds(status.since_heard_ms),
        },
        "settings": info.settings,
        "effective": status.effective,
        "propagation": { "buckets": buckets, "count": ages.count, "sum_s": ages.sum_us as f64 / 1e6 },
        "local_health": counters.get("shoal_local_health").copied().unwrap_or(0),
        "counters": counters,
        "versions": { "shoal": info.agent_version, "consul_api": super::CONSUL_VERSION },
    });
    json(&answer, call.pretty())
}

/// A member in Shoal's words; also sent by the event stream.
pub(super) fn member(member: &crate::view::MemberView) -> Value {
    object!({
        "name": member.record.name.as_str(),
        "id": member.record.id.to_string(),
        "status": member.member.status.as_str(),
        "address": member.member.addr.to_string(),
        "tags": member.record.tags,
        "generation": member.member.generation.0,
        "incarnation": member.member.incarnation,
        "rtt_ms": member.member.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
        "version": member.record.agent_version,
        "held": member.member.held,
    })
}

pub(super) fn members(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let list: Vec<Value> = view.members().map(|m| member(m)).collect();
    json(&list, call.pretty())
}
