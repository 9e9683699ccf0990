//! What an agent has shown, and what it shows now: where nobody who lies has a key, none of it goes
//! back.

use crate::core::{Agent, Keyring};
use crate::model::{EntryKey, Generation, MemberStatus, NodeKey, Version};
use crate::wire::frame::Epoch;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What one agent has shown of others since it started.
#[derive(Default)]
pub(super) struct Past {
    lives: BTreeMap<NodeKey, (Epoch, u16)>,
    /// The run and the version that an entry was shown in, and whether it is there still.
    entries: BTreeMap<(NodeKey, EntryKey), (Generation, Version, bool)>,
    ring: Option<Keyring>,
}

impl Past {
    /// Compares what `agent` shows with what it has shown, and keeps it. A keyring goes on whoever
    /// changes it; the rest is looked at when all who have a key are `honest`.
    pub(super) fn look(&mut self, agent: &Agent, honest: bool) {
        if let (Some(before), Some(ring)) = (&self.ring, agent.keyring()) {
            let mut merged = ring.clone();
            assert!(!merged.merge(before), "a keyring went back from {before:?} to {ring:?}");
            assert!(ring.accepted().contains_key(&ring.primary().id()), "{ring:?} has no primary key");
        }
        self.ring = agent.keyring().cloned();
        if honest {
            self.look_at_lives(agent);
            self.look_at_entries(agent);
        }
    }

    fn look_at_lives(&mut self, agent: &Agent) {
        for member in agent.members() {
            let life = agent.life_of(member.key).expect("is a member");
            let before = self.lives.insert(member.key, life);
            assert!(
                before.is_none_or(|before| before <= life),
                "{before:?} went back to {life:?}: {member:?}"
            );
        }
    }

    fn look_at_entries(&mut self, agent: &Agent) {
        for owner in agent.owners() {
            for key in agent.entry_keys(owner) {
                self.entries.entry((owner, key)).or_insert((Generation(0), Version(0), false));
            }
        }
        for ((owner, key), (generation, version, there)) in &mut self.entries {
            let Some((g, v, _)) = agent.entry(*owner, key) else {
                *there = false;
                continue;
            };
            let (then, now) = ((*generation, *version), (g, v));
            let goes_on = if *there { now >= then } else { now > then };
            assert!(goes_on, "{key:?} of {owner:?} came back as {now:?} after {then:?} (there: {there})");
            (*generation, *version, *there) = (g, v, true);
        }
    }
}

/// Life, status and address of a member.
type ShownMember = (NodeKey, Option<(Epoch, u16)>, MemberStatus, SocketAddr);

/// All that a datagram could change.
#[derive(Debug, PartialEq)]
pub(super) struct Shown {
    members: Vec<ShownMember>,
    table: u64,
    entries: usize,
    rumours: usize,
    ring: Option<u64>,
    addresses: Vec<SocketAddr>,
}

impl Shown {
    pub(super) fn by(agent: &Agent) -> Self {
        Self {
            members: agent.members().map(|m| (m.key, agent.life_of(m.key), m.status, m.addr)).collect(),
            table: agent.root_digest(),
            entries: agent.entry_count(),
            rumours: agent.rumours_waiting(),
            ring: agent.keyring().map(Keyring::digest),
            addresses: agent.address_book(),
        }
    }
}
