//! The objects of Consul's dialect, as they are written.
//!
//! Borrowed from a view and serialized directly. Field names and what is left out when empty are
//! what clients decode; nothing here decides anything.

use crate::model;
use crate::model::{LocalCheck, MemberStatus, Port, ServiceRecord, ServiceText};
use crate::view;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An object that is always empty.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Empty {}

/// The mesh settings that no instance here has; clients insist on the object.
#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Proxy {
    mode: &'static str,
    mesh_gateway: Empty,
    expose: Empty,
}

const PROXY: Proxy = Proxy { mode: "", mesh_gateway: Empty {}, expose: Empty {} };

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Weights {
    passing: u16,
    warning: u16,
}

impl Weights {
    fn of(weights: model::Weights) -> Self {
        Self { passing: weights.passing, warning: weights.warning }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Address<'a> {
    address: &'a str,
    port: u16,
}

fn addresses<'a>(tagged: Vec<(&'a str, (&'a str, Port))>) -> BTreeMap<&'a str, Address<'a>> {
    tagged.into_iter().map(|(tag, (address, port))| (tag, Address { address, port })).collect()
}

/// A node's address under the tags that Consul gives it.
pub(super) fn node_addresses(ip: IpAddr) -> BTreeMap<&'static str, String> {
    let text = ip.to_string();
    let (lan, wan) = match ip {
        IpAddr::V4(_) => ("lan_ipv4", "wan_ipv4"),
        IpAddr::V6(_) => ("lan_ipv6", "wan_ipv6"),
    };
    ["lan", "wan", lan, wan].into_iter().map(|tag| (tag, text.clone())).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Node<'a> {
    #[serde(rename = "ID")]
    id: String,
    node: &'a str,
    address: String,
    datacenter: &'a str,
    tagged_addresses: BTreeMap<&'static str, String>,
    meta: &'a BTreeMap<String, String>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> Node<'a> {
    pub(super) fn new(node: &'a view::Node, datacenter: &'a str) -> Self {
        let record = &node.record;
        Self {
            id: record.id.to_string(),
            node: record.name.as_str(),
            address: record.addr.ip().to_string(),
            datacenter,
            tagged_addresses: node_addresses(record.addr.ip()),
            meta: &record.tags,
            create_index: node.create_index,
            modify_index: node.modify_index,
        }
    }
}

/// An instance inside catalog and health answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeService<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Vec<&'a str>,
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, Address<'a>>,
    meta: BTreeMap<&'a str, &'a str>,
    port: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    weights: Weights,
    enable_tag_override: bool,
    proxy: Proxy,
    connect: Empty,
    peer_name: &'static str,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeService<'a> {
    pub(super) fn new(instance: &'a view::Instance) -> Self {
        let record = instance.record.read();
        Self {
            id: record.id,
            service: record.name,
            tags: record.tags,
            address: record.address,
            tagged_addresses: addresses(record.tagged_addresses),
            meta: record.meta.into_iter().collect(),
            port: record.port,
            socket_path: record.socket_path,
            weights: Weights::of(record.weights),
            enable_tag_override: record.enable_tag_override,
            proxy: PROXY,
            connect: Empty {},
            peer_name: "",
            create_index: instance.create_index,
            modify_index: instance.modify_index,
        }
    }
}

/// An instance as `agent/*` shows those of this host.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AgentService<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Vec<&'a str>,
    meta: BTreeMap<&'a str, &'a str>,
    port: u16,
    address: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, Address<'a>>,
    weights: Weights,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_hash: Option<String>,
    datacenter: &'a str,
}

impl<'a> AgentService<'a> {
    pub(super) fn new(record: ServiceText<'a>, datacenter: &'a str) -> Self {
        Self {
            id: record.id,
            service: record.name,
            tags: record.tags,
            meta: record.meta.into_iter().collect(),
            port: record.port,
            address: record.address,
            socket_path: record.socket_path,
            tagged_addresses: addresses(record.tagged_addresses),
            weights: Weights::of(record.weights),
            enable_tag_override: record.enable_tag_override,
            content_hash: None,
            datacenter,
        }
    }
}

