//! What the full-screen view shows: the state, and what keys and news do to it.

use super::super::table::on_one_line;
use super::feed::Polled;
use crate::client::{ChangeKind, Check, Health, Member, Snapshot, WatchEvent};
use crate::model::{CheckStatus, MemberStatus};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Events that are kept; the oldest goes.
const EVENTS_MAX: usize = 500;

/// What the large table lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Members,
    Services,
    Checks,
    Events,
}

impl Tab {
    pub(super) const ALL: [Self; 4] = [Self::Members, Self::Services, Self::Checks, Self::Events];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Members => "Members",
            Self::Services => "Services",
            Self::Checks => "Checks",
            Self::Events => "Events",
        }
    }

    /// The orders its rows can be in, first the one they are in at the start.
    pub(super) const fn orders(self) -> &'static [Order] {
        match self {
            Self::Members => &[Order::Status, Order::Name, Order::Rtt],
            Self::Services => &[Order::Status, Order::Name, Order::Count],
            Self::Checks => &[Order::Status, Order::Node, Order::Name],
            Self::Events => &[Order::Time],
        }
    }
}

/// An order of rows. Statuses are worst first, so that trouble is on the first screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Status,
    Name,
    Rtt,
    Count,
    Node,
    Time,
}

impl Order {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Name => "name",
            Self::Rtt => "rtt",
            Self::Count => "count",
            Self::Node => "node",
            Self::Time => "time",
        }
    }
}

/// A key, as far as it means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Show(Tab),
    NextTab,
    PreviousTab,
    Sort,
    Reverse,
    /// Down by so many rows, up where negative.
    Move(isize),
    /// Down by so many screens.
    Page(isize),
    Top,
    Bottom,
}

/// A service with its instances by health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServiceRow {
    pub(super) name: String,
    pub(super) passing: usize,
    pub(super) warning: usize,
    /// Maintenance included.
    pub(super) critical: usize,
}

impl ServiceRow {
    pub(super) const fn instances(&self) -> usize {
        self.passing + self.warning + self.critical
    }

    /// Critical when nothing of it can be used, warning when something cannot or warns.
    pub(super) const fn status(&self) -> CheckStatus {
        match (self.passing + self.warning, self.warning + self.critical) {
            (0, _) => CheckStatus::Critical,
            (_, 0) => CheckStatus::Passing,
            _ => CheckStatus::Warning,
        }
    }
}

/// Something that the stream of changes told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventRow {
    pub(super) at: Duration,
    pub(super) text: String,
    /// How good the news is, where that can be said.
    pub(super) status: Option<CheckStatus>,
}

