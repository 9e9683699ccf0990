//! What the agent answers, in this client's words. Fields the agent adds later are ignored, and
//! a missing or null list, map or text counts as empty, as Consul's own clients read them.

use crate::model::{CheckStatus, MemberStatus};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A node of the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Identifier in UUID form.
    #[serde(rename = "ID", deserialize_with = "null_as_default")]
    pub id: String,
    /// Name.
    #[serde(rename = "Node", deserialize_with = "null_as_default")]
    pub name: String,
    /// IP address.
    #[serde(rename = "Address", deserialize_with = "null_as_default")]
    pub address: String,
    /// Node tags (`--tag K=V` of its agent).
    #[serde(rename = "Meta", deserialize_with = "null_as_default")]
    pub meta: BTreeMap<String, String>,
}

/// Share of traffic for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weights {
    /// While its checks pass.
    #[serde(rename = "Passing")]
    pub passing: u32,
    /// While a check warns.
    #[serde(rename = "Warning")]
    pub warning: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// One service instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceInstance {
    /// Unique on its node.
    #[serde(rename = "ID", deserialize_with = "null_as_default")]
    pub id: String,
    /// The service it is an instance of.
    #[serde(rename = "Service", deserialize_with = "null_as_default")]
    pub name: String,
    /// Labels, in the order given.
    #[serde(rename = "Tags", deserialize_with = "null_as_default")]
    pub tags: Vec<String>,
    /// Its own address; empty means the node's.
    #[serde(rename = "Address", deserialize_with = "null_as_default")]
    pub address: String,
    /// Port; 0 for none.
    #[serde(rename = "Port", deserialize_with = "null_as_default")]
    pub port: u16,
    /// Free pairs.
    #[serde(rename = "Meta", deserialize_with = "null_as_default")]
    pub meta: BTreeMap<String, String>,
    /// Share of traffic.
    #[serde(rename = "Weights", deserialize_with = "null_as_default")]
    pub weights: Weights,
}

/// One check of a node or an instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// The node it runs on.
    #[serde(rename = "Node", default, deserialize_with = "null_as_default")]
    pub node: String,
    /// Unique on its node.
    #[serde(rename = "CheckID")]
    pub id: String,
    /// For people.
    #[serde(rename = "Name", default, deserialize_with = "null_as_default")]
    pub name: String,
    /// Health as last decided.
    #[serde(rename = "Status")]
    pub status: CheckStatus,
    /// Fixed remark; the reason, for a maintenance check.
    #[serde(rename = "Notes", default, deserialize_with = "null_as_default")]
    pub notes: String,
    /// Output that came with the last change of status.
    #[serde(rename = "Output", default, deserialize_with = "null_as_default")]
    pub output: String,
    /// The instance it belongs to; empty for a check of the node.
    #[serde(rename = "ServiceID", default, deserialize_with = "null_as_default")]
    pub service_id: String,
    /// The service of that instance; empty for a check of the node.
    #[serde(rename = "ServiceName", default, deserialize_with = "null_as_default")]
    pub service_name: String,
    /// `ttl`, `http`, ...; empty for the liveness check of a node.
    #[serde(rename = "Type", default, deserialize_with = "null_as_default")]
    pub kind: String,
}

impl Check {
    /// It is only there while its node or instance is in maintenance.
    pub fn is_maintenance(&self) -> bool {
        self.id == "_node_maintenance" || self.id.starts_with("_service_maintenance:")
    }
}

/// Health of an instance with everything counted. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Every check passes, or there is none.
    Passing,
    /// A check warns: still serving, with reservations.
    Warning,
    /// A check is critical, or the node failed: not to be used.
    Critical,
    /// Taken out of service by hand: not to be used.
    Maintenance,
}

impl Health {
    /// The worst of `checks`.
    pub fn of<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Self {
        checks.into_iter().map(Self::of_check).max().unwrap_or(Self::Passing)
    }

    fn of_check(check: &Check) -> Self {
        if check.is_maintenance() {
            return Self::Maintenance;
        }
        match check.status {
            CheckStatus::Passing => Self::Passing,
            CheckStatus::Warning => Self::Warning,
            CheckStatus::Critical => Self::Critical,
        }
    }

    /// Passing or warning: it may be used.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Passing | Self::Warning)
    }

    /// The word for it, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A service instance with its node and every check that counts for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Instance {
    /// Where it runs.
    #[serde(rename = "Node")]
    pub node: Node,
    /// The instance.
    #[serde(rename = "Service")]
    pub service: ServiceInstance,
    /// Checks of the node, then of the instance.
    #[serde(rename = "Checks", default, deserialize_with = "null_as_default")]
    pub checks: Vec<Check>,
}

impl Instance {
    /// The worst of its checks.
    pub fn health(&self) -> Health {
        Health::of(&self.checks)
    }

    /// Where to connect: its own address, else its node's.
    pub fn address(&self) -> &str {
        if self.service.address.is_empty() { &self.node.address } else { &self.service.address }
    }
}

/// A key of the cluster, by its id: keys themselves are never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Eight hex digits.
    pub id: String,
    /// The agent that answers seals with it.
    pub primary: bool,
    /// Live members that have it.
    pub have: usize,
    /// Live members that seal with it.
    #[serde(rename = "use")]
    pub used: usize,
    /// Live members in all.
    #[serde(default)]
    pub alive: usize,
    /// Names of some that do not have it.
    #[serde(default)]
    pub missing: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Keyring {
    pub(super) alive: usize,
    pub(super) keys: Vec<Key>,
}

