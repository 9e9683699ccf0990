//! What a directory without servers cannot give, and what to say instead.
//!
//! Where Consul itself has an answer for a feature that is off, clients know it and get that one.

use super::query::ReadOptions;
use super::reply::{Failure, Freshness, Outcome, done, json, text};
use super::route::Call;
use super::topics::{EMPTY_INDEX, Question};
use http::{Method, StatusCode};

/// Reads look like those of an empty store, waiting included: clients that keep optional settings
/// there go on without them and do not spin. Writes are refused.
pub(super) async fn key_value(call: &Call) -> Outcome {
    if call.method != Method::GET {
        return Err(Failure::unsupported("the key/value store is"));
    }
    let options: ReadOptions = call.read_options()?;
    let view = call.app.view_after(options.index, options.wait, Question::Nothing).await?;
    drop(view);
    let mut reply = if call.query.has("keys") && call.id.is_empty() {
        json::<[(); 0]>(&[], call.pretty())?
    } else {
        let mut reply = done();
        *reply.status_mut() = StatusCode::NOT_FOUND;
        reply
    };
    Freshness { index: EMPTY_INDEX, last_contact_ms: 0, cached: options.cached }.apply(&mut reply);
    Ok(reply)
}

pub(super) fn acl() -> Outcome {
    Err(Failure::new(StatusCode::UNAUTHORIZED, "ACL support disabled"))
}

/// Prepared queries: there are none.
pub(super) fn queries(call: &Call) -> Outcome {
    if call.method != Method::GET {
        return Err(Failure::unsupported("prepared queries are"));
    }
    if !call.id.is_empty() {
        return Ok(text(StatusCode::NOT_FOUND, "Query not found"));
    }
    let mut reply = json::<[(); 0]>(&[], call.pretty())?;
    Freshness { index: EMPTY_INDEX, last_contact_ms: 0, cached: false }.apply(&mut reply);
    Ok(reply)
}
