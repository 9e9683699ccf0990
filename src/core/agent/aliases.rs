//! Following what checks of this host stand for, here and on other nodes.

use super::Agent;
use crate::core::aliases::{Changed, Verdict, Worst, alias_of};
use crate::core::local;
use crate::model::{
    Alias, CheckId, CheckStatus, Entry, EntryKey, Instant, LocalCheck, LocalState, MemberStatus, NodeKey,
};

impl Agent {
    /// A check of this host was added, replaced, or (`None`) removed.
    pub(super) fn note_alias(&mut self, id: &CheckId, check: Option<&LocalCheck>) {
        let (before, after) = match check {
            Some(check) => self.aliases.put(check),
            None => (self.aliases.remove(id), None),
        };
        if let Some(node) = before.filter(|node| *node != self.own) {
            self.events.unwatch(node);
        }
        if let Some(node) = after.filter(|node| *node != self.own) {
            self.events.watch(node);
        }
    }

    /// What is registered here, with all checks that stand for something on this host as they must be
    /// by now, after these changes; `None` when they are so already.
    pub(in crate::core) fn followed_here(&self, changed: &Changed, now: Instant) -> Option<LocalState> {
        self.with_verdicts(self.aliases.reached(&self.local, changed), now, |id, alias| {
            self.aliases.verdict_here(&self.local, id, alias)
        })
    }

    /// The same for what stands for something on `node`.
    pub(super) fn followed_there(&self, node: NodeKey, now: Instant) -> Option<LocalState> {
        self.with_verdicts(self.aliases.of_node(node), now, |_, alias| self.verdict_there(node, alias))
    }

    fn with_verdicts(
        &self,
        ids: Vec<CheckId>,
        now: Instant,
        verdict: impl Fn(&CheckId, &Alias) -> Verdict,
    ) -> Option<LocalState> {
        let mut after: Option<LocalState> = None;
        for id in ids {
            let Some(check) = self.local.checks.get(&id) else { continue };
            let Some(alias) = alias_of(check) else { continue };
            let (status, output) = verdict(&id, alias);
            if status != check.status || *check.output != *output {
                let after = after.get_or_insert_with(|| self.local.clone());
                local::finding(after, &id, Some(status), &output, now);
            }
        }
        after
    }

    fn verdict_there(&self, node: NodeKey, alias: &Alias) -> Verdict {
        let name = alias.node.as_ref().map_or("", |name| name.as_str());
        let critical = |why: String| (CheckStatus::Critical, why);
        match self.member(node).map(|member| member.status) {
            None => return critical(format!("no node is named {name:?}")),
            Some(status @ (MemberStatus::Failed | MemberStatus::Left)) => {
                return critical(format!("node {name:?} is {status}"));
            }
            Some(MemberStatus::Alive | MemberStatus::Suspect) => {}
        }
        if let Some(service) = &alias.service
            && self.catalog.packed(node, &EntryKey::Service(service.clone())).is_none()
        {
            return critical(format!("no instance {:?} on node {name:?}", service.as_str()));
        }
        let mut worst = Worst::default();
        for key in self.entry_keys(node) {
            if let EntryKey::Check(_) = &key
                && let Some((_, _, Entry::Check(check))) = self.catalog.entry(node, &key)
                && (check.service_id.is_none() || check.service_id == alias.service)
            {
                worst.take(&check.name, check.status, &check.output);
            }
        }
        worst.verdict()
    }

    /// There is news of nodes that checks of this host stand for.
    pub(super) fn follow_others(&mut self, now: Instant) {
        while let Some(node) = self.events.news() {
            if let Some(after) = self.followed_there(node, now) {
                self.set_local(after, now);
            }
        }
    }
}
