//! Anti-entropy: noticing that a difference persists, and running the exchanges that end it.
//!
//! A converged cluster pays the digests in its probes and nothing else. A difference must last
//! for a while before anything is asked, since what differs now is usually under way.

use super::exchange::{Exchange, Wanted};
use crate::core::config::Config;
use crate::model::{Instant, NodeKey};
use crate::wire::frame::Digest;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Exchanges at once.
const EXCHANGES_MAX: usize = 16;
/// Peers that help with a long list.
const HELPERS: usize = 3;
/// Owners known to be behind that are remembered for a pull.
const BEHIND_MAX: usize = 4_096;
/// Pairs of roots that are remembered for having led to nothing.
const FRUITLESS_MAX: usize = 16;
/// A table that keeps changing is compared after this many times `sync_after`.
const RESTLESS_FACTOR: u32 = 4;
/// How long such a pair is not looked into again.
const FRUITLESS_FOR: Duration = Duration::from_secs(20);
/// How long a gap in an owner's writes may close by itself.
const GAP_PATIENCE: Duration = Duration::from_millis(100);
/// The same while records of that owner keep coming.
const FLOW_PATIENCE: Duration = Duration::from_secs(5);
/// Wait before an owner that is still behind is pulled from somebody else; doubles at each try.
const PULL_AGAIN: Duration = Duration::from_millis(250);
/// Pulls of one owner before it is left to anti-entropy.
const PULLS_MAX: u32 = 6;
/// After a newcomer was let in, until it compares what it knows with somebody else; doubles at each look.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Looks of a newcomer that finds differences each time.
const LOOKS_MAX: u32 = 5;

#[derive(Debug)]
struct Behind {
    due: Instant,
    since: Instant,
    teller: SocketAddr,
    tries: u32,
    /// Others are to be told once we have caught up, and so can answer them.
    announce: bool,
}

pub(crate) struct Repair {
    exchanges: Vec<Exchange>,
    behind: BTreeMap<NodeKey, Behind>,
    own_root: Digest,
    /// When our root was first seen to be what it is.
    changed_at: Instant,
    pub(crate) last_difference: Option<Instant>,
    not_before: Instant,
    /// Our root and a peer's between which there was nothing to learn for us.
    fruitless: VecDeque<(Digest, Digest, Instant)>,
    /// The roots that the exchange under way began with.
    roots: (Digest, Digest),
    /// When a newcomer looks again, and how often it did. Where many come together their rumours end
    /// at those who were told by their contact, and whoever asked that before misses them.
    look: Option<(Instant, u32)>,
    next_id: u32,
    pub(crate) rounds: u64,
}

