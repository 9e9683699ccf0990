//! Counters of the DNS server, with label sets that do not grow.
//!
//! Shared by all that answer; each count is one relaxed addition.

use super::query::rtype;
use crate::view::Exposition;
use std::sync::atomic::{AtomicU64, Ordering};

/// Types that are counted by name; the rest are one.
const TYPES: [(&str, u16); 8] = [
    ("A", rtype::A),
    ("AAAA", rtype::AAAA),
    ("SRV", rtype::SRV),
    ("PTR", rtype::PTR),
    ("TXT", rtype::TXT),
    ("ANY", rtype::ANY),
    ("SOA", rtype::SOA),
    ("NS", rtype::NS),
];

/// How a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With records.
    Answered,
    /// The name exists and has no such record.
    NoData,
    /// There is no such name.
    NxDomain,
    /// It could not be understood.
    FormErr,
    /// It could not be answered.
    ServFail,
    /// It asks for what is not done here: zone transfers, updates, other versions of EDNS.
    NotImp,
    /// It is about a name or a class that is not answered for.
    Refused,
    /// By another server.
    Forwarded,
}

const OUTCOMES: [&str; 8] =
    ["answered", "nodata", "nxdomain", "formerr", "servfail", "notimp", "refused", "forwarded"];

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Shorter than a header.
    Short,
    /// Itself an answer.
    NotAQuery,
    /// The system did not take the answer.
    Unsent,
    /// One TCP connection too many.
    Connection,
    /// A TCP connection on which nothing happened, or that did not take its answers.
    Stalled,
}

const DROPPED: [&str; 5] = ["short", "not_a_query", "unsent", "connections_full", "connection_stalled"];

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [[AtomicU64; OUTCOMES.len()]; TYPES.len() + 1],
    dropped: [AtomicU64; DROPPED.len()],
    cut: AtomicU64,
    recursors_failed: AtomicU64,
    recursions_refused: AtomicU64,
    connections: AtomicU64,
}

impl Metrics {
    /// A question of this type was answered. `cut`: not all of the answer fitted.
    pub fn answered(&self, rtype: u16, outcome: Outcome, cut: bool) {
        let kind = TYPES.iter().position(|(_, number)| *number == rtype).unwrap_or(TYPES.len());
        self.requests[kind][outcome as usize].fetch_add(1, Ordering::Relaxed);
        if cut {
            self.cut.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something was not answered.
    pub fn dropped(&self, why: Dropped) {
        self.dropped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A recursor gave no answer that could be used.
    pub fn recursor_failed(&self) {
        self.recursors_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A question for a recursor was one too many.
    pub fn recursion_refused(&self) {
        self.recursions_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A TCP connection came.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A TCP connection went.
    pub fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Appends all of them.
    pub fn expose(&self, out: &mut Exposition) {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let names = TYPES.iter().map(|(name, _)| *name).chain(["other"]);
        for (name, outcomes) in names.zip(&self.requests) {
            for (outcome, n) in OUTCOMES.iter().zip(outcomes) {
                let labels = [("type", name), ("outcome", outcome)];
                out.labelled("shoal_dns_requests_total", &labels, load(n));
            }
        }
        for (reason, n) in DROPPED.iter().zip(&self.dropped) {
            out.labelled("shoal_dns_dropped_total", &[("reason", reason)], load(n));
        }
        for (name, n) in [
            ("shoal_dns_answers_cut_total", &self.cut),
            ("shoal_dns_recursor_failures_total", &self.recursors_failed),
            ("shoal_dns_recursions_refused_total", &self.recursions_refused),
            ("shoal_dns_tcp_connections", &self.connections),
        ] {
            out.value(name, load(n));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_bounded_labels() {
        let metrics = Metrics::default();
        for rtype in 0..=u16::MAX {
            metrics.answered(rtype, Outcome::Answered, rtype == 1);
        }
        metrics.dropped(Dropped::Stalled);
        let mut out = Exposition::default();
        metrics.expose(&mut out);
        let text = out.into_text();
        assert!(text.contains("shoal_dns_requests_total{type=\"A\",outcome=\"answered\"} 1\n"), "{text}");
        assert!(text.contains("{type=\"other\",outcome=\"answered\"} 65528\n"), "{text}");
        assert!(text.contains("shoal_dns_answers_cut_total 1\n"), "{text}");
        assert!(text.contains("{reason=\"connection_stalled\"} 1\n"), "{text}");
        assert_eq!(text.lines().filter(|l| l.starts_with("shoal_dns_requests")).count(), 72);
    }
}
