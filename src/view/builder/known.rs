//! What is known of an owner beyond what is shown.

use crate::model::{
    CheckId, Generation, InstanceId, Member, MemberStatus, NodeRecord, PackedCheck, PackedService,
};
use crate::view::table::{Folded, MemberView};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One owner. What is shown of it is in the view and not a second time here, but for its checks: a
/// deletion names a check and not the instance it belongs to.
#[derive(Debug, Default)]
pub(super) struct Owner {
    pub(super) member: Option<Member>,
    pub(super) node: Option<(Generation, Arc<NodeRecord>)>,
    /// Its name in lower case, once a record told it; a key stands for one name only.
    pub(super) name: Option<Folded>,
    /// Its instances while its node is not shown.
    pub(super) services: BTreeMap<InstanceId, PackedService>,
    pub(super) checks: KnownChecks,
}

impl Owner {
    pub(super) fn is_empty(&self) -> bool {
        self.member.is_none() && self.node.is_none() && self.services.is_empty() && self.checks.is_empty()
    }

    /// How it stands in the list of members; nothing without a name.
    pub(super) fn as_member(&self) -> Option<MemberView> {
        let mut member = self.member.clone()?;
        let (generation, record) = self.node.as_ref()?;
        // A farewell counts at once, unless it is that of an earlier run.
        if record.left && *generation >= member.generation {
            member.status = MemberStatus::Left;
        }
        Some(MemberView { member, record: Arc::clone(record) })
    }
}

/// All checks of an owner by id, and which of them wait for their instance or their node.
///
/// A plain list in order: a new check moves those behind it, which are as many as one node may have,
/// and takes half of what a tree would.
#[derive(Debug, Default)]
pub(super) struct KnownChecks {
    list: Vec<PackedCheck>,
    /// Instances, or the node itself, with the checks that are not shown for want of them.
    waiting: BTreeSet<(Option<InstanceId>, CheckId)>,
}

impl KnownChecks {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn find(&self, id: &str) -> Result<usize, usize> {
        self.list.binary_search_by(|check| check.id_bytes().cmp(id.as_bytes()))
    }

    /// Adds a check; gives the one it replaces.
    pub(super) fn insert(&mut self, check: PackedCheck) -> Option<PackedCheck> {
        match self.find(check.id()) {
            Ok(at) => Some(std::mem::replace(&mut self.list[at], check)),
            Err(at) => {
                // By an eighth: a list that doubles is a quarter empty on average.
                if self.list.len() == self.list.capacity() {
                    self.list.reserve_exact(4 + self.list.len() / 8);
                }
                self.list.insert(at, check);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<PackedCheck> {
        self.find(id).ok().map(|at| self.list.remove(at))
    }

    /// It is not shown until what it belongs to is.
    pub(super) fn wait(&mut self, check: &PackedCheck) {
        self.waiting.insert(key(check));
    }

    pub(super) fn unwait(&mut self, check: &PackedCheck) {
        // Mostly nobody waits, and a key takes allocations.
        if !self.waiting.is_empty() {
            self.waiting.remove(&key(check));
        }
    }

    /// Those that waited for this instance, or for the node.
    pub(super) fn take_waiting(&mut self, service: Option<&str>) -> Vec<PackedCheck> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let service = service.map(|id| InstanceId::new(id).expect("it is the id of a record"));
        let first = (service.clone(), CheckId::new(" ").expect("the id is printable"));
        let ids: Vec<_> = self.waiting.range(first..).take_while(|(of, _)| *of == service).cloned().collect();
        let mut taken = Vec::with_capacity(ids.len());
        for key in ids {
            taken.extend(self.find(key.1.as_str()).ok().map(|at| self.list[at].clone()));
            self.waiting.remove(&key);
        }
        taken
    }
}

fn key(check: &PackedCheck) -> (Option<InstanceId>, CheckId) {
    let valid = "it was packed from a record";
    let service = check.service_id().map(|id| InstanceId::new(id).expect(valid));
    (service, CheckId::new(check.id()).expect(valid))
}
