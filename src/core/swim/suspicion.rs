//! Suspicions, and when the time of a suspect is up.
//!
//! Owns one deadline for each member that is suspect here, raised by an own probe or by hearsay
//! (Das et al. 2002, section 4.2), and the names of its accusers. With accusers named, a suspicion
//! begins with the longest patience and each independent confirmation shortens it (Dadgar et al.
//! 2018, "LHA Suspicion"): a lone accuser may itself be slow. Never decides what is said of a member;
//! it only says whose time is up. At most one suspicion a member, each with a few names.

use super::Swim;
use crate::core::config::Config;
use crate::model::{Incarnation, Instant, NodeKey};
use crate::wire::frame::{Accusation, Epoch, Liveness, MemberUpdate};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a suspect has to refute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    min: Duration,
    max: Duration,
    /// Accusers beyond the first that bring it down to `min`.
    confirmations: u32,
}

impl Patience {
    /// In a cluster of `live` members, the suspect and this node among them.
    pub(super) fn of(config: &Config, live: usize) -> Self {
        let unit = config.suspicion_timeout(live);
        // Neither the suspect nor its first accuser can confirm.
        let others = u32::try_from(live.saturating_sub(2)).unwrap_or(u32::MAX);
        let confirmations = config.confirmations().min(others);
        if confirmations == 0 {
            return Self { min: unit, max: unit, confirmations };
        }
        let min = if config.is_complete() { config.suspicion_min.min(unit) } else { unit };
        Self { min, max: unit * config.suspicion_stretch, confirmations }
    }

    /// What remains of it, from the start of the suspicion, when so many have confirmed it.
    pub(super) fn after(self, confirmed: u32) -> Duration {
        if confirmed >= self.confirmations {
            return self.min;
        }
        let share = f64::from(confirmed + 1).ln() / f64::from(self.confirmations + 1).ln();
        self.max.saturating_sub((self.max - self.min).mul_f64(share)).max(self.min)
    }
}

/// One member under suspicion.
#[derive(Debug, Clone)]
pub(super) struct Suspicion {
    epoch: Epoch,
    incarnation: Incarnation,
    since: Instant,
    due: Instant,
    patience: Patience,
    /// Those who are known to suspect it themselves; at most one more than can confirm.
    accusers: Vec<NodeKey>,
    /// How many of them were told by their kernel that nobody listens there.
    refused: usize,
    /// What this node's own accusation cost it in health.
    pub(super) cost: u32,
    /// When its time was up first, if it waits for others to be told of together.
    up_since: Option<Instant>,
}

impl Suspicion {
    /// Names the accuser unless it is known or enough are; says whether that was news.
    fn add(&mut self, accuser: NodeKey, refused: bool, now: Instant) -> bool {
        let known = self.accusers.contains(&accuser);
        // The cluster may have grown since it began: two are always taken in.
        if known || (self.is_crowd() && self.accusers.len() >= ACCUSERS_MIN) {
            return false;
        }
        self.accusers.push(accuser);
        self.refused += usize::from(refused);
        self.due = (self.since + self.wait()).max(now);
        true
    }

    /// The time to refute, with the accusers that there are.
    fn wait(&self) -> Duration {
        let confirmed = u32::try_from(self.accusers.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = self.patience.after(confirmed);
        let crashed =
            self.patience.confirmations > 0 && self.is_crowd() && self.refused == self.accusers.len();
        if crashed { wait / REFUSED_SHARE } else { wait }
    }

    /// As many accuse it as can shorten anything.
    fn is_crowd(&self) -> bool {
        self.accusers.len() > self.patience.confirmations as usize
    }

    /// Nobody was heard to accuse it of being silent in this incarnation.
    pub(super) fn is_unheard_of(&self, incarnation: Incarnation) -> bool {
        self.incarnation == incarnation && self.accusers.is_empty()
    }

    pub(super) fn is_accused_by_others(&self, than: NodeKey) -> bool {
        self.accusers.iter().any(|key| *key != than)
    }

    pub(super) fn is_accused_by(&self, key: NodeKey) -> bool {
        self.accusers.contains(&key)
    }
}

/// All members under suspicion.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    table: BTreeMap<NodeKey, Suspicion>,
    by_due: BTreeSet<(Instant, NodeKey)>,
    /// When the first of those was up whose time is up and who wait to be told of together.
    waiting_since: Option<Instant>,
}

