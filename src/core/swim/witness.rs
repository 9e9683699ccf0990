//! Checks: pings of our own to one member, out of turn.
//!
//! Owns who is being checked and why: a suspicion was heard and this agent is among its witnesses,
//! the kernel was told that nobody listens at the member's address, or a suspicion has run its time
//! with too few accusers. A check ends with an answer, and then nothing is said, or in silence, and
//! then this agent accuses the member in its own name. Decides no verdict.
//!
//! Witnesses are chosen by rendezvous hashing (Thaler, Ravishankar 1998) of the suspicion with each
//! member's key: all who hear of it agree on a few who look at once, without asking each other.

use super::{Output, Swim};
use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Epoch, Liveness, MemberUpdate, SwimFrame, SwimMessage};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Checks that may be under way; a further one is not made, and counted.
const CHECKS_MAX: usize = 64;
/// Pings of one check: at its start and after each quarter of it but the last.
const PINGS: u32 = 3;
/// The shortest check, for networks whose round trips are not measured yet or faster than processes.
const CHECK_MIN: Duration = Duration::from_millis(50);

/// One member under check.
#[derive(Debug, Clone, Copy)]
struct Check {
    epoch: Epoch,
    number: u8,
    began: Instant,
    window: Duration,
    pings: u32,
    /// The kernel was told, after a ping of this check, that nobody listens there.
    refused: bool,
    answered: bool,
}

impl Check {
    fn ends(&self) -> Instant {
        self.began + self.window
    }

    fn due(&self) -> Instant {
        if self.answered || self.pings >= PINGS {
            return self.ends();
        }
        (self.began + self.window / 4 * self.pings).min(self.ends())
    }
}

/// All checks under way.
#[derive(Debug, Default)]
pub(super) struct Checks {
    table: BTreeMap<NodeKey, Check>,
    number: u8,
    pub(super) made: u64,
    pub(super) shed: u64,
}

impl Checks {
    pub(super) fn next(&self) -> Option<Instant> {
        self.table.values().map(Check::due).min()
    }

    pub(super) fn postpone(&mut self, by: Duration, now: Instant) {
        for check in self.table.values_mut() {
            check.began += by.min(now.since(check.began));
        }
    }

    /// A member has said something that only an answer can be.
    fn answered(&mut self, frame: &SwimFrame) {
        if let (SwimMessage::Ack(number), Some(check)) = (frame.message, self.table.get_mut(&frame.from)) {
            check.answered |= check.epoch == frame.from_epoch && check.number == number;
        }
    }
}

