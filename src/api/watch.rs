//! `shoal/watch`: changes as server-sent events; `shoal/changes`: the newest of them as a list.
//!
//! First a `snapshot`, then one `change` per change, each with the next number as its id: that of
//! the log of all changes, or with `?service=` that of the changes of this service. A reader that
//! comes back with `Last-Event-ID` gets what it missed while the log still has it, and a snapshot
//! otherwise; numbers of an earlier run of the agent are below all of this one. With
//! `?snapshot=members` a snapshot has no instances, for readers who have no room for all of them:
//! a million are a gigabyte. Events are made when the connection takes them: a reader slower than the log is told `gone` and cut, and costs
//! no memory meanwhile.

use super::App;
use super::reply::{Failure, Outcome, json};
use super::route::Call;
use super::shapes::{AgentService, HealthCheck};
use super::shoal::member;
use crate::view::{Change, ChangeKind, Folded, Health, Instance, Node, View, ViewWaiter, fold};
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde_json::{Value, json as object};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Most changes turned into events at one time.
const BATCH_MAX: usize = 256;
/// Changes that are listed when the caller names no number, and at most.
const LISTED: usize = 100;
const LISTED_MAX: usize = 1_000;

struct Watcher {
    app: Arc<App>,
    waiter: ViewWaiter,
    /// Only changes of this service, in lower case.
    service: Option<Folded>,
    /// Number of the last event.
    last: u64,
    /// Number, in the log of all changes, up to which was looked.
    seen: u64,
    ready: VecDeque<Event>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) fn stream(call: &Call) -> Outcome {
    let permit = call.app.waiter_permit()?;
    let service = Some(call.query.get("service")).filter(|name| !name.is_empty()).map(fold);
    let instances = match call.query.get("snapshot") {
        "" => true,
        "members" => false,
        other => return Err(Failure::bad(format!("snapshot={other}: want members, or no such parameter"))),
    };
    let mut waiter = call.app.view.waiter();
    let view = waiter.load();
    let resume = call
        .headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse::<u64>().ok())
        .and_then(|id| missed(&view, service.as_deref(), id));
    let mut watcher = Watcher {
        app: Arc::clone(&call.app),
        waiter,
        last: newest(&view, service.as_deref()),
        service,
        seen: view.log().last(),
        ready: VecDeque::new(),
        ended: false,
        _permit: permit,
    };
    match resume {
        Some(changes) => {
            for change in &changes {
                watcher.ready.push_back(change_event(&view, change, watcher.service.is_some()));
            }
        }
        None => {
            watcher.ready.push_back(snapshot_event(
                &view,
                watcher.service.as_deref(),
                instances,
                watcher.last,
            ));
        }
    }
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<Event, Infallible>(event), watcher))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("alive");
    let mut reply = Sse::new(events).keep_alive(keep_alive).into_response();
    super::reply::set_header(&mut reply, "x-accel-buffering", "no");
    Ok(reply)
}

/// Number of the newest change, of all or of one service.
fn newest(view: &View, service: Option<&str>) -> u64 {
    service.map_or_else(|| view.log().last(), |name| view.service_sequence(name))
}

/// The changes after `last`, if they are all remembered.
fn missed(view: &View, service: Option<&str>, last: u64) -> Option<Vec<Arc<Change>>> {
    match service {
        None => Some(view.log().after(last)?.cloned().collect()),
        Some(name) => view.log().after_of_service(name, last, view.service_sequence(name)),
    }
}

impl Watcher {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            let view = self.waiter.load();
            if view.log().last() == self.seen {
                // The agent stops: so does the stream.
                self.waiter.changed().await.ok()?;
                continue;
            }
            self.gather(&view);
        }
    }

    /// Turns the next changes into events, or ends the stream when some are forgotten already.
    fn gather(&mut self, view: &View) {
        let Some(changes) = view.log().after(self.seen) else {
            self.gone();
            return;
        };
        for change in changes.take(BATCH_MAX) {
            self.seen = change.sequence;
            let number = match &self.service {
                None => change.sequence,
                Some(_) if change.service != self.service => continue,
                Some(_) => change.service_sequence,
            };
            if number != self.last + 1 {
                self.gone();
                return;
            }
            self.last = number;
            self.ready.push_back(change_event(view, change, self.service.is_some()));
        }
    }

    fn gone(&mut self) {
        self.ended = true;
        let newest = newest(&self.app.view.load(), self.service.as_deref());
        let data =
            object!({ "index": newest, "reason": "too slow: changes were forgotten before they were read" });
        self.ready.push_back(Event::default().event("gone").data(data.to_string()));
    }
}