impl Repair {
    /// `first_id` numbers the questions; a random start keeps late answers from an earlier run out.
    pub(crate) fn new(first_id: u32) -> Self {
        Self {
            exchanges: Vec::new(),
            behind: BTreeMap::new(),
            own_root: Digest(0),
            changed_at: Instant::START,
            last_difference: None,
            not_before: Instant::START,
            fruitless: VecDeque::new(),
            roots: (Digest(0), Digest(0)),
            look: None,
            next_id: first_id,
            rounds: 0,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<(Instant, &'static str)> {
        let asks = self.exchanges.iter().filter_map(Exchange::next_deadline).map(|at| (at, "ask again"));
        let room = self.exchanges.len() < EXCHANGES_MAX;
        let behind = self.behind.values().filter(|_| room).map(|b| (b.due, "pull"));
        let look = self.look.filter(|_| room).map(|(at, _)| (at, "second look"));
        asks.chain(behind).chain(look).min()
    }

    pub(crate) fn postpone(&mut self, by: Duration, now: Instant) {
        for x in &mut self.exchanges {
            x.postpone(by, now);
        }
    }

    /// A peer's root digest, beside ours.
    pub(crate) fn on_root(
        &mut self,
        peer: SocketAddr,
        theirs: Digest,
        ours: Digest,
        config: &Config,
        now: Instant,
    ) {
        if self.own_root != ours {
            self.own_root = ours;
            self.changed_at = now;
        }
        if ours == theirs {
            return;
        }
        self.last_difference = Some(now);
        // What differs while something is on its way here mostly mends itself; but a table that
        // never comes to rest must be repaired as well.
        let at_rest = now.since(self.changed_at) >= config.sync_after;
        let overdue = now.since(self.not_before) >= config.sync_after * RESTLESS_FACTOR;
        let busy = self.exchanges.iter().any(|x| x.full);
        let in_vain = |(a, b, at): &(Digest, Digest, Instant)| {
            (*a, *b) == (ours, theirs) && now.since(*at) < FRUITLESS_FOR
        };
        let due = (at_rest || overdue) && now >= self.not_before && !busy;
        if !due || self.fruitless.iter().any(in_vain) {
            return;
        }
        self.roots = (ours, theirs);
        if self.start(|id| Exchange::repair(peer, id, false)) {
            self.rounds += 1;
        }
    }

    /// Compares everything with `peer`: a join, or a meeting after a partition. Who knows nothing takes
    /// it over as it is. Says whether it could be begun.
    pub(crate) fn begin(&mut self, peer: SocketAddr, joining: bool, knows_nothing: bool) -> bool {
        if let Some(x) = self.exchanges.iter_mut().find(|x| x.peer == peer) {
            x.make_full(joining);
            return true;
        }
        self.rounds += 1;
        let make = if knows_nothing { Exchange::everything } else { Exchange::repair };
        self.start(|id| make(peer, id, joining))
    }

    /// This node is let in: it compares what it knows with others until that is the same, when its contact
    /// has told all, or is slow to tell since many ask it.
    pub(crate) fn look_again(&mut self, now: Instant) {
        self.look = Some((now + LOOK_AGAIN, 0));
    }

    /// The look that is due. `other` names a live member at random.
    pub(crate) fn run_look(&mut self, now: Instant, mut other: impl FnMut() -> Option<SocketAddr>) {
        let Some((_, looks)) = self.look.filter(|(at, _)| *at <= now) else { return };
        if self.exchanges.iter().any(|x| x.joining && x.was_answered_after(now - LOOK_AGAIN)) {
            self.look = Some((now + LOOK_AGAIN, looks));
            return;
        }
        let looks = looks + 1;
        self.look = (looks < LOOKS_MAX).then(|| (now + LOOK_AGAIN * (1 << looks), looks));
        if let Some(peer) = other() {
            self.begin(peer, false, false);
        }
    }

    fn start(&mut self, make: impl FnOnce(u32) -> Exchange) -> bool {
        let room = self.exchanges.len() < EXCHANGES_MAX;
        if room {
            self.exchanges.push(make(self.next_id));
            // Leaves each exchange a range of numbers of its own.
            self.next_id = self.next_id.wrapping_add(1 << 20);
        }
        room
    }

    /// `teller` knows more of `owner` than we do. What is merely out of order comes by itself.
    pub(crate) fn note_behind(&mut self, owner: NodeKey, teller: SocketAddr, at_once: bool, now: Instant) {
        if self.behind.len() >= BEHIND_MAX && !self.behind.contains_key(&owner) {
            return;
        }
        let due = if at_once { now } else { now + GAP_PATIENCE };
        let since = now;
        let entry =
            self.behind.entry(owner).or_insert(Behind { due, since, teller, tries: 0, announce: false });
        // While more and more comes, what is missing may be on its way: asking now would bring much of
        // it twice.
        let flowing = !at_once && entry.tries == 0 && now.since(entry.since) < FLOW_PATIENCE;
        entry.due = if flowing { due } else { entry.due.min(due) };
        entry.teller = teller;
    }

    /// Whoever is told of `owner` next asks us: tell it when there is something to be had.
    pub(crate) fn announce_later(&mut self, owner: NodeKey) {
        if let Some(behind) = self.behind.get_mut(&owner) {
            behind.announce = true;
        }
    }

    /// Nothing of `owner` is missing any more; says whether others are to be told.
    pub(crate) fn caught_up(&mut self, owner: NodeKey) -> bool {
        self.behind.remove(&owner).is_some_and(|b| b.announce)
    }

    /// Turns owners that are still behind into pulls. `want` says what is missing, if anything;
    /// `other` names somebody else to ask when who told us could not help.
    pub(crate) fn pull_behind(
        &mut self,
        now: Instant,
        want: impl Fn(NodeKey) -> Option<Wanted>,
        mut other: impl FnMut() -> Option<SocketAddr>,
    ) {
        let due: Vec<NodeKey> = self.behind.iter().filter(|(_, b)| b.due <= now).map(|(k, _)| *k).collect();
        for owner in due {
            let want = want(owner);
            let Some(behind) = self.behind.get_mut(&owner) else { continue };
            let Some(want) = want.filter(|_| behind.tries < PULLS_MAX) else {
                self.behind.remove(&owner);
                continue;
            };
            if behind.tries > 0
                && let Some(addr) = other()
            {
                behind.teller = addr;
            }
            let teller = behind.teller;
            let known = self.exchanges.iter().any(|x| x.peer == teller);
            if !known && !self.start(|id| Exchange::targeted(teller, id)) {
                // Its turn comes when an exchange has ended.
                continue;
            }
            if let Some(behind) = self.behind.get_mut(&owner) {
                behind.due = now + PULL_AGAIN * (1 << behind.tries);
                behind.tries += 1;
            }
            if let Some(x) = self.exchanges.iter_mut().find(|x| x.peer == teller) {
                x.want(want);
            }
        }
    }

    /// Shares out lists that are too long for one peer. `other` names a live member at random.
    pub(crate) fn share(&mut self, mut other: impl FnMut() -> Option<SocketAddr>) {
        // Two contacts that answer together have a part of the list each.
        let waiting = self.exchanges.iter().filter(|x| x.full).map(Exchange::waiting).sum();
        let Some(at) = self.exchanges.iter().position(|x| x.may_share(waiting)) else { return };
        let mut helpers: Vec<SocketAddr> = Vec::new();
        for _ in 0..2 * HELPERS {
            let Some(addr) = other() else { break };
            let busy = self.exchanges.iter().any(|x| x.peer == addr) || helpers.contains(&addr);
            let room = self.exchanges.len() + helpers.len() < EXCHANGES_MAX && helpers.len() < HELPERS;
            if !busy && room {
                helpers.push(addr);
            }
        }
        let lists = self.exchanges[at].share_out(helpers.len() + 1);
        for (helper, list) in helpers.into_iter().zip(lists) {
            self.help(helper, list);
        }
    }

    fn help(&mut self, helper: SocketAddr, list: Vec<Wanted>) {
        self.start(|id| {
            let mut x = Exchange::targeted(helper, id);
            x.helps = true;
            for want in list {
                x.want(want);
            }
            x
        });
    }

    /// Is this owner's table being asked for, of whomever?
    pub(crate) fn is_pulling(&self, owner: NodeKey) -> bool {
        self.exchanges.iter().any(|x| x.is_pulling(owner))
    }

    /// A peer was silent: what it was to be asked goes to one that is asked for everything, or to
    /// somebody else.
    pub(crate) fn take_over(&mut self, failed: &Exchange, mut other: impl FnMut() -> Option<SocketAddr>) {
        let left = failed.leftovers();
        if left.is_empty() {
            return;
        }
        if let Some(x) = self.exchanges.iter_mut().find(|x| x.full && !x.is_done()) {
            for want in left {
                x.want(want);
            }
        } else if let Some(addr) = other() {
            self.help(addr, left);
        }
    }

    /// The exchange that asked question `id` of `peer`.
    pub(crate) fn asker(&mut self, peer: SocketAddr, id: u32) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().find(|x| x.peer == peer && x.asked(id))
    }

    pub(crate) fn exchanges(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.exchanges.iter_mut()
    }

    /// Takes out exchanges that have ended.
    pub(crate) fn ended(&mut self, config: &Config, now: Instant) -> Vec<Exchange> {
        // Who joins is there when all that it was told of has come, whoever sends it.
        let helps = |x: &Exchange| x.helps && (!x.is_done() || !x.leftovers().is_empty());
        let helped = self.exchanges.iter().any(helps);
        let over = |x: &Exchange| x.is_done() && (!x.joining || !helped || x.has_failed());
        let (ended, running) = std::mem::take(&mut self.exchanges).into_iter().partition(over);
        self.exchanges = running;
        let ended: Vec<Exchange> = ended;
        for x in &ended {
            if !x.full {
                continue;
            }
            self.not_before = now + config.sync_after;
            if !x.joining && !x.differs && !x.has_failed() {
                self.look = None;
            }
            // One that broke off says nothing about what there is to learn.
            if !x.useful && !x.has_failed() {
                self.fruitless.truncate(FRUITLESS_MAX - 1);
                self.fruitless.push_front((self.roots.0, self.roots.1, now));
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Generation, Version};
    use crate::wire::frame::Want;

    fn wanted(owner: u64) -> Wanted {
        let (generation, have) = (Generation(1), Version(0));
        let want = Want { owner: NodeKey(owner), generation, have, cursor: None };
        Wanted { want, upto: (generation, Version(1)) }
    }

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    #[test]
    fn exchanges_and_owners_that_are_behind_are_bounded() {
        let mut repair = Repair::new(1);
        let begun = (1..100).filter(|n| repair.begin(addr(*n), false, false)).count();
        assert_eq!((begun, repair.exchanges.len()), (EXCHANGES_MAX, EXCHANGES_MAX));
        for owner in 0..10_000 {
            repair.note_behind(NodeKey(owner), addr(1), true, Instant::START);
        }
        assert_eq!(repair.behind.len(), BEHIND_MAX);
        assert_eq!(repair.next_deadline(), None, "pulls wait for room");
    }

    #[test]
    fn a_newcomer_looks_again_until_it_finds_no_difference_and_not_for_ever() {
        let config = Config::default();
        let (empty, mut other) = (crate::core::digest::Tree::default(), crate::core::digest::Tree::default());
        other.set(NodeKey(7), Some(7));
        for (theirs, looks) in [(&empty, 1), (&other, LOOKS_MAX)] {
            let mut repair = Repair::new(1);
            repair.look_again(Instant::START);
            let mut began = 0;
            while let Some((now, "second look")) = repair.next_deadline() {
                repair.run_look(now, || Some(addr(9)));
                began += 1;
                let x = &mut repair.exchanges[0];
                let (id, _) = x.questions(now, |_| false)[0];
                x.on_digests(id, &theirs.buckets(), &empty);
                for (id, _) in x.questions(now, |_| false) {
                    x.on_rows(id, None, false);
                }
                assert_eq!(repair.ended(&config, now).len(), 1);
            }
            assert_eq!((began, repair.next_deadline()), (looks, None));
        }
    }

    #[test]
    fn what_one_peer_is_to_be_asked_for_is_bounded() {
        let mut x = Exchange::targeted(addr(1), 1);
        (0..(1 << 20) + 10).for_each(|owner| x.want(wanted(owner)));
        assert_eq!(x.leftovers().len(), 1 << 20);
    }

    #[test]
    fn so_many_peers_help_with_a_list() {
        let mut repair = Repair::new(1);
        let began = repair.start(|id| {
            let mut x = Exchange::targeted(addr(1), id);
            x.full = true;
            x
        });
        (0..10_000).for_each(|owner| repair.exchanges[0].want(wanted(owner)));
        assert!(began && repair.exchanges[0].may_share(repair.exchanges[0].waiting()));
        let mut others = 1;
        repair.share(|| {
            others += 1;
            Some(addr(others))
        });
        assert_eq!(repair.exchanges.iter().filter(|x| x.helps).count(), HELPERS);
        let left: usize = repair.exchanges.iter().map(|x| x.leftovers().len()).sum();
        assert_eq!(left, 10_000, "each owner is on one list");
    }
}
