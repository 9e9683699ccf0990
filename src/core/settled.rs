//! Beginning in the middle: what the agents of a settled cluster all know, gathered once.
//!
//! For simulations of large clusters that are not about how the cluster came together. Agents that
//! adopt the same [`Knowledge`] share its memory until they come to differ, so a thousand agents
//! that know a thousand members cost little more than one.

use super::agent::Agent;
use super::catalog::Owner;
use super::digest::Tree;
use super::swim::Peers;
use crate::model::NodeKey;
use imbl::OrdMap;
use std::sync::Arc;

/// What every agent of a settled cluster knows: all members alive, all tables complete.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    pub(super) peers: Peers,
    pub(super) owners: OrdMap<NodeKey, Arc<Owner>>,
    pub(super) bytes: usize,
    pub(super) tree: Tree,
}

impl Knowledge {
    /// Adds a node that is to be one of the cluster, with what is registered on it. It must not have
    /// met anybody yet.
    pub fn add(&mut self, agent: &Agent) {
        agent.tell(self);
    }

    /// Nodes added.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// None yet?
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }
}
