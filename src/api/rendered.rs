//! Answers that were written already: what many ask again and again is written once per change.
//!
//! An answer is kept under the very text of its question, path and query, and is good while the
//! index of what was asked is the same: an index that rises with every visible change is what
//! blocking queries promise anyway. What depends on more than that (distances, whoever waits) is
//! not kept. Bounded in number and bytes; when it is full the older half goes.

use super::App;
use super::catalog::last_contact_ms;
use super::reply::{Freshness, Reply, with_json};
use super::route::place;
use super::topics::Question;
use crate::view::View;
use axum::body::Body;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, Request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Answers in one of the two halves.
const ANSWERS_MAX: usize = 1_024;
/// Their bytes.
const BYTES_MAX: usize = 8 << 20;
/// A longer answer is not kept.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// A longer question is not kept.
const QUESTION_BYTES_MAX: usize = 1_024;

/// Only what is asked so is looked for here.
const PREFIXES: [&str; 2] = ["/v1/health/service/", "/v1/catalog/service/"];

struct Answer {
    /// The service that was asked about, decoded.
    service: Box<str>,
    index: u64,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Default)]
struct Halves {
    newer: BTreeMap<Box<str>, Arc<Answer>>,
    older: BTreeMap<Box<str>, Arc<Answer>>,
    newer_bytes: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Rendered(Mutex<Halves>);

impl Rendered {
    fn lock(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the JSON of an answer about a service.
    pub(super) fn keep(&self, question: &str, service: &str, index: u64, body: &Bytes) {
        if body.len() > ANSWER_BYTES_MAX || question.len() > QUESTION_BYTES_MAX {
            return;
        }
        let mut reply = with_json(Body::empty());
        Freshness { index, last_contact_ms: 0, cached: false }.apply(&mut reply);
        let mut headers = std::mem::take(reply.headers_mut());
        headers.insert("x-consul-default-acl-policy", HeaderValue::from_static("allow"));
        let answer = Answer { service: service.into(), index, headers, body: body.clone() };
        let mut halves = self.lock();
        if halves.newer.len() >= ANSWERS_MAX || halves.newer_bytes >= BYTES_MAX {
            halves.older = std::mem::take(&mut halves.newer);
            halves.newer_bytes = 0;
        }
        halves.newer_bytes += body.len();
        if let Some(before) = halves.newer.insert(question.into(), Arc::new(answer)) {
            halves.newer_bytes -= before.body.len();
        }
    }

    fn find(&self, question: &str) -> Option<Arc<Answer>> {
        let halves = self.lock();
        halves.newer.get(question).or_else(|| halves.older.get(question)).map(Arc::clone)
    }
}

/// The question as it may be kept: without a tenancy in its headers it is all in its text.
fn question<B>(request: &Request<B>) -> Option<&str> {
    if request.method() != Method::GET {
        return None;
    }
    let text = request.uri().path_and_query()?.as_str();
    PREFIXES.iter().any(|prefix| text.starts_with(prefix)).then_some(text)
}

fn has_tenancy(headers: &HeaderMap) -> bool {
    ["x-consul-namespace", "x-consul-partition"].iter().any(|name| headers.contains_key(*name))
}

impl App {
    /// The answer to this request, if it was written before and is still good.
    pub(super) fn rendered<B>(&self, request: &Request<B>) -> Option<Reply> {
        let answer = self.rendered.find(question(request)?)?;
        if has_tenancy(request.headers()) {
            return None;
        }
        let view: Arc<View> = self.view.load();
        if Question::Service(&answer.service).index(&view) != answer.index {
            return None;
        }
        let mut reply = Reply::new(Body::from(answer.body.clone()));
        *reply.headers_mut() = answer.headers.clone();
        self.counts.answered(place(request.uri().path()), reply.status());
        let contact = last_contact_ms(&view);
        if contact > 0 {
            reply.headers_mut().insert("x-consul-lastcontact", HeaderValue::from(contact));
        }
        Some(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(kept: &Rendered, question: &str, bytes: usize) {
        kept.keep(question, "web", 7, &Bytes::from(vec![b' '; bytes]));
    }

    #[test]
    fn what_is_kept_of_answers_is_bounded_in_number_and_bytes() {
        let kept = Rendered::default();
        for n in 0..5 * ANSWERS_MAX {
            keep(&kept, &format!("/v1/health/service/{n}"), 1);
        }
        let halves = kept.lock();
        assert!(halves.newer.len() <= ANSWERS_MAX && halves.older.len() <= ANSWERS_MAX);
        assert!(halves.newer.len() + halves.older.len() > ANSWERS_MAX, "the newer half stays");
        drop(halves);
        let kept = Rendered::default();
        keep(&kept, "too long an answer", ANSWER_BYTES_MAX + 1);
        keep(&kept, &"q".repeat(QUESTION_BYTES_MAX + 1), 1);
        assert!(kept.lock().newer.is_empty());
        for n in 0..200 {
            keep(&kept, &n.to_string(), ANSWER_BYTES_MAX);
            let halves = kept.lock();
            for half in [&halves.newer, &halves.older] {
                let bytes: usize = half.values().map(|answer| answer.body.len()).sum();
                assert!(bytes < BYTES_MAX + ANSWER_BYTES_MAX, "{bytes} after {n}");
            }
        }
    }
}
