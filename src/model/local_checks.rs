use super::{CheckId, InstanceId, Instant, LocalCheck};
use imbl::{OrdMap, OrdSet};
use std::ops::Deref;
use std::sync::Arc;

/// The checks of one host by id, found as well by their instance and by what the clock does to them
/// next. Read as the map it is; changed through [`put`](Self::put) and [`remove`](Self::remove) alone,
/// which keep the other two ways in step. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalChecks {
    table: OrdMap<CheckId, Arc<LocalCheck>>,
    by_deadline: OrdSet<(Instant, CheckId)>,
    by_owner: OrdMap<Option<InstanceId>, OrdSet<CheckId>>,
}

impl Deref for LocalChecks {
    type Target = OrdMap<CheckId, Arc<LocalCheck>>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

impl LocalChecks {
    /// Adds a check, or replaces the one with the same id.
    pub fn put(&mut self, check: LocalCheck) {
        let id = check.definition.id.clone();
        let old = self.table.get(&id);
        if old.is_none_or(|old| old.definition.service_id != check.definition.service_id) {
            self.remove(&id);
            self.by_owner.entry(check.definition.service_id.clone()).or_default().insert(id.clone());
        } else if let Some(at) = old.and_then(|old| old.next_deadline()) {
            self.by_deadline.remove(&(at, id.clone()));
        }
        if let Some(at) = check.next_deadline() {
            self.by_deadline.insert((at, id.clone()));
        }
        self.table.insert(id, Arc::new(check));
    }

    /// Takes a check out.
    pub fn remove(&mut self, id: &CheckId) -> Option<Arc<LocalCheck>> {
        let old = self.table.remove(id)?;
        if let Some(at) = old.next_deadline() {
            self.by_deadline.remove(&(at, id.clone()));
        }
        let owner = &old.definition.service_id;
        if let Some(ids) = self.by_owner.get_mut(owner) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_owner.remove(owner);
            }
        }
        Some(old)
    }

    /// The checks of an instance, or with `None` those of the node itself, by id.
    pub fn of(&self, instance: Option<&InstanceId>) -> impl Iterator<Item = &Arc<LocalCheck>> {
        let ids = self.by_owner.get(&instance.cloned());
        ids.into_iter().flat_map(|ids| ids.iter()).filter_map(|id| self.table.get(id))
    }

    /// The check that the clock does something to next, and when.
    pub fn next_due(&self) -> Option<(Instant, &Arc<LocalCheck>)> {
        let (at, id) = self.by_deadline.get_min()?;
        Some((*at, self.table.get(id)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckDefinition, CheckKind, CheckStatus};
    use std::time::Duration;

    fn check(id: &str, instance: Option<&str>, deadline: Option<u64>) -> LocalCheck {
        let definition = CheckDefinition {
            id: CheckId::new(id).expect("valid"),
            name: id.to_owned(),
            notes: String::new(),
            service_id: instance.map(|i| InstanceId::new(i).expect("valid")),
            kind: CheckKind::Ttl { ttl: Duration::from_secs(1) },
            initial_status: None,
            interval: String::new(),
            timeout: String::new(),
            deregister_critical_after: None,
        };
        LocalCheck {
            definition: Arc::new(definition),
            status: CheckStatus::Passing,
            output: Arc::from(""),
            deadline: deadline.map(Instant::from_nanos),
            critical_since: None,
        }
    }

    fn ids(checks: &LocalChecks, instance: &str) -> Vec<String> {
        let instance = InstanceId::new(instance).expect("valid");
        checks.of(Some(&instance)).map(|c| c.definition.id.to_string()).collect()
    }

    #[test]
    fn the_ways_to_a_check_stay_in_step() {
        let mut checks = LocalChecks::default();
        checks.put(check("a", Some("web"), Some(30)));
        checks.put(check("b", Some("web"), Some(20)));
        checks.put(check("c", None, Some(40)));
        assert_eq!(ids(&checks, "web"), ["a", "b"]);
        assert_eq!(checks.of(None).count(), 1);
        assert_eq!(checks.next_due().map(|(at, _)| at.as_nanos()), Some(20));
        checks.put(check("b", Some("db"), Some(50)));
        assert_eq!((ids(&checks, "web"), ids(&checks, "db")), (vec!["a".to_owned()], vec!["b".to_owned()]));
        assert_eq!(checks.next_due().map(|(at, _)| at.as_nanos()), Some(30));
        checks.put(check("a", Some("web"), None));
        assert_eq!(checks.next_due().map(|(at, _)| at.as_nanos()), Some(40));
        for id in ["a", "b", "c"] {
            checks.remove(&CheckId::new(id).expect("valid"));
        }
        assert_eq!(checks, LocalChecks::default());
    }
}
