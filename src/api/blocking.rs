//! Blocking queries: wait until the answer to a question changes.
//!
//! A caller names the index (or hash) it knows. While the question's index is that very one the
//! request waits; any other index, higher or lower, is answered at once, so that a caller who
//! comes from another agent starts over instead of waiting for nothing. After a change further
//! ones are gathered for a moment. A request whose connection closes is dropped with its wait.

use super::App;
use super::reply::Failure;
use crate::view::View;
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

impl App {
    /// The right to wait, or 429.
    pub(super) fn waiter_permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.waiters).try_acquire_owned().map_err(|_| {
            let most = self.info.limits.waiters_max;
            let text = format!("Too many requests wait for changes: want at most {most}");
            Failure::new(StatusCode::TOO_MANY_REQUESTS, text)
        })
    }

    /// The view once `index_of` it is not `known`, or when the wait is over. `known` 0: at once.
    pub(super) async fn view_after(
        &self,
        known: u64,
        wait: Duration,
        index_of: impl Fn(&View) -> u64,
    ) -> Result<Arc<View>, Failure> {
        let view = self.view.load();
        if known == 0 || index_of(&view) != known {
            return Ok(view);
        }
        self.view_when(wait, |view| index_of(view) != known).await
    }

    /// The view once it is `ready`, or when the wait is over.
    pub(super) async fn view_when(
        &self,
        wait: Duration,
        ready: impl Fn(&View) -> bool,
    ) -> Result<Arc<View>, Failure> {
        let _permit = self.waiter_permit()?;
        let deadline = Instant::now() + self.shorten(wait);
        let mut waiter = self.view.waiter();
        let coalesce = self.info.limits.coalesce;
        loop {
            let view = waiter.load();
            if ready(&view) {
                return Ok(view);
            }
            match tokio::time::timeout_at(deadline, waiter.changed()).await {
                // Gathering also keeps a storm of foreign changes from waking this task each time.
                Ok(Ok(())) => tokio::time::sleep_until((Instant::now() + coalesce).min(deadline)).await,
                Ok(Err(_)) | Err(_) => return Ok(waiter.load()),
            }
        }
    }

    /// Ends waits at different moments, up to a sixteenth early: at least one client gives up at
    /// exactly the time it asked for.
    fn shorten(&self, wait: Duration) -> Duration {
        let count = self.jitter.fetch_add(1, Ordering::Relaxed);
        let spread = xxhash_rust::xxh3::xxh3_64(&count.to_le_bytes()) % 1_000;
        let part = u32::try_from(spread).unwrap_or(0);
        wait - wait / 16 * part / 1_000
    }
}
