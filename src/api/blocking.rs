//! Blocking queries: wait until the answer to a question changes.
//!
//! A caller names the index (or hash) it knows. While the question's index is that very one the
//! request waits; any other index, higher or lower, is answered at once, so that a caller who
//! comes from another agent starts over instead of waiting for nothing. A request whose connection
//! closes is dropped with its wait.
//!
//! Requests that wait for the same thing share a [`topic`](super::topics), and only those are woken
//! whose topic changed.

use super::App;
use super::reply::Failure;
use super::topics::Question;
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

    /// The view once the index of `question` is not `known`, or when the wait is over. `known` 0:
    /// at once.
    pub(super) async fn view_after(
        &self,
        known: u64,
        wait: Duration,
        question: Question<'_>,
    ) -> Result<Arc<View>, Failure> {
        let view = self.view.load();
        if known == 0 || question.index(&view) != known {
            return Ok(view);
        }
        drop(view);
        let _permit = self.waiter_permit()?;
        let deadline = Instant::now() + self.shorten(wait);
        let seat = self.topics.enter(question, &self.view);
        loop {
            // Listening first: a view that comes between the look and the wait is not missed.
            let woken = seat.woken();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let view = self.view.load();
            if question.index(&view) != known || seat.is_closed() {
                return Ok(view);
            }
            drop(view);
            if tokio::time::timeout_at(deadline, woken).await.is_err() {
                return Ok(self.view.load());
            }
        }
    }

    /// The view once it is `ready`, or when the wait is over. Looks at every view there is: for the
    /// few who wait for what has no topic.
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
                // Gathering keeps a storm of foreign changes from waking this task each time.
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
