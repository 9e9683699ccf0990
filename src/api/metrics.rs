//! Counters and present values: `/metrics` for Prometheus, `agent/metrics` in the dialect's shape.
//!
//! One list of figures, two ways to write it. What only rises ends in `_total`.

use super::reply::{Outcome, json, text};
use super::route::Call;
use crate::view::{MemberCounts, Propagation, View};
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A metric's name as Prometheus allows it: letters, digits and underscores, and a pair of labels.
fn metric_name(name: &str) -> String {
    let (name, labels) = name.split_once('{').map_or((name, ""), |(name, labels)| (name, labels));
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    let name = if name.starts_with("shoal_") { name } else { format!("shoal_{name}") };
    if labels.is_empty() { name } else { format!("{name}{{{labels}") }
}

/// Name (with labels, as Prometheus writes them) and value of everything that is counted here.
fn figures(call: &Call, view: &View) -> Vec<(String, u64)> {
    let limits = &call.app.info.limits;
    let waiting = limits.waiters_max.saturating_sub(call.app.waiters.available_permits());
    let MemberCounts { alive, suspect, failed, left } = view.member_counts();
    let own = [
        ("shoal_members{state=\"alive\"}", alive),
        ("shoal_members{state=\"suspect\"}", suspect),
        ("shoal_members{state=\"failed\"}", failed),
        ("shoal_members{state=\"left\"}", left),
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
    list.extend(view.status().counters.iter().map(|(name, value)| (metric_name(name), *value)));
    list
}

fn is_counter(name: &str) -> bool {
    name.split('{').next().is_some_and(|name| name.ends_with("_total"))
}

/// Prometheus text, version 0.0.4.
fn exposition(figures: &[(String, u64)], propagation_of: &Propagation) -> String {
    let mut out = String::new();
    let mut told = "";
    for (name, value) in figures {
        let bare = name.split('{').next().unwrap_or(name);
        // Writing to a string cannot fail.
        if bare != told {
            let kind = if is_counter(bare) { "counter" } else { "gauge" };
            let _ = writeln!(out, "# TYPE {bare} {kind}");
            told = bare;
        }
        let _ = writeln!(out, "{name} {value}");
    }
    propagation(propagation_of, &mut out);
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

pub(super) fn prometheus(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let mut body = exposition(&figures(call, &view), &view.status().propagation);
    call.app.more_metrics.append(&mut body);
    call.app.access.expose(&mut body);
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
