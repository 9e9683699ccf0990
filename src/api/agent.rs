//! The agent itself: `agent/self`, members, version, join and leave, and `status/*`.

use super::CONSUL_VERSION;
use super::coordinate::Coord;
use super::filter::{self, Filter};
use super::local::refused;
use super::query::check_tenancy;
use super::reply::{Failure, Outcome, done, json};
use super::request::Request;
use super::route::Call;
use super::shapes::Member;
use crate::model::{CheckKind, NodeName};
use serde_json::{Value, json as object};

/// When the dialect's version was built; clients want a date here.
const BUILD_DATE: &str = "2025-08-13T00:00:00Z";
/// The port that the dialect expects in the leader's address.
const SERVER_PORT: u16 = 8300;

pub(super) fn own(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let info = &call.app.info;
    let member = view.own_member();
    // Every value at the top must be an object or null: clients decode it as such.
    let debug: Value =
        if info.config.is_object() { info.config.clone() } else { object!({ "Config": info.config }) };
    let local = view.local();
    let ttl_checks =
        local.checks.values().filter(|c| matches!(c.definition.kind, CheckKind::Ttl { .. })).count();
    let answer = object!({
        "Config": {
            "Datacenter": info.datacenter,
            "PrimaryDatacenter": info.datacenter,
            "NodeName": info.node.as_str(),
            "NodeID": info.node_id.to_string(),
            "Revision": "shoal",
            "Server": false,
            "Version": CONSUL_VERSION,
            "BuildDate": BUILD_DATE,
        },
        "DebugConfig": debug,
        "Coord": member.and_then(|member| member.member.coordinate.as_ref()).map(Coord::from),
        "Member": member.map(|member| Member::new(&view, member)),
        "Stats": {
            "agent": {
                "check_monitors": "0",
                "check_ttls": ttl_checks.to_string(),
                "checks": local.checks.len().to_string(),
                "services": local.services.len().to_string(),
            },
            "build": {
                "prerelease": "",
                "revision": "shoal",
                "version": CONSUL_VERSION,
                "version_metadata": "",
            },
            "shoal": {
                "version": info.agent_version,
                "started_unix_ms": info.started_unix_ms.to_string(),
            },
        },
        "Meta": member.map(|member| &member.record.tags),
    });
    json(&answer, call.pretty())
}

pub(super) fn members(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    let filter = Filter::parse(call.query.get("filter"), filter::MEMBER)?;
    let segment = call.query.get("segment");
    if !matches!(segment, "" | "_all") {
        return Err(Failure::internal(format!("segment {segment:?} not found")));
    }
    if call.query.has("wan") && !matches!(call.query.get("wan"), "0" | "false") {
        // There is no second gossip pool; agents that are not servers answer this.
        return json(&(), call.pretty());
    }
    let view = call.app.view.load();
    let shapes: Vec<Member> =
        view.members().map(|m| Member::new(&view, m)).filter(|shape| filter.keeps(shape)).collect();
    json(&shapes, call.pretty())
}

pub(super) fn version(call: &Call) -> Outcome {
    let human = format!("{CONSUL_VERSION} (Shoal {})", call.app.info.agent_version);
    let answer = object!({ "SHA": "", "BuildDate": BUILD_DATE, "HumanVersion": human, "FIPS": "" });
    json(&answer, call.pretty())
}

/// The host, as far as the agent knows it without looking. Consul calls this answer unstable.
pub(super) fn host(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    let now_ns = call.app.wall_clock().as_nanosecond();
    let answer = object!({
        "Memory": null,
        "CPU": null,
        "Host": {
            "hostname": call.app.info.node.as_str(),
            "os": std::env::consts::OS,
            "kernelArch": std::env::consts::ARCH,
        },
        "Disk": null,
        "CollectionTime": u64::try_from(now_ns).unwrap_or(0),
        "Errors": null,
    });
    json(&answer, call.pretty())
}

pub(super) async fn join(call: Call) -> Outcome {
    if call.id.is_empty() {
        return Err(Failure::bad("Missing address to join"));
    }
    if call.query.has("wan") && !matches!(call.query.get("wan"), "0" | "false") {
        return Err(Failure::internal("WAN join is not supported: there is one gossip pool"));
    }
    let addresses = vec![call.id.clone()];
    call.app.ask(|reply| Request::Join(addresses, reply)).await?.map_err(refused)?;
    Ok(done())
}

pub(super) async fn leave(call: Call) -> Outcome {
    call.app.ask(Request::Leave).await?.map_err(refused)?;
    Ok(done())
}

pub(super) async fn force_leave(call: Call) -> Outcome {
    let unknown = || Failure::internal(format!("agent: No node found with name '{}'", call.id));
    let view = call.app.view.load();
    let member = view.member(&call.id).ok_or_else(unknown)?;
    let node: NodeName = member.record.name.clone();
    let prune = call.query.has("prune");
    call.app.ask(|reply| Request::ForceLeave { node, prune, reply }).await?.map_err(refused)?;
    Ok(done())
}

pub(super) async fn reload(call: Call) -> Outcome {
    call.app.ask(Request::Reload).await?.map_err(refused)?;
    Ok(done())
}

/// There is no leader. Clients take any address for "the cluster works", so this agent's is told.
pub(super) fn leader(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let ip =
        view.own_member().map_or_else(|| std::net::Ipv4Addr::LOCALHOST.into(), |own| own.member.addr.ip());
    json(&std::net::SocketAddr::new(ip, SERVER_PORT).to_string(), call.pretty())
}

pub(super) fn peers(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let peers: Vec<String> = view
        .members()
        .filter(|m| m.member.status.is_live())
        .map(|m| std::net::SocketAddr::new(m.member.addr.ip(), SERVER_PORT).to_string())
        .collect();
    json(&peers, call.pretty())
}
