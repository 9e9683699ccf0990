//! What the agent counted, its parts' counters included.

use super::Agent;
use crate::core::stats::Stats;

impl Agent {
    /// Counters and present values.
    pub fn stats(&self) -> Stats {
        let swim = self.swim.counters();
        let mut dropped = self.stats.dropped.clone();
        dropped.insert("member_refused", swim.members_refused);
        dropped.insert("record_refused", self.catalog.refused);
        for (why, count) in [
            ("accusation_refused", swim.accusations_refused),
            ("nack_refused", swim.nacks_refused),
            ("nack_shed", swim.nacks_shed),
            ("check_shed", swim.checks_shed),
            ("coordinate_refused", self.coordinates.refused()),
        ] {
            if count > 0 {
                dropped.insert(why, count);
            }
        }
        Stats {
            dropped,
            probes_sent: swim.probes_sent,
            probes_failed: swim.probes_failed,
            suspicions_raised: swim.suspicions_raised,
            suspicions_confirmed: swim.suspicions_confirmed,
            suspicions_refuted: swim.suspicions_refuted,
            rejoins: swim.renewals,
            watchdog: swim.watchdog,
            local_health: swim.health_score,
            nacks_missed: swim.nacks_missed,
            checks: swim.checks,
            members_held: self.damping.held(),
            checks_held: self.check_damping.held(),
            probes_scheduled: self.schedule.len(),
            probe_runs: self.schedule.begun,
            coordinate_updates: self.coordinates.updates(),
            coordinate_resets: self.coordinates.resets(),
            coordinates_known: self.coordinates.known(),
            rumours_queued: self.spread.queued(),
            rumours_sent: self.spread.sent(),
            rumours_shed: self.spread.shed(),
            rumours_waiting: self.spread.waiting(),
            challenges: self.proofs.challenges,
            keys: self.key_ids().len(),
            sync_rounds: self.repair.rounds,
            last_difference: self.repair.last_difference,
            ..self.stats.clone()
        }
    }

    /// Whether it has taken over what a peer knew, since it started.
    pub fn has_joined(&self) -> bool {
        self.join.is_joined()
    }

    pub(super) fn drop_counted(&mut self, why: &'static str) {
        *self.stats.dropped.entry(why).or_default() += 1;
    }
}
