//! The API's description in the OpenAPI format, for programs that read such things.
//!
//! A document beside this file, kept true by the test below it: every route of the table is in it
//! with its methods and nothing else, and answers are what its schemas say.

use super::reply::{Reply, set_header, text};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

pub(super) const DOCUMENT: &str = include_str!("openapi.json");

pub(super) fn document() -> Reply {
    let mut reply = text(StatusCode::OK, DOCUMENT);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set_header(&mut reply, "cache-control", "max-age=3600");
    reply
}
