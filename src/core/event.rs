//! What happened inside the agent, for whoever drives it.

use crate::model::{CheckId, EntryKey, Generation, NodeKey, NodeName, Probe, UserEvent};
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
    /// Everything about leaving is done: enough peers know, or the time for it is over.
    Left {
        /// Peers that confirmed.
        acknowledged_by: usize,
    },
}
