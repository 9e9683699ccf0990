//! What a watch tells, read leniently: missing fields are empty, and everything is kept as it
//! came beside what is understood of it.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::super::Error;
use super::super::answers::{ServiceInstance, null_as_default};

/// Something a watch saw.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// Everything as it is now. Comes first, and again when changes were missed: it replaces
    /// whatever was known before.
    Snapshot(Snapshot),
    /// One change since the snapshot.
    Change(Box<Change>),
    /// The connection broke; what is known may be out of date until [`WatchEvent::Resumed`].
    /// The watch is already trying again.
    Interrupted(Error),
    /// The connection is back. Missed changes, or a new snapshot, follow.
    Resumed,
    /// An event of a newer agent.
    Other {
        /// Its name.
        event: String,
        /// Its data.
        data: Value,
    },
}

/// The watched part of the table at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The moment: changes with a higher index came later.
    pub index: u64,
    /// Members, where the agent sends them.
    pub members: Vec<WatchedMember>,
    /// Instances.
    pub instances: Vec<WatchedInstance>,
    /// Everything as the agent sent it.
    pub raw: Value,
}

/// One change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Its place in the order of changes.
    pub index: u64,
    /// What changed.
    pub kind: ChangeKind,
    /// The member as it is now.
    pub member: Option<WatchedMember>,
    /// The instance as it is now; as it was, when it was removed.
    pub instance: Option<WatchedInstance>,
    /// The check as it is now.
    pub check: Option<WatchedCheck>,
    /// Everything as the agent sent it.
    pub raw: Value,
}

#[derive(Deserialize)]
struct SnapshotAnswer {
    #[serde(default)]
    index: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    members: Vec<WatchedMember>,
    #[serde(default, deserialize_with = "null_as_default")]
    instances: Vec<WatchedInstance>,
}

impl Snapshot {
    /// Of an event's data. A part that is not understood would be missed silently, so it is an
    /// error.
    pub(super) fn parse(data: &str) -> serde_json::Result<Self> {
        let raw: Value = serde_json::from_str(data)?;
        let SnapshotAnswer { index, members, instances } = SnapshotAnswer::deserialize(&raw)?;
        Ok(Self { index, members, instances, raw })
    }
}

#[derive(Deserialize)]
struct ChangeAnswer {
    index: u64,
    kind: ChangeKind,
    #[serde(default, deserialize_with = "null_as_default")]
    node: String,
}

impl Change {
    /// Of an event's data. A part that is not understood stays in `raw` alone.
    pub(super) fn parse(data: &str) -> serde_json::Result<Self> {
        let raw: Value = serde_json::from_str(data)?;
        let ChangeAnswer { index, kind, node } = ChangeAnswer::deserialize(&raw)?;
        let member = part(&raw, "member");
        let instance = part(&raw, "instance");
        let mut check: Option<WatchedCheck> = part(&raw, "check");
        if let Some(check) = check.as_mut().filter(|check| check.node.is_empty()) {
            check.node = node;
        }
        Ok(Self { index, kind, member, instance, check, raw })
    }
}

fn part<'a, T: Deserialize<'a>>(raw: &'a Value, key: &str) -> Option<T> {
    T::deserialize(raw.get(key)?).ok()
}

/// What a [`Change`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A node joined, changed its state or left.
    Member,
    /// An instance appeared or changed.
    Instance,
    /// An instance is gone.
    Removed,
    /// A check changed its status.
    Check,
    /// A kind of a newer agent, by its word.
    Other(String),
}

impl Default for ChangeKind {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl From<String> for ChangeKind {
    /// The longer words also tell how it changed.
    fn from(word: String) -> Self {
        match word.as_str() {
            "member" | "member-changed" => Self::Member,
            "instance" | "instance-added" | "instance-changed" => Self::Instance,
            "removed" | "instance-removed" => Self::Removed,
            "check" | "check-changed" => Self::Check,
            _ => Self::Other(word),
        }
    }
}

/// A member, in a watch's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WatchedMember {
    /// Name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Gossip address.
    #[serde(deserialize_with = "null_as_default")]
    pub address: String,
    /// `alive`, `suspect`, `failed` or `left`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: String,
    /// The run of the node that is meant.
    #[serde(deserialize_with = "null_as_default")]
    pub generation: u64,
}

