//! `shoal/doctor`: an examination of this agent, its host and the way to others, made when it is asked for.

use super::local::refused;
use super::reply::{Failure, Outcome, json};
use super::request::Request;
use super::route::Call;

/// Of the member named by `node`, or of some.
pub(super) async fn examination(call: Call) -> Outcome {
    let name = call.query.get("node");
    let nodes = if name.is_empty() {
        Vec::new()
    } else {
        let view = call.app.view.load();
        let member = view.member(name);
        let unknown = || Failure::not_found(format!("no node is named {name:?}"));
        vec![member.ok_or_else(unknown)?.record.name.clone()]
    };
    let found = call.app.ask(|reply| Request::Examine(nodes, reply)).await?.map_err(refused)?;
    json(&*found, call.pretty())
}
