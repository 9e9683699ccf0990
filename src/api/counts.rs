//! How many requests were answered, by path and class of status.
//!
//! Each path of the table of routes has its own place, so labels are as many as there are paths; what nobody
//! answers shares one. A count is one relaxed addition.

use super::route;
use crate::view::Exposition;
use http::StatusCode;
use std::sync::atomic::{AtomicU64, Ordering};

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counts since the start.
pub(super) struct Requests(Vec<[AtomicU64; CLASSES.len()]>);

impl Default for Requests {
    fn default() -> Self {
        Self((0..=route::PLACES).map(|_| Default::default()).collect())
    }
}

impl Requests {
    /// A request for the path at `place` of the routes was answered; `None`: for a path that is not there.
    pub(super) fn answered(&self, place: Option<usize>, status: StatusCode) {
        let place = place.unwrap_or(route::PLACES);
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        if let Some(count) = self.0.get(place).and_then(|classes| classes.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Appends those that are not 0.
    pub(super) fn expose(&self, out: &mut Exposition) {
        for (place, classes) in self.0.iter().enumerate() {
            for (class, count) in CLASSES.iter().zip(classes) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("endpoint", &*route::name(place)), ("code", class)];
                    out.labelled("shoal_api_requests_total", &labels, count);
                }
            }
        }
    }
}
