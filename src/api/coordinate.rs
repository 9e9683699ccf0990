//! `coordinate/*` and `shoal/rtt`: where nodes are in the network, and how far from each other.
//!
//! Coordinates move a little with every probe. Reads show them as they are; they wait, like other
//! reads, for the list of nodes or the node to change, and a move alone wakes nobody.

use super::catalog::Read;
use super::reply::{Failure, Outcome, json};
use super::route::Call;
use super::topics::Question;
use crate::model::Coordinate;
use crate::view::{MemberView, View};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// A coordinate in Consul's words; lengths in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Coord {
    vec: [f64; crate::model::COORDINATE_DIMENSIONS],
    error: f64,
    adjustment: f64,
    height: f64,
}

impl From<&Coordinate> for Coord {
    fn from(c: &Coordinate) -> Self {
        Self { vec: *c.vec(), error: c.error(), adjustment: c.adjustment(), height: c.height() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Located<'a> {
    node: &'a str,
    segment: &'static str,
    coord: Coord,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Datacenter<'a> {
    datacenter: &'a str,
    #[serde(rename = "AreaID")]
    area_id: &'static str,
    coordinates: Vec<Located<'a>>,
}

fn locate<'a>(view: &View, name: &'a str) -> Option<Located<'a>> {
    let coordinate = view.member(name)?.member.coordinate?;
    Some(Located { node: name, segment: "", coord: Coord::from(&coordinate) })
}

/// Every node of the catalog whose coordinate is known here.
fn located(view: &View) -> Vec<Located<'_>> {
    view.nodes().filter_map(|node| locate(view, node.record.name.as_str())).collect()
}

pub(super) async fn nodes(call: &Call) -> Outcome {
    let read: Read = call.read(Question::Nodes).await?;
    read.answer(&located(&read.view))
}

pub(super) async fn node(call: &Call) -> Outcome {
    let name = call.named("Missing node name")?;
    let read = call.read(Question::Node(name)).await?;
    let node = read.view.node(name).and_then(|node| locate(&read.view, node.record.name.as_str()));
    match node {
        Some(node) => read.answer(&[node]),
        None => Ok(read.nothing()),
    }
}

/// There is one datacenter, and no other network between several.
pub(super) fn datacenters(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let here = Datacenter { datacenter: view.datacenter(), area_id: "wan", coordinates: located(&view) };
    json(&[here], call.pretty())
}

/// Agents measure; what others say of their place would only mislead.
pub(super) fn update() -> Outcome {
    let text = "coordinate/update is not supported: every agent finds its own coordinate by its probes";
    Err(Failure::new(StatusCode::NOT_IMPLEMENTED, text))
}

#[derive(Serialize)]
struct Distance<'a> {
    a: &'a str,
    b: &'a str,
    rtt_ms: Option<f64>,
    source: Option<&'static str>,
}

/// The round-trip time between the nodes `a` and `b`; one that is not named is this agent's.
pub(super) fn rtt(call: &Call) -> Outcome {
    let view = call.app.view.load();
    let (a, b) = (meant(&view, call.query.get("a"))?, meant(&view, call.query.get("b"))?);
    let rtt = view.rtt_between(&a, &b);
    let answer = Distance {
        a: a.record.name.as_str(),
        b: b.record.name.as_str(),
        rtt_ms: rtt.map(|rtt| rtt.time().as_secs_f64() * 1_000.0),
        source: rtt.map(crate::model::Rtt::source),
    };
    json(&answer, call.pretty())
}

fn meant(view: &View, name: &str) -> Result<Arc<MemberView>, Failure> {
    let member = if matches!(name, "" | "_agent") { view.own_member() } else { view.member(name) };
    let unknown = || Failure::not_found(format!("no node is named {name:?}"));
    member.cloned().ok_or_else(unknown)
}