/// An instance with its node, flat, as `catalog/service` shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceNode<'a> {
    #[serde(rename = "ID")]
    id: String,
    node: &'a str,
    address: String,
    datacenter: &'a str,
    tagged_addresses: BTreeMap<&'static str, String>,
    node_meta: &'a BTreeMap<String, String>,
    service_kind: &'static str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Vec<&'a str>,
    service_address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_tagged_addresses: BTreeMap<&'a str, Address<'a>>,
    service_weights: Weights,
    service_meta: BTreeMap<&'a str, &'a str>,
    service_port: u16,
    service_socket_path: &'a str,
    service_enable_tag_override: bool,
    service_proxy: Proxy,
    service_connect: Empty,
    service_locality: Option<Empty>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> ServiceNode<'a> {
    pub(super) fn new(node: &'a view::Node, instance: &'a view::Instance, datacenter: &'a str) -> Self {
        let record = instance.record.read();
        let ip = node.record.addr.ip();
        Self {
            id: node.record.id.to_string(),
            node: node.record.name.as_str(),
            address: ip.to_string(),
            datacenter,
            tagged_addresses: node_addresses(ip),
            node_meta: &node.record.tags,
            service_kind: "",
            service_id: record.id,
            service_name: record.name,
            service_tags: record.tags,
            service_address: record.address,
            service_tagged_addresses: addresses(record.tagged_addresses),
            service_weights: Weights::of(record.weights),
            service_meta: record.meta.into_iter().collect(),
            service_port: record.port,
            service_socket_path: record.socket_path,
            service_enable_tag_override: record.enable_tag_override,
            service_proxy: PROXY,
            service_connect: Empty {},
            service_locality: None,
            create_index: instance.create_index,
            modify_index: instance.modify_index,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HealthCheck<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'static str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Vec<&'a str>,
    r#type: &'a str,
    interval: &'a str,
    timeout: &'a str,
    exposed_port: u16,
    definition: Empty,
    create_index: u64,
    modify_index: u64,
}

impl<'a> HealthCheck<'a> {
    /// A check of a node, or of the instance it is shown with.
    pub(super) fn new(
        node: &'a view::Node,
        instance: Option<&'a view::Instance>,
        check: &'a view::Check,
    ) -> Self {
        let record = check.record.read();
        Self {
            node: node.record.name.as_str(),
            check_id: record.id,
            name: record.name,
            status: record.status.as_str(),
            notes: record.notes,
            output: record.output,
            service_id: record.service_id.unwrap_or(""),
            service_name: instance.map_or("", |i| i.record.name()),
            service_tags: instance.map_or_else(Vec::new, |i| i.record.tags().collect()),
            r#type: record.kind,
            interval: record.interval,
            timeout: record.timeout,
            exposed_port: 0,
            definition: Empty {},
            create_index: check.create_index,
            modify_index: check.modify_index,
        }
    }

    /// A check of this host, with its newest output.
    pub(super) fn local(node: &'a str, service: Option<&'a ServiceRecord>, check: &'a LocalCheck) -> Self {
        let definition = &*check.definition;
        Self {
            node,
            check_id: definition.id.as_str(),
            name: &definition.name,
            status: check.status.as_str(),
            notes: &definition.notes,
            output: &check.output,
            service_id: definition.service_id.as_ref().map_or("", |id| id.as_str()),
            service_name: service.map_or("", |s| s.name.as_str()),
            service_tags: service.map_or_else(Vec::new, |s| s.tags.iter().map(String::as_str).collect()),
            r#type: definition.kind.as_str(),
            interval: &definition.interval,
            timeout: &definition.timeout,
            exposed_port: 0,
            definition: Empty {},
            create_index: 0,
            modify_index: 0,
        }
    }
}

/// One instance with everything that decides whether to use it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceEntry<'a> {
    node: Node<'a>,
    service: NodeService<'a>,
    checks: Vec<HealthCheck<'a>>,
}

impl<'a> ServiceEntry<'a> {
    pub(super) fn new(node: &'a view::Node, instance: &'a view::Instance, datacenter: &'a str) -> Self {
        let of_node = node.node_checks().map(|c| HealthCheck::new(node, None, c));
        let own = instance.checks.values().map(|c| HealthCheck::new(node, Some(instance), c));
        Self {
            node: Node::new(node, datacenter),
            service: NodeService::new(instance),
            checks: of_node.chain(own).collect(),
        }
    }
}

/// A member in the words of Serf, which clients of `agent/members` decode.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Member {
    name: String,
    addr: String,
    port: u16,
    tags: BTreeMap<String, String>,
    status: u8,
    protocol_min: u8,
    protocol_max: u8,
    protocol_cur: u8,
    delegate_min: u8,
    delegate_max: u8,
    delegate_cur: u8,
}

impl Member {
    pub(super) fn new(view: &view::View, member: &view::MemberView) -> Self {
        let record = &member.record;
        let own = view.own_member().is_some_and(|own| own.member.key == member.member.key);
        let status = match member.member.status {
            MemberStatus::Alive | MemberStatus::Suspect if own && view.status().leaving => 2,
            MemberStatus::Alive | MemberStatus::Suspect => 1,
            MemberStatus::Left => 3,
            MemberStatus::Failed => 4,
        };
        let mut tags = record.tags.clone();
        let known = [
            ("role", "node".to_owned()),
            ("dc", view.datacenter().to_owned()),
            ("id", record.id.to_string()),
            ("build", format!("{}:shoal", super::CONSUL_VERSION)),
            ("vsn", "2".to_owned()),
            ("vsn_min", "2".to_owned()),
            ("vsn_max", "3".to_owned()),
            ("segment", String::new()),
        ];
        tags.extend(known.map(|(tag, value)| (tag.to_owned(), value)));
        Self {
            name: record.name.to_string(),
            addr: member.member.addr.ip().to_string(),
            port: member.member.addr.port(),
            tags,
            status,
            protocol_min: 1,
            protocol_max: 5,
            protocol_cur: 2,
            delegate_min: 2,
            delegate_max: 5,
            delegate_cur: 4,
        }
    }
}

impl HealthCheck<'_> {
    pub(super) fn status(&self) -> &'static str {
        self.status
    }
}
