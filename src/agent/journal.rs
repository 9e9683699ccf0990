//! Log lines for what an operator would note: members that come and go.
//!
//! Owns what was last said of each member, so that a change is told once and a mere new
//! incarnation is not told at all. Changes nothing.

use crate::core::Agent;
use crate::model::{Entry, EntryKey, Member, MemberStatus, NodeKey};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Joined,
    Suspected,
    Refuted,
    Failed,
    Recovered,
    Left,
    Moved,
    Restarted,
}

/// What was last said.
#[derive(Debug)]
pub(super) struct Journal {
    own: NodeKey,
    told: BTreeMap<NodeKey, Member>,
    /// Members that joined and whose names have not arrived.
    nameless: BTreeSet<NodeKey>,
}

impl Journal {
    pub(super) const fn new(own: NodeKey) -> Self {
        Self { own, told: BTreeMap::new(), nameless: BTreeSet::new() }
    }

    /// A member appeared or changed.
    pub(super) fn changed(&mut self, agent: &Agent, member: &Member) {
        let before = self.told.insert(member.key, member.clone());
        if member.key == self.own {
            return;
        }
        let Some(change) = change(before.as_ref(), member) else { return };
        if change == Change::Joined && known_name(agent, member.key).is_none() {
            self.nameless.insert(member.key);
            return;
        }
        let (name, addr) = (name_of(agent, member.key), member.addr);
        match change {
            Change::Joined => tracing::info!(node = name, %addr, "a member joined"),
            Change::Suspected => tracing::debug!(node = name, %addr, "a member is suspected"),
            Change::Refuted => tracing::debug!(node = name, %addr, "a suspicion was refuted"),
            Change::Failed => tracing::warn!(node = name, %addr, "a member failed"),
            Change::Recovered => tracing::info!(node = name, %addr, "a member is back"),
            Change::Left => tracing::info!(node = name, %addr, "a member left"),
            Change::Moved => tracing::info!(node = name, %addr, "a member has another address"),
            Change::Restarted => tracing::info!(node = name, %addr, "a member was restarted"),
        }
    }

    /// A node's record arrived or changed: a member that joined can now be told by its name.
    pub(super) fn named(&mut self, agent: &Agent, key: NodeKey) {
        if self.nameless.contains(&key)
            && let Some(name) = known_name(agent, key)
        {
            self.nameless.remove(&key);
            if let Some(member) = self.told.get(&key) {
                tracing::info!(node = name, addr = %member.addr, "a member joined");
            }
        }
    }

    /// A member was forgotten.
    pub(super) fn removed(&mut self, agent: &Agent, key: NodeKey) {
        self.nameless.remove(&key);
        if self.told.remove(&key).is_some() {
            tracing::info!(node = name_of(agent, key), "a member was forgotten");
        }
    }
}

fn change(before: Option<&Member>, now: &Member) -> Option<Change> {
    let was = before.map(|b| b.status);
    match (was, now.status) {
        (None, MemberStatus::Alive | MemberStatus::Suspect) => Some(Change::Joined),
        // Learned from others, long after.
        (None, MemberStatus::Failed | MemberStatus::Left) => None,
        (Some(MemberStatus::Failed | MemberStatus::Left), MemberStatus::Alive | MemberStatus::Suspect) => {
            Some(Change::Recovered)
        }
        (Some(MemberStatus::Alive), MemberStatus::Suspect) => Some(Change::Suspected),
        (Some(was), MemberStatus::Failed) if was != MemberStatus::Failed => Some(Change::Failed),
        (Some(was), MemberStatus::Left) if was != MemberStatus::Left => Some(Change::Left),
        _ if before.is_some_and(|b| b.addr != now.addr) => Some(Change::Moved),
        _ if before.is_some_and(|b| b.generation != now.generation) => Some(Change::Restarted),
        (Some(MemberStatus::Suspect), MemberStatus::Alive) => Some(Change::Refuted),
        _ => None,
    }
}

/// A node's name, or its key while its record has not arrived.
fn name_of(agent: &Agent, key: NodeKey) -> String {
    known_name(agent, key).unwrap_or_else(|| format!("{key:?}"))
}

fn known_name(agent: &Agent, key: NodeKey) -> Option<String> {
    match agent.entry(key, &EntryKey::Node) {
        Some((_, _, Entry::Node(record))) => Some(record.name.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Generation;

    fn member(status: MemberStatus, generation: u64) -> Member {
        Member {
            key: NodeKey(1),
            generation: Generation(generation),
            incarnation: 0,
            status,
            addr: "10.0.0.1:7946".parse().expect("valid"),
            rtt: None,
            coordinate: None,
            held: false,
        }
    }

    #[test]
    fn each_change_is_told_once_and_unchanged_members_not_at_all() {
        use MemberStatus::{Alive, Failed, Left, Suspect};
        let told = |before: Option<MemberStatus>, now| {
            change(before.map(|b| member(b, 1)).as_ref(), &member(now, 1))
        };
        assert_eq!(told(None, Alive), Some(Change::Joined));
        assert_eq!(told(None, Failed), None);
        assert_eq!(told(Some(Alive), Alive), None);
        assert_eq!(told(Some(Alive), Suspect), Some(Change::Suspected));
        assert_eq!(told(Some(Suspect), Alive), Some(Change::Refuted));
        assert_eq!(told(Some(Suspect), Failed), Some(Change::Failed));
        assert_eq!(told(Some(Failed), Failed), None);
        assert_eq!(told(Some(Failed), Alive), Some(Change::Recovered));
        assert_eq!(told(Some(Alive), Left), Some(Change::Left));
        assert_eq!(told(Some(Failed), Left), Some(Change::Left));
        let restarted = change(Some(&member(Alive, 1)), &member(Alive, 2));
        assert_eq!(restarted, Some(Change::Restarted));
        let moved = Member { addr: "10.0.0.2:7946".parse().expect("valid"), ..member(Alive, 2) };
        assert_eq!(change(Some(&member(Alive, 1)), &moved), Some(Change::Moved));
    }
}
