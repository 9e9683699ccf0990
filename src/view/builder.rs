//! Makes views: takes entries one by one in any order and keeps tables and indexes right.
//!
//! Owns the records that are not shown, and the rules for what a change makes rise. Each call costs
//! in proportion to what it changes, times the logarithm of what there is;
//! [`ViewBuilder::publish`] costs the same however large the tables are.

mod checks;
mod instances;
mod known;
mod nodes;

use super::log::{Change, ChangeKind};
use super::table::{Folded, Node, fold};
use super::{AgentStatus, USER_EVENTS_MAX, View, ViewReader};
use crate::model::{
    CheckId, CheckRecord, Generation, InstanceId, LocalState, Member, NodeKey, NodeName, NodeRecord,
    PackedCheck, PackedService, ServiceRecord, UserEvent, Version,
};
use arc_swap::ArcSwap;
use known::Owner;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Owned by the agent's loop. Nothing is visible to readers before [`ViewBuilder::publish`].
#[derive(Debug)]
pub struct ViewBuilder {
    next: View,
    owners: BTreeMap<NodeKey, Owner>,
    shared: Arc<ArcSwap<View>>,
    wake: watch::Sender<u64>,
    /// Something is to be stored.
    dirty: bool,
    /// Something changed that readers wait for: the next publish has a new index.
    visible: bool,
    /// Registrations of this host changed, or an event came: waiters must look, though no index rises.
    local_changed: bool,
    /// What the clock shows, for the log of changes.
    unix_ms: u64,
}

impl ViewBuilder {
    /// An empty view of `datacenter` as the node `own` sees it. `index_seed` (unix microseconds at
    /// the start) is the first index and the number before the first logged change.
    pub fn new(datacenter: String, own: NodeKey, index_seed: u64) -> (Self, ViewReader) {
        // Index 0 means "does not block" to clients, so it is never shown.
        let next = View::new(datacenter, own, index_seed.max(1));
        let shared = Arc::new(ArcSwap::from_pointee(next.clone()));
        let (wake, waked) = watch::channel(0);
        let reader = ViewReader { shared: Arc::clone(&shared), wake: waked };
        let builder = Self {
            next,
            owners: BTreeMap::new(),
            shared,
            wake,
            dirty: false,
            visible: false,
            local_changed: false,
            unix_ms: 0,
        };
        (builder, reader)
    }

    /// The time, in milliseconds since 1970, that changes are dated with from now on.
    pub fn set_clock(&mut self, unix_ms: u64) {
        self.unix_ms = unix_ms;
    }

    /// A member appeared or something about it changed.
    pub fn set_member(&mut self, member: Member) {
        let key = member.key;
        self.owners.entry(key).or_default().member = Some(member);
        self.refresh_node(key);
    }

    /// A member was forgotten. Its records stay until they are deleted, but are not shown.
    pub fn remove_member(&mut self, key: NodeKey) {
        let Some(owner) = self.owners.get_mut(&key) else { return };
        owner.member = None;
        self.refresh_node(key);
        self.forget_if_empty(key);
    }

    /// A node's own record; `None`: deleted. `version` orders the writes of one owner, which was
    /// looked at before. A record under a key that does not stand for its name is ignored.
    pub fn set_node(&mut self, owner: NodeKey, record: Option<(Generation, Version, NodeRecord)>) {
        let record = record.filter(|(_, _, record)| record.name.key() == owner);
        let entry = self.owners.entry(owner).or_default();
        match record {
            Some((generation, _, record)) => {
                entry.name.get_or_insert_with(|| fold(record.name.as_str()));
                let record = match &entry.node {
                    Some((_, known)) if **known == record => Arc::clone(known),
                    Some(_) | None => Arc::new(record),
                };
                entry.node = Some((generation, record));
            }
            None => entry.node = None,
        }
        self.refresh_node(owner);
        self.forget_if_empty(owner);
    }

    /// A service instance; `None`: deleted.
    pub fn set_service(
        &mut self,
        owner: NodeKey,
        id: &InstanceId,
        record: Option<(Generation, Version, ServiceRecord)>,
    ) {
        match record {
            Some((_, _, record)) => self.put_service(owner, PackedService::new(&record)),
            None => self.remove_service(owner, id),
        }
    }

    /// A service instance, as somebody else keeps it too.
    pub fn put_service(&mut self, owner: NodeKey, record: PackedService) {
        match self.shown_name(owner) {
            Some(name) => self.refresh_instance(owner, &name, record),
            None => {
                let id = InstanceId::new(record.id()).expect("it was packed from a record");
                self.owners.entry(owner).or_default().services.insert(id, record);
            }
        }
    }