impl Suspicions {
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
    }

    pub(super) fn get(&self, key: NodeKey) -> Option<&Suspicion> {
        self.table.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: NodeKey) -> Option<&mut Suspicion> {
        self.table.get_mut(&key)
    }

    /// The member is suspect from now on, in this life and incarnation.
    fn begin(
        &mut self,
        key: NodeKey,
        epoch: Epoch,
        incarnation: Incarnation,
        patience: Patience,
        now: Instant,
    ) {
        let due = now + patience.after(0);
        self.by_due.insert((due, key));
        let suspicion = Suspicion {
            epoch,
            incarnation,
            since: now,
            due,
            patience,
            accusers: Vec::new(),
            refused: 0,
            cost: 0,
            up_since: None,
        };
        self.table.insert(key, suspicion);
    }

    /// Takes in that somebody suspects a member who is suspect here; says whether that was news.
    fn confirm(&mut self, a: &Accusation, now: Instant) -> bool {
        let Some(s) = self.table.get_mut(&a.subject) else { return false };
        if (s.epoch, s.incarnation) != (a.epoch, a.incarnation) {
            return false;
        }
        let before = s.due;
        let news = s.add(a.accuser, a.refused, now);
        let due = s.due;
        self.moved(a.subject, before, due);
        news
    }

    /// Lets the time of a suspect be up at `due`.
    fn set_due(&mut self, key: NodeKey, due: Instant) {
        if let Some(s) = self.table.get_mut(&key) {
            let before = std::mem::replace(&mut s.due, due);
            self.moved(key, before, due);
        }
    }

    fn moved(&mut self, key: NodeKey, before: Instant, due: Instant) {
        if before != due {
            self.by_due.remove(&(before, key));
            self.by_due.insert((due, key));
        }
    }

    /// The member is not suspect any more; whoever had accused it.
    fn end(&mut self, key: NodeKey) -> Vec<NodeKey> {
        let Some(s) = self.table.remove(&key) else { return Vec::new() };
        self.by_due.remove(&(s.due, key));
        s.accusers
    }

    fn all(&self) -> Vec<NodeKey> {
        self.table.keys().copied().collect()
    }

    /// A member whose time is up.
    fn due(&self, now: Instant) -> Option<NodeKey> {
        self.by_due.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }

    /// The last of the suspects with at least `accusers` whose time is up until `end`.
    fn last_due(&self, end: Instant, accusers: usize) -> Option<Instant> {
        let until = self.by_due.range(..=(end, NodeKey(u64::MAX))).rev();
        let accused = |key: &NodeKey| self.table.get(key).is_some_and(|s| s.accusers.len() >= accusers);
        until.filter(|(_, key)| accused(key)).map(|(at, _)| *at).next()
    }

    /// Moves every deadline by `by`, and that of a suspicion which is younger by its age; at least
    /// `left` is left of each, unless that is more than it had at its beginning.
    pub(super) fn postpone(&mut self, by: Duration, left: Duration, now: Instant) {
        for s in self.table.values_mut() {
            let by = by.max((now + left).since(s.due)).min(now.since(s.since));
            s.since += by;
            s.due += by;
        }
        self.by_due = self.table.iter().map(|(key, s)| (s.due, *key)).collect();
    }
}

impl Swim {
    /// Starts and ends the suspicion of a member of which this was just accepted.
    pub(super) fn time_suspicion(&mut self, u: &MemberUpdate, now: Instant) {
        self.end_suspicion(u.key);
        if u.state == Liveness::Suspect {
            let patience = Patience::of(&self.config, self.peers.live().len() + 1);
            self.suspicions.begin(u.key, u.epoch, u.incarnation, patience, now);
        }
    }

