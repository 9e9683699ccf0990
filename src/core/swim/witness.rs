//! Checks: pings of our own to one member, besides foca's probes.
//!
//! Owns who is being checked and why: a suspicion was heard and this agent is among its witnesses,
//! the kernel was told that nobody listens at the member's address, a suspicion has run its time
//! with too few accusers, or the member is this agent's successor and it is its turn (see
//! [`super::ring`]); in the last case others are asked to help. A check ends with an answer, and then
//! nothing is said, or in silence, and then this agent accuses the member in its own name. Decides no
//! verdict.
//!
//! Witnesses are chosen by rendezvous hashing (Thaler, Ravishankar 1998) of the suspicion with each
//! member's key: all who hear of it agree on a few who look at once, without asking each other.

use super::{Output, Swim};
use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Epoch, Liveness, MemberUpdate, Nack, SwimFrame, SwimMessage, Third};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Checks that may be under way; a further one is not made, and counted.
const CHECKS_MAX: usize = 64;
/// Pings of one check: at its start and after each quarter of it but the last. More, and closer, where
/// much gets lost.
const PINGS: u32 = 3;
/// The shortest check, for networks whose round trips are not measured yet or faster than processes.
const CHECK_MIN: Duration = Duration::from_millis(50);

/// One member under check.
#[derive(Debug, Clone)]
struct Check {
    epoch: Epoch,
    number: u8,
    began: Instant,
    window: Duration,
    pings: u32,
    pings_max: u32,
    /// The kernel was told, after a ping of this check, that nobody listens there.
    refused: bool,
    answered: bool,
    /// It is one of this agent's regular probes.
    help: Option<Help>,
}

/// What a regular probe does besides pinging.
#[derive(Debug, Clone)]
struct Help {
    /// When others are to be asked, until they were.
    at: Option<Instant>,
    /// Those of them that have sent no nack.
    silent: Vec<NodeKey>,
}

impl Check {
    fn ends(&self) -> Instant {
        self.began + self.window
    }

    fn due(&self) -> Instant {
        if self.answered {
            return self.ends();
        }
        let help = self.help.as_ref().and_then(|help| help.at);
        [self.ping_due(), help].into_iter().flatten().min().unwrap_or(self.ends()).min(self.ends())
    }

    fn ping_due(&self) -> Option<Instant> {
        (self.pings < self.pings_max).then(|| self.began + self.window / (self.pings_max + 1) * self.pings)
    }
}

/// All checks under way.
#[derive(Debug)]
pub(super) struct Checks {
    table: BTreeMap<NodeKey, Check>,
    /// Used again each time that some are due.
    due: Vec<NodeKey>,
    number: u8,
    pub(super) made: u64,
    pub(super) shed: u64,
}

impl Default for Checks {
    /// Probes are numbered from one at about the same pace: half a circle apart the two rarely meet.
    fn default() -> Self {
        Self { table: BTreeMap::new(), due: Vec::new(), number: u8::MAX / 2, made: 0, shed: 0 }
    }
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

    /// Takes in a frame; says who has answered a check with it, and after which time if it can be
    /// told.
    fn answered(&mut self, frame: &SwimFrame, now: Instant) -> Option<(&Check, Option<Duration>)> {
        let (key, epoch, number, direct) = match frame.message {
            SwimMessage::Ack(number) => (frame.from, frame.from_epoch, number, true),
            SwimMessage::ForwardedAck(Third { key, epoch, .. }, number) => (key, epoch, number, false),
            SwimMessage::Ping(_)
            | SwimMessage::PingRequest(..)
            | SwimMessage::IndirectPing(..)
            | SwimMessage::IndirectAck(..)
            | SwimMessage::Gossip
            | SwimMessage::TurnUndead => return None,
        };
        let check = self.table.get_mut(&key).filter(|check| check.number == number && !check.answered)?;
        // Another life's answer is none, and a witness asked nobody to help.
        if check.epoch != epoch || !direct && check.help.is_none() {
            return None;
        }
        check.answered = true;
        // An answer after a second ping may belong to either (Karn, Partridge 1987).
        Some((check, (direct && check.pings == 1).then(|| now.since(check.began))))
    }

