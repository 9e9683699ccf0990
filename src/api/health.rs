//! `health/*`: instances with their checks, and checks alone.

use super::catalog::Read;
use super::filter::{self, Filter};
use super::query::parse_passing;
use super::reply::Outcome;
use super::route::Call;
use super::shapes::{HealthCheck, ServiceEntry};
use super::topics::Question;
use crate::model::CheckStatus;
use crate::view::{self, Health};

pub(super) async fn service(call: &Call) -> Outcome {
    let options = call.read_options()?;
    let name = call.named("Missing service name")?;
    let passing = parse_passing(&call.query)?;
    let filter = Filter::parse(&options.filter, filter::SERVICE_ENTRY)?;
    let read = call.read_with(options, Question::Service(name)).await?;
    let shapes: Vec<ServiceEntry<'_>> = read
        .instances(name)
        .into_iter()
        .filter(|(node, instance)| !passing || node.instance_health(instance) == Health::Passing)
        .map(|(node, instance)| ServiceEntry::new(node, instance, read.view.datacenter()))
        .filter(|shape| filter.keeps(shape))
        .collect();
    read.answer_of_service(call, &shapes)
}

pub(super) async fn checks(call: &Call) -> Outcome {
    let options = call.read_options()?;
    let name = call.named("Missing service name")?;
    let filter = Filter::parse(&options.filter, filter::HEALTH_CHECK)?;
    let read = call.read_with(options, Question::Service(name)).await?;
    let mut found: Vec<(&view::Node, &view::Instance)> = read
        .view
        .instances_of(name)
        .filter(|(node, _)| read.wants_node(node))
        .map(|(node, instance)| (&**node, &**instance))
        .collect();
    read.sort_by_distance(&mut found, |(node, _)| node);
    let shapes: Vec<HealthCheck<'_>> = found
        .into_iter()
        .flat_map(|(node, i)| i.checks.values().map(move |c| HealthCheck::new(node, Some(i), c)))
        .filter(|shape| filter.keeps(shape))
        .collect();
    read.answer(&shapes)
}

pub(super) async fn node(call: &Call) -> Outcome {
    let options = call.read_options()?;
    let name = call.named("Missing node name")?;
    let filter = Filter::parse(&options.filter, filter::HEALTH_CHECK)?;
    let read = call.read_with(options, Question::Node(name)).await?;
    let shapes: Vec<HealthCheck<'_>> = read
        .view
        .node(name)
        .filter(|_| read.options.peer.is_empty())
        .into_iter()
        .flat_map(|node| checks_of(node))
        .filter(|shape| filter.keeps(shape))
        .collect();
    read.answer(&shapes)
}

pub(super) async fn state(call: &Call) -> Outcome {
    let options = call.read_options()?;
    let word = call.named("Missing check state")?;
    let filter = Filter::parse(&options.filter, filter::HEALTH_CHECK)?;
    let read = call.read_with(options, Question::Checks).await?;
    let shapes: Vec<HealthCheck<'_>> = match word {
        "any" => in_state(&read, None),
        word => match CheckStatus::from_word(word) {
            Some(status) => in_state(&read, Some(status)),
            None => Vec::new(),
        },
    };
    let shapes: Vec<HealthCheck<'_>> = shapes.into_iter().filter(|shape| filter.keeps(shape)).collect();
    read.answer(&shapes)
}

fn in_state(read: &Read, status: Option<CheckStatus>) -> Vec<HealthCheck<'_>> {
    let mut nodes: Vec<&view::Node> =
        read.view.nodes().map(|n| &**n).filter(|n| read.wants_node(n)).collect();
    read.sort_by_distance(&mut nodes, |node| node);
    nodes
        .into_iter()
        .flat_map(checks_of)
        .filter(|check| status.is_none_or(|status| check.status() == status.as_str()))
        .collect()
}

/// All checks on a node, its own first.
fn checks_of(node: &view::Node) -> impl Iterator<Item = HealthCheck<'_>> {
    let own = node.node_checks().map(move |c| HealthCheck::new(node, None, c));
    let of_instances = node
        .instances
        .values()
        .flat_map(move |i| i.checks.values().map(move |c| HealthCheck::new(node, Some(i), c)));
    own.chain(of_instances)
}
