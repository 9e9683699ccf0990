//! Looks at the table through one agent, as any user would, and reports what it thinks.

use super::board::News;
use super::shop::{Host, Instance};
use crate::client::{Change, ChangeKind, Check, Client, Health, WatchEvent};
use crate::model::MemberStatus;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Before asking an agent again that did not answer.
const PAUSE: Duration = Duration::from_millis(50);
/// Changes that come together are looked at together.
const TOGETHER: Duration = Duration::from_millis(5);

/// News with the time at which it was seen.
pub(super) type Dated = (Instant, News);

/// Reports until nobody wants to know any more.
pub(super) async fn observe(observer: Host, agent: Client, news: mpsc::Sender<Dated>) {
    // Each ends when the stream does, as when the agent was too busy to go on with it.
    while !news.is_closed() {
        follow(observer, &agent, &news).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow(observer: Host, agent: &Client, news: &mpsc::Sender<Dated>) -> Option<()> {
    let mut changes = agent.watch_all().await.ok()?;
    loop {
        let mut event = changes.next().await?.ok()?;
        let mut look_again = false;
        let together = Instant::now() + TOGETHER;
        loop {
            let now = Instant::now();
            look_again |= !matches!(event, WatchEvent::Interrupted(_) | WatchEvent::Other { .. });
            for (host, status) in members(&event) {
                news.send((now, News::Member { observer, host, status })).await.ok()?;
            }
            match tokio::time::timeout_at(together, changes.next()).await {
                Ok(next) => event = next?.ok()?,
                Err(_) => break,
            }
        }
        if look_again && let Ok(checks) = agent.checks().await {
            news.send((Instant::now(), News::Instances { observer, health: healths(&checks) })).await.ok()?;
        }
    }
}

/// What an event tells of members.
fn members(event: &WatchEvent) -> Vec<(Host, MemberStatus)> {
    let member = |value: &Value| {
        let name = value["name"].as_str()?;
        let status = match value["status"].as_str()? {
            "alive" => MemberStatus::Alive,
            "suspect" => MemberStatus::Suspect,
            "failed" => MemberStatus::Failed,
            "left" => MemberStatus::Left,
            _ => return None,
        };
        Some((Host::named(name)?, status))
    };
    match event {
        WatchEvent::Snapshot(all) => {
            all.raw["members"].as_array().into_iter().flatten().filter_map(member).collect()
        }
        WatchEvent::Change(change) => {
            let Change { kind: ChangeKind::Member, raw, .. } = &**change else { return Vec::new() };
            member(&raw["member"]).into_iter().collect()
        }
        WatchEvent::Interrupted(_) | WatchEvent::Resumed | WatchEvent::Other { .. } => Vec::new(),
    }
}

/// The health of every instance that has a check: the worst of its own and its host's.
fn healths(checks: &[Check]) -> BTreeMap<Instance, Health> {
    let of_host = |host: Host| {
        Health::of(checks.iter().filter(|check| check.service_id.is_empty() && check.node == host.name()))
    };
    let of = |instance: Instance| {
        let own = |check: &&Check| check.service_id == instance.id() && check.node == instance.host().name();
        let own: Vec<&Check> = checks.iter().filter(own).collect();
        (!own.is_empty()).then(|| (instance, Health::of(own).max(of_host(instance.host()))))
    };
    Instance::all().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worst_of_host_and_instance_counts() {
        let check = |node: &str, id: &str, service: &str, status: &str| -> Check {
            let check = json!({"Node": node, "CheckID": id, "ServiceID": service, "Status": status});
            serde_json::from_value(check).expect("a check")
        };
        let seen = healths(&[
            check("n1", "serfHealth", "", "passing"),
            check("n1", "service:cart-1", "cart-1", "passing"),
            check("n5", "serfHealth", "", "critical"),
            check("n5", "service:cart-2", "cart-2", "passing"),
        ]);
        let cart = |id: &str| Instance::named(id).expect("is there");
        assert_eq!(
            seen,
            BTreeMap::from([(cart("cart-1"), Health::Passing), (cart("cart-2"), Health::Critical)])
        );
    }

    #[test]
    fn members_of_the_shop_are_read_from_snapshots_and_changes() {
        let member = |name: &str, status: &str| json!({"name": name, "status": status});
        let raw = json!({"members": [member("n1", "alive"), member("n9", "alive"), member("n2", "suspect")]});
        let seen = members(&WatchEvent::Snapshot(crate::client::Snapshot { raw, ..Default::default() }));
        let host = |name: &str| Host::named(name).expect("is there");
        assert_eq!(seen, [(host("n1"), MemberStatus::Alive), (host("n2"), MemberStatus::Suspect)]);
        let raw = json!({"member": member("n3", "failed")});
        let change = Change { kind: ChangeKind::Member, raw, ..Default::default() };
        assert_eq!(members(&WatchEvent::Change(Box::new(change))), [(host("n3"), MemberStatus::Failed)]);
    }
}
