//! Collections of things that know their own keys, so that a key is not kept a second time beside
//! each: persistent sets for instances, and the checks of one instance, mostly one.
//!
//! Inner nodes of a set keep some things as signposts. Of one that was replaced by another of the
//! same key the old one may stay a signpost for a while; only its key matters there.

use super::table::{Check, Instance};
use imbl::OrdSet;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Something found by its id.
pub trait Identified {
    /// Its id.
    fn id(&self) -> &str;
}

impl Identified for Check {
    fn id(&self) -> &str {
        self.record.id()
    }
}

impl Identified for Arc<Instance> {
    fn id(&self) -> &str {
        self.record.id()
    }
}

/// Compared by id alone.
#[derive(Debug, Clone)]
struct ById<T>(T);

impl<T: Identified> PartialEq for ById<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl<T: Identified> Eq for ById<T> {}

impl<T: Identified> PartialOrd for ById<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Identified> Ord for ById<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id().cmp(other.0.id())
    }
}

impl<T: Identified> Borrow<str> for ById<T> {
    fn borrow(&self) -> &str {
        self.0.id()
    }
}

/// Things by id. A copy shares all structure.
#[derive(Clone)]
pub struct IdSet<T: Identified + Clone>(OrdSet<ById<T>>);

impl<T: Identified + Clone + fmt::Debug> IdSet<T> {
    pub(super) fn new() -> Self {
        Self(OrdSet::new())
    }

    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&T> {
        self.0.get(id).map(|by_id| &by_id.0)
    }

    /// All, in the order of ids.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|by_id| &by_id.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, value: T) {
        self.0.insert(ById(value));
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }
}

impl<T: Identified + Clone + PartialEq + fmt::Debug> PartialEq for IdSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

impl<T: Identified + Clone + Eq + fmt::Debug> Eq for IdSet<T> {}

impl<T: Identified + Clone + fmt::Debug> fmt::Debug for IdSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

/// The checks of one instance by id. A single one, as most have, stands in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks(Held);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    One(Check),
    /// Any other number.
    Several(IdSet<Check>),
}

impl Checks {
    pub(super) fn new() -> Self {
        Self(Held::Several(IdSet::new()))
    }

    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&Check> {
        match &self.0 {
            Held::One(check) => (check.id() == id).then_some(check),
            Held::Several(checks) => checks.get(id),
        }
    }

    /// All, in the order of ids.
    pub fn values(&self) -> impl Iterator<Item = &Check> {
        let (one, several) = match &self.0 {
            Held::One(check) => (Some(check), None),
            Held::Several(checks) => (None, Some(checks)),
        };
        one.into_iter().chain(several.into_iter().flat_map(IdSet::values))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::One(_) => 1,
            Held::Several(checks) => checks.len(),
        }
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, check: Check) {
        match &mut self.0 {
            Held::One(known) if known.id() == check.id() => *known = check,
            Held::Several(checks) if checks.is_empty() => self.0 = Held::One(check),
            Held::Several(checks) => checks.insert(check),
            Held::One(known) => {
                let mut checks = IdSet::new();
                checks.insert(known.clone());
                checks.insert(check);
                self.0 = Held::Several(checks);
            }
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        match &mut self.0 {
            Held::One(known) if known.id() != id => {}
            Held::One(_) => *self = Self::new(),
            Held::Several(checks) => {
                checks.remove(id);
                let mut left = checks.values();
                if let (Some(last), None) = (left.next().cloned(), left.next()) {
                    drop(left);
                    self.0 = Held::One(last);
                }
            }
        }
    }
}

/// Where an instance is: the name of its node in lower case, and its id there.
trait Placed {
    fn place(&self) -> (&str, &str);
}

#[derive(Debug, Clone)]
struct ByPlace(Arc<Instance>);

impl Placed for ByPlace {
    fn place(&self) -> (&str, &str) {
        (&self.0.node, self.0.record.id())
    }
}

impl Placed for (&str, &str) {
    fn place(&self) -> (&str, &str) {
        *self
    }
}

impl<'a> Borrow<dyn Placed + 'a> for ByPlace {
    fn borrow(&self) -> &(dyn Placed + 'a) {
        self
    }
}

impl PartialEq for dyn Placed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for dyn Placed + '_ {}

impl PartialOrd for dyn Placed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialEq for ByPlace {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for ByPlace {}

impl PartialOrd for ByPlace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByPlace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// Instances of many nodes, by node and id. A copy shares all structure.
#[derive(Debug, Clone)]
pub struct PlaceSet(OrdSet<ByPlace>);

impl PlaceSet {
    pub(super) fn new() -> Self {
        Self(OrdSet::new())
    }

    /// All, by node and id.
    pub fn values(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.0.iter().map(|by_place| &by_place.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, instance: Arc<Instance>) {
        self.0.insert(ByPlace(instance));
    }

    pub(super) fn remove(&mut self, node: &str, id: &str) {
        let place = (node, id);
        let place: &dyn Placed = &place;
        self.0.remove(place);
    }
}

impl PartialEq for PlaceSet {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

impl Eq for PlaceSet {}

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
        assert_eq!(checks.values().map(Identified::id).collect::<Vec<_>>(), ["a", "b", "c"]);
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
