//! Checks of nodes and instances: which changes are told and which are not.

use super::ViewBuilder;
use crate::model::{CheckRecord, InstanceId};
use crate::view::log::ChangeKind;
use crate::view::table::{Check, Checks, Folded, Health, fold};
use std::sync::Arc;

impl ViewBuilder {
    pub(super) fn put_check(&mut self, name: &Folded, record: Arc<CheckRecord>) {
        let node = self.next.nodes.get(&**name).expect("only checks of shown nodes are put");
        let shown_at = match &record.service_id {
            None => &node.checks,
            Some(service) => match node.instances.get(service) {
                Some(instance) => &instance.checks,
                // Kept in the owner's records; shown when its instance is.
                None => return,
            },
        };
        let known = shown_at.get(&record.id).cloned();
        if known.as_ref().is_some_and(|known| known.record == record) {
            return;
        }
        let quiet = known.as_ref().is_some_and(|known| differs_in_output_only(&known.record, &record));
        let index = if quiet { 0 } else { self.stamp() };
        let check = Arc::new(Check {
            create_index: known.as_ref().map_or(index, |known| known.create_index),
            modify_index: known.as_ref().filter(|_| quiet).map_or(index, |known| known.modify_index),
            record,
        });
        if known.is_none() {
            self.next.checks += 1;
        }
        self.dirty = true;
        let previous = known.map(|known| known.record.status);
        let id = check.record.id.clone();
        self.edit_check(
            name,
            &check.record.service_id,
            quiet,
            |checks| {
                checks.insert(id, Arc::clone(&check));
            },
            |health| ChangeKind::CheckChanged { check: Arc::clone(&check), previous, health },
        );
    }

    pub(super) fn remove_check(&mut self, name: &Folded, record: &CheckRecord) {
        let node = self.next.nodes.get(&**name).expect("only checks of shown nodes are removed");
        let shown_at = match &record.service_id {
            None => Some(&node.checks),
            Some(service) => node.instances.get(service).map(|instance| &instance.checks),
        };
        let Some(check) = shown_at.and_then(|checks| checks.get(&record.id)).cloned() else { return };
        self.next.checks -= 1;
        self.edit_check(
            name,
            &record.service_id,
            false,
            |checks| {
                checks.remove(&record.id);
            },
            |health| ChangeKind::CheckRemoved { check: Arc::clone(&check), health },
        );
    }

    /// Edits the checks of a node (`service` is `None`) or of one of its instances. A quiet edit
    /// raises no index and is not told.
    fn edit_check(
        &mut self,
        name: &Folded,
        service: &Option<InstanceId>,
        quiet: bool,
        edit: impl FnOnce(&mut Checks),
        kind: impl FnOnce(Health) -> ChangeKind,
    ) {
        let Some(id) = service else {
            if quiet {
                self.edit_node(name, |node| edit(&mut node.checks));
            } else {
                self.edit_node_checks(name, |node| edit(&mut node.checks), kind);
            }
            return;
        };
        let node = self.next.nodes.get(&**name).expect("only checks of shown nodes are edited");
        let Some(shown) = node.instances.get(id) else { return };
        let mut instance = (**shown).clone();
        edit(&mut instance.checks);
        let instance = Arc::new(instance);
        let folded = fold(instance.record.name.as_str());
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
fn differs_in_output_only(a: &CheckRecord, b: &CheckRecord) -> bool {
    let CheckRecord { id, name, service_id, status, notes, output: _, kind, interval, timeout, extensions } =
        a;
    *id == b.id
        && *name == b.name
        && *service_id == b.service_id
        && *status == b.status
        && *notes == b.notes
        && *kind == b.kind
        && *interval == b.interval
        && *timeout == b.timeout
        && *extensions == b.extensions
}
