//! Asks the agent again and again, apart from the screen, which goes on meanwhile.

use crate::client::{Check, Client, Error, Member};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// What the agent answered at one time.
#[derive(Debug)]
pub(super) struct Polled {
    /// Since the view began.
    pub(super) at: Duration,
    pub(super) status: Value,
    pub(super) members: Vec<Member>,
    /// Where they may have changed since the last time.
    pub(super) checks: Option<Vec<Check>>,
}

/// Set when checks are to be asked for again: the list is long, and mostly the same.
pub(super) type ChecksWanted = Arc<AtomicBool>;

pub(super) async fn poll_once(client: &Client, began: Instant, checks: bool) -> Result<Polled, Error> {
    let status = client.status().await?.all;
    let at = began.elapsed();
    let members = client.members().await?;
    let checks = if checks { Some(client.checks().await?) } else { None };
    Ok(Polled { at, status, members, checks })
}

/// Polls until nobody takes the answers any more.
pub(super) async fn poll(
    client: Client,
    began: Instant,
    every: Duration,
    wanted: ChecksWanted,
    answers: mpsc::Sender<Result<Polled, Error>>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let checks = wanted.swap(false, Ordering::Relaxed);
        let answer = poll_once(&client, began, checks).await;
        if answer.is_err() && checks {
            wanted.store(true, Ordering::Relaxed);
        }
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}
