//! What comes in from the world, and what the protocol says to it: timers, datagrams, closed
//! ports; datagrams to send, and events.

use super::{Background, Driver, Ended, PER_TURN_MAX, answer_later};
use crate::agent::checks::{Finding, Outcome};
use crate::agent::keys;
use crate::agent::user_events::{Judged, Taken, judge};
use crate::core::Event;
use crate::model::{CheckId, CheckStatus, EntryKey, Instant, Probe, ProbeTarget, UserEvent};
use std::sync::Arc;
use std::time::Duration;

/// A timer this late says that the process did not run.
const STALL: Duration = Duration::from_millis(250);
/// Datagrams taken before late timers fire: news that waited may refute what they would decide.
const AFTER_STALL_MAX: usize = 4_096;

impl Driver {
    pub(super) fn timers(&mut self, now: Instant) {
        if let Some((at, why)) = self.agent.poll_timeout()
            && at <= now
        {
            let late = now.since(at);
            if late >= STALL {
                self.stats.stalls += 1;
                let late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
                self.stats.stall_longest_ms = self.stats.stall_longest_ms.max(late_ms);
                tracing::warn!(late_ms, timer = why, "this agent did not run for a while");
                self.datagrams(AFTER_STALL_MAX, now);
            }
            tracing::trace!(timer = why, "a timer fired");
            self.agent.handle_timeout(now);
            self.drain(now);
        }
        if let Some(resolve) = self.joiner.due(now) {
            self.resolve(resolve);
        }
        for (reply, result) in self.joiner.overdue(now) {
            self.answers.push(answer_later(reply, result));
        }
        if self.leave_by.is_some_and(|at| at <= now) && self.ended.is_none() {
            tracing::warn!("leaving took too long; the others will see this node fail");
            self.ended = Some(Ended::Left);
        }
    }

    pub(super) fn datagrams(&mut self, max: usize, now: Instant) {
        for _ in 0..max {
            let Some((length, from)) = self.socket.receive(&mut self.buffer) else { break };
            tracing::trace!(%from, bytes = length, "a datagram came");
            self.agent.handle_datagram(from, &self.buffer[..length], now);
            self.drain(now);
        }
        self.socket.take_reports();
        for _ in 0..PER_TURN_MAX {
            let Some(addr) = self.socket.next_unreachable() else { break };
            tracing::debug!(%addr, "nobody listens there, says the network");
            self.agent.handle_unreachable(addr, now);
            self.drain(now);
        }
    }

    /// Runs of checks have ended, this one and perhaps others.
    pub(super) fn checked(&mut self, first: Outcome, now: Instant) {
        let mut taken = vec![first];
        taken.extend(std::iter::from_fn(|| self.outcomes.try_recv().ok()).take(PER_TURN_MAX));
        for (id, number, Finding { status, output }) in taken {
            tracing::debug!(check = id.as_str(), status = status.as_str(), "a check was carried out");
            self.agent.handle_finding(&id, number, status, &output, now);
            self.drain(now);
        }
        // Output alone is nobody else's business, but this host's users see it.
        self.publisher.local(&self.agent);
    }

    /// Takes everything that the protocol has to say.
    pub(super) fn drain(&mut self, now: Instant) {
        loop {
            while let Some(out) = self.agent.poll_datagram() {
                tracing::trace!(to = %out.to, bytes = out.bytes.len(), "a datagram goes");
                if self.interference.as_ref().is_none_or(|i| i.lets_out(out.to, out.bytes.len())) {
                    self.socket.send(out.to, &out.bytes);
                }
                self.agent.recycle(out.bytes);
            }
            let Some(event) = self.agent.poll_event() else { return };
            self.event(event, now);
        }
    }

    /// An event was fired. Whether it is meant for this node is found out beside the loop.
    fn hear(&mut self, event: &Arc<UserEvent>) {
        match self.bench.take(event) {
            Taken::Show => self.show(event),
            Taken::Later => self.judge_next(),
            Taken::Shed => {
                let name = &event.content.name;
                tracing::warn!(name, id = %event.id, "too many events wait for a look at their filters; this one is lost");
            }
        }
    }

