//! A model of a busy cluster, for tests.

use super::feed::Polled;
use super::model::Model;
use crate::client::{WatchEvent, WatchedInstance};
use serde_json::{Value, json};
use std::time::Duration;

fn status(times: u64) -> Value {
    json!({"node": "n1", "cluster": "shoal", "local_health": 1,
        "members": {"alive": 2, "suspect": 1, "failed": 1, "left": 0},
        "catalog": {"instances": 3, "checks": 4, "services": 1},
        "view": {"age_s": 0.2}, "convergence": {"since_difference_s": 130.0},
        "counters": {
            "shoal_datagrams_received_total": 20 * times, "shoal_datagrams_received_bytes_total": 4_000 * times,
            "shoal_datagrams_sent_total": 10 * times, "shoal_datagrams_sent_bytes_total": 1_000 * times,
            "shoal_probes_sent_total": 2 * times}})
}

fn polled(seconds: u64, times: u64) -> Polled {
    let member = |n: u32, status: &str, rtt_ms: Value| {
        let member = json!({"name": format!("n{n}"), "address": format!("10.0.0.{n}:7946"), "status": status,
            "tags": {"rack": format!("r{n}")}, "rtt_ms": rtt_ms});
        serde_json::from_value(member).expect("a member")
    };
    let check = |node: &str, id: &str, service_id: &str, status: &str| {
        let check = json!({"Node": node, "CheckID": id, "Status": status, "ServiceID": service_id,
            "ServiceName": if service_id.is_empty() { "" } else { "web" }, "Output": "because\nof this"});
        serde_json::from_value(check).expect("a check")
    };
    Polled {
        at: Duration::from_secs(seconds),
        status: status(times),
        members: vec![
            member(1, "alive", json!(null)),
            member(2, "suspect", json!(2.0)),
            member(3, "failed", json!(null)),
            member(4, "alive", json!(0.3)),
        ],
        checks: Some(vec![
            check("n1", "service:web", "web", "passing"),
            check("n2", "service:web", "web", "critical"),
            check("n3", "service:web", "web", "passing"),
            check("n3", "serfHealth", "", "critical"),
        ]),
    }
}

/// Four members, three instances of one service, and an event, at 80 seconds.
pub(super) fn busy() -> Model {
    let mut model = Model::new();
    let instance = |node: &str| WatchedInstance {
        node: node.to_owned(),
        id: "web".to_owned(),
        service: "web".to_owned(),
        ..WatchedInstance::default()
    };
    let snapshot = crate::client::Snapshot {
        instances: ["n1", "n2", "n3"].map(instance).to_vec(),
        ..crate::client::Snapshot::default()
    };
    model.take_event(&WatchEvent::Snapshot(snapshot));
    model.take_polled(polled(10, 1));
    model.take_polled(polled(12, 2));
    model.now = Duration::from_secs(75);
    model.take_event(&change(json!({"index": 5, "kind": "check-changed", "node": "n3", "service": "web",
        "previous": "passing", "status": "critical",
        "check": {"id": "service:web", "status": "critical", "service_id": "web"}})));
    model.now = Duration::from_secs(80);
    model
}

/// A change as the agent tells it.
pub(super) fn change(raw: Value) -> WatchEvent {
    let part = |key: &str| raw.get(key).cloned();
    let change = crate::client::Change {
        index: raw["index"].as_u64().unwrap_or(0),
        kind: raw["kind"].as_str().unwrap_or_default().to_owned().into(),
        member: None,
        instance: part("instance").and_then(|value| serde_json::from_value(value).ok()),
        check: part("check").and_then(|value| serde_json::from_value(value).ok()),
        raw,
    };
    WatchEvent::Change(Box::new(change))
}
