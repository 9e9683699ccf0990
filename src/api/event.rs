//! `event/*`: events that callers fire for whoever listens, and those that were heard here.
//!
//! Best-effort by nature: no order, no promise that everybody hears them. The list waits in a way
//! of its own: its index is the newest event's identifier folded to a number, so callers wait
//! while it is *equal* to theirs; it neither rises nor fits 63 bits.

use super::local::refused;
use super::query::{check_datacenter, check_tenancy, parse_blocking};
use super::reply::{Failure, Outcome, json, set_header};
use super::request::{Request, RequestError};
use super::route::Call;
use crate::model::{USER_EVENT_REGEX_BYTES_MAX, UserEvent, UserEventContent};
use crate::view::View;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde::Serialize;

/// The index of a list without events, for callers that wait for the first.
const EMPTY_INDEX: u64 = 1;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shape<'a> {
    #[serde(rename = "ID")]
    id: String,
    name: &'a str,
    payload: Option<String>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u8,
    #[serde(rename = "LTime")]
    l_time: u64,
}

impl<'a> Shape<'a> {
    fn new(event: &'a UserEvent) -> Self {
        let UserEventContent { name, payload, node_filter, service_filter, tag_filter } = &event.content;
        Self {
            id: event.id.to_string(),
            name,
            payload: (!payload.is_empty()).then(|| BASE64_STANDARD.encode(payload)),
            node_filter,
            service_filter,
            tag_filter,
            version: 1,
            // There is no clock that all nodes share.
            l_time: 0,
        }
    }
}

fn check_filter(kind: &str, filter: &str) -> Result<(), Failure> {
    let compiled = regex::RegexBuilder::new(filter).size_limit(USER_EVENT_REGEX_BYTES_MAX).build();
    compiled.map(drop).map_err(|e| Failure::internal(format!("Invalid {kind} filter: {e}")))
}

/// Fires an event with the body as its payload.
pub(super) async fn fire(mut call: Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    check_datacenter(&call.query, &call.app.info.datacenter)?;
    if call.id.is_empty() {
        return Err(Failure::bad("Missing name"));
    }
    let payload = call.body().await?;
    let filter = |name: &str| call.query.get(name).to_owned();
    let content = UserEventContent {
        name: call.id.clone(),
        payload,
        node_filter: filter("node"),
        service_filter: filter("service"),
        tag_filter: filter("tag"),
    };
    if content.service_filter.is_empty() && !content.tag_filter.is_empty() {
        return Err(Failure::internal("Cannot provide tag filter without service filter"));
    }
    content.check().map_err(|e| refused(RequestError::Fire(e)))?;
    check_filter("node", &content.node_filter)?;
    check_filter("service", &content.service_filter)?;
    check_filter("tag", &content.tag_filter)?;
    let event = call.app.ask(|reply| Request::Fire(Box::new(content), reply)).await?.map_err(refused)?;
    json(&Shape::new(&event), call.pretty())
}

/// Events of this name, or all of them, oldest first.
fn listed<'a>(view: &'a View, name: &'a str) -> impl DoubleEndedIterator<Item = &'a UserEvent> {
    view.user_events().map(|event| &**event).filter(move |e| name.is_empty() || e.content.name == name)
}

fn index(view: &View, name: &str) -> u64 {
    listed(view, name).next_back().map_or(EMPTY_INDEX, |newest| newest.id.folded().max(EMPTY_INDEX))
}

pub(super) async fn list(call: &Call) -> Outcome {
    check_tenancy(&call.query, &call.headers)?;
    let (known, wait) = parse_blocking(&call.query, call.wait_limits())?;
    let name = call.query.get("name");
    let mut view = call.app.view.load();
    if known != 0 && index(&view, name) == known {
        view = call.app.view_when(wait, |view| index(view, name) != known).await?;
    }
    let shapes: Vec<Shape<'_>> = listed(&view, name).map(Shape::new).collect();
    let mut reply = json(&shapes, call.pretty())?;
    set_header(&mut reply, "x-consul-index", &index(&view, name).to_string());
    Ok(reply)
}

/// What a refusal to fire is to the caller.
pub(super) fn refusal(error: &crate::model::UserEventError) -> Failure {
    use crate::model::UserEventError::{FiltersTooLarge, Leaving, NoName, TooLarge, TooMany};
    let status = match error {
        NoName => StatusCode::BAD_REQUEST,
        // The status of the dialect, where a body too large is the server's error.
        TooLarge { .. } | FiltersTooLarge { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        Leaving => StatusCode::SERVICE_UNAVAILABLE,
    };
    Failure::new(status, error.to_string())
}
