//! When a change of this host's registrations is written to disk, and when it is answered.
//!
//! Owns the changes that wait for the disk. A registration is answered when it is durable: it is
//! tried on a copy, the copy is written, and only then is it handed back to be applied; a write
//! that fails refuses the changes it was for and nothing has changed. All changes that arrive
//! while a write is running share the next one. Heartbeats wait for nothing: they are applied at
//! once and written before long.

use super::clock::Clock;
use super::persist::{StateWriter, WriteRequest};
use crate::api::request::{Reply, RequestError};
use crate::core::Agent;
use crate::model::{Instant, LocalCommand};
use std::collections::VecDeque;
use std::time::Duration;

/// Changes that share one write.
const BATCH_MAX: usize = 512;
/// Changes that may wait for the disk; then the loop takes no more requests, and callers wait.
const WAITING_MAX: usize = 4_096;
/// A change of status is on disk after this long.
const LAZY: Duration = Duration::from_secs(1);
/// The times at which TTLs expire are on disk at most this much too early.
const REFRESH: Duration = Duration::from_secs(10);
/// After a write that failed.
const RETRY: Duration = Duration::from_secs(1);

/// One change and whom to answer.
pub(super) type Change = (LocalCommand, Reply<()>);

/// What is waiting for the disk.
#[derive(Debug)]
pub(super) struct Registrations {
    /// `None`: everything is kept in memory only.
    writer: Option<StateWriter>,
    waiting: VecDeque<Change>,
    in_flight: Vec<Change>,
    /// Who waits until what has changed already is written: with the next write, and with this one.
    promises: Vec<Reply<()>>,
    promised: Vec<Reply<()>>,
    /// When what the disk has is no longer good enough.
    write_at: Option<Instant>,
    /// No write before this, after one that failed.
    not_before: Instant,
    failing: bool,
}

/// How a write ended.
#[derive(Debug)]
pub(super) enum Written {
    /// Apply these, then answer them.
    Durable(Vec<Change>),
    /// Refuse these.
    Failed(Vec<Change>, String),
}

impl Registrations {
    pub(super) const fn new(writer: Option<StateWriter>) -> Self {
        Self {
            writer,
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            promises: Vec::new(),
            promised: Vec::new(),
            write_at: None,
            not_before: Instant::START,
            failing: false,
        }
    }

    /// Whether another change may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    /// Takes a change. Hands it back when it needs no disk: it may be applied and answered at once.
    #[must_use]
    pub(super) fn take(&mut self, change: Change, now: Instant) -> Option<Change> {
        if self.writer.is_none() {
            return Some(change);
        }
        if matches!(change.0, LocalCommand::UpdateCheck { .. }) {
            self.write_by(now + REFRESH);
            return Some(change);
        }
        self.waiting.push_back(change);
        None
    }

    /// Something that is kept has changed by itself; lose a second of it at most.
    pub(super) fn changed(&mut self, now: Instant) {
        self.write_by(now + LAZY);
    }

    /// The address book may have changed; it is worth little and changes in bursts.
    pub(super) fn book_changed(&mut self, now: Instant) {
        self.write_by(now + REFRESH);
    }

    /// Something that is kept has changed and must not be lost.
    pub(super) fn changed_for_good(&mut self, now: Instant) {
        self.write_by(now);
    }

    /// The same, and `reply` is answered when it is on disk; hands it back when nothing is kept there.
    #[must_use]
    pub(super) fn promise(&mut self, reply: Reply<()>, now: Instant) -> Option<Reply<()>> {
        if self.writer.is_none() {
            return Some(reply);
        }
        self.changed_for_good(now);
        self.promises.push(reply);
        None
    }

    /// Those for whom the write that has ended was.
    pub(super) fn promised(&mut self) -> Vec<Reply<()>> {
        std::mem::take(&mut self.promised)
    }

    fn write_by(&mut self, at: Instant) {
        if self.writer.is_some() {
            self.write_at = Some(self.write_at.map_or(at, |known| known.min(at)));
        }
    }

