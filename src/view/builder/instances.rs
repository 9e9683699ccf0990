//! Service instances: where they are found, the tags of their service, and when its list entry changes.

use super::ViewBuilder;
use crate::model::{NodeKey, PackedService, ServiceName};
use crate::view::gone::Mark;
use crate::view::keyed::Checks;
use crate::view::log::ChangeKind;
use crate::view::table::{Check, Folded, Health, Instance, Service, fold};
use std::sync::Arc;

impl ViewBuilder {
    /// Shows an instance of a shown node as `record` says.
    pub(super) fn refresh_instance(&mut self, key: NodeKey, name: &Folded, record: PackedService) {
        let shown = self.next.nodes.get(&**name).and_then(|node| node.instances.get(record.id())).cloned();
        match shown {
            None => self.add_instance(key, name, record),
            Some(shown) if shown.record == record => {}
            Some(shown) if fold(shown.record.name()) == fold(record.name()) => {
                self.change_instance(name, &shown, record);
            }
            Some(shown) => {
                self.remove_instance(key, name, &shown);
                self.add_instance(key, name, record);
            }
        }
    }

    fn add_instance(&mut self, key: NodeKey, name: &Folded, record: PackedService) {
        let stamp = self.stamp();
        let mut checks = Checks::new();
        if let Some(owner) = self.owners.get_mut(&key) {
            for record in owner.checks.take_waiting(Some(record.id())) {
                checks.insert(Check { record, create_index: stamp, modify_index: stamp });
            }
        }
        self.next.instances += 1;
        self.next.checks += checks.len();
        if !checks.is_empty() {
            self.next.checks_index = stamp;
        }
        let folded = fold(record.name());
        if !self.next.services.contains_key(&*folded) {
            let mark = self.next.services_gone.take(&folded);
            let service = Service::new(service_name(&record), mark.sequence);
            self.next.services.insert(folded.clone(), Arc::new(service));
            self.next.services_index = stamp;
        }
        let node = self.next.nodes.get(&**name).expect("instances are added to shown nodes");
        let node = Arc::clone(&node.folded);
        let instance = Arc::new(Instance { record, node, checks, create_index: stamp, modify_index: stamp });
        self.store_on_node(name, &instance, stamp);
        let listed = self.edit_service(&folded, |service| {
            service.put(&instance, stamp);
            let new_tags = service.count_tags(&instance.record);
            respell(service) || new_tags
        });
        if listed {
            self.next.services_index = stamp;
        }
        self.next.catalog_index = stamp;
        self.log_instance(
            name,
            folded,
            |health| ChangeKind::InstanceAdded(Arc::clone(&instance), health),
            &instance,
        );
    }

    fn change_instance(&mut self, name: &Folded, shown: &Arc<Instance>, record: PackedService) {
        let stamp = self.stamp();
        let folded = fold(record.name());
        let instance = Arc::new(Instance { record, modify_index: stamp, ..(**shown).clone() });
        self.store_on_node(name, &instance, stamp);
        let listed = self.edit_service(&folded, |service| {
            service.put(&instance, stamp);
            // New ones first: a tag that both have is never gone in between.
            let new_tags = service.count_tags(&instance.record);
            let gone_tags = service.discount_tags(&shown.record);
            respell(service) || new_tags || gone_tags
        });
        if listed {
            self.next.services_index = stamp;
        }
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

    /// Takes an instance away. Its checks wait for it to come back.
    pub(super) fn remove_instance(&mut self, key: NodeKey, name: &Folded, shown: &Arc<Instance>) {
        let stamp = self.stamp();
        let folded = fold(shown.record.name());
        let id = shown.record.id();
        if let Some(owner) = self.owners.get_mut(&key) {
            shown.checks.values().for_each(|check| owner.checks.wait(&check.record));
        }
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
        let (listed, empty, sequence) = self.edit_service(&folded, |service| {
            service.instances.remove((name, id));
            service.index = stamp;
            let gone_tags = service.discount_tags(&shown.record);
            (respell(service) || gone_tags, service.instances.is_empty(), service.sequence)
        });
        if empty {
            self.next.services.remove(&*folded);
            self.next.services_gone.put(folded, Mark { index: stamp, sequence });
        }
        if empty || listed {
            self.next.services_index = stamp;
        }
    }

    /// Puts an instance where it is found by node and by service.
    pub(super) fn store_instance(
        &mut self,
        name: &Folded,
        folded: &Folded,
        instance: &Arc<Instance>,
        stamp: u64,
    ) {
        self.store_on_node(name, instance, stamp);
        self.edit_service(folded, |service| service.put(instance, stamp));
    }

    fn store_on_node(&mut self, name: &Folded, instance: &Arc<Instance>, stamp: u64) {
        self.edit_node(name, |node| {
            node.instances.insert(Arc::clone(instance));
            node.index = stamp;
        });
    }

    pub(super) fn edit_service<T>(&mut self, folded: &Folded, edit: impl FnOnce(&mut Service) -> T) -> T {
        let service = self.next.services.get_mut(folded).expect("only shown services are edited");
        edit(Arc::make_mut(service))
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

/// A service is listed as its first instance spells it; says whether that changed.
fn respell(service: &mut Service) -> bool {
    match service.instances.values().next() {
        Some(first) if first.record.name() != service.name.as_str() => {
            service.name = service_name(&first.record);
            true
        }
        Some(_) | None => false,
    }
}

fn service_name(record: &PackedService) -> ServiceName {
    ServiceName::new(record.name()).expect("it was packed from a record")
}
