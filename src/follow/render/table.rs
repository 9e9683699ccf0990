//! What templates ask of the table: kept from render to render, and asked again when it changed.

use crate::client::{Client, Endpoint, Error, Health, Instance, Member, Query, WatchEvent};
use crate::model::MemberStatus;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Services that templates may ask about, all together.
pub(super) const TOPICS_MAX: usize = 10_000;

/// One question to the agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// The instances of a service, by its name in lower case.
    Service(String),
    /// The names of all services.
    Services,
    /// The nodes of the cluster.
    Members,
}

/// An instance as templates see it, with what it is selected by.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) health: Health,
    pub(super) node: String,
    pub(super) tags: Vec<String>,
    pub(super) value: Value,
}

/// A node as templates see it.
#[derive(Debug, Clone)]
pub(super) struct NodeRow {
    /// Alive, or suspected of not being so.
    pub(super) is_live: bool,
    /// As one of `nodes()`.
    pub(super) node: Value,
    /// As one of `members()`.
    pub(super) member: Value,
}

/// The agent's answer to one question.
#[derive(Debug)]
pub(super) enum Answer {
    Instances(Vec<Row>),
    Names(Vec<Value>),
    Nodes(Vec<NodeRow>),
}

/// What is known, what was asked, and what of that is not known.
#[derive(Debug, Default)]
pub(super) struct Table {
    known: BTreeMap<Topic, Answer>,
    used: BTreeSet<Topic>,
    missing: BTreeSet<Topic>,
}

impl Table {
    /// The answer to `topic`, unless it has to be fetched first; `None` as well when too much was
    /// asked.
    pub(super) fn ask(&mut self, topic: Topic) -> Result<Option<&Answer>, String> {
        if self.used.len() >= TOPICS_MAX && !self.used.contains(&topic) {
            return Err(format!("templates ask about more than {TOPICS_MAX} services"));
        }
        self.used.insert(topic.clone());
        if !self.known.contains_key(&topic) {
            self.missing.insert(topic.clone());
        }
        Ok(self.known.get(&topic))
    }

    pub(super) fn take_missing(&mut self) -> BTreeSet<Topic> {
        std::mem::take(&mut self.missing)
    }

    pub(super) fn put(&mut self, topic: Topic, answer: Answer) {
        self.known.insert(topic, answer);
    }

    pub(super) fn forget_all(&mut self) {
        self.known.clear();
    }

    /// Begins to note anew what is asked; answers what was noted.
    pub(super) fn take_used(&mut self) -> BTreeSet<Topic> {
        std::mem::take(&mut self.used)
    }

    /// Where a template failed half of its questions may not have been asked.
    pub(super) fn keep_used(&mut self, before: BTreeSet<Topic>) {
        self.used.extend(before);
        let used = &self.used;
        self.known.retain(|topic, _| used.contains(topic));
    }

    /// Forgets what `event` changed; whether anything of that is in use.
    pub(super) fn take_event(&mut self, event: &WatchEvent) -> bool {
        let service = match event {
            WatchEvent::Interrupted(_) | WatchEvent::Resumed => return false,
            WatchEvent::Change(change) => change.raw["service"].as_str().map(str::to_lowercase),
            WatchEvent::Snapshot(_) | WatchEvent::Other { .. } => None,
        };
        let Some(service) = service else {
            // A node, which may be that of any instance; or more than one change.
            self.forget_all();
            return !self.used.is_empty();
        };
        let topics = [Topic::Service(service), Topic::Services];
        for topic in &topics {
            self.known.remove(topic);
        }
        topics.iter().any(|topic| self.used.contains(topic))
    }
}

/// Asks the agent.
pub(super) async fn fetch(client: &Client, topic: &Topic) -> Result<Answer, Error> {
    Ok(match topic {
        Topic::Service(name) => {
            let mut instances = client.health(name, &Query::default()).await?;
            // The same table is the same text, whatever order it was told in.
            instances.sort_by(|a, b| (&a.node.name, &a.service.id).cmp(&(&b.node.name, &b.service.id)));
            Answer::Instances(instances.iter().map(row).collect())
        }
        Topic::Services => {
            let services = client.services().await?;
            Answer::Names(services.into_iter().map(|(name, tags)| name_value(name, tags)).collect())
        }
        Topic::Members => {
            let mut members = client.members().await?;
            members.sort_by(|a, b| a.name.cmp(&b.name));
            Answer::Nodes(members.iter().map(node_row).collect())
        }
    })
}

#[derive(Serialize)]
struct InstanceFields<'a> {
    service: &'a str,
    id: &'a str,
    node: &'a str,
    address: &'a str,
    port: u16,
    endpoint: String,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    node_meta: &'a BTreeMap<String, String>,
    weight: u32,
    health: &'static str,
}

fn row(instance: &Instance) -> Row {
    let (service, health) = (&instance.service, instance.health());
    let weights = service.weights;
    let fields = InstanceFields {
        service: &service.name,
        id: &service.id,
        node: &instance.node.name,
        address: instance.address(),
        port: service.port,
        endpoint: Endpoint::join(instance.address(), service.port),
        tags: &service.tags,
        meta: &service.meta,
        node_meta: &instance.node.meta,
        weight: if health == Health::Warning { weights.warning } else { weights.passing },
        health: health.as_str(),
    };
    let (node, tags) = (instance.node.name.clone(), service.tags.clone());
    Row { health, node, tags, value: Value::from(Serde(&fields)) }
}

fn name_value(name: String, mut tags: Vec<String>) -> Value {
    #[derive(Serialize)]
    struct Fields {
        name: String,
        tags: Vec<String>,
    }
    tags.sort();
    Value::from(Serde(&Fields { name, tags }))
}

#[derive(Serialize)]
struct MemberFields<'a> {
    name: &'a str,
    address: &'a str,
    status: &'static str,
    tags: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<Option<f64>>,
}

fn node_row(member: &Member) -> NodeRow {
    // Of `IP:PORT`, where the port is that of gossip and no use to whoever connects to the node.
    let ip = member.address.rsplit_once(':').map_or(member.address.as_str(), |(ip, _)| ip);
    let fields = |address, rtt_ms| MemberFields {
        name: &member.name,
        address,
        status: member.status.as_str(),
        tags: &member.tags,
        rtt_ms,
    };
    let rtt_ms = member.rtt.map(|rtt| rtt.as_micros() as f64 / 1_000.0);
    NodeRow {
        is_live: matches!(member.status, MemberStatus::Alive | MemberStatus::Suspect),
        node: Value::from(Serde(&fields(ip.trim_matches(['[', ']']), None))),
        member: Value::from(Serde(&fields(&member.address, Some(rtt_ms)))),
    }
}
