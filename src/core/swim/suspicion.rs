//! Suspicions that this agent times itself.
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
        let min = config.suspicion_timeout(live);
        // Neither the suspect nor its first accuser can confirm.
        let others = u32::try_from(live.saturating_sub(2)).unwrap_or(u32::MAX);
        let confirmations = config.confirmations().min(others);
        let max = if confirmations == 0 { min } else { min * config.suspicion_stretch() };
        Self { min, max, confirmations }
    }

    /// What remains of it, from the start of the suspicion, when so many have confirmed it.
    fn after(self, confirmed: u32) -> Duration {
        if confirmed >= self.confirmations {
            return self.min;
        }
        let share = f64::from(confirmed + 1).ln() / f64::from(self.confirmations + 1).ln();
        self.max.saturating_sub((self.max - self.min).mul_f64(share)).max(self.min)
    }
}

/// One member under suspicion.
#[derive(Debug, Clone)]
struct Suspicion {
    epoch: Epoch,
    incarnation: Incarnation,
    since: Instant,
    due: Instant,
    patience: Patience,
    /// Those who are known to suspect it themselves; at most one more than can confirm.
    accusers: Vec<NodeKey>,
}

impl Suspicion {
    /// Names the accuser unless it is known or enough are; says whether that was news.
    fn add(&mut self, accuser: NodeKey, now: Instant) -> bool {
        let known = self.accusers.contains(&accuser);
        if known || self.accusers.len() > self.patience.confirmations as usize {
            return false;
        }
        self.accusers.push(accuser);
        let confirmed = u32::try_from(self.accusers.len() - 1).unwrap_or(u32::MAX);
        self.due = (self.since + self.patience.after(confirmed)).max(now);
        true
    }
}

/// All members under suspicion.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    table: BTreeMap<NodeKey, Suspicion>,
    by_due: BTreeSet<(Instant, NodeKey)>,
}

impl Suspicions {
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
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
        let accusers = Vec::new();
        self.table.insert(key, Suspicion { epoch, incarnation, since: now, due, patience, accusers });
    }

    /// Takes in that somebody suspects a member who is suspect here; says whether that was news.
    fn confirm(&mut self, a: &Accusation, now: Instant) -> bool {
        let Some(s) = self.table.get_mut(&a.subject) else { return false };
        if (s.epoch, s.incarnation) != (a.epoch, a.incarnation) {
            return false;
        }
        let before = s.due;
        let news = s.add(a.accuser, now);
        if s.due != before {
            self.by_due.remove(&(before, a.subject));
            self.by_due.insert((s.due, a.subject));
        }
        news
    }

    /// The member is not suspect any more; whoever had accused it.
    fn end(&mut self, key: NodeKey) -> Vec<NodeKey> {
        let Some(s) = self.table.remove(&key) else { return Vec::new() };
        self.by_due.remove(&(s.due, key));
        s.accusers
    }

    /// A member whose time is up.
    fn due(&self, now: Instant) -> Option<NodeKey> {
        self.by_due.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }

    /// Moves every deadline by `by`.
    pub(super) fn postpone(&mut self, by: Duration) {
        for s in self.table.values_mut() {
            s.since += by;
            s.due += by;
        }
        self.by_due = self.by_due.iter().map(|(at, key)| (*at + by, *key)).collect();
    }
}

impl Swim {
    /// Starts and ends the suspicion of a member of which this was just accepted.
    pub(super) fn time_suspicion(&mut self, u: &MemberUpdate, now: Instant) {
        if !self.config.times_suspicions() {
            return;
        }
        self.end_suspicion(u.key);
        if u.state == Liveness::Suspect {
            let patience = Patience::of(&self.config, self.peers.live().len() + 1);
            self.suspicions.begin(u.key, u.epoch, u.incarnation, patience, now);
        }
    }

    /// Takes in that somebody suspects a member who is suspect here, and passes it on if it is news.
    pub(super) fn confirm(&mut self, a: Accusation, now: Instant) {
        if self.suspicions.confirm(&a, now) {
            self.output.push_back(super::Output::Accused(a));
        }
    }

    /// Members that did not refute in time have failed.
    pub(crate) fn run_suspicions(&mut self, now: Instant) {
        while let Some(key) = self.suspicions.due(now) {
            self.end_suspicion(key);
            let Some(u) = self.peers.as_update(key).filter(|u| u.state == Liveness::Suspect) else {
                continue;
            };
            self.apply(&MemberUpdate { state: Liveness::Down, ..u }, true, now);
            self.notice(u.key, u.addr, u.epoch, now);
        }
    }

    fn end_suspicion(&mut self, key: NodeKey) {
        let accusers = self.suspicions.end(key);
        if !accusers.is_empty() {
            self.output.push_back(super::Output::Absolved(key, accusers));
        }
    }
}

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
        Accusation { subject: SUBJECT, epoch, incarnation: 2, accuser: NodeKey(by) }
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
        s.postpone(Duration::from_secs(7));
        assert_eq!(s.next(), Some(at(37_000)));
        for by in 5..9 {
            s.confirm(&accusation(by), at(8_000));
        }
        assert_eq!(s.next(), Some(at(12_000)));
    }
}
