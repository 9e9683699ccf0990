//! What is registered on this host: `agent/services`, `agent/service`, `agent/checks`,
//! `agent/health/service`.

use super::filter::{self, Filter};
use super::query::{check_tenancy, parse_blocking};
use super::reply::{Failure, Outcome, Reply, json, set_header, text};
use super::route::Call;
use super::shapes::{AgentService, HealthCheck};
use crate::model::{LocalCheck, LocalState, ServiceRecord, ServiceText};
use crate::view::Health;
use http::StatusCode;
use http::header::ACCEPT;
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) fn services(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    let filter = Filter::parse(call.query.get("filter"), filter::AGENT_SERVICE)?;
    let view = call.app.view.load();
    let list: BTreeMap<&str, AgentService<'_>> = view
        .local()
        .services
        .iter()
        .map(|(id, record)| (id.as_str(), AgentService::new(ServiceText::of(record), view.datacenter())))
        .filter(|(_, shape)| filter.keeps(shape))
        .collect();
    json(&list, call.pretty())
}

/// Names a version of an instance, for callers that wait for the next one.
fn content_hash(record: &ServiceRecord, datacenter: &str) -> Result<String, Failure> {
    let shape = AgentService::new(ServiceText::of(record), datacenter);
    let bytes = serde_json::to_vec(&shape)
        .map_err(|e| Failure::internal(format!("could not write the answer: {e}")))?;
    Ok(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes)))
}

pub(super) async fn service(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    let (_, wait) = parse_blocking(&call.query, call.wait_limits())?;
    let datacenter = &call.app.info.datacenter;
    let hash = call.query.get("hash");
    let mut view = call.app.view.load();
    let same = |view: &crate::view::View| {
        let record = view.local().services.get(call.id.as_str());
        record.is_some_and(|record| content_hash(record, datacenter).is_ok_and(|now| now == hash))
    };
    if !hash.is_empty() && same(&view) {
        view = call.app.view_when(wait, |view| !same(view)).await?;
    }
    let Some(record) = view.local().services.get(call.id.as_str()) else {
        return Err(Failure::not_found(format!("unknown service ID: {}", call.id)));
    };
    let hash = content_hash(record, datacenter)?;
    let mut shape = AgentService::new(ServiceText::of(record), datacenter);
    shape.content_hash = Some(hash.clone());
    let mut reply = json(&shape, call.pretty())?;
    set_header(&mut reply, "x-consul-contenthash", &hash);
    Ok(reply)
}

fn shape<'a>(call: &'a Call, local: &'a LocalState, check: &'a LocalCheck) -> HealthCheck<'a> {
    let service = check.definition.service_id.as_ref().and_then(|id| local.services.get(id));
    HealthCheck::local(call.app.info.node.as_str(), service.map(|record| &**record), check)
}

pub(super) fn checks(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    let filter = Filter::parse(call.query.get("filter"), filter::HEALTH_CHECK)?;
    let view = call.app.view.load();
    let list: BTreeMap<&str, HealthCheck<'_>> = view
        .local()
        .checks
        .iter()
        .map(|(id, check)| (id.as_str(), shape(call, view.local(), check)))
        .filter(|(_, shape)| filter.keeps(shape))
        .collect();
    json(&list, call.pretty())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceHealth<'a> {
    aggregated_status: &'static str,
    service: Option<AgentService<'a>>,
    checks: Option<Vec<HealthCheck<'a>>>,
}

/// An instance with the checks that count for it: the node's and its own.
fn health_of<'a>(
    call: &'a Call,
    local: &'a LocalState,
    record: &'a ServiceRecord,
) -> (Health, ServiceHealth<'a>) {
    let counting: Vec<&LocalCheck> = local
        .checks
        .values()
        .map(|check| &**check)
        .filter(|c| c.definition.service_id.as_ref().is_none_or(|id| *id == record.id))
        .collect();
    let health = Health::worst(counting.iter().map(|c| Health::of_check(c.definition.id.as_str(), c.status)));
    let shape = ServiceHealth {
        aggregated_status: health.as_str(),
        service: Some(AgentService::new(ServiceText::of(record), &call.app.info.datacenter)),
        checks: Some(counting.into_iter().map(|check| shape(call, local, check)).collect()),
    };
    (health, shape)
}

fn status_code(health: Health) -> StatusCode {
    match health {
        Health::Passing => StatusCode::OK,
        Health::Warning => StatusCode::TOO_MANY_REQUESTS,
        Health::Critical | Health::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn wants_text(call: &Call) -> bool {
    let accept = call.headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    match call.query.get("format") {
        "" => accept.starts_with("text/plain"),
        format => format == "text",
    }
}

fn told<T: Serialize>(call: &Call, status: StatusCode, reason: &str, value: &T) -> Outcome {
    let mut reply: Reply = if wants_text(call) { text(status, reason) } else { json(value, call.pretty())? };
    *reply.status_mut() = status;
    set_header(&mut reply, "x-consul-reason", reason);
    Ok(reply)
}

pub(super) fn health_by_id(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    if call.id.is_empty() {
        return Err(Failure::internal("Missing serviceID"));
    }
    let view = call.app.view.load();
    let Some(record) = view.local().services.get(call.id.as_str()) else {
        let none = ServiceHealth { aggregated_status: "critical", service: None, checks: None };
        return told(call, StatusCode::NOT_FOUND, &format!("ServiceId {} not found", call.id), &none);
    };
    let (health, shape) = health_of(call, view.local(), record);
    told(call, status_code(health), health.as_str(), &shape)
}

pub(super) fn health_by_name(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    if call.id.is_empty() {
        return Err(Failure::internal("Missing service Name"));
    }
    let view = call.app.view.load();
    let found: Vec<(Health, ServiceHealth<'_>)> = view
        .local()
        .services
        .values()
        .filter(|record| record.name.as_str() == call.id)
        .map(|record| health_of(call, view.local(), record))
        .collect();
    if found.is_empty() {
        let reason = format!("ServiceName {} Not Found", call.id);
        return told::<[(); 0]>(call, StatusCode::NOT_FOUND, &reason, &[]);
    }
    let worst = Health::worst(found.iter().map(|(health, _)| *health));
    let shapes: Vec<ServiceHealth<'_>> = found.into_iter().map(|(_, shape)| shape).collect();
    told(call, status_code(worst), worst.as_str(), &shapes)
}