/// One node as the agent sees it in the membership.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "MemberAnswer")]
pub struct Member {
    /// Name.
    pub name: String,
    /// `IP:PORT` for gossip.
    pub address: String,
    /// What is believed of it.
    pub status: MemberStatus,
    /// Its tags (`--tag K=V` of its agent).
    pub tags: BTreeMap<String, String>,
    /// Smoothed round-trip time to it, once measured.
    pub rtt: Option<Duration>,
    /// Its identifier.
    pub id: String,
    /// The version of its agent; empty where that is not told.
    pub version: String,
}

#[derive(Deserialize)]
struct MemberAnswer {
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    address: String,
    status: StatusWord,
    #[serde(default, deserialize_with = "null_as_default")]
    tags: BTreeMap<String, String>,
    rtt_ms: Option<f64>,
    #[serde(default, deserialize_with = "null_as_default")]
    id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatusWord {
    Alive,
    Suspect,
    Failed,
    Left,
}

impl From<MemberAnswer> for Member {
    fn from(answer: MemberAnswer) -> Self {
        let status = match answer.status {
            StatusWord::Alive => MemberStatus::Alive,
            StatusWord::Suspect => MemberStatus::Suspect,
            StatusWord::Failed => MemberStatus::Failed,
            StatusWord::Left => MemberStatus::Left,
        };
        let rtt = answer.rtt_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok());
        let MemberAnswer { name, address, tags, id, version, .. } = answer;
        Self { name, address, status, tags, rtt, id, version }
    }
}

/// The round-trip time between two nodes (`/v1/shoal/rtt`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RttAnswer")]
pub struct Rtt {
    /// One node.
    pub a: String,
    /// The other.
    pub b: String,
    /// The time, unless nothing is known yet.
    pub rtt: Option<Duration>,
    /// By the agent's own probes; else it is estimated from the coordinates of both nodes.
    pub measured: bool,
}

#[derive(Deserialize)]
struct RttAnswer {
    a: String,
    b: String,
    rtt_ms: Option<f64>,
    #[serde(default, deserialize_with = "null_as_default")]
    source: String,
}

impl From<RttAnswer> for Rtt {
    fn from(answer: RttAnswer) -> Self {
        let rtt = answer.rtt_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1_000.0).ok());
        Self { a: answer.a, b: answer.b, rtt, measured: answer.source == "measured" }
    }
}

/// The agent's own state (`/v1/shoal/status`).
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Name of the agent's node, where the answer has it.
    pub node: Option<String>,
    /// Name of the cluster, where the answer has it.
    pub cluster: Option<String>,
    /// Generation of this run, where the answer has it.
    pub generation: Option<u64>,
    /// Everything the agent told.
    pub all: serde_json::Value,
}

impl From<serde_json::Value> for Status {
    fn from(all: serde_json::Value) -> Self {
        let text = |key: &str| all.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let (node, cluster) = (text("node"), text("cluster"));
        let generation = all.get("generation").and_then(serde_json::Value::as_u64);
        Self { node, cluster, generation, all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(id: &str, status: &str) -> Check {
        serde_json::from_value(json!({"CheckID": id, "Status": status, "Output": null})).expect("a check")
    }

    #[test]
    fn the_worst_check_decides_and_maintenance_is_worst() {
        assert_eq!(Health::of(&[]), Health::Passing);
        let mut checks = vec![check("a", "passing")];
        assert_eq!(Health::of(&checks), Health::Passing);
        checks.push(check("b", "warning"));
        assert_eq!(Health::of(&checks), Health::Warning);
        checks.push(check("c", "critical"));
        assert_eq!(Health::of(&checks), Health::Critical);
        checks.push(check("_service_maintenance:web", "critical"));
        assert_eq!(Health::of(&checks), Health::Maintenance);
    }

    #[test]
    fn nulls_and_unknown_fields_are_taken() {
        let instance: Instance = serde_json::from_value(json!({
            "Node": {"Node": "n1", "Address": "10.0.0.1", "Meta": null, "Later": 1},
            "Service": {"ID": "web", "Service": "web", "Tags": null, "Address": "", "Weights": null},
            "Checks": null,
        }))
        .expect("an instance");
        assert_eq!((instance.address(), instance.service.port), ("10.0.0.1", 0));
        assert_eq!(instance.service.weights, Weights::default());
    }

    #[test]
    fn members_are_read_with_and_without_a_round_trip_time() {
        let member = |status: &str, rtt_ms: serde_json::Value| {
            let value =
                json!({"name": "n", "address": "[::1]:1", "status": status, "tags": null, "rtt_ms": rtt_ms});
            serde_json::from_value::<Member>(value).expect("a member")
        };
        let suspect = member("suspect", json!(1.5));
        assert_eq!(
            (suspect.status, suspect.rtt),
            (MemberStatus::Suspect, Some(Duration::from_micros(1_500)))
        );
        assert_eq!(member("left", json!(null)).rtt, None);
        assert_eq!(member("alive", json!(-1.0)).rtt, None);
    }
}
