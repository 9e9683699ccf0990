//! From the protocol's state to the view that readers see.
//!
//! Owns the view's builder. Copies what changed, entry by entry, and makes it visible once per
//! turn of the loop, so that a burst of changes is one new view.

use super::keys;
use super::udp::SocketStats;
use crate::core::{Agent, Ages, Effective, Stats};
use crate::model::{EntryKey, Instant, NodeKey, UserEvent};
use crate::view::{AgentStatus, Counted, Durations, ViewBuilder};
use crate::wire::record;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How the loop itself fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LoopStats {
    pub(super) turns: u64,
    pub(super) stalls: u64,
    pub(super) stall_longest_ms: u64,
    /// How late it came to its timers.
    pub(super) late: Ages,
    pub(super) state_writes: u64,
    pub(super) state_writes_failed: u64,
}

/// The loop's way to the readers.
pub(super) struct Publisher {
    builder: ViewBuilder,
    dirty: bool,
}

impl Publisher {
    pub(super) const fn new(builder: ViewBuilder) -> Self {
        Self { builder, dirty: true }
    }

    /// What is copied from now on became known at this time, in milliseconds since 1970.
    pub(super) fn set_clock(&mut self, unix_ms: u64) {
        self.builder.set_clock(unix_ms);
    }

    /// Copies everything, as at the start.
    pub(super) fn everything(&mut self, agent: &Agent) {
        for member in agent.members() {
            self.builder.set_member(member);
        }
        for owner in agent.owners() {
            for key in agent.entry_keys(owner) {
                self.entry(agent, owner, &key);
            }
        }
        self.local(agent);
    }

    /// A member appeared or changed.
    pub(super) fn member(&mut self, agent: &Agent, key: NodeKey) {
        if let Some(member) = agent.member(key) {
            self.builder.set_member(member);
            self.dirty = true;
        }
    }

    /// A member was forgotten.
    pub(super) fn member_removed(&mut self, key: NodeKey) {
        self.builder.remove_member(key);
        self.dirty = true;
    }

    /// A catalog entry was written or deleted.
    pub(super) fn entry(&mut self, agent: &Agent, owner: NodeKey, key: &EntryKey) {
        let found = agent.packed_entry(owner, key);
        match key {
            EntryKey::Node => {
                let record = found.and_then(|(g, v, e)| record::unpack_node(e).map(|node| (g, v, node)));
                self.builder.set_node(owner, record);
            }
            EntryKey::Service(id) => match found.and_then(|(_, _, e)| record::unpack_service(e)) {
                Some(service) => self.builder.put_service(owner, service),
                None => self.builder.remove_service(owner, id),
            },
            EntryKey::Check(id) => match found.and_then(|(_, _, e)| record::unpack_check(e)) {
                Some(check) => self.builder.put_check(owner, check),
                None => self.builder.delete_check(owner, id),
            },
            EntryKey::Unknown(..) => return,
        }
        self.dirty = true;
    }

    /// This host's registrations changed.
    pub(super) fn local(&mut self, agent: &Agent) {
        self.builder.set_local(agent.local().clone());
        self.dirty = true;
    }

    /// An event that is meant for this node was fired.
    pub(super) fn user_event(&mut self, event: &Arc<UserEvent>) {
        self.builder.push_user_event(Arc::clone(event));
        self.dirty = true;
    }

    /// What the agent says of itself.
    pub(super) fn status(
        &mut self,
        agent: &Agent,
        now: Instant,
        (socket, turns): (SocketStats, LoopStats),
        catching_up: bool,
    ) {
        let stats = agent.stats();
        // The own coordinate moves with every probe; once a second is soon enough to show it.
        self.member(agent, agent.identity().name.key());
        let ago =
            |at: Option<Instant>| at.map(|at| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX));
        self.builder.set_status(AgentStatus {
            root_digest: agent.root_digest(),
            since_difference_ms: ago(stats.last_difference),
            since_heard_ms: ago(stats.last_heard),
            gossip_addr: agent.identity().addr.to_string(),
            catching_up,
            leaving: agent.is_leaving(),
            key_advice: key_advice(agent, now),
            effective: effective(agent.effective()),
            propagation: durations(&stats.propagation),
            loop_late: durations(&turns.late),
            counted: counted(&stats, socket, turns),
        });
        self.dirty = true;
    }

    /// Whether anything was copied that readers do not see yet.
    pub(super) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes everything copied since the last call visible at once.
    pub(super) fn publish(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.builder.publish();
        }
    }
}

/// So long after the last datagram whose key is missing here.
const KEY_ADVICE_FOR: Duration = Duration::from_secs(120);

