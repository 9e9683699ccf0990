//! Checks that stand for others: as the worst of those of an instance and of its node.
//!
//! Owns which checks of this host do, and for whom, and the verdict on those whose target is on this
//! host. The verdict looks through checks that stand for others themselves, down to ones with results
//! of their own, so that two that stand for each other cannot hold each other critical.

use crate::model::{Alias, CheckId, CheckKind, CheckStatus, InstanceId, LocalCheck, LocalState, NodeKey};
use std::collections::{BTreeMap, BTreeSet};

/// What a check that stands for others is, and why.
pub(super) type Verdict = (CheckStatus, String);

/// All such checks of this host.
#[derive(Debug)]
pub(super) struct Aliases {
    own: NodeKey,
    targets: BTreeMap<CheckId, NodeKey>,
    by_node: BTreeMap<NodeKey, BTreeSet<CheckId>>,
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
        Self { own, targets: BTreeMap::new(), by_node: BTreeMap::new() }
    }

    fn target(&self, alias: &Alias) -> NodeKey {
        alias.node.as_ref().map_or(self.own, |name| name.key())
    }

    /// The check is as it is now. Gives back whom it stood for and whom it stands for.
    pub(super) fn put(&mut self, check: &LocalCheck) -> (Option<NodeKey>, Option<NodeKey>) {
        let id = &check.definition.id;
        let before = self.remove(id);
        let after = alias_of(check).map(|alias| self.target(alias));
        if let Some(node) = after {
            self.targets.insert(id.clone(), node);
            self.by_node.entry(node).or_default().insert(id.clone());
        }
        (before, after)
    }

    /// The check is gone. Gives back whom it stood for.
    pub(super) fn remove(&mut self, id: &CheckId) -> Option<NodeKey> {
        let node = self.targets.remove(id)?;
        if let Some(ids) = self.by_node.get_mut(&node) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_node.remove(&node);
            }
        }
        Some(node)
    }

    /// The checks that stand for something on `node`.
    pub(super) fn of_node(&self, node: NodeKey) -> Vec<CheckId> {
        self.by_node.get(&node).into_iter().flatten().cloned().collect()
    }

    /// Whether any check stands for something on this host.
    pub(super) fn any_here(&self) -> bool {
        self.by_node.contains_key(&self.own)
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
