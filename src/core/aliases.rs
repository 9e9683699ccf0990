//! Checks that stand for others: as the worst of those of an instance and of its node.
//!
//! Owns which checks of this host do, and for whom, and the verdict on those whose target is on this
//! host. The verdict looks through checks that stand for others themselves, down to ones with results
//! of their own, so that two that stand for each other cannot hold each other critical. After a change
//! only those are looked at that it can reach.

use crate::model::{Alias, CheckId, CheckKind, CheckStatus, InstanceId, LocalCheck, LocalState, NodeKey};
use std::collections::{BTreeMap, BTreeSet};

/// What a check that stands for others is, and why.
pub(super) type Verdict = (CheckStatus, String);

/// All such checks of this host.
#[derive(Debug)]
pub(super) struct Aliases {
    own: NodeKey,
    targets: BTreeMap<CheckId, (NodeKey, Option<InstanceId>)>,
    by_node: BTreeMap<NodeKey, BTreeSet<CheckId>>,
    /// Of those whose target is on this host: by the instance, `None` for the node itself.
    here: BTreeMap<Option<InstanceId>, BTreeSet<CheckId>>,
}

/// What was changed on this host.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Instances that came, went, or have other checks or results; `None` is the node itself.
    pub(super) of: BTreeSet<Option<InstanceId>>,
    /// Checks that are new or defined anew.
    pub(super) defined: BTreeSet<CheckId>,
}

impl Changed {
    /// Anything may have.
    pub(super) fn all() -> Self {
        Self { of: BTreeSet::from([None]), defined: BTreeSet::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.defined.is_empty()
    }
}

/// What a check is said to stand for, if it does.
pub(super) fn alias_of(check: &LocalCheck) -> Option<&Alias> {
    match &check.definition.kind {
        CheckKind::Alias(alias) => Some(alias),
        CheckKind::Ttl { .. } | CheckKind::Maintenance | CheckKind::Probe(_) => None,
    }
}

impl Aliases {
    pub(super) const fn new(own: NodeKey) -> Self {
        Self { own, targets: BTreeMap::new(), by_node: BTreeMap::new(), here: BTreeMap::new() }
    }

    fn target(&self, alias: &Alias) -> NodeKey {
        alias.node.as_ref().map_or(self.own, |name| name.key())
    }

    /// The check is as it is now. Gives back whom it stood for and whom it stands for.
    pub(super) fn put(&mut self, check: &LocalCheck) -> (Option<NodeKey>, Option<NodeKey>) {
        let id = &check.definition.id;
        let before = self.remove(id);
        let after = alias_of(check).map(|alias| (self.target(alias), alias.service.clone()));
        if let Some((node, service)) = &after {
            self.by_node.entry(*node).or_default().insert(id.clone());
            if *node == self.own {
                self.here.entry(service.clone()).or_default().insert(id.clone());
            }
            self.targets.insert(id.clone(), (*node, service.clone()));
        }
        (before, after.map(|(node, _)| node))
    }

    /// The check is gone. Gives back whom it stood for.
    pub(super) fn remove(&mut self, id: &CheckId) -> Option<NodeKey> {
        let (node, service) = self.targets.remove(id)?;
        remove_from(&mut self.by_node, &node, id);
        if node == self.own {
            remove_from(&mut self.here, &service, id);
        }
        Some(node)
    }

    /// The checks that stand for something on `node`.
    pub(super) fn of_node(&self, node: NodeKey) -> Vec<CheckId> {
        self.by_node.get(&node).into_iter().flatten().cloned().collect()
    }

    /// The checks that stand for something on this host and may be other than they were, now that this
    /// has changed. One that stands for an instance is a check of another, which others stand for; and the
    /// node's own checks are everybody's.
    pub(super) fn reached(&self, state: &LocalState, changed: &Changed) -> Vec<CheckId> {
        if self.here.is_empty() {
            return Vec::new();
        }
        let is_here = |id: &&CheckId| self.targets.get(*id).is_some_and(|(node, _)| *node == self.own);
        let mut reached: BTreeSet<CheckId> = changed.defined.iter().filter(is_here).cloned().collect();
        let mut seen = changed.of.clone();
        let mut todo: Vec<Option<InstanceId>> = seen.iter().cloned().collect();
        while let Some(of) = todo.pop() {
            if of.is_none() {
                return self.of_node(self.own);
            }
            for id in self.here.get(&of).into_iter().flatten() {
                if reached.insert(id.clone())
                    && let Some(check) = state.checks.get(id)
                    && seen.insert(check.definition.service_id.clone())
                {
                    todo.push(check.definition.service_id.clone());
                }
            }
        }
        reached.into_iter().collect()
    }

    /// What the check `id` is, whose target is on this host.
    pub(super) fn verdict_here(&self, state: &LocalState, id: &CheckId, alias: &Alias) -> Verdict {
        if let Some(service) = &alias.service
            && !state.services.contains_key(service)
        {
            return (CheckStatus::Critical, format!("no instance {:?} on this node", service.as_str()));
        }
        let mut seen = BTreeSet::from([id.clone()]);
        let mut worst = Worst::default();
        self.look(state, alias.service.as_ref(), &mut seen, &mut worst);
        worst.verdict()
    }

    fn look(
        &self,
        state: &LocalState,
        service: Option<&InstanceId>,
        seen: &mut BTreeSet<CheckId>,
        worst: &mut Worst,
    ) {
        let own = service.into_iter().flat_map(|service| state.checks.of(Some(service)));
        for check in state.checks.of(None).chain(own) {
            if !seen.insert(check.definition.id.clone()) {
                continue;
            }
            match alias_of(check) {
                Some(inner) if self.target(inner) == self.own => {
                    let missing = inner.service.as_ref().filter(|s| !state.services.contains_key(*s));
                    if missing.is_some() {
                        worst.take(&check.definition.name, CheckStatus::Critical, &check.output);
                    } else {
                        self.look(state, inner.service.as_ref(), seen, worst);
                    }
                }
                _ => worst.take(&check.definition.name, check.status, &check.output),
            }
        }
    }
}

fn remove_from<K: Ord>(index: &mut BTreeMap<K, BTreeSet<CheckId>>, key: &K, id: &CheckId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// The worst of some checks.
#[derive(Debug, Default)]
pub(super) struct Worst {
    any: bool,
    failing: Option<Verdict>,
}

impl Worst {
    /// Takes one more check into account.
    pub(super) fn take(&mut self, name: &str, status: CheckStatus, output: &str) {
        self.any = true;
        let known = self.failing.as_ref().map_or(CheckStatus::Passing, |(status, _)| *status);
        if status > known {
            self.failing = Some((status, format!("Aliased check {name:?} failing: {output}")));
        }
    }

    /// What they come to together.
    pub(super) fn verdict(self) -> Verdict {
        let fine = if self.any { "All checks passing." } else { "No checks found." };
        self.failing.unwrap_or_else(|| (CheckStatus::Passing, fine.to_owned()))
    }
}
