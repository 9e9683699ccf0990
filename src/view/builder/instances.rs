//! Service instances: where they are found, the tags of their service, and when its list entry changes.

use super::ViewBuilder;
use crate::model::{CheckRecord, InstanceId, NodeKey, ServiceRecord};
use crate::view::gone::Mark;
use crate::view::log::ChangeKind;
use crate::view::table::{Check, Checks, Folded, Health, Instance, Service, fold};
use std::sync::Arc;

impl ViewBuilder {
    pub(super) fn refresh_instance(&mut self, key: NodeKey, id: &InstanceId) {
        let Some(name) = self.shown_name(key) else { return };
        let wanted = self.owners.get(&key).and_then(|owner| owner.services.get(id)).cloned();
        let shown = self.next.nodes.get(&*name).and_then(|node| node.instances.get(id)).cloned();
        match (shown, wanted) {
            (None, None) => {}
            (None, Some(record)) => self.add_instance(key, &name, record),
            (Some(shown), None) => self.remove_instance(&name, &shown),
            (Some(shown), Some(record)) => {
                if shown.record == record {
                } else if fold(shown.record.name.as_str()) == fold(record.name.as_str()) {
                    self.change_instance(&name, &shown, record);
                } else {
                    self.remove_instance(&name, &shown);
                    self.add_instance(key, &name, record);
                }
            }
        }
    }

    fn add_instance(&mut self, key: NodeKey, name: &Folded, record: Arc<ServiceRecord>) {
        let stamp = self.stamp();
        let check = |record: &Arc<CheckRecord>| {
            let check = Check { record: Arc::clone(record), create_index: stamp, modify_index: stamp };
            (record.id.clone(), Arc::new(check))
        };
        let checks: Checks = match self.owners.get(&key) {
            Some(owner) => owner.checks_of(&record.id).map(check).collect(),
            None => Checks::new(),
        };
        self.next.instances += 1;
        self.next.checks += checks.len();
        if !checks.is_empty() {
            self.next.checks_index = stamp;
        }
        let folded = fold(record.name.as_str());
        if !self.next.services.contains_key(&*folded) {
            let mark = self.next.services_gone.take(&folded);
            let service = Service::new(record.name.clone(), mark.sequence);
            self.next.services.insert(folded.clone(), Arc::new(service));
            self.next.services_index = stamp;
        }
        let instance = Arc::new(Instance { record, checks, create_index: stamp, modify_index: stamp });
        self.store_instance(name, &folded, &instance, stamp);
        let new_tags = self.edit_service(&folded, |service| service.count_tags(&instance.record));
        if new_tags {
            self.next.services_index = stamp;
        }
        self.respell(&folded, stamp);
        self.next.catalog_index = stamp;
        self.log_instance(
            name,
            folded,
            |health| ChangeKind::InstanceAdded(Arc::clone(&instance), health),
            &instance,
        );
    }

    fn change_instance(&mut self, name: &Folded, shown: &Arc<Instance>, record: Arc<ServiceRecord>) {
        let stamp = self.stamp();
        let folded = fold(record.name.as_str());
        let instance = Arc::new(Instance { record, modify_index: stamp, ..(**shown).clone() });
        self.store_instance(name, &folded, &instance, stamp);
        let tags = |service: &Service| service.tags.clone();
        let before = self.edit_service(&folded, |service| tags(service));
        let after = self.edit_service(&folded, |service| {
            service.discount_tags(&shown.record);
            service.count_tags(&instance.record);
            tags(service)
        });
        if !before.keys().eq(after.keys()) {
            self.next.services_index = stamp;
        }
        self.respell(&folded, stamp);
        self.next.catalog_index = stamp;
        // Checks show the tags of their service.
        if !instance.checks.is_empty() {
            self.next.checks_index = stamp;
        }
        self.log_instance(
            name,
            folded,
            |health| ChangeKind::InstanceChanged(Arc::clone(&instance), health),
            &instance,
        );
    }

    pub(super) fn remove_instance(&mut self, name: &Folded, shown: &Arc<Instance>) {
        let stamp = self.stamp();
        let folded = fold(shown.record.name.as_str());
        let id = &shown.record.id;
        self.log_instance(name, folded.clone(), |_| ChangeKind::InstanceRemoved(Arc::clone(shown)), shown);
        self.edit_node(name, |node| {
            node.instances.remove(id);
            node.index = stamp;
        });
        self.next.instances -= 1;
        self.next.checks -= shown.checks.len();
        if !shown.checks.is_empty() {
            self.next.checks_index = stamp;
        }
        self.next.catalog_index = stamp;
        let at = (name.clone(), id.clone());
        let (gone_tags, empty, sequence) = self.edit_service(&folded, |service| {
            service.instances.remove(&at);
            service.index = stamp;
            (service.discount_tags(&shown.record), service.instances.is_empty(), service.sequence)
        });
        if empty {
            self.next.services.remove(&*folded);
            self.next.services_gone.put(folded, Mark { index: stamp, sequence });
            self.next.services_index = stamp;
            return;
        }
        if gone_tags {
            self.next.services_index = stamp;
        }
        self.respell(&folded, stamp);
    }

    /// Puts an instance where it is found by node and by service.
    pub(super) fn store_instance(
        &mut self,
        name: &Folded,
        folded: &Folded,
        instance: &Arc<Instance>,
        stamp: u64,
    ) {
        let id = instance.record.id.clone();
        self.edit_node(name, |node| {
            node.instances.insert(id.clone(), Arc::clone(instance));
            node.index = stamp;
        });
        self.edit_service(folded, |service| {
            service.instances.insert((name.clone(), id), Arc::clone(instance));
            service.index = stamp;
        });
    }

    pub(super) fn edit_service<T>(&mut self, folded: &Folded, edit: impl FnOnce(&mut Service) -> T) -> T {
        let service = self.next.services.get_mut(folded).expect("only shown services are edited");
        edit(Arc::make_mut(service))
    }

    /// A service is listed as its first instance spells it.
    fn respell(&mut self, folded: &Folded, stamp: u64) {
        let respelled = self.edit_service(folded, |service| {
            let first = service.instances.values().next().map(|i| i.record.name.clone());
            match first {
                Some(first) if first != service.name => {
                    service.name = first;
                    true
                }
                Some(_) | None => false,
            }
        });
        if respelled {
            self.next.services_index = stamp;
        }
    }

    pub(super) fn log_instance(
        &mut self,
        name: &Folded,
        folded: Folded,
        kind: impl FnOnce(Health) -> ChangeKind,
        instance: &Instance,
    ) {
        let Some(node) = self.next.nodes.get(&**name) else { return };
        let kind = kind(node.instance_health(instance));
        let node = node.record.name.clone();
        self.log(&node, Some(folded), kind);
    }
}
