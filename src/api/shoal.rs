//! Shoal's own questions: `shoal/status`, `shoal/members`, `/metrics`.

use super::reply::{Outcome, json, text};
use super::route::Call;
use crate::view::{MemberCounts, Propagation, View};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json as object};
use std::fmt::Write as _;

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
    let answer = object!({
        "node": info.node.as_str(),
        "node_id": info.node_id.to_string(),
        "cluster": info.datacenter,
        "gossip_addr": status.gossip_addr,
        "generation": own.map(|own| own.member.generation.0),
        "incarnation": own.map(|own| own.member.incarnation),
        "tags": own.map(|own| &own.record.tags),
        "leaving": status.leaving,
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
        "local_health": status.counters.get("shoal_local_health").copied().unwrap_or(0),
        "counters": status.counters,
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
    })
}

pub(super) fn members(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let list: Vec<Value> = view.members().map(|m| member(m)).collect();
    json(&list, call.pretty())
}

/// A metric's name as Prometheus allows it: letters, digits and underscores.
fn metric_name(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with("shoal_") { name } else { format!("shoal_{name}") }
}

/// Prometheus text, version 0.0.4. What only rises ends in `_total`; the rest
/// are values as they are now.
fn exposition(view: &View, waiting: usize) -> String {
    let mut out = String::new();
    let MemberCounts { alive, suspect, failed, left } = view.member_counts();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# TYPE shoal_members gauge");
    for (state, count) in [("alive", alive), ("suspect", suspect), ("failed", failed), ("left", left)] {
        let _ = writeln!(out, "shoal_members{{state=\"{state}\"}} {count}");
    }
    let gauges = [
        ("shoal_catalog_nodes", view.node_count()),
        ("shoal_catalog_services", view.service_count()),
        ("shoal_catalog_instances", view.instance_count()),
        ("shoal_catalog_checks", view.check_count()),
        ("shoal_api_waiting_requests", waiting),
    ];
    for (name, value) in gauges {
        let _ = writeln!(out, "# TYPE {name} gauge\n{name} {value}");
    }
    propagation(&view.status().propagation, &mut out);
    let mut told = String::new();
    for (key, value) in &view.status().counters {
        // Labels stand behind the name as they are; those of one name follow each other.
        let (name, labels) = key.find('{').map_or((key.as_str(), ""), |at| key.split_at(at));
        let name = metric_name(name);
        if name != told {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(out, "# TYPE {name} {kind}");
        }
        let _ = writeln!(out, "{name}{labels} {value}");
        told = name;
    }
    out
}

/// A histogram, as Prometheus wants one.
fn propagation(ages: &Propagation, out: &mut String) {
    const NAME: &str = "shoal_propagation_seconds";
    let _ = writeln!(
        out,
        "# HELP {NAME} Age of a change of another node when its rumour arrived here: the time that each agent \
         on its way kept it, and half a round trip a hop. No two clocks are compared.\n# TYPE {NAME} histogram"
    );
    for (bound_us, count) in &ages.buckets {
        let _ = writeln!(out, "{NAME}_bucket{{le=\"{}\"}} {count}", *bound_us as f64 / 1e6);
    }
    let Propagation { count, sum_us, .. } = ages;
    let _ = writeln!(out, "{NAME}_bucket{{le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "{NAME}_sum {}\n{NAME}_count {count}", *sum_us as f64 / 1e6);
}

pub(super) fn metrics(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let limits = &call.app.info.limits;
    let waiting = limits.waiters_max.saturating_sub(call.app.waiters.available_permits());
    let mut told = exposition(&view, waiting);
    call.app.more_metrics.append(&mut told);
    call.app.access.expose(&mut told);
    let mut reply = text(StatusCode::OK, told);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(reply)
}
