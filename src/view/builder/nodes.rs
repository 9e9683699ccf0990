//! Members and nodes: who is in the catalog, and the check that membership makes.

use super::ViewBuilder;
use crate::model::{InstanceId, MemberStatus, NodeKey, NodeRecord};
use crate::view::gone::Mark;
use crate::view::keyed::IdSet;
use crate::view::log::ChangeKind;
use crate::view::table::{Check, Folded, Health, MemberView, Node, fold};
use std::collections::BTreeSet;
use std::sync::Arc;

impl ViewBuilder {
    /// Brings the list of members and the catalog in line with what is known of an owner.
    pub(super) fn refresh_node(&mut self, key: NodeKey) {
        let Some(owner) = self.owners.get(&key) else { return };
        let Some(name) = owner.name.clone() else { return };
        let member = owner.as_member();
        if key == self.next.own && self.next.own_name.is_none() {
            self.next.own_name = Some(name.clone());
            self.dirty = true;
        }
        let in_catalog = member
            .as_ref()
            .filter(|m| m.member.status != MemberStatus::Left && !m.record.left)
            .map(|m| (Arc::clone(&m.record), m.member.status));
        if in_catalog.is_none() {
            self.hide_node(key, &name);
        }
        self.refresh_member(&name, member);
        if let Some((record, status)) = in_catalog {
            if self.next.nodes.contains_key(&*name) {
                self.change_node(&name, record, status);
            } else {
                self.show_node(key, &name, record, status);
            }
        }
    }

    fn refresh_member(&mut self, name: &Folded, member: Option<MemberView>) {
        let known = self.next.members.get(&**name).cloned();
        let Some(member) = member else {
            if let Some(known) = known {
                self.next.members.remove(&**name);
                let node = known.record.name.clone();
                self.log(&node, None, ChangeKind::MemberRemoved(node.clone()));
            }
            return;
        };
        if known.as_ref().is_some_and(|known| **known == member) {
            return;
        }
        let tell = known.is_none_or(|known| known.differs_visibly(&member));
        let member = Arc::new(member);
        self.next.members.insert(name.clone(), Arc::clone(&member));
        self.dirty = true;
        if tell {
            let node = member.record.name.clone();
            self.log(&node, None, ChangeKind::MemberChanged(member));
        }
    }

    fn show_node(&mut self, key: NodeKey, name: &Folded, record: Arc<NodeRecord>, status: MemberStatus) {
        let stamp = self.stamp();
        let Some(owner) = self.owners.get_mut(&key) else { return };
        let services = std::mem::take(&mut owner.services);
        let node_checks = owner.checks.take_waiting(None);
        let node = Node {
            key,
            record,
            serf: Check::serf(status, stamp, stamp),
            checks: IdSet::new(),
            instances: IdSet::new(),
            folded: Arc::new(name.clone()),
            create_index: stamp,
            modify_index: stamp,
            index: stamp,
        };
        self.next.nodes_gone.take(name);
        self.next.nodes.insert(name.clone(), Arc::new(node));
        self.next.nodes_index = stamp;
        self.next.catalog_index = stamp;
        self.next.checks_index = stamp;
        for check in node_checks {
            self.show_check(name, check);
        }
        for record in services.into_values() {
            self.refresh_instance(key, name, record);
        }
    }

    fn hide_node(&mut self, key: NodeKey, name: &Folded) {
        let Some(node) = self.next.nodes.get(&**name).cloned() else { return };
        let stamp = self.stamp();
        for instance in node.instances.values() {
            self.remove_instance(key, name, instance);
        }
        if let Some(owner) = self.owners.get_mut(&key) {
            for instance in node.instances.values() {
                let id = InstanceId::new(instance.record.id()).expect("it was packed from a record");
                owner.services.insert(id, instance.record.clone());
            }
            node.checks.values().for_each(|check| owner.checks.wait(&check.record));
        }
        self.next.checks -= node.checks.len();
        self.next.nodes.remove(&**name);
        self.next.nodes_gone.put(name.clone(), Mark { index: stamp, sequence: 0 });
        self.next.nodes_index = stamp;
        self.next.catalog_index = stamp;
        self.next.checks_index = stamp;
    }

    fn change_node(&mut self, name: &Folded, record: Arc<NodeRecord>, status: MemberStatus) {
        let node = self.next.nodes.get(&**name).expect("the caller saw that it is shown");
        let serf = Check::serf(status, node.serf.create_index, 0);
        let previous = node.serf.record.status();
        let serf_changed = serf.record.status() != previous;
        if node.record != record {
            let stamp = self.stamp();
            self.edit_node(name, |node| {
                node.record = record;
                node.modify_index = stamp;
                node.index = stamp;
            });
            self.next.nodes_index = stamp;
            self.next.catalog_index = stamp;
            // Checks carry their node's name as it is spelled.
            self.next.checks_index = stamp;
            self.touch_services_of(name, stamp);
            // An instance without an address of its own is reached at its node's.
            self.tell_instances(name, |_| true);
        }
        if serf_changed {
            let stamp = self.stamp();
            let serf = Check { modify_index: stamp, ..serf };
            let shown = serf.clone();
            self.edit_node_checks(
                name,
                |node| node.serf = serf,
                |health| ChangeKind::CheckChanged { check: shown, previous: Some(previous), health },
            );
        }
    }

    /// Everything asked about a service shows the nodes of its instances, so their changes are its
    /// changes.
    fn touch_services_of(&mut self, name: &Folded, stamp: u64) {
        let Some(node) = self.next.nodes.get(&**name) else { return };
        let services: BTreeSet<Folded> = node.instances.values().map(|i| fold(i.record.name())).collect();
        for service in services {
            if let Some(service) = self.next.services.get_mut(&*service) {
                Arc::make_mut(service).index = stamp;
            }
        }
    }

    /// Changes checks that belong to no instance, and tells of every instance whose health changes
    /// with them.
    pub(super) fn edit_node_checks(
        &mut self,
        name: &Folded,
        edit: impl FnOnce(&mut Node),
        kind: impl FnOnce(Health) -> ChangeKind,
    ) {
        let stamp = self.stamp();
        let before = self.next.nodes.get(&**name).map_or(Health::Passing, |n| n.health());
        self.edit_node(name, |node| {
            edit(node);
            node.index = stamp;
        });
        self.next.checks_index = stamp;
        self.touch_services_of(name, stamp);
        let node = Arc::clone(self.next.nodes.get(&**name).expect("it was just edited"));
        let after = node.health();
        self.log(&node.record.name, None, kind(after));
        if before != after {
            self.tell_instances(name, |own| before.max(own) != after.max(own));
        }
    }

    /// Logs a change of every instance on a node whose own health `concerned` picks.
    fn tell_instances(&mut self, name: &Folded, concerned: impl Fn(Health) -> bool) {
        let Some(node) = self.next.nodes.get(&**name).cloned() else { return };
        let on_node = node.health();
        for instance in node.instances.values() {
            let own = Health::worst(instance.checks.values().map(|c| c.health()));
            if concerned(own) {
                let service = fold(instance.record.name());
                let kind = ChangeKind::InstanceChanged(Arc::clone(instance), on_node.max(own));
                self.log(&node.record.name, Some(service), kind);
            }
        }
    }
}