/// Counters per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) received: f64,
    pub(super) received_bytes: f64,
    pub(super) sent: f64,
    pub(super) sent_bytes: f64,
    pub(super) probes: f64,
    pub(super) probes_failed: f64,
    pub(super) suspicions: f64,
    pub(super) rumours: f64,
    pub(super) repaired: f64,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Model {
    /// Since this began.
    pub(super) now: Duration,
    pub(super) tab: Tab,
    /// Place in [`Tab::orders`], for each tab.
    orders: [usize; Tab::ALL.len()],
    pub(super) reversed: bool,
    /// The first row that is shown, unless fewer are left from there than there is room for.
    pub(super) offset: usize,
    /// Rows that had room when it was drawn last.
    pub(super) page: usize,
    /// The answer of `/v1/shoal/status`.
    pub(super) status: Value,
    counters: Option<(Duration, Value)>,
    pub(super) rates: Option<Rates>,
    pub(super) members: Vec<Member>,
    /// Service by node and id.
    instances: BTreeMap<(String, String), String>,
    pub(super) services: Vec<ServiceRow>,
    pub(super) checks: Vec<Check>,
    pub(super) events: VecDeque<EventRow>,
    /// Why what is shown may be old.
    pub(super) trouble: Option<String>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            now: Duration::ZERO,
            tab: Tab::Members,
            orders: [0; Tab::ALL.len()],
            reversed: false,
            offset: 0,
            page: 0,
            status: Value::Null,
            counters: None,
            rates: None,
            members: Vec::new(),
            instances: BTreeMap::new(),
            services: Vec::new(),
            checks: Vec::new(),
            events: VecDeque::new(),
            trouble: None,
        }
    }

    pub(super) fn order(&self) -> Order {
        self.tab.orders()[self.orders[self.tab as usize]]
    }

    pub(super) fn rows(&self) -> usize {
        match self.tab {
            Tab::Members => self.members.len(),
            Tab::Services => self.services.len(),
            Tab::Checks => self.checks.len(),
            Tab::Events => self.events.len(),
        }
    }

    /// Acts on a key; `false` when it is to end.
    pub(super) fn press(&mut self, key: Key) -> bool {
        let at = self.tab as usize;
        let count = Tab::ALL.len();
        let last = self.rows().saturating_sub(self.page.max(1));
        match key {
            Key::Quit => return false,
            Key::Show(tab) => self.show(tab),
            Key::NextTab => self.show(Tab::ALL[(at + 1) % count]),
            Key::PreviousTab => self.show(Tab::ALL[(at + count - 1) % count]),
            Key::Sort => {
                self.orders[at] = (self.orders[at] + 1) % self.tab.orders().len();
                self.sort();
            }
            Key::Reverse => {
                self.reversed = !self.reversed;
                self.sort();
            }
            Key::Move(rows) => self.offset = self.offset.min(last).saturating_add_signed(rows).min(last),
            Key::Page(pages) => {
                let rows = pages.saturating_mul(isize::try_from(self.page.max(1)).unwrap_or(isize::MAX));
                self.offset = self.offset.min(last).saturating_add_signed(rows).min(last);
            }
            Key::Top => self.offset = 0,
            Key::Bottom => self.offset = last,
        }
        true
    }

    fn show(&mut self, tab: Tab) {
        (self.tab, self.offset) = (tab, 0);
        self.sort();
    }

    /// Takes in what the agent answered.
    pub(super) fn take_polled(&mut self, polled: Polled) {
        let Polled { at, status, members, checks } = polled;
        self.trouble = None;
        let counters = status["counters"].clone();
        self.rates = self
            .counters
            .as_ref()
            .and_then(|(before, old)| rates(old, &counters, at.saturating_sub(*before)));
        self.counters = Some((at, counters));
        self.status = status;
        self.members = members;
        if let Some(checks) = checks {
            self.checks = checks;
        }
        self.count_services();
        self.sort();
    }

    /// Takes in what the stream of changes told; whether checks are to be asked for again.
    pub(super) fn take_event(&mut self, event: &WatchEvent) -> bool {
        match event {
            WatchEvent::Snapshot(Snapshot { instances, .. }) => {
                let place =
                    |i: &crate::client::WatchedInstance| ((i.node.clone(), i.id.clone()), i.service.clone());
                self.instances = instances.iter().map(place).collect();
                true
            }
            WatchEvent::Change(change) => {
                if let Some(instance) = &change.instance {
                    let key = (instance.node.clone(), instance.id.clone());
                    match change.kind {
                        ChangeKind::Removed => drop(self.instances.remove(&key)),
                        ChangeKind::Instance
                        | ChangeKind::Member
                        | ChangeKind::Check
                        | ChangeKind::Other(_) => {
                            self.instances.insert(key, instance.service.clone());
                        }
                    }
                }
                let (text, status) = told(&change.raw);
                self.push_event(text, status);
                true
            }
            WatchEvent::Interrupted(error) => {
                self.trouble = Some(on_one_line(&error.to_string()));
                self.push_event("the agent is away".to_owned(), Some(CheckStatus::Critical));
                false
            }
            WatchEvent::Resumed => {
                self.push_event("the agent is back".to_owned(), Some(CheckStatus::Passing));
                true
            }
            WatchEvent::Other { event, .. } => {
                self.push_event(on_one_line(event), None);
                false
            }
        }
    }

    fn push_event(&mut self, text: String, status: Option<CheckStatus>) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_back();
        }
        self.events.push_front(EventRow { at: self.now, text, status });
        // Whoever has scrolled goes on looking at the same events.
        if self.tab == Tab::Events && self.offset > 0 {
            self.offset += 1;
        }
    }

    fn count_services(&mut self) {
        let mut of_node: BTreeMap<&str, Health> = BTreeMap::new();
        let mut of_instance: BTreeMap<(&str, &str), Health> = BTreeMap::new();
        for check in &self.checks {
            let health = Health::of([check]);
            let worst = if check.service_id.is_empty() {
                of_node.entry(&check.node).or_insert(health)
            } else {
                of_instance.entry((&check.node, &check.service_id)).or_insert(health)
            };
            *worst = (*worst).max(health);
        }
        let mut rows: BTreeMap<&str, ServiceRow> = BTreeMap::new();
        for ((node, id), service) in &self.instances {
            let node_health = of_node.get(node.as_str()).copied().unwrap_or(Health::Passing);
            let own = of_instance.get(&(node.as_str(), id.as_str())).copied().unwrap_or(Health::Passing);
            let row = rows.entry(service).or_default();
            match own.max(node_health) {
                Health::Passing => row.passing += 1,
                Health::Warning => row.warning += 1,
                Health::Critical | Health::Maintenance => row.critical += 1,
            }
        }
        self.services =
            rows.into_iter().map(|(name, row)| ServiceRow { name: name.to_owned(), ..row }).collect();
    }

    fn sort(&mut self) {
        let (order, reversed) = (self.order(), self.reversed);
        let turn = |ordering: std::cmp::Ordering| if reversed { ordering.reverse() } else { ordering };
        match self.tab {
            Tab::Members => self.members.sort_by(|a, b| {
                let by_name = a.name.cmp(&b.name);
                let rtt = |m: &Member| m.rtt.unwrap_or(Duration::MAX);
                turn(match order {
                    Order::Status => trouble_of(b.status).cmp(&trouble_of(a.status)).then(by_name),
                    Order::Rtt => rtt(a).cmp(&rtt(b)).then(by_name),
                    Order::Name | Order::Count | Order::Node | Order::Time => by_name,
                })
            }),
            Tab::Services => self.services.sort_by(|a, b| {
                let by_name = a.name.cmp(&b.name);
                turn(match order {
                    Order::Status => severity(b.status()).cmp(&severity(a.status())).then(by_name),
                    Order::Count => b.instances().cmp(&a.instances()).then(by_name),
                    Order::Name | Order::Rtt | Order::Node | Order::Time => by_name,
                })
            }),
            Tab::Checks => self.checks.sort_by(|a, b| {
                let by_name = (&a.id, &a.node).cmp(&(&b.id, &b.node));
                turn(match order {
                    Order::Status => severity(b.status).cmp(&severity(a.status)).then(by_name),
                    Order::Node => a.node.cmp(&b.node).then(by_name),
                    Order::Name | Order::Rtt | Order::Count | Order::Time => by_name,
                })
            }),
            // They come in their order.
            Tab::Events => {}
        }
    }
}