/// The newest changes, oldest first: what a reader who comes now has missed.
pub(super) fn newest_changes(call: &Call) -> Outcome {
    let limit = match call.query.get("limit") {
        "" => LISTED,
        text => text
            .parse()
            .ok()
            .filter(|limit| (1..=LISTED_MAX).contains(limit))
            .ok_or_else(|| Failure::bad(format!("limit={text}: want a number from 1 to {LISTED_MAX}")))?,
    };
    let view = call.app.view.load();
    let changes: Vec<Value> =
        view.log().newest(limit).map(|change| change_object(&view, change, false)).collect();
    let answer = object!({ "index": view.log().last(), "changes": changes });
    json(&answer, call.pretty())
}

fn snapshot_event(view: &View, service: Option<&str>, with_instances: bool, index: u64) -> Event {
    let data = match service {
        Some(name) => {
            let instances: Vec<Value> =
                view.instances_of(name).map(|(node, i)| instance(view, node, i)).collect();
            object!({ "index": index, "service": name, "instances": instances })
        }
        None => {
            let members: Vec<Value> = view.members().map(|m| member(m)).collect();
            let instances: Vec<Value> = view
                .nodes()
                .filter(|_| with_instances)
                .flat_map(|node| node.instances.values().map(|i| instance(view, node, i)))
                .collect();
            let checks: Vec<Value> = view
                .nodes()
                .flat_map(|node| node.node_checks().map(|c| json_of(&HealthCheck::new(node, None, c))))
                .collect();
            object!({ "index": index, "members": members, "instances": instances, "checks": checks })
        }
    };
    Event::default().event("snapshot").id(index.to_string()).data(data.to_string())
}

/// Shapes of this crate always have a JSON form; null stands for one that had none.
fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

fn instance(view: &View, node: &Node, i: &Instance) -> Value {
    let checks: Vec<Value> =
        i.checks.values().map(|c| json_of(&HealthCheck::new(node, Some(i), c))).collect();
    let ip = node.record.addr.ip().to_string();
    instance_object(view, node.record.name.as_str(), Some(&ip), i, Some((node.instance_health(i), checks)))
}

/// An instance with where to reach it. `address` is its own or its node's.
fn instance_object(
    view: &View,
    node: &str,
    node_address: Option<&str>,
    instance: &Instance,
    state: Option<(Health, Vec<Value>)>,
) -> Value {
    let record = instance.record.read();
    let address = if record.address.is_empty() { node_address } else { Some(record.address) };
    let (health, checks) =
        state.map_or((None, None), |(health, checks)| (Some(health.as_str()), Some(checks)));
    object!({
        "node": node,
        "address": address,
        "port": record.port,
        "status": health,
        "service": AgentService::new(record, view.datacenter()),
        "checks": checks,
    })
}

fn change_event(view: &View, change: &Change, of_service: bool) -> Event {
    let data = change_object(view, change, of_service);
    Event::default().event("change").id(data["index"].to_string()).data(data.to_string())
}

/// One change. With `of_service` numbers count the changes of that service.
fn change_object(view: &View, change: &Change, of_service: bool) -> Value {
    let number = if of_service { change.service_sequence } else { change.sequence };
    let mut data =
        object!({ "index": number, "at_unix_ms": change.at_unix_ms, "node": change.node.as_str() });
    let node = view.node(change.node.as_str());
    let address = node.map(|node| node.record.addr.ip().to_string());
    let instance_at = |i: &Instance, health: Option<Health>| {
        let checks = |i: &Instance| -> Vec<Value> {
            let shape = |node: &Node| {
                i.checks.values().map(|c| json_of(&HealthCheck::new(node, Some(i), c))).collect()
            };
            node.map_or_else(Vec::new, |node| shape(node))
        };
        let state = health.map(|health| (health, checks(i)));
        instance_object(view, change.node.as_str(), address.as_deref(), i, state)
    };
    let (kind, field, value) = match &change.kind {
        ChangeKind::MemberChanged(m) => ("member-changed", "member", member(m)),
        ChangeKind::MemberRemoved(_) => ("member-removed", "member", Value::Null),
        ChangeKind::InstanceAdded(i, health) => ("instance-added", "instance", instance_at(i, Some(*health))),
        ChangeKind::InstanceChanged(i, health) => {
            ("instance-changed", "instance", instance_at(i, Some(*health)))
        }
        ChangeKind::InstanceRemoved(i) => ("instance-removed", "instance", instance_at(i, None)),
        ChangeKind::CheckChanged { check, previous, health } => {
            data["previous"] = object!(previous.map(|status| status.as_str()));
            data["status"] = object!(health.as_str());
            ("check-changed", "check", check_object(check))
        }
        ChangeKind::CheckRemoved { check, health } => {
            data["status"] = object!(health.as_str());
            ("check-removed", "check", check_object(check))
        }
    };
    data["kind"] = object!(kind);
    data["service"] = object!(change.service.as_deref());
    data[field] = value;
    data
}

fn check_object(check: &crate::view::Check) -> Value {
    let record = check.record.read();
    object!({
        "id": record.id,
        "name": record.name,
        "status": record.status.as_str(),
        "output": record.output,
        "notes": record.notes,
        "type": record.kind,
        "service_id": record.service_id,
    })
}