    /// Takes in that somebody suspects a member who is suspect here, and passes it on if it is news.
    pub(super) fn confirm(&mut self, a: Accusation, now: Instant) {
        if self.suspicions.confirm(&a, now) {
            self.restore_health(a.subject, a.accuser);
            self.output.push_back(super::Output::Accused(a));
        }
    }

    /// A failed probe of ours that others confirm was not our fault.
    fn restore_health(&mut self, subject: NodeKey, accuser: NodeKey) {
        if accuser != self.life.key
            && self.config.is_complete()
            && let Some(s) = self.suspicions.get_mut(subject)
        {
            let cost = std::mem::take(&mut s.cost);
            self.refund(cost);
        }
    }

    /// Gives back what failed probes cost that were no fault of ours; the next probe comes sooner.
    pub(super) fn refund(&mut self, cost: u32) {
        let before = self.world.health.score();
        self.world.health.better(cost);
        let share = f64::from(self.world.health.score() + 1) / f64::from(before + 1);
        if share < 1.0 {
            self.world.timers.hasten_probe(self.world.now, share);
            if let Some(turn) = &mut self.turn {
                turn.hasten(self.world.now, share);
            }
        }
    }

    /// Somebody says that it holds a member for failed that is suspect here: one accuser more. What
    /// travels is the verdict, so that is not passed on.
    pub(super) fn count_accuser(&mut self, a: &Accusation, now: Instant) {
        self.suspicions.confirm(a, now);
    }

    /// A member that a crowd accuses here, and that others have failed, has had its time if it had
    /// half of the shortest: what this agent thinks of its own health matters no more.
    pub(super) fn believe_others(&mut self, key: NodeKey, now: Instant) {
        let Some(s) = self.suspicions.get_mut(key) else { return };
        if s.is_crowd() && now.since(s.since) >= s.patience.min / 2 {
            s.up_since = s.up_since.or(Some(now));
            self.suspicions.set_due(key, now);
        }
    }

    /// Members that did not refute in time have failed.
    pub(crate) fn run_suspicions(&mut self, now: Instant) {
        let mut told = false;
        while let Some(key) = self.suspicions.due(now) {
            if self.config.is_complete() && self.must_wait(key, now) {
                if self.suspicions.due(now) == Some(key) {
                    return;
                }
                continue;
            }
            self.end_suspicion(key);
            self.fail(key, now);
            told = true;
        }
        if told {
            self.suspicions.waiting_since = None;
        }
    }

    fn fail(&mut self, key: NodeKey, now: Instant) {
        let Some(u) = self.peers.as_update(key).filter(|u| u.state.is_live()) else { return };
        self.apply(&MemberUpdate { state: Liveness::Down, ..u }, true, now);
        self.notice(u.key, u.addr, u.epoch, now);
    }

    /// Whether the verdict on a suspect whose time is up has to wait, for one of these reasons.
    fn must_wait(&mut self, key: NodeKey, now: Instant) -> bool {
        if self.is_deaf(now) {
            self.judge_as_deaf(now);
            return true;
        }
        self.lacks_accusers(key, now) || self.doubts_itself(key, now) || self.waits_for_others(key, now)
    }

    /// Who hears nobody blames itself; but not for ever.
    fn judge_as_deaf(&mut self, now: Instant) {
        let live = self.peers.live().len() + 1;
        if now < self.hearing.last + self.config.isolation_timeout(live) {
            return;
        }
        let suspects = self.suspicions.all();
        tracing::warn!(
            suspects = suspects.len(),
            "nothing was heard from anybody for too long: suspects fail"
        );
        for key in suspects {
            self.end_suspicion(key);
            self.fail(key, now);
        }
    }