const fn trouble_of(status: MemberStatus) -> u8 {
    match status {
        MemberStatus::Failed => 3,
        MemberStatus::Suspect => 2,
        MemberStatus::Alive => 1,
        MemberStatus::Left => 0,
    }
}

const fn severity(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Critical => 2,
        CheckStatus::Warning => 1,
        CheckStatus::Passing => 0,
    }
}

/// `None` over no time, and when the agent began to count anew.
fn rates(before: &Value, after: &Value, over: Duration) -> Option<Rates> {
    let seconds = over.as_secs_f64();
    if seconds < 0.01 {
        return None;
    }
    let per_second = |name: &str| {
        let name = format!("shoal_{name}_total");
        let (before, after) = (before[&name].as_u64().unwrap_or(0), after[&name].as_u64().unwrap_or(0));
        after.checked_sub(before).map(|n| n as f64 / seconds)
    };
    Some(Rates {
        received: per_second("datagrams_received")?,
        received_bytes: per_second("datagrams_received_bytes")?,
        sent: per_second("datagrams_sent")?,
        sent_bytes: per_second("datagrams_sent_bytes")?,
        probes: per_second("probes_sent")?,
        probes_failed: per_second("probes_failed")?,
        suspicions: per_second("suspicions_raised")?,
        rumours: per_second("rumours_sent")?,
        repaired: per_second("sync_records")?,
    })
}

/// A change in one line, and how good it is.
fn told(change: &Value) -> (String, Option<CheckStatus>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, node) = (text(&change["kind"]), text(&change["node"]));
    let (member, instance, check) = (&change["member"], &change["instance"], &change["check"]);
    let (line, status) = if check.is_object() {
        let (id, status, was) = (text(&check["id"]), text(&check["status"]), text(&change["previous"]));
        let was = if was.is_empty() || was == status { String::new() } else { format!("{was} to ") };
        (format!("{kind} {id} on {node}: {was}{status}"), status)
    } else if instance.is_object() {
        let (id, status) = (text(&instance["service"]["ID"]), text(&instance["status"]));
        (format!("{kind} {id} on {node} {status}"), status)
    } else {
        let status = text(&member["status"]);
        (format!("{kind} {node} {status}"), status)
    };
    let status = match status.as_str() {
        "passing" | "alive" => Some(CheckStatus::Passing),
        "warning" | "suspect" => Some(CheckStatus::Warning),
        "critical" | "failed" | "maintenance" => Some(CheckStatus::Critical),
        _ => None,
    };
    (on_one_line(&line), status)
}

#[cfg(test)]
mod tests;