    fn judge_next(&mut self) {
        let Some(events) = self.bench.next() else { return };
        let (node, local) = (self.agent.identity().name.clone(), self.agent.local().clone());
        self.spawn(async move {
            let judged = tokio::task::spawn_blocking(move || judge(events, &node, &local)).await;
            Background::Judged(judged.unwrap_or_default())
        });
    }

    /// Shows events to readers that are meant for this node.
    pub(super) fn judged(&mut self, judged: Vec<Judged>) {
        self.bench.done();
        for (event, verdict) in judged {
            let name = &event.content.name;
            match verdict {
                Ok(true) => self.show(&event),
                Ok(false) => tracing::debug!(name, id = %event.id, "an event for others"),
                Err(error) => tracing::debug!(name, id = %event.id, %error, "an event with a bad filter"),
            }
        }
        self.judge_next();
    }

    fn show(&mut self, event: &Arc<UserEvent>) {
        tracing::info!(name = event.content.name, id = %event.id, from = %event.from, "an event was fired");
        self.publisher.user_event(event);
    }

    /// Has a check carried out. One that runs a program may have been registered, and kept, when that was
    /// allowed.
    fn probe_due(&mut self, id: CheckId, number: u64, probe: Arc<Probe>, now: Instant) {
        let is_script = matches!(probe.target, ProbeTarget::Script { .. });
        let from_file = self.agent.local().from_files.contains(&EntryKey::Check(id.clone()));
        if is_script && !self.config.allows_scripts(from_file) {
            let why = "Scripts are disabled on this agent: want enable_script_checks = true, or deregister this check";
            self.agent.handle_finding(&id, number, CheckStatus::Critical, why, now);
            self.publisher.local(&self.agent);
            return;
        }
        self.runner.start(id, number, probe);
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::MemberChanged(key) => {
                if let Some(member) = self.agent.member(key) {
                    self.journal.changed(&self.agent, &member);
                }
                self.publisher.member(&self.agent, key);
                self.members_changed = true;
                self.registrations.book_changed(now);
            }
            Event::MemberRemoved(key) => {
                self.journal.removed(&self.agent, key);
                self.publisher.member_removed(key);
                self.members_changed = true;
            }
            Event::EntryChanged(owner, key) => {
                if key == EntryKey::Node {
                    self.journal.named(&self.agent, owner);
                }
                self.publisher.entry(&self.agent, owner, &key);
            }
            Event::LocalChanged => {
                self.publisher.local(&self.agent);
                self.registrations.changed(now);
            }
            Event::Examined(links) => self.examined(&links, now),
            Event::UserEventHeard(event) => self.hear(&event),
            Event::ProbeDue { id, number, probe } => self.probe_due(id, number, probe, now),
            Event::ProbeEnded(id) => self.runner.forget(&id),
            Event::GenerationRaised(generation) => {
                tracing::info!(
                    generation = generation.0,
                    "peers remember a later run of this node; going on after it"
                );
                self.registrations.changed_for_good(now);
            }
            Event::KeyringChanged => self.registrations.changed_for_good(now),
            Event::KeyMissing(strange) => {
                self.status_stale = true;
                self.status_at = now;
                if let Some(ring) = self.agent.keyring() {
                    let advice = keys::advice(&strange, ring.primary().id());
                    tracing::warn!(key = %strange.id, from = %strange.from, advice, "a datagram's key is missing here");
                }
            }
            Event::Joined { via, members } => {
                tracing::info!(%via, members, "joined the cluster");
                for (reply, result) in self.joiner.joined(members) {
                    self.answers.push(answer_later(reply, result));
                }
            }
            Event::JoinRetried { addr, attempts } => {
                // Each is a second or more after the one before; said ever more rarely.
                if attempts.is_power_of_two() {
                    tracing::warn!(%addr, attempts, "no answer from a join address; trying goes on");
                }
            }
            Event::NameTaken { name, holder } => {
                tracing::error!(
                    node = %name,
                    %holder,
                    "another live node has this node's name; give this one another with --node"
                );
                self.ended = Some(Ended::NameTaken { name, holder });
            }
            Event::Left { acknowledged_by } => {
                tracing::info!(acknowledged_by, "left the cluster");
                self.ended = self.ended.take().or(Some(Ended::Left));
            }
        }
    }
}
