//! What happened inside the agent, for whoever drives it.

use crate::core::exam::Link;
use crate::core::sealing::StrangeKey;
use crate::model::{CheckId, EntryKey, Generation, NodeKey, NodeName, Probe, UserEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// What changed inside the agent, past tense, for whoever drives it. Drained by
/// [`Agent::poll_event`](super::Agent::poll_event); details are read through the getters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member appeared, or its status, address, generation, incarnation or round-trip time
    /// changed.
    MemberChanged(NodeKey),
    /// A member was forgotten; read nothing of it any more.
    MemberRemoved(NodeKey),
    /// One catalog entry was written, changed or deleted
    /// ([`Agent::entry`](super::Agent::entry) is `None` after a deletion).
    EntryChanged(NodeKey, EntryKey),
    /// Something in [`Agent::local`](super::Agent::local) changed by itself (a TTL expired, a
    /// heartbeat changed a status): persist it before long.
    LocalChanged,
    /// A check is to be carried out; bring the result back with
    /// [`Agent::handle_finding`](super::Agent::handle_finding), whatever it is.
    ProbeDue {
        /// Which check.
        id: CheckId,
        /// Which run of it.
        number: u64,
        /// What is to be done.
        probe: Arc<Probe>,
    },
    /// A check was deregistered or replaced while a run of it was under way: end that run.
    ProbeEnded(CheckId),
    /// Somebody fired an event, for the first time that this agent hears of it. Whether it is meant
    /// for this node is for whoever drives the agent to say.
    UserEventHeard(Arc<UserEvent>),
    /// The generation was raised because peers remember a higher one: persist it now.
    GenerationRaised(Generation),
    /// The first exchange with a cluster completed.
    Joined {
        /// The peer that answered.
        via: SocketAddr,
        /// Live members known afterwards, this one included.
        members: usize,
    },
    /// A join address has not answered yet; trying goes on.
    JoinRetried {
        /// The address.
        addr: SocketAddr,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another live node holds this node's name. This agent has stopped taking part; end it.
    NameTaken {
        /// The name both claim.
        name: NodeName,
        /// Where the other one is.
        holder: SocketAddr,
    },
    /// [`Agent::keyring`](super::Agent::keyring) changed: persist it now.
    KeyringChanged,
    /// A datagram of this cluster could not be opened for want of its key. Told once a minute for
    /// each key.
    KeyMissing(StrangeKey),
    /// An examination has ended; see [`Agent::examine`](super::Agent::examine).
    Examined(Vec<Link>),
    /// Everything about leaving is done: enough peers know, or the time for it is over.
    Left {
        /// Peers that confirmed.
        acknowledged_by: usize,
    },
}

/// Events that wait to be taken, and which of the nodes that checks of this host stand for they are
/// about.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    /// Nodes that are watched, each for so many checks.
    watched: BTreeMap<NodeKey, usize>,
    news_of: BTreeSet<NodeKey>,
}

impl Events {
    pub(super) fn push_back(&mut self, event: Event) {
        if let Event::MemberChanged(key) | Event::MemberRemoved(key) | Event::EntryChanged(key, _) = &event
            && self.watched.contains_key(key)
        {
            self.news_of.insert(*key);
        }
        self.queue.push_back(event);
    }

    pub(super) fn pop_front(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    /// Drops what waits; what is watched stays so.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// News of the node are to be kept in mind, and what it is now is the first; once more for each
    /// call.
    pub(super) fn watch(&mut self, key: NodeKey) {
        *self.watched.entry(key).or_default() += 1;
        self.news_of.insert(key);
    }

    /// Takes one such call back.
    pub(super) fn unwatch(&mut self, key: NodeKey) {
        if let Some(count) = self.watched.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.watched.remove(&key);
                self.news_of.remove(&key);
            }
        }
    }

    /// A watched node that there is news of since it was last asked for.
    pub(super) fn news(&mut self) -> Option<NodeKey> {
        self.news_of.pop_first()
    }
}
