//! Answers: JSON with the headers clients look for, and errors as plain text.

use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

/// What a handler answers.
pub(super) type Reply = Response<Body>;

/// A request that cannot be answered with what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// 400: the caller's fault.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 500, which clients of this dialect take for "try again".
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// 501: there is no such thing here, and why.
    pub(super) fn unsupported(thing: &str) -> Self {
        let text = format!(
            "{thing} not supported: this agent keeps no consensus store (see /v1/agent/self DebugConfig)"
        );
        Self::new(StatusCode::NOT_IMPLEMENTED, text)
    }

    pub(super) fn into_reply(self) -> Reply {
        text(self.status, self.text)
    }
}

pub(super) type Outcome = Result<Reply, Failure>;

fn with_body(status: StatusCode, kind: Option<&'static str>, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    if let Some(kind) = kind {
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    reply
}

/// 200 with an empty body: a change was made.
pub(super) fn done() -> Reply {
    with_body(StatusCode::OK, None, Body::empty())
}

pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Reply {
    with_body(status, Some("text/plain; charset=utf-8"), Body::from(text.into()))
}

/// 200 with JSON that is written already.
pub(super) fn with_json(body: Body) -> Reply {
    with_body(StatusCode::OK, Some("application/json"), body)
}

/// An object or a list as bytes.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Failure> {
    let bytes = serde_json::to_vec(value);
    bytes.map(Bytes::from).map_err(|e| Failure::internal(format!("could not write the answer: {e}")))
}

/// An object or a list; indented by four spaces if the caller asked for that.
pub(super) fn json<T: Serialize + ?Sized>(value: &T, pretty: bool) -> Outcome {
    let failed = |e: serde_json::Error| Failure::internal(format!("could not write the answer: {e}"));
    if !pretty {
        return Ok(with_json(Body::from(to_json(value)?)));
    }
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut writer).map_err(failed)?;
    bytes.push(b'\n');
    Ok(with_json(Body::from(bytes)))
}

/// Adds a header; a value that cannot stand in one is left out.
pub(super) fn set_header(reply: &mut Reply, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// How fresh an answer is; on every read of catalog and health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    /// Change index of the query.
    pub(super) index: u64,
    /// Milliseconds since any peer was heard, 0 when there is none to hear.
    pub(super) last_contact_ms: u64,
    /// The caller asked for cached answers.
    pub(super) cached: bool,
}

impl Freshness {
    pub(super) fn apply(self, reply: &mut Reply) {
        set_header(reply, "x-consul-index", &self.index.to_string());
        set_header(reply, "x-consul-knownleader", "true");
        set_header(reply, "x-consul-lastcontact", &self.last_contact_ms.to_string());
        // The honest word: the answer comes from this agent's table.
        set_header(reply, "x-consul-effective-consistency", "stale");
        set_header(reply, "x-consul-query-backend", "blocking-query");
        if self.cached {
            set_header(reply, "x-cache", "HIT");
            set_header(reply, "age", "0");
        }
    }
}
