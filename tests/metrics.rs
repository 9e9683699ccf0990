//! Metrics as they are told, documented, drawn and alerted on: one set of names.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use shoal::view::metrics::{Kind, METRICS, Metric, metric};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use support::{Agent, PATIENCE, Place, poll};

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An agent that serves all it can, in a cluster of two, with a member's worth of everything.
fn agents() -> (Place, Place, Agent, Agent) {
    let (a, b) = (Place::new(), Place::new());
    let first = a.start("one", &["--profile", "local", "--dns", "127.0.0.1:0"]);
    let second = b.start("two", &["--profile", "local", "--join", &first.gossip()]);
    let web = r#"{"Name": "web", "Port": 80, "Check": {"TTL": "1h"}}"#;
    assert_eq!(second.put("/v1/agent/service/register", web).status, 200);
    first.get_until("/v1/catalog/services", |services| services.get("web").is_some());
    // Once for the longer way and once for the answer that is at hand.
    for _ in 0..2 {
        assert_eq!(first.get("/v1/health/service/web").status, 200);
    }
    assert_eq!(first.get("/v1/nope/at/all").status, 404);
    (a, b, first, second)
}

/// A name with what of it is a histogram's taken off.
fn family(name: &str) -> &str {
    let bare = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end));
    bare.filter(|bare| metric(bare).is_some_and(|m| m.kind == Kind::Histogram)).unwrap_or(name)
}

fn labels(series: &str) -> BTreeSet<&str> {
    let Some((_, labels)) = series.trim_end_matches('}').split_once('{') else { return BTreeSet::new() };
    labels
        .split("\",")
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, _)| key)
        .filter(|k| *k != "le")
        .collect()
}

#[test]
fn a_live_agent_tells_every_metric_of_the_table_and_no_other() {
    let (_a, _b, first, _second) = agents();
    // Its own figures are a second old at most.
    let mut text = String::new();
    let found = poll(PATIENCE, || {
        text = first.get("/metrics").body;
        let missing = METRICS.iter().filter(|m| !text.contains(&format!("# HELP {} {}\n", m.name, m.help)));
        // Nothing ever differed where one met an empty table and told it all.
        let missing: Vec<&str> =
            missing.map(|m| m.name).filter(|n| *n != "shoal_difference_age_seconds").collect();
        missing.is_empty().then_some(())
    });
    assert!(found.is_some(), "{text}");
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    let mut last = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().expect("a name");
            assert!(begun.insert(name), "{name} begins twice");
            last = name;
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Metric { name, kind, .. } =
                metric(last).unwrap_or_else(|| panic!("{last} is not in the table"));
            assert_eq!(rest, format!("{name} {}", kind.as_str()));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a name and a value");
        let name = series.split('{').next().expect("a name");
        assert_eq!(family(name), last, "{line} stands with others");
        let wanted: BTreeSet<&str> =
            metric(last).expect("it is in the table").labels.iter().copied().collect();
        assert_eq!(labels(series), wanted, "{line}");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
    }
    let value = |series: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
    };
    assert_eq!(value("shoal_api_requests_total{endpoint=\"/v1/health/service/:id\",code=\"2xx\"}"), 2.0);
    assert_eq!(value("shoal_api_requests_total{endpoint=\"other\",code=\"4xx\"}"), 1.0);
    assert_eq!(value("shoal_members{state=\"alive\"}"), 2.0);
    assert_eq!(value("shoal_catalog_services"), 1.0);
    assert!(value("shoal_view_age_seconds") < 60.0);
    // Every datagram is made of something.
    for way in ["sent", "received"] {
        let frames = |what: &str| {
            let begin = format!("shoal_frames_{way}{what}_total{{");
            let lines = text.lines().filter(|line| line.starts_with(&begin));
            lines
                .map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("a number"))
                .sum::<f64>()
        };
        assert!(frames("") >= value(&format!("shoal_datagrams_{way}_total")), "{way}");
        assert!(frames("_bytes") < value(&format!("shoal_datagrams_{way}_bytes_total")), "{way}");
        assert!(value(&format!("shoal_frames_{way}_total{{kind=\"swim\"}}")) > 0.0);
    }
}

