//! What a view is made of: members, nodes, services, instances and checks as readers see them.
//!
//! Plain values that share structure with the views before and after them. Owns the rules for
//! summing up health; changes nothing ([`super::ViewBuilder`] does).

use super::keyed::{Checks, IdSet, PlaceSet};
use crate::model::{
    CheckId, CheckRecord, CheckStatus, Member, MemberStatus, NodeKey, NodeRecord, PackedCheck, PackedService,
    ServiceName,
};
use imbl::OrdMap;
use std::fmt;
use std::sync::Arc;

/// A name in lower case: how tables are keyed that are looked up without regard to case.
pub type Folded = Arc<str>;

/// Id of the check that every node has: is its agent alive?
pub const SERF_HEALTH: &str = "serfHealth";
/// Id of the check that stands for maintenance of a whole node.
pub const NODE_MAINTENANCE: &str = "_node_maintenance";
/// What ids of checks start with that stand for maintenance of one instance.
pub const SERVICE_MAINTENANCE_PREFIX: &str = "_service_maintenance:";

/// The lower-case form of a service's or a node's name.
pub fn fold(name: &str) -> Folded {
    Arc::from(name.to_lowercase())
}

/// The sum of several checks. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Every check passes, or there is none.
    Passing,
    /// At least one warns.
    Warning,
    /// At least one is critical.
    Critical,
    /// The node or the instance was taken out of service on purpose.
    Maintenance,
}

impl Health {
    /// The word for it, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
        }
    }

    /// What one check contributes, from its id and status.
    pub fn of_check(id: &str, status: CheckStatus) -> Self {
        if id == NODE_MAINTENANCE || id.starts_with(SERVICE_MAINTENANCE_PREFIX) {
            return Self::Maintenance;
        }
        match status {
            CheckStatus::Passing => Self::Passing,
            CheckStatus::Warning => Self::Warning,
            CheckStatus::Critical => Self::Critical,
        }
    }

    /// The worst of several.
    pub fn worst(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().max().unwrap_or(Self::Passing)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A member whose name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// As membership sees it; `status` is `left` also when only its record says so yet.
    pub member: Member,
    /// What it says of itself.
    pub record: Arc<NodeRecord>,
}

impl MemberView {
    /// Whether the difference to `other` is worth telling: round-trip times, coordinates
    /// and refutations are not.
    pub(super) fn differs_visibly(&self, other: &Self) -> bool {
        self.member.status != other.member.status
            || self.member.addr != other.member.addr
            || self.member.generation != other.member.generation
            || self.record != other.record
    }
}

/// One check with its change indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The check.
    pub record: PackedCheck,
    /// Index of the change that made it visible.
    pub create_index: u64,
    /// Index of its last visible change.
    pub modify_index: u64,
}

impl Check {
    /// What it contributes to the health of what it belongs to.
    pub fn health(&self) -> Health {
        Health::of_check(self.record.id(), self.record.status())
    }

    /// The check that says whether a node's agent is alive, as membership has it.
    pub(super) fn serf(status: MemberStatus, create_index: u64, modify_index: u64) -> Self {
        let (status, output) = if status.is_live() {
            (CheckStatus::Passing, "Agent alive and reachable")
        } else {
            (CheckStatus::Critical, "Agent not live or unreachable")
        };
        let record = CheckRecord {
            id: CheckId::new(SERF_HEALTH).expect("the id is short and printable"),
            name: "Serf Health Status".to_owned(),
            service_id: None,
            status,
            notes: String::new(),
            output: output.to_owned(),
            kind: String::new(),
            interval: String::new(),
            timeout: String::new(),
            extensions: crate::model::Extensions::new(),
        };
        Self { record: PackedCheck::new(&record), create_index, modify_index }
    }
}

/// One service instance with its own checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The instance.
    pub record: PackedService,
    /// The name of its node, in lower case. In a box of its own, shared by all instances of the node,
    /// since it takes half as much here.
    pub node: Arc<Folded>,
    /// Its own checks; those of its node count as well and are in [`Node::checks`].
    pub checks: Checks,
    /// Index of the change that made it visible.
    pub create_index: u64,
    /// Index of its last visible change (not counting its checks).
    pub modify_index: u64,
}

/// One node of the catalog: alive, suspect or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Stands for its name.
    pub key: NodeKey,
    /// What it says of itself.
    pub record: Arc<NodeRecord>,
    /// The check made from membership; not in `checks`.
    pub serf: Check,
    /// The other checks that belong to no instance.
    pub checks: IdSet<Check>,
    /// Its instances.
    pub instances: IdSet<Arc<Instance>>,
    /// Its name in lower case, for its instances.
    pub(super) folded: Arc<Folded>,
    /// Index of the change that made it visible.
    pub create_index: u64,
    /// Index of the last visible change of its record.
    pub modify_index: u64,
    /// Index of the last visible change of anything on it.
    pub index: u64,
}

impl Node {
    /// Checks that belong to no instance, membership's first.
    pub fn node_checks(&self) -> impl Iterator<Item = &Check> {
        std::iter::once(&self.serf).chain(self.checks.values())
    }

    /// Health of the node alone.
    pub fn health(&self) -> Health {
        Health::worst(self.node_checks().map(|c| c.health()))
    }

    /// Health of one of its instances: its own checks and the node's.
    pub fn instance_health(&self, instance: &Instance) -> Health {
        self.health().max(Health::worst(instance.checks.values().map(|c| c.health())))
    }
}

/// All instances that share a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name as the first instance spells it.
    pub name: ServiceName,
    /// Instances by node (lower case) and id.
    pub instances: PlaceSet,
    /// How many instances carry each tag.
    pub tags: OrdMap<String, usize>,
    /// Index of the last visible change of its instances, their checks or their nodes.
    pub index: u64,
    /// How many changes were logged under this name; see [`super::Change::service_sequence`].
    pub sequence: u64,
}

impl Service {
    pub(super) fn new(name: ServiceName, sequence: u64) -> Self {
        Self { name, instances: PlaceSet::new(), tags: OrdMap::new(), index: 0, sequence }
    }

    pub(super) fn put(&mut self, instance: &Arc<Instance>, stamp: u64) {
        self.instances.insert(Arc::clone(instance));
        self.index = stamp;
    }

    /// Counts the tags of `record` in; says whether a tag is new.
    pub(super) fn count_tags(&mut self, record: &PackedService) -> bool {
        let mut new = false;
        for tag in record.tags() {
            match self.tags.get_mut(tag) {
                Some(count) => *count += 1,
                None => {
                    self.tags.insert(tag.to_owned(), 1);
                    new = true;
                }
            }
        }
        new
    }

    /// Counts the tags of `record` out; says whether a tag is gone.
    pub(super) fn discount_tags(&mut self, record: &PackedService) -> bool {
        let mut gone = false;
        for tag in record.tags() {
            let Some(count) = self.tags.get_mut(tag) else { continue };
            *count -= 1;
            if *count == 0 {
                self.tags.remove(tag);
                gone = true;
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_outweighs_critical_outweighs_warning() {
        let maintenance = Health::of_check("_service_maintenance:x", CheckStatus::Critical);
        assert_eq!(maintenance, Health::Maintenance);
        assert_eq!(Health::of_check(NODE_MAINTENANCE, CheckStatus::Critical), Health::Maintenance);
        let critical = Health::of_check("c", CheckStatus::Critical);
        assert_eq!(Health::worst([Health::Passing, critical, Health::Warning]), Health::Critical);
        assert_eq!(Health::worst([critical, maintenance]), Health::Maintenance);
        assert_eq!(Health::worst([]), Health::Passing);
    }
}
