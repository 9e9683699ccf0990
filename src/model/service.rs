use super::{CheckDefinition, Extensions, InstanceId, ServiceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A port; 0 means that none was given.
pub type Port = u16;

/// An address under a well-known tag (`lan_ipv4`, ...).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaggedAddress {
    /// IP address or host name.
    pub address: String,
    /// Port, 0 for none.
    pub port: Port,
}

/// Share of traffic for an instance while its checks pass or warn (RFC 2782 weights in DNS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// While passing; 1 to 65,535.
    pub passing: u16,
    /// While warning; 0 to 65,535.
    pub warning: u16,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// One service instance, as every agent knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Unique on its node.
    pub id: InstanceId,
    /// The service it is an instance of.
    pub name: ServiceName,
    /// Free labels, in the order given.
    pub tags: Vec<String>,
    /// Address of the instance; empty means the node's address.
    pub address: String,
    /// Other addresses by tag.
    pub tagged_addresses: BTreeMap<String, TaggedAddress>,
    /// Port, 0 for none.
    pub port: Port,
    /// Unix socket of the instance; empty for none.
    pub socket_path: String,
    /// Free pairs, up to 64.
    pub meta: BTreeMap<String, String>,
    /// Share of traffic.
    pub weights: Weights,
    /// Stored and returned for clients that set it; no effect.
    pub enable_tag_override: bool,
    /// Fields of newer versions.
    pub extensions: Extensions,
}

/// What a caller registers: the instance and the checks that come with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDefinition {
    /// The instance.
    pub service: ServiceRecord,
    /// Its checks, each with `service_id` equal to the instance's id.
    pub checks: Vec<CheckDefinition>,
}
