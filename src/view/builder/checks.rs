//! Checks of nodes and instances: which changes are told and which are not.

use super::ViewBuilder;
use crate::model::{CheckText, PackedCheck};
use crate::view::log::ChangeKind;
use crate::view::table::{Check, Folded, Health, Node, fold};
use std::sync::Arc;

/// What is done to the checks of a node or an instance.
enum Edit<'a> {
    Put(&'a Check),
    Remove(&'a str),
}

impl ViewBuilder {
    /// Shows a check; `false` when its instance is not there.
    pub(super) fn show_check(&mut self, name: &Folded, record: PackedCheck) -> bool {
        let node = self.next.nodes.get(&**name).expect("only checks of shown nodes are put");
        let known = match record.service_id() {
            None => node.checks.get(record.id()).cloned(),
            Some(service) => match node.instances.get(service) {
                Some(instance) => instance.checks.get(record.id()).cloned(),
                None => return false,
            },
        };
        if known.as_ref().is_some_and(|known| known.record == record) {
            return true;
        }
        let quiet = known.as_ref().is_some_and(|known| differs_in_output_only(&known.record, &record));
        let index = if quiet { 0 } else { self.stamp() };
        let check = Check {
            create_index: known.as_ref().map_or(index, |known| known.create_index),
            modify_index: known.as_ref().filter(|_| quiet).map_or(index, |known| known.modify_index),
            record,
        };
        if known.is_none() {
            self.next.checks += 1;
        }
        self.dirty = true;
        let previous = known.map(|known| known.record.status());
        self.edit_check(name, check.record.service_id(), quiet, &Edit::Put(&check), |health| {
            ChangeKind::CheckChanged { check: check.clone(), previous, health }
        });
        true
    }

    pub(super) fn remove_check(&mut self, name: &Folded, record: &PackedCheck) {
        let node = self.next.nodes.get(&**name).expect("only checks of shown nodes are removed");
        let shown = match record.service_id() {
            None => node.checks.get(record.id()),
            Some(service) => node.instances.get(service).and_then(|i| i.checks.get(record.id())),
        };
        let Some(check) = shown.cloned() else { return };
        self.next.checks -= 1;
        self.edit_check(name, record.service_id(), false, &Edit::Remove(record.id()), |health| {
            ChangeKind::CheckRemoved { check: check.clone(), health }
        });
    }

    /// Edits the checks of a node (`service` is `None`) or of one of its instances. A quiet edit
    /// raises no index and is not told.
    fn edit_check(
        &mut self,
        name: &Folded,
        service: Option<&str>,
        quiet: bool,
        edit: &Edit<'_>,
        kind: impl FnOnce(Health) -> ChangeKind,
    ) {
        let Some(id) = service else {
            let edit = |node: &mut Node| match edit {
                Edit::Put(check) => node.checks.insert((*check).clone()),
                Edit::Remove(id) => node.checks.remove(id),
            };
            if quiet {
                self.edit_node(name, edit);
            } else {
                self.edit_node_checks(name, edit, kind);
            }
            return;
        };
        let node = self.next.nodes.get(&**name).expect("only checks of shown nodes are edited");
        let Some(shown) = node.instances.get(id) else { return };
        let mut instance = (**shown).clone();
        match edit {
            Edit::Put(check) => instance.checks.insert((*check).clone()),
            Edit::Remove(id) => instance.checks.remove(id),
        }
        let instance = Arc::new(instance);
        let folded = fold(instance.record.name());
        if quiet {
            let (index, at_service) = (node.index, self.next.services.get(&*folded).map_or(0, |s| s.index));
            self.store_instance(name, &folded, &instance, index);
            self.edit_service(&folded, |service| service.index = at_service);
            return;
        }
        let stamp = self.stamp();
        self.store_instance(name, &folded, &instance, stamp);
        self.next.checks_index = stamp;
        self.log_instance(name, folded, kind, &instance);
    }
}

/// The last output alone is not worth waking anybody.
fn differs_in_output_only(a: &PackedCheck, b: &PackedCheck) -> bool {
    CheckText { output: "", ..a.read() } == CheckText { output: "", ..b.read() }
}
