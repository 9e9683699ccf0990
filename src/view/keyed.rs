//! How instances and checks are found: by id on their node, by place all over the cluster. Their
//! keys are read from them, and not kept a second time beside each.

use super::sorted::{Order, Sorted};
use super::table::{Check, Instance};
use std::cmp::Ordering;
use std::sync::Arc;

/// By id, inside one node or one instance.
#[derive(Debug)]
pub struct ById;

impl Order<Check> for ById {
    type Key<'k> = &'k str;
    fn key(check: &Check) -> &str {
        check.record.id()
    }
    fn compare(check: &Check, key: &str) -> Ordering {
        check.record.id_bytes().cmp(key.as_bytes())
    }
}

impl Order<Arc<Instance>> for ById {
    type Key<'k> = &'k str;
    fn key(instance: &Arc<Instance>) -> &str {
        instance.record.id()
    }
    fn compare(instance: &Arc<Instance>, key: &str) -> Ordering {
        instance.record.id_bytes().cmp(key.as_bytes())
    }
}

/// By the name of the node, in lower case, and the id there.
#[derive(Debug)]
pub struct ByPlace;

impl Order<Arc<Instance>> for ByPlace {
    type Key<'k> = (&'k str, &'k str);
    fn key(instance: &Arc<Instance>) -> (&str, &str) {
        (&instance.node, instance.record.id())
    }
    fn compare(instance: &Arc<Instance>, (node, id): (&str, &str)) -> Ordering {
        (**instance.node).cmp(node).then_with(|| instance.record.id_bytes().cmp(id.as_bytes()))
    }
}

/// Things by id.
pub type IdSet<T> = Sorted<T, ById>;

/// Instances of many nodes.
pub type PlaceSet = Sorted<Arc<Instance>, ByPlace>;

/// The checks of one instance by id. A single one, as most have, stands in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks(Held);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    One(Check),
    /// Any other number. In a box, so that none costs nothing.
    Several(Option<Box<IdSet<Check>>>),
}

impl Checks {
    pub(super) fn new() -> Self {
        Self(Held::Several(None))
    }

    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&Check> {
        match &self.0 {
            Held::One(check) => (check.record.id() == id).then_some(check),
            Held::Several(checks) => checks.as_ref()?.get(id),
        }
    }

    /// All, in the order of ids.
    pub fn values(&self) -> impl Iterator<Item = &Check> {
        let (one, several) = match &self.0 {
            Held::One(check) => (Some(check), None),
            Held::Several(checks) => (None, checks.as_deref()),
        };
        one.into_iter().chain(several.into_iter().flat_map(IdSet::values))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::One(_) => 1,
            Held::Several(checks) => checks.as_ref().map_or(0, |checks| checks.len()),
        }
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, check: Check) {
        match &mut self.0 {
            Held::One(known) if known.record.id() == check.record.id() => *known = check,
            Held::One(known) => {
                let mut checks = IdSet::new();
                checks.insert(known.clone());
                checks.insert(check);
                self.0 = Held::Several(Some(Box::new(checks)));
            }
            Held::Several(Some(checks)) => checks.insert(check),
            Held::Several(None) => self.0 = Held::One(check),
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        match &mut self.0 {
            Held::One(known) if known.record.id() == id => *self = Self::new(),
            Held::One(_) | Held::Several(None) => {}
            Held::Several(Some(checks)) => {
                checks.remove(id);
                if checks.len() == 1
                    && let Some(last) = checks.values().next().cloned()
                {
                    self.0 = Held::One(last);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckStatus, MemberStatus, PackedCheck};

    fn check(id: &str) -> Check {
        let serf = Check::serf(MemberStatus::Alive, 1, 1);
        let mut record = serf.record.unpack();
        record.id = crate::model::CheckId::new(id).expect("valid");
        Check { record: PackedCheck::new(&record), ..serf }
    }

    #[test]
    fn checks_are_found_whether_there_is_one_or_more() {
        let mut checks = Checks::new();
        assert!(checks.is_empty());
        for (n, id) in ["b", "a", "c", "a"].into_iter().enumerate() {
            checks.insert(check(id));
            assert_eq!(checks.len(), [1, 2, 3, 3][n]);
        }
        assert_eq!(checks.values().map(|c| c.record.id()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(checks.get("b").map(|c| c.record.status()), Some(CheckStatus::Passing));
        let mut alone = Checks::new();
        alone.insert(check("c"));
        for id in ["a", "a", "b"] {
            checks.remove(id);
        }
        assert_eq!(checks, alone, "how many there were does not show");
        checks.remove("x");
        assert_eq!(checks, alone);
        checks.remove("c");
        assert_eq!(checks, Checks::new());
    }

    #[test]
    fn an_instance_with_its_check_fits_the_allocation_it_is_counted_with() {
        // With the counts of `Arc` 88 bytes; one more pointer would take 16 bytes for a million.
        assert!(size_of::<Instance>() <= 72, "{}", size_of::<Instance>());
    }
}
