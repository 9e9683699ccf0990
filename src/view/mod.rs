//! skeleton: the published view
use crate::model::{CheckId, CheckRecord, Generation, InstanceId, LocalState, Member, NodeKey, NodeRecord, ServiceRecord, Version};
use std::sync::Arc;

/// What the agent tells about itself beyond the tables (published with the view, at least once a second).
#[derive(Debug, Clone, Default)]
pub struct AgentStatus {
    pub root_digest: u64,
    /// milliseconds since a peer's digest last differed from ours; None: never differed
    pub since_difference_ms: Option<u64>,
    /// milliseconds since anything was last heard from a peer; None: no peer ever
    pub since_heard_ms: Option<u64>,
    pub gossip_addr: String,
    pub leaving: bool,
    /// counters by metric name, already flat
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// An immutable snapshot.
pub struct View {}

/// Owned by the agent's loop; `publish` makes the next snapshot visible to readers.
pub struct ViewBuilder {}

/// The readers' end: cheap to clone, never blocks.
#[derive(Clone)]
pub struct ViewReader {}

#[allow(unused_variables)]
impl ViewBuilder {
    /// `index_seed`: unix microseconds at start (first index), so that indexes rise across restarts.
    pub fn new(datacenter: String, own: NodeKey, index_seed: u64) -> (Self, ViewReader) { unimplemented!() }
    pub fn set_member(&mut self, member: Member) { unimplemented!() }
    pub fn remove_member(&mut self, key: NodeKey) { unimplemented!() }
    /// None: deleted. `version` orders writes of one owner and is shown nowhere but in debug output.
    pub fn set_node(&mut self, owner: NodeKey, record: Option<(Generation, Version, NodeRecord)>) { unimplemented!() }
    pub fn set_service(&mut self, owner: NodeKey, id: &InstanceId, record: Option<(Generation, Version, ServiceRecord)>) { unimplemented!() }
    pub fn set_check(&mut self, owner: NodeKey, id: &CheckId, record: Option<(Generation, Version, CheckRecord)>) { unimplemented!() }
    /// registrations of this host with output and TTL state (agent/services, agent/checks)
    pub fn set_local(&mut self, local: LocalState) { unimplemented!() }
    pub fn set_status(&mut self, status: AgentStatus) { unimplemented!() }
    /// makes everything set since the last call visible at once; nothing to do when nothing changed
    pub fn publish(&mut self) { unimplemented!() }
}
impl ViewReader {
    pub fn load(&self) -> Arc<View> { unimplemented!() }
}
