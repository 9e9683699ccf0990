//! `catalog/*`: nodes and services, health not considered. Also what all blocking reads share.

use super::filter::{self, Filter};
use super::query::{ReadOptions, WaitLimits};
use super::reply::{Failure, Freshness, Outcome, Reply, done, json, to_json, with_json};
use super::route::Call;
use super::shapes::{Node, NodeService, ServiceNode};
use super::topics::Question;
use crate::model::Rtt;
use crate::view::{self, View};
use axum::body::Body;
use http::{Method, StatusCode};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A view to answer from and how the caller wants the answer.
pub(super) struct Read {
    pub(super) view: Arc<View>,
    pub(super) options: ReadOptions,
    index: u64,
    pretty: bool,
}

impl Call {
    pub(super) fn wait_limits(&self) -> WaitLimits {
        let limits = &self.app.info.limits;
        WaitLimits { default: limits.wait_default, max: limits.wait_max }
    }

    /// Waits if the caller asked for that.
    pub(super) async fn read(&self, question: Question<'_>) -> Result<Read, Failure> {
        let options = self.read_options()?;
        self.read_with(options, question).await
    }

    pub(super) fn read_options(&self) -> Result<ReadOptions, Failure> {
        ReadOptions::parse(&self.query, &self.headers, &self.app.info.datacenter, self.wait_limits())
    }

    pub(super) async fn read_with(
        &self,
        options: ReadOptions,
        question: Question<'_>,
    ) -> Result<Read, Failure> {
        let view = self.app.view_after(options.index, options.wait, question).await?;
        let index = question.index(&view);
        Ok(Read { view, options, index, pretty: self.pretty() })
    }

    /// The id, unless it is empty.
    pub(super) fn named(&self, missing: &str) -> Result<&str, Failure> {
        if self.id.is_empty() { Err(Failure::bad(missing)) } else { Ok(&self.id) }
    }
}

impl Read {
    pub(super) fn answer<T: Serialize>(&self, value: &T) -> Outcome {
        let mut reply = json(value, self.pretty)?;
        let cached = self.options.cached;
        Freshness { index: self.index, last_contact_ms: last_contact_ms(&self.view), cached }
            .apply(&mut reply);
        Ok(reply)
    }

    /// The same, to be given again while the service that was asked about does not change.
    pub(super) fn answer_of_service<T: Serialize>(&self, call: &Call, value: &T) -> Outcome {
        let options = &self.options;
        let again = call.method == Method::GET
            && options.index == 0
            && options.near.is_empty()
            && !options.cached
            && !self.pretty;
        if !again {
            return self.answer(value);
        }
        let bytes = to_json(value)?;
        call.app.rendered.keep(&call.question, &call.id, self.index, &bytes);
        let mut reply = with_json(Body::from(bytes));
        Freshness { index: self.index, last_contact_ms: last_contact_ms(&self.view), cached: false }
            .apply(&mut reply);
        Ok(reply)
    }

    /// There is no such thing: 404 without a body, with the index to wait for it.
    pub(super) fn nothing(&self) -> Reply {
        let mut reply = done();
        *reply.status_mut() = StatusCode::NOT_FOUND;
        let cached = self.options.cached;
        Freshness { index: self.index, last_contact_ms: last_contact_ms(&self.view), cached }
            .apply(&mut reply);
        reply
    }

    /// A node has every pair of metadata that the caller asked for.
    pub(super) fn wants_node(&self, node: &view::Node) -> bool {
        let wanted = &self.options.node_meta;
        // There are no peers, so nothing is imported from one.
        self.options.peer.is_empty()
            && wanted.iter().all(|(key, value)| node.record.tags.get(key).map_or("", String::as_str) == value)
            && wanted.iter().all(|(key, _)| node.record.tags.contains_key(key))
    }

    /// An instance has every tag that the caller asked for.
    pub(super) fn wants_tags(&self, instance: &view::Instance) -> bool {
        let has = |wanted: &str| instance.record.tags().any(|tag| tag.to_lowercase() == wanted);
        self.options.tags.iter().all(|wanted| has(wanted))
    }

    /// Instances of a service that the caller asked for, nearest first if asked for.
    pub(super) fn instances(&self, name: &str) -> Vec<(&view::Node, &view::Instance)> {
        let mut found: Vec<(&view::Node, &view::Instance)> = self
            .view
            .instances_of(name)
            .filter(|(node, instance)| self.wants_node(node) && self.wants_tags(instance))
            .map(|(node, instance)| (&**node, &**instance))
            .collect();
        self.sort_by_distance(&mut found, |(node, _)| node);
        found
    }