    /// Of three and more members nobody is failed on the word of one: it is asked again, by
    /// this agent itself, and whoever hears the accusation anew may join it.
    fn lacks_accusers(&mut self, key: NodeKey, now: Instant) -> bool {
        let others = self.peers.live().len().saturating_sub(1);
        let own = self.life.key;
        let again = now + self.config.suspicion_timeout(self.peers.live().len() + 1);
        let Some(s) = self.suspicions.get(key) else { return false };
        if others == 0 || s.accusers.len() >= ACCUSERS_MIN {
            return false;
        }
        if s.is_accused_by(own) {
            let Suspicion { epoch, incarnation, refused, .. } = *s;
            let refused = refused > 0;
            let again = Accusation { subject: key, epoch, incarnation, accuser: own, refused };
            self.output.push_back(super::Output::Accused(again));
        }
        self.suspicions.set_due(key, again);
        self.begin_check(key, false, now);
        true
    }

    /// Who does badly itself takes its time with others, up to one unit of patience.
    fn doubts_itself(&mut self, key: NodeKey, now: Instant) -> bool {
        let Some(s) = self.suspicions.get(key).filter(|s| s.up_since.is_none()) else { return false };
        let unit = self.config.suspicion_timeout(self.peers.live().len() + 1);
        let wait = s.wait();
        let due = s.since + self.world.health.stretch(wait).min(unit.max(wait));
        let doubts = due > now;
        if doubts {
            self.suspicions.set_due(key, due);
        }
        doubts
    }

    /// Members that fail together are told of together, if that is soon after the first of them.
    fn waits_for_others(&mut self, key: NodeKey, now: Instant) -> bool {
        let within = self.config.probe_interval / 2;
        let Some(s) = self.suspicions.get_mut(key) else { return false };
        s.up_since = s.up_since.or(Some(now));
        let first = self.suspicions.waiting_since.filter(|since| now <= *since + within).unwrap_or(now);
        self.suspicions.waiting_since = Some(first);
        let last = self.suspicions.last_due(first + within, ACCUSERS_MIN).unwrap_or(now);
        if last > now {
            self.suspicions.set_due(key, last);
        }
        last > now
    }

    fn end_suspicion(&mut self, key: NodeKey) {
        let accusers = self.suspicions.end(key);
        if !accusers.is_empty() {
            self.output.push_back(super::Output::Absolved(key, accusers));
        }
    }
}

/// Members that must accuse another, each after a probe of its own, before it can fail where there
/// are more than two.
const ACCUSERS_MIN: usize = 2;

