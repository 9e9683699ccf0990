use super::{Extensions, NodeId, NodeName};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name.
    pub name: NodeName,
    /// Its identifier, made once per data directory.
    pub id: NodeId,
    /// The address it advertises for gossip.
    pub addr: SocketAddr,
    /// Node tags (`--tag K=V`), up to 64.
    pub tags: BTreeMap<String, String>,
    /// The version of Shoal it runs.
    pub agent_version: String,
    /// It announced that it leaves; nothing else of it counts any more.
    pub left: bool,
    /// Fields of newer versions.
    pub extensions: Extensions,
}