    /// Sorts by round-trip time from the node that the caller named, measured or else estimated. Of
    /// which nothing is known keep their order at the end; where nothing is known of the node that
    /// was named, all keep their order.
    pub(super) fn sort_by_distance<T>(&self, items: &mut [T], node: impl Fn(&T) -> &view::Node) {
        let near = match self.options.near.as_str() {
            "" => None,
            "_agent" => self.view.own_member(),
            name => self.view.member(name),
        };
        let Some(near) = near else { return };
        items.sort_by_cached_key(|item| {
            let member = self.view.member(node(item).record.name.as_str());
            let rtt = member.and_then(|member| self.view.rtt_between(near, member));
            rtt.map_or(Duration::MAX, Rtt::time)
        });
    }
}

/// How long ago a peer was heard: 0 while there is none to hear.
pub(super) fn last_contact_ms(view: &View) -> u64 {
    if view.member_count() < 2 {
        return 0;
    }
    view.status().since_heard_ms.unwrap_or(0)
}

pub(super) fn datacenters(call: &Call) -> Outcome {
    json(&[&call.app.info.datacenter], call.pretty())
}

pub(super) async fn nodes(call: &Call) -> Outcome {
    let read = call.read(Question::Nodes).await?;
    let filter = Filter::parse(&read.options.filter, filter::NODE)?;
    let mut found: Vec<&view::Node> =
        read.view.nodes().map(|n| &**n).filter(|n| read.wants_node(n)).collect();
    read.sort_by_distance(&mut found, |node| node);
    let shapes: Vec<Node<'_>> = found
        .into_iter()
        .map(|node| Node::new(node, read.view.datacenter()))
        .filter(|node| filter.keeps(node))
        .collect();
    read.answer(&shapes)
}

pub(super) async fn services(call: &Call) -> Outcome {
    let options = call.read_options()?;
    let filter = Filter::parse(&options.filter, filter::SERVICE_NODE)?;
    let plain = options.node_meta.is_empty() && filter.is_empty() && options.peer.is_empty();
    // Picking instances can change the answer without the list of names and tags changing.
    let question = if plain { Question::Services } else { Question::Catalog };
    let read = call.read_with(options, question).await?;
    if plain {
        let list: BTreeMap<&str, Vec<&String>> =
            read.view.services().map(|s| (s.name.as_str(), s.tags.keys().collect())).collect();
        return read.answer(&list);
    }
    let mut list: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for service in read.view.services() {
        for (node, instance) in read.view.instances_of(service.name.as_str()) {
            if read.wants_node(node)
                && filter.keeps(&ServiceNode::new(node, instance, read.view.datacenter()))
            {
                let tags = instance.record.tags();
                list.entry(service.name.as_str()).or_default().extend(tags);
            }
        }
    }
    read.answer(&list)
}

pub(super) async fn service(call: &Call) -> Outcome {
    let options = call.read_options()?;
    let name = call.named("Missing service name")?;
    let filter = Filter::parse(&options.filter, filter::SERVICE_NODE)?;
    let read = call.read_with(options, Question::Service(name)).await?;
    let shapes: Vec<ServiceNode<'_>> = read
        .instances(name)
        .into_iter()
        .map(|(node, instance)| ServiceNode::new(node, instance, read.view.datacenter()))
        .filter(|shape| filter.keeps(shape))
        .collect();
    read.answer_of_service(call, &shapes)
}

/// A node by name, or by the beginning of its identifier.
fn find_node<'a>(view: &'a View, name: &str) -> Option<&'a view::Node> {
    view.node(name).or_else(|| view.node_by_id_prefix(name)).map(|node| &**node)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServices<'a, S: Serialize> {
    node: Option<Node<'a>>,
    services: Option<S>,
}

async fn read_node(call: &Call) -> Result<(Read, Filter, &str), Failure> {
    let options = call.read_options()?;
    let name = call.named("Missing node name")?;
    let filter = Filter::parse(&options.filter, filter::NODE_SERVICE)?;
    let read = call.read_with(options, Question::NodeOrId(name)).await?;
    Ok((read, filter, name))
}

pub(super) async fn node(call: &Call) -> Outcome {
    let (read, filter, name) = read_node(call).await?;
    let Some(node) = find_node(&read.view, name).filter(|_| read.options.peer.is_empty()) else {
        return read.answer(&());
    };
    let services: BTreeMap<&str, NodeService<'_>> = node
        .instances
        .values()
        .map(|i| (i.record.id(), NodeService::new(i)))
        .filter(|(_, shape)| filter.keeps(shape))
        .collect();
    let node = Some(Node::new(node, read.view.datacenter()));
    read.answer(&NodeServices { node, services: Some(services) })
}

pub(super) async fn node_services(call: &Call) -> Outcome {
    let (read, filter, name) = read_node(call).await?;
    let Some(node) = find_node(&read.view, name).filter(|_| read.options.peer.is_empty()) else {
        return read.answer(&NodeServices::<()> { node: None, services: None });
    };
    let services: Vec<NodeService<'_>> =
        node.instances.values().map(|i| NodeService::new(i)).filter(|shape| filter.keeps(shape)).collect();
    let node = Some(Node::new(node, read.view.datacenter()));
    read.answer(&NodeServices { node, services: Some(services) })
}
