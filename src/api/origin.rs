//! Pages of other sites that make a browser ask this agent for something.
//!
//! A browser sends some requests for whatever page it shows, without asking whether the page may; it
//! hides the answer, but a change would have been made. With every request that is more than a read it
//! tells the page's origin (WHATWG Fetch, 3.1), which has to be this agent, as the request names it.
//! Programs that are no browsers tell none.

use super::reply::Failure;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{Method, StatusCode};

/// Refuses what changes something on behalf of a page from elsewhere.
pub(super) fn admits(parts: &Parts) -> Result<(), Failure> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let Some(told) = parts.headers.get(ORIGIN) else { return Ok(()) };
    let host = parts.headers.get(HOST).map(|host| host.as_bytes());
    let own = told.to_str().ok().and_then(|told| told.split_once("://")).map(|(_, authority)| authority);
    if own.is_some_and(|own| host.is_some_and(|host| own.as_bytes().eq_ignore_ascii_case(host))) {
        return Ok(());
    }
    let origin: String = String::from_utf8_lossy(told.as_bytes()).chars().take(100).collect();
    tracing::info!(origin, path = parts.uri.path(), "refused what a page from elsewhere asked for");
    let text =
        format!("Permission denied: a page of {origin:?} asked for it: want no Origin, or this agent's own");
    Err(Failure::new(StatusCode::FORBIDDEN, text))
}