pub(super) fn key_advice(agent: &Agent, now: Instant) -> Option<String> {
    let missing = agent.missing_key().filter(|m| now.since(m.at) < KEY_ADVICE_FOR)?;
    Some(keys::advice(&missing, agent.keyring()?.primary().id()))
}

fn effective(e: Effective) -> BTreeMap<&'static str, u64> {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    BTreeMap::from([
        ("probe_interval_ms", ms(e.probe_interval)),
        ("probe_timeout_ms", ms(e.probe_timeout)),
        ("suspicion_longest_ms", ms(e.suspicion_longest)),
        ("suspicion_shortest_ms", ms(e.suspicion_shortest)),
        ("deaf_after_ms", ms(e.deaf_after)),
        ("isolation_ms", ms(e.isolation)),
        ("rumour_sends", u64::from(e.rumour_sends)),
    ])
}

fn durations(ages: &Ages) -> Durations {
    Durations { buckets: ages.cumulative().collect(), count: ages.count, sum_us: ages.sum_us }
}

fn counted(stats: &Stats, socket: SocketStats, turns: LoopStats) -> Vec<Counted> {
    let plain = [
        ("shoal_datagrams_received_total", stats.datagrams_received),
        ("shoal_datagrams_received_bytes_total", stats.bytes_received),
        ("shoal_datagrams_sent_total", stats.datagrams_sent),
        ("shoal_datagrams_sent_bytes_total", stats.bytes_sent),
        ("shoal_probes_sent_total", stats.probes_sent),
        ("shoal_probes_failed_total", stats.probes_failed),
        ("shoal_suspicions_raised_total", stats.suspicions_raised),
        ("shoal_suspicions_confirmed_total", stats.suspicions_confirmed),
        ("shoal_suspicions_refuted_total", stats.suspicions_refuted),
        ("shoal_rejoins_total", stats.rejoins),
        ("shoal_watchdog_total", stats.watchdog),
        ("shoal_witness_checks_total", stats.checks),
        ("shoal_nacks_missed_total", stats.nacks_missed),
        ("shoal_challenges_total", stats.challenges),
        ("shoal_keys", stats.keys as u64),
        ("shoal_local_health", u64::from(stats.local_health)),
        ("shoal_members_held", stats.members_held as u64),
        ("shoal_checks_held", stats.checks_held as u64),
        ("shoal_checks_scheduled", stats.probes_scheduled as u64),
        ("shoal_check_runs_total", stats.probe_runs),
        ("shoal_coordinate_updates_total", stats.coordinate_updates),
        ("shoal_coordinate_resets_total", stats.coordinate_resets),
        ("shoal_coordinates_known", stats.coordinates_known as u64),
        ("shoal_rumours_queued_total", stats.rumours_queued),
        ("shoal_rumours_sent_total", stats.rumours_sent),
        ("shoal_rumours_shed_total", stats.rumours_shed),
        ("shoal_rumours_waiting", stats.rumours_waiting as u64),
        ("shoal_sync_rounds_total", stats.sync_rounds),
        ("shoal_sync_records_total", stats.sync_records),
        ("shoal_socket_sends_failed_total", socket.sends_failed),
        ("shoal_socket_sends_retried_total", socket.sends_retried),
        ("shoal_socket_receives_failed_total", socket.receives_failed),
        ("shoal_unreachable_reports_total", socket.unreachable_reports),
        ("shoal_loop_turns_total", turns.turns),
        ("shoal_loop_stalls_total", turns.stalls),
        ("shoal_loop_stall_longest_milliseconds", turns.stall_longest_ms),
        ("shoal_state_writes_total", turns.state_writes),
        ("shoal_state_writes_failed_total", turns.state_writes_failed),
    ];
    let mut counted: Vec<Counted> = Vec::with_capacity(256);
    counted.extend(plain.map(|(name, n)| Counted::new(name, n)));
    let ways = [
        ("shoal_frames_sent_total", "shoal_frames_sent_bytes_total", &stats.frames_sent),
        ("shoal_frames_received_total", "shoal_frames_received_bytes_total", &stats.frames_received),
    ];
    for (number, size, frames) in ways {
        for (kind, n, bytes) in frames.iter() {
            counted.push(Counted::of(number, ("kind", kind), n));
            counted.push(Counted::of(size, ("kind", kind), bytes));
        }
    }
    let dropped = stats.dropped.iter();
    counted.extend(dropped.map(|(why, n)| Counted::of("shoal_datagrams_dropped_total", ("reason", why), *n)));
    counted
}