    /// Whether the member has a check to answer that has this number, which a probe may have as well.
    pub(super) fn waits_for(&self, key: NodeKey, number: u8) -> bool {
        self.table.get(&key).is_some_and(|check| check.number == number && !check.answered)
    }

    /// A helper of a check heard nothing; says whether that was expected.
    pub(super) fn nacked(&mut self, nack: &Nack) -> bool {
        let check = self.table.get_mut(&nack.target).filter(|check| check.number == nack.number);
        let Some(help) = check.and_then(|check| check.help.as_mut()) else { return false };
        let before = help.silent.len();
        help.silent.retain(|key| *key != nack.from);
        help.silent.len() < before
    }
}

/// A number that is as good as random, from three (Steele, Lea, Flood 2014: SplitMix's finaliser).
pub(super) const fn mixed(a: u64, b: u64, c: u64) -> u64 {
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
        self.begin(key, self.check_window(key, brief), None, now);
    }

    /// Probes a member as foca would: for a whole interval, and with the help of others if it does not
    /// answer soon.
    pub(super) fn begin_probe(&mut self, key: NodeKey, now: Instant) {
        let wait = self.world.health.stretch(self.config.direct_wait(self.peers.rtt(key)));
        let help = Help { at: Some(now + wait), silent: Vec::new() };
        if self.begin(key, self.world.health.stretch(self.config.probe_interval), Some(help), now) {
            self.counters.probes_sent += 1;
        }
    }

    fn begin(&mut self, key: NodeKey, window: Duration, help: Option<Help>, now: Instant) -> bool {
        let Some(peer) = self.peers.get(key) else { return false };
        if self.checks.table.contains_key(&key) {
            return false;
        }
        if self.checks.table.len() >= CHECKS_MAX {
            self.checks.shed += 1;
            return false;
        }
        self.checks.made += u64::from(help.is_none());
        self.checks.number = self.checks.number.wrapping_add(1);
        let check = Check {
            epoch: peer.epoch,
            number: self.checks.number,
            began: now,
            window,
            pings: 0,
            pings_max: self.loss.of_pings(PINGS),
            refused: false,
            answered: false,
            help,
        };
        self.checks.table.insert(key, check);
        self.ping_for_check(key);
        true
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

    pub(super) fn note_answered_check(&mut self, frame: &SwimFrame, now: Instant) {
        let Some((check, sample)) = self.checks.answered(frame, now) else { return };
        if check.help.is_some() {
            self.world.health.better(1);
            self.loss.note(sample.is_some());
        }
        // A place among all is not found by measuring one neighbour over and over.
        let wanted = self.successor() != Some(frame.from) || self.peers.rtt(frame.from).is_none();
        if let Some(sample) = sample.filter(|_| wanted) {
            self.take_sample(frame.from, sample);
        }
    }

    /// Pings again, asks for help, and ends the checks whose time is over.
    pub(super) fn run_checks(&mut self, now: Instant) {
        let due = |check: &Check| check.due() <= now;
        let mut keys = std::mem::take(&mut self.checks.due);
        keys.extend(self.checks.table.iter().filter(|(_, check)| due(check)).map(|(key, _)| *key));
        for key in keys.drain(..) {
            let Some(check) = self.checks.table.get(&key) else { continue };
            if check.ends() <= now {
                if let Some(check) = self.checks.table.remove(&key).filter(|check| !check.answered) {
                    self.conclude_check(key, &check, now);
                }
                continue;
            }
            if check.help.as_ref().is_some_and(|help| help.at.is_some_and(|at| at <= now)) {
                self.ask_for_help(key, now);
            }
            if self.checks.table.get(&key).and_then(Check::ping_due).is_some_and(|at| at <= now) {
                self.ping_for_check(key);
            }
        }
        self.checks.due = keys;
    }

    /// Asks a few others, by a draw that differs from check to check, to ping the member.
    fn ask_for_help(&mut self, subject: NodeKey, now: Instant) {
        let (Some(peer), Some(check)) = (self.peers.get(subject), self.checks.table.get_mut(&subject)) else {
            return;
        };
        let third = Third { key: subject, epoch: check.epoch, addr: peer.addr };
        let Some(help) = &mut check.help else { return };
        help.at = None;
        let live = self.peers.live();
        let wanted = self.config.indirect_probes;
        for draw in 0..2 * wanted as u64 {
            let at = mixed(subject.0, self.life.key.0, now.since_start().as_nanos() as u64 ^ draw);
            let Some(&key) = live.get((at % live.len().max(1) as u64) as usize) else { return };
            let Some(helper) = self.peers.get(key).filter(|p| p.state == Liveness::Alive) else { continue };
            if key == subject || help.silent.contains(&key) || help.silent.len() == wanted {
                continue;
            }
            help.silent.push(key);
            let message = SwimMessage::PingRequest(third, check.number);
            let frame = SwimFrame {
                from: self.life.key,
                from_epoch: self.life.epoch,
                from_incarnation: self.incarnation,
                to: key,
                to_epoch: helper.epoch,
                from_addr: Some(self.addr),
                message,
            };
            self.output.push_back(Output::Send(helper.addr, frame));
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
        let cost = check.help.as_ref().map(|help| self.blame(help));
        if u.state == Liveness::Alive {
            self.apply(&MemberUpdate { state: Liveness::Suspect, ..u }, false, now);
        }
        self.accuse(key, u.epoch, u.incarnation, check.refused, now);
        if let Some(cost) = cost {
            self.bear_cost(key, cost);
        }
    }

    /// A regular probe that failed speaks against this agent as well, and so does each helper that
    /// was not heard at all. Says how much.
    fn blame(&mut self, help: &Help) -> u32 {
        let well = |key: &&NodeKey| self.peers.get(**key).is_some_and(|p| p.state == Liveness::Alive);
        let missing = u32::try_from(help.silent.iter().filter(well).count()).unwrap_or(u32::MAX);
        self.world.failed_probes += 1;
        self.world.nacks_missed += u64::from(missing);
        self.world.health.worse(1 + missing);
        1 + missing
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
    fn a_forwarded_answer_counts_for_the_life_that_was_asked_about() {
        let addr = std::net::SocketAddr::from(([10, 0, 0, 1], 1));
        let answered = |epoch: u64, help: Option<Help>| {
            let check = Check {
                epoch: Epoch(1),
                number: 4,
                began: Instant::START,
                window: Duration::from_secs(1),
                pings: 1,
                pings_max: PINGS,
                refused: false,
                answered: false,
                help,
            };
            let mut checks = Checks::default();
            checks.table.insert(NodeKey(7), check);
            let frame = SwimFrame {
                from: NodeKey(8),
                from_epoch: Epoch(1),
                from_incarnation: 0,
                to: NodeKey(9),
                to_epoch: Epoch(1),
                from_addr: None,
                message: SwimMessage::ForwardedAck(Third { key: NodeKey(7), epoch: Epoch(epoch), addr }, 4),
            };
            checks.answered(&frame, Instant::START).is_some()
        };
        let help = || Some(Help { at: None, silent: Vec::new() });
        assert!(answered(1, help()));
        assert!(!answered(2, help()), "of another life");
        assert!(!answered(1, None), "nobody was asked to help");
    }

    #[test]
    fn a_check_pings_three_times_and_waits_for_the_last_answer() {
        let mut check = Check {
            epoch: Epoch(1),
            number: 1,
            began: Instant::START,
            window: Duration::from_millis(400),
            pings: 0,
            pings_max: PINGS,
            refused: false,
            answered: false,
            help: None,
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