/// An instance, in a watch's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "InstanceAnswer")]
pub struct WatchedInstance {
    /// The node it runs on.
    pub node: String,
    /// Unique on its node.
    pub id: String,
    /// The service it is an instance of.
    pub service: String,
    /// Where to connect.
    pub address: String,
    /// Port; 0 for none.
    pub port: u16,
    /// Labels.
    pub tags: Vec<String>,
    /// Free pairs.
    pub meta: BTreeMap<String, String>,
    /// The worst of its checks.
    pub status: String,
    /// State of its node, where the agent sends it.
    pub node_status: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InstanceAnswer {
    #[serde(deserialize_with = "null_as_default")]
    node: String,
    #[serde(deserialize_with = "null_as_default")]
    id: String,
    service: ServiceAnswer,
    #[serde(deserialize_with = "null_as_default")]
    address: String,
    #[serde(deserialize_with = "null_as_default")]
    port: u16,
    #[serde(deserialize_with = "null_as_default")]
    tags: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    meta: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    status: String,
    #[serde(deserialize_with = "null_as_default")]
    node_status: String,
}

/// The service's name, or the whole registration in Consul's words.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum ServiceAnswer {
    Name(String),
    Whole(Box<ServiceInstance>),
    #[default]
    None,
}

impl From<InstanceAnswer> for WatchedInstance {
    fn from(answer: InstanceAnswer) -> Self {
        let InstanceAnswer { node, id, service, address, port, tags, meta, status, node_status } = answer;
        let mut instance =
            Self { node, id, service: String::new(), address, port, tags, meta, status, node_status };
        match service {
            ServiceAnswer::Name(name) => instance.service = name,
            ServiceAnswer::Whole(whole) => {
                (instance.id, instance.service) = (whole.id, whole.name);
                (instance.tags, instance.meta) = (whole.tags, whole.meta);
            }
            ServiceAnswer::None => {}
        }
        instance
    }
}

/// A check, in a watch's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WatchedCheck {
    /// The node it runs on.
    #[serde(deserialize_with = "null_as_default")]
    pub node: String,
    /// Unique on its node.
    #[serde(deserialize_with = "null_as_default")]
    pub id: String,
    /// The instance it belongs to; empty for a check of the node.
    #[serde(deserialize_with = "null_as_default")]
    pub service_id: String,
    /// `passing`, `warning` or `critical`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_kinds_and_fields_are_carried() {
        let data =
            json!({"index": 9, "kind": "weather", "sky": {"rain": true}, "instance": {"node": ["odd"]}});
        let change = Change::parse(&data.to_string()).expect("lenient");
        assert_eq!(change.kind, ChangeKind::Other("weather".to_owned()));
        assert_eq!((change.instance, change.raw), (None, data));
    }

    #[test]
    fn missing_and_null_fields_are_empty() {
        let data =
            json!({"index": 1, "kind": "removed", "member": null, "instance": {"id": "web", "tags": null}});
        let change = Change::parse(&data.to_string()).expect("lenient");
        assert_eq!((change.kind, change.member), (ChangeKind::Removed, None));
        assert_eq!(change.instance.expect("given").id, "web");
        let snapshot = Snapshot::parse("{\"members\":null}").expect("lenient");
        assert_eq!((snapshot.members.len(), snapshot.instances.len()), (0, 0));
    }

    #[test]
    fn an_instance_reads_the_same_flat_and_whole() {
        let flat = json!({"node": "n1", "id": "web-1", "service": "web", "address": "10.0.0.1", "port": 80,
            "tags": ["v2"], "meta": {"k": "v"}, "status": "passing"});
        let whole = json!({"node": "n1", "address": "10.0.0.1", "port": 80, "status": "passing", "checks": [],
            "service": {"ID": "web-1", "Service": "web", "Tags": ["v2"], "Meta": {"k": "v"}, "Port": 80}});
        let read = |value| serde_json::from_value::<WatchedInstance>(value).expect("an instance");
        assert_eq!(read(flat), read(whole));
    }

    #[test]
    fn a_check_takes_its_node_from_its_change() {
        let data = json!({"index": 3, "kind": "check-changed", "node": "n1",
            "check": {"id": "service:web", "status": "critical", "service_id": null}});
        let change = Change::parse(&data.to_string()).expect("lenient");
        assert_eq!((change.kind, change.check.expect("given").node.as_str()), (ChangeKind::Check, "n1"));
    }

    #[test]
    fn what_is_no_change_is_an_error() {
        for data in ["", "[]", "{}", "{\"index\":-1,\"kind\":\"check\"}", "{\"index\":1}"] {
            assert!(Change::parse(data).is_err(), "{data}");
        }
        assert!(Snapshot::parse("{\"instances\":[7]}").is_err());
    }
}
