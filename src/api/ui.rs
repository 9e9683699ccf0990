//! The dashboard under `/ui/`: static files that are part of the program.
//!
//! They hold no data and ask for no right: what they show they get from the API, as their reader, with
//! the reader's token. Whatever they are made of is here, so the headers can forbid the browser
//! everything else: other origins, inline scripts and styles, frames, and (by trusted types) any way
//! from text to markup.

use super::reply::{Failure, Outcome, Reply, set_header};
use super::route::Call;
use axum::body::Body;
use http::header::{ACCEPT, CONTENT_LENGTH, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};

/// Where it is.
pub(super) const PLACE: &str = "/ui/";

const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

struct File {
    name: &'static str,
    body: &'static [u8],
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(File { name: $name, body: include_bytes!(concat!("ui/", $name)) }),*]
    };
}

const FILES: &[File] = files![
    "index.html",
    "icon.svg",
    "base.css",
    "parts.css",
    "views.css",
    "theme.js",
    "main.js",
    "api.js",
    "stream.js",
    "store.js",
    "changes.js",
    "dom.js",
    "format.js",
    "table.js",
    "header.js",
    "access.js",
    "services.js",
    "instances.js",
    "members.js",
    "map.js",
    "projection.js",
    "events.js",
    "figures.js",
    "charts.js",
];

impl File {
    fn kind(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            Some(_) | None => "application/octet-stream",
        }
    }

    fn tag(&self) -> String {
        format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(self.body))
    }
}

/// A file, or 304 when the caller has this very one.
pub(super) fn file(call: &Call) -> Outcome {
    let name = if call.id.is_empty() { "index.html" } else { &call.id };
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        let text = format!("the dashboard has no file {name:?}; it begins at {PLACE}");
        return Ok(guarded(Failure::not_found(text).into_reply()));
    };
    let tag = file.tag();
    let mut reply = if has(&call.headers, &tag) {
        let mut reply = Reply::new(Body::empty());
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply
    } else {
        let mut reply = Reply::new(Body::from(file.body));
        reply.headers_mut().insert(CONTENT_LENGTH, file.body.len().into());
        set_header(&mut reply, "content-type", file.kind());
        reply
    };
    set_header(&mut reply, "etag", &tag);
    // A newer agent has newer files: asking costs a few hundred bytes.
    set_header(&mut reply, "cache-control", "no-cache");
    Ok(guarded(reply))
}

/// Whether the caller says that it has what this tag stands for (RFC 9110, 13.1.2).
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let told = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    told.flat_map(|list| list.split(',')).map(str::trim).any(|known| {
        let known = known.strip_prefix("W/").unwrap_or(known);
        known == "*" || known == tag
    })
}

fn guarded(mut reply: Reply) -> Reply {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        set_header(&mut reply, name, value);
    }
    reply
}

/// Sends the caller to the dashboard.
pub(super) fn moved() -> Reply {
    let mut reply = super::reply::text(StatusCode::FOUND, format!("the dashboard is at {PLACE}\n"));
    set_header(&mut reply, "location", PLACE);
    set_header(&mut reply, "vary", "accept");
    set_header(&mut reply, "cache-control", "no-cache");
    guarded(reply)
}

/// Whether it is a browser that wants to show a page. Programs that ask whether anybody is there say
/// nothing of the kind.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let told = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    told.flat_map(|list| list.split(',')).any(|kind| kind.trim_start().starts_with("text/html"))
}

/// Name and body of each file.
#[cfg(test)]
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().map(|file| (file.name, file.body))
}
