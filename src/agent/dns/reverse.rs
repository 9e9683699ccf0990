//! Names by address, as new as their cost allows.
//!
//! They are made from a whole view, which takes microseconds in a small cluster and a good part of a
//! second with a million instances. So they are made when somebody asks, by a thread that may
//! block, by one at a time, and not again before [`REST`] times what it took.

use super::super::clock;
use crate::dns::Reverse;
use crate::view::View;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Making them takes at most one part in this of one thread.
const REST: u64 = 10;

#[derive(Debug, Default)]
struct Made {
    names: Arc<Reverse>,
    /// In milliseconds since 1970.
    next_at: u64,
}

/// Keeps the last ones.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Option<Made>>);

impl Names {
    /// Those of `view`, or the last ones before.
    pub(super) async fn of(&self, view: Arc<View>) -> Arc<Reverse> {
        let mut made = self.0.lock().await;
        let start = clock::unix_millis();
        if let Some(made) = &*made
            && (made.names.is_of(&view) || (start < made.next_at && made.next_at - start < 60_000))
        {
            return Arc::clone(&made.names);
        }
        let job = tokio::task::spawn_blocking(move || Reverse::new(&view));
        let names = Arc::new(job.await.unwrap_or_default());
        let end = clock::unix_millis();
        let next_at = end + end.saturating_sub(start) * REST;
        *made = Some(Made { names: Arc::clone(&names), next_at });
        names
    }
}