/// A number that is as good as random, from three (Steele, Lea, Flood 2014: SplitMix's finaliser).
const fn mixed(a: u64, b: u64, c: u64) -> u64 {
    let mut x = a ^ b.rotate_left(21) ^ c.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Swim {
    /// Is this agent among those who look for themselves when they hear of this suspicion?
    pub(super) fn is_witness(&self, subject: NodeKey, accuser: NodeKey, incarnation: Incarnation) -> bool {
        let rank = |key: NodeKey| mixed(subject.0, key.0, u64::from(incarnation));
        let own = rank(self.life.key);
        let before = |key: &&NodeKey| {
            let key = **key;
            let ranks = key != subject && key != accuser && rank(key) > own;
            // A suspect is no help.
            ranks && self.peers.get(key).is_some_and(|p| p.state == Liveness::Alive)
        };
        self.peers.live().iter().filter(before).take(self.config.witnesses).count() < self.config.witnesses
    }

    /// The time that a silent member is given: `brief` where the kernel says that nobody is there.
    fn check_window(&self, key: NodeKey, brief: bool) -> Duration {
        let timeout = self.config.probe_timeout;
        let window = if brief {
            let rtt = self.peers.rtt(key).unwrap_or_default();
            (rtt * 4).clamp(CHECK_MIN.min(timeout / 2), timeout / 2)
        } else {
            timeout
        };
        self.world.health.stretch(window)
    }

    /// Pings a member out of turn, unless that is being done.
    pub(super) fn begin_check(&mut self, key: NodeKey, brief: bool, now: Instant) {
        let Some(peer) = self.peers.get(key) else { return };
        if self.checks.table.contains_key(&key) {
            return;
        }
        if self.checks.table.len() >= CHECKS_MAX {
            self.checks.shed += 1;
            return;
        }
        self.checks.made += 1;
        self.checks.number = self.checks.number.wrapping_add(1);
        let check = Check {
            epoch: peer.epoch,
            number: self.checks.number,
            began: now,
            window: self.check_window(key, brief),
            pings: 0,
            refused: false,
            answered: false,
        };
        self.checks.table.insert(key, check);
        self.ping_for_check(key);
    }

    /// The kernel was told that nobody listens at `addr`. Anybody can forge that, so it is the
    /// occasion for a check and nothing more; one member is checked once in the time of a check.
    pub(crate) fn handle_unreachable(&mut self, addr: SocketAddr, now: Instant) {
        if !self.config.is_complete() {
            return;
        }
        let Some(key) = self.peers.live_at(addr) else { return };
        let brief = self.check_window(key, true);
        match self.checks.table.get_mut(&key) {
            Some(check) if check.pings > 0 && !check.answered => {
                check.refused = true;
                check.window = check.window.min(now.since(check.began) + brief);
            }
            Some(_) => {}
            None => self.begin_check(key, true, now),
        }
    }

    pub(super) fn note_answered_check(&mut self, frame: &SwimFrame) {
        self.checks.answered(frame);
    }

    /// Pings again, and ends the checks whose time is over.
    pub(super) fn run_checks(&mut self, now: Instant) {
        let due = |check: &Check| check.due() <= now;
        let keys: Vec<NodeKey> =
            self.checks.table.iter().filter(|(_, check)| due(check)).map(|(key, _)| *key).collect();
        for key in keys {
            let Some(check) = self.checks.table.get(&key).copied() else { continue };
            if check.ends() > now {
                self.ping_for_check(key);
                continue;
            }
            self.checks.table.remove(&key);
            if !check.answered {
                self.conclude_check(key, &check, now);
            }
        }
    }

    fn ping_for_check(&mut self, key: NodeKey) {
        let (Some(peer), Some(check)) = (self.peers.get(key), self.checks.table.get_mut(&key)) else {
            return;
        };
        check.pings += 1;
        let frame = SwimFrame {
            from: self.life.key,
            from_epoch: self.life.epoch,
            from_incarnation: self.incarnation,
            to: key,
            to_epoch: check.epoch,
            from_addr: Some(self.addr),
            message: SwimMessage::Ping(check.number),
        };
        self.output.push_back(Output::Send(peer.addr, frame));
    }

    /// The member was silent. Who heard nobody at all meanwhile, not even its own kernel, has learned
    /// nothing. What a kernel says is no reason to pass verdicts again: anybody can forge it.
    fn conclude_check(&mut self, key: NodeKey, check: &Check, now: Instant) {
        let Some(u) = self.peers.as_update(key) else { return };
        if u.epoch != check.epoch || !u.state.is_live() || (self.hearing.last < check.began && !check.refused)
        {
            return;
        }
        if u.state == Liveness::Alive {
            self.apply(&MemberUpdate { state: Liveness::Suspect, ..u }, false, now);
        }
        self.accuse(key, u.epoch, u.incarnation, check.refused, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_is_spread_over_all_members() {
        let mut chosen = BTreeMap::<u64, u32>::new();
        for subject in 0..1_000 {
            let best = (0..10_u64).max_by_key(|key| mixed(subject, *key, 3));
            *chosen.entry(best.expect("there are ten")).or_default() += 1;
        }
        assert!(chosen.len() == 10 && chosen.values().all(|n| (60..=140).contains(n)), "{chosen:?}");
    }

    #[test]
    fn a_check_pings_three_times_and_waits_for_the_last_answer() {
        let mut check = Check {
            epoch: Epoch(1),
            number: 1,
            began: Instant::START,
            window: Duration::from_millis(400),
            pings: 0,
            refused: false,
            answered: false,
        };
        let mut at = Vec::new();
        for pings in 0..=PINGS {
            check.pings = pings;
            at.push(check.due().since_start().as_millis());
        }
        assert_eq!(at, [0, 100, 200, 400]);
        check.answered = true;
        check.pings = 1;
        assert_eq!(check.due(), check.ends(), "and is not made again before its time is over");
    }
}