    /// When [`advance`](Self::advance) has something to do by itself.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let idle = self.writer.as_ref().is_some_and(|w| !w.is_busy());
        let wanted = if self.waiting.is_empty() { self.write_at } else { Some(Instant::START) };
        wanted.filter(|_| idle).map(|at| at.max(self.not_before))
    }

    /// Starts the next write if one is due. Gives back the changes that the agent refuses.
    pub(super) fn advance(&mut self, agent: &Agent, clock: &Clock) -> Vec<(Reply<()>, RequestError)> {
        let moment = clock.moment();
        let due = self.next_wake().is_some_and(|at| at <= moment.now);
        let Some(writer) = self.writer.as_mut().filter(|_| due) else { return Vec::new() };
        let mut refused = Vec::new();
        let mut state = agent.local().clone();
        while self.in_flight.len() < BATCH_MAX
            && let Some((command, reply)) = self.waiting.pop_front()
        {
            match agent.check(&state, &command, moment.now) {
                Ok(changed) => {
                    state = changed;
                    self.in_flight.push((command, reply));
                }
                Err(error) => refused.push((reply, RequestError::Local(error))),
            }
        }
        if self.in_flight.is_empty() && self.write_at.is_none_or(|at| at > moment.now) {
            return refused;
        }
        self.write_at = None;
        writer.begin(WriteRequest {
            author: agent.identity().into(),
            local: state,
            address_book: agent.address_book(),
            moment,
            keyring: agent.keyring().cloned(),
        });
        self.promised.append(&mut self.promises);
        refused
    }

    /// Waits for the write under way; for ever when there is none.
    pub(super) async fn finished(&mut self) -> Result<(), String> {
        match &mut self.writer {
            Some(writer) => writer.finished().await,
            None => std::future::pending().await,
        }
    }

    /// The write under way has ended.
    pub(super) fn settle(&mut self, result: Result<(), String>, now: Instant) -> Written {
        let changes = std::mem::take(&mut self.in_flight);
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the state file is written again");
                }
                Written::Durable(changes)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(error, "the state file cannot be written; registrations are refused");
                }
                // The new file may be in place all the same (only its directory was not synced):
                // it must not stay, because it holds what is now refused.
                self.write_by(now);
                self.not_before = now + RETRY;
                Written::Failed(changes, error)
            }
        }
    }

    /// Gives up what waits, and writes what the agent has now if that differs from the disk.
    pub(super) async fn close(mut self, agent: &Agent, clock: &Clock) -> Vec<(Reply<()>, RequestError)> {
        let mut refused = Vec::new();
        let Some(writer) = &mut self.writer else { return refused };
        if writer.is_busy() {
            let result = writer.finished().await;
            let shutting_down = |(_, reply): Change| (reply, RequestError::ShuttingDown);
            refused.extend(self.in_flight.drain(..).map(shutting_down));
            if let Err(error) = result {
                tracing::warn!(error, "the state file could not be written at the end");
            }
        }
        let promises = self.promised.drain(..).chain(self.promises.drain(..));
        refused.extend(promises.map(|reply| (reply, RequestError::ShuttingDown)));
        refused.extend(self.waiting.drain(..).map(|(_, reply)| (reply, RequestError::ShuttingDown)));
        writer.begin(WriteRequest {
            author: agent.identity().into(),
            local: agent.local().clone(),
            address_book: agent.address_book(),
            moment: clock.moment(),
            keyring: agent.keyring().cloned(),
        });
        if let Err(error) = writer.finished().await {
            tracing::warn!(error, "the state file could not be written at the end");
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::persist::DataDir;
    use crate::model::{CheckId, CheckStatus, InstanceId};
    use tokio::sync::oneshot;

    const NOW: Instant = Instant::from_nanos(5_000_000_000);

    fn change() -> Change {
        (LocalCommand::DeregisterService(InstanceId::new("web").expect("valid")), oneshot::channel().0)
    }

    fn heartbeat() -> Change {
        let id = CheckId::new("web").expect("valid");
        let command = LocalCommand::UpdateCheck { id, status: CheckStatus::Passing, output: String::new() };
        (command, oneshot::channel().0)
    }

    fn on_disk() -> (tempfile::TempDir, Registrations) {
        let dir = tempfile::tempdir().expect("a directory");
        let writer = StateWriter::start(DataDir::open(dir.path()).expect("opens")).expect("starts");
        (dir, Registrations::new(Some(writer)))
    }

    #[test]
    fn in_memory_nothing_waits() {
        let mut r = Registrations::new(None);
        assert!(r.take(change(), NOW).is_some());
        assert!(r.take(heartbeat(), NOW).is_some());
        r.changed(NOW);
        assert_eq!(r.next_wake(), None);
    }

    #[test]
    fn heartbeats_do_not_wait_for_the_disk_and_registrations_do() {
        let (_dir, mut r) = on_disk();
        assert!(r.take(heartbeat(), NOW).is_some());
        assert_eq!(r.next_wake(), Some(NOW + REFRESH));
        r.changed(NOW);
        assert_eq!(r.next_wake(), Some(NOW + LAZY));
        r.changed(NOW + LAZY);
        assert_eq!(r.next_wake(), Some(NOW + LAZY), "a later change does not put off the write");
        assert!(r.take(change(), NOW).is_none());
        assert!(r.next_wake().is_some_and(|at| at <= NOW));
    }

    #[test]
    fn a_failed_write_refuses_its_changes_and_is_tried_again_later() {
        let (_dir, mut r) = on_disk();
        r.in_flight = vec![change()];
        let Written::Failed(refused, error) = r.settle(Err("disk full".to_owned()), NOW) else {
            panic!("want a refusal");
        };
        assert_eq!((refused.len(), error.as_str()), (1, "disk full"));
        assert_eq!(r.next_wake(), Some(NOW + RETRY));
        r.in_flight = vec![change()];
        assert!(matches!(r.settle(Ok(()), NOW), Written::Durable(c) if c.len() == 1));
    }

    #[test]
    fn what_may_wait_is_bounded() {
        let (_dir, mut r) = on_disk();
        while r.has_room() {
            assert!(r.take(change(), NOW).is_none());
        }
        assert_eq!(r.waiting.len(), WAITING_MAX);
    }
}