/// A crowd of which each was told by its kernel that nobody listens waits this many times less: a
/// process that is slow still has its port. What is left is for one that is being restarted.
const REFUSED_SHARE: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Membership, Settings};
    use crate::model::Generation;

    const SUBJECT: NodeKey = NodeKey(1);

    fn config(membership: Membership) -> Config {
        let settings = Settings { suspicion_mult: 5, ..Settings::lan() };
        Config::new(settings).expect("valid").with_membership(membership)
    }

    fn at(ms: u64) -> Instant {
        Instant::START + Duration::from_millis(ms)
    }

    fn accusation(by: u64) -> Accusation {
        let epoch = Epoch::first_of(Generation(9));
        Accusation { subject: SUBJECT, epoch, incarnation: 2, accuser: NodeKey(by), refused: false }
    }

    fn suspicions(live: usize) -> Suspicions {
        let mut s = Suspicions::default();
        let Accusation { subject, epoch, incarnation, .. } = accusation(0);
        s.begin(subject, epoch, incarnation, Patience::of(&config(Membership::Lifeguard), live), at(0));
        s
    }

    #[test]
    fn patience_goes_from_the_longest_to_the_shortest_as_the_paper_has_it() {
        let p = Patience::of(&config(Membership::Lifeguard), 128);
        let seconds = |confirmed| p.after(confirmed).as_secs_f64();
        let min = 5.0 * 128.0_f64.log10();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(close(seconds(0), 6.0 * min), "nobody confirmed: {}", seconds(0));
        // ln 2 / ln 4 is one half.
        assert!(close(seconds(1), 3.5 * min), "{}", seconds(1));
        assert!(close(seconds(2), 6.0 * min - 5.0 * min * 3.0_f64.ln() / 4.0_f64.ln()), "{}", seconds(2));
        assert!(close(seconds(3), min), "three confirmed: {}", seconds(3));
        assert!(close(seconds(99), min));
    }

    #[test]
    fn few_members_need_fewer_confirmations() {
        let seconds = |live, confirmed| {
            Patience::of(&config(Membership::Lifeguard), live).after(confirmed).as_secs_f64()
        };
        assert_eq!((seconds(2, 0), seconds(1, 0)), (5.0, 5.0), "nobody is there to confirm");
        assert_eq!((seconds(3, 0), seconds(3, 1)), (30.0, 5.0));
        assert_eq!((seconds(4, 0), seconds(4, 2)), (30.0, 5.0));
        assert!(seconds(5, 2) > 5.0);
    }

    /// What swarm seed 2719 found: a suspicion that began in a cluster of two, which grew.
    #[test]
    fn two_accusers_are_taken_in_even_where_one_was_all_that_could_be() {
        let mut s = suspicions(2);
        assert!(s.confirm(&accusation(5), at(1)) && s.confirm(&accusation(6), at(2)));
        assert!(!s.confirm(&accusation(7), at(3)));
        assert_eq!(s.end(SUBJECT), [5, 6].map(NodeKey));
    }

    #[test]
    fn where_nobody_is_named_patience_is_fixed() {
        let p = Patience::of(&config(Membership::Swim), 1_000);
        assert_eq!((p.after(0), p.after(9)), (Duration::from_secs(15), Duration::from_secs(15)));
    }

    #[test]
    fn an_accuser_counts_once_and_the_first_confirms_nothing() {
        let mut s = suspicions(10);
        assert_eq!(s.next(), Some(at(30_000)));
        assert!(s.confirm(&accusation(5), at(1)));
        assert_eq!(s.next(), Some(at(30_000)), "it raised the suspicion");
        assert!(!s.confirm(&accusation(5), at(2)));
        assert!(s.confirm(&accusation(6), at(3)));
        assert_eq!(s.next(), Some(at(17_500)));
        for _ in 0..9 {
            assert!(!s.confirm(&accusation(6), at(4)));
        }
        assert_eq!(s.next(), Some(at(17_500)));
        assert!(s.confirm(&accusation(7), at(5)) && s.confirm(&accusation(8), at(6)));
        assert_eq!(s.next(), Some(at(5_000)));
        assert!(!s.confirm(&accusation(9), at(7)), "enough are known");
        assert_eq!(s.end(SUBJECT), [5, 6, 7, 8].map(NodeKey));
        assert_eq!(s.next(), None);
    }

    #[test]
    fn a_late_confirmation_lets_the_time_be_up_at_once_and_not_before() {
        let mut s = suspicions(3);
        s.confirm(&accusation(5), at(20_000));
        s.confirm(&accusation(6), at(20_000));
        assert_eq!(s.next(), Some(at(20_000)));
        assert_eq!(s.due(at(19_999)), None);
        assert_eq!(s.due(at(20_000)), Some(SUBJECT));
    }

    #[test]
    fn accusations_of_another_life_or_incarnation_confirm_nothing() {
        let mut s = suspicions(10);
        let a = accusation(5);
        assert!(!s.confirm(&Accusation { incarnation: 1, ..a }, at(1)));
        assert!(!s.confirm(&Accusation { incarnation: 3, ..a }, at(1)));
        assert!(!s.confirm(&Accusation { epoch: a.epoch.next(), ..a }, at(1)));
        assert!(!s.confirm(&Accusation { subject: NodeKey(2), ..a }, at(1)));
    }

    #[test]
    fn a_stall_moves_every_deadline() {
        let mut s = suspicions(10);
        s.postpone(Duration::from_secs(7), Duration::ZERO, at(7_000));
        assert_eq!(s.next(), Some(at(37_000)));
        for by in 5..9 {
            s.confirm(&accusation(by), at(8_000));
        }
        assert_eq!(s.next(), Some(at(12_000)));
    }
}
