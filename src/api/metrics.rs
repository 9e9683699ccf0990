//! Counters and present values: `/metrics` for Prometheus, `agent/metrics` in the dialect's shape.
//!
//! One list of figures, two ways to write it. What only rises ends in `_total`.

use super::reply::{Outcome, json, text};
use super::route::Call;
use crate::model::CheckStatus;
use crate::view::{Exposition, MemberCounts, View};
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use std::collections::BTreeMap;

/// Name (with labels, as Prometheus writes them) and value of everything that is counted here.
fn figures(call: &Call, view: &View) -> Vec<(String, u64)> {
    let limits = &call.app.info.limits;
    let waiting = limits.waiters_max.saturating_sub(call.app.waiters.available_permits());
    let MemberCounts { alive, suspect, failed, left } = view.member_counts();
    let checks = |status| view.local().checks.values().filter(|check| check.status == status).count();
    let own = [
        ("shoal_members{state=\"alive\"}", alive),
        ("shoal_members{state=\"suspect\"}", suspect),
        ("shoal_members{state=\"failed\"}", failed),
        ("shoal_members{state=\"left\"}", left),
        ("shoal_local_services", view.local().services.len()),
        ("shoal_local_checks{status=\"passing\"}", checks(CheckStatus::Passing)),
        ("shoal_local_checks{status=\"warning\"}", checks(CheckStatus::Warning)),
        ("shoal_local_checks{status=\"critical\"}", checks(CheckStatus::Critical)),
        ("shoal_catalog_nodes", view.node_count()),
        ("shoal_catalog_services", view.service_count()),
        ("shoal_catalog_instances", view.instance_count()),
        ("shoal_catalog_checks", view.check_count()),
        ("shoal_api_waiting_requests", waiting),
    ];
    let mut list: Vec<(String, u64)> = own.into_iter().map(|(n, v)| (n.to_owned(), v as u64)).collect();
    if let Some(logs) = &call.app.logs {
        list.push(("shoal_log_lines_lost_total".to_owned(), logs.lost()));
    }
    list.extend(view.status().counters());
    list
}

fn is_counter(name: &str) -> bool {
    name.split('{').next().is_some_and(|name| name.ends_with("_total"))
}

/// Inside the agent times are whole milliseconds; Prometheus wants seconds.
const MILLISECONDS: &str = "_milliseconds";

pub(super) fn prometheus(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let (info, status) = (&call.app.info, view.status());
    let mut out = Exposition::default();
    let own =
        [("cluster", &*info.datacenter), ("node", info.node.as_str()), ("version", &*info.agent_version)];
    out.labelled("shoal_agent_info", &own, 1);
    for (name, value) in figures(call, &view) {
        match name.strip_suffix(MILLISECONDS) {
            Some(name) => out.value(&format!("{name}_seconds"), value as f64 / 1e3),
            None => out.series(&name, value),
        }
    }
    for (name, ms) in [
        ("shoal_view_age_seconds", status.since_heard_ms),
        ("shoal_difference_age_seconds", status.since_difference_ms),
    ] {
        if let Some(ms) = ms {
            out.value(name, ms as f64 / 1e3);
        }
    }
    out.histogram("shoal_propagation_seconds", &status.propagation);
    out.histogram("shoal_loop_late_seconds", &status.loop_late);
    call.app.counts.expose(&mut out);
    call.app.access.expose(&mut out);
    call.app.more_metrics.append(&mut out);
    let body = out.into_text();
    let mut reply = text(StatusCode::OK, body);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(reply)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gauge<'a> {
    name: &'a str,
    value: u64,
    labels: BTreeMap<&'a str, &'a str>,
}

/// What Consul makes of the samples of one interval. Here it is the time since the start, in which
/// every sample counted one.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Counter<'a> {
    name: &'a str,
    count: u64,
    rate: f64,
    sum: u64,
    min: u64,
    max: u64,
    mean: u64,
    stddev: u64,
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metrics<'a> {
    timestamp: String,
    gauges: Vec<Gauge<'a>>,
    points: [(); 0],
    counters: Vec<Counter<'a>>,
    samples: [(); 0],
}

/// A name that Prometheus would understand, taken apart.
fn parts(name: &str) -> (&str, BTreeMap<&str, &str>) {
    let Some((name, labels)) = name.split_once('{') else { return (name, BTreeMap::new()) };
    let pairs = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    (name, pairs.map(|(label, value)| (label, value.trim_matches('"'))).collect())
}

fn wants_prometheus(call: &Call) -> bool {
    let accept = call.headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("").replace(' ', "");
    call.query.get("format") == "prometheus"
        || accept.contains("application/openmetrics-text")
        || accept.contains("text/plain;version=0.0.4")
        || accept.contains("text/plain;version=0.4.0")
}

pub(super) fn agent(call: &Call) -> Outcome {
    if wants_prometheus(call) {
        return prometheus(call);
    }
    let view = call.app.view.load();
    let up = call.app.started.elapsed();
    let figures = figures(call, &view);
    let mut answer = Metrics {
        timestamp: call.app.wall_clock().strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        gauges: Vec::new(),
        points: [],
        counters: Vec::new(),
        samples: [],
    };
    for (name, value) in &figures {
        let ((name, labels), value) = (parts(name), *value);
        if is_counter(name) {
            let rate = value as f64 / up.as_secs_f64().max(1.0);
            let one = u64::from(value > 0);
            answer.counters.push(Counter {
                name,
                count: value,
                rate,
                sum: value,
                min: one,
                max: one,
                mean: one,
                stddev: 0,
                labels,
            });
        } else {
            answer.gauges.push(Gauge { name, value, labels });
        }
    }
    json(&answer, call.pretty())
}