/// `docs/metrics.md` is held against the table; where they differ, this is what it should say.
#[test]
fn the_documentation_lists_every_metric_as_the_table_has_it() {
    let rows: Vec<String> = METRICS
        .iter()
        .map(|m| {
            let labels = m.labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ");
            let labels = if labels.is_empty() { "-" } else { &labels };
            format!("| `{}` | {} | {labels} | {} | {} |", m.name, m.kind.as_str(), m.unit, m.help)
        })
        .collect();
    let page = file("docs/metrics.md");
    let found: Vec<&str> =
        page.lines().filter(|l| l.starts_with("| `shoal_") || l.starts_with("| `process_")).collect();
    let wanted = rows.join("\n");
    assert!(found == rows, "docs/metrics.md: want these rows:\n{wanted}");
}

/// Names of metrics in a text that holds expressions.
fn named(text: &str) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    for word in text.split(|c: char| !is_part(c)) {
        let is_metric = word.starts_with("shoal_") || word.starts_with("process_");
        if is_metric && !word.contains(':') {
            *names.entry(family(word).to_owned()).or_default() += 1;
        }
    }
    names
}

fn expressions(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(text) if key == "expr" || key == "definition" || key == "query" => {
                        out.push(text.to_owned())
                    }
                    _ => expressions(value, out),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| expressions(item, out)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist_and_shows_all_that_matters() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&file("packaging/grafana/shoal.json")).expect("the dashboard is JSON");
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    let names = named(&asked.join("\n"));
    for name in names.keys() {
        assert!(metric(name).is_some(), "the dashboard asks for {name}, which no agent tells");
    }
    for wanted in [
        "shoal_members",
        "shoal_probes_sent_total",
        "shoal_probes_failed_total",
        "shoal_suspicions_raised_total",
        "shoal_suspicions_confirmed_total",
        "shoal_suspicions_refuted_total",
        "shoal_witness_checks_total",
        "shoal_local_health",
        "shoal_rumours_queued_total",
        "shoal_rumours_sent_total",
        "shoal_rumours_shed_total",
        "shoal_frames_sent_total",
        "shoal_frames_sent_bytes_total",
        "shoal_sync_rounds_total",
        "shoal_sync_records_total",
        "shoal_catalog_instances",
        "shoal_propagation_seconds",
        "shoal_api_requests_total",
        "shoal_dns_requests_total",
        "shoal_loop_late_seconds",
        "shoal_loop_stalls_total",
    ] {
        assert!(names.contains_key(wanted), "the dashboard does not show {wanted}");
    }
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels.iter().filter(|p| p["type"] != "row") {
        let title = panel["title"].as_str().unwrap_or_default();
        assert!(panel["description"].as_str().is_some_and(|d| d.len() > 20), "{title}: no description");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}: the data source is chosen");
        assert!(!panel["targets"].as_array().expect("targets").is_empty(), "{title}");
    }
}

#[test]
fn alerts_ask_for_metrics_that_exist_and_say_what_to_do() {
    let rules = file("packaging/prometheus/alerts.yml");
    let asked: String =
        rules.lines().filter(|line| !line.trim_start().starts_with(['#'])).collect::<Vec<_>>().join("\n");
    for name in named(&asked).keys() {
        assert!(metric(name).is_some(), "an alert asks for {name}, which no agent tells");
    }
    let page = file("docs/alerts.md");
    let anchors: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(' ', "-"))
        .collect();
    let mut alerts = 0;
    let tests = file("packaging/prometheus/alerts.test.yml");
    for block in rules.split("- alert: ").skip(1) {
        let name = block.lines().next().expect("a name").trim();
        alerts += 1;
        for part in ["expr:", "for:", "severity:", "summary:", "description:", "runbook_url:"] {
            assert!(block.contains(part), "{name} has no {part}");
        }
        let anchor = block
            .lines()
            .find_map(|l| l.split_once("docs/alerts.md#"))
            .map(|(_, anchor)| anchor.trim_matches(['"', ' ']));
        let anchor = anchor.unwrap_or_else(|| panic!("{name} has no place in docs/alerts.md"));
        assert!(anchors.contains(anchor), "{name}: docs/alerts.md has no section {anchor}");
        assert_eq!(anchor, name.to_lowercase(), "the section is found by the alert's name");
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is not tested");
    }
    assert!(alerts >= 10, "{alerts}");
    assert_eq!(anchors.len(), alerts, "each section is an alert's: {anchors:?}");
}
