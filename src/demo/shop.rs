//! Which services the shop has, and where.

use std::fmt;
use std::time::Duration;

/// Hosts, each with an agent.
pub(super) const HOSTS: usize = 5;
/// Time between two looks of a check at its instance.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A worker that reports by heartbeats is critical after so long without.
pub(super) const HEARTBEAT_TTL: Duration = Duration::from_secs(4);
/// Time between two heartbeats.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// What the shop consists of; each has two instances.
pub(super) const SERVICES: [&str; 7] =
    ["frontend", "cart", "catalog", "payment", "orders", "inventory", "shipping"];

/// Every instance with its host. The two of a service are on different sides of the partition that is
/// suggested, and no host has two of one service, so that there is always somebody to serve.
const INSTANCES: [(&str, &str, u8); 14] = [
    ("frontend-1", "frontend", 0),
    ("cart-1", "cart", 0),
    ("catalog-1", "catalog", 1),
    ("orders-1", "orders", 1),
    ("shipping-1", "shipping", 1),
    ("payment-2", "payment", 2),
    ("inventory-2", "inventory", 2),
    ("frontend-2", "frontend", 3),
    ("payment-1", "payment", 3),
    ("catalog-2", "catalog", 3),
    ("cart-2", "cart", 4),
    ("orders-2", "orders", 4),
    ("inventory-1", "inventory", 4),
    ("shipping-2", "shipping", 4),
];

/// One of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host(u8);

impl Host {
    pub(super) fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..HOSTS as u8).map(Self)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().find(|host| host.name() == name)
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn number(self) -> u8 {
        self.0
    }

    /// Its node's name.
    pub(super) const fn name(self) -> &'static str {
        ["n1", "n2", "n3", "n4", "n5"][self.0 as usize]
    }

    pub(super) fn instances(self) -> impl Iterator<Item = Instance> {
        Instance::all().filter(move |instance| instance.host() == self)
    }

    /// The one after it, the first after the last.
    pub(super) const fn next(self) -> Self {
        Self((self.0 + 1) % HOSTS as u8)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One of the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instance(u8);

impl Instance {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..INSTANCES.len() as u8).map(Self)
    }

    pub(super) fn named(id: &str) -> Option<Self> {
        Self::all().find(|instance| instance.id() == id)
    }

    pub(super) const fn id(self) -> &'static str {
        INSTANCES[self.0 as usize].0
    }

    pub(super) const fn service(self) -> &'static str {
        INSTANCES[self.0 as usize].1
    }

    pub(super) const fn host(self) -> Host {
        Host(INSTANCES[self.0 as usize].2)
    }

    /// It reports by heartbeats; the others are looked at over HTTP.
    pub(super) fn beats(self) -> bool {
        self.service() == "shipping"
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// `a, b and c`.
pub(super) fn listed<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut names: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_survives_the_loss_of_any_host_and_either_side_of_a_partition() {
        for service in SERVICES {
            let hosts: Vec<usize> =
                Instance::all().filter(|i| i.service() == service).map(|i| i.host().index()).collect();
            assert_eq!(hosts.len(), 2, "{service}");
            assert!(hosts[0] < 3 && hosts[1] >= 3, "{service}: {hosts:?}");
        }
        for instance in Instance::all() {
            assert_eq!(Instance::named(instance.id()), Some(instance));
            assert!(instance.id().starts_with(instance.service()));
        }
        assert_eq!(Host::named("n3").map(Host::index), Some(2));
    }

    #[test]
    fn lists_read_as_one_says_them() {
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
    }
}
