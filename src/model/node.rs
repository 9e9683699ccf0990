use super::{Extensions, KeyId, NodeId, NodeName};
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
    /// Fields of newer versions, and those of this one that not every node has.
    pub extensions: Extensions,
}

/// The field of a record in which a node tells its keys.
const KEYS_FIELD: u16 = 1;

impl NodeRecord {
    /// The ids of the keys that the node opens datagrams with, the one that it seals with first; `None`
    /// when it does not say.
    pub fn keys(&self) -> Option<Vec<KeyId>> {
        let bytes = self.extensions.get(&KEYS_FIELD)?;
        let (ids, rest) = bytes.as_chunks::<4>();
        (rest.is_empty() && !ids.is_empty())
            .then(|| ids.iter().map(|id| KeyId(u32::from_le_bytes(*id))).collect())
    }

    /// Makes it say so; no keys: that it does not.
    pub fn set_keys(&mut self, ids: &[KeyId]) {
        if ids.is_empty() {
            self.extensions.remove(&KEYS_FIELD);
        } else {
            let bytes = ids.iter().flat_map(|id| id.0.to_le_bytes()).collect();
            self.extensions.insert(KEYS_FIELD, bytes);
        }
    }
}