    /// A service instance was deleted.
    pub fn remove_service(&mut self, owner: NodeKey, id: &InstanceId) {
        if let Some(name) = self.shown_name(owner) {
            let shown = self.next.nodes.get(&*name).and_then(|node| node.instances.get(id.as_str())).cloned();
            if let Some(shown) = shown {
                self.remove_instance(owner, &name, &shown);
            }
        }
        if let Some(known) = self.owners.get_mut(&owner) {
            known.services.remove(id);
        }
        self.forget_if_empty(owner);
    }

    /// A check; `None`: deleted. A check whose instance is not there yet is shown with it.
    pub fn set_check(
        &mut self,
        owner: NodeKey,
        id: &CheckId,
        record: Option<(Generation, Version, CheckRecord)>,
    ) {
        match record {
            Some((_, _, record)) => self.put_check(owner, PackedCheck::new(&record)),
            None => self.delete_check(owner, id),
        }
    }

    /// A check, as somebody else keeps it too. One whose instance is not there yet is shown with it.
    pub fn put_check(&mut self, owner: NodeKey, record: PackedCheck) {
        let known = self.owners.entry(owner).or_default().checks.insert(record.clone());
        let name = self.shown_name(owner);
        if let Some(known) = known.filter(|known| known.service_id() != record.service_id()) {
            self.hide_check(owner, name.as_ref(), &known);
        }
        let shown = name.is_some_and(|name| self.show_check(&name, record.clone()));
        if !shown && let Some(owner) = self.owners.get_mut(&owner) {
            owner.checks.wait(&record);
        }
    }

    /// A check was deleted.
    pub fn delete_check(&mut self, owner: NodeKey, id: &CheckId) {
        let known = self.owners.get_mut(&owner).and_then(|known| known.checks.remove(id.as_str()));
        if let Some(known) = known {
            let name = self.shown_name(owner);
            self.hide_check(owner, name.as_ref(), &known);
        }
        self.forget_if_empty(owner);
    }

    /// Takes a check away from where it is shown, or from those that wait.
    fn hide_check(&mut self, owner: NodeKey, name: Option<&Folded>, record: &PackedCheck) {
        if let Some(known) = self.owners.get_mut(&owner) {
            known.checks.unwait(record);
        }
        if let Some(name) = name {
            self.remove_check(name, record);
        }
    }

    /// Registrations of this host, with output and TTL state.
    pub fn set_local(&mut self, local: LocalState) {
        let same_services =
            self.next.local.services.ptr_eq(&local.services) || self.next.local.services == local.services;
        self.local_changed |= !same_services;
        self.next.local = local;
        self.dirty = true;
    }

    /// An event that was meant for this node came.
    pub fn push_user_event(&mut self, event: Arc<UserEvent>) {
        let events = Arc::make_mut(&mut self.next.user_events);
        if events.len() >= USER_EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
        self.local_changed = true;
    }

    /// What the agent tells about itself. Wakes nobody.
    pub fn set_status(&mut self, status: AgentStatus) {
        self.next.status = Arc::new(status);
        self.dirty = true;
    }

    /// Makes everything set since the last call visible at once; does nothing when nothing changed.
    pub fn publish(&mut self) {
        if !(self.dirty || self.visible || self.local_changed) {
            return;
        }
        if self.visible {
            self.next.index += 1;
        }
        self.shared.store(Arc::new(self.next.clone()));
        if self.visible || self.local_changed {
            self.wake.send_modify(|count| *count = count.wrapping_add(1));
        }
        self.dirty = false;
        self.visible = false;
        self.local_changed = false;
    }

    /// The index the next publish will have; calling it promises a visible change.
    fn stamp(&mut self) -> u64 {
        self.visible = true;
        self.next.index + 1
    }

    fn forget_if_empty(&mut self, key: NodeKey) {
        if self.owners.get(&key).is_some_and(Owner::is_empty) {
            self.owners.remove(&key);
        }
    }

    /// The name under which an owner's node is in the catalog now.
    fn shown_name(&self, key: NodeKey) -> Option<Folded> {
        let name = self.owners.get(&key)?.name.clone()?;
        self.next.nodes.contains_key(&*name).then_some(name)
    }

    fn log(&mut self, node: &NodeName, service: Option<Folded>, kind: ChangeKind) {
        let index = self.stamp();
        let service_sequence = service.as_ref().map_or(0, |name| {
            let service =
                self.next.services.get_mut(name).expect("changes are logged while the service is shown");
            let service = Arc::make_mut(service);
            service.sequence += 1;
            service.sequence
        });
        let node = node.clone();
        let at_unix_ms = self.unix_ms;
        self.next.log.push(Change { sequence: 0, index, node, service, service_sequence, at_unix_ms, kind });
    }

    fn edit_node(&mut self, name: &Folded, edit: impl FnOnce(&mut Node)) {
        let node = self.next.nodes.get_mut(name).expect("only shown nodes are edited");
        edit(Arc::make_mut(node));
    }
}
